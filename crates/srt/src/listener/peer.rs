//! One accepted connection inside the engine: its hold buffer, its gates, its counters.
//!
//! The core behind it is a control plane only: it is shown each packet's header without its payload, with a timestamp
//! that says whether the packet waits for others, and stands-ins for the packets that were given up. So its
//! acknowledgements follow the hold buffer, and it buffers nothing of size.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use sapflow_srt::packet::{DataPacket, HEADER_LEN};
use sapflow_srt::seq::Seq;

use super::feedback::{AckGate, NakGate, overwrite};
use super::outlet::Outlet;
use crate::ConnectionStats;
use crate::hold::{Arrival, HoldBuffer};

/// Packets that a connection holds at most.
pub(super) const HOLD_PACKETS: usize = 8192;

pub(super) struct Peer {
    pub(super) addr: SocketAddr,
    /// The caller's own socket id, by which the core addresses it.
    pub(super) caller_socket: u32,
    pub(super) stream_id: Arc<str>,
    pub(super) hold: HoldBuffer,
    pub(super) outlet: Outlet,
    pub(super) acks: AckGate,
    pub(super) naks: NakGate,
    pub(super) rate: RateMeter,
    encrypted: bool,
    latency: Duration,
    opened: Instant,
    /// The caller's timestamp at `opened`.
    timestamp: u32,
    last_key: u8,
    stats: ConnectionStats,
}

/// What an accepted handshake says of a connection.
pub(super) struct Opening {
    pub(super) addr: SocketAddr,
    pub(super) caller_socket: u32,
    pub(super) stream_id: Arc<str>,
    pub(super) initial: Seq,
    pub(super) timestamp: u32,
    pub(super) latency: Duration,
    pub(super) ack_interval: Duration,
    pub(super) encrypted: bool,
}

impl Peer {
    pub(super) fn new(now: Instant, opening: Opening, outlet: Outlet) -> Self {
        Self {
            addr: opening.addr,
            caller_socket: opening.caller_socket,
            stream_id: opening.stream_id,
            hold: HoldBuffer::new(opening.initial, HOLD_PACKETS, opening.latency),
            outlet,
            acks: AckGate::new(opening.ack_interval),
            naks: NakGate::default(),
            rate: RateMeter::new(now),
            encrypted: opening.encrypted,
            latency: opening.latency,
            opened: now,
            timestamp: opening.timestamp,
            last_key: 0,
            stats: ConnectionStats::default(),
        }
    }

    /// Takes a data packet and writes what the core is to be shown of it.
    pub(super) fn data(
        &mut self,
        now: Instant,
        packet: &DataPacket<'_>,
        datagram: &[u8],
        core: &mut Vec<Header>,
    ) {
        self.stats.received_packets += 1;
        self.stats.received_bytes += packet.payload.len() as u64;
        self.stats.retransmitted_packets += u64::from(packet.retransmitted);
        if matches!(packet.key, 1 | 2) != self.encrypted || packet.payload.len() > crate::MAX_PAYLOAD_BYTES {
            self.stats.refused_packets += 1;
            return;
        }
        self.rate.add(now, packet.payload.len());
        let gap = self.hold.missing_since(packet.seq);
        let arrival = self.hold.insert(now, packet.seq, datagram, self.outlet.at(now));
        match arrival {
            Arrival::Refused => self.stats.refused_packets += 1,
            Arrival::Duplicate => self.stats.duplicate_packets += 1,
            Arrival::Late => self.stats.late_packets += 1,
            Arrival::InOrder | Arrival::Filled | Arrival::Held => self.last_key = packet.key,
        }
        match gap {
            Some(_) if packet.retransmitted => self.naks.lost(),
            Some(since) => self.naks.reordered(now.saturating_duration_since(since)),
            None => {}
        }
        self.stand_ins(now, core);
        if arrival != Arrival::Refused {
            core.push(self.header(now, datagram, self.hold.is_ahead(packet.seq)));
        }
    }

