//! The names of one camera's folders, and what to do about those that should not be.

use std::{
    collections::{BTreeMap, BTreeSet},
    io::Read,
    path::Path,
};

use dashvault_base::{CameraName, PackId};
use dashvault_disk::{Disk, DiskError, DiskReader, Entry, EntryKind, OpenMode, is_temporary};
use dashvault_media::{PackError, read_manifest};

use super::{CameraRecovery, is_newer};
use crate::{
    Folder, Loss, SpoolError, SpoolLayout,
    layout::{LOSS_RESERVE, Named},
    loss::Ledger,
    shelf::Shelf,
};

/// Everything that was found of one camera.
#[derive(Debug, Default)]
pub(super) struct CameraNames {
    /// Every pack with the length of its file.
    pub(super) packs: BTreeMap<(PackId, Folder), u64>,
    pub(super) locked: BTreeSet<PackId>,
    journals: BTreeSet<PackId>,
    receipts: BTreeSet<PackId>,
    losses: Vec<String>,
}

impl CameraNames {
    /// Reads all folders; removes what an interrupted atomic write left.
    pub(super) fn read(
        disk: &dyn Disk,
        layout: &SpoolLayout,
        camera: &CameraName,
        report: &mut CameraRecovery,
    ) -> Result<Self, DiskError> {
        let mut names = Self::default();
        // Of what lies beside the folders only left-overs are of interest.
        entries(disk, &layout.camera(camera))?;
        for folder in Folder::ALL {
            for entry in entries(disk, &layout.folder(camera, folder))? {
                match Named::parse(&entry.name) {
                    Named::Pack(pack) => {
                        names.packs.insert((pack, folder), entry.len);
                    }
                    Named::Journal(pack) if folder == Folder::Open => {
                        names.journals.insert(pack);
                    }
                    Named::Receipt(pack) if folder == Folder::Stored => {
                        names.receipts.insert(pack);
                    }
                    _ => report.foreign += 1,
                }
            }
        }
        for entry in entries(disk, &layout.locked(camera))? {
            match entry.name.parse() {
                Ok(pack) => {
                    names.locked.insert(pack);
                }
                Err(_) => report.foreign += 1,
            }
        }
        for entry in entries(disk, &layout.losses(camera))? {
            match entry.name.strip_suffix(".json") {
                Some(id) => names.losses.push(id.to_owned()),
                None if entry.name == LOSS_RESERVE => {}
                None => report.foreign += 1,
            }
        }
        Ok(names)
    }

    /// A crash in the middle of a move can leave a pack in two folders. The later folder's is whole, since a pack is
    /// moved only when it is; but if that is not so, somebody else put it there, and the earlier one stays.
    pub(super) fn settle_duplicates(
        &mut self,
        disk: &dyn Disk,
        layout: &SpoolLayout,
        camera: &CameraName,
        report: &mut CameraRecovery,
    ) -> Result<(), SpoolError> {
        let all: Vec<PackId> = self.packs.keys().map(|(pack, _)| *pack).collect();
        for two in all.windows(2).filter(|two| two[0] == two[1]) {
            let pack = two[0];
            let folders = Folder::ALL.into_iter().filter(|folder| self.packs.contains_key(&(pack, *folder)));
            let [earlier, later, ..] = folders.collect::<Vec<_>>()[..] else { continue };
            let path = |folder| layout.pack(camera, folder, pack);
            let moved = match earlier {
                Folder::Open => manifest_is_sound(disk, &path(later))?,
                Folder::Pending | Folder::Stored => same_bytes(disk, &path(earlier), &path(later))?,
            };
            let wrong = if moved { earlier } else { later };
            disk.remove_durably(&path(wrong))?;
            self.packs.remove(&(pack, wrong));
            report.duplicates.push(pack);
        }
        Ok(())
    }

    /// A pending pack must have a sound trailer, or nobody can upload it: the others go back to be cut anew.
    pub(super) fn demote_unsound(
        &mut self,
        disk: &dyn Disk,
        layout: &SpoolLayout,
        camera: &CameraName,
        report: &mut CameraRecovery,
    ) -> Result<(), SpoolError> {
        let pending: Vec<PackId> = self.in_folder(Folder::Pending);
        for pack in pending {
            let path = layout.pack(camera, Folder::Pending, pack);
            if manifest_is_sound(disk, &path)? {
                continue;
            }
            disk.rename_durably(&path, &layout.pack(camera, Folder::Open, pack))?;
            if let Some(bytes) = self.packs.remove(&(pack, Folder::Pending)) {
                self.packs.insert((pack, Folder::Open), bytes);
            }
            report.unsound.push(pack);
        }
        Ok(())
    }

