//! Packs that another key signed: they are signed again with this recorder's, so that its vault takes them.
//!
//! Belongs here: which pending packs are adopted, in which order their files are written, and the note of new names in
//! the chain. Does not: who may be adopted from (the caller says).
//!
//! A pack of this device keeps its manifest, and so its hash and its place in the chain: only key and signature differ.
//! One of another device gets this one's name, and so another hash, which the packs after it name. That is noted in
//! `relinked` before the first file is replaced, and kept until every pack that names an old hash is sealed again.
//!
//! Invariants: footage is never written, only copied; a pack is vouched for only after every byte of it was checked;
//! a pack that this key has signed is never signed anew, since the vault may hold it.

use std::{collections::BTreeMap, path::Path};

use dashvault_base::{CameraName, ContentHash, DeviceId, PackId};
use dashvault_disk::{Disk, DiskError, DiskFile, DiskReader, OpenMode, Operation};
use dashvault_media::{
    Manifest, PackError, SignedManifest, VerifyOptions, read_manifest, trailer, verify_pack,
};

use super::{CameraRecovery, RecoveryReport};
use crate::{Folder, SpoolError, SpoolLayout, spool::Inner};

/// What is copied at once.
const STEP: u64 = 1 << 20;
/// The longest note that can be ours: a year of packs.
const MAX_NOTE_BYTES: u64 = 128 << 20;

/// Signs every pending pack again that another key has signed, where it is this device's or of a device in `from`. A
/// full disk leaves the rest for the next start.
pub(crate) fn adopt_pending(
    inner: &Inner,
    from: &[DeviceId],
    report: &mut RecoveryReport,
) -> Result<(), SpoolError> {
    let cameras: Vec<CameraName> = inner.state().cameras.keys().cloned().collect();
    for camera in cameras {
        let of_camera = report.cameras.entry(camera.clone()).or_default();
        adopt_camera(inner, &camera, from, of_camera)?;
    }
    Ok(())
}

/// Removes the notes that nothing depends on any more; coming back after a power cut, they do no harm.
pub(crate) fn forget_notes(inner: &Inner, report: &RecoveryReport) -> Result<(), SpoolError> {
    for (camera, of_camera) in &report.cameras {
        let has_note =
            inner.state().cameras.get(camera).is_some_and(|shelf| !shelf.relinked.hashes.is_empty());
        if has_note && of_camera.unadopted.is_empty() && of_camera.left_open.is_empty() {
            match inner.disk.remove(&inner.layout.relinked(camera)) {
                Err(error) if !error.is_not_found() => return Err(error.into()),
                _ => {}
            }
        }
    }
    Ok(())
}

/// New hashes of manifests by those they had before.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Relinked {
    hashes: BTreeMap<ContentHash, ContentHash>,
}

impl Relinked {
    /// Reads a camera's note; lines that are none count for nothing.
    pub(crate) fn read(
        disk: &dyn Disk,
        layout: &SpoolLayout,
        camera: &CameraName,
    ) -> Result<Self, DiskError> {
        let text = match disk.read(&layout.relinked(camera), MAX_NOTE_BYTES) {
            Ok(text) => text,
            Err(error) if error.is_not_found() => return Ok(Self::default()),
            Err(error) => return Err(error),
        };
        let text = String::from_utf8_lossy(&text);
        let pair = |line: &str| {
            let (old, new) = line.split_once(' ')?;
            Some((old.parse().ok()?, new.parse().ok()?))
        };
        Ok(Self { hashes: text.lines().filter_map(pair).collect() })
    }

    /// The hash that a manifest has now.
    pub(crate) fn now(&self, hash: ContentHash) -> ContentHash {
        self.hashes.get(&hash).copied().unwrap_or(hash)
    }

    /// Notes a new hash; whatever led to the old one, or to what an interrupted try would have made of it, leads to
    /// the new one.
    fn note(&mut self, old: ContentHash, new: ContentHash) {
        let tried = self.hashes.insert(old, new);
        self.hashes.values_mut().filter(|to| **to == old || Some(**to) == tried).for_each(|to| *to = new);
        self.hashes.extend(tried.map(|tried| (tried, new)));
    }

    fn write(&self, disk: &dyn Disk, path: &Path) -> Result<(), DiskError> {
        let lines: String = self.hashes.iter().map(|(old, new)| format!("{old} {new}\n")).collect();
        disk.write_atomic(path, lines.as_bytes())
    }
}

