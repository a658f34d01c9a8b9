//! How long a gap may be only a reordering.
//!
//! Learns from packets that came late without having been sent again, and forgets within two periods. The wait is at
//! most [`LONGEST_WAIT`], and a quarter of the latency. Where a path keeps on reordering by more than that (a modem that
//! sends on two ways at once), each packet that is asked for too early crosses twice, and takes the place of one that is
//! lost: then the wait follows, up to [`FAR`] and an eighth of the latency.

use std::time::{Duration, Instant};

/// A loss report is kept back no longer for a few packets that come late.
pub(super) const LONGEST_WAIT: Duration = Duration::from_millis(40);
/// And for many.
const FAR: Duration = Duration::from_millis(150);
/// So many in a period are many.
const MANY: u32 = 8;
const PERIOD: Duration = Duration::from_secs(10);
/// Over one and a half times what was seen: the time between two batches of datagrams.
const MARGIN_US: u32 = 1000;

/// See the module's documentation.
#[derive(Debug)]
pub(super) struct ReorderWait {
    near_us: u32,
    far_us: u32,
    seen: Seen,
    seen_before: Seen,
    began: Instant,
}

/// The latest packets of a period.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Seen {
    latest_us: u32,
    /// Of those that came later than the near limit.
    far_latest_us: u32,
    far_packets: u32,
}

impl Seen {
    const NOTHING: Self = Self { latest_us: 0, far_latest_us: 0, far_packets: 0 };
}

impl ReorderWait {
    pub(super) fn new(now: Instant, latency: Duration) -> Self {
        let near_us = micros(LONGEST_WAIT.min(latency / 4));
        let far_us = micros(FAR.min(latency / 8)).max(near_us);
        Self { near_us, far_us, seen: Seen::NOTHING, seen_before: Seen::NOTHING, began: now }
    }

    /// How long a fresh gap waits for what may only be late.
    pub(super) fn wait(&self) -> Duration {
        let (seen, before) = (self.seen, self.seen_before);
        let many = seen.far_packets.max(before.far_packets) >= MANY;
        let (latest, limit) = if many {
            (seen.far_latest_us.max(before.far_latest_us), self.far_us)
        } else {
            (seen.latest_us.max(before.latest_us), self.near_us)
        };
        if latest == 0 {
            return Duration::ZERO;
        }
        Duration::from_micros(u64::from((latest + latest / 2 + MARGIN_US).min(limit)))
    }

    /// A packet that was not sent again came `age` after a later one.
    pub(super) fn reordered(&mut self, now: Instant, age: Duration) {
        self.roll(now);
        let (age, seen) = (micros(age), &mut self.seen);
        if age <= self.near_us {
            seen.latest_us = seen.latest_us.max(age);
        } else if age <= self.far_us {
            seen.far_latest_us = seen.far_latest_us.max(age);
            seen.far_packets = seen.far_packets.saturating_add(1);
        }
    }

    /// Forgets what is old. True while there is something to forget.
    pub(super) fn roll(&mut self, now: Instant) -> bool {
        let age = now.saturating_duration_since(self.began);
        if age >= PERIOD {
            self.seen_before = if age < 2 * PERIOD { self.seen } else { Seen::NOTHING };
            self.seen = Seen::NOTHING;
            self.began = now;
        }
        self.seen != Seen::NOTHING || self.seen_before != Seen::NOTHING
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
        for _ in 0..100 {
            short.reordered(t, 11 * MS);
        }
        assert_eq!(short.wait(), Duration::ZERO, "there is no time to wait for more");
        short.reordered(t, 9 * MS);
        assert_eq!(short.wait(), 10 * MS, "a quarter of the latency");
    }

    #[test]
    fn a_path_that_keeps_on_reordering_far_is_waited_for_and_one_late_packet_is_not() {
        let t = Instant::now();
        let mut reorder = ReorderWait::new(t, 3000 * MS);
        reorder.reordered(t, 10 * MS);
        for _ in 1..MANY {
            reorder.reordered(t, 60 * MS);
        }
        assert_eq!(reorder.wait(), 16 * MS);
        reorder.reordered(t, 70 * MS);
        assert_eq!(reorder.wait(), 106 * MS);
        reorder.reordered(t, 140 * MS);
        assert_eq!(reorder.wait(), FAR);
        reorder.roll(t + PERIOD);
        assert_eq!(reorder.wait(), FAR);
        reorder.roll(t + 2 * PERIOD);
        assert_eq!(reorder.wait(), Duration::ZERO);
    }
}
