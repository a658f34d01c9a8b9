//! Two gauges of rates: a token bucket that is exact at any polling pattern, and the rate of what the application gives.
//!
//! What is sent, and what is charged to which bucket, is not decided here.

use std::time::{Duration, Instant};

/// Tokens are kept in billionths of a byte, so that one byte a second earns one token a nanosecond.
const BYTE: i64 = 1_000_000_000;

/// A token bucket in bytes.
#[derive(Debug)]
pub(super) struct TokenBucket {
    bytes_per_s: u64,
    burst_bytes: u64,
    /// Time at the full rate that may be sent at once, if that is more than `burst_bytes`.
    burst_time: Duration,
    tokens: i64,
    at: Instant,
}

impl TokenBucket {
    /// A full bucket.
    pub(super) fn new(bytes_per_s: u64, burst_bytes: u64, burst_time: Duration, now: Instant) -> Self {
        let mut bucket =
            Self { bytes_per_s: bytes_per_s.max(1), burst_bytes, burst_time, tokens: 0, at: now };
        bucket.tokens = bucket.most();
        bucket
    }

    /// Earns what is due until `now`.
    pub(super) fn refill(&mut self, now: Instant) {
        let elapsed = now.saturating_duration_since(self.at);
        if !elapsed.is_zero() {
            self.tokens = self.tokens.saturating_add(self.earned_in(elapsed)).min(self.most());
            self.at = now;
        }
    }

    /// Another rate from the last refill on; a debt is paid at the new one.
    pub(super) fn set_rate(&mut self, bytes_per_s: u64) {
        self.bytes_per_s = bytes_per_s.max(1);
    }

    pub(super) fn rate(&self) -> u64 {
        self.bytes_per_s
    }

    /// Takes tokens, and may leave a debt.
    pub(super) fn spend(&mut self, bytes: usize) {
        self.tokens = self.tokens.saturating_sub(nano(bytes));
    }

    /// When the bucket holds more than nothing.
    pub(super) fn out_of_debt_at(&self) -> Instant {
        self.reaches(1)
    }

    /// When the bucket holds `bytes` (which must not be more than its burst).
    pub(super) fn holds_at(&self, bytes: usize) -> Instant {
        self.reaches(nano(bytes))
    }

    fn reaches(&self, tokens: i64) -> Instant {
        match u64::try_from(tokens.saturating_sub(self.tokens)) {
            Ok(missing) => self.at + Duration::from_nanos(missing.div_ceil(self.bytes_per_s)),
            Err(_) => self.at,
        }
    }

    fn earned_in(&self, elapsed: Duration) -> i64 {
        i64::try_from(u128::from(self.bytes_per_s).saturating_mul(elapsed.as_nanos())).unwrap_or(i64::MAX)
    }

    fn most(&self) -> i64 {
        self.earned_in(self.burst_time)
            .max(i64::try_from(self.burst_bytes).unwrap_or(i64::MAX).saturating_mul(BYTE))
    }
}

fn nano(bytes: usize) -> i64 {
    i64::try_from(bytes).unwrap_or(i64::MAX).saturating_mul(BYTE)
}

/// The exponentially weighted rate of what comes in. Its integral over time is what came in, so a budget that is a
/// share of it never sums up to more than that share.
#[derive(Debug)]
pub(super) struct InputRate {
    bytes_per_s: f64,
    /// Not yet in the rate.
    pending: u64,
    began: Option<Instant>,
    folded: Instant,
}

impl InputRate {
    /// The time in which a change shows by 63 %.
    const TIME_S: f64 = 2.0;
    const STEP: Duration = Duration::from_millis(20);

    pub(super) fn new(now: Instant) -> Self {
        Self { bytes_per_s: 0.0, pending: 0, began: None, folded: now }
    }

    pub(super) fn add(&mut self, now: Instant, bytes: usize) {
        self.began.get_or_insert(now);
        self.pending = self.pending.saturating_add(bytes as u64);
    }

