//! SRT stream ids: who publishes which recording, in the two forms that clients use.
//!
//! `publish:<device>[/<camera>]/<recording>[:user:pass]` (ours, and MediaMTX's), and the SRT access
//! control form `#!::m=publish,r=<device>[/<camera>]/<recording>,u=user,s=pass`.

use std::fmt;

use dashvault_base::{CameraName, DeviceId, IdError, RecordingId};

use crate::{LiveKey, credentials::PROOF_USER};

/// The longest stream id that SRT carries, in bytes.
const MAX_BYTES: usize = 512;

/// A publisher's claim: which recording it brings, and how it proves who it is.
#[derive(Clone, PartialEq, Eq)]
pub struct StreamId {
    /// The device.
    pub device: DeviceId,
    /// The camera, `main` where none is named.
    pub camera: CameraName,
    /// The recording.
    pub recording: RecordingId,
    /// How it proves who it is.
    pub credential: Credential,
}

/// The proof in a stream id. Its `Debug` hides the secret.
#[derive(Clone, PartialEq, Eq)]
pub enum Credential {
    /// None: only where anonymous publishing is allowed.
    Anonymous,
    /// A live proof: this is a recorder, which announces what it records.
    Proof(String),
    /// A user name and a password (the device's token): OBS, ffmpeg.
    Password {
        /// The user, which must be the device's id.
        user: String,
        /// The password.
        pass: String,
    },
}

/// Why a stream id is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StreamIdError {
    /// Neither of the two forms.
    #[error(
        "stream id must be publish:<device>[/<camera>]/<YYYYMMDD-HHMMSS>[:user:pass] or #!::m=publish,r=…"
    )]
    Form,
    /// Longer than SRT allows.
    #[error("stream id is longer than {MAX_BYTES} bytes")]
    TooLong,
    /// It asks to read; this port only takes what is published.
    #[error("stream id asks for mode {0:?}; only publish is served here")]
    Mode(String),
    /// A part of the path is not valid.
    #[error(transparent)]
    Id(#[from] IdError),
}

impl StreamId {
    /// A recorder's own stream id, proved for this one recording.
    #[must_use]
    pub fn proved(key: &LiveKey, device: DeviceId, camera: CameraName, recording: RecordingId) -> Self {
        let credential = Credential::Proof(key.proof(&device, &camera, recording));
        Self { device, camera, recording, credential }
    }

    /// Parses either form.
    ///
    /// # Errors
    /// [`StreamIdError`] says what is wrong; none of them is worth a retry.
    pub fn parse(text: &str) -> Result<Self, StreamIdError> {
        if text.len() > MAX_BYTES {
            return Err(StreamIdError::TooLong);
        }
        match text.strip_prefix("#!::") {
            Some(pairs) => Self::parse_access_control(pairs),
            None => Self::parse_publish(text),
        }
    }

    fn parse_publish(text: &str) -> Result<Self, StreamIdError> {
        let (mode, rest) = text.split_once(':').ok_or(StreamIdError::Form)?;
        if mode != "publish" {
            return Err(StreamIdError::Mode(mode.chars().take(20).collect()));
        }
        let mut parts = rest.splitn(3, ':');
        let path = parts.next().unwrap_or_default();
        Self::from_parts(path, parts.next(), parts.next())
    }

    fn parse_access_control(pairs: &str) -> Result<Self, StreamIdError> {
        let (mut path, mut user, mut pass, mut mode) = (None, None, None, "request");
        for pair in pairs.split(',') {
            let (key, value) = pair.split_once('=').ok_or(StreamIdError::Form)?;
            match key {
                "m" => mode = value,
                "r" => path = Some(value),
                "u" => user = Some(value),
                "s" => pass = Some(value),
                _ => {} // `h`, `t` and private keys say nothing that we need
            }
        }
        if mode != "publish" {
            return Err(StreamIdError::Mode(mode.chars().take(20).collect()));
        }
        Self::from_parts(path.ok_or(StreamIdError::Form)?, user, pass)
    }

