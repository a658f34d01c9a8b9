//! Uploaded bytes, on their camera's store thread.

use std::sync::Arc;

use bytes::Bytes;
use dashvault_wire::ByteRange;

use super::{Shard, report};
use crate::{
    assembler::camera::{CameraError, Outcome},
    store::{StoreError, Track},
    uploads::{Upload, UploadTarget},
};

impl Shard {
    pub(super) fn upload_begin(
        &mut self,
        id: String,
        target: UploadTarget,
    ) -> Result<Arc<Upload>, StoreError> {
        let track = Track { device: target.device.clone(), camera: target.camera.clone() };
        let known = self.announced(&track)?.announced_bytes(target.pack)?;
        let range = ByteRange::new(target.start, target.start.saturating_add(target.length));
        if range.end > known || range.is_empty() {
            return Err(CameraError::OutsidePack { pack: target.pack, range, known }.into());
        }
        let now = self.context.archive.clock.wall();
        let (disk, folder) = (&self.context.archive.disk, self.context.layout.uploads());
        let upload = Arc::new(Upload::create(disk.as_ref(), &folder, id, target, now)?);
        self.context.uploads.insert(upload.clone());
        Ok(upload)
    }

    pub(super) fn upload_write(&mut self, upload: &Arc<Upload>, data: &[Bytes]) -> Result<u64, StoreError> {
        if self.context.uploads.find(&upload.id, &upload.target.device).is_none() {
            return Err(StoreError::Gone);
        }
        if self.is_short {
            return Err(StoreError::Full);
        }
        let target = &upload.target;
        let track = Track { device: target.device.clone(), camera: target.camera.clone() };
        let mut offset = upload.offset();
        let mut outcome = Outcome::default();
        let mut result = Ok(());
        for piece in data {
            let room = usize::try_from(target.length - offset).unwrap_or(usize::MAX);
            let piece = piece.get(..room.min(piece.len())).unwrap_or_default();
            let camera = self.announced(&track)?;
            // Once the last segment is right the pack is complete, whatever else this upload still brings.
            result = match camera.write(target.pack, target.start + offset, piece, &mut outcome) {
                Err(_) if !outcome.complete.is_empty() => Ok(()),
                other => other,
            };
            if result.is_err() {
                break;
            }
            offset += piece.len() as u64;
            self.context.metrics.upload.received_bytes.increment(piece.len() as u64);
        }
        let moved = upload.set_offset(offset, self.context.archive.clock.wall());
        self.take(outcome);
        result?;
        moved?;
        Ok(offset)
    }

    pub(super) fn upload_rewind(&mut self, upload: &Arc<Upload>, offset: u64) -> Result<(), StoreError> {
        let target = &upload.target;
        let track = Track { device: target.device.clone(), camera: target.camera.clone() };
        let brought = ByteRange::new(target.start + offset, upload.brought().end);
        self.announced(&track)?.take_back(target.pack, brought);
        Ok(upload.set_offset(offset.min(upload.offset()), self.context.archive.clock.wall())?)
    }

    pub(super) fn upload_end(&self, upload: &Upload) {
        if let Err(error) = upload.remove_record(self.context.archive.disk.as_ref()) {
            report("upload record cannot be removed", &upload.id, &error);
        }
    }
}
