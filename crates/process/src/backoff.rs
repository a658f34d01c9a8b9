//! How long to wait before the next attempt: exponential, jittered, and forgetful after a healthy time.
//!
//! Belongs here: the pure calculation; `now` comes in, a duration goes out. Not here: waiting (`supervisor`).
//!
//! Invariants: a delay is at most `max`; without jitter delays never shrink while failures follow each other; the same
//! seed gives the same delays.

use std::time::{Duration, Instant};

/// The shape of the delays.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct BackoffConfig {
    /// The first delay.
    pub initial: Duration,
    /// The longest delay.
    pub max: Duration,
    /// What each failure multiplies the delay by; at least 1.
    pub factor: f64,
    /// How much of a delay is left to chance, 0 to 1: at 0.2 it is 80 to 100 % of its nominal length.
    pub jitter: f64,
    /// After running this long, the failures before are forgotten.
    pub healthy_after: Duration,
}

impl Default for BackoffConfig {
    /// 250 ms, doubled up to 30 s, 20 % jitter, forgotten after 30 s.
    fn default() -> Self {
        Self {
            initial: Duration::from_millis(250),
            max: Duration::from_secs(30),
            factor: 2.0,
            jitter: 0.2,
            healthy_after: Duration::from_secs(30),
        }
    }
}

/// Counts failures and says how long to wait after each.
#[derive(Clone, Debug)]
pub struct Backoff {
    config: BackoffConfig,
    chance: fastrand::Rng,
    failures: u32,
    running_since: Option<Instant>,
}

impl Backoff {
    /// Makes one without failures.
    pub fn new(config: BackoffConfig, seed: u64) -> Self {
        Self { config, chance: fastrand::Rng::with_seed(seed), failures: 0, running_since: None }
    }

    /// Notes that an attempt is up and running.
    pub fn started(&mut self, now: Instant) {
        self.running_since = Some(now);
    }

    /// Notes that the attempt has ended, and returns how long to wait before the next.
    pub fn ended(&mut self, now: Instant) -> Duration {
        let ran = self.running_since.take().map(|since| now.saturating_duration_since(since));
        if ran.is_some_and(|ran| ran >= self.config.healthy_after) {
            self.failures = 0;
        }
        let delay = self.nominal();
        self.failures = self.failures.saturating_add(1);
        let jitter = if self.config.jitter.is_nan() { 0.0 } else { self.config.jitter.clamp(0.0, 1.0) };
        delay.mul_f64(1.0 - jitter * self.chance.f64())
    }

    /// Returns the failures since the last healthy time.
    pub fn failures(&self) -> u32 {
        self.failures
    }

    fn nominal(&self) -> Duration {
        let growth = self.config.factor.max(1.0).powf(f64::from(self.failures));
        let seconds = self.config.initial.as_secs_f64() * growth;
        Duration::try_from_secs_f64(seconds).map_or(self.config.max, |delay| delay.min(self.config.max))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn without_jitter() -> BackoffConfig {
        BackoffConfig { jitter: 0.0, ..BackoffConfig::default() }
    }

    #[test]
    fn delays_double_up_to_the_longest() {
        let mut backoff = Backoff::new(without_jitter(), 0);
        let now = Instant::now();
        let delays: Vec<u128> = (0..9).map(|_| backoff.ended(now).as_millis()).collect();
        assert_eq!(delays, [250, 500, 1000, 2000, 4000, 8000, 16_000, 30_000, 30_000]);
    }

    #[test]
    fn a_healthy_time_forgets_the_failures_and_a_short_one_does_not() {
        let mut backoff = Backoff::new(without_jitter(), 0);
        let start = Instant::now();
        backoff.ended(start);
        backoff.started(start);
        assert_eq!(backoff.ended(start + Duration::from_secs(29)), Duration::from_millis(500));
        backoff.started(start);
        assert_eq!(backoff.ended(start + Duration::from_secs(30)), Duration::from_millis(250));
        assert_eq!(backoff.failures(), 1);
    }

    proptest! {
        #[test]
        fn jitter_only_shortens_and_the_seed_decides(seed: u64, failures in 0u32..200, jitter in -1.0f64..2.0) {
            let config = BackoffConfig { jitter, ..BackoffConfig::default() };
            let (mut one, mut two) = (Backoff::new(config, seed), Backoff::new(config, seed));
            let mut plain = Backoff::new(without_jitter(), seed);
            let now = Instant::now();
            for _ in 0..failures {
                let delay = one.ended(now);
                prop_assert_eq!(delay, two.ended(now));
                prop_assert!(delay <= plain.ended(now) + Duration::from_nanos(1));
            }
        }
    }
}
