//! When a packet is due in TSBPD mode.
//!
//! A packet's time is the moment that stamp 0 means, plus its stamp, the latency and the drift. The drift follows the
//! peer's clock by the quickest packet of each period: queues make packets late, never early. It moves by at most
//! 5 ms a period, so that a changed route or a burst does not tear the playout.
//!
//! Invariants: no packet is due later than its arrival plus the latency plus [`SLACK`], whatever its stamp says;
//! the retransmitted do not count for the drift.
//!
//! draft-sharabayko-srt-01 §4.5, §4.7.

use std::time::{Duration, Instant};

use crate::core::seq::Stamp;

/// How much earlier than the stream's beginning says a packet may arrive.
pub(super) const SLACK: Duration = Duration::from_micros(SLACK_US);
const SLACK_US: u64 = 1_000_000;
const SAMPLES: u32 = 1000;
const PERIOD_US: u64 = 1_000_000;
const MOST_STEP_US: i64 = 5000;

/// See the module's documentation.
#[derive(Debug)]
pub(super) struct Playout {
    began: Instant,
    latency: Duration,
    drift_us: i64,
    samples: u32,
    period_us: u64,
    /// The least of arrival minus stamp in this period.
    quickest_us: i64,
    /// The same of the first period.
    reference_us: Option<i64>,
}

impl Playout {
    pub(super) fn new(began: Instant, latency: Duration) -> Self {
        Self {
            began,
            latency,
            drift_us: 0,
            samples: 0,
            period_us: 0,
            quickest_us: i64::MAX,
            reference_us: None,
        }
    }

    /// The unwrapped stamp of a packet that arrives now: the reading nearest to the clock.
    pub(super) fn arrival(&mut self, now: Instant, stamp: Stamp, retransmitted: bool) -> u64 {
        let clock = self.clock_us(now);
        let early = i64::from(stamp.offset_from(Stamp::of_micros(clock)));
        if !retransmitted {
            self.sample(clock, -early);
        }
        let latest = clock.saturating_add_signed(-self.drift_us) + SLACK_US;
        clock.saturating_add_signed(early).min(latest)
    }

    /// When a packet of this stamp is handed on.
    pub(super) fn due(&self, stamp_us: u64) -> Instant {
        self.began + self.latency + Duration::from_micros(stamp_us.saturating_add_signed(self.drift_us))
    }

    fn sample(&mut self, clock: u64, transit_us: i64) {
        self.quickest_us = self.quickest_us.min(transit_us);
        self.samples += 1;
        if self.samples < SAMPLES || clock < self.period_us + PERIOD_US {
            return;
        }
        match self.reference_us {
            None => self.reference_us = Some(self.quickest_us),
            Some(reference) => {
                let error = self.quickest_us - reference - self.drift_us;
                self.drift_us += error.clamp(-MOST_STEP_US, MOST_STEP_US);
            }
        }
        self.samples = 0;
        self.period_us = clock;
        self.quickest_us = i64::MAX;
    }

    fn clock_us(&self, now: Instant) -> u64 {
        u64::try_from(now.saturating_duration_since(self.began).as_micros()).unwrap_or(u64::MAX / 2)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LATENCY: Duration = Duration::from_millis(120);

    #[test]
    fn a_packet_is_due_its_stamp_plus_the_latency_after_the_beginning() {
        let t = Instant::now();
        let mut playout = Playout::new(t, LATENCY);
        let us = playout.arrival(t + Duration::from_millis(530), Stamp::of_micros(500_000), false);
        assert_eq!(playout.due(us), t + Duration::from_millis(620));
    }

    #[test]
    fn stamps_wrap_after_71_minutes() {
        let t = Instant::now();
        let mut playout = Playout::new(t, LATENCY);
        let time = Duration::from_micros(u64::from(u32::MAX) + 1_000);
        let us = playout.arrival(t + time + Duration::from_millis(20), Stamp::of_micros(999), false);
        assert_eq!(playout.due(us), t + time + LATENCY);
    }

    #[test]
    fn a_hostile_stamp_does_not_hold_the_stream() {
        let t = Instant::now();
        let mut playout = Playout::new(t, LATENCY);
        for stamp in [0, 1 << 30, 1 << 31, u32::MAX.into()] {
            let us = playout.arrival(t, Stamp::of_micros(stamp), false);
            assert!(playout.due(us) <= t + LATENCY + SLACK);
        }
    }

    #[test]
    fn the_drift_of_the_peers_clock_is_followed_in_spite_of_queues() {
        let t = Instant::now();
        let mut playout = Playout::new(t, LATENCY);
        let mut queue = fastrand::Rng::with_seed(7);
        // The peer's clock is 200 ppm slow; one packet each millisecond for ten minutes.
        for n in 0..600_000_u64 {
            let stamp = n * 1000 - n / 5;
            let now = t + Duration::from_micros(n * 1000 + 30_000 + queue.u64(0..20_000));
            playout.arrival(now, Stamp::of_micros(stamp), false);
        }
        assert!((playout.drift_us - 120_000).abs() < 1500, "{}", playout.drift_us);
    }
}
