//! What went wrong, on which path, while doing what.

use std::{
    fmt, io,
    path::{Path, PathBuf},
};

/// A disk operation that failed.
#[derive(Debug, thiserror::Error)]
#[error("{operation} {}", path.display())]
pub struct DiskError {
    /// The path that was asked for.
    pub path: PathBuf,
    /// What was being done.
    pub operation: Operation,
    /// Why it failed.
    pub source: io::Error,
}

impl DiskError {
    /// An error of `operation` on `path`.
    #[must_use]
    pub fn new(operation: Operation, path: &Path, source: io::Error) -> Self {
        Self { path: path.to_owned(), operation, source }
    }

    /// What a caller can do about it.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        match self.source.kind() {
            io::ErrorKind::NotFound => ErrorKind::NotFound,
            io::ErrorKind::AlreadyExists => ErrorKind::Exists,
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => ErrorKind::Full,
            _ => ErrorKind::Other,
        }
    }

    /// Whether the path does not exist.
    #[must_use]
    pub fn is_not_found(&self) -> bool {
        self.kind() == ErrorKind::NotFound
    }

    /// Whether the disk, or the user's share of it, is full.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.kind() == ErrorKind::Full
    }
}

/// What a caller can do about a [`DiskError`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ErrorKind {
    /// The path does not exist.
    NotFound,
    /// The path exists already.
    Exists,
    /// No space left, or no quota (`ENOSPC`, `EDQUOT`): free some, then try again.
    Full,
    /// Anything else: permission, a broken disk, a crashed test disk.
    Other,
}

/// The operations of a [`Disk`](crate::Disk).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "each is the verb of the method it stands for")]
pub enum Operation {
    Open,
    Read,
    Write,
    Truncate,
    SyncData,
    Length,
    Rename,
    Remove,
    SyncDir,
    List,
    CreateDir,
    Space,
    Lock,
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Open => "open",
            Self::Read => "read",
            Self::Write => "write",
            Self::Truncate => "truncate",
            Self::SyncData => "sync",
            Self::Length => "length of",
            Self::Rename => "rename",
            Self::Remove => "remove",
            Self::SyncDir => "sync folder",
            Self::List => "list",
            Self::CreateDir => "create folder",
            Self::Space => "free space of",
            Self::Lock => "lock",
        })
    }
}
