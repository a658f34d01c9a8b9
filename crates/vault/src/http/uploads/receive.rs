//! A body's way into the store: gathered into large pieces, several of them under way at a time.

use std::{collections::VecDeque, sync::Arc, time::Duration};

use axum::body::Body;
use bytes::Bytes;
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;

use super::checksum::Checksum;
use crate::{
    auth::AuthError,
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

/// What a connection that is taken over may still bring: as much as lies in a socket, and no longer than this.
const LAST_LOOK: Duration = Duration::from_millis(5);
const LAST_LOOK_BYTES: usize = 4 << 20;

/// How a body ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Received {
    All,
    /// It went on after the upload's length; what belongs to the upload was taken.
    PastLength,
    WrongChecksum,
}

/// One body on its way into an upload.
pub(super) struct Receiver {
    pub(super) core: Arc<Core>,
    pub(super) upload: Arc<Upload>,
    pub(super) turn: Turn,
    /// Cancelled when the device is revoked.
    pub(super) gate: CancellationToken,
}

impl Receiver {
    /// Takes a body. Whatever came before an error is written on return (not for a wrong checksum).
    pub(super) async fn run(self, body: Body, checksum: Option<Checksum>) -> Result<Received, Refusal> {
        let mut pieces = Pieces::new(body, self.core.config.limits.body_timeout);
        let (core, upload) = (self.core.as_ref(), &self.upload);
        let begun_at = upload.offset();
        let mut writer =
            Writer { core, upload, batch: Vec::new(), batch_bytes: 0, under_way: VecDeque::new() };
        let taken = self.take(&mut pieces, &mut writer, checksum).await;
        let written = writer.finish().await;
        let received = taken?;
        written?;
        if received == Received::WrongChecksum {
            core.store.rewind_upload(upload, begun_at).await?;
        }
        Ok(received)
    }

    async fn take(
        &self,
        pieces: &mut Pieces,
        writer: &mut Writer<'_>,
        mut checksum: Option<Checksum>,
    ) -> Result<Received, Refusal> {
        let mut left = self.upload.target.length - self.upload.offset();
        let mut last_look = LAST_LOOK_BYTES;
        loop {
            let pause = (writer.batch_bytes > 0).then_some(PAUSE);
            let piece = match self.next(pieces, pause).await? {
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
            if self.turn.over.is_cancelled() {
                last_look = last_look.checked_sub(fits).ok_or_else(Refusal::taken_over)?;
            }
            writer.push(piece.slice(..fits)).await?;
            if beyond {
                return Ok(Received::PastLength);
            }
        }
        let right = checksum.is_none_or(Checksum::matches);
        Ok(if right { Received::All } else { Received::WrongChecksum })
    }

    /// The next piece, unless the upload must end. A connection that is taken over may be a dead link whose last bytes
    /// still lie in the socket: those are taken first.
    async fn next(&self, pieces: &mut Pieces, pause: Option<Duration>) -> Result<Piece, Refusal> {
        if self.turn.over.is_cancelled() {
            let last = pieces.next(Some(LAST_LOOK)).await?;
            return if matches!(last, Piece::Nothing) { Err(Refusal::taken_over()) } else { Ok(last) };
        }
        tokio::select! {
            piece = pieces.next(pause) => piece,
            () = self.turn.over.cancelled() => Ok(Piece::Nothing),
            () = self.gate.cancelled() => Err(AuthError::Revoked(self.upload.target.device.clone()).into()),
            () = self.core.stopping.cancelled() => Err(StoreError::Stopped.into()),
        }
    }
}

/// Gathers pieces into batches and hands them to the store.
struct Writer<'a> {
    core: &'a Core,
    upload: &'a Arc<Upload>,
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
        let answer = self.core.store.write_upload(self.upload, batch).await?;
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
