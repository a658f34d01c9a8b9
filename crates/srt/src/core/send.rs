//! The sender half of a connection: what the application gives is kept until the peer has acknowledged it, sent at a
//! bounded rate, and sent again where the peer misses it.
//!
//! Sans-IO: times are passed in, datagrams are polled out ([`Sender::poll_data`], [`Sender::poll_drop`]) until there is
//! nothing to do before [`Sender::next_timeout`].
//!
//! - *Retransmission*: a packet that the peer reports as missing goes out again, oldest first and before new ones, at
//!   most once in the time in which an answer can come: repeated reports cost nothing. All retransmissions together stay
//!   within a share of what the application gives (`overhead_percent`).
//! - *Tail probe*: a receiver cannot miss the last packets of a burst. When nothing was acknowledged for a while after
//!   the last sending, that packet alone goes out again (RFC 8985 §7), the oldest one at every second attempt.
//! - *Silence stops the flow*: when the peer says nothing although data is under way, the link is probably cut, and only
//!   one packet per 100 ms goes out until it is heard again.
//! - *Too late*: what is older than `too_late` is dropped, and the peer told so.
//!
//! A packet is encrypted once, at its first sending; a retransmission differs in one bit of the header. Memory is
//! bounded by `max_buffer_bytes` and `max_buffer_packets`; a steady stream allocates nothing.
//!
//! What does not belong here: handshake, keepalive and key exchange (the connection's), sockets.
//!
//! draft-sharabayko-srt-01 §4.

mod buffer;
mod delivery;
mod drop;
mod feedback;
mod lost;
mod pace;
mod peer;
mod poll;
mod stats;

pub use drop::DropOut;
pub use stats::SenderStats;

use std::time::{Duration, Instant};

use super::seq::Seq;
use buffer::Buffer;
use delivery::Delivery;
use drop::DropNotice;
use lost::LostList;
use pace::{InputRate, TokenBucket};
use peer::Peer;

/// What may be sent at once after a pause, as time at the full rate: a few timer ticks.
const PACE_BURST: Duration = Duration::from_millis(4);
/// At least this much may be sent at once.
const PACE_BURST_BYTES: u64 = 3000;
/// The budget of retransmissions is never lower, in bytes a second.
const OVERHEAD_LEAST: u64 = 32_000;
/// What of the budget may be saved up.
const OVERHEAD_BURST_BYTES: u64 = 64_000;
/// A sender that holds nothing for so long gives its memory back.
const QUIET: Duration = Duration::from_secs(2);
/// More packets than this would make sequence numbers ambiguous.
const MOST_PACKETS: u32 = 1 << 28;

/// How a sender works.
#[derive(Debug, Clone)]
pub struct SenderConfig {
    /// The first sequence number.
    pub start: Seq,
    /// What the peer needs between origin and playout; informational.
    pub peer_latency: Duration,
    /// The age at which packets are dropped; none: never.
    pub too_late: Option<Duration>,
    /// Payload bytes buffered at most.
    pub max_buffer_bytes: usize,
    /// Packets buffered at most, and thereby in flight.
    pub max_buffer_packets: u32,
    /// Ceiling for everything sent, in bytes of UDP payload a second.
    pub bandwidth_bytes_per_s: u64,
    /// Retransmissions, as a share of what the application gives.
    pub overhead_percent: u32,
    /// The largest payload.
    pub max_payload: usize,
    /// Packets that the peer takes beyond what it has acknowledged.
    pub peer_window: u32,
}

/// Why a payload was not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SendRefusal {
    /// The send buffer is full.
    #[error("the send buffer is full")]
    Full,
    /// A payload has at least one byte and at most `max_payload`.
    #[error("the payload is empty or too large")]
    Size,
}

/// The sender half of a connection.
#[derive(Debug)]
pub struct Sender {
    config: SenderConfig,
    buffer: Buffer,
    lost: LostList,
    pacer: TokenBucket,
    overhead: TokenBucket,
    input: InputRate,
    peer: Peer,
    delivery: Delivery,
    notice: DropNotice,
    /// Everything before this place is acknowledged; what is between it and the buffer's first was dropped.
    acked: u64,
    /// Everything before this place that is not acknowledged was dropped.
    dropped_to: u64,
    /// When the peer last acknowledged something new.
    progressed: Instant,
    last_sent: Instant,
    /// Probes since then.
    probes: u32,
    /// The latest time that was passed in.
    clock: Instant,
    counts: SenderStats,
}

