//! What has to be done every few seconds: quota, events, losses, and the book kept in step with the spool.
//!
//! Belongs here: the order of these. Not here: how each is done, and when (`house`). All of it blocks on the disk.

use std::time::Instant;

use dashvault_spool::Folder;

use crate::backfill::PackKey;
use crate::camera::{Began, with_sources};
use crate::events;
use crate::shared::{Shared, lock};

/// Puts the packs that earlier runs left into the book.
pub(crate) fn find_pending(shared: &Shared) {
    for info in shared.spool.packs(Folder::Pending) {
        let Some(camera) = shared.camera_index(&info.camera) else { continue };
        shared.book().found(PackKey { camera, pack: info.pack }, info.bytes, info.locked);
    }
}

/// Keeps house once.
pub(crate) fn once(shared: &Shared) {
    match shared.spool.enforce_quota() {
        Ok(report) => {
            if let Some(cause) = report.refusing {
                tracing::warn!(%cause, "no room: new segments are dropped");
            }
        }
        Err(error) => tracing::error!(error = %with_sources(&error), "quota cannot be kept"),
    }
    events::follow_markers(shared);
    events::find_untold(shared);
    reconcile(shared);
    count_downtime(shared);
    if !shared.losses().is_empty() {
        shared.book_news.notify_one();
    }
    shared.book().tidy(Instant::now());
}

/// A camera that gives nothing loses footage while it lasts.
fn count_downtime(shared: &Shared) {
    for camera in &shared.cameras {
        let ended = lock(&camera.downtime).look(&shared.spool, &camera.name, Began::now());
        let Some(loss) = ended else { continue };
        if let Err(error) = shared.spool.end_loss(&camera.name, &loss.id) {
            tracing::warn!(error = %with_sources(&error), "loss is counted in memory only");
        }
    }
}

/// The spool's files are the truth: packs that it sealed or evicted by itself are noted in the book.
fn reconcile(shared: &Shared) {
    let pending = shared.spool.packs(Folder::Pending);
    for info in &pending {
        let Some(camera) = shared.camera_index(&info.camera) else { continue };
        let key = PackKey { camera, pack: info.pack };
        let held = shared.book().holds(key);
        // It may have been moved on since it was listed.
        let still =
            shared.spool.pack(&info.camera, info.pack).is_some_and(|now| now.folder == Folder::Pending);
        match (held, still) {
            (false, true) => shared.book().found(key, info.bytes, info.locked),
            (true, true) => shared.book().sealed_elsewhere(key),
            _ => {}
        }
    }
    let gone: Vec<PackKey> = {
        let keys = shared.book().keys();
        let is_gone = |key: &PackKey| shared.spool.pack(&shared.cameras[key.camera].name, key.pack).is_none();
        keys.into_iter().filter(is_gone).collect()
    };
    gone.into_iter().for_each(|key| shared.book().gone(key));
}
