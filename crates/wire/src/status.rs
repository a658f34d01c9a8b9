//! What a recorder tells the vault of itself, now and then, for the people who look after it.
//!
//! Belongs here: its shape and limits. Not here: when it is told, who keeps it. Every field may be missing, and what is
//! not known is ignored, so that either side may be older than the other; nothing is decided by it.

use dashvault_base::CameraName;
use serde::{Deserialize, Serialize};

use crate::announce::AnnounceError;

/// The most cameras in one status.
pub const MAX_CAMERAS: usize = 64;
/// The longest text in it, in bytes.
pub const MAX_TEXT_BYTES: usize = 400;

/// A recorder at one moment.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct DeviceStatus {
    /// The recorder's version.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// Footage that is on the vehicle only, in bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub backlog_bytes: Option<u64>,
    /// The same in milliseconds of media, of all cameras together.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub backlog_ms: Option<u64>,
    /// Bytes free on the spool's disk.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub spool_free_bytes: Option<u64>,
    /// How the live links feel; none while none is up.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub link: Option<LinkStatus>,
    /// The cameras.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub cameras: Vec<CameraState>,
}

/// The live links of one device, together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct LinkStatus {
    /// The worst round trip, in milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rtt_ms: Option<u32>,
    /// Of a thousand bytes sent, how many were sent again.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub loss_permille: Option<u16>,
    /// Bytes sent a second, live and backfill.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub send_bytes_per_s: Option<u64>,
}

/// One camera.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CameraState {
    /// Its name.
    pub name: CameraName,
    /// In one word, such as `running`, `starting`, `backing-off`, `failed`, `stopped`.
    #[serde(default)]
    pub state: String,
    /// Why, where there is something to say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
}

impl DeviceStatus {
    /// Checks every limit.
    ///
    /// # Errors
    /// [`AnnounceError`] for the first limit that is passed.
    pub(crate) fn validate(&self) -> Result<(), AnnounceError> {
        if self.cameras.len() > MAX_CAMERAS {
            let count = self.cameras.len();
            return Err(AnnounceError::TooMany { what: "cameras in its status", count, max: MAX_CAMERAS });
        }
        let of_camera = |camera: &CameraState| {
            camera.state.len().max(camera.detail.as_ref().map_or(0, String::len)) <= MAX_TEXT_BYTES
        };
        let fits = self.version.as_ref().is_none_or(|version| version.len() <= MAX_TEXT_BYTES);
        if fits && self.cameras.iter().all(of_camera) { Ok(()) } else { Err(AnnounceError::Status) }
    }
}

/// A text cut to what a status, or the note of an event, may say.
#[must_use]
pub fn cut(text: &str, max_bytes: usize) -> String {
    let mut end = max_bytes.min(text.len());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text[..end].to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn status_of_another_version_is_read_and_what_is_not_known_is_ignored() {
        let text = r#"{"battery_mv":12800,"link":{"rtt_ms":40,"carrier":"x"},"cameras":[{"name":"front"}]}"#;
        let status: DeviceStatus = serde_json::from_str(text).unwrap();
        assert_eq!(status.link.and_then(|link| link.rtt_ms), Some(40));
        assert_eq!((status.cameras[0].name.as_str(), status.cameras[0].state.as_str()), ("front", ""));
        assert_eq!(serde_json::to_string(&DeviceStatus::default()).unwrap(), "{}");
    }

    #[test]
    fn status_that_says_more_than_any_recorder_would_is_refused() {
        let camera =
            |detail| CameraState { name: CameraName::main(), state: "failed".into(), detail: Some(detail) };
        let status = |cameras| DeviceStatus { cameras, ..DeviceStatus::default() };
        assert!(status(vec![camera("x".repeat(MAX_TEXT_BYTES)); MAX_CAMERAS]).validate().is_ok());
        assert!(status(vec![camera(String::new()); MAX_CAMERAS + 1]).validate().is_err());
        assert!(status(vec![camera("x".repeat(MAX_TEXT_BYTES + 1))]).validate().is_err());
    }

    #[test]
    fn text_is_cut_between_characters() {
        assert_eq!(cut("aä", 2), "a");
        assert_eq!(cut("aä", 3), "aä");
        assert_eq!(cut("", 5), "");
    }
}
