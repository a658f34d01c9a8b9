//! How often something may happen: so many times a second, and as many at once.

use std::time::Instant;

/// An allowance that fills up with time.
pub(super) struct Allowance {
    per_s: u32,
    left: f64,
    at: Instant,
}

impl Allowance {
    /// A full one.
    pub(super) fn new(per_s: u32, now: Instant) -> Self {
        Self { per_s, left: f64::from(per_s), at: now }
    }

    /// Whether it may happen now; then it counts.
    pub(super) fn take(&mut self, now: Instant) -> bool {
        let earned = now.saturating_duration_since(self.at).as_secs_f64() * f64::from(self.per_s);
        self.at = self.at.max(now);
        self.left = (self.left + earned).min(f64::from(self.per_s));
        let granted = self.left >= 1.0;
        if granted {
            self.left -= 1.0;
        }
        granted
    }
}
