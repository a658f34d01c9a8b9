//! Events: footage that somebody marked, on the vehicle, to be kept and to be sent first.
//!
//! A marker is a file `SPOOL/<camera>/locked/<pack>`; any program may write one (`dashvault lock`, a button's hook), and
//! the recorder sees it within seconds. What the vault is told is a file too, `SPOOL/<camera>/events/<id>.json`, until the
//! vault has acknowledged it. Belongs here: markers seen, packs found for a range of time, those files. Not here:
//! keeping packs from eviction (`dashvault-spool`), their place in the order (`backfill`).

use std::collections::BTreeSet;
use std::fs;
use std::io::Read;
use std::path::Path;

use dashvault_base::{CameraName, Clock, PackId, SystemClock, WallMs};
use dashvault_disk::OsDisk;
use dashvault_spool::{Folder, PackInfo, SpoolError, leave_event, marker_text, names_its_event};
use dashvault_wire::EventNotice;

use crate::backfill::PackKey;
use crate::camera::with_sources;
use crate::shared::{Shared, lock};

/// The longest text of a marker or an event that is read.
const MAX_EVENT_BYTES: u64 = 8192;

/// How many events are told at most; more wait for those to be acknowledged.
const MAX_UNTOLD: usize = 256;
/// Looks for events that the vault has not acknowledged. Blocks.
pub(crate) fn find_untold(shared: &Shared) {
    let layout = shared.spool.layout();
    let folders = shared.cameras.iter().filter_map(|camera| fs::read_dir(layout.events(&camera.name)).ok());
    let read = |entry: fs::DirEntry| {
        let event: EventNotice = serde_json::from_slice(&read_start(&entry.path())).ok()?;
        (event.is_valid() && entry.file_name() == format!("{}.json", event.id).as_str()).then_some(event)
    };
    let found: Vec<EventNotice> =
        folders.flat_map(|entries| entries.flatten().filter_map(read)).take(MAX_UNTOLD).collect();
    let mut known = lock(&shared.events);
    let any_new = found.iter().any(|event| !known.contains(event));
    *known = found;
    drop(known);
    if any_new {
        shared.book_news.notify_one();
    }
}

/// The vault has an event. Blocks.
pub(crate) fn forget_event(shared: &Shared, id: &str) {
    lock(&shared.events).retain(|event| event.id != id);
    for camera in &shared.cameras {
        match fs::remove_file(shared.spool.layout().event(&camera.name, id)) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                tracing::warn!(id, %error, "event is told again");
            }
            _ => {}
        }
    }
}

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
                lock_and_tell(shared, info)
            } else {
                shared.spool.unlock(&camera.name, info.pack)
            };
            match done {
                Ok(()) => noticed(shared, index, info.pack, wanted),
                Err(error) => {
                    tracing::warn!(pack = %info.pack, error = %with_sources(&error), "lock was not set")
                }
            }
        }
    }
}

/// Tells the vault of markers that were set while no recorder ran. Blocks.
pub(crate) fn tell_of_markers(shared: &Shared) {
    let packs = Folder::ALL.into_iter().flat_map(|folder| shared.spool.packs(folder));
    for info in packs.filter(|info| info.locked) {
        if let Err(error) = lock_and_tell(shared, &info) {
            tracing::warn!(pack = %info.pack, error = %with_sources(&error), "lock was not set");
        }
    }
    find_untold(shared);
}

/// Locks a pack by its marker. Whoever wrote that without leaving an event for the vault: it is left for them, of the
/// pack, and the marker says so from then on.
fn lock_and_tell(shared: &Shared, info: &PackInfo) -> Result<(), SpoolError> {
    let text = read_start(&shared.spool.layout().marker(&info.camera, info.pack));
    let text = String::from_utf8_lossy(&text);
    if names_its_event(&text) {
        return if info.locked {
            Ok(())
        } else {
            shared.spool.lock(&info.camera, info.pack, text.as_bytes())
        };
    }
    let (from, to) = span(shared, info);
    let event = EventNotice::of_camera(&info.camera, from, to.min(SystemClock.wall()), "marker", text.trim());
    leave(shared, &info.camera, &event);
    let text = marker_text(SystemClock.wall(), text.trim(), &event.id);
    shared.spool.lock(&info.camera, info.pack, text.as_bytes())
}

fn leave(shared: &Shared, camera: &CameraName, event: &EventNotice) {
    let json = serde_json::to_vec(event).expect("an event has no map with keys that are no strings");
    if let Err(error) = leave_event(&OsDisk, shared.spool.layout(), camera, &event.id, &json) {
        tracing::warn!(%camera, id = event.id, error = %with_sources(&error), "event is not told to the vault");
    }
}

/// Locks every pack of `camera` that has footage between `from` and `to`; gives their names. Blocks.
pub(crate) fn lock_range(
    shared: &Shared,
    camera: &CameraName,
    from: WallMs,
    to: WallMs,
    note: &str,
) -> Result<Vec<PackId>, SpoolError> {
    let told = EventNotice::of_camera(camera, from, to, "api", note);
    let marker = marker_text(SystemClock.wall(), note, &told.id);
    let packs = Folder::ALL.into_iter().flat_map(|folder| shared.spool.packs(folder));
    let mut locked = Vec::new();
    for info in packs.filter(|info| info.camera == *camera) {
        let (start, end) = span(shared, &info);
        if start <= to && from <= end {
            shared.spool.lock(camera, info.pack, marker.as_bytes())?;
            if let Some(index) = shared.camera_index(camera) {
                noticed(shared, index, info.pack, true);
            }
            locked.push(info.pack);
        }
    }
    if !locked.is_empty() {
        leave(shared, camera, &told);
        find_untold(shared);
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

fn noticed(shared: &Shared, camera: usize, pack: PackId, locked: bool) {
    tracing::info!(camera = %shared.cameras[camera].name, %pack, locked, "event");
    shared.book().set_locked(PackKey { camera, pack }, locked);
    shared.book_news.notify_one();
    shared.jobs.notify_waiters();
}

fn markers(shared: &Shared, camera: &CameraName) -> BTreeSet<PackId> {
    let Ok(entries) = fs::read_dir(shared.spool.layout().locked(camera)) else { return BTreeSet::new() };
    entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect()
}

/// The beginning of a file; of one that cannot be read, nothing: a marker without a text is a marker all the same.
fn read_start(path: &Path) -> Vec<u8> {
    let mut text = Vec::new();
    let _ = fs::File::open(path).and_then(|file| file.take(MAX_EVENT_BYTES).read_to_end(&mut text));
    text
}
