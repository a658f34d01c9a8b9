//! The delivery rate: what arrives at the peer, and what the link could carry.
//!
//! A packet counts as delivered when it is acknowledged, or as soon as a NAK names a later one and not it (a receiver
//! asks for what is missing before something that it has). So a hole at the front does not hide what arrives behind it.
//!
//! Rates are taken over epochs of some round trips. A sample says what the *link* carries only if the link, and not
//! the application or our own ceiling, was the limit: much less arrives than was sent, twice in a row, or packets had
//! to wait although the ceiling was not reached. Such samples make the estimate (their mean over the last ones); all
//! others may only raise it, and to no more than the lower of two in a row: acknowledgements come in lumps.

use std::time::{Duration, Instant};

/// An epoch is at least this long, and two round trips.
const EPOCH: Duration = Duration::from_millis(500);
/// Samples that the estimate is made of.
const SAMPLES: usize = 8;
/// Older ones say nothing about now.
const FRESH: Duration = Duration::from_secs(4);

/// The estimator.
#[derive(Debug)]
pub(super) struct Delivery {
    delivered_bytes: u64,
    sent_bytes: u64,
    /// Everything before this place is known to be delivered or missing.
    known: u64,
    known_grew: bool,
    /// Everything before this place was sent when the application had nothing more to send.
    idle_mark: u64,
    epoch: Option<Epoch>,
    /// Of the epoch before: what was sent, what arrived, and whether that was much less.
    before: (u64, u64, bool),
    samples: [(u64, u64); SAMPLES],
    taken: usize,
    sampled: Instant,
    estimate: u64,
}

#[derive(Debug, Clone, Copy)]
struct Epoch {
    at: Instant,
    delivered_bytes: u64,
    sent_bytes: u64,
    known: u64,
}

impl Delivery {
    pub(super) fn new(now: Instant) -> Self {
        Self {
            delivered_bytes: 0,
            sent_bytes: 0,
            known: 0,
            known_grew: false,
            idle_mark: 0,
            epoch: None,
            before: (0, 0, false),
            samples: [(0, 0); SAMPLES],
            taken: 0,
            sampled: now,
            estimate: 0,
        }
    }

    pub(super) fn sent(&mut self, bytes: usize) {
        self.sent_bytes += bytes as u64;
    }

    /// The application has nothing more to send; what was sent so far is all before `unsent`.
    pub(super) fn idle(&mut self, unsent: u64) {
        self.idle_mark = unsent;
    }

    pub(super) fn delivered(&mut self, bytes: usize) {
        self.delivered_bytes += bytes as u64;
    }

    /// Takes back what was counted too early.
    pub(super) fn undelivered(&mut self, bytes: usize) {
        self.delivered_bytes = self.delivered_bytes.saturating_sub(bytes as u64);
    }

    /// The place up to which everything is known.
    pub(super) fn known(&self) -> u64 {
        self.known
    }

    pub(super) fn know(&mut self, place: u64) {
        self.known_grew |= place > self.known;
        self.known = self.known.max(place);
    }

    /// Bytes a second.
    pub(super) fn estimate(&self) -> u64 {
        self.estimate
    }

    /// The peer has answered something: time for a sample, perhaps.
    pub(super) fn answered(&mut self, now: Instant, rtt: Duration, ceiling: u64) {
        let next = Epoch {
            at: now,
            delivered_bytes: self.delivered_bytes,
            sent_bytes: self.sent_bytes,
            known: self.known,
        };
        let Some(epoch) = self.epoch else {
            self.epoch = (self.delivered_bytes > 0).then_some(next);
            return;
        };
        let elapsed = now.saturating_duration_since(epoch.at);
        if elapsed < EPOCH.max(rtt * 2) {
            return;
        }
        self.epoch = Some(next);
        let micros = u64::try_from(elapsed.as_micros()).unwrap_or(u64::MAX);
        let delivered = self.delivered_bytes.saturating_sub(epoch.delivered_bytes);
        let rate = per_second(delivered, micros);
        let sent_rate = per_second(self.sent_bytes.saturating_sub(epoch.sent_bytes), micros);
        let (sent_before, rate_before, lagged) = self.before;
        let starves = epoch.known <= self.idle_mark;
        // Behind an old hole things may arrive that nobody tells: then nothing is known, and nothing lags.
        let tells = std::mem::take(&mut self.known_grew);
        let lags = tells && rate < sent_rate.min(sent_before) / 10 * 8;
        self.before = (sent_rate, rate, lags);
        if (lags && lagged) || (tells && !starves && sent_rate < ceiling / 10 * 9) {
            self.link_was_the_limit(now, delivered, micros);
        } else {
            self.estimate = self.estimate.max(rate.min(rate_before));
        }
    }

    fn link_was_the_limit(&mut self, now: Instant, bytes: u64, micros: u64) {
        if now.saturating_duration_since(self.sampled) > FRESH {
            self.taken = 0;
        }
        self.sampled = now;
        if let Some(sample) = self.samples.get_mut(self.taken % SAMPLES) {
            *sample = (bytes, micros);
        }
        self.taken += 1;
        let (bytes, micros) = self
            .samples
            .iter()
            .take(self.taken)
            .fold((0_u64, 0_u64), |sum, sample| (sum.0 + sample.0, sum.1.saturating_add(sample.1)));
        self.estimate = per_second(bytes, micros);
    }
}

fn per_second(bytes: u64, micros: u64) -> u64 {
    let rate = u128::from(bytes) * 1_000_000 / u128::from(micros.max(1));
    u64::try_from(rate).unwrap_or(u64::MAX)
}
