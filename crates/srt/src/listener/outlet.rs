//! From packets in order to the consumer's queue, through decryption where the connection is encrypted.
//!
//! `sapflow-srt` decrypts only inside its own listener, which plays out by time. So an encrypted connection has a
//! second, private listener of one connection ([`Mirror`]) that is shown the same handshake and then the packets in
//! the order in which the hold buffer releases them, with timestamps that are due at once. It never sends.
//!
//! Limit of the stop-gap: each encrypted connection derives its key twice (about 2 ms each) and costs a second AES
//! pass over nothing but its own payload.

use std::hash::RandomState;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use sapflow_srt::crypto::CryptoConfig;
use sapflow_srt::packet::HEADER_LEN;
use sapflow_srt::seq::Seq;
use sapflow_srt::{Config, ConnId, Event, Listener};

use super::feedback::overwrite;
use crate::CloseReason;
use crate::hold::HoldSink;
use crate::queue::DeliveryQueue;

/// Takes a connection's packets in order.
pub(super) struct Outlet {
    pub(super) queue: Arc<DeliveryQueue>,
    pub(super) mirror: Option<Mirror>,
    /// The queue refused a payload, or nobody reads it: the connection has to end.
    pub(super) overflowed: bool,
    /// Given up since the engine last looked, for its core.
    pub(super) skipped: Vec<(Seq, u64)>,
}

impl Outlet {
    pub(super) fn new(queue: Arc<DeliveryQueue>, mirror: Option<Mirror>) -> Self {
        Self { queue, mirror, overflowed: false, skipped: Vec::new() }
    }

    /// Sets the time at which the next packets come.
    pub(super) fn at(&mut self, now: Instant) -> &mut Self {
        if let Some(mirror) = &mut self.mirror {
            mirror.now = now;
        }
        self
    }

    fn push(&mut self, payload: &[u8]) {
        if !self.overflowed && !payload.is_empty() && !self.queue.push(payload) {
            self.overflowed = true;
        }
    }
}

impl Drop for Outlet {
    fn drop(&mut self) {
        // Only the first reason counts; this one is for a driver that was stopped from outside.
        self.queue.close(CloseReason::Stopped);
    }
}

impl HoldSink for Outlet {
    fn packet(&mut self, datagram: &[u8]) {
        match self.mirror.as_mut() {
            None => self.push(datagram.get(HEADER_LEN..).unwrap_or_default()),
            Some(mirror) => match mirror.decrypt(datagram) {
                Some(payload) => self.push(&payload),
                // A packet that no key fits is as good as lost, and must be marked so.
                None => self.queue.push_lost(1),
            },
        }
    }

    fn lost(&mut self, first: Seq, packets: u64) {
        self.queue.push_lost(packets);
        self.skipped.push((first, packets));
    }
}

/// The private listener that decrypts for one connection.
pub(super) struct Mirror {
    core: Listener<RandomState>,
    id: ConnId,
    peer: SocketAddr,
    now: Instant,
    due: u32,
}

/// What is needed to repeat a handshake.
pub(super) struct Replay<'a> {
    pub(super) key: RandomState,
    /// The clock of the cookie in `conclusion`.
    pub(super) epoch: Instant,
    pub(super) arrived: Instant,
    pub(super) peer: SocketAddr,
    pub(super) conclusion: &'a [u8],
    pub(super) timestamp: u32,
}

impl Mirror {
    /// Repeats a handshake that the real listener has accepted.
    pub(super) fn new(replay: Replay<'_>, crypto: CryptoConfig) -> Option<Self> {
        let config = Config {
            latency: Duration::from_millis(1),
            max_connections: 1,
            buffer_packets: 32,
            require_encryption: true,
            ..Config::default()
        };
        let mut core = Listener::with_key(config, replay.epoch, replay.key);
        core.handle_datagram(replay.arrived, replay.peer, replay.conclusion);
        let Some(Event::Connect { id, .. }) = core.poll_event() else {
            return None;
        };
        core.accept_with_crypto(id, replay.arrived, Some(crypto)).then_some(())?;
        // Far enough in the past that every packet is due when it comes, whatever the latency asked for.
        let due = replay.timestamp.wrapping_sub(120_000_000);
        Some(Self { core, id, peer: replay.peer, now: replay.arrived, due })
    }

    /// Decrypts the next packet in order.
    fn decrypt(&mut self, datagram: &[u8]) -> Option<Vec<u8>> {
        let mut copy = datagram.to_vec();
        overwrite(&mut copy, 8, self.due);
        overwrite(&mut copy, 12, self.id.0);
        self.feed(&copy);
        let mut payload = None;
        while let Some(event) = self.core.poll_event() {
            if let Event::Data { payload: bytes, .. } = event {
                payload = Some(bytes);
            }
        }
        payload
    }

    /// Shows it a key refresh.
    pub(super) fn refresh_key(&mut self, datagram: &[u8]) {
        let mut copy = datagram.to_vec();
        overwrite(&mut copy, 12, self.id.0);
        self.feed(&copy);
    }

    fn feed(&mut self, datagram: &[u8]) {
        self.core.handle_datagram(self.now, self.peer, datagram);
        while self.core.poll_transmit().is_some() {}
    }
}
