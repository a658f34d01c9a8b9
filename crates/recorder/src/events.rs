//! Events: footage that somebody marked, on the vehicle, to be kept and to be sent first.
//!
//! A marker is a file `SPOOL/<camera>/locked/<pack>`; any program may write one (`dashvault lock`, a button's hook), and
//! the recorder sees it within seconds. Belongs here: markers seen, and packs found for a range of time. Not here:
//! keeping them from eviction (`dashvault-spool`), their place in the order (`backfill`).

use std::collections::BTreeSet;
use std::fs;
use std::io::Read;

use dashvault_base::{CameraName, PackId, WallMs};
use dashvault_spool::{Folder, PackInfo, SpoolError};

use crate::backfill::PackKey;
use crate::camera::with_sources;
use crate::shared::Shared;

/// The longest event text that is kept in a marker.
const MAX_EVENT_BYTES: u64 = 4096;

/// Brings the spool's locks in step with the markers.
pub(crate) fn follow_markers(shared: &Shared) {
    let packs: Vec<PackInfo> =
        Folder::ALL.into_iter().flat_map(|folder| shared.spool.packs(folder)).collect();
    for (index, camera) in shared.cameras.iter().enumerate() {
        let marked = markers(shared, &camera.name);
        for info in packs.iter().filter(|info| info.camera == camera.name) {
            let wanted = marked.contains(&info.pack);
            if wanted == info.locked {
                continue;
            }
            let done = if wanted {
                let event = event_text(shared, &camera.name, info.pack);
                shared.spool.lock(&camera.name, info.pack, &event)
            } else {
                shared.spool.unlock(&camera.name, info.pack)
            };
            match done {
                Ok(()) => note(shared, index, info.pack, wanted),
                Err(error) => {
                    tracing::warn!(pack = %info.pack, error = %with_sources(&error), "lock was not set")
                }
            }
        }
    }
}

/// Locks every pack of `camera` that has footage between `from` and `to`; gives their names. Blocks.
pub(crate) fn lock_range(
    shared: &Shared,
    camera: &CameraName,
    from: WallMs,
    to: WallMs,
    event: &[u8],
) -> Result<Vec<PackId>, SpoolError> {
    let packs = Folder::ALL.into_iter().flat_map(|folder| shared.spool.packs(folder));
    let mut locked = Vec::new();
    for info in packs.filter(|info| info.camera == *camera) {
        let (start, end) = span(shared, &info);
        if start <= to && from <= end {
            shared.spool.lock(camera, info.pack, event)?;
            if let Some(index) = shared.camera_index(camera) {
                note(shared, index, info.pack, true);
            }
            locked.push(info.pack);
        }
    }
    Ok(locked)
}

/// From when to when a pack has footage; an open one goes on.
fn span(shared: &Shared, info: &PackInfo) -> (WallMs, WallMs) {
    const FOREVER: WallMs = WallMs(i64::MAX);
    if info.folder == Folder::Open {
        let key = shared.camera_index(&info.camera).map(|camera| PackKey { camera, pack: info.pack });
        let start = key.and_then(|key| shared.book().start_wall(key));
        return (start.unwrap_or_else(|| info.pack.recording.start()), FOREVER);
    }
    match shared.spool.manifest(&info.camera, info.pack) {
        Ok(signed) => {
            let manifest = signed.manifest();
            let last = manifest.segments.last();
            let ms = last.map_or(0, |last| i64::from(last.wall_offset_ms) + i64::from(last.duration.0 / 90));
            (manifest.start_wall, manifest.start_wall.plus_ms(ms))
        }
        // What it covers is not known: only its recording's start is.
        Err(_) => (info.pack.recording.start(), FOREVER),
    }
}

fn note(shared: &Shared, camera: usize, pack: PackId, locked: bool) {
    tracing::info!(camera = %shared.cameras[camera].name, %pack, locked, "event");
    shared.book().set_locked(PackKey { camera, pack }, locked);
    shared.book_news.notify_one();
    shared.jobs.notify_waiters();
}

fn markers(shared: &Shared, camera: &CameraName) -> BTreeSet<PackId> {
    let Ok(entries) = fs::read_dir(shared.spool.layout().locked(camera)) else { return BTreeSet::new() };
    entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect()
}

fn event_text(shared: &Shared, camera: &CameraName, pack: PackId) -> Vec<u8> {
    let mut text = Vec::new();
    let file = fs::File::open(shared.spool.layout().marker(camera, pack));
    // A marker without a text is a marker all the same.
    let _ = file.and_then(|file| file.take(MAX_EVENT_BYTES).read_to_end(&mut text));
    text
}
