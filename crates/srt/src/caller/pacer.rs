//! Two small gauges of a caller: a token bucket for its rate, and the age of what it has not got acknowledged.
//!
//! Times are passed in.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// What may be sent at once after a pause, as time at the full rate: a few timer ticks.
const BURST: Duration = Duration::from_millis(4);
/// At least this much may be sent at once, in bytes.
const BURST_BYTES: i64 = 3000;
/// Resolution of the age of the send buffer.
const AGE_STEP: Duration = Duration::from_millis(20);

/// A token bucket in bytes.
#[derive(Debug)]
pub(super) struct Pacer {
    bytes_per_second: u64,
    tokens: i64,
    at: Instant,
}

impl Pacer {
    pub(super) fn new(bytes_per_second: u64, now: Instant) -> Self {
        Self { bytes_per_second: bytes_per_second.max(1), tokens: BURST_BYTES, at: now }
    }

    pub(super) fn set_rate(&mut self, bytes_per_second: u64) {
        self.bytes_per_second = bytes_per_second.max(1);
    }

    /// Whether a packet may go now.
    pub(super) fn ready(&mut self, now: Instant) -> bool {
        let gained = self.bytes_in(now.saturating_duration_since(self.at));
        // The clock only moves on when it has earned something, so that no fraction is lost.
        if gained > 0 {
            let most = self.bytes_in(BURST).max(BURST_BYTES);
            self.tokens = self.tokens.saturating_add(gained).min(most);
            self.at = now;
        }
        self.tokens > 0
    }

    pub(super) fn spend(&mut self, bytes: usize) {
        self.tokens = self.tokens.saturating_sub(i64::try_from(bytes).unwrap_or(i64::MAX));
    }

    /// When a packet may go, if none may now.
    pub(super) fn next_ready(&self) -> Option<Instant> {
        let missing = u64::try_from(1 - self.tokens).ok().filter(|missing| *missing > 0)?;
        let micros = missing.saturating_mul(1_000_000).div_ceil(self.bytes_per_second);
        Some(self.at + Duration::from_micros(micros))
    }

    fn bytes_in(&self, time: Duration) -> i64 {
        let bytes = u128::from(self.bytes_per_second) * time.as_micros() / 1_000_000;
        i64::try_from(bytes).unwrap_or(i64::MAX)
    }
}

/// How old the oldest unacknowledged payload is, in steps.
#[derive(Debug, Default)]
pub(super) struct Ages {
    /// When the count of accepted bytes reached a value; a mark stands for one step.
    marks: VecDeque<(u64, Instant)>,
}

impl Ages {
    pub(super) fn accepted(&mut self, now: Instant, total: u64) {
        match self.marks.back_mut() {
            Some((bytes, at)) if now.saturating_duration_since(*at) < AGE_STEP => *bytes = total,
            _ => self.marks.push_back((total, now)),
        }
    }

    pub(super) fn acknowledged(&mut self, total: u64) {
        while self.marks.front().is_some_and(|(bytes, _)| *bytes <= total) {
            self.marks.pop_front();
        }
    }

    pub(super) fn oldest(&self, now: Instant) -> Duration {
        self.marks.front().map_or(Duration::ZERO, |(_, at)| now.saturating_duration_since(*at))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rate_is_kept_whatever_the_ticks() {
        for tick in [Duration::from_micros(130), Duration::from_millis(1), Duration::from_millis(3)] {
            let start = Instant::now();
            let mut pacer = Pacer::new(1_000_000, start);
            let (mut now, mut sent) = (start, 0_usize);
            while now < start + Duration::from_secs(2) {
                while pacer.ready(now) {
                    pacer.spend(1332);
                    sent += 1332;
                }
                now += tick;
            }
            assert!((1_980_000..2_020_000).contains(&sent), "{tick:?}: {sent}");
        }
    }

    #[test]
    fn an_empty_bucket_says_when_it_has_something() {
        let now = Instant::now();
        let mut pacer = Pacer::new(1_000_000, now);
        assert_eq!(pacer.next_ready(), None);
        pacer.spend(4000);
        assert!(!pacer.ready(now));
        let at = pacer.next_ready().unwrap();
        assert!(!pacer.ready(at - Duration::from_micros(2)));
        assert!(pacer.ready(at));
        pacer.set_rate(0);
        assert!(pacer.ready(at), "a rate of nothing is the least rate");
    }

    #[test]
    fn the_age_is_that_of_the_oldest_unacknowledged_byte() {
        let start = Instant::now();
        let ms = Duration::from_millis;
        let mut ages = Ages::default();
        ages.accepted(start, 100);
        ages.accepted(start + ms(5), 200);
        ages.accepted(start + ms(30), 300);
        assert_eq!(ages.oldest(start + ms(50)), ms(50));
        ages.acknowledged(150);
        assert_eq!(ages.oldest(start + ms(50)), ms(50));
        ages.acknowledged(200);
        assert_eq!(ages.oldest(start + ms(50)), ms(20));
        ages.acknowledged(300);
        assert_eq!(ages.oldest(start + ms(50)), Duration::ZERO);
    }
}
