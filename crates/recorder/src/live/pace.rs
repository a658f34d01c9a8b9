//! How fast live may send: as fast as it likes, until the link's queue grows.
//!
//! A link that is slower than the camera has a queue in front of it; what does not fit is dropped, and SRT sends it
//! again, into the same queue. So when the round trip rises well above its base, live is held to what the peer says it
//! receives, and a little less while the queue drains; once the queue is gone the limit grows again and is lifted. The
//! ring then skips whole segments, which backfill carries when there is room.
//!
//! Belongs here: the limit, pure, `now` comes in. Not here: the pacing itself (`dashvault-srt`), backfill's rate
//! (`crate::governor`).

use std::time::{Duration, Instant};

/// No limit: what a burst after a reconnect may use.
pub(super) const UNLIMITED_BYTES_PER_S: u64 = 12_500_000;
/// The least, so that the peer's measure has something to measure.
const MIN_BYTES_PER_S: f64 = 24_000.0;
/// A queue is felt when the round trip is this much above its base, or twice the base.
const QUEUE: Duration = Duration::from_millis(120);
/// The base is the least round trip of this span and the one before.
const SPAN: Duration = Duration::from_secs(15);
/// Growth a second while no queue is felt.
const GROWTH: f64 = 3.0;
/// What is left after a second of a rate that was received.
const FADE: f64 = 0.3;
/// The share of what arrives that is sent while the queue drains.
const DRAIN: f64 = 0.85;

/// The limit of one connection.
#[derive(Debug)]
pub(super) struct Pace {
    limit: Option<f64>,
    least: Duration,
    least_before: Duration,
    span_began: Instant,
    updated: Instant,
    rtt: Duration,
    received: f64,
}

impl Pace {
    pub(super) const fn new(now: Instant) -> Self {
        Self {
            limit: None,
            least: Duration::MAX,
            least_before: Duration::MAX,
            span_began: now,
            updated: now,
            rtt: Duration::ZERO,
            received: 0.0,
        }
    }

    /// Takes the round trip and what the peer says it receives, in bytes a second; gives the limit.
    ///
    /// The age of the oldest packet is no sign of a queue in the network: under a limit, packets wait here.
    pub(super) fn update(&mut self, now: Instant, rtt: Duration, received: u64) -> u64 {
        let passed = now.saturating_duration_since(self.updated);
        self.updated = now;
        self.learn(now, rtt);
        let base = self.least.min(self.least_before);
        #[expect(clippy::cast_precision_loss, reason = "a rate")]
        let received = self.most_received(passed, received as f64);
        // The round trip is smoothed: one that falls tells of a queue that drains, one that stays the same is an old one.
        let before = std::mem::replace(&mut self.rtt, rtt);
        let felt = rtt > before && rtt > base.saturating_add(base.max(QUEUE));
        self.limit = match self.limit {
            // While there is a queue, what is received is what the link can carry.
            _ if felt && received > 0.0 => Some(received * DRAIN),
            Some(limit) => Some(limit * GROWTH.powf(passed.as_secs_f64())),
            None => None,
        };
        self.limit =
            self.limit.map(|limit| limit.max(MIN_BYTES_PER_S)).filter(|limit| *limit < lifted_at(received));
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "between 24,000 and 12,500,000"
        )]
        self.limit.map_or(UNLIMITED_BYTES_PER_S, |limit| limit as u64)
    }

    /// What was received lately. It falls slowly: what is received of a stream that is held back says little of what the
    /// link can carry.
    fn most_received(&mut self, passed: Duration, received: f64) -> f64 {
        self.received = received.max(self.received * FADE.powf(passed.as_secs_f64()));
        self.received
    }

    fn learn(&mut self, now: Instant, rtt: Duration) {
        if now.saturating_duration_since(self.span_began) >= SPAN {
            (self.least_before, self.least, self.span_began) = (self.least, Duration::MAX, now);
        }
        if !rtt.is_zero() {
            self.least = self.least.min(rtt);
        }
    }
}

/// A limit that is far above what is sent anyway limits nothing.
fn lifted_at(received: f64) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "a rate")]
    let most = UNLIMITED_BYTES_PER_S as f64;
    (received * 4.0).clamp(MIN_BYTES_PER_S * 2.0, most)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TICK: Duration = Duration::from_millis(100);
    const QUEUE_BYTES: f64 = 128e3;

    /// A bottleneck with a queue that drops at its tail, and a camera that wants `wanted` bytes a second.
    struct Bottleneck {
        queue: f64,
        dropped: f64,
        sent: f64,
        rtt: f64,
        received: f64,
    }

    impl Bottleneck {
        fn tick(&mut self, capacity: f64, wanted: f64, limit: u64) {
            let seconds = TICK.as_secs_f64();
            let sent = wanted.min(limit as f64) * seconds;
            let served = (self.queue + sent).min(capacity * seconds);
            self.queue += sent - served;
            self.dropped += (self.queue - QUEUE_BYTES).max(0.0);
            self.queue = self.queue.min(QUEUE_BYTES);
            self.sent += sent;
            // Smoothed as SRT does, and the rate as of the last second.
            self.rtt += (0.04 + self.queue / capacity - self.rtt) / 8.0;
            self.received += (served / seconds - self.received) / 5.0;
        }
    }

    #[test]
    fn a_link_slower_than_the_camera_drops_little_and_a_fast_one_is_used_again() {
        let mut link = Bottleneck { queue: 0.0, dropped: 0.0, sent: 0.0, rtt: 0.04, received: 500e3 };
        let mut now = Instant::now();
        let mut pace = Pace::new(now);
        let mut limit = UNLIMITED_BYTES_PER_S;
        for (capacity, seconds) in [(5e6, 5), (180e3, 12), (5e6, 4)] {
            (link.sent, link.dropped) = (0.0, 0.0);
            for _ in 0..seconds * 10 {
                now += TICK;
                link.tick(capacity, 500e3, limit);
                limit = pace.update(now, Duration::from_secs_f64(link.rtt), link.received as u64);
            }
            assert!(link.dropped < 0.10 * link.sent, "{capacity}: {} of {}", link.dropped, link.sent);
            assert!(link.sent > 0.6 * capacity.min(500e3) * f64::from(seconds), "{capacity}: {}", link.sent);
        }
        assert!(limit > 500_000, "{limit}");
    }

    #[test]
    fn a_long_path_is_not_a_queue() {
        let now = Instant::now();
        let mut pace = Pace::new(now);
        for tick in 1..100 {
            let rtt = Duration::from_millis(600 + u64::from(tick % 7) * 20);
            assert_eq!(pace.update(now + TICK * tick, rtt, 250_000), UNLIMITED_BYTES_PER_S);
        }
    }
}
