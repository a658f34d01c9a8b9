//! One open pack: judge what is there, seal what is good, delete what is empty.

use dashvault_base::{CameraName, LossCause, PackId};
use dashvault_disk::{DiskError, DiskFile, DiskReader, OpenMode};
use dashvault_media::{
    MAX_SEGMENTS_PER_PACK, Manifest, PackError, SealedBy, SegmentEntry, SignedManifest, VerifyOptions,
    read_manifest, verify_pack,
};

use super::{CameraRecovery, RecoveredPack, chain_before, is_newer, rescan::Rescan};
use crate::{Folder, LossReport, PackStart, SpoolError, journal::Journal, spool::Inner};

/// Seals the pack, or deletes it where it has no segment.
///
/// Steps, each of which may be the last: cut the file at its last good byte and sync it; write and sync the trailer;
/// move to `pending`; remove the journal.
pub(super) fn recover(
    inner: &Inner,
    camera: &CameraName,
    pack: PackId,
    report: &mut CameraRecovery,
) -> Result<(), SpoolError> {
    let Inner { disk, layout, .. } = inner;
    let path = layout.pack(camera, Folder::Open, pack);
    let file = match disk.open(&path, OpenMode::Write) {
        // It was moved, but that could not be made durable.
        Err(error) if error.is_not_found() => {
            disk.open(&layout.pack(camera, Folder::Pending, pack), OpenMode::Write)?
        }
        file => file?,
    };
    match verify_pack(&mut DiskReader::new(file.clone()), &VerifyOptions::default()) {
        Ok(sealed) if is_ours(&sealed.signed, inner, camera, pack) => {
            return finish(inner, camera, &*file, &sealed.signed, report);
        }
        Err(error) if is_newer(&error) => return Ok(()),
        Err(PackError::Io(error)) => {
            return Err(DiskError::new(dashvault_disk::Operation::Read, &path, error).into());
        }
        _ => {}
    }
    let journal = Journal::read(&**disk, &layout.journal(camera, pack), pack)?;
    let rescan = Rescan::run(&*file, journal.as_ref().map_or(&[], |journal| &journal.segments))?;
    if rescan.segments.is_empty() {
        return delete(inner, camera, pack, &*file, report);
    }
    count_tail(inner, camera, pack, journal.as_ref(), &rescan)?;
    let (pack_start, previous) = match &journal {
        Some(journal) => (journal.start, inner.state().relinked(camera, journal.previous)),
        None => derive_start(inner, camera, pack)?,
    };
    file.set_len(rescan.body_len)?;
    file.sync_data()?;
    let PackStart { start_wall, start_mono_ms, boot_id, .. } = pack_start;
    let (device, segments) = (inner.device.clone(), rescan.segments.clone());
    let manifest = Manifest {
        device,
        camera: camera.clone(),
        pack,
        sealed_by: SealedBy::Recovery,
        start_wall,
        start_mono_ms,
        boot_id,
        previous,
        segments,
    };
    let signed =
        SignedManifest::sign(manifest, &inner.key).map_err(|source| SpoolError::Seal { pack, source })?;
    inner.finish_pack(&*file, camera, &signed)?;
    report.sealed.push(RecoveredPack {
        pack,
        segments: rescan.segments.len(),
        unannounced: rescan.unannounced,
        damaged: rescan.damaged,
        dropped_bytes: rescan.dropped_bytes,
    });
    Ok(())
}

/// The crash came between trailer and move.
fn finish(
    inner: &Inner,
    camera: &CameraName,
    file: &dyn DiskFile,
    signed: &SignedManifest,
    report: &mut CameraRecovery,
) -> Result<(), SpoolError> {
    // A killed process leaves it whole, but not yet durable.
    file.sync_data()?;
    let (pack, segments) = (signed.manifest().pack, signed.manifest().segments.len());
    inner.move_to_pending(camera, signed.manifest(), file.len()?)?;
    report.sealed.push(RecoveredPack {
        pack,
        segments,
        unannounced: 0,
        damaged: Vec::new(),
        dropped_bytes: 0,
    });
    Ok(())
}

