//! What recovery of the spool found, as log lines: fields, not prose.
//!
//! Belongs here: how a [`RecoveryReport`] is told. Not here: what recovery does (`dashvault-spool`).

use dashvault_base::{CameraName, DeviceId};
use dashvault_spool::{CameraRecovery, RecoveryReport};

use crate::camera::with_sources;
use crate::config::unnamed;
use crate::confirm::NotConfirmed;

/// Tells what was found: one line for the spool, one for each camera that was not in order.
pub(crate) fn log(report: &RecoveryReport) {
    tracing::info!(cameras = report.cameras.len(), clean = report.is_clean(), "spool is open");
    report.cameras.iter().for_each(|(name, camera)| log_camera(name, camera));
}

/// Tells why packs that were recorded without a device wait.
pub(crate) fn log_unconfirmed(device: &DeviceId, why: &NotConfirmed) {
    tracing::warn!(
        %device, why = with_sources(why),
        "packs were recorded without a device; they become this one's at the first start after the vault has confirmed \
         it, or with --adopt recorder"
    );
}

fn log_camera(camera: &CameraName, found: &CameraRecovery) {
    for pack in &found.sealed {
        let segments = pack.segments;
        let (unannounced, damaged, dropped_bytes) =
            (pack.unannounced, pack.damaged.len(), pack.dropped_bytes);
        let pack = pack.pack;
        tracing::info!(%camera, %pack, segments, unannounced, damaged, dropped_bytes, "open pack was sealed");
    }
    for (packs, what) in [
        (&found.emptied, "open pack had no segment and was deleted"),
        (&found.duplicates, "second copy of a pack was deleted"),
        (&found.adopted, "pack of another key was signed again"),
    ] {
        packs.iter().for_each(|pack| tracing::info!(%camera, %pack, "{what}"));
    }
    for (packs, what) in [
        (&found.left_open, "pack stays open: the disk is full"),
        (&found.unsound, "sealed pack had no sound trailer and was cut anew"),
        (
            &found.unadopted,
            "pack is signed by another key and stays so, the vault will refuse it: make room for a copy of it and \
             start again, or see `dashvault verify`",
        ),
    ] {
        packs.iter().for_each(|pack| tracing::warn!(%camera, %pack, "{what}"));
    }
    for (device, packs) in found.of_others.iter().filter(|(device, _)| **device != unnamed()) {
        tracing::warn!(
            %camera, %device, packs,
            "packs are another device's: start with its --device and --token, or with --adopt to make them this one's"
        );
    }
    if found.foreign > 0 {
        tracing::info!(%camera, files = found.foreign, "files are none of ours and are left alone");
    }
}