impl Sender {
    /// A sender that has sent nothing.
    pub fn new(config: SenderConfig, now: Instant) -> Self {
        Self {
            buffer: Buffer::new(config.start),
            lost: LostList::default(),
            pacer: TokenBucket::new(config.bandwidth_bytes_per_s, PACE_BURST_BYTES, PACE_BURST, now),
            overhead: TokenBucket::new(OVERHEAD_LEAST, OVERHEAD_BURST_BYTES, Duration::ZERO, now),
            input: InputRate::new(now),
            peer: Peer::new(config.peer_window, now),
            delivery: Delivery::new(now),
            notice: DropNotice::default(),
            acked: 0,
            dropped_to: 0,
            progressed: now,
            last_sent: now,
            probes: 0,
            clock: now,
            counts: SenderStats::default(),
            config,
        }
    }

    /// Takes a copy of a payload. Its time stamp will say `now`, whenever it is sent.
    ///
    /// # Errors
    /// [`SendRefusal::Size`] if it is empty or too large, [`SendRefusal::Full`] if there is no room for it.
    pub fn send(&mut self, now: Instant, payload: &[u8]) -> Result<(), SendRefusal> {
        if payload.is_empty() || payload.len() > self.config.max_payload {
            return Err(SendRefusal::Size);
        }
        self.tick(now);
        let most = usize::try_from(self.config.max_buffer_packets.min(MOST_PACKETS)).unwrap_or(usize::MAX);
        let room = self.config.max_buffer_bytes.saturating_sub(self.buffer.bytes());
        if payload.len() > room || self.buffer.len() >= most {
            return Err(SendRefusal::Full);
        }
        if self.buffer.is_empty() {
            // Nothing was owed until now.
            self.progressed = self.clock;
            self.probes = 0;
        }
        self.buffer.push(self.clock, payload, self.config.max_payload);
        self.input.add(self.clock, payload.len());
        self.counts.accepted_packets += 1;
        self.counts.accepted_bytes += payload.len() as u64;
        Ok(())
    }

    /// Anything came from the peer.
    pub fn heard(&mut self, now: Instant) {
        self.clock = self.clock.max(now);
        self.peer.heard = self.clock;
    }

    /// A round trip measured by the handshake, which counts until the peer reports one.
    pub fn seed_rtt(&mut self, rtt: Duration) {
        self.peer.seed(rtt);
    }

    /// Sets the ceiling for everything sent.
    pub fn set_bandwidth(&mut self, bytes_per_s: u64) {
        self.pacer.set_rate(bytes_per_s);
    }

    /// Charges a datagram of the connection to the ceiling.
    pub fn charge(&mut self, bytes: usize) {
        self.pacer.spend(bytes);
    }

    /// Whether everything is acknowledged, or dropped and the peer told so (it knows, or does not answer).
    pub fn is_drained(&self) -> bool {
        self.buffer.is_empty() && (self.acked >= self.buffer.first() || self.notice.is_exhausted())
    }

    /// Packets sent for the first time.
    pub fn fresh_packets(&self) -> u64 {
        self.counts.sent_packets - self.counts.retransmitted_packets
    }

    /// Packets that will not be sent again: all before the first that may be.
    pub fn settled_packets(&self) -> u64 {
        self.buffer.first()
    }

    /// Counters and estimates.
    pub fn stats(&self, now: Instant) -> SenderStats {
        let age = |since: Instant| now.saturating_duration_since(since);
        let micros = |time: Duration| u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
        SenderStats {
            rtt_us: micros(self.peer.rtt),
            rtt_var_us: micros(self.peer.variance),
            buffered_packets: self.buffer.len() as u64,
            buffered_bytes: self.buffer.bytes() as u64,
            in_flight_packets: self.buffer.in_flight() as u64,
            buffered: self.buffer.oldest().map_or(Duration::ZERO, |slot| age(slot.accepted)),
            silence: age(self.peer.heard),
            input_bytes_per_s: self.input.estimate(),
            delivery_bytes_per_s: self.peer.reported_bytes_per_s,
            estimated_bytes_per_s: self.delivery.estimate(),
            ..self.counts
        }
    }
}

#[cfg(test)]
mod tests;
