//! What a recorder is told: where to record, what to record, where to send it.
//!
//! Belongs here: the settings, their defaults beside them, and what must hold between them. Not here: files, flags and
//! environment variables (the binary), camera sources ([`crate::capture`]).

use std::path::PathBuf;
use std::time::Duration;

use dashvault_base::DeviceId;
use dashvault_wire::DeviceToken;
use serde::{Deserialize, Deserializer, Serialize};

use crate::capture::CameraSpec;
use crate::target::{SrtTarget, VaultUrl};

/// The device's name where none is given and nothing needs one.
const UNNAMED: &str = "recorder";

/// Everything a [`crate::Recorder`] needs; each field is also a key of the configuration file.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RecorderConfig {
    /// The vault's HTTP address; without it nothing is announced or backfilled.
    pub vault: Option<VaultUrl>,
    /// Where live goes; without it everything is backfilled.
    pub srt: Option<SrtTarget>,
    /// The device's id; needed with a vault.
    #[serde(deserialize_with = "device_or_unnamed")]
    pub device: DeviceId,
    /// The device's token, as `dashvault device add` printed it; needed with a vault.
    #[serde(deserialize_with = "token")]
    pub token: Option<DeviceToken>,
    /// Other devices whose pending packs in the spool become this one's; those recorded without a device do once the vault
    /// has confirmed this one.
    pub adopt: Vec<DeviceId>,
    /// The spool's directory.
    pub spool: PathBuf,
    /// The cameras, as `name=source[,key=value…]`.
    pub cameras: Vec<CameraSpec>,
    /// The most bytes that the spool may hold; 0: as much as `reserve_bytes` leaves.
    pub quota_bytes: u64,
    /// The bytes that stay free on the spool's disk.
    pub reserve_bytes: u64,
    /// What happens when the spool is full of packs without a receipt.
    pub on_full: OnFull,
    /// How long a pack is, in seconds.
    pub pack_seconds: u32,
    /// The most bytes per second that backfill may use; none: no cap.
    pub rate_cap_bytes_per_s: Option<u64>,
    /// How many uploads run at once.
    pub uploads: usize,
    /// How long a graceful stop waits for the backlog, in seconds.
    pub drain_seconds: u32,
    /// How long a camera may give no bytes before it is restarted, in seconds.
    pub stall_seconds: u32,
    /// How far live may fall behind before it skips to the newest segment, in milliseconds.
    pub live_lag_ms: u32,
    /// The most bytes a camera's live ring holds.
    pub live_ring_bytes: usize,
    /// The most bytes that wait for the disk, per camera; what does not fit is lost and counted.
    pub disk_queue_bytes: usize,
    /// The ffmpeg to run.
    pub ffmpeg: PathBuf,
}

/// What happens when the spool is full of packs without a receipt.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OnFull {
    /// The oldest pack without a receipt is deleted and counted as lost; recording goes on.
    #[default]
    EvictUnsent,
    /// Recording stops until there is room; what is not recorded is counted as lost.
    StopRecording,
}

impl Default for RecorderConfig {
    fn default() -> Self {
        Self {
            vault: None,
            srt: None,
            device: unnamed(),
            token: None,
            adopt: Vec::new(),
            spool: PathBuf::from("spool"),
            cameras: Vec::new(),
            quota_bytes: 0,
            reserve_bytes: 512 << 20,
            on_full: OnFull::default(),
            pack_seconds: 60,
            rate_cap_bytes_per_s: None,
            uploads: 3,
            drain_seconds: 10,
            stall_seconds: 10,
            live_lag_ms: 3000,
            live_ring_bytes: 8 << 20,
            disk_queue_bytes: 6 << 20,
            ffmpeg: PathBuf::from("ffmpeg"),
        }
    }
}

/// Settings that contradict each other, or lack something.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// Nothing to record, and nothing to send.
    #[error("neither a camera nor a vault is given; add a camera, such as front=test")]
    NoCamera,
    /// Two cameras of one name would share a folder.
    #[error("two cameras are named {0:?}; give each its own name")]
    CameraTwice(String),
    /// A vault takes footage only from a device that it knows.
    #[error("a vault is given but no {0}; `dashvault device add` prints both the device's id and its token")]
    NoCredential(&'static str),
    /// A number is outside its range.
    #[error("{key} is {value}; it must be from {min} to {max}")]
    OutOfRange {
        /// The setting.
        key: &'static str,
        /// What it is set to.
        value: u64,
        /// The least.
        min: u64,
        /// The most.
        max: u64,
    },
}

