//! Making a complete pack durable, in the order that a receipt rests on:
//!
//! 1. cut the file to the body, append the trailer, sync its data;
//! 2. move it into the object store (rename, sync both folders);
//! 3. commit it to the index;
//! 4. only then may a receipt be given.
//!
//! A failed sync leaves its bytes in doubt for good, since the kernel may call them clean: before the next sync they are
//! read, checked and written again.
//!
//! A crash before 2 leaves a part that the next announcement finishes; between 2 and 3 an object that the next start,
//! or the next attempt here, adopts.

use std::{path::PathBuf, sync::Arc};

use dashvault_base::{CameraName, Clock, ContentHash, DeviceId, WallMs};
use dashvault_disk::{Disk, DiskError, DiskFile, OpenMode, Operation};
use dashvault_media::{
    BodyVerifier, Manifest, PackError, SignedManifest, VerifyOptions, trailer, verify_pack,
};

use super::part::PIECE_BYTES;
use crate::archive::{
    index::{Committed, How, IndexError, PackRow, SegmentRow, StoredPack},
    objects::{ObjectError, ObjectKey, ObjectStore, SeekingReader},
};

/// What finishing and the assembler ask of the index. Blocks.
pub(crate) trait PackIndex: Send + Sync + 'static {
    fn pack(&self, key: &ObjectKey) -> Result<Option<PackRow>, IndexError>;
    fn commit(&self, pack: &StoredPack) -> Result<Committed, IndexError>;
    /// Marks a pack whose object is gone; gives whether it was not marked before.
    fn mark_missing(&self, key: &ObjectKey, noticed: WallMs) -> Result<bool, IndexError>;
    fn segments_of_pack(&self, key: &ObjectKey) -> Result<Vec<SegmentRow>, IndexError>;
    /// Of the packs of the recording that `key` is in, but for missing ones.
    fn segments_of_recording(&self, key: &ObjectKey) -> Result<Vec<SegmentRow>, IndexError>;
    /// The highest number among the stored packs of the recording that `key` is in.
    fn last_number(&self, key: &ObjectKey) -> Result<Option<u32>, IndexError>;
    /// The manifest of the camera's pack that the vault sealed last.
    fn last_plain_manifest(
        &self,
        device: &DeviceId,
        camera: &CameraName,
    ) -> Result<Option<ContentHash>, IndexError>;
}

/// Where finished packs go.
#[derive(Clone)]
pub(crate) struct Archive {
    pub(crate) disk: Arc<dyn Disk>,
    pub(crate) objects: Arc<dyn ObjectStore>,
    pub(crate) index: Arc<dyn PackIndex>,
    pub(crate) clock: Arc<dyn Clock>,
}

/// A file that holds a whole pack's body.
#[derive(Debug)]
pub(crate) struct FinishJob {
    pub(crate) key: ObjectKey,
    pub(crate) from: PathBuf,
    pub(crate) signed: SignedManifest,
    /// How each segment came here.
    pub(crate) how: Vec<How>,
    /// A sync of the file has failed: its bytes are written again before the next one.
    pub(crate) in_doubt: bool,
}

