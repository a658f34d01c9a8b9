//! A body's way into the store: gathered into large pieces, several of them under way at a time.

use std::{collections::VecDeque, sync::Arc, time::Duration};

use axum::body::Body;
use bytes::Bytes;
use tokio::sync::oneshot;

use super::checksum::Checksum;
use crate::{
    core::Core,
    http::{
        body::{Piece, Pieces},
        problem::Refusal,
    },
    store::StoreError,
    uploads::{Turn, Upload},
};

/// Bytes that are handed to the store at once where the network is fast.
const BATCH_BYTES: usize = 512 * 1024;
/// Where it is slow: what has come is handed over after this pause.
const PAUSE: Duration = Duration::from_millis(20);
/// Batches under way; with the one being gathered they bound the memory of an upload.
const UNDER_WAY: usize = 3;

/// How a body ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Received {
    All,
    /// It went on after the upload's length; what belongs to the upload was taken.
    PastLength,
    WrongChecksum,
}

/// Takes a body of at most `left` bytes. Whatever came before an error is kept.
pub(super) async fn receive(
    core: &Core,
    upload: &Arc<Upload>,
    turn: &Turn,
    left: u64,
    checksum: Option<Checksum>,
    body: Body,
) -> Result<Received, Refusal> {
    let mut pieces = Pieces::new(body, core.config.limits.body_timeout);
    let mut writer = Writer {
        core,
        upload,
        turn: turn.number,
        batch: Vec::new(),
        batch_bytes: 0,
        under_way: VecDeque::new(),
    };
    let taken = take(&mut pieces, &mut writer, left, checksum).await;
    // The bytes that came are good whatever ended the body.
    let written = writer.finish().await;
    let received = taken?;
    written?;
    Ok(received)
}

async fn take(
    pieces: &mut Pieces,
    writer: &mut Writer<'_>,
    mut left: u64,
    mut checksum: Option<Checksum>,
) -> Result<Received, Refusal> {
    loop {
        let pause = (writer.batch_bytes > 0).then_some(PAUSE);
        let piece = match pieces.next(pause).await? {
            Piece::Nothing => {
                writer.flush().await?;
                continue;
            }
            Piece::End => break,
            Piece::Data(piece) => piece,
        };
        if let Some(checksum) = &mut checksum {
            checksum.update(&piece);
        }
        let fits = usize::try_from(left).map_or(piece.len(), |left| piece.len().min(left));
        left -= fits as u64;
        let beyond = fits < piece.len();
        writer.push(piece.slice(..fits)).await?;
        if beyond {
            return Ok(Received::PastLength);
        }
    }
    let right = checksum.is_none_or(Checksum::matches);
    Ok(if right { Received::All } else { Received::WrongChecksum })
}

struct Writer<'a> {
    core: &'a Core,
    upload: &'a Arc<Upload>,
    turn: u64,
    batch: Vec<Bytes>,
    batch_bytes: usize,
    under_way: VecDeque<oneshot::Receiver<Result<u64, StoreError>>>,
}

impl Writer<'_> {
    async fn push(&mut self, piece: Bytes) -> Result<(), StoreError> {
        self.batch_bytes += piece.len();
        self.batch.push(piece);
        if self.batch_bytes >= BATCH_BYTES { self.flush().await } else { Ok(()) }
    }

    async fn flush(&mut self) -> Result<(), StoreError> {
        if self.batch.is_empty() {
            return Ok(());
        }
        if self.under_way.len() >= UNDER_WAY {
            self.settle_oldest().await?;
        }
        let batch = std::mem::take(&mut self.batch);
        self.batch_bytes = 0;
        let answer = self.core.store.write_upload(self.upload, self.turn, batch).await?;
        self.under_way.push_back(answer);
        Ok(())
    }

    async fn finish(mut self) -> Result<(), StoreError> {
        let mut result = self.flush().await;
        while !self.under_way.is_empty() {
            let settled = self.settle_oldest().await;
            result = result.and(settled);
        }
        result
    }

    async fn settle_oldest(&mut self) -> Result<(), StoreError> {
        let Some(oldest) = self.under_way.pop_front() else { return Ok(()) };
        oldest.await.map_err(|_| StoreError::Stopped)?.map(drop)
    }
}
