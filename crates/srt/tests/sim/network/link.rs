//! One direction of the network: what becomes of each datagram.
//!
//! Belongs here: loss (even and in bursts), delay, jitter, reordering, duplication, corruption, a rate with a finite
//! queue, black holes. Not: addresses and buffers.

use std::time::Duration;

use fastrand::Rng;

use super::traffic::{Kind, Traffic, WIRE_OVERHEAD_BYTES};

/// What one direction does to datagrams. Probabilities are from 0 to 1, times since the run began.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Path {
    pub(crate) delay: Duration,
    /// Up to this much more, evenly spread.
    pub(crate) jitter: Duration,
    /// Whether jitter may change the order.
    pub(crate) disorderly: bool,
    pub(crate) loss: Loss,
    pub(crate) reorder: f64,
    /// How much later a reordered datagram comes.
    pub(crate) reorder_by: Duration,
    pub(crate) duplicate: f64,
    pub(crate) corrupt: f64,
    pub(crate) rate: Option<Rate>,
    /// Everything sent within one of these is lost.
    pub(crate) holes: Vec<(Duration, Duration)>,
    /// Drops these datagrams, counted from 0.
    pub(crate) drops: Vec<u64>,
    /// Added to message numbers, so that they wrap.
    pub(crate) shift_messages: u32,
}

/// How datagrams are lost.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Loss {
    Even(f64),
    /// Gilbert-Elliott: a good state that loses nothing and a bad one that loses `bad` of all.
    Burst {
        enter: f64,
        leave: f64,
        bad: f64,
    },
}

/// A bottleneck with a queue that drops at its tail.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Rate {
    pub(crate) bytes_per_s: u64,
    pub(crate) queue_bytes: u64,
}

impl Path {
    /// Only a delay.
    pub(crate) const fn clean(delay_ms: u64) -> Self {
        Self {
            delay: Duration::from_millis(delay_ms),
            jitter: Duration::ZERO,
            disorderly: false,
            loss: Loss::Even(0.0),
            reorder: 0.0,
            reorder_by: Duration::from_millis(8),
            duplicate: 0.0,
            corrupt: 0.0,
            rate: None,
            holes: Vec::new(),
            drops: Vec::new(),
            shift_messages: 0,
        }
    }

    /// A delay and even loss.
    pub(crate) const fn lossy(delay_ms: u64, loss: f64) -> Self {
        let mut path = Self::clean(delay_ms);
        path.loss = Loss::Even(loss);
        path
    }
}

/// When a datagram arrives, at most twice, and whether unharmed.
pub(crate) struct Fate {
    pub(crate) arrivals: [Option<Duration>; 2],
    pub(crate) corrupt: bool,
}

/// A path in use.
pub(crate) struct Link {
    pub(crate) path: Path,
    pub(crate) traffic: Traffic,
    carried: u64,
    bad: bool,
    /// When the bottleneck has sent all that is queued.
    idle_at: Duration,
    last_arrival: Duration,
}

impl Link {
    pub(crate) fn new(path: Path) -> Self {
        Self {
            path,
            traffic: Traffic::default(),
            carried: 0,
            bad: false,
            idle_at: Duration::ZERO,
            last_arrival: Duration::ZERO,
        }
    }

    /// Decides what becomes of a datagram.
    pub(crate) fn carry(&mut self, now: Duration, bytes: &[u8], rng: &mut Rng) -> Fate {
        let kind = Kind::of(bytes);
        self.traffic.sent(kind, bytes.len());
        let Some(leaves) = self.leaves(now, bytes.len() as u64, rng) else {
            self.traffic.lost(kind, bytes.len());
            return Fate { arrivals: [None, None], corrupt: false };
        };
        let corrupt = hits(self.path.corrupt, rng);
        if corrupt {
            self.traffic.lost(kind, bytes.len());
        }
        let first = self.arrival(leaves, rng);
        let second = hits(self.path.duplicate, rng).then(|| self.arrival(leaves, rng));
        Fate { arrivals: [Some(first), second], corrupt }
    }

    /// When the datagram has left the bottleneck, unless it is lost.
    fn leaves(&mut self, now: Duration, len: u64, rng: &mut Rng) -> Option<Duration> {
        let nth = self.carried;
        self.carried += 1;
        let lost = self.loses(rng);
        let path = &self.path;
        if lost || path.drops.contains(&nth) || path.holes.iter().any(|hole| hole.0 <= now && now < hole.1) {
            return None;
        }
        let Some(rate) = path.rate else { return Some(now) };
        let wire = len + WIRE_OVERHEAD_BYTES;
        let takes = |bytes: u64| Duration::from_nanos(bytes * 1_000_000_000 / rate.bytes_per_s);
        if self.idle_at.saturating_sub(now) > takes(rate.queue_bytes) {
            return None;
        }
        self.idle_at = self.idle_at.max(now) + takes(wire);
        Some(self.idle_at)
    }

    fn loses(&mut self, rng: &mut Rng) -> bool {
        match self.path.loss {
            Loss::Even(share) => hits(share, rng),
            Loss::Burst { enter, leave, bad } => {
                if hits(if self.bad { leave } else { enter }, rng) {
                    self.bad = !self.bad;
                }
                self.bad && hits(bad, rng)
            }
        }
    }

    fn arrival(&mut self, leaves: Duration, rng: &mut Rng) -> Duration {
        let path = &self.path;
        let mut at = leaves + path.delay + path.jitter.mul_f64(rng.f64());
        if !path.disorderly {
            at = at.max(self.last_arrival);
        }
        self.last_arrival = at;
        if hits(path.reorder, rng) { at + path.reorder_by } else { at }
    }
}

/// Draws nothing when there is nothing to decide, so that one condition does not change what another does.
fn hits(share: f64, rng: &mut Rng) -> bool {
    share > 0.0 && rng.f64() < share
}
