//! The folder of finished clips: names, publishing, tidying up. Blocking.
//!
//! Invariants: a name without `.part` is a whole, durable file; whatever has no row that says it is finished is removed
//! at the next start, so a crash leaves nothing behind.

use std::{
    collections::HashSet,
    path::{Path, PathBuf},
    sync::Arc,
};

use dashvault_disk::{Disk, DiskError, DiskFile, EntryKind, OpenMode};

use crate::archive::{
    index::ClipRow,
    objects::{ObjectError, ObjectReader},
};

/// The folder.
#[derive(Debug, Clone)]
pub(crate) struct Shelf {
    disk: Arc<dyn Disk>,
    folder: PathBuf,
}

impl Shelf {
    /// Opens the folder, and makes it where it is missing.
    pub(super) fn open(disk: Arc<dyn Disk>, folder: PathBuf) -> Result<Self, DiskError> {
        disk.create_dir_all(&folder)?;
        Ok(Self { disk, folder })
    }

    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    pub(super) fn disk(&self) -> &Arc<dyn Disk> {
        &self.disk
    }

    /// Where a job's outcome lies.
    pub(super) fn file(&self, row: &ClipRow) -> PathBuf {
        self.folder.join(name(row))
    }

    /// A file that a job is working on.
    pub(super) fn part(&self, row: &ClipRow, what: &str) -> PathBuf {
        self.folder.join(format!("{}.{what}.part", row.id))
    }

    /// Makes a job's file durable under its name; gives its length.
    pub(super) fn publish(&self, row: &ClipRow, part: &Path) -> Result<u64, DiskError> {
        let file = self.disk.open(part, OpenMode::Write)?;
        file.sync_data()?;
        let bytes = file.len()?;
        drop(file);
        self.disk.rename_durably(part, &self.file(row))?;
        Ok(bytes)
    }

    /// Removes whatever a job has left.
    pub(super) fn clear(&self, id: &str) -> Result<(), DiskError> {
        self.remove_where(|name| name.split('.').next() == Some(id))
    }

    /// Removes what a job was working on.
    pub(super) fn clear_parts(&self, id: &str) -> Result<(), DiskError> {
        self.remove_where(|name| name.split('.').next() == Some(id) && name.ends_with(".part"))
    }

    /// Removes everything but the files of `finished`; gives those of them that are there.
    pub(super) fn tidy(&self, finished: &[ClipRow]) -> Result<HashSet<String>, DiskError> {
        let mut there = HashSet::new();
        let known: HashSet<String> = finished.iter().map(name).collect();
        self.remove_where(|found| {
            let keep = known.contains(found);
            if keep {
                there.insert(found.to_owned());
            }
            !keep
        })?;
        let ids = finished.iter().filter(|row| there.contains(&name(row))).map(|row| row.id.clone());
        Ok(ids.collect())
    }

    /// Opens a finished file for whoever downloads it.
    pub(crate) fn read(
        disk: &Arc<dyn Disk>,
        folder: &Path,
        row: &ClipRow,
    ) -> Result<Arc<dyn ObjectReader>, ObjectError> {
        let file = disk.open(&folder.join(name(row)), OpenMode::Read)?;
        let len = file.len()?;
        Ok(Arc::new(Finished { file, len }))
    }

    fn remove_where(&self, mut gone: impl FnMut(&str) -> bool) -> Result<(), DiskError> {
        for entry in self.disk.list(&self.folder)? {
            if entry.kind == EntryKind::File && gone(&entry.name) {
                match self.disk.remove(&self.folder.join(&entry.name)) {
                    Err(error) if !error.is_not_found() => return Err(error),
                    _ => {}
                }
            }
        }
        Ok(())
    }
}

/// The name of a job's finished file.
fn name(row: &ClipRow) -> String {
    format!("{}.{}", row.id, extension(row))
}

/// What kind of file a job's outcome is.
pub(super) fn extension(row: &ClipRow) -> &'static str {
    if row.evidence { "zip" } else { row.format.name() }
}

/// A finished file.
#[derive(Debug)]
struct Finished {
    file: Arc<dyn DiskFile>,
    len: u64,
}

impl ObjectReader for Finished {
    fn len(&self) -> u64 {
        self.len
    }

    fn read_at(&self, into: &mut [u8], offset: u64) -> Result<usize, ObjectError> {
        Ok(self.file.read_at(into, offset)?)
    }
}
