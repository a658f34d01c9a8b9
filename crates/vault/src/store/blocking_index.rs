//! The index, for threads: each call waits for the async one.

use dashvault_base::{CameraName, ContentHash, DeviceId, WallMs};
use tokio::runtime::Handle;

use crate::{
    archive::{
        index::{Committed, Index, IndexError, PackRow, SegmentRow, StoredPack},
        objects::ObjectKey,
    },
    assembler::finish::PackIndex,
};

/// Never call it on a runtime's own thread.
#[derive(Debug, Clone)]
pub(crate) struct BlockingIndex {
    pub(crate) index: Index,
    pub(crate) runtime: Handle,
}

impl PackIndex for BlockingIndex {
    fn pack(&self, key: &ObjectKey) -> Result<Option<PackRow>, IndexError> {
        self.runtime.block_on(self.index.pack(key))
    }

    fn commit(&self, pack: &StoredPack) -> Result<Committed, IndexError> {
        self.runtime.block_on(self.index.commit_pack(pack))
    }

    fn mark_missing(&self, key: &ObjectKey, noticed: WallMs) -> Result<bool, IndexError> {
        self.runtime.block_on(self.index.mark_missing(key, noticed))
    }

    fn segments_of_pack(&self, key: &ObjectKey) -> Result<Vec<SegmentRow>, IndexError> {
        self.runtime.block_on(self.index.segments_of_pack(key))
    }

    fn segments_of_recording(&self, key: &ObjectKey) -> Result<Vec<SegmentRow>, IndexError> {
        let asked = self.index.segments_of_recording(&key.device, &key.camera, key.pack.recording);
        self.runtime.block_on(asked)
    }

    fn last_number(&self, key: &ObjectKey) -> Result<Option<u32>, IndexError> {
        let asked = self.index.packs_of_recording(&key.device, &key.camera, key.pack.recording);
        Ok(self.runtime.block_on(asked)?.last().map(|row| row.key.pack.number))
    }

    fn last_plain_manifest(
        &self,
        device: &DeviceId,
        camera: &CameraName,
    ) -> Result<Option<ContentHash>, IndexError> {
        self.runtime.block_on(self.index.last_plain_manifest(device, camera))
    }
}
