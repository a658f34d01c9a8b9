//! How fast backfill may be, so that live comes first.
//!
//! Backfill's rate follows what live feels: while SRT's round trip, or the age of its oldest unacknowledged packet,
//! stays near its base, the rate grows by addition; once the delay passes the target, or loss rises above what this
//! link always loses, it is cut by multiplication. After LEDBAT (RFC 6817), with live's delay in place of one's own.
//! Where no live link is up there is nobody to yield to, and only the cap holds.
//!
//! Belongs here: the rate and its token bucket, pure, `now` comes in. Not here: who waits (`backfill`), who measures
//! (`live`).
//!
//! Invariants: the rate never falls below [`MIN_BYTES_PER_S`] nor rises above the cap; tokens are never created by a
//! clock that stands still.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// The delay that backfill may add to live.
const TARGET: Duration = Duration::from_millis(100);
/// What a quiet link's oldest packet waits beyond its round trip: the vault acknowledges ten times a second, and timers
/// are late.
const ACK_BATCHING: Duration = Duration::from_millis(140);
/// Delay or loss that lasts this long although backfill sends next to nothing is the path's own.
const BLAMELESS_AFTER: Duration = Duration::from_secs(2);
/// More delay than this is live's own queue on a link too slow for it, not a longer path.
const LONGER_PATH_AT_MOST: Duration = Duration::from_millis(300);
/// The least that backfill may use, so that it always makes progress.
pub const MIN_BYTES_PER_S: f64 = 16_384.0;
/// Where the rate starts under a new live link, unless more was just achieved.
const START_BYTES_PER_S: f64 = 128.0 * 1024.0;
/// The rate above which a pause of one token bucket is too short to matter.
const MAX_BYTES_PER_S: f64 = 1e9;
/// The base round trip is the least of this many spans of a minute (RFC 6817 §4.2 keeps ten).
const BASE_SPANS: usize = 10;
const BASE_SPAN: Duration = Duration::from_secs(60);

/// What one live link feels, sampled every 100 to 500 ms.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct LiveSample {
    /// Smoothed round trip.
    pub rtt: Duration,
    /// Age of the oldest packet that is not acknowledged.
    pub oldest: Duration,
    /// Packets sent since the last sample, retransmissions included.
    pub sent: u64,
    /// Of these, retransmissions.
    pub retransmitted: u64,
}

/// The rate and its token bucket.
#[derive(Debug)]
pub struct Governor {
    cap: Option<f64>,
    /// The rate that live leaves; none while no live link is up.
    rate: Option<f64>,
    /// No delay was felt yet since live came up: the rate is still being found.
    searching: bool,
    /// When live last felt backfill.
    felt: Instant,
    tokens: f64,
    filled: Instant,
    links: Vec<Link>,
    used: Meter,
}

/// One live link.
#[derive(Debug, Default)]
struct Link {
    connected: bool,
    base: BaseDelay,
    /// Since when delay or loss is felt while backfill sends its least.
    blameless: Option<Instant>,
    /// What this link loses anyway.
    usual_loss: Option<f64>,
}

impl Governor {
    /// A governor over `links` live links with an optional cap in bytes per second.
    #[must_use]
    pub fn new(now: Instant, links: usize, cap_bytes_per_s: Option<u64>) -> Self {
        #[expect(clippy::cast_precision_loss, reason = "a rate")]
        let cap = cap_bytes_per_s.map(|cap| (cap as f64).max(1.0));
        Self {
            cap,
            rate: None,
            searching: true,
            felt: now,
            tokens: 0.0,
            filled: now,
            links: (0..links).map(|_| Link::default()).collect(),
            used: Meter::new(now),
        }
    }

    /// Takes tokens for `bytes` and says how long to wait before sending them.
    pub fn take(&mut self, now: Instant, bytes: usize) -> Duration {
        #[expect(clippy::cast_precision_loss, reason = "a piece is small")]
        let bytes = bytes as f64;
        self.used.add(now, bytes);
        let Some(rate) = self.allowed() else { return Duration::ZERO };
        let passed = now.saturating_duration_since(self.filled).as_secs_f64();
        self.filled = self.filled.max(now);
        // A burst is what 50 ms allow: more would be felt by live.
        self.tokens = (self.tokens + passed * rate).min(rate * 0.05) - bytes;
        Duration::from_secs_f64((-self.tokens / rate).clamp(0.0, 10.0))
    }

    /// What is allowed now, in bytes per second; none: no bound.
    #[must_use]
    pub fn allowed(&self) -> Option<f64> {
        match (self.rate, self.cap) {
            (Some(rate), Some(cap)) => Some(rate.min(cap)),
            (rate, cap) => rate.or(cap),
        }
    }

    /// How many bytes to send in one go.
    #[must_use]
    pub fn piece_bytes(&self) -> usize {
        match self.allowed() {
            None => 256 << 10,
            Some(rate) if rate > 4e6 => 64 << 10,
            Some(_) => 16 << 10,
        }
    }