fn adopt_camera(
    inner: &Inner,
    camera: &CameraName,
    from: &[DeviceId],
    report: &mut CameraRecovery,
) -> Result<(), SpoolError> {
    let Inner { disk, layout, .. } = inner;
    let mut relinked =
        inner.state().cameras.get(camera).map(|shelf| shelf.relinked.clone()).unwrap_or_default();
    let before = relinked.clone();
    let plan = plan(inner, camera, from, &mut relinked, report)?;
    if relinked != before {
        match relinked.write(&**disk, &layout.relinked(camera)) {
            Err(error) if error.is_full() => {
                report.unadopted.extend(plan.iter().map(|signed| signed.manifest().pack));
                return Ok(());
            }
            result => result?,
        }
        if let Some(shelf) = inner.state().cameras.get_mut(camera) {
            shelf.relinked = relinked;
        }
    }
    for signed in &plan {
        let pack = signed.manifest().pack;
        match replace(inner, camera, signed) {
            Ok(true) => report.adopted.push(pack),
            Ok(false) => report.unadopted.push(pack),
            Err(error) if error.is_full() => report.unadopted.push(pack),
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// The manifests to write, oldest first.
fn plan(
    inner: &Inner,
    camera: &CameraName,
    from: &[DeviceId],
    relinked: &mut Relinked,
    report: &mut CameraRecovery,
) -> Result<Vec<SignedManifest>, SpoolError> {
    let mut plan = Vec::new();
    for pack in pending(inner, camera) {
        let file = inner.disk.open(&inner.layout.pack(camera, Folder::Pending, pack), OpenMode::Read)?;
        // One without a manifest that can be read was judged before.
        let Ok(Some(signed)) = read_manifest(&mut DiskReader::new(file)) else { continue };
        let manifest = signed.manifest();
        let is_own = manifest.device == inner.device;
        if is_own && signed.public_key() == inner.key.public_key() {
            continue;
        }
        if !is_own && !from.contains(&manifest.device) {
            *report.of_others.entry(manifest.device.clone()).or_default() += 1;
            continue;
        }
        let previous = relinked.now(manifest.previous);
        let adopted = Manifest { device: inner.device.clone(), previous, ..manifest.clone() };
        if adopted.hash() != manifest.hash() {
            relinked.note(manifest.hash(), adopted.hash());
        }
        let signed = SignedManifest::sign(adopted, &inner.key);
        plan.push(signed.map_err(|source| SpoolError::Seal { pack, source })?);
    }
    Ok(plan)
}

fn pending(inner: &Inner, camera: &CameraName) -> Vec<PackId> {
    let state = inner.state();
    let packs = state.cameras.get(camera).into_iter().flat_map(|shelf| &shelf.packs);
    packs.filter(|(_, shelved)| shelved.folder == Folder::Pending).map(|(pack, _)| *pack).collect()
}

/// Puts a copy with the new trailer in the pack's place. Returns after that is durable; false: the pack is not what its
/// own trailer says, and stays as it is.
fn replace(inner: &Inner, camera: &CameraName, signed: &SignedManifest) -> Result<bool, SpoolError> {
    let Inner { disk, layout, .. } = inner;
    let pack = signed.manifest().pack;
    let path = layout.pack(camera, Folder::Pending, pack);
    let file = disk.open(&path, OpenMode::Read)?;
    match verify_pack(&mut DiskReader::new(file.clone()), &VerifyOptions::default()) {
        Ok(report) if report.signed.manifest().segments == signed.manifest().segments => {}
        Err(PackError::Io(error)) => return Err(DiskError::new(Operation::Read, &path, error).into()),
        Ok(_) | Err(_) => return Ok(false),
    }
    let temporary = layout.pack_beside(camera, pack);
    let written = copy(&**disk, &*file, signed, &temporary);
    let replaced = written.and_then(|bytes| disk.rename_durably(&temporary, &path).map(|()| bytes));
    match replaced {
        Ok(bytes) => {
            let mut state = inner.state();
            let shelf = state.cameras.entry(camera.clone()).or_default();
            shelf.seal(pack, bytes, signed.manifest().hash());
            Ok(true)
        }
        Err(error) => {
            // A full disk shall not also keep the scrap.
            let _ = disk.remove(&temporary);
            Err(error.into())
        }
    }
}

/// Returns the length after all of the copy is durable; its name is not.
fn copy(disk: &dyn Disk, from: &dyn DiskFile, signed: &SignedManifest, to: &Path) -> Result<u64, DiskError> {
    let copy = disk.open(to, OpenMode::Truncate)?;
    let (trailer, end) = (trailer(signed), signed.manifest().body_len());
    let mut buffer = vec![0; usize::try_from(end.min(STEP)).unwrap_or(0)];
    let mut at = 0;
    while at < end {
        let len = usize::try_from((end - at).min(STEP)).unwrap_or(0);
        from.read_exact_at(&mut buffer[..len], at)?;
        copy.write_all_at(&buffer[..len], at)?;
        at += len as u64;
    }
    copy.write_all_at(&trailer, end)?;
    copy.sync_data()?;
    Ok(end + trailer.len() as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hash(text: &str) -> ContentHash {
        ContentHash::of(text.as_bytes())
    }

    #[test]
    fn whatever_form_of_a_pack_is_named_leads_to_the_one_it_has_now() {
        let mut relinked = Relinked::default();
        relinked.note(hash("a"), hash("b"));
        let mut replaced = relinked.clone();
        // The file was replaced, and then by a third device's.
        replaced.note(hash("b"), hash("c"));
        // The file was not replaced before the third device came.
        relinked.note(hash("a"), hash("c"));
        for relinked in [replaced, relinked] {
            for form in ["a", "b", "c"] {
                assert_eq!(relinked.now(hash(form)), hash("c"), "{form}");
            }
        }
    }
}
