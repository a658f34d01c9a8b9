//! At start: objects and index are brought to agree, so that the index may be lost, and an object that is gone is
//! known to be missing: no receipt speaks of it, and nobody forgets it.
//!
//! Recording by recording, only names and lengths are compared; an object that the index does not know is read and
//! verified in full. Unsound objects are left where they are, for the operator.

use std::collections::{BTreeMap, BTreeSet};

use dashvault_base::{CameraName, DeviceId, RecordingId};
use dashvault_media::SealedBy;
use tokio::runtime::Handle;

use super::{
    index::{Index, IndexError, PackRow, RecordingKind},
    objects::{ObjectError, ObjectKey, RecordingObjects},
};
use crate::assembler::finish::{Archive, FinishError};

/// What was found.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Reconciled {
    /// Objects seen.
    pub(crate) objects: u64,
    /// Objects that were verified and put into the index.
    pub(crate) adopted: u64,
    /// Objects that do not verify; they stay where they are and are not in the index.
    pub(crate) unsound: u64,
    /// Objects of packs that retention had deleted, put back by somebody; they stay where they are and are not shown.
    pub(crate) left: u64,
    /// Index entries whose object is missing, or is not what was stored; they stay, with a mark.
    pub(crate) missing: u64,
}

/// Why the two cannot be compared.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ReconcileError {
    #[error(transparent)]
    Object(#[from] ObjectError),
    #[error(transparent)]
    Index(#[from] IndexError),
    #[error("an object cannot be taken into the index")]
    Adopt(#[from] FinishError),
}

type Recording = (DeviceId, CameraName, RecordingId);

/// Compares every recording's objects with its rows. Blocks.
pub(crate) fn reconcile(
    archive: &Archive,
    index: &Index,
    runtime: &Handle,
) -> Result<Reconciled, ReconcileError> {
    let mut result = Reconciled::default();
    let mut unseen: BTreeSet<Recording> =
        runtime.block_on(index.recordings_with_packs())?.into_iter().collect();
    let mut failed = Ok(());
    archive.objects.walk(&mut |found| {
        unseen.remove(&(found.device.clone(), found.camera.clone(), found.recording));
        if failed.is_ok() {
            failed = one_recording(archive, index, runtime, found, &mut result);
        }
    })?;
    failed?;
    for (device, camera, recording) in unseen {
        let found = RecordingObjects { device, camera, recording, objects: Vec::new() };
        one_recording(archive, index, runtime, found, &mut result)?;
    }
    result.missing = runtime.block_on(index.count_missing())?;
    Ok(result)
}

fn one_recording(
    archive: &Archive,
    index: &Index,
    runtime: &Handle,
    found: RecordingObjects,
    result: &mut Reconciled,
) -> Result<(), ReconcileError> {
    let RecordingObjects { device, camera, recording, objects } = found;
    let rows = runtime.block_on(index.packs_of_recording(&device, &camera, recording))?;
    let mut rows: BTreeMap<_, PackRow> = rows.into_iter().map(|row| (row.key.pack, row)).collect();
    for (pack, bytes) in objects {
        result.objects += 1;
        let key = ObjectKey { device: device.clone(), camera: camera.clone(), pack };
        match rows.remove(&pack) {
            Some(row) if row.expired_at.is_some() => {
                if row.removed_at.is_some() {
                    tracing::warn!(object = %key, "object was deleted by retention and is back; it is left and not shown");
                    result.left += 1;
                }
                continue;
            }
            Some(row) if row.bytes == bytes && row.missing_since.is_none() => continue,
            Some(row) => archive.note_missing(&row)?,
            None => {}
        }
        adopt(archive, index, runtime, &key, result)?;
    }
    for row in rows.values() {
        archive.note_missing(row)?;
    }
    Ok(())
}

fn adopt(
    archive: &Archive,
    index: &Index,
    runtime: &Handle,
    key: &ObjectKey,
    result: &mut Reconciled,
) -> Result<(), ReconcileError> {
    let row = match archive.adopt(key) {
        Ok(row) => row,
        Err(error @ (FinishError::Unsound { .. } | FinishError::OtherContent(_))) => {
            let error: &dyn std::error::Error = &error;
            tracing::error!(object = %key, error, "object is not sound; see `dashvault verify`");
            result.unsound += 1;
            return Ok(());
        }
        Err(error) => return Err(error.into()),
    };
    if let Some(row) = row {
        let kind = match row.sealed_by {
            SealedBy::Vault => RecordingKind::Plain,
            SealedBy::Device | SealedBy::Recovery => RecordingKind::Announced,
        };
        let ObjectKey { device, camera, pack } = key;
        let claimed = index.claim_recording(device, camera, pack.recording, kind, archive.clock.wall());
        runtime.block_on(claimed)?;
        result.adopted += 1;
    }
    Ok(())
}
