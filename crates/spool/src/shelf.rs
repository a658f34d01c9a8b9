//! What the spool knows of its packs, in memory: derived from the files at the start, then kept in step with them.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use dashvault_base::{CameraName, ContentHash, LossCause, PackId, RecordingId};

use crate::{Folder, loss::Ledger, recovery::Relinked};

/// One camera's packs.
#[derive(Debug, Default)]
pub(crate) struct Shelf {
    pub(crate) packs: BTreeMap<PackId, Shelved>,
    /// The manifest hash of the newest sealed pack; zero where there is none.
    pub(crate) chain: ContentHash,
    /// The last recording id that was given out.
    pub(crate) last_recording: Option<RecordingId>,
    /// What the chain's links are now, where packs before were adopted.
    pub(crate) relinked: Relinked,
    /// Somebody writes it.
    pub(crate) taken: bool,
}

/// One pack.
#[derive(Debug, Clone)]
pub(crate) struct Shelved {
    pub(crate) folder: Folder,
    pub(crate) locked: bool,
    /// Length of the file that a reader may rely on: for an open pack its durable segments.
    pub(crate) readable: Arc<AtomicU64>,
}

impl Shelved {
    pub(crate) fn new(folder: Folder, bytes: u64) -> Self {
        Self { folder, locked: false, readable: Arc::new(AtomicU64::new(bytes)) }
    }

    pub(crate) fn bytes(&self) -> u64 {
        self.readable.load(Ordering::Acquire)
    }
}

impl Shelf {
    /// The newest sealed pack: the chain's end, which is kept whatever the quota, so that the next pack can name it.
    pub(crate) fn newest_sealed(&self) -> Option<PackId> {
        self.packs.iter().rev().find(|(_, pack)| pack.folder != Folder::Open).map(|(id, _)| *id)
    }

    /// Notes that a pack is sealed and pending.
    pub(crate) fn seal(&mut self, pack: PackId, bytes: u64, manifest: ContentHash) {
        let shelved = self.packs.entry(pack).or_insert_with(|| Shelved::new(Folder::Pending, bytes));
        shelved.folder = Folder::Pending;
        shelved.readable.store(bytes, Ordering::Release);
        if self.newest_sealed() == Some(pack) {
            self.chain = manifest;
        }
    }

    /// A recording id later than every one before, `wanted` where possible.
    pub(crate) fn next_recording(&mut self, wanted: RecordingId) -> RecordingId {
        let newest = self.packs.keys().next_back().map(|pack| pack.recording).max(self.last_recording);
        let id = newest.map_or(wanted, |newest| wanted.max(newest.next_second()));
        self.last_recording = Some(id);
        id
    }
}

/// All that is behind the spool's lock.
#[derive(Debug, Default)]
pub(crate) struct State {
    pub(crate) cameras: BTreeMap<CameraName, Shelf>,
    pub(crate) losses: Ledger,
    /// Why new segments are not taken, where they are not.
    pub(crate) refusing: Option<LossCause>,
    /// Open packs without a writer: a full disk kept them from being sealed, or their writer let go of them.
    pub(crate) left_open: Vec<(CameraName, PackId)>,
}

impl State {
    pub(crate) fn pack(&self, camera: &CameraName, pack: PackId) -> Option<&Shelved> {
        self.cameras.get(camera)?.packs.get(&pack)
    }

    pub(crate) fn pack_mut(&mut self, camera: &CameraName, pack: PackId) -> Option<&mut Shelved> {
        self.cameras.get_mut(camera)?.packs.get_mut(&pack)
    }

    /// The hash that the manifest of `hash` has now.
    pub(crate) fn relinked(&self, camera: &CameraName, hash: ContentHash) -> ContentHash {
        self.cameras.get(camera).map_or(hash, |shelf| shelf.relinked.now(hash))
    }

    /// Bytes of all packs.
    pub(crate) fn used_bytes(&self) -> u64 {
        self.cameras.values().flat_map(|shelf| shelf.packs.values()).map(Shelved::bytes).sum()
    }

    /// The packs that end their camera's chain.
    pub(crate) fn chain_ends(&self) -> BTreeSet<(CameraName, PackId)> {
        let end = |(camera, shelf): (&CameraName, &Shelf)| Some((camera.clone(), shelf.newest_sealed()?));
        self.cameras.iter().filter_map(end).collect()
    }
}
