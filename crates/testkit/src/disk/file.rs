//! The contents of a [`CrashDisk`](super::CrashDisk)'s files, and an open one.

use std::{
    io,
    path::{Path, PathBuf},
};

use dashvault_disk::{DiskError, DiskFile, Operation};

use super::crash_disk::{CrashDisk, State};

/// The bytes of one file: as a program reads them now, and as a power cut would leave them at worst.
#[derive(Debug, Clone, Default)]
pub(super) struct Content {
    pub(super) live: Vec<u8>,
    pub(super) durable: Vec<u8>,
    /// The two are the same before this offset; `usize::MAX` when nothing is un-synced.
    dirty_from: Option<usize>,
}

impl Content {
    /// A file whose bytes are all durable.
    pub(super) fn settled(bytes: Vec<u8>) -> Self {
        Self { live: bytes.clone(), durable: bytes, dirty_from: None }
    }

    pub(super) fn write(&mut self, bytes: &[u8], offset: usize) {
        let end = offset + bytes.len();
        self.touch(offset.min(self.live.len()));
        if self.live.len() < end {
            self.live.resize(end, 0);
        }
        self.live[offset..end].copy_from_slice(bytes);
    }

    pub(super) fn set_len(&mut self, len: usize) {
        self.touch(len.min(self.live.len()));
        self.live.resize(len, 0);
    }

    pub(super) fn sync(&mut self) {
        if let Some(from) = self.dirty_from.take() {
            self.durable.truncate(from);
            self.durable.extend_from_slice(&self.live[from..]);
        }
    }

    fn touch(&mut self, from: usize) {
        self.dirty_from = Some(self.dirty_from.map_or(from, |dirty| dirty.min(from)));
    }
}

/// An open file of a [`CrashDisk`]; of no use after a crash.
#[derive(Debug)]
pub(super) struct CrashFile {
    pub(super) disk: CrashDisk,
    pub(super) boot: u64,
    pub(super) content: usize,
    pub(super) path: PathBuf,
    pub(super) writable: bool,
}

impl CrashFile {
    fn change(
        &self,
        operation: Operation,
        act: impl FnOnce(&mut State) -> io::Result<()>,
    ) -> Result<(), DiskError> {
        if !self.writable {
            return Err(DiskError::new(operation, &self.path, io::ErrorKind::PermissionDenied.into()));
        }
        self.disk.change(operation, &self.path, Some(self.boot), act)
    }
}

impl DiskFile for CrashFile {
    fn read_at(&self, into: &mut [u8], offset: u64) -> Result<usize, DiskError> {
        self.disk.look(Operation::Read, &self.path, Some(self.boot), |state| {
            let rest =
                usize::try_from(offset).ok().and_then(|at| state.contents[self.content].live.get(at..));
            let rest = rest.unwrap_or_default();
            let read = rest.len().min(into.len());
            into[..read].copy_from_slice(&rest[..read]);
            Ok(read)
        })
    }

    fn write_all_at(&self, bytes: &[u8], offset: u64) -> Result<(), DiskError> {
        let offset = usize::try_from(offset).expect("a test disk is smaller than memory");
        self.change(Operation::Write, |state| {
            let len = state.contents[self.content].live.len();
            let growth = (offset + bytes.len()).saturating_sub(len);
            let missing = usize::try_from((growth as u64).saturating_sub(state.free())).unwrap_or(usize::MAX);
            // A full disk takes what fits.
            let fits = bytes.len().saturating_sub(missing);
            state.contents[self.content].write(&bytes[..fits], offset);
            if missing > 0 { Err(io::ErrorKind::StorageFull.into()) } else { Ok(()) }
        })
    }

    fn sync_data(&self) -> Result<(), DiskError> {
        self.change(Operation::SyncData, |state| {
            state.contents[self.content].sync();
            Ok(())
        })
    }

    fn set_len(&self, len: u64) -> Result<(), DiskError> {
        let len = usize::try_from(len).expect("a test disk is smaller than memory");
        self.change(Operation::Truncate, |state| {
            state.contents[self.content].set_len(len);
            Ok(())
        })
    }

    fn len(&self) -> Result<u64, DiskError> {
        self.disk.look(Operation::Length, &self.path, Some(self.boot), |state| {
            Ok(state.contents[self.content].live.len() as u64)
        })
    }

    fn path(&self) -> &Path {
        &self.path
    }
}
