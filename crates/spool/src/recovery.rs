//! Putting a spool in order after a crash, a power cut, or a hand that moved files.
//!
//! Two passes, and one between them. [`tidy`] looks at every name: it removes scraps, settles packs that are in two folders, sends sealed
//! packs without a sound trailer back to `open`, and builds the shelves. [`adopt_pending`], where it is asked for, signs
//! packs again that another key has signed. [`seal_open_packs`] then seals what was
//! open, which needs room on the disk and so may evict. Both may be interrupted at any point and run again.
//!
//! What is kept of an open pack ([`rescan`]): every segment in its journal; then, of the bytes behind them that
//! nobody was told of, the segments that start at a keyframe, the last one marked as damaged, since it was cut short.
//! The rest of the tail is dropped and counted as lost to the power cut.

mod adopt;
mod names;
mod open_pack;
mod report;
mod rescan;

use dashvault_base::{CameraName, ContentHash, PackId, RecordingId};
use dashvault_disk::{Disk, DiskReader, EntryKind, OpenMode};
use dashvault_media::{PackError, TrailerError, read_manifest};

use crate::{
    Folder, SpoolError, SpoolLayout,
    shelf::{Shelf, Shelved, State},
    spool::Inner,
};
pub(crate) use adopt::{Relinked, adopt_pending, forget_notes};
use names::CameraNames;
pub use report::{CameraRecovery, RecoveredPack, RecoveryReport};

/// First pass: see the module. Needs no room on the disk.
pub(crate) fn tidy(disk: &dyn Disk, layout: &SpoolLayout) -> Result<(State, RecoveryReport), SpoolError> {
    let (mut state, mut report) = (State::default(), RecoveryReport::default());
    for entry in disk.list(layout.root())? {
        let camera = entry.name.parse::<CameraName>().ok().filter(|_| entry.kind == EntryKind::Dir);
        let Some(camera) = camera else { continue };
        if !is_camera(disk, layout, &camera)? {
            continue;
        }
        let mut of_camera = CameraRecovery::default();
        let shelf = tidy_camera(disk, layout, &camera, &mut state, &mut of_camera)?;
        state.cameras.insert(camera.clone(), shelf);
        report.cameras.insert(camera, of_camera);
    }
    Ok((state, report))
}

fn is_camera(disk: &dyn Disk, layout: &SpoolLayout, camera: &CameraName) -> Result<bool, SpoolError> {
    for folder in Folder::ALL {
        if disk.exists(&layout.folder(camera, folder))? {
            return Ok(true);
        }
    }
    Ok(false)
}

fn tidy_camera(
    disk: &dyn Disk,
    layout: &SpoolLayout,
    camera: &CameraName,
    state: &mut State,
    report: &mut CameraRecovery,
) -> Result<Shelf, SpoolError> {
    for folder in layout.folders(camera).into_iter().chain([layout.camera(camera)]) {
        disk.create_dir_all(&folder)?;
        // A killed process leaves names that are there but not durable.
        disk.sync_dir(&folder)?;
    }
    let mut names = CameraNames::read(disk, layout, camera, report)?;
    names.settle_duplicates(disk, layout, camera, report)?;
    names.demote_unsound(disk, layout, camera, report)?;
    names.sweep(disk, layout, camera)?;
    let mut shelf = Shelf::default();
    for ((pack, folder), bytes) in &names.packs {
        let mut shelved = Shelved::new(*folder, *bytes);
        shelved.locked = names.locked.contains(pack);
        shelf.packs.insert(*pack, shelved);
    }
    shelf.chain = chain_before(disk, layout, camera, &shelf, None)?;
    shelf.last_recording = last_recording(disk, layout, camera)?;
    shelf.relinked = Relinked::read(disk, layout, camera)?;
    names.load_losses(disk, layout, camera, &shelf, &mut state.losses)?;
    Ok(shelf)
}

fn last_recording(
    disk: &dyn Disk,
    layout: &SpoolLayout,
    camera: &CameraName,
) -> Result<Option<RecordingId>, SpoolError> {
    match disk.read(&layout.last_recording(camera), 64) {
        Ok(text) => Ok(std::str::from_utf8(&text).ok().and_then(|text| text.trim().parse().ok())),
        Err(error) if error.is_not_found() || error.source.kind() == std::io::ErrorKind::InvalidData => {
            Ok(None)
        }
        Err(error) => Err(error.into()),
    }
}

/// The manifest hash of the newest sealed pack (before `limit`) whose manifest can be read.
fn chain_before(
    disk: &dyn Disk,
    layout: &SpoolLayout,
    camera: &CameraName,
    shelf: &Shelf,
    limit: Option<PackId>,
) -> Result<ContentHash, SpoolError> {
    let before = shelf.packs.iter().rev().filter(|(pack, _)| limit.is_none_or(|limit| **pack < limit));
    for (pack, shelved) in before.filter(|(_, shelved)| shelved.folder != Folder::Open) {
        let file = disk.open(&layout.pack(camera, shelved.folder, *pack), OpenMode::Read)?;
        match read_manifest(&mut DiskReader::new(file)) {
            Ok(Some(signed)) => return Ok(signed.manifest().hash()),
            Err(PackError::Io(error)) => tracing::warn!(%camera, %pack, %error, "manifest cannot be read"),
            Ok(None) | Err(_) => {}
        }
    }
    Ok(ContentHash::ZERO)
}

/// Whether a trailer was written by a later version: not ours to judge, nor to cut off.
fn is_newer(error: &PackError) -> bool {
    use dashvault_media::ManifestError;
    match error {
        PackError::Trailer { source, .. } => matches!(
            source,
            TrailerError::NewerVersion { .. } | TrailerError::Manifest(ManifestError::NewerVersion { .. })
        ),
        _ => false,
    }
}

/// Second pass: seals every pack in `open`, or deletes it where it has no segment.
pub(crate) fn seal_open_packs(inner: &Inner, report: &mut RecoveryReport) -> Result<(), SpoolError> {
    for (camera, pack) in open_packs(inner) {
        let of_camera = report.cameras.entry(camera.clone()).or_default();
        match open_pack::recover(inner, &camera, pack, of_camera) {
            Err(error) if error.is_full() => {
                of_camera.left_open.push(pack);
                inner.state().left_open.push((camera, pack));
            }
            result => result?,
        }
    }
    Ok(())
}

/// Seals what a full disk had left open at the start, and what a writer let go of; of `only` one camera, or of all.
pub(crate) fn seal_left_over(inner: &Inner, only: Option<&CameraName>) -> Result<(), SpoolError> {
    let _sealing = inner.sealing();
    let is_meant = |(camera, _): &mut (CameraName, PackId)| only.is_none_or(|only| only == camera);
    let left: Vec<_> = inner.state().left_open.extract_if(.., is_meant).collect();
    let mut result = Ok(());
    for (camera, pack) in left {
        let done = open_pack::recover(inner, &camera, pack, &mut CameraRecovery::default());
        if let Err(error) = done {
            inner.state().left_open.push((camera, pack));
            if !error.is_full() {
                result = Err(error);
            }
        }
    }
    result
}

fn open_packs(inner: &Inner) -> Vec<(CameraName, PackId)> {
    let state = inner.state();
    let of_camera = |(camera, shelf): (&CameraName, &Shelf)| {
        let open = shelf.packs.iter().filter(|(_, shelved)| shelved.folder == Folder::Open);
        open.map(|(pack, _)| (camera.clone(), *pack)).collect::<Vec<_>>()
    };
    state.cameras.iter().flat_map(of_camera).collect()
}