    /// Brings the rate up to date; true if it may have changed.
    pub(super) fn fold(&mut self, now: Instant) -> bool {
        let elapsed = now.saturating_duration_since(self.folded);
        if elapsed < Self::STEP {
            return false;
        }
        #[expect(clippy::cast_precision_loss, reason = "a rate needs no more than 52 bits")]
        let gained = self.pending as f64 / Self::TIME_S;
        self.bytes_per_s = self.bytes_per_s * (-elapsed.as_secs_f64() / Self::TIME_S).exp() + gained;
        self.pending = 0;
        self.folded = now;
        true
    }

    /// The weighted rate, which starts from nothing.
    pub(super) fn weighted(&self) -> u64 {
        whole(self.bytes_per_s)
    }

    /// The rate as an estimate: what was not observed is not taken for silence.
    pub(super) fn estimate(&self) -> u64 {
        let Some(began) = self.began else { return 0 };
        let age = self.folded.saturating_duration_since(began).as_secs_f64();
        if age < 0.1 {
            return 0;
        }
        whole(self.bytes_per_s / (1.0 - (-age / Self::TIME_S).exp()))
    }
}

/// A rate as a whole number; nothing below zero.
pub(super) fn whole(rate: f64) -> u64 {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "the cast saturates, as is meant"
    )]
    let whole = rate as u64;
    whole
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rate_is_kept_whatever_the_polling_pattern() {
        for tick_ns in [700, 1_500, 130_000, 1_000_000, 3_000_000] {
            let (start, tick) = (Instant::now(), Duration::from_nanos(tick_ns));
            let mut bucket = TokenBucket::new(1_000_000, 3000, Duration::from_millis(4), start);
            let (mut now, mut sent) = (start, 0_usize);
            while now < start + Duration::from_millis(500) {
                bucket.refill(now);
                while bucket.out_of_debt_at() <= now {
                    bucket.spend(1332);
                    sent += 1332;
                }
                now += tick;
            }
            assert!((497_000..506_000).contains(&sent), "{tick:?}: {sent}");
        }
    }

    #[test]
    fn an_empty_bucket_says_exactly_when_it_has_something() {
        let now = Instant::now();
        let mut bucket = TokenBucket::new(1_000_000, 3000, Duration::ZERO, now);
        assert_eq!(bucket.out_of_debt_at(), now);
        bucket.spend(4000);
        let at = bucket.out_of_debt_at();
        bucket.refill(at - Duration::from_nanos(1));
        assert_eq!(bucket.out_of_debt_at(), at);
        bucket.refill(at);
        assert!(bucket.out_of_debt_at() <= at);
        let full = bucket.holds_at(1300);
        bucket.refill(full);
        assert!(bucket.holds_at(1300) <= full);
    }

    #[test]
    fn a_debt_is_paid_at_the_new_rate() {
        let now = Instant::now();
        let mut bucket = TokenBucket::new(0, 3000, Duration::ZERO, now);
        bucket.spend(4000);
        assert!(
            bucket.out_of_debt_at() > now + Duration::from_secs(900),
            "a rate of nothing is the least rate"
        );
        bucket.set_rate(1_000_000);
        assert!(bucket.out_of_debt_at() <= now + Duration::from_micros(1001));
    }

    #[test]
    fn the_input_rate_settles_and_sums_up_to_the_input() {
        let start = Instant::now();
        let mut rate = InputRate::new(start);
        let (mut now, mut budget) = (start, 0.0);
        for tick in 0..6000 {
            now += Duration::from_millis(5);
            if tick < 2000 {
                rate.add(now, 2000);
            }
            rate.fold(now);
            budget += rate.weighted() as f64 * 0.005;
            if tick == 100 || tick == 1999 {
                assert!((390_000..420_000).contains(&rate.estimate()), "{tick}: {}", rate.estimate());
            }
        }
        assert!((3.9e6..4.05e6).contains(&budget), "{budget}");
    }
}