    fn from_parts(path: &str, user: Option<&str>, pass: Option<&str>) -> Result<Self, StreamIdError> {
        let parts: Vec<&str> = path.trim_start_matches('/').split('/').collect();
        let (device, camera, recording) = match parts[..] {
            [device, recording] => (device, None, recording),
            [device, camera, recording] => (device, Some(camera), recording),
            _ => return Err(StreamIdError::Form),
        };
        let credential = match (user, pass) {
            (None, None) => Credential::Anonymous,
            (Some(PROOF_USER), Some(proof)) => Credential::Proof(proof.to_owned()),
            // The short form could not say it.
            (Some(user), _) if user.contains(':') => return Err(StreamIdError::Form),
            (user, pass) => Credential::Password {
                user: user.unwrap_or_default().to_owned(),
                pass: pass.unwrap_or_default().to_owned(),
            },
        };
        let camera = camera.map_or_else(|| Ok(CameraName::main()), str::parse)?;
        Ok(Self { device: device.parse()?, camera, recording: recording.parse()?, credential })
    }

    /// The text to send, secrets included: never log it, log `Debug`.
    #[must_use]
    pub fn reveal(&self) -> String {
        let Self { device, camera, recording, credential } = self;
        let path = format!("publish:{device}/{camera}/{recording}");
        match credential {
            Credential::Anonymous => path,
            Credential::Proof(proof) => format!("{path}:{PROOF_USER}:{proof}"),
            Credential::Password { user, pass } => format!("{path}:{user}:{pass}"),
        }
    }
}

impl fmt::Debug for StreamId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { device, camera, recording, credential } = self;
        write!(f, "publish:{device}/{camera}/{recording} ({credential:?})")
    }
}

impl fmt::Debug for Credential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Anonymous => "anonymous",
            Self::Proof(_) => "proof",
            Self::Password { .. } => "password",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn parsed(text: &str) -> StreamId {
        StreamId::parse(text).unwrap()
    }

    #[test]
    fn the_python_clients_path_becomes_device_and_recording() {
        let id = parsed("publish:0b7e4f5e-3a52-4c1c-9d6e-2f2a5f0c9a11/20261122-101500");
        assert_eq!(id.device.as_str(), "0b7e4f5e-3a52-4c1c-9d6e-2f2a5f0c9a11");
        assert_eq!((id.camera.as_str(), id.recording.to_string().as_str()), ("main", "20261122-101500"));
        assert_eq!(id.credential, Credential::Anonymous);
    }

    #[test]
    fn both_forms_say_the_same() {
        let form = parsed("publish:bus/front/20261122-101500:bus:secret:with:colons");
        assert_eq!(form, parsed("#!::m=publish,r=bus/front/20261122-101500,u=bus,s=secret:with:colons"));
        assert_eq!(parsed(&form.reveal()), form);
        assert!(!format!("{form:?}").contains("secret"));
    }

    #[test]
    fn readers_and_strangers_are_told_apart() {
        assert_eq!(StreamId::parse("read:bus/20261122-101500"), Err(StreamIdError::Mode("read".into())));
        assert_eq!(StreamId::parse("#!::r=bus/20261122-101500"), Err(StreamIdError::Mode("request".into())));
        let colon = "#!::m=publish,r=bus/20261122-101500,u=a:b,s=secret";
        for text in ["", "live", "#!::publish", "publish:bus", "publish:a/b/c/20261122-101500", colon] {
            assert!(
                matches!(StreamId::parse(text), Err(StreamIdError::Form | StreamIdError::Id(_))),
                "{text}"
            );
        }
        assert!(matches!(StreamId::parse("publish:../20261122-101500"), Err(StreamIdError::Id(_))));
        assert_eq!(StreamId::parse(&"x".repeat(513)), Err(StreamIdError::TooLong));
    }

    proptest! {
        #[test]
        fn no_text_panics_and_what_parses_round_trips(text in "(publish:|#!::m=publish,r=)?[a-z/:,=0-9-]{0,60}|\\PC{0,80}") {
            if let Ok(id) = StreamId::parse(&text) {
                prop_assert_eq!(StreamId::parse(&id.reveal()), Ok(id));
            }
        }
    }
}
