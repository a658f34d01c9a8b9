//! What a reply changes in the spool: receipts, losses that the vault knows now, packs that it has lost.
//!
//! Belongs here: these steps, each of which blocks on the disk. Not here: what a reply means (`rounds`).

use dashvault_spool::{Loss, SpoolError};
use dashvault_wire::{LossNotice, MissingPack, Receipt};

use super::entry::PackKey;
use crate::camera::with_sources;
use crate::shared::{Shared, lock};

/// Keeps a receipt that checks: once the pack is moved, the book is done with it.
pub(super) fn keep(shared: &Shared, key: PackKey, receipt: &Receipt) {
    let camera = &shared.cameras[key.camera].name;
    let bytes = serde_json::to_vec(receipt).expect("a receipt has no map with keys that are no strings");
    match shared.spool.mark_stored(camera, key.pack, receipt.manifest, receipt.bytes, &bytes) {
        Ok(()) | Err(SpoolError::NoSuchPack { .. }) => {
            tracing::info!(%camera, pack = %key.pack, "pack is in the vault");
            shared.book().receipted(key);
            lock(&shared.vault).receipts += 1;
        }
        // It stays in the book, and is asked about again.
        Err(error) => tracing::warn!(pack = %key.pack, error = %with_sources(&error), "receipt was not kept"),
    }
}

/// The vault has lost a pack: where it is still here, it is sent again.
pub(super) fn take_back(shared: &Shared, lost: &MissingPack) {
    let Some(camera) = shared.camera_index(&lost.camera) else { return };
    match shared.spool.take_back(&lost.camera, lost.pack) {
        Ok(Some(info)) => {
            tracing::warn!(camera = %info.camera, pack = %info.pack, "vault has lost a pack; it is sent again");
            shared.book().found(PackKey { camera, pack: info.pack }, info.bytes, info.locked);
            shared.book_news.notify_one();
        }
        Ok(None) => {}
        Err(error) => {
            tracing::warn!(pack = %lost.pack, error = %with_sources(&error), "pack stays in stored")
        }
    }
}

pub(super) fn forget_loss(shared: &Shared, loss: &Loss) {
    match shared.spool.ack_loss(&loss.camera, &loss.id) {
        Ok(()) => shared.loss_acknowledged(&loss.camera, &loss.id),
        Err(error) => tracing::warn!(id = loss.id, error = %with_sources(&error), "loss is told again"),
    }
}

pub(super) fn loss_notice(loss: &Loss) -> LossNotice {
    let Loss { id, camera, recording, from, to, lost_ms, bytes, cause, .. } = loss.clone();
    LossNotice { id, camera, recording, from, to, lost_ms, bytes, cause }
}
