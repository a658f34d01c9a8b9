//! The sign of life that a reader gives the watchdog.
//!
//! Belongs here: the atomic counter. Not here: the judgement (`machine`).
//!
//! Invariant: `beat` neither locks nor allocates, and reads the clock once.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// Tells the watchdog that bytes came; cheap to clone and to beat.
#[derive(Clone, Debug)]
pub struct Heartbeat(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    since: Instant,
    /// Microseconds from `since` to the last beat, plus 1; 0 before the first.
    last: AtomicU64,
    bytes: AtomicU64,
}

impl Heartbeat {
    pub(super) fn new(now: Instant) -> Self {
        Self(Arc::new(Inner { since: now, last: AtomicU64::new(0), bytes: AtomicU64::new(0) }))
    }

    /// Notes that `bytes` were read just now.
    pub fn beat(&self, bytes: usize) {
        let passed = u64::try_from(self.0.since.elapsed().as_micros()).unwrap_or(u64::MAX - 1);
        self.0.bytes.fetch_add(bytes as u64, Ordering::Relaxed);
        self.0.last.fetch_max(passed + 1, Ordering::Relaxed);
    }

    /// Returns the bytes noted so far.
    pub fn bytes(&self) -> u64 {
        self.0.bytes.load(Ordering::Relaxed)
    }

    /// Returns when the last beat was.
    pub fn last(&self) -> Option<Instant> {
        let last = self.0.last.load(Ordering::Relaxed).checked_sub(1)?;
        Some(self.0.since + Duration::from_micros(last))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_beat_counts_bytes_and_tells_its_time() {
        let start = Instant::now();
        let heart = Heartbeat::new(start);
        assert_eq!(heart.last(), None);
        heart.clone().beat(188);
        heart.beat(2);
        assert_eq!(heart.bytes(), 190);
        assert!(heart.last().unwrap() >= start);
    }
}
