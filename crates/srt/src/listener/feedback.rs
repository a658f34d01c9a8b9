//! What of the core's acknowledgements and loss reports goes out, and when.
//!
//! The core wants to send a full ACK every 10 ms, each answered by an ACKACK: on a mobile link that is several per
//! cent of a dashcam's stream. An ingest needs no such haste, so [`AckGate`] lets one through per interval and keeps
//! the last one back until its time comes. The core reports a gap at once, also one that is only a reordering;
//! [`NakGate`] waits as long as this link's reorderings have lasted lately, then asks only for what is still missing.
//!
//! Invariants: the last ACK of a burst always goes out; a NAK is kept back by [`MAX_REORDER_WAIT`] at most; times are
//! passed in.
//!
//! draft-sharabayko-srt-01 §3.2.4, §3.2.5.

use std::time::{Duration, Instant};

use sapflow_srt::packet::{Control, ControlPacket, Packet};
use sapflow_srt::seq::Seq;

use crate::hold::HoldBuffer;

/// The longest that a NAK is kept back for packets that may only be out of order.
pub(super) const MAX_REORDER_WAIT: Duration = Duration::from_millis(40);
/// Byte offsets in a full ACK.
#[cfg(test)]
const ACK_SEQUENCE: usize = 16;
const ACK_FREE_PACKETS: usize = 28;
const ACK_BYTE_RATE: usize = 40;
/// The least length of a full ACK with rates.
const FULL_ACK_BYTES: usize = 44;

/// Writes a big-endian word into a datagram, if it is that long.
pub(super) fn overwrite(datagram: &mut [u8], at: usize, value: u32) {
    if let Some(word) = datagram.get_mut(at..at + 4) {
        word.copy_from_slice(&value.to_be_bytes());
    }
}

fn word(datagram: &[u8], at: usize) -> Option<u32> {
    datagram.get(at..at + 4)?.try_into().ok().map(u32::from_be_bytes)
}

/// Paces a connection's acknowledgements.
#[derive(Debug)]
pub(super) struct AckGate {
    interval: Duration,
    last: Option<Instant>,
    kept: Option<Vec<u8>>,
    /// The number of an ACK that waited here: its answer tells nothing about the round trip.
    aged: Option<u32>,
    pub(super) sent: u64,
}

impl AckGate {
    pub(super) fn new(interval: Duration) -> Self {
        Self { interval, last: None, kept: None, aged: None, sent: 0 }
    }

    /// An ACK from the core: what is to be sent now.
    pub(super) fn pass(&mut self, now: Instant, ack: Vec<u8>) -> Option<Vec<u8>> {
        if ack.len() < FULL_ACK_BYTES {
            // A light ACK tells a fast sender how far we are; the core makes them rarely.
            self.sent += 1;
            return Some(ack);
        }
        if self.last.is_some_and(|last| now < last + self.interval) {
            self.kept = Some(ack);
            return None;
        }
        self.kept = None;
        self.last = Some(now);
        self.sent += 1;
        Some(ack)
    }

    /// The ACK kept back, when its time has come.
    pub(super) fn due(&mut self, now: Instant) -> Option<Vec<u8>> {
        if self.next_due()? > now {
            return None;
        }
        let ack = self.kept.take()?;
        self.aged = word(&ack, 4);
        self.last = Some(now);
        self.sent += 1;
        Some(ack)
    }

    pub(super) fn next_due(&self) -> Option<Instant> {
        self.kept.as_ref()?;
        self.last.map(|last| last + self.interval)
    }

    /// Whether an ACKACK measures a round trip.
    pub(super) fn measures(&self, number: u32) -> bool {
        self.aged != Some(number)
    }
}

/// Puts the connection's own numbers into a full ACK.
pub(super) fn complete_ack(ack: &mut [u8], free_packets: usize, bytes_per_second: u32) {
    if ack.len() >= FULL_ACK_BYTES {
        overwrite(ack, ACK_FREE_PACKETS, u32::try_from(free_packets).unwrap_or(u32::MAX));
        overwrite(ack, ACK_BYTE_RATE, bytes_per_second);
    }
}

/// The sequence number that an ACK acknowledges up to.
#[cfg(test)]
fn acknowledged(ack: &[u8]) -> Option<Seq> {
    word(ack, ACK_SEQUENCE).map(Seq::new)
}

/// Keeps loss reports back while packets may only be out of order.
#[derive(Debug, Default)]
pub(super) struct NakGate {
    /// How late packets that were merely out of order came, lately.
    wait: Duration,
    /// When the gap at the front of the stream was seen first.
    kept: Option<(Instant, Vec<u8>)>,
    pub(super) sent: u64,
}

impl NakGate {
    /// A NAK from the core: what is to be sent now.
    pub(super) fn pass(&mut self, now: Instant, nak: Vec<u8>, hold: &HoldBuffer) -> Vec<Vec<u8>> {
        let mut out = Vec::new();
        if self.wait.is_zero() {
            self.sent += 1;
            out.push(nak);
            return out;
        }
        // The core asks again by itself; one report at a time waits here.
        if let Some((_, before)) = self.kept.replace((now + self.wait, nak)) {
            out.extend(self.still_missing(&before, hold));
        }
        out
    }

    /// The report kept back, when its time has come, without what has arrived meanwhile.
    pub(super) fn due(&mut self, now: Instant, hold: &HoldBuffer) -> Option<Vec<u8>> {
        if self.next_due()? > now {
            return None;
        }
        let (_, nak) = self.kept.take()?;
        self.still_missing(&nak, hold)
    }

