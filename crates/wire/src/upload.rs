//! How a tus upload says which bytes of which pack it carries: its `Upload-Metadata`.

use base64::{Engine, engine::general_purpose::STANDARD};
use dashvault_base::{CameraName, PackId};

/// The target of a backfill upload: a run of bytes of one announced pack, as wide as `Upload-Length`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PackTarget {
    /// The camera; the device is the one that authenticates.
    pub camera: CameraName,
    /// The pack.
    pub pack: PackId,
    /// Where in the pack's file the upload's first byte belongs.
    pub start: u64,
}

/// Why metadata does not name a pack's bytes.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MetadataError {
    /// The header is not the list of `key base64` pairs that tus asks for, or is over 1 KiB.
    #[error("Upload-Metadata must be comma-separated pairs of a key and a base64 value")]
    Malformed,
    /// A key that a pack upload needs is not there.
    #[error("Upload-Metadata has no {0:?}; a backfill upload needs camera, pack and start")]
    Missing(&'static str),
    /// A value does not parse.
    #[error("Upload-Metadata's {key:?} is {value:?}, which is not valid")]
    Invalid {
        /// The key.
        key: &'static str,
        /// Its value, cut at 80 characters.
        value: String,
    },
}

impl PackTarget {
    /// The header's value.
    #[must_use]
    pub fn to_metadata(&self) -> String {
        let pair = |key: &str, value: &str| format!("{key} {}", STANDARD.encode(value));
        let Self { camera, pack, start } = self;
        [pair("camera", camera.as_str()), pair("pack", &pack.to_string()), pair("start", &start.to_string())]
            .join(",")
    }

    /// Parses the header's value; keys it does not know are ignored.
    ///
    /// # Errors
    /// [`MetadataError`] says which part is wrong.
    pub fn from_metadata(header: &str) -> Result<Self, MetadataError> {
        const MAX_BYTES: usize = 1024;
        if header.len() > MAX_BYTES {
            return Err(MetadataError::Malformed);
        }
        let mut pairs = Vec::new();
        for pair in header.split(',').map(str::trim).filter(|pair| !pair.is_empty()) {
            let (key, encoded) = pair.split_once(' ').unwrap_or((pair, ""));
            let bytes = STANDARD.decode(encoded).map_err(|_| MetadataError::Malformed)?;
            pairs.push((key, String::from_utf8(bytes).map_err(|_| MetadataError::Malformed)?));
        }
        let value = |wanted: &'static str| {
            let found = pairs.iter().find(|(key, _)| *key == wanted);
            found.map(|(_, value)| value.as_str()).ok_or(MetadataError::Missing(wanted))
        };
        let invalid =
            |key, value: &str| MetadataError::Invalid { key, value: value.chars().take(80).collect() };
        let (camera, pack, start) = (value("camera")?, value("pack")?, value("start")?);
        Ok(Self {
            camera: camera.parse().map_err(|_| invalid("camera", camera))?,
            pack: pack.parse().map_err(|_| invalid("pack", pack))?,
            start: start.parse().map_err(|_| invalid("start", start))?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn metadata_round_trips() {
        let target = PackTarget {
            camera: "front".parse().unwrap(),
            pack: "20261122-101500_00003".parse().unwrap(),
            start: 188_000,
        };
        assert_eq!(PackTarget::from_metadata(&target.to_metadata()), Ok(target));
    }

    #[test]
    fn what_is_missing_or_wrong_is_named() {
        assert_eq!(PackTarget::from_metadata(""), Err(MetadataError::Missing("camera")));
        assert_eq!(PackTarget::from_metadata("camera ***"), Err(MetadataError::Malformed));
        let text = format!("camera {},pack {},start MA==", STANDARD.encode("../x"), STANDARD.encode("p"));
        assert!(matches!(
            PackTarget::from_metadata(&text),
            Err(MetadataError::Invalid { key: "camera", .. })
        ));
    }

    proptest! {
        #[test]
        fn no_header_panics(header in ".{0,200}") {
            let _ = PackTarget::from_metadata(&header);
        }
    }
}
