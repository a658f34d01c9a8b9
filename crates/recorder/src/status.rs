//! What a recorder tells of itself, each second: a snapshot for people, for `dashvault status` and for the demo.
//!
//! Belongs here: the snapshot's shape. Not here: how its numbers come about, or who prints them. It is written to
//! `SPOOL/status.json` atomically; readers must not rely on its age, only on `at`.

use std::collections::BTreeMap;

use dashvault_base::{CameraName, DeviceId, LossCause, RecordingId, WallMs};
use serde::{Deserialize, Serialize};

/// The snapshot's file name within the spool.
pub const STATUS_FILE: &str = "status.json";

/// Everything at one moment.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct RecorderStatus {
    /// When this was true, by the recorder's clock.
    pub at: WallMs,
    /// The recorder's process id.
    pub pid: u32,
    /// The device.
    pub device: Option<DeviceId>,
    /// Milliseconds since the recorder started.
    pub uptime_ms: u64,
    /// What the recorder is doing.
    pub phase: Phase,
    /// One a camera, in the order given.
    pub cameras: Vec<CameraStatus>,
    /// The vault over HTTP; none when no vault is given.
    pub vault: Option<VaultStatus>,
    /// Backfill's allowance and use.
    pub backfill: BackfillStatus,
    /// Bytes handed to the network since the start, by purpose.
    pub wire: WireStatus,
    /// The spool's use.
    pub spool: SpoolStatus,
}

/// What the recorder is doing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Phase {
    /// Cameras run.
    #[default]
    Recording,
    /// Cameras are stopped; the backlog is being sent.
    Draining,
    /// Nothing runs any more.
    Stopped,
}

/// One camera.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CameraStatus {
    /// Its name.
    pub camera: CameraName,
    /// The recording that is open, if one is.
    #[serde(default)]
    pub recording: Option<RecordingId>,
    /// Its encoder process.
    #[serde(default)]
    pub capture: CaptureStatus,
    /// Its live link.
    #[serde(default)]
    pub live: LiveStatus,
    /// Segments durable in the spool, since the start.
    #[serde(default)]
    pub captured: Amount,
    /// Of these, what the peer acknowledged over live.
    #[serde(default)]
    pub live_delivered: Amount,
    /// What backfill carried, since the start (also of earlier runs).
    #[serde(default)]
    pub backfilled: Amount,
    /// What is on the vehicle only, as far as is known here (also of earlier runs).
    #[serde(default)]
    pub on_vehicle: Amount,
    /// Packs sealed but without a receipt.
    #[serde(default)]
    pub packs_pending: u64,
    /// Packs with a receipt, since the start.
    #[serde(default)]
    pub packs_stored: u64,
    /// Lost footage since the start in milliseconds, by cause.
    #[serde(default)]
    pub lost_ms: BTreeMap<LossCause, u64>,
}

/// An amount of footage.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Amount {
    /// Segments, where they are known one by one.
    pub segments: u64,
    /// Milliseconds of media.
    pub ms: u64,
    /// Bytes.
    pub bytes: u64,
}

/// A camera's encoder process.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct CaptureStatus {
    /// In one word: starting, running, stalled, backing-off, stopped, failed.
    pub state: String,
    /// Its process id while it runs.
    pub pid: Option<u32>,
    /// How often it was started again.
    pub restarts: u64,
    /// Frames per second, as ffmpeg reports.
    pub fps: Option<f64>,
    /// The encoder in use, or `copy`.
    pub encoder: Option<String>,
    /// The end of its error output after a failure.
    pub stderr_tail: Option<String>,
}

/// A camera's live link.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct LiveStatus {
    /// In one word: off, connecting, connected, refused, waiting (for the camera).
    pub state: String,
    /// Connections made since the start.
    pub connects: u64,
    /// Milliseconds that the present connection has lasted.
    pub connected_ms: u64,
    /// Round trip in milliseconds.
    pub rtt_ms: f64,
    /// Payload bytes per second over the last second.
    pub rate_bytes_per_s: u64,
    /// Bytes handed to SRT and not yet acknowledged.
    pub buffered_bytes: u64,
    /// Segments left out of live since the start because the link was slower than the camera.
    pub skipped_segments: u64,
    /// The last failure and what to do about it.
    pub last_error: Option<String>,
}

