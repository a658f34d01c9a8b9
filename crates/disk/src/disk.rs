//! The [`Disk`] and [`DiskFile`] traits.
//!
//! Object-safe, so that a room takes an `Arc<dyn Disk>` and a test hands in a disk that crashes.

use std::{
    any::Any,
    fmt, io,
    path::{Path, PathBuf},
    sync::Arc,
};

use crate::{DiskError, Operation};

/// The ending of the files that [`Disk::write_atomic`] may leave behind after a crash.
const TEMPORARY: &str = ".tmp~";

/// Whether `name` is a left-over of an interrupted [`Disk::write_atomic`]; such a file may be removed at any start.
#[must_use]
pub fn is_temporary(name: &str) -> bool {
    name.ends_with(TEMPORARY)
}

/// The durable file operations of one filesystem. Paths are taken as given; nothing here follows user input.
pub trait Disk: fmt::Debug + Send + Sync + 'static {
    /// Opens a file for positional reads, and writes where `mode` says so. A created file's *name* is durable
    /// only after [`Disk::sync_dir`] of its folder.
    ///
    /// # Errors
    /// `NotFound` for [`OpenMode::Read`] and [`OpenMode::Write`]; `Exists` for [`OpenMode::CreateNew`].
    fn open(&self, path: &Path, mode: OpenMode) -> Result<Arc<dyn DiskFile>, DiskError>;

    /// Renames a file within the filesystem, replacing a file at `to`. Atomic; durable only after
    /// [`Disk::sync_dir`] of both folders.
    ///
    /// # Errors
    /// `NotFound` when `from` or the folder of `to` does not exist.
    fn rename(&self, from: &Path, to: &Path) -> Result<(), DiskError>;

    /// Removes a file. Durable only after [`Disk::sync_dir`] of its folder: after a crash it may be back.
    ///
    /// # Errors
    /// `NotFound` when there is none.
    fn remove(&self, path: &Path) -> Result<(), DiskError>;

    /// Returns after every change of names in `dir` is durable.
    ///
    /// # Errors
    /// Any; a change may or may not survive a crash then.
    fn sync_dir(&self, dir: &Path) -> Result<(), DiskError>;

    /// The entries of `dir` in the order of their names; a name that is no UTF-8 has replacement characters.
    /// An entry that vanishes meanwhile is left out.
    ///
    /// # Errors
    /// `NotFound` when there is no such folder.
    fn list(&self, dir: &Path) -> Result<Vec<Entry>, DiskError>;

    /// The length of a file in bytes.
    ///
    /// # Errors
    /// `NotFound` when there is none.
    fn len(&self, path: &Path) -> Result<u64, DiskError>;

    /// Creates `dir` and its parents where they are missing. Returns after their names are durable.
    ///
    /// # Errors
    /// Any.
    fn create_dir_all(&self, dir: &Path) -> Result<(), DiskError>;

    /// Removes an empty folder. Durable only after [`Disk::sync_dir`] of its parent.
    ///
    /// # Errors
    /// `NotFound`, or any when it is not empty.
    fn remove_dir(&self, dir: &Path) -> Result<(), DiskError>;

    /// The space of the filesystem that holds `path`; `None` where the system does not say.
    ///
    /// # Errors
    /// Any.
    fn space(&self, path: &Path) -> Result<Option<Space>, DiskError>;

    /// Creates `path` and takes its exclusive advisory lock; `None` when another holds it. The lock ends when the
    /// value is dropped or the process dies.
    ///
    /// # Errors
    /// Any but that the lock is held.
    fn try_lock(&self, path: &Path) -> Result<Option<DiskLock>, DiskError>;

    /// Whether a file or folder is there.
    ///
    /// # Errors
    /// Any but `NotFound`.
    fn exists(&self, path: &Path) -> Result<bool, DiskError> {
        match self.len(path) {
            Ok(_) => Ok(true),
            Err(error) if error.is_not_found() => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Reads a whole small file.
    ///
    /// # Errors
    /// `NotFound`; `Other` when the file is longer than `max_bytes`.
    fn read(&self, path: &Path, max_bytes: u64) -> Result<Vec<u8>, DiskError> {
        let file = self.open(path, OpenMode::Read)?;
        let len = file.len()?;
        let too_long = || {
            let text = format!("{len} bytes, more than the {max_bytes} allowed");
            DiskError::new(Operation::Read, path, io::Error::new(io::ErrorKind::InvalidData, text))
        };
        let capacity = usize::try_from(len).ok().filter(|_| len <= max_bytes).ok_or_else(too_long)?;
        let mut bytes = vec![0; capacity];
        file.read_exact_at(&mut bytes, 0)?;
        Ok(bytes)
    }

    /// Replaces or creates a small file: after a crash the old content or the new is there, whole. Returns after
    /// the new one is durable. Steps: write `.<name>.tmp~` beside it, sync its data, rename, sync the folder.
    ///
    /// # Errors
    /// Any; the old or the new content is there then. A left-over [`is_temporary`] file may be, too.
    fn write_atomic(&self, path: &Path, bytes: &[u8]) -> Result<(), DiskError> {
        let temporary = temporary_beside(path);
        let written = self.open(&temporary, OpenMode::Truncate).and_then(|file| {
            file.write_all_at(bytes, 0)?;
            file.sync_data()
        });
        if let Err(error) = written.and_then(|()| self.rename(&temporary, path)) {
            // A full disk shall not also keep the scrap.
            let _ = self.remove(&temporary);
            return Err(error);
        }
        self.sync_dir(parent(path))
    }

    /// Removes a file, durably; one that is not there is no error.
    ///
    /// # Errors
    /// Any but `NotFound`.
    fn remove_durably(&self, path: &Path) -> Result<(), DiskError> {
        match self.remove(path) {
            Err(error) if !error.is_not_found() => Err(error),
            // Also when it was not there: an earlier removal may not be durable yet.
            _ => self.sync_dir(parent(path)),
        }
    }

    /// Renames a file and makes that durable: syncs the folder of `to`, then that of `from`. In this order a crash
    /// in between leaves the file in the new folder or in both, never in none.
    ///
    /// # Errors
    /// As [`Disk::rename`].
    fn rename_durably(&self, from: &Path, to: &Path) -> Result<(), DiskError> {
        self.rename(from, to)?;
        self.sync_dir(parent(to))?;
        if parent(from) == parent(to) { Ok(()) } else { self.sync_dir(parent(from)) }
    }
}

/// An open file. Reads and writes say their position, so that a value can be shared between threads.
pub trait DiskFile: fmt::Debug + Send + Sync {
    /// Reads at `offset`; gives how many bytes, 0 at the end of the file.
    ///
    /// # Errors
    /// Any.
    fn read_at(&self, into: &mut [u8], offset: u64) -> Result<usize, DiskError>;

    /// Writes all of `bytes` at `offset`, past the end too. Durable only after [`DiskFile::sync_data`].
    ///
    /// # Errors
    /// `Full` when there is no room; a part may be written then.
    fn write_all_at(&self, bytes: &[u8], offset: u64) -> Result<(), DiskError>;

    /// Returns after the bytes and the length of the file are durable (not its name).
    ///
    /// # Errors
    /// Any. The bytes written since the last success are in doubt for good then: a second call that succeeds
    /// says nothing about them.
    fn sync_data(&self) -> Result<(), DiskError>;

    /// Cuts the file at `len`, or extends it with zeros. Durable only after [`DiskFile::sync_data`].
    ///
    /// # Errors
    /// Any.
    fn set_len(&self, len: u64) -> Result<(), DiskError>;

    /// The length in bytes.
    ///
    /// # Errors
    /// Any.
    fn len(&self) -> Result<u64, DiskError>;

    /// Whether the file has no bytes.
    ///
    /// # Errors
    /// Any.
    fn is_empty(&self) -> Result<bool, DiskError> {
        self.len().map(|len| len == 0)
    }

    /// The path it was opened under, for messages.
    fn path(&self) -> &Path;

    /// Fills `into` from `offset`.
    ///
    /// # Errors
    /// `Other` (unexpected end) when the file ends before.
    fn read_exact_at(&self, into: &mut [u8], offset: u64) -> Result<(), DiskError> {
        let mut filled = 0;
        while let Some(rest) = into.get_mut(filled..).filter(|rest| !rest.is_empty()) {
            let read = self.read_at(rest, offset.saturating_add(filled as u64))?;
            if read == 0 {
                return Err(DiskError::new(
                    Operation::Read,
                    self.path(),
                    io::ErrorKind::UnexpectedEof.into(),
                ));
            }
            filled += read;
        }
        Ok(())
    }
}

/// How to open a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OpenMode {
    /// An existing file, to read.
    Read,
    /// An existing file, to read and write.
    Write,
    /// A file to read and write, created where missing.
    Create,
    /// A file to read and write that does not exist yet.
    CreateNew,
    /// A file to read and write, created where missing, emptied where not.
    Truncate,
}

