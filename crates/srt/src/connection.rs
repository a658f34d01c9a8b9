//! One accepted publisher, as its consumer sees it.
//!
//! What does not belong here: anything that touches the socket; that is the listener's worker.
//!
//! Rooms: `outbox` holds what waits to be sent to the peer, `stats` what is counted.

mod outbox;
mod stats;

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;

pub use stats::ConnectionStats;

use crate::core::SocketId;
use crate::listener::{Command, Mailbox};
use crate::queue::DeliveryQueue;
use crate::{CloseReason, Delivery, LostRange, SendError, TS_PAYLOAD_BYTES};
pub(crate) use outbox::Fate;
use outbox::Outbox;

/// An accepted connection; dropping it closes it.
#[derive(Debug)]
pub struct Connection {
    pub(crate) id: SocketId,
    pub(crate) stream_id: Arc<str>,
    pub(crate) encrypted: bool,
    pub(crate) latency: Duration,
    pub(crate) shared: Arc<Shared>,
    pub(crate) mailbox: Mailbox,
}

/// What a connection shares with its worker.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) queue: DeliveryQueue,
    pub(crate) outbox: Outbox,
    peer: Mutex<SocketAddr>,
}

impl Shared {
    pub(crate) fn new(peer: SocketAddr, max_queued_bytes: usize) -> Self {
        Self {
            queue: DeliveryQueue::new(max_queued_bytes),
            outbox: Outbox::default(),
            peer: Mutex::new(peer),
        }
    }

    pub(crate) fn peer(&self) -> SocketAddr {
        *self.peer.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn moved(&self, to: SocketAddr) {
        *self.peer.lock().unwrap_or_else(PoisonError::into_inner) = to;
    }

    pub(crate) fn close(&self, reason: CloseReason) {
        self.queue.close(reason);
        self.outbox.close();
    }
}

impl Connection {
    /// The next delivery; `None` after [`Delivery::Closed`] was taken.
    ///
    /// # Cancel safety
    /// Nothing is lost when the future is dropped.
    pub async fn recv(&mut self) -> Option<Delivery> {
        self.shared.queue.take().await
    }

    /// Which packets the [`Delivery::Lost`] that was taken last is about.
    pub fn lost_range(&self) -> Option<LostRange> {
        self.shared.queue.lost_range()
    }

    /// Queues one payload of at most [`TS_PAYLOAD_BYTES`] for the peer, waiting for room.
    ///
    /// # Errors
    /// [`SendError::Closed`] or [`SendError::Size`].
    ///
    /// # Cancel safety
    /// The payload is queued when the future is ready; a dropped future has queued nothing.
    pub async fn send(&self, payload: Bytes) -> Result<(), SendError> {
        loop {
            let room = self.shared.outbox.room();
            tokio::pin!(room);
            // Listens before it tries, so that room made in between is not missed.
            room.as_mut().enable();
            match self.queue_payload(|| payload.clone(), payload.len()) {
                Err(SendError::Full) => room.await,
                done => return done,
            }
        }
    }

    /// Queues one payload for the peer if there is room now.
    ///
    /// # Errors
    /// [`SendError`]; [`SendError::Full`] when there is no room.
    pub fn try_send(&self, payload: &[u8]) -> Result<(), SendError> {
        self.queue_payload(|| Bytes::copy_from_slice(payload), payload.len())
    }

    /// The peer's address, which changes when the peer has proved that it has moved.
    pub fn peer(&self) -> SocketAddr {
        self.shared.peer()
    }

    /// The stream id that the caller sent.
    pub fn stream_id(&self) -> &str {
        &self.stream_id
    }

    /// Whether the payloads come encrypted.
    pub fn encrypted(&self) -> bool {
        self.encrypted
    }

    /// The negotiated latency: how long a gap is held.
    pub fn latency(&self) -> Duration {
        self.latency
    }

    /// Counters so far; those that the worker keeps are as of the last packets.
    pub fn stats(&self) -> ConnectionStats {
        self.shared.queue.stats()
    }

    /// Why it ended, when it has; deliveries may still wait to be taken.
    pub fn closed(&self) -> Option<CloseReason> {
        self.shared.queue.closed()
    }

    /// Ends the connection; the peer is told. What was not taken yet is thrown away.
    pub fn close(self) {
        drop(self);
    }

    fn queue_payload(&self, payload: impl FnOnce() -> Bytes, bytes: usize) -> Result<(), SendError> {
        if bytes == 0 || bytes > TS_PAYLOAD_BYTES {
            return Err(SendError::Size { bytes });
        }
        if let Some(reason) = self.closed() {
            return Err(SendError::Closed(reason));
        }
        if !self.shared.outbox.push(payload, bytes) {
            return Err(SendError::Full);
        }
        if self.shared.outbox.announce() && !self.mailbox.try_give(Command::Send { id: self.id }) {
            // The worker finds it with its next sweep, or is told with the next payload.
            self.shared.outbox.unannounce();
        }
        Ok(())
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.shared.queue.abandon();
        // When the mailbox is full, the worker finds the abandoned queue at its next payload or sweep.
        self.mailbox.try_give(Command::Close { id: self.id });
    }
}