impl RecorderConfig {
    /// Checks what no single field can show.
    ///
    /// # Errors
    /// [`ConfigError`] for the first thing that does not fit.
    pub fn validate(&self) -> Result<(), ConfigError> {
        // Without cameras, what earlier runs left is sent to the vault.
        if self.cameras.is_empty() && self.vault.is_none() {
            return Err(ConfigError::NoCamera);
        }
        for (index, camera) in self.cameras.iter().enumerate() {
            if self.cameras[..index].iter().any(|other| other.name == camera.name) {
                return Err(ConfigError::CameraTwice(camera.name.to_string()));
            }
        }
        if self.vault.is_some() && self.token.is_none() {
            return Err(ConfigError::NoCredential("token"));
        }
        if self.vault.is_some() && self.device == unnamed() {
            return Err(ConfigError::NoCredential("device"));
        }
        within("pack_seconds", u64::from(self.pack_seconds), 1, 3600)?;
        within("uploads", self.uploads as u64, 1, 16)?;
        within("stall_seconds", u64::from(self.stall_seconds), 1, 3600)?;
        within("live_lag_ms", u64::from(self.live_lag_ms), 200, 60_000)?;
        within("live_ring_bytes", self.live_ring_bytes as u64, 256 << 10, 256 << 20)?;
        within("disk_queue_bytes", self.disk_queue_bytes as u64, 256 << 10, 256 << 20)
    }

    /// The devices whose pending packs are signed again as this one's: those without a device once the vault has
    /// `confirmed` this one.
    pub(crate) fn adopts_from(&self, confirmed: bool) -> Vec<DeviceId> {
        self.adopt.iter().cloned().chain(confirmed.then(unnamed)).collect()
    }

    /// How long a graceful stop waits for the backlog.
    #[must_use]
    pub fn drain(&self) -> Duration {
        Duration::from_secs(u64::from(self.drain_seconds))
    }
}

const fn within(key: &'static str, value: u64, min: u64, max: u64) -> Result<(), ConfigError> {
    if min <= value && value <= max { Ok(()) } else { Err(ConfigError::OutOfRange { key, value, min, max }) }
}

/// Whose packs are that were recorded without a device.
pub(crate) fn unnamed() -> DeviceId {
    UNNAMED.parse().expect("the name is made of allowed characters")
}

fn device_or_unnamed<'de, D: Deserializer<'de>>(deserializer: D) -> Result<DeviceId, D::Error> {
    Ok(Option::<DeviceId>::deserialize(deserializer)?.unwrap_or_else(unnamed))
}

fn token<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<DeviceToken>, D::Error> {
    let text = Option::<String>::deserialize(deserializer)?;
    text.map(|text| text.parse().map_err(serde::de::Error::custom)).transpose()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(cameras: &[&str]) -> RecorderConfig {
        let cameras = cameras.iter().map(|text| text.parse().unwrap()).collect();
        RecorderConfig { cameras, ..RecorderConfig::default() }
    }

    #[test]
    fn defaults_need_only_a_camera() {
        assert_eq!(RecorderConfig::default().validate(), Err(ConfigError::NoCamera));
        assert_eq!(with(&["front=test"]).validate(), Ok(()));
        assert_eq!(with(&["a=test", "a=test"]).validate(), Err(ConfigError::CameraTwice("a".into())));
    }

    #[test]
    fn a_vault_needs_a_device_and_its_token() {
        let mut config = with(&["front=test"]);
        config.vault = Some("http://vault:8080".parse().unwrap());
        assert_eq!(config.validate(), Err(ConfigError::NoCredential("token")));
        config.token = Some(DeviceToken::from_random([1; 32]));
        assert_eq!(config.validate(), Err(ConfigError::NoCredential("device")));
        config.device = "bus-7".parse().unwrap();
        assert_eq!(config.validate(), Ok(()));
    }

    #[test]
    fn numbers_outside_their_range_are_named() {
        let config = RecorderConfig { uploads: 0, ..with(&["front=test"]) };
        assert!(config.validate().unwrap_err().to_string().contains("uploads is 0"));
    }

    #[test]
    fn settings_read_from_a_document() {
        let text = r#"{"vault":"http://v:1","srt":"srt://v:2","device":"bus","cameras":["front=test,fps=15"],"on_full":"stop-recording"}"#;
        let config: RecorderConfig = serde_json::from_str(text).unwrap();
        assert_eq!((config.device.as_str(), config.on_full), ("bus", OnFull::StopRecording));
        assert!(serde_json::from_str::<RecorderConfig>(r#"{"sppol":"x"}"#).is_err());
    }
}
