//! [`DiskReader`]: `Read + Seek` over a shared [`DiskFile`], for parsers that know no disk.

use std::{
    io::{self, Read, Seek, SeekFrom},
    sync::Arc,
};

use crate::{DiskError, DiskFile};

/// A position in a [`DiskFile`].
#[derive(Debug, Clone)]
pub struct DiskReader {
    file: Arc<dyn DiskFile>,
    position: u64,
}

impl DiskReader {
    /// Starts at the file's first byte.
    #[must_use]
    pub fn new(file: Arc<dyn DiskFile>) -> Self {
        Self { file, position: 0 }
    }
}

impl Read for DiskReader {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let read = self.file.read_at(into, self.position).map_err(into_io)?;
        self.position += read as u64;
        Ok(read)
    }
}

impl Seek for DiskReader {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let target = match to {
            SeekFrom::Start(offset) => Some(offset),
            SeekFrom::Current(delta) => self.position.checked_add_signed(delta),
            SeekFrom::End(delta) => self.file.len().map_err(into_io)?.checked_add_signed(delta),
        };
        self.position = target.ok_or(io::ErrorKind::InvalidInput)?;
        Ok(self.position)
    }
}

/// Keeps the kind and, as the inner error, the path and operation.
fn into_io(error: DiskError) -> io::Error {
    io::Error::new(error.source.kind(), error)
}