    /// Gives up what has waited for too long.
    pub(super) fn expire(&mut self, now: Instant, core: &mut Vec<Header>) {
        self.hold.expire(now, self.outlet.at(now));
        self.stand_ins(now, core);
    }

    /// The sender has dropped packets.
    pub(super) fn dropped(&mut self, now: Instant, first: Seq, last: Seq, core: &mut Vec<Header>) {
        self.hold.drop_range(now, first, last, self.outlet.at(now));
        self.stand_ins(now, core);
    }

    /// The connection is over: everything that has arrived goes out.
    pub(super) fn flush(&mut self, now: Instant) {
        self.hold.flush(self.outlet.at(now));
    }

    /// When something here is due.
    pub(super) fn next_wake(&self) -> Option<Instant> {
        [self.hold.next_expiry(), self.acks.next_due(), self.naks.next_due()].into_iter().flatten().min()
    }

    /// Shows the counters to the consumer.
    pub(super) fn publish(&self) {
        let mut ours = self.stats;
        ours.naks_sent = self.naks.sent;
        ours.acks_sent = self.acks.sent;
        ours.held_packets = self.hold.held() as u64;
        self.outlet.queue.update_stats(|stats| {
            *stats = ConnectionStats {
                delivered_bytes: stats.delivered_bytes,
                lost_packets: stats.lost_packets,
                ..ours
            };
        });
    }

    /// Headers that make the core believe that what was given up has arrived, so that it acknowledges past it.
    fn stand_ins(&mut self, now: Instant, core: &mut Vec<Header>) {
        for (first, packets) in std::mem::take(&mut self.outlet.skipped) {
            // Past a jump wider than its buffer the core starts afresh by itself.
            if packets > HOLD_PACKETS as u64 {
                continue;
            }
            for n in 0..u32::try_from(packets).unwrap_or(0) {
                let mut header = [0; HEADER_LEN];
                overwrite(&mut header, 0, first.add(n).get());
                // A whole message, marked as a retransmission so that it enters no rate.
                overwrite(&mut header, 4, 0xC400_0001 | u32::from(self.last_key) << 27);
                core.push(self.header(now, &header, false));
            }
        }
    }

    /// A packet's header with the timestamp that makes the core keep it (for the latency) or let it go at once.
    fn header(&self, now: Instant, datagram: &[u8], keep: bool) -> Header {
        let mut header = [0; HEADER_LEN];
        if let Some(bytes) = datagram.get(..HEADER_LEN) {
            header.copy_from_slice(bytes);
        }
        let age = now.saturating_duration_since(self.opened);
        let back = if keep { Duration::ZERO } else { self.latency + Duration::from_secs(1) };
        // Truncation is the wire's: timestamps are 32 bits that wrap.
        let stamp = self.timestamp.wrapping_add(micros(age)).wrapping_sub(micros(back));
        overwrite(&mut header, 8, stamp);
        header
    }
}

/// A data packet's header, without payload.
pub(super) type Header = [u8; HEADER_LEN];

#[expect(clippy::cast_possible_truncation, reason = "timestamps are 32 bits and wrap")]
fn micros(duration: Duration) -> u32 {
    duration.as_micros() as u32
}

/// Payload bytes a second, over the last whole second.
#[derive(Debug)]
pub(super) struct RateMeter {
    since: Instant,
    bytes: u64,
    per_second: u32,
}

impl RateMeter {
    fn new(now: Instant) -> Self {
        Self { since: now, bytes: 0, per_second: 0 }
    }

    fn add(&mut self, now: Instant, bytes: usize) {
        let elapsed = now.saturating_duration_since(self.since);
        if elapsed >= Duration::from_secs(1) {
            let ms = u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX).max(1);
            self.per_second = u32::try_from(self.bytes.saturating_mul(1000) / ms).unwrap_or(u32::MAX);
            self.since = now;
            self.bytes = 0;
        }
        self.bytes += bytes as u64;
    }

    pub(super) fn bytes_per_second(&self) -> u32 {
        self.per_second
    }
}