/// Whether it is sealed as it would be sealed now: by this device's key, and after the pack that is before it now.
fn is_ours(signed: &SignedManifest, inner: &Inner, camera: &CameraName, pack: PackId) -> bool {
    let manifest = signed.manifest();
    signed.public_key() == inner.key.public_key()
        && manifest.device == inner.device
        && manifest.camera == *camera
        && manifest.pack == pack
        && inner.state().relinked(camera, manifest.previous) == manifest.previous
}

/// Deletes a pack without a segment. One that came back from `pending` is somebody's file, though not a pack: it is
/// only renamed.
fn delete(
    inner: &Inner,
    camera: &CameraName,
    pack: PackId,
    file: &dyn DiskFile,
    report: &mut CameraRecovery,
) -> Result<(), SpoolError> {
    let Inner { disk, layout, .. } = inner;
    let path = layout.pack(camera, Folder::Open, pack);
    if report.unsound.contains(&pack) && !file.is_empty()? {
        disk.rename_durably(&path, &path.with_extension("ts.unsound"))?;
    } else {
        disk.remove_durably(&path)?;
        report.emptied.push(pack);
    }
    match disk.remove(&layout.journal(camera, pack)) {
        Err(error) if !error.is_not_found() => return Err(error.into()),
        _ => {}
    }
    if let Some(shelf) = inner.state().cameras.get_mut(camera) {
        shelf.packs.remove(&pack);
    }
    Ok(())
}

/// Counts what was dropped behind the last segment, as long as it would have played at the pack's byte rate.
fn count_tail(
    inner: &Inner,
    camera: &CameraName,
    pack: PackId,
    journal: Option<&Journal>,
    rescan: &Rescan,
) -> Result<(), SpoolError> {
    let duration_ms: u64 = rescan.segments.iter().map(|entry| u64::from(entry.duration.0 / 90)).sum();
    let lost_ms = rescan.dropped_bytes.saturating_mul(duration_ms).checked_div(rescan.body_len).unwrap_or(0);
    let (Some(journal), Some(last)) = (journal, rescan.segments.last()) else { return Ok(()) };
    if lost_ms == 0 {
        return Ok(());
    }
    let from = journal.start.start_wall.plus_ms(end_offset_ms(last).into());
    let report = LossReport {
        camera: camera.clone(),
        recording: Some(pack.recording),
        from,
        to: from.plus_ms(i64::try_from(lost_ms).unwrap_or(i64::MAX)),
        lost_ms,
        bytes: rescan.dropped_bytes,
        cause: LossCause::PowerCut,
    };
    inner.count_once(report)
}

/// Without a journal: as the pack before ended, where it is of the same recording; else what the name tells.
fn derive_start(
    inner: &Inner,
    camera: &CameraName,
    pack: PackId,
) -> Result<(PackStart, dashvault_base::ContentHash), SpoolError> {
    let Inner { disk, layout, .. } = inner;
    let (previous, before) = {
        let state = inner.state();
        let shelf = state.cameras.get(camera);
        let previous = match shelf {
            Some(shelf) => chain_before(&**disk, layout, camera, shelf, Some(pack))?,
            None => dashvault_base::ContentHash::ZERO,
        };
        let number = pack.number.checked_sub(1);
        let before = number.map(|number| PackId { number, ..pack });
        (previous, before.and_then(|before| Some((before, shelf?.packs.get(&before)?.folder))))
    };
    let unknown = PackStart { pack, start_wall: pack.recording.start(), start_mono_ms: 0, boot_id: [0; 16] };
    let Some((before, folder)) = before else { return Ok((unknown, previous)) };
    let file = disk.open(&layout.pack(camera, folder, before), OpenMode::Read)?;
    let Ok(Some(signed)) = read_manifest(&mut DiskReader::new(file)) else { return Ok((unknown, previous)) };
    let manifest = signed.manifest();
    let length_ms = manifest.segments.last().map_or(0, end_offset_ms);
    let start = PackStart {
        pack,
        start_wall: manifest.start_wall.plus_ms(length_ms.into()),
        start_mono_ms: manifest.start_mono_ms.saturating_add(length_ms.into()),
        boot_id: manifest.boot_id,
    };
    Ok((start, previous))
}

/// Milliseconds from the pack's start to a segment's end.
pub(super) fn end_offset_ms(entry: &SegmentEntry) -> u32 {
    entry.wall_offset_ms.saturating_add(entry.duration.0 / 90)
}

const _: () = assert!(MAX_SEGMENTS_PER_PACK <= u32::MAX as usize);
