//! How long it takes from the link's return to the first live segment in the vault.
//!
//! Pure but for the reading of metrics: moments and counts come in. An outage that comes before any
//! segment did leaves its return unanswered; that is counted apart, and not as a time.

use std::time::{Duration, Instant};

/// The vault's counts, by the way that footage came.
const SEGMENTS: &str = "dashvault_segments_total{way=\"live\"}";
const BYTES: &str = "dashvault_received_bytes_total{way=\"live\"}";

/// What came live so far, by the vault's own count.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Live {
    /// Segments whose hash was right.
    pub(super) segments: u64,
    /// Bytes as they arrived.
    pub(super) bytes: u64,
}

impl Live {
    /// Reads the vault's metrics.
    pub(super) fn parse(metrics: &str) -> Self {
        let value = |name: &str| {
            let rest = metrics.lines().find_map(|line| line.strip_prefix(name))?;
            rest.trim().parse::<f64>().ok()
        };
        Self { segments: value(SEGMENTS).unwrap_or(0.0) as u64, bytes: value(BYTES).unwrap_or(0.0) as u64 }
    }
}

/// Watches for returns of the link, and for what comes after each.
#[derive(Debug, Default)]
pub(super) struct Relinks {
    seen: usize,
    waiting: Option<(Instant, Live)>,
    took: Vec<Duration>,
    unanswered: usize,
}

impl Relinks {
    /// Takes what is known at `now`: the moments of return so far, and what came live so far.
    ///
    /// A segment that had arrived before the outage may prove right only after it; so a return is
    /// answered when a segment proved right *and* as many bytes as a segment has came since.
    pub(super) fn observe(&mut self, now: Instant, returns: &[Instant], live: Live, segment_bytes: u64) {
        if let Some(latest) = returns.get(self.seen..).and_then(|new| new.last()) {
            let new = returns.len() - self.seen;
            self.unanswered += new - 1 + usize::from(self.waiting.is_some());
            self.seen = returns.len();
            self.waiting = Some((*latest, live));
        }
        if let Some((since, before)) = self.waiting
            && live.segments > before.segments
            && live.bytes.saturating_sub(before.bytes) >= segment_bytes
        {
            self.took.push(now.saturating_duration_since(since));
            self.waiting = None;
        }
    }

    /// Whether there is anything to ask the vault for.
    pub(super) const fn want(&self, returns: &[Instant]) -> bool {
        self.waiting.is_some() || returns.len() > self.seen
    }

    /// Every time that was taken, in milliseconds, in order.
    pub(super) fn took_ms(&self) -> Vec<u64> {
        self.took.iter().map(|took| u64::try_from(took.as_millis()).unwrap_or(u64::MAX)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SEGMENT: u64 = 1000;

    fn live(segments: u64, bytes: u64) -> Live {
        Live { segments, bytes }
    }

    #[test]
    fn time_is_taken_from_the_return_to_the_first_whole_segment_sent_after_it() {
        let start = Instant::now();
        let at = |ms| start + Duration::from_millis(ms);
        let mut relinks = Relinks::default();
        relinks.observe(at(0), &[], live(7, 7000), SEGMENT);
        assert!(!relinks.want(&[]) && relinks.want(&[at(100)]));
        relinks.observe(at(120), &[at(100)], live(7, 7000), SEGMENT);
        // One from before the outage proves right.
        relinks.observe(at(600), &[at(100)], live(8, 7300), SEGMENT);
        assert!(relinks.want(&[at(100)]));
        relinks.observe(at(900), &[at(100)], live(9, 8100), SEGMENT);
        relinks.observe(at(950), &[at(100)], live(10, 9000), SEGMENT);
        assert_eq!(relinks.took_ms(), [800]);
    }

    #[test]
    fn return_that_is_cut_off_again_is_no_time() {
        let start = Instant::now();
        let at = |ms| start + Duration::from_millis(ms);
        let mut relinks = Relinks::default();
        relinks.observe(at(110), &[at(100)], live(7, 0), SEGMENT);
        relinks.observe(at(310), &[at(100), at(300)], live(7, 0), SEGMENT);
        relinks.observe(at(700), &[at(100), at(300)], live(8, 1000), SEGMENT);
        assert_eq!((relinks.took_ms(), relinks.unanswered), (vec![400], 1));
    }

    #[test]
    fn counts_are_read_by_their_way() {
        let text = "dashvault_segments_total{way=\"plain\"} 3\n\
            dashvault_segments_total{way=\"live\"} 4\ndashvault_received_bytes_total{way=\"live\"} 99\n";
        assert_eq!(Live::parse(text), live(4, 99));
        assert_eq!(Live::parse(""), live(0, 0));
    }
}