/// One name in a folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The name, without its folder.
    pub name: String,
    /// What it names.
    pub kind: EntryKind,
    /// The length of a file in bytes; 0 for others.
    pub len: u64,
}

/// What a name in a folder stands for; links are not followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EntryKind {
    /// A plain file.
    File,
    /// A folder.
    Dir,
    /// A link, socket, device or pipe.
    Other,
}

/// The space of a filesystem.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Space {
    /// Bytes that this user may still write.
    pub free_bytes: u64,
    /// Bytes altogether.
    pub total_bytes: u64,
}

/// A held lock; dropping it releases it.
pub struct DiskLock {
    _held: Box<dyn Any + Send + Sync>,
}

impl DiskLock {
    /// Keeps `held` until the lock is dropped; for implementations of [`Disk`].
    #[must_use]
    pub fn holding(held: impl Any + Send + Sync) -> Self {
        Self { _held: Box::new(held) }
    }
}

impl fmt::Debug for DiskLock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("DiskLock")
    }
}

/// The folder of `path`; `.` for a bare name.
pub(crate) fn parent(path: &Path) -> &Path {
    path.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

fn temporary_beside(path: &Path) -> PathBuf {
    let mut name = std::ffi::OsString::from(".");
    name.push(path.file_name().unwrap_or_default());
    name.push(TEMPORARY);
    path.with_file_name(name)
}