    /// Removes what belongs to packs that are no more.
    pub(super) fn sweep(
        &self,
        disk: &dyn Disk,
        layout: &SpoolLayout,
        camera: &CameraName,
    ) -> Result<(), DiskError> {
        for pack in self.journals.iter().filter(|pack| !self.packs.contains_key(&(**pack, Folder::Open))) {
            disk.remove(&layout.journal(camera, *pack))?;
        }
        let in_vault = |pack: &PackId| {
            self.packs.contains_key(&(*pack, Folder::Stored))
                || self.packs.contains_key(&(*pack, Folder::Pending))
        };
        for pack in self.receipts.iter().filter(|pack| !in_vault(pack)) {
            disk.remove(&layout.receipt(camera, *pack))?;
        }
        let here =
            |pack: &PackId| Folder::ALL.iter().any(|folder| self.packs.contains_key(&(*pack, *folder)));
        for pack in self.locked.iter().filter(|pack| !here(pack)) {
            disk.remove(&layout.marker(camera, *pack))?;
        }
        Ok(())
    }

    /// Reads the losses. One that says a pack was evicted is taken back where the pack is still here: the power went
    /// before it was deleted, or before that was durable, and nobody was told.
    pub(super) fn load_losses(
        &self,
        disk: &dyn Disk,
        layout: &SpoolLayout,
        camera: &CameraName,
        shelf: &Shelf,
        ledger: &mut Ledger,
    ) -> Result<(), DiskError> {
        for id in &self.losses {
            let Some(loss) = Loss::read(disk, layout, camera, id)? else { continue };
            if loss.evicted.is_some_and(|pack| shelf.packs.contains_key(&pack)) {
                disk.remove_durably(&layout.loss(camera, id))?;
            } else {
                ledger.load(loss);
            }
        }
        Ok(())
    }

    fn in_folder(&self, folder: Folder) -> Vec<PackId> {
        self.packs.keys().filter(|(_, of)| *of == folder).map(|(pack, _)| *pack).collect()
    }
}

/// The plain files of a folder, without left-overs, which are removed.
fn entries(disk: &dyn Disk, dir: &Path) -> Result<Vec<Entry>, DiskError> {
    let mut entries = disk.list(dir)?;
    for scrap in entries.iter().filter(|entry| is_temporary(&entry.name)) {
        disk.remove(&dir.join(&scrap.name))?;
    }
    entries.retain(|entry| entry.kind == EntryKind::File && !is_temporary(&entry.name));
    Ok(entries)
}

/// Whether a sealed pack's trailer is sound, or at least not ours to judge.
fn manifest_is_sound(disk: &dyn Disk, path: &Path) -> Result<bool, SpoolError> {
    let file = disk.open(path, OpenMode::Read)?;
    match read_manifest(&mut DiskReader::new(file)) {
        Ok(signed) => Ok(signed.is_some()),
        // A disk that cannot be read is no reason to move anything.
        Err(error @ PackError::Io(_)) => {
            tracing::warn!(path = %path.display(), %error, "manifest cannot be read");
            Ok(true)
        }
        Err(error) => Ok(is_newer(&error)),
    }
}

fn same_bytes(disk: &dyn Disk, a: &Path, b: &Path) -> Result<bool, SpoolError> {
    if disk.len(a)? != disk.len(b)? {
        return Ok(false);
    }
    let open = |path| disk.open(path, OpenMode::Read).map(DiskReader::new);
    let (mut a, mut b) = (open(a)?, open(b)?);
    let (mut of_a, mut of_b) = (Vec::new(), Vec::new());
    loop {
        of_a.clear();
        of_b.clear();
        let read = |reader: &mut DiskReader, into: &mut Vec<u8>| reader.take(64 << 10).read_to_end(into);
        match (read(&mut a, &mut of_a), read(&mut b, &mut of_b)) {
            (Ok(_), Ok(_)) if of_a != of_b => return Ok(false),
            (Ok(0), Ok(_)) => return Ok(true),
            (Ok(_), Ok(_)) => {}
            // What cannot be compared is not the same.
            _ => return Ok(false),
        }
    }
}
