//! A body's way into the store: gathered into large pieces, several of them under way at a time.

use std::{collections::VecDeque, sync::Arc, time::Duration};

use axum::body::Body;
use bytes::Bytes;
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;

use super::checksum::Checksum;
use crate::{
    core::Core,
    http::{
        body::{Piece, Pieces},
        problem::Refusal,
    },
    store::StoreError,
    uploads::Turn,
};

/// Where a body's bytes go, one after the other.
pub(in crate::http) trait Destination: Send + Sync + 'static {
    /// How many bytes it still takes.
    fn left(&self) -> u64;

    /// Hands over the next bytes; the answer says the offset after them. Waits only for room.
    fn write(
        &self,
        batch: Vec<Bytes>,
    ) -> impl Future<Output = Result<oneshot::Receiver<Result<u64, StoreError>>, StoreError>> + Send;

    /// Forgets what came since this body began.
    fn take_back(&self) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// A body has ended, well or not: what is written is to stay.
    fn close(&self) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// Why it may be fed no more, once its gate is closed.
    fn refusal(&self) -> Refusal;
}

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
pub(in crate::http) enum Received {
    All,
    /// It went on after the upload's length; what belongs to the upload was taken.
    PastLength,
    WrongChecksum,
}

/// One body on its way into an upload.
pub(in crate::http) struct Receiver<D> {
    pub(in crate::http) core: Arc<Core>,
    pub(in crate::http) destination: D,
    pub(in crate::http) turn: Turn,
    /// Cancelled when whoever sends may do so no more.
    pub(in crate::http) gate: CancellationToken,
}

impl<D: Destination> Receiver<D> {
    /// Takes a body. Whatever came before an error is written on return (not for a wrong checksum).
    pub(in crate::http) async fn run(
        self,
        body: Body,
        checksum: Option<Checksum>,
    ) -> Result<Received, Refusal> {
        let mut pieces = Pieces::new(body, self.core.config.limits.body_timeout);
        let destination = &self.destination;
        let mut writer =
            Writer { destination, batch: Vec::new(), batch_bytes: 0, under_way: VecDeque::new() };
        let taken = self.take(&mut pieces, &mut writer, checksum).await;
        let written = writer.finish().await;
        if matches!(taken, Ok(Received::WrongChecksum)) {
            destination.take_back().await?;
        }
        let closed = destination.close().await;
        let received = taken?;
        written?;
        closed?;
        Ok(received)
    }

    async fn take(
        &self,
        pieces: &mut Pieces,
        writer: &mut Writer<'_, D>,
        mut checksum: Option<Checksum>,
    ) -> Result<Received, Refusal> {
        let mut left = self.destination.left();
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
            () = self.gate.cancelled() => Err(self.destination.refusal()),
            () = self.core.stopping.cancelled() => Err(StoreError::Stopped.into()),
        }
    }
}

/// Gathers pieces into batches and hands them to the store.
struct Writer<'a, D> {
    destination: &'a D,
    batch: Vec<Bytes>,
    batch_bytes: usize,
    under_way: VecDeque<oneshot::Receiver<Result<u64, StoreError>>>,
}

impl<D: Destination> Writer<'_, D> {
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
        let answer = self.destination.write(batch).await?;
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
