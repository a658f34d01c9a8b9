//! Reading a pack's bytes for an upload and passing them on at the governor's pace.
//!
//! Belongs here: the flow from the disk into a request's body. Not here: which bytes (`plan`), the request (`upload`).
//!
//! Invariant: memory is one block of reading and one piece in passing.

use std::time::Instant;

use bytes::Bytes;
use dashvault_disk::DiskError;
use dashvault_spool::PackReader;
use tokio::sync::mpsc;

use super::announcer::blocking;
use crate::shared::Shared;

/// What is read from the disk at a time.
const READ_BYTES: usize = 256 << 10;

/// Why there are no bytes to send.
#[derive(Debug, thiserror::Error)]
pub(super) enum ReadError {
    #[error(transparent)]
    Disk(#[from] DiskError),
    #[error("reading panicked")]
    Panicked,
}

/// Reads the bytes and passes them on at the governor's pace; ends early when nobody takes them.
pub(super) async fn feed(
    shared: &Shared,
    reader: PackReader,
    mut at: u64,
    end: u64,
    sender: mpsc::Sender<Bytes>,
) -> Result<(), ReadError> {
    while at < end {
        let block = read(reader.clone(), at, end).await?;
        at += block.len() as u64;
        let mut rest = block;
        while !rest.is_empty() {
            let (piece, pause) = {
                let mut governor = shared.governor();
                let piece = rest.split_to(governor.piece_bytes().min(rest.len()));
                let pause = governor.take(Instant::now(), piece.len());
                (piece, pause)
            };
            if !pause.is_zero() {
                tokio::time::sleep(pause).await;
            }
            if sender.send(piece).await.is_err() {
                return Ok(());
            }
        }
    }
    Ok(())
}

async fn read(reader: PackReader, at: u64, end: u64) -> Result<Bytes, ReadError> {
    let len = usize::try_from(end - at).unwrap_or(usize::MAX).min(READ_BYTES);
    let read = blocking(move || {
        let mut block = vec![0; len];
        reader.read_exact_at(&mut block, at).map(|()| Bytes::from(block))
    });
    Ok(read.await.ok_or(ReadError::Panicked)??)
}
