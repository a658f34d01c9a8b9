//! How long a gap may be only a reordering.
//!
//! Learns from packets that came late without having been sent again, and forgets within two periods. The wait is at
//! most [`LONGEST_WAIT`], and a quarter of the latency.

use std::time::{Duration, Instant};

/// A loss report is never kept back for longer.
pub(super) const LONGEST_WAIT: Duration = Duration::from_millis(40);
const PERIOD: Duration = Duration::from_secs(10);
/// Over one and a half times what was seen: the time between two batches of datagrams.
const MARGIN_US: u32 = 1000;

/// See the module's documentation.
#[derive(Debug)]
pub(super) struct ReorderWait {
    limit_us: u32,
    latest_us: u32,
    latest_before_us: u32,
    began: Instant,
}

impl ReorderWait {
    pub(super) fn new(now: Instant, latency: Duration) -> Self {
        let limit = LONGEST_WAIT.min(latency / 4);
        Self { limit_us: micros(limit), latest_us: 0, latest_before_us: 0, began: now }
    }

    /// How long a fresh gap waits for what may only be late.
    pub(super) fn wait(&self) -> Duration {
        let latest = self.latest_us.max(self.latest_before_us);
        if latest == 0 {
            return Duration::ZERO;
        }
        Duration::from_micros(u64::from((latest + latest / 2 + MARGIN_US).min(self.limit_us)))
    }

    /// A packet that was not sent again came `age` after a later one.
    pub(super) fn reordered(&mut self, now: Instant, age: Duration) {
        self.roll(now);
        let age = micros(age);
        if age <= self.limit_us {
            self.latest_us = self.latest_us.max(age);
        }
    }

    /// Forgets what is old. True while there is something to forget.
    pub(super) fn roll(&mut self, now: Instant) -> bool {
        let age = now.saturating_duration_since(self.began);
        if age >= PERIOD {
            self.latest_before_us = if age < 2 * PERIOD { self.latest_us } else { 0 };
            self.latest_us = 0;
            self.began = now;
        }
        self.latest_us.max(self.latest_before_us) > 0
    }
}

/// Microseconds, as many as fit.
pub(super) fn micros(time: Duration) -> u32 {
    u32::try_from(time.as_micros()).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn the_wait_covers_what_was_seen_and_is_forgotten_within_two_periods() {
        let t = Instant::now();
        let mut reorder = ReorderWait::new(t, 3000 * MS);
        assert_eq!(reorder.wait(), Duration::ZERO, "nothing known: at once");
        reorder.reordered(t, 8 * MS);
        assert_eq!(reorder.wait(), 13 * MS);
        reorder.roll(t + PERIOD);
        assert_eq!(reorder.wait(), 13 * MS);
        reorder.roll(t + 2 * PERIOD);
        assert_eq!(reorder.wait(), Duration::ZERO);
    }

    #[test]
    fn what_comes_very_late_is_no_reordering() {
        let t = Instant::now();
        let mut reorder = ReorderWait::new(t, 3000 * MS);
        reorder.reordered(t, 2000 * MS);
        assert_eq!(reorder.wait(), Duration::ZERO);
        reorder.reordered(t, 39 * MS);
        assert_eq!(reorder.wait(), LONGEST_WAIT);
        let mut short = ReorderWait::new(t, 40 * MS);
        short.reordered(t, 9 * MS);
        assert_eq!(short.wait(), 10 * MS, "a quarter of the latency");
    }
}