    pub(super) fn next_due(&self) -> Option<Instant> {
        self.kept.as_ref().map(|(at, _)| *at)
    }

    /// An original (not a retransmission) closed a gap that was this old: this link reorders.
    pub(super) fn reordered(&mut self, age: Duration) {
        if age <= MAX_REORDER_WAIT {
            self.wait = self.wait.max(age + age / 4).min(MAX_REORDER_WAIT);
        }
    }

    /// A gap was closed by a retransmission: this link loses, so waiting costs time.
    pub(super) fn lost(&mut self) {
        self.wait = self.wait * 15 / 16;
        if self.wait < Duration::from_millis(1) {
            self.wait = Duration::ZERO;
        }
    }

    fn still_missing(&mut self, nak: &[u8], hold: &HoldBuffer) -> Option<Vec<u8>> {
        let Ok(Packet::Control(ControlPacket { timestamp, dest, body: Control::Nak(ranges) })) =
            Packet::parse(nak)
        else {
            return None;
        };
        let ranges: Vec<_> = ranges.iter().flat_map(|range| missing_within(*range, hold)).collect();
        if ranges.is_empty() {
            return None;
        }
        self.sent += 1;
        let mut out = Vec::with_capacity(16 + 8 * ranges.len());
        ControlPacket::new(timestamp, dest, Control::Nak(ranges)).encode(&mut out);
        Some(out)
    }
}

/// The runs of a range that are missing still.
fn missing_within((first, last): (Seq, Seq), hold: &HoldBuffer) -> Vec<(Seq, Seq)> {
    let mut runs: Vec<(Seq, Seq)> = Vec::new();
    let length = u32::try_from(first.distance_to(last)).unwrap_or(0);
    for seq in (0..=length).map(|n| first.add(n)).filter(|seq| hold.is_missing(*seq)) {
        match runs.last_mut() {
            Some((_, end)) if end.next() == seq => *end = seq,
            _ => runs.push((seq, seq)),
        }
    }
    runs
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hold::{Arrival, HoldSink};

    struct Ignore;
    impl HoldSink for Ignore {
        fn packet(&mut self, _: &[u8]) {}
        fn lost(&mut self, _: Seq, _: u64) {}
    }

    fn full_ack(number: u32, seq: u32) -> Vec<u8> {
        let mut ack = vec![0; FULL_ACK_BYTES];
        overwrite(&mut ack, 0, 0x8002_0000);
        overwrite(&mut ack, 4, number);
        overwrite(&mut ack, ACK_SEQUENCE, seq);
        ack
    }

    fn nak(ranges: &[(u32, u32)]) -> Vec<u8> {
        let ranges = ranges.iter().map(|(a, b)| (Seq::new(*a), Seq::new(*b))).collect();
        let mut out = Vec::new();
        ControlPacket::new(0, 1, Control::Nak(ranges)).encode(&mut out);
        out
    }

    #[test]
    fn one_full_ack_goes_out_per_interval_and_the_last_one_always() {
        let t = Instant::now();
        let ms = Duration::from_millis;
        let mut gate = AckGate::new(ms(100));
        assert!(gate.pass(t, full_ack(1, 10)).is_some());
        assert!(gate.pass(t + ms(20), full_ack(2, 20)).is_none());
        assert!(gate.pass(t + ms(40), full_ack(3, 30)).is_none());
        assert_eq!(gate.next_due(), Some(t + ms(100)));
        assert!(gate.due(t + ms(99)).is_none());
        let last = gate.due(t + ms(100)).unwrap();
        assert_eq!(acknowledged(&last), Some(Seq::new(30)));
        assert!(!gate.measures(3) && gate.measures(1));
        assert!(gate.pass(t + ms(200), full_ack(4, 40)).is_some());
        assert!(gate.due(t + ms(900)).is_none());
        assert_eq!(gate.sent, 3);
    }

    #[test]
    fn on_a_link_that_reorders_only_what_stays_missing_is_asked_for() {
        let t = Instant::now();
        let mut hold = HoldBuffer::new(Seq::new(0), 64, Duration::from_secs(3));
        let mut gate = NakGate::default();
        assert_eq!(hold.insert(t, Seq::new(5), b"", &mut Ignore), Arrival::Held);
        assert_eq!(gate.pass(t, nak(&[(0, 4)]), &hold), [nak(&[(0, 4)])], "nothing known: at once");
        gate.reordered(Duration::from_millis(8));
        assert!(gate.pass(t, nak(&[(0, 4)]), &hold).is_empty());
        hold.insert(t, Seq::new(0), b"", &mut Ignore);
        hold.insert(t, Seq::new(2), b"", &mut Ignore);
        assert_eq!(gate.due(t + Duration::from_millis(9), &hold), None);
        assert_eq!(gate.due(t + Duration::from_millis(10), &hold), Some(nak(&[(1, 1), (3, 4)])));
        assert!(gate.pass(t, nak(&[(1, 1)]), &hold).is_empty());
        hold.insert(t, Seq::new(1), b"", &mut Ignore);
        assert_eq!(gate.due(t + Duration::from_secs(1), &hold), None, "all there: nothing to ask for");
    }

    #[test]
    fn on_a_link_that_loses_the_wait_ends() {
        let mut gate = NakGate::default();
        gate.reordered(Duration::from_millis(20));
        for _ in 0..64 {
            gate.lost();
        }
        assert_eq!(gate.wait, Duration::ZERO);
        gate.reordered(Duration::from_secs(2));
        assert_eq!(gate.wait, Duration::ZERO, "that was no reordering");
    }
}
