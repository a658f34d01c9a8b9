//! Whether the quota has room for what it is to keep: at least two packs of each camera.
//!
//! Belongs here: the estimate and the warning. Not here: what is deleted when (`dashvault-spool`).
//!
//! The newest sealed pack of a camera is its chain's end and is never deleted, and the open one is not either: with less
//! room than two packs, what was just recorded goes before it can be sent, or nothing more is recorded.

use dashvault_base::CameraName;
use dashvault_spool::{Folder, Spool};

use crate::config::RecorderConfig;

/// Bits per second of a camera without a `bitrate`: what hardware encoders are given, and more than libx264 mostly takes.
const USUAL_BITS: u64 = 4_000_000;
/// Sound, and what MPEG-TS adds.
const BESIDE_BITS: u64 = 200_000;
const PACKS: u64 = 2;

/// Warns of a quota that is too small, and says what to do.
pub(crate) fn warn_if_small(config: &RecorderConfig, spool: &Spool) {
    let packs = Folder::ALL.map(|folder| spool.packs(folder)).concat();
    let largest =
        |name: &CameraName| packs.iter().filter(|info| info.camera == *name).map(|info| info.bytes).max();
    if let Some(least_bytes) = too_small(config, largest) {
        tracing::warn!(
            quota_bytes = config.quota_bytes,
            least_bytes,
            cameras = config.cameras.len(),
            pack_seconds = config.pack_seconds,
            "quota is smaller than two packs a camera: footage may be deleted before it is sent, or not recorded; give at \
             least this much (--quota), or make packs shorter (--pack-length)"
        );
    }
}

/// The least quota that makes sense, where the one given is less; `largest` tells the largest pack so far of a camera.
fn too_small(config: &RecorderConfig, largest: impl Fn(&CameraName) -> Option<u64>) -> Option<u64> {
    let pack = |camera: &crate::capture::CameraSpec| {
        let bits = camera.encode.bitrate.map_or(USUAL_BITS, u64::from) + BESIDE_BITS;
        largest(&camera.name).unwrap_or(u64::from(config.pack_seconds) * bits / 8)
    };
    let least: u64 = config.cameras.iter().map(|camera| PACKS * pack(camera)).sum();
    (config.quota_bytes > 0 && config.quota_bytes < least).then_some(least)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(quota_bytes: u64) -> RecorderConfig {
        let cameras = ["front=test,bitrate=1800k", "rear=test"].map(|text| text.parse().unwrap()).to_vec();
        RecorderConfig { cameras, quota_bytes, pack_seconds: 8, ..RecorderConfig::default() }
    }

    #[test]
    fn quota_must_have_room_for_two_packs_of_each_camera() {
        let least = 2 * 2_000_000 + 2 * 4_200_000;
        assert_eq!(too_small(&config(least - 1), |_| None), Some(least));
        assert_eq!(too_small(&config(least), |_| None), None);
        assert_eq!(too_small(&config(0), |_| None), None, "no quota is no small quota");
    }

    #[test]
    fn what_packs_were_so_far_tells_more_than_a_guess() {
        let largest = |name: &CameraName| (name.as_str() == "rear").then_some(50_000);
        assert_eq!(too_small(&config(4_200_000), largest), None);
        assert_eq!(too_small(&config(4_000_000), largest), Some(4_100_000));
    }
}
