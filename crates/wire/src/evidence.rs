//! The evidence bundle: a clip with the packs it was made of, the keys, and a signed report that ties them together.
//!
//! Belongs here: the bundle's format, for the vault that writes it and for whoever verifies it without one. Does not:
//! where the files come from, and whether a pack is sound (`dashvault-media` decides that).
//!
//! ```text
//! packs/<pack>.ts …   whole, with their signed manifests (trailers)
//! <clip>              the clip
//! keys/*.txt          the device's and the vault's public key
//! report.html         for people
//! report.json         what is in the bundle, with the hash of every file above
//! report.sig          the vault's signature over report.json
//! ```
//!
//! Invariant: no bit of a bundle is without a check: packs by their manifests, all files by the report, the report by its
//! signature, and the ZIP file around them by its one possible form ([`zip`]).

use dashvault_base::{ContentHash, WallMs};
use dashvault_media::{PublicKey, SignatureError, SigningKey};
use serde::{Deserialize, Serialize};

mod html;
pub mod zip;

pub use html::html;

/// The report, for programs.
pub const REPORT: &str = "report.json";
/// The report, for people.
pub const REPORT_HTML: &str = "report.html";
/// The signature over [`REPORT`].
pub const SIGNATURE: &str = "report.sig";
/// Where packs lie in a bundle.
pub const PACKS: &str = "packs/";
/// The only version of this format.
pub const FORMAT: &str = "dashvault-evidence-1";

const CONTEXT: &str = "dashvault 2026-11-29 evidence report v1";

/// What is in a bundle, and what it shows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// [`FORMAT`].
    pub format: String,
    /// The device.
    pub device: String,
    /// Its camera.
    pub camera: String,
    /// The device's public key, as the vault knows it; `None` for one that publishes without a key.
    pub device_key: Option<String>,
    /// The vault's public key.
    pub vault_key: String,
    /// When the bundle was made.
    pub made_at: WallMs,
    /// By whom.
    pub made_by: String,
    /// A title that was given to it.
    pub title: String,
    /// A note that was given to it.
    pub note: String,
    /// What was asked for.
    pub asked: Stretch,
    /// What the clip shows.
    pub shown: Vec<Stretch>,
    /// What was asked for and is not shown, with its cause.
    pub missing: Vec<Hole>,
    /// How long the clip plays.
    pub shown_ms: u64,
    /// Segments with packets missing inside.
    pub damaged_segments: u64,
    /// The clip's file.
    pub clip: String,
    /// Every file but the report and its signature.
    pub files: Vec<FileEntry>,
    /// The packs, by name.
    pub packs: Vec<PackEntry>,
}

/// A stretch of wall time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stretch {
    /// Its beginning.
    pub from: WallMs,
    /// Its end.
    pub to: WallMs,
}

/// A stretch that is not shown.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hole {
    /// Its beginning.
    pub from: WallMs,
    /// Its end.
    pub to: WallMs,
    /// `on_vehicle`, `lost`, `not_recorded`, …
    pub state: String,
    /// Why it is lost.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub cause: Option<String>,
}

/// A file of a bundle.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileEntry {
    /// Its name.
    pub name: String,
    /// Its length.
    pub bytes: u64,
    /// BLAKE3 of its bytes.
    pub blake3: ContentHash,
}

/// A pack of a bundle.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PackEntry {
    /// Its file.
    pub file: String,
    /// The hash of its manifest.
    pub manifest: ContentHash,
    /// The hash of the manifest before it.
    pub previous: ContentHash,
    /// `device`, `recovery` or `vault`.
    pub sealed_by: String,
    /// The key that signed its manifest.
    pub signed_by: String,
    /// When it begins.
    pub start: WallMs,
    /// How long it is.
    pub duration_ms: u64,
    /// How many segments it has.
    pub segments: u64,
    /// When the vault had made it durable.
    pub stored_at: WallMs,
}

/// A signature file is something else.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SealError {
    /// It has not the form of one.
    #[error("{SIGNATURE} is no signature file")]
    Form,
    /// It is another's.
    #[error("the signature over {REPORT} is not that of the key it names")]
    Signature(#[from] SignatureError),
}

/// Signs a report's bytes: the contents of [`SIGNATURE`].
#[must_use]
pub fn seal(report: &[u8], key: &SigningKey) -> String {
    let signature = key.sign_statement(CONTEXT, report);
    let hex: String = signature.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("{}\n{hex}\n", key.public_key())
}

/// The key that signed a report's bytes.
///
/// # Errors
/// [`SealError`]: every byte of `seal` counts.
pub fn check_seal(report: &[u8], seal: &[u8]) -> Result<PublicKey, SealError> {
    let text = std::str::from_utf8(seal).map_err(|_| SealError::Form)?;
    let (key, rest) = text.split_once('\n').ok_or(SealError::Form)?;
    let hex = rest.strip_suffix('\n').filter(|hex| hex.len() == 128).ok_or(SealError::Form)?;
    let key: PublicKey = key.parse().map_err(|_| SealError::Form)?;
    let mut signature = [0; 64];
    for (byte, digits) in signature.iter_mut().zip(hex.as_bytes().as_chunks::<2>().0) {
        *byte = digits
            .iter()
            .try_fold(0, |value, digit| Some(value << 4 | nibble(*digit)?))
            .ok_or(SealError::Form)?;
    }
    // One spelling only, so that no changed bit goes by.
    let again: String = signature.iter().map(|byte| format!("{byte:02x}")).collect();
    if format!("{key}\n{again}\n") != text {
        return Err(SealError::Form);
    }
    key.verify_statement(CONTEXT, report, &signature)?;
    Ok(key)
}

fn nibble(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seal_says_who_signed_and_every_bit_of_it_and_of_the_report_counts() {
        let key = SigningKey::from_seed([7; 32]);
        let report = b"{\"format\":\"dashvault-evidence-1\"}";
        let sealed = seal(report, &key).into_bytes();
        assert_eq!(check_seal(report, &sealed), Ok(key.public_key()));
        for bit in 0..sealed.len() * 8 {
            let mut wrong = sealed.clone();
            wrong[bit / 8] ^= 1 << (bit % 8);
            assert!(check_seal(report, &wrong).is_err(), "bit {bit}");
        }
        for bit in 0..report.len() * 8 {
            let mut wrong = report.to_vec();
            wrong[bit / 8] ^= 1 << (bit % 8);
            assert!(check_seal(&wrong, &sealed).is_err(), "bit {bit}");
        }
        assert_eq!(check_seal(report, b""), Err(SealError::Form));
    }
}