/// Why a pack did not become durable. It is tried again.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FinishError {
    #[error(transparent)]
    Disk(#[from] DiskError),
    #[error(transparent)]
    Object(#[from] ObjectError),
    #[error(transparent)]
    Index(#[from] IndexError),
    #[error("object {0} is there with other content")]
    OtherContent(ObjectKey),
    #[error("object {key} is there but does not verify")]
    Unsound { key: ObjectKey, source: Box<PackError> },
    /// After a failed sync other bytes are read back. The file is of no use.
    #[error("segment {segment} of {key} is not what was written")]
    Rotted { key: ObjectKey, segment: u32 },
}

impl FinishError {
    /// Whether bytes that were written may be lost although they can be read.
    pub(crate) const fn is_in_doubt(&self) -> bool {
        match self {
            Self::Disk(error) | Self::Object(ObjectError::Disk(error)) => {
                matches!(error.operation, Operation::SyncData)
            }
            _ => false,
        }
    }
}

impl Archive {
    /// Does the steps above. Returns after the pack is durable and in the index.
    pub(crate) fn finish(&self, job: &FinishJob) -> Result<PackRow, FinishError> {
        let manifest = job.signed.manifest();
        let trailer = trailer(&job.signed);
        let bytes = manifest.body_len() + trailer.len() as u64;
        // The content of a missing object is known: no other may take its name.
        if let Some(known) = self.index.pack(&job.key)? {
            if known.manifest != manifest.hash() {
                return Err(FinishError::OtherContent(job.key.clone()));
            }
            if known.expired_at.is_some() {
                // It was missing, and retention came before its vehicle: it was stored once, and stays deleted.
                self.disk.remove_durably(&job.from)?;
                return Ok(known);
            }
        }
        if self.objects.stat(&job.key)?.is_none() {
            let file = self.disk.open(&job.from, OpenMode::Write)?;
            file.set_len(manifest.body_len())?;
            if job.in_doubt {
                rewrite(file.as_ref(), &job.key, manifest)?;
            }
            file.write_all_at(&trailer, manifest.body_len())?;
            file.sync_data()?;
            self.objects.put_file_durable(&job.key, &job.from)?;
        } else {
            self.same_content(&job.key, manifest)?;
        }
        let how = |position| job.how.get(position).copied().unwrap_or(How::Unknown);
        let stored = StoredPack::new(manifest, bytes, self.clock.wall(), how);
        match self.index.commit(&stored)? {
            Committed::New => Ok(stored.row),
            Committed::Known(row) if row.manifest == stored.row.manifest => {
                if row.expired_at.is_some() {
                    self.objects.delete(&row.key)?;
                }
                Ok(*row)
            }
            Committed::Known(row) => Err(FinishError::OtherContent(row.key)),
        }
    }

    /// Puts an object that the index does not know, or takes for missing, into it after verifying it in full; `None`
    /// when there is none.
    pub(crate) fn adopt(&self, key: &ObjectKey) -> Result<Option<PackRow>, FinishError> {
        if self.objects.stat(key)?.is_none() {
            return Ok(None);
        }
        let unsound = |source| FinishError::Unsound { key: key.clone(), source: Box::new(source) };
        let mut reader = SeekingReader::new(self.objects.open(key)?);
        let report = verify_pack(&mut reader, &VerifyOptions::default()).map_err(unsound)?;
        let manifest = report.signed.manifest();
        let stored = StoredPack::new(manifest, report.file_len, self.clock.wall(), |_| How::Unknown);
        if stored.row.key != *key {
            return Err(FinishError::OtherContent(stored.row.key));
        }
        // Whoever gave it its name may not have lived to sync that.
        self.objects.sync(key)?;
        match self.index.commit(&stored)? {
            Committed::New => Ok(Some(stored.row)),
            Committed::Known(row) if row.manifest == stored.row.manifest => Ok(Some(*row)),
            Committed::Known(row) => Err(FinishError::OtherContent(row.key)),
        }
    }

    /// Notes that the object of an indexed pack is gone: the pack stays known, and is not held.
    pub(crate) fn note_missing(&self, row: &PackRow) -> Result<(), IndexError> {
        if row.expired_at.is_some() {
            return Ok(());
        }
        if row.missing_since.is_none() && self.index.mark_missing(&row.key, self.clock.wall())? {
            tracing::error!(object = %row.key, "object is missing; see `dashvault verify`");
        }
        Ok(())
    }

    /// An earlier attempt, or an earlier run, got as far as the object.
    fn same_content(&self, key: &ObjectKey, manifest: &Manifest) -> Result<(), FinishError> {
        let unsound = |source| FinishError::Unsound { key: key.clone(), source: Box::new(source) };
        let mut reader = SeekingReader::new(self.objects.open(key)?);
        let report = verify_pack(&mut reader, &VerifyOptions::default()).map_err(unsound)?;
        if report.manifest_hash != manifest.hash() {
            return Err(FinishError::OtherContent(key.clone()));
        }
        Ok(self.objects.sync(key)?)
    }
}

/// Writes a body again where it lies, so that the next sync is about all of it.
fn rewrite(file: &dyn DiskFile, key: &ObjectKey, manifest: &Manifest) -> Result<(), FinishError> {
    let mut verifier = BodyVerifier::new(manifest);
    let mut buffer = vec![0; PIECE_BYTES];
    let (mut at, end) = (0, manifest.body_len());
    while at < end {
        let len = usize::try_from(end - at).unwrap_or(PIECE_BYTES).min(PIECE_BYTES);
        file.read_exact_at(&mut buffer[..len], at)?;
        verifier.push(&buffer[..len]);
        file.write_all_at(&buffer[..len], at)?;
        at += len as u64;
    }
    match verifier.finish().first() {
        Some(bad) => Err(FinishError::Rotted { key: key.clone(), segment: bad.index }),
        None => Ok(()),
    }
}

#[cfg(test)]
impl Archive {
    /// What a start does with objects that the index does not know; gives how many there are.
    pub(crate) fn adopt_all_for_test(&self) -> usize {
        let mut keys = Vec::new();
        let mut note = |recording: crate::archive::objects::RecordingObjects| {
            let key = |(pack, _)| ObjectKey {
                device: recording.device.clone(),
                camera: recording.camera.clone(),
                pack,
            };
            keys.extend(recording.objects.iter().copied().map(key));
        };
        self.objects.walk(&mut note).unwrap();
        keys.iter().for_each(|key| drop(self.adopt(key).unwrap()));
        keys.len()
    }
}
