//! Reading a pack while it may still be written, sealed or moved.

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use dashvault_disk::{DiskError, DiskFile, Operation};

/// A pack's bytes for an upload. It stays readable while the pack is sealed, receipted or evicted, and never shows
/// bytes that are not durable.
#[derive(Debug, Clone)]
pub struct PackReader {
    pub(crate) file: Arc<dyn DiskFile>,
    pub(crate) readable: Arc<AtomicU64>,
}

impl PackReader {
    /// How many bytes can be read now; grows while the pack is open.
    #[must_use]
    pub fn readable_bytes(&self) -> u64 {
        self.readable.load(Ordering::Acquire)
    }

    /// Reads at `offset`; gives how many bytes, 0 at the end of what is durable.
    ///
    /// # Errors
    /// The disk fails.
    pub fn read_at(&self, into: &mut [u8], offset: u64) -> Result<usize, DiskError> {
        let rest = self.readable_bytes().saturating_sub(offset);
        let wanted = usize::try_from(rest).unwrap_or(usize::MAX).min(into.len());
        match into.get_mut(..wanted) {
            Some(into) if wanted > 0 => self.file.read_at(into, offset),
            _ => Ok(0),
        }
    }

    /// Fills `into` from `offset`.
    ///
    /// # Errors
    /// The disk fails, or so many bytes are not durable.
    pub fn read_exact_at(&self, into: &mut [u8], offset: u64) -> Result<(), DiskError> {
        if offset.saturating_add(into.len() as u64) > self.readable_bytes() {
            let source = io::ErrorKind::UnexpectedEof.into();
            return Err(DiskError::new(Operation::Read, self.file.path(), source));
        }
        self.file.read_exact_at(into, offset)
    }
}
