//! What a caller learns from the packets that pass by, and the probe that finds a lost tail.
//!
//! A receiver asks for what is missing *before* something it has; the last packets of a burst it cannot miss. The
//! core's answer is a timer that sends everything unacknowledged again, which wastes a mobile link whenever an ACK is
//! late. Here the core is told a variance that keeps that timer far away ([`VARIANCE_US`]), and when nothing was
//! acknowledged for a while after the last packet, that packet alone is sent again ([`Tail::probe`], as RFC 8985 §7
//! does for TCP): if more is missing, the receiver asks for it.
//!
//! Both work by showing the core a packet as if the peer had sent it.

use std::time::{Duration, Instant};

use sapflow_srt::packet::{Ack, AckStats, Control, ControlPacket, Handshake, Packet};
use sapflow_srt::seq::Seq;

/// The least round-trip variance that the core is told, in microseconds: a quarter of its retransmission timer.
pub(super) const VARIANCE_US: u32 = 15_000_000;
/// The round-trip time assumed before the peer has measured one, in microseconds (the specification's).
const FIRST_RTT_US: u32 = 100_000;
/// What an ACK may take beyond the round trips: listeners let them gather.
const ACK_DELAY: Duration = Duration::from_millis(150);
/// The longest pause between two probes.
const LONGEST: Duration = Duration::from_secs(1);

/// Sequence numbers and times of one session.
#[derive(Debug)]
pub(super) struct Tail {
    /// Our socket id, to which forged packets go.
    socket: u32,
    initial: Seq,
    last_sent: Option<Seq>,
    acknowledged: Option<Seq>,
    sent_at: Instant,
    probes: u32,
}

impl Tail {
    pub(super) fn new(now: Instant) -> Self {
        Self { socket: 0, initial: Seq::new(0), last_sent: None, acknowledged: None, sent_at: now, probes: 0 }
    }

    /// Looks at a datagram that is being sent.
    pub(super) fn sent(&mut self, now: Instant, datagram: &[u8]) {
        match Packet::parse(datagram) {
            Ok(Packet::Data(data)) => {
                if self.last_sent.is_none_or(|last| last.distance_to(data.seq) > 0) {
                    self.last_sent = Some(data.seq);
                }
                self.sent_at = now;
            }
            Ok(Packet::Control(ControlPacket { body: Control::Handshake(hs), .. })) => self.handshake(&hs),
            _ => {}
        }
    }

    fn handshake(&mut self, hs: &Handshake) {
        self.socket = hs.socket_id;
        self.initial = Seq::new(hs.initial_seq);
    }

    /// The peer has acknowledged everything before `seq`.
    pub(super) fn acknowledged(&mut self, seq: Seq) {
        if self.acknowledged.is_none_or(|before| before.distance_to(seq) > 0) {
            self.acknowledged = Some(seq);
            self.probes = 0;
        }
    }

    /// When to probe, if something is unacknowledged.
    pub(super) fn next_probe(&self, rtt_us: u64) -> Option<Instant> {
        let last = self.last_sent?;
        if self.acknowledged.is_some_and(|seq| last.distance_to(seq) > 0) {
            return None;
        }
        let once = ACK_DELAY + Duration::from_micros(rtt_us.min(1_000_000)) * 2;
        let wait = once.saturating_mul(1 << self.probes.min(4)).min(LONGEST.max(once));
        Some(self.sent_at + wait)
    }

    /// A loss report for the last packet, when it is time for one.
    pub(super) fn probe(&mut self, now: Instant, rtt_us: u64) -> Option<Vec<u8>> {
        let last = self.last_sent?;
        if self.next_probe(rtt_us)? > now {
            return None;
        }
        self.probes += 1;
        self.sent_at = now;
        Some(self.forge(Control::Nak(vec![(last, last)])))
    }

    /// The acknowledgement of nothing that tells the core our variance before the first real one comes.
    pub(super) fn first_ack(&self) -> Vec<u8> {
        let stats = AckStats { rtt: FIRST_RTT_US, rtt_var: VARIANCE_US, buffer: u32::MAX, rates: None };
        self.forge(Control::Ack(Ack { number: 0, ack: self.initial, stats: Some(stats) }))
    }

    fn forge(&self, body: Control) -> Vec<u8> {
        let mut out = Vec::with_capacity(48);
        ControlPacket::new(0, self.socket, body).encode(&mut out);
        out
    }
}
