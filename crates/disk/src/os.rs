//! [`OsDisk`]: the machine's own filesystem.
//!
//! Linux is the tuned platform. On macOS `sync_data` is `F_FULLFSYNC` (std's choice). Windows has no way to sync a
//! folder; NTFS journals names, so [`Disk::sync_dir`] is a no-op there.

use std::{
    fs::{self, File, TryLockError},
    io,
    path::{Path, PathBuf},
    sync::Arc,
};

use crate::{
    Disk, DiskError, DiskFile, DiskLock, Entry, EntryKind, OpenMode, Operation, Space, disk::parent,
};

/// The machine's own filesystem.
#[derive(Debug, Clone, Copy, Default)]
pub struct OsDisk;

/// Puts the path and operation to an `io::Error`.
fn at(operation: Operation, path: &Path) -> impl FnOnce(io::Error) -> DiskError + '_ {
    move |source| DiskError::new(operation, path, source)
}

impl Disk for OsDisk {
    fn open(&self, path: &Path, mode: OpenMode) -> Result<Arc<dyn DiskFile>, DiskError> {
        let mut options = File::options();
        options.read(true).write(mode != OpenMode::Read);
        match mode {
            OpenMode::Read | OpenMode::Write => &mut options,
            OpenMode::Create => options.create(true),
            OpenMode::CreateNew => options.create_new(true),
            OpenMode::Truncate => options.create(true).truncate(true),
        };
        let file = options.open(path).map_err(at(Operation::Open, path))?;
        Ok(Arc::new(OsFile { file, path: path.to_owned() }))
    }

    fn rename(&self, from: &Path, to: &Path) -> Result<(), DiskError> {
        fs::rename(from, to).map_err(at(Operation::Rename, from))
    }

    fn remove(&self, path: &Path) -> Result<(), DiskError> {
        fs::remove_file(path).map_err(at(Operation::Remove, path))
    }

    fn sync_dir(&self, dir: &Path) -> Result<(), DiskError> {
        sync_dir(dir).map_err(at(Operation::SyncDir, dir))
    }

    fn list(&self, dir: &Path) -> Result<Vec<Entry>, DiskError> {
        let mut entries = Vec::new();
        for entry in fs::read_dir(dir).map_err(at(Operation::List, dir))? {
            let entry = entry.map_err(at(Operation::List, dir))?;
            // Does not follow links.
            let metadata = match entry.metadata() {
                Ok(metadata) => metadata,
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                Err(error) => return Err(DiskError::new(Operation::List, &entry.path(), error)),
            };
            let kind = match metadata.file_type() {
                of if of.is_file() => EntryKind::File,
                of if of.is_dir() => EntryKind::Dir,
                _ => EntryKind::Other,
            };
            let len = if kind == EntryKind::File { metadata.len() } else { 0 };
            entries.push(Entry { name: entry.file_name().to_string_lossy().into_owned(), kind, len });
        }
        entries.sort_unstable_by(|a, b| a.name.cmp(&b.name));
        Ok(entries)
    }

    fn len(&self, path: &Path) -> Result<u64, DiskError> {
        fs::metadata(path).map(|metadata| metadata.len()).map_err(at(Operation::Length, path))
    }

    fn create_dir_all(&self, dir: &Path) -> Result<(), DiskError> {
        if dir.is_dir() {
            return Ok(());
        }
        let above = parent(dir);
        if above != dir {
            self.create_dir_all(above)?;
        }
        match fs::create_dir(dir) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists || !dir.is_dir() => {
                Err(DiskError::new(Operation::CreateDir, dir, error))
            }
            _ => self.sync_dir(above),
        }
    }

    fn remove_dir(&self, dir: &Path) -> Result<(), DiskError> {
        fs::remove_dir(dir).map_err(at(Operation::Remove, dir))
    }

    fn space(&self, path: &Path) -> Result<Option<Space>, DiskError> {
        space(path).map_err(at(Operation::Space, path))
    }

    fn try_lock(&self, path: &Path) -> Result<Option<DiskLock>, DiskError> {
        let opened = File::options().read(true).write(true).create(true).truncate(false).open(path);
        let file = opened.map_err(at(Operation::Lock, path))?;
        match file.try_lock() {
            Ok(()) => Ok(Some(DiskLock::holding(file))),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => Err(DiskError::new(Operation::Lock, path, error)),
        }
    }
}

#[cfg(not(windows))]
fn sync_dir(dir: &Path) -> io::Result<()> {
    File::open(dir)?.sync_all()
}

#[cfg(windows)]
fn sync_dir(dir: &Path) -> io::Result<()> {
    fs::metadata(dir).map(drop)
}

#[cfg(unix)]
fn space(path: &Path) -> io::Result<Option<Space>> {
    let stat = rustix::fs::statvfs(path)?;
    let unit = stat.f_frsize;
    Ok(Some(Space {
        free_bytes: stat.f_bavail.saturating_mul(unit),
        total_bytes: stat.f_blocks.saturating_mul(unit),
    }))
}

#[cfg(not(unix))]
fn space(_path: &Path) -> io::Result<Option<Space>> {
    Ok(None)
}

/// A file of the machine's own filesystem.
#[derive(Debug)]
struct OsFile {
    file: File,
    path: PathBuf,
}

impl DiskFile for OsFile {
    fn read_at(&self, into: &mut [u8], offset: u64) -> Result<usize, DiskError> {
        loop {
            match positional::read_at(&self.file, into, offset) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                result => return result.map_err(at(Operation::Read, &self.path)),
            }
        }
    }

    fn write_all_at(&self, bytes: &[u8], offset: u64) -> Result<(), DiskError> {
        positional::write_all_at(&self.file, bytes, offset).map_err(at(Operation::Write, &self.path))
    }

    fn sync_data(&self) -> Result<(), DiskError> {
        self.file.sync_data().map_err(at(Operation::SyncData, &self.path))
    }

    fn set_len(&self, len: u64) -> Result<(), DiskError> {
        self.file.set_len(len).map_err(at(Operation::Truncate, &self.path))
    }

    fn len(&self) -> Result<u64, DiskError> {
        self.file.metadata().map(|metadata| metadata.len()).map_err(at(Operation::Length, &self.path))
    }

    fn path(&self) -> &Path {
        &self.path
    }
}

/// Reads and writes at a position, as each system spells it.
mod positional {
    use std::{fs::File, io};

    #[cfg(unix)]
    pub(super) fn read_at(file: &File, into: &mut [u8], offset: u64) -> io::Result<usize> {
        std::os::unix::fs::FileExt::read_at(file, into, offset)
    }

    #[cfg(unix)]
    pub(super) fn write_all_at(file: &File, bytes: &[u8], offset: u64) -> io::Result<()> {
        std::os::unix::fs::FileExt::write_all_at(file, bytes, offset)
    }

    #[cfg(windows)]
    pub(super) fn read_at(file: &File, into: &mut [u8], offset: u64) -> io::Result<usize> {
        std::os::windows::fs::FileExt::seek_read(file, into, offset)
    }

    #[cfg(windows)]
    pub(super) fn write_all_at(file: &File, mut bytes: &[u8], mut offset: u64) -> io::Result<()> {
        while !bytes.is_empty() {
            let written = std::os::windows::fs::FileExt::seek_write(file, bytes, offset)?;
            if written == 0 {
                return Err(io::ErrorKind::WriteZero.into());
            }
            bytes = &bytes[written..];
            offset += written as u64;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
