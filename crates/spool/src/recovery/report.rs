//! What recovery found and did, for the log and the status page.

use std::collections::BTreeMap;

use dashvault_base::{CameraName, DeviceId, PackId};

/// What [`Spool::open`](crate::Spool::open) found and did.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RecoveryReport {
    /// By camera; every camera the spool knows is there.
    pub cameras: BTreeMap<CameraName, CameraRecovery>,
}

impl RecoveryReport {
    /// Whether the spool was left in order, as after a clean stop.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        let clean = |camera: &CameraRecovery| CameraRecovery {
            foreign: camera.foreign,
            of_others: camera.of_others.clone(),
            ..Default::default()
        };
        self.cameras.values().all(|camera| *camera == clean(camera))
    }

    /// Whether pending packs are left alone since they are of `device`.
    #[must_use]
    pub fn has_packs_of(&self, device: &DeviceId) -> bool {
        self.cameras.values().any(|camera| camera.of_others.contains_key(device))
    }
}

/// What was found and done for one camera.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct CameraRecovery {
    /// Packs that were open and are sealed now.
    pub sealed: Vec<RecoveredPack>,
    /// Packs that were open without a segment and are deleted.
    pub emptied: Vec<PackId>,
    /// Packs that were open and still are, since the disk is full.
    pub left_open: Vec<PackId>,
    /// Packs whose second copy was deleted.
    pub duplicates: Vec<PackId>,
    /// Sealed packs whose trailer was not sound: cut anew from their bytes, or, without any video in them, renamed
    /// out of the way.
    pub unsound: Vec<PackId>,
    /// Pending packs that another key had signed and this recorder's has signed again.
    pub adopted: Vec<PackId>,
    /// Pending packs that another key has signed and that stay so: there was no room for the copy, or their bytes are
    /// not what was signed.
    pub unadopted: Vec<PackId>,
    /// How many pending packs are of devices that were not named to adopt from; they are left alone.
    pub of_others: BTreeMap<DeviceId, u64>,
    /// Files that are none of ours; they are left alone.
    pub foreign: u64,
}

/// A pack that was open.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecoveredPack {
    /// The pack.
    pub pack: PackId,
    /// How many segments it has now.
    pub segments: usize,
    /// How many of these nobody had been told of: they were behind the last durable one.
    pub unannounced: usize,
    /// Segments whose bytes had changed since they were written; marked as damaged.
    pub damaged: Vec<u32>,
    /// Bytes of footage behind the last segment that were dropped.
    pub dropped_bytes: u64,
}
