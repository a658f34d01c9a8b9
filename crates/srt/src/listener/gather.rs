//! How long a worker naps before it empties its socket, so that datagrams gather under load.
//!
//! Each round of a worker has a price of its own: a wake-up, calls, timers, acknowledgements. With much traffic they gather:
//! 200 streams of 4 Mbit/s cost 1.8 times a bare socket with naps of 2 ms, and 1.5 times with 5 ms, which is half the
//! time between two acknowledgements. With little traffic a nap would only delay what the sender waits for.
//!
//! Invariant: a nap never fills more than a part of the socket's buffer.

use std::time::{Duration, Instant};

/// The longest nap.
const NAP: Duration = Duration::from_millis(5);
/// Traffic is measured over this long.
const SPAN: Duration = Duration::from_millis(50);
/// Datagrams a second from which on it pays: twenty a nap.
const BUSY_PER_S: u64 = 4000;
/// What a datagram takes of the socket's buffer, as Linux counts it.
const FOOTPRINT_BYTES: usize = 2304;
/// The part of the buffer that a nap may fill.
const PART: usize = 8;

#[derive(Debug)]
pub(super) struct Gather {
    since: Instant,
    datagrams: u64,
    per_second: u64,
    /// Datagrams that a nap may gather.
    most: u64,
}

impl Gather {
    pub(super) fn new(now: Instant, buffer_bytes: usize) -> Self {
        let most = buffer_bytes.checked_div(FOOTPRINT_BYTES * PART).unwrap_or(0) as u64;
        Self { since: now, datagrams: 0, per_second: 0, most }
    }

    /// Counts what a round has taken.
    pub(super) fn took(&mut self, now: Instant, datagrams: usize) {
        self.datagrams += datagrams as u64;
        let passed = now.saturating_duration_since(self.since);
        if passed >= SPAN {
            let micros = u64::try_from(passed.as_micros()).unwrap_or(u64::MAX).max(1);
            self.per_second = self.datagrams.saturating_mul(1_000_000) / micros;
            (self.since, self.datagrams) = (now, 0);
        }
    }

    /// How long to nap now, if at all.
    pub(super) fn nap(&self) -> Option<Duration> {
        if self.per_second < BUSY_PER_S {
            return None;
        }
        let full = Duration::from_micros(self.most.saturating_mul(1_000_000) / self.per_second);
        Some(full.min(NAP)).filter(|nap| *nap >= Duration::from_micros(200))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The nap after a second of so many datagrams.
    fn nap(per_second: usize, buffer_bytes: usize) -> Option<Duration> {
        let start = Instant::now();
        let mut gather = Gather::new(start, buffer_bytes);
        for ms in 1..=1000 {
            gather.took(start + Duration::from_millis(ms), per_second / 1000);
        }
        gather.nap()
    }

    #[test]
    fn little_traffic_is_answered_at_once_and_much_is_gathered() {
        assert_eq!(nap(1000, 8 << 20), None);
        assert_eq!(nap(20_000, 8 << 20), Some(NAP));
        assert_eq!(nap(80_000, 8 << 20), Some(NAP));
    }

    #[test]
    fn a_nap_does_not_overfill_a_small_buffer() {
        let short = nap(20_000, 425_984).unwrap();
        assert!(short < Duration::from_micros(1200), "{short:?}");
        assert_eq!(nap(1_000_000, 425_984), None);
    }
}
