//! What a device's token is, and the three secrets that follow from it.
//!
//! The token is shown once, by `dashvault device add`, and lives on the vehicle. From it follow, by
//! BLAKE3 key derivation: the *bearer* secret for HTTP (the vault keeps its hash), the *live key*
//! that proves each SRT stream id and seals receipts (both sides keep it), and the *signing seed*
//! of the device's Ed25519 key (the vault keeps only the public key, so it cannot forge footage).

use std::{fmt, str::FromStr};

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use dashvault_base::{CameraName, ContentHash, DeviceId, RecordingId};

const PREFIX: &str = "dv1_";
const BEARER: &str = "dashvault 2026 device bearer";
const LIVE: &str = "dashvault 2026 device live key";
const SIGNING: &str = "dashvault 2026 device signing seed";

/// The user part of a stream id that carries a live proof instead of a token.
pub const PROOF_USER: &str = "dv1";

/// A device's one secret. Never logged: its `Debug` hides it.
#[derive(Clone, PartialEq, Eq)]
pub struct DeviceToken([u8; 32]);

impl DeviceToken {
    /// Makes a token of 32 random bytes.
    #[must_use]
    pub const fn from_random(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The text given to the vehicle: `dv1_` and 43 characters.
    #[must_use]
    pub fn reveal(&self) -> String {
        format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode(self.0))
    }

    /// The secret sent as `Authorization: Bearer …`.
    #[must_use]
    pub fn bearer(&self) -> String {
        URL_SAFE_NO_PAD.encode(blake3::derive_key(BEARER, &self.0))
    }

    /// The hash of the bearer, which is all that the vault keeps of it.
    #[must_use]
    pub fn bearer_hash(&self) -> ContentHash {
        bearer_hash(&self.bearer())
    }

    /// The key that proves stream ids and seals receipts.
    #[must_use]
    pub fn live_key(&self) -> LiveKey {
        LiveKey(blake3::derive_key(LIVE, &self.0))
    }

    /// The seed of the device's Ed25519 signing key.
    #[must_use]
    pub fn signing_seed(&self) -> [u8; 32] {
        blake3::derive_key(SIGNING, &self.0)
    }
}

impl fmt::Debug for DeviceToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("DeviceToken(…)")
    }
}

/// The text is not a device token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a device token is dv1_ and 43 characters, as `dashvault device add` printed it")]
pub struct TokenError;

impl FromStr for DeviceToken {
    type Err = TokenError;

    fn from_str(text: &str) -> Result<Self, TokenError> {
        let encoded = text.trim().strip_prefix(PREFIX).ok_or(TokenError)?;
        let bytes = URL_SAFE_NO_PAD.decode(encoded).map_err(|_| TokenError)?;
        bytes.try_into().map(Self).map_err(|_| TokenError)
    }
}

/// The hash that the vault compares a received bearer with.
#[must_use]
pub fn bearer_hash(bearer: &str) -> ContentHash {
    ContentHash::of(bearer.as_bytes())
}

/// The key that recorder and vault share for stream ids and receipts.
#[derive(Clone, PartialEq, Eq)]
pub struct LiveKey([u8; 32]);

impl LiveKey {
    /// A key kept by the vault.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The bytes to keep.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// What the recorder puts into the stream id: good for this one recording only, so that who
    /// reads it on the network gains nothing for another.
    #[must_use]
    pub fn proof(&self, device: &DeviceId, camera: &CameraName, recording: RecordingId) -> String {
        let text = format!("publish {device}/{camera}/{recording}");
        blake3::keyed_hash(&self.0, text.as_bytes()).to_hex()[..32].to_owned()
    }

    /// Whether `proof` is that of this recording; compares in constant time.
    #[must_use]
    pub fn proves(
        &self,
        proof: &str,
        device: &DeviceId,
        camera: &CameraName,
        recording: RecordingId,
    ) -> bool {
        // Hashing both sides first makes the comparison independent of where they differ.
        let expected = self.proof(device, camera, recording);
        blake3::hash(proof.as_bytes()) == blake3::hash(expected.as_bytes())
    }

    pub(crate) fn seal(&self, text: &str) -> ContentHash {
        blake3::keyed_hash(&self.0, text.as_bytes()).into()
    }
}

impl fmt::Debug for LiveKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("LiveKey(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn token_round_trips_and_debug_hides_it() {
        let token = DeviceToken::from_random([7; 32]);
        assert_eq!(token.reveal().parse(), Ok(token.clone()));
        assert!(!format!("{token:?} {:?}", token.live_key()).contains(&token.reveal()[4..]));
    }

    #[test]
    fn torn_tokens_are_refused() {
        let text = DeviceToken::from_random([7; 32]).reveal();
        for torn in ["", "dv1_", &text[..40], &text[4..], &format!("{text}A")] {
            assert_eq!(torn.parse::<DeviceToken>(), Err(TokenError), "{torn}");
        }
    }

    #[test]
    fn proof_is_bound_to_device_camera_and_recording() {
        let key = DeviceToken::from_random([1; 32]).live_key();
        let (device, camera): (DeviceId, CameraName) = ("bus-7".parse().unwrap(), "front".parse().unwrap());
        let recording: RecordingId = "20261122-101500".parse().unwrap();
        let proof = key.proof(&device, &camera, recording);
        assert!(key.proves(&proof, &device, &camera, recording));
        assert!(!key.proves(&proof, &device, &camera, recording.next_second()));
        assert!(!key.proves(&proof, &device, &CameraName::main(), recording));
        assert!(!DeviceToken::from_random([2; 32]).live_key().proves(&proof, &device, &camera, recording));
    }
}
