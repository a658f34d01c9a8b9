//! A file that comes in: what is written of it, what of that is durable, and whose turn it is.
//!
//! Invariant: the offset that is answered is synced and recorded; a foreign file has no hashes that could tell later what a
//! power cut took.

use std::{
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use bytes::Bytes;
use dashvault_base::{CameraName, DeviceId, WallMs};
use dashvault_disk::{DiskError, DiskFile};
use tokio::runtime::Handle;

use crate::{
    archive::index::{ImportRow, Index, IndexError},
    uploads::{Turn, Turns},
};

/// Bytes that may be written and not synced.
const UNSYNCED_BYTES: u64 = 8 << 20;

/// One file that comes in.
#[derive(Debug)]
pub(crate) struct ImportUpload {
    pub(crate) id: String,
    /// None: a part of a concatenation.
    pub(crate) target: Option<(DeviceId, CameraName)>,
    pub(crate) length: u64,
    pub(crate) path: PathBuf,
    file: Arc<dyn DiskFile>,
    written: AtomicU64,
    durable: AtomicU64,
    turns: Turns,
}

/// Why bytes cannot be kept.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ReceiveError {
    #[error(transparent)]
    Disk(#[from] DiskError),
    #[error(transparent)]
    Index(#[from] IndexError),
}

impl ImportUpload {
    pub(crate) fn new(row: &ImportRow, file: Arc<dyn DiskFile>, path: PathBuf) -> Self {
        Self {
            id: row.id.clone(),
            target: row.target.clone(),
            length: row.length,
            path,
            file,
            written: AtomicU64::new(row.received),
            durable: AtomicU64::new(row.received),
            turns: Turns::default(),
        }
    }

    /// How many bytes are written, in order.
    pub(crate) fn written(&self) -> u64 {
        self.written.load(Ordering::Acquire)
    }

    /// How many of them are durable: where a client goes on.
    pub(crate) fn durable(&self) -> u64 {
        self.durable.load(Ordering::Acquire)
    }

    /// Takes the turn; see [`Turns::take`].
    ///
    /// # Cancel safety
    /// The turn is not taken when the future is dropped, but the one before ends all the same.
    pub(crate) async fn take_turn(&self) -> Option<Turn> {
        self.turns.take().await
    }

    /// Writes the next bytes, and makes them durable now and then; gives whether it just did. Blocks; on the importer's thread only.
    pub(crate) fn write(
        &self,
        batch: &[Bytes],
        index: &Index,
        runtime: &Handle,
        now: WallMs,
    ) -> Result<bool, ReceiveError> {
        for piece in batch {
            let at = self.written();
            self.file.write_all_at(piece, at)?;
            self.written.store(at + piece.len() as u64, Ordering::Release);
        }
        let is_due = self.written() - self.durable() >= UNSYNCED_BYTES;
        if is_due {
            self.settle(index, runtime, now)?;
        }
        Ok(is_due)
    }

    /// Returns after what is written is durable, and recorded. Blocks; on the importer's thread only.
    pub(crate) fn settle(&self, index: &Index, runtime: &Handle, now: WallMs) -> Result<(), ReceiveError> {
        let written = self.written();
        if written == self.durable() {
            return Ok(());
        }
        self.file.sync_data()?;
        runtime.block_on(index.import_received(&self.id, written, now))?;
        self.durable.store(written, Ordering::Release);
        Ok(())
    }

    /// Forgets what was written after `offset`. Blocks; on the importer's thread only.
    pub(crate) fn take_back(
        &self,
        offset: u64,
        index: &Index,
        runtime: &Handle,
        now: WallMs,
    ) -> Result<(), ReceiveError> {
        self.written.store(offset.min(self.written()), Ordering::Release);
        if self.durable() > offset {
            runtime.block_on(index.import_received(&self.id, offset, now))?;
            self.durable.store(offset, Ordering::Release);
        }
        Ok(self.file.set_len(offset)?)
    }
}