    /// Takes a link's sample; `None`: it is not connected.
    pub fn sample(&mut self, now: Instant, link: usize, sample: Option<LiveSample>) {
        let Some(state) = self.links.get_mut(link) else { return };
        let Some(sample) = sample else {
            state.connected = false;
            if self.links.iter().all(|link| !link.connected) {
                self.rate = None;
            }
            return;
        };
        if !std::mem::replace(&mut state.connected, true) {
            // A link that comes (back) up has a history that no longer holds: the rate is found anew.
            state.base = BaseDelay::default();
            let start = (self.used.bytes_per_s(now) / 2.0).max(START_BYTES_PER_S);
            if self.rate.is_none_or(|rate| rate < start) {
                self.rate = Some(start);
                (self.tokens, self.filled) = (0.0, now);
                (self.searching, self.felt) = (true, now);
            }
        }
        let at_least = self.rate.is_some_and(|rate| rate <= MIN_BYTES_PER_S);
        let delay = state.queueing_delay(now, &sample);
        let loss_rose = state.loss_rose(&sample);
        state.learn_path(now, &sample, at_least && (delay > TARGET / 2 || loss_rose));
        self.steer(now, delay, loss_rose);
    }

    /// Bytes that were sent over the last second.
    #[must_use]
    pub fn used_bytes_per_s(&mut self, now: Instant) -> f64 {
        self.used.bytes_per_s(now)
    }

    fn steer(&mut self, now: Instant, delay: Duration, loss_rose: bool) {
        let used = self.used.bytes_per_s(now);
        let Some(rate) = &mut self.rate else { return };
        let off_target = delay.as_secs_f64() / TARGET.as_secs_f64() - 1.0;
        let quiet = now.saturating_duration_since(self.felt).as_secs_f64();
        if off_target > -0.5 || loss_rose {
            (self.searching, self.felt) = (false, now);
        }
        if off_target > 0.0 {
            // What is in the network's queue now was sent at the rate in use, not at the rate allowed.
            let base = if used > MIN_BYTES_PER_S { rate.min(used * 1.25) } else { *rate };
            *rate = base * (1.0 - 0.4 * off_target.min(1.0));
        } else if loss_rose {
            *rate *= 0.75;
        } else if used >= *rate * 0.5 {
            // Only a rate that is used has been shown to be harmless. The longer it was, the bolder the next step.
            let share = if self.searching { 0.2 } else { (0.05 * quiet).clamp(0.01, 0.2) };
            *rate += (-off_target) * (*rate * share).max(2_048.0);
        }
        *rate = rate.clamp(MIN_BYTES_PER_S, MAX_BYTES_PER_S);
    }
}

impl Link {
    fn queueing_delay(&mut self, now: Instant, sample: &LiveSample) -> Duration {
        let base = self.base.update(now, sample.rtt);
        let by_rtt = sample.rtt.saturating_sub(base);
        let by_age = sample.oldest.saturating_sub(base + ACK_BATCHING);
        by_rtt.max(by_age)
    }

    /// A path that changed (another cell, another modem) has another delay and another loss. What is felt while
    /// backfill sends its least cannot be backfill's doing, so it becomes the base.
    fn learn_path(&mut self, now: Instant, sample: &LiveSample, felt_at_least: bool) {
        let longer = sample.rtt.saturating_sub(self.base.least().unwrap_or_default());
        if !felt_at_least
            || longer > LONGER_PATH_AT_MOST
            || sample.oldest > sample.rtt + 2 * LONGER_PATH_AT_MOST
        {
            self.blameless = None;
        } else if now.saturating_duration_since(*self.blameless.get_or_insert(now)) >= BLAMELESS_AFTER {
            (self.base, self.usual_loss, self.blameless) = (BaseDelay::default(), None, None);
        }
    }

    fn loss_rose(&mut self, sample: &LiveSample) -> bool {
        if sample.sent < 20 {
            return false;
        }
        #[expect(clippy::cast_precision_loss, reason = "packets of one sample")]
        let loss = sample.retransmitted as f64 / sample.sent as f64;
        let usual = self.usual_loss.get_or_insert(loss.min(0.15));
        let rose = loss > *usual * 2.0 + 0.03;
        // Rises slowly, falls faster: a queue that overflows is to be noticed, a link that always loses is not.
        *usual += (loss - *usual) * if loss > *usual { 0.02 } else { 0.1 };
        rose
    }
}

/// The least round trip of the last minutes.
#[derive(Debug, Default)]
struct BaseDelay {
    spans: VecDeque<(Instant, Duration)>,
}

impl BaseDelay {
    fn update(&mut self, now: Instant, rtt: Duration) -> Duration {
        match self.spans.back_mut() {
            Some((start, least)) if now.saturating_duration_since(*start) < BASE_SPAN => {
                *least = rtt.min(*least)
            }
            _ => {
                self.spans.push_back((now, rtt));
                if self.spans.len() > BASE_SPANS {
                    self.spans.pop_front();
                }
            }
        }
        self.least().unwrap_or(rtt)
    }

    fn least(&self) -> Option<Duration> {
        self.spans.iter().map(|(_, least)| *least).min()
    }
}

/// A rate over about the last second.
#[derive(Debug)]
struct Meter {
    since: Instant,
    bytes: f64,
    rate: f64,
}

impl Meter {
    const fn new(now: Instant) -> Self {
        Self { since: now, bytes: 0.0, rate: 0.0 }
    }

    fn add(&mut self, now: Instant, bytes: f64) {
        self.roll(now);
        self.bytes += bytes;
    }

    fn bytes_per_s(&mut self, now: Instant) -> f64 {
        self.roll(now);
        self.rate
    }

    fn roll(&mut self, now: Instant) {
        const SPAN: f64 = 0.5;
        let passed = now.saturating_duration_since(self.since).as_secs_f64();
        if passed >= SPAN {
            let latest = self.bytes / passed;
            self.rate = if passed > 4.0 * SPAN { latest } else { (self.rate + latest) / 2.0 };
            (self.since, self.bytes) = (now, 0.0);
        }
    }
}

#[cfg(test)]
mod tests;
