//! A link, and a receiver that knows packets by their place in the stream.

use std::collections::BTreeSet;

use super::*;

/// The way there and back.
#[derive(Debug, Clone)]
pub(super) struct Link {
    pub(super) data_loss: f64,
    pub(super) feedback_loss: f64,
    pub(super) rtt: Duration,
    pub(super) jitter: Duration,
    /// Of the way there, with a queue of this many bytes.
    pub(super) bytes_per_s: u64,
    pub(super) queue_bytes: u64,
    pub(super) cut: bool,
}

impl Link {
    pub(super) fn new(data_loss: f64, feedback_loss: f64, rtt: Duration) -> Self {
        let (jitter, bytes_per_s, queue_bytes) = (Duration::ZERO, 1 << 40, u64::MAX);
        Self { data_loss, feedback_loss, rtt, jitter, bytes_per_s, queue_bytes, cut: false }
    }
}

pub(super) enum Message {
    Data(u64),
    Drop(u64, u64),
    Ack(Ack),
    Nak(Vec<SeqRange>),
}

/// Knows packets by their place in the stream.
pub(super) struct Receiver {
    pub(super) next: u64,
    pub(super) highest: u64,
    pub(super) held: BTreeSet<u64>,
    pub(super) ack_due: bool,
    pub(super) acked_at: Instant,
    pub(super) naked_at: Instant,
    pub(super) ack_interval: Duration,
    pub(super) nak_interval: Duration,
    pub(super) free: u32,
}

impl Receiver {
    pub(super) fn take(&mut self, from: u64, until: u64) {
        for place in from.max(self.next)..until {
            self.held.insert(place);
        }
        self.highest = self.highest.max(until);
        while self.held.remove(&self.next) {
            self.next += 1;
        }
        self.ack_due = true;
    }

    pub(super) fn missing(&self, from: u64) -> Vec<SeqRange> {
        let mut ranges: Vec<(u64, u64)> = Vec::new();
        for place in (from.max(self.next)..self.highest).filter(|place| !self.held.contains(place)) {
            match ranges.last_mut() {
                Some((_, last)) if *last + 1 == place => *last = place,
                _ => ranges.push((place, place)),
            }
        }
        let range = |(first, last)| SeqRange::new(seq(first), seq(last)).unwrap();
        ranges.into_iter().take(180).map(range).collect()
    }
}
