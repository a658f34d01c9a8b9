//! Which segments are on their way over live, have arrived, or never will.
//!
//! Belongs here: the pure account, fed by what was handed to SRT and by SRT's cumulative acknowledgement. Not here: the
//! connection (`link`), the decision what backfill carries (`crate::backfill`).
//!
//! Invariants: within a connection segments are handed over in order; the acknowledged bytes are a prefix of those
//! handed over; at most a minute of delivered segments is remembered.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use dashvault_base::RecordingId;

/// How long a delivery is remembered: far longer than any answer to a question asked before it.
const REMEMBERED: Duration = Duration::from_secs(60);

/// How live stands to one segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Carried {
    /// The connection has it, or will come to it.
    InFlight,
    /// SRT's peer acknowledged its last byte then.
    Delivered(Instant),
    /// Never sent, or its connection ended before the acknowledgement.
    NotLive,
}

/// One camera's account.
#[derive(Debug, Default)]
pub(crate) struct LiveLedger {
    connection: Option<Connection>,
    delivered: VecDeque<(RecordingId, u64, Instant)>,
}

#[derive(Debug)]
struct Connection {
    recording: RecordingId,
    /// Segments from here on will be sent, unless skipped.
    next: u64,
    /// Segments handed over whole, with the offset of their end within the connection.
    waiting: VecDeque<(u64, u64)>,
}

impl LiveLedger {
    /// A connection begins with segment `first`.
    pub(crate) fn connected(&mut self, recording: RecordingId, first: u64) {
        self.connection = Some(Connection { recording, next: first, waiting: VecDeque::new() });
    }

    /// Segment `segment` was handed over to its last byte, `handed` bytes after the connection began.
    pub(crate) fn finished(&mut self, segment: u64, handed: u64) {
        if let Some(connection) = &mut self.connection {
            connection.waiting.push_back((segment, handed));
            connection.next = segment + 1;
        }
    }

    /// The connection goes on with `segment`; those between are left out.
    pub(crate) fn skipped_to(&mut self, segment: u64) {
        if let Some(connection) = &mut self.connection {
            connection.next = connection.next.max(segment);
        }
    }

    /// The peer acknowledged `bytes` since the connection began; returns the segments that are delivered now.
    pub(crate) fn acknowledged(&mut self, now: Instant, bytes: u64) -> Vec<(RecordingId, u64)> {
        let Some(connection) = &mut self.connection else { return Vec::new() };
        let mut newly = Vec::new();
        while let Some((segment, end)) = connection.waiting.front().copied()
            && end <= bytes
        {
            connection.waiting.pop_front();
            self.delivered.push_back((connection.recording, segment, now));
            newly.push((connection.recording, segment));
        }
        while let Some((_, _, at)) = self.delivered.front()
            && now.saturating_duration_since(*at) > REMEMBERED
        {
            self.delivered.pop_front();
        }
        newly
    }

    /// The connection ended: what was not acknowledged is not live.
    pub(crate) fn disconnected(&mut self) {
        self.connection = None;
    }

    /// How live stands to one segment.
    pub(crate) fn carried(&self, recording: RecordingId, segment: u64) -> Carried {
        let delivered = self.delivered.iter().rev().find(|(r, s, _)| *r == recording && *s == segment);
        if let Some((_, _, at)) = delivered {
            return Carried::Delivered(*at);
        }
        match &self.connection {
            Some(connection) if connection.recording == recording => {
                let waiting = connection.waiting.iter().any(|(waiting, _)| *waiting == segment);
                if waiting || segment >= connection.next { Carried::InFlight } else { Carried::NotLive }
            }
            _ => Carried::NotLive,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn recording() -> RecordingId {
        "20261122-101500".parse().unwrap()
    }

    #[test]
    fn segment_is_delivered_when_its_last_byte_is_acknowledged() {
        let (mut ledger, now) = (LiveLedger::default(), Instant::now());
        ledger.connected(recording(), 5);
        ledger.finished(5, 100);
        ledger.finished(6, 150);
        assert_eq!(ledger.acknowledged(now, 149), [(recording(), 5)]);
        assert_eq!(ledger.carried(recording(), 5), Carried::Delivered(now));
        assert_eq!(ledger.carried(recording(), 6), Carried::InFlight);
        assert_eq!(ledger.carried(recording(), 7), Carried::InFlight, "it will be sent");
        assert_eq!(ledger.carried(recording(), 4), Carried::NotLive, "before the connection");
    }

    #[test]
    fn end_of_the_connection_settles_what_was_in_flight() {
        let (mut ledger, now) = (LiveLedger::default(), Instant::now());
        ledger.connected(recording(), 0);
        ledger.finished(0, 100);
        ledger.finished(1, 200);
        ledger.acknowledged(now, 100);
        ledger.disconnected();
        assert_eq!(ledger.carried(recording(), 0), Carried::Delivered(now));
        assert_eq!(ledger.carried(recording(), 1), Carried::NotLive);
        assert_eq!(ledger.carried(recording(), 2), Carried::NotLive);
    }

    #[test]
    fn skipped_segments_are_not_live() {
        let mut ledger = LiveLedger::default();
        ledger.connected(recording(), 0);
        ledger.finished(0, 100);
        ledger.skipped_to(4);
        assert_eq!(ledger.carried(recording(), 0), Carried::InFlight);
        assert_eq!(ledger.carried(recording(), 3), Carried::NotLive);
        assert_eq!(ledger.carried(recording(), 4), Carried::InFlight);
    }

    #[test]
    fn another_recordings_segments_are_not_confused() {
        let mut ledger = LiveLedger::default();
        ledger.connected(recording().next_second(), 0);
        assert_eq!(ledger.carried(recording(), 0), Carried::NotLive);
    }

    #[test]
    fn deliveries_are_forgotten_after_a_minute() {
        let (mut ledger, now) = (LiveLedger::default(), Instant::now());
        ledger.connected(recording(), 0);
        ledger.finished(0, 1);
        ledger.acknowledged(now, 1);
        ledger.acknowledged(now + REMEMBERED * 2, 1);
        assert_eq!(ledger.carried(recording(), 0), Carried::NotLive);
    }

    proptest! {
        #[test]
        fn no_segment_is_both_delivered_and_sent_again(steps in prop::collection::vec((0u8..5, 1usize..500), 1..100)) {
            let (mut ledger, now) = (LiveLedger::default(), Instant::now());
            let (mut next, mut handed, mut acked, mut connected) = (0u64, 0u64, 0u64, false);
            let mut delivered = std::collections::HashSet::new();
            for (step, amount) in steps {
                match step {
                    0 if !connected => { ledger.connected(recording(), next); connected = true; handed = 0; acked = 0; }
                    1 if connected => { handed += amount as u64; ledger.finished(next, handed); next += 1; }
                    2 if connected => {
                        acked = (acked + amount as u64).min(handed);
                        for (_, segment) in ledger.acknowledged(now, acked) {
                            prop_assert!(delivered.insert(segment), "delivered once");
                        }
                    }
                    3 => { ledger.disconnected(); connected = false; }
                    _ => { next += 1; ledger.skipped_to(next); }
                }
                for segment in 0..next {
                    let is_delivered = matches!(ledger.carried(recording(), segment), Carried::Delivered(_));
                    prop_assert_eq!(is_delivered, delivered.contains(&segment));
                }
            }
        }
    }
}