/// The vault over HTTP.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct VaultStatus {
    /// Whether the last exchange succeeded.
    pub reachable: bool,
    /// When it last did.
    pub last_success: Option<WallMs>,
    /// The last failure and what to do about it.
    pub last_error: Option<String>,
    /// What the vault said when it refused this device itself; none while it takes it.
    pub denied: Option<String>,
    /// Announcements answered.
    pub announcements: u64,
    /// Receipts believed.
    pub receipts: u64,
    /// Receipts that did not check and were ignored.
    pub receipts_refused: u64,
    /// Packs that the vault refuses, with its reason.
    pub refused: Vec<String>,
}

/// Backfill's allowance and use.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct BackfillStatus {
    /// What the governor allows; none: no bound.
    pub allowed_bytes_per_s: Option<u64>,
    /// What was sent over the last second.
    pub rate_bytes_per_s: u64,
    /// Uploads under way.
    pub uploads: u64,
    /// Wanted ranges that wait.
    pub queued: u64,
}

/// Bytes handed to the network since the start, above TCP and UDP: headers and retransmissions of ours included.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct WireStatus {
    /// Live payload, first transmissions and retransmissions.
    pub live_bytes: u64,
    /// Of these, retransmissions.
    pub live_retransmitted_bytes: u64,
    /// Uploads, with their headers.
    pub backfill_bytes: u64,
    /// Announcements, with their headers.
    pub announce_bytes: u64,
}

/// The spool's use.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct SpoolStatus {
    /// Bytes of packs.
    pub used_bytes: u64,
    /// The most allowed; 0: as much as the reserve leaves.
    pub quota_bytes: u64,
    /// Bytes free on its disk.
    pub free_bytes: u64,
}

impl CameraStatus {
    /// A camera of which nothing is known yet.
    #[must_use]
    pub fn new(camera: CameraName) -> Self {
        Self {
            camera,
            recording: None,
            capture: CaptureStatus::default(),
            live: LiveStatus::default(),
            captured: Amount::default(),
            live_delivered: Amount::default(),
            backfilled: Amount::default(),
            on_vehicle: Amount::default(),
            packs_pending: 0,
            packs_stored: 0,
            lost_ms: BTreeMap::new(),
        }
    }
}

impl RecorderStatus {
    /// Whether nothing of the footage is on the vehicle only, as far as is known here.
    #[must_use]
    pub fn caught_up(&self) -> bool {
        self.cameras.iter().all(|camera| camera.packs_pending == 0 && camera.on_vehicle.bytes == 0)
    }

    /// Reads a snapshot as written into `spool`.
    ///
    /// # Errors
    /// [`std::io::Error`] when there is none, or it is not one.
    pub fn read(spool: &std::path::Path) -> std::io::Result<Self> {
        let text = std::fs::read(spool.join(STATUS_FILE))?;
        serde_json::from_slice(&text).map_err(std::io::Error::other)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn snapshot_round_trips_as_json() {
        let mut camera = CameraStatus::new("front".parse().unwrap());
        camera.lost_ms.insert(LossCause::DiskFull, 5);
        let status = RecorderStatus { cameras: vec![camera], ..RecorderStatus::default() };
        let text = serde_json::to_string(&status).unwrap();
        assert!(text.contains(r#""lost_ms":{"disk-full":5}"#), "{text}");
        assert_eq!(serde_json::from_str::<RecorderStatus>(&text).unwrap(), status);
    }

    #[test]
    fn snapshot_of_an_older_recorder_is_still_read() {
        assert_eq!(serde_json::from_str::<RecorderStatus>("{}").unwrap(), RecorderStatus::default());
    }
}
