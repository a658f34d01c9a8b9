//! The round trip, from a full ACK to its answer.
//!
//! draft-sharabayko-srt-01 §4.10 (smoothing). The first sample replaces the guess.

use std::time::Duration;

use super::reorder::micros;

const GUESS_US: u32 = 100_000;
/// A sample beyond this tells of a stall, not of a path.
const LONGEST_US: u32 = 10_000_000;
/// A gap is asked for again after this at the earliest, and what is added to the round trip for the way's jitter.
const LEAST_AGAIN_US: u32 = 20_000;
const AGAIN_MARGIN_US: u32 = 10_000;

/// See the module's documentation.
#[derive(Debug, Clone, Copy)]
pub(super) struct RoundTrip {
    smooth_us: u32,
    variance_us: u32,
    measured: bool,
}

impl RoundTrip {
    pub(super) fn new() -> Self {
        Self { smooth_us: GUESS_US, variance_us: GUESS_US / 2, measured: false }
    }

    pub(super) fn sample(&mut self, time: Duration) {
        let sample = micros(time).min(LONGEST_US);
        if self.measured {
            let error = sample.abs_diff(self.smooth_us);
            self.smooth_us = (self.smooth_us / 8) * 7 + (self.smooth_us % 8) * 7 / 8 + sample / 8;
            self.variance_us = self.variance_us / 4 * 3 + self.variance_us % 4 * 3 / 4 + error / 4;
        } else {
            self.smooth_us = sample;
            self.variance_us = sample / 2;
            self.measured = true;
        }
    }

    pub(super) fn smooth_us(&self) -> u32 {
        self.smooth_us
    }

    pub(super) fn variance_us(&self) -> u32 {
        self.variance_us
    }

    /// After how long a gap is asked for again: a retransmission would be here.
    pub(super) fn again(&self) -> Duration {
        let answered = self.smooth_us + 4 * self.variance_us;
        Duration::from_micros(u64::from(answered.max(LEAST_AGAIN_US) + AGAIN_MARGIN_US))
    }

    /// After how long the answer to an ACK is missing.
    pub(super) fn overdue(&self) -> Duration {
        Duration::from_micros(4 * u64::from(self.smooth_us.max(LEAST_AGAIN_US)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_sample_counts_in_full_and_later_ones_an_eighth() {
        let mut trip = RoundTrip::new();
        assert_eq!((trip.smooth_us(), trip.variance_us()), (100_000, 50_000));
        trip.sample(Duration::from_millis(40));
        assert_eq!((trip.smooth_us(), trip.variance_us()), (40_000, 20_000));
        trip.sample(Duration::from_millis(80));
        assert_eq!((trip.smooth_us(), trip.variance_us()), (45_000, 25_000));
        trip.sample(Duration::MAX);
        assert!(trip.again() < Duration::from_secs(12), "a stall is bounded");
    }
}
