//! One accepted publisher, as its consumer sees it.
//!
//! What does not belong here: anything that touches the socket; that is the listener's driver.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;

use crate::listener::Command;
use crate::queue::DeliveryQueue;
use crate::{CloseReason, Delivery};

/// An accepted connection; dropping it closes it.
#[derive(Debug)]
pub struct Connection {
    pub(crate) id: u32,
    pub(crate) peer: SocketAddr,
    pub(crate) stream_id: Arc<str>,
    pub(crate) encrypted: bool,
    pub(crate) latency: Duration,
    pub(crate) queue: Arc<DeliveryQueue>,
    pub(crate) commands: mpsc::Sender<Command>,
}

impl Connection {
    /// The next delivery; `None` after [`Delivery::Closed`] was taken.
    ///
    /// # Cancel safety
    /// Nothing is lost when the future is dropped.
    pub async fn recv(&mut self) -> Option<Delivery> {
        self.queue.take().await
    }

    /// The peer's address.
    pub fn peer(&self) -> SocketAddr {
        self.peer
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

    /// Counters so far; those that the driver keeps are up to 20 ms old.
    pub fn stats(&self) -> ConnectionStats {
        self.queue.stats()
    }

    /// Why it ended, when it has; deliveries may still wait to be taken.
    pub fn closed(&self) -> Option<CloseReason> {
        self.queue.closed()
    }

    /// Ends the connection; the peer is told. What was not taken yet is thrown away.
    pub fn close(self) {
        drop(self);
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.queue.abandon();
        // When the command queue is full, the driver finds the abandoned queue at its next payload or tick.
        let _ = self.commands.try_send(Command::Close { id: self.id });
    }
}

/// Counters of one connection.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ConnectionStats {
    /// Data packets that arrived, every copy.
    pub received_packets: u64,
    /// Their payload bytes.
    pub received_bytes: u64,
    /// Payload bytes handed over in order (queued for the consumer or taken by it).
    pub delivered_bytes: u64,
    /// Packets given up.
    pub lost_packets: u64,
    /// Copies of packets that were held already.
    pub duplicate_packets: u64,
    /// Packets that came after they had been delivered or given up.
    pub late_packets: u64,
    /// Packets marked as retransmissions.
    pub retransmitted_packets: u64,
    /// Packets refused: outside the window, or a key mismatch.
    pub refused_packets: u64,
    /// NAK packets sent.
    pub naks_sent: u64,
    /// ACK packets sent.
    pub acks_sent: u64,
    /// Packets that wait behind a gap now.
    pub held_packets: u64,
    /// Payload bytes that wait for the consumer now.
    pub queued_bytes: u64,
}
