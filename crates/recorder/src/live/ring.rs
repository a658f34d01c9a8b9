//! The newest segments of one camera, as the reader cuts them, for the live connection to take.
//!
//! Belongs here: a byte-bounded list of segments made of shared pieces, and a cursor into it. Not here: threads or
//! waiting (`crate::camera` wraps it in a lock and wakes the taker), sending (`link`).
//!
//! Invariants: segments are numbered within their recording without a hole; the ring never holds more than its bound,
//! but for one segment; a cursor never goes back.

use std::collections::VecDeque;
use std::time::Instant;

use bytes::Bytes;
use dashvault_base::RecordingId;

/// Bytes of an SRT payload: seven packets.
pub(crate) const PAYLOAD_BYTES: usize = 7 * 188;

/// One camera's ring.
#[derive(Debug)]
pub(crate) struct LiveRing {
    bound: usize,
    held: usize,
    recording: Option<RecordingId>,
    /// The number of the first segment held.
    first: u64,
    segments: VecDeque<Segment>,
    /// The recording has ended; the last segment is closed.
    ended: bool,
    /// Whether anybody takes; without a taker only the open segment is kept.
    taken: bool,
    /// Bytes a second, as the last closed segment had.
    rate: usize,
}

#[derive(Debug)]
struct Segment {
    started: Instant,
    pieces: Vec<Bytes>,
    bytes: usize,
    closed: bool,
}

/// Where a taker stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Cursor {
    /// The recording.
    pub(crate) recording: RecordingId,
    /// The segment.
    pub(crate) segment: u64,
    /// The next piece of it.
    piece: usize,
    /// Bytes of that piece that are taken.
    within: usize,
}

/// What comes next for a taker.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Piece {
    /// At most [`PAYLOAD_BYTES`] of the cursor's segment.
    Bytes(Bytes),
    /// The cursor's segment is over; the cursor stands at the next one.
    SegmentEnd {
        /// The segment that is over.
        segment: u64,
    },
    /// Nothing yet.
    Wait,
    /// The recording is over and all of it was taken, or the ring has moved on to another.
    RecordingEnd,
    /// The cursor's segment is no longer held: take a new cursor.
    Gone,
}

impl LiveRing {
    /// An empty ring that holds at most `bound` bytes.
    pub(crate) const fn new(bound: usize) -> Self {
        let segments = VecDeque::new();
        Self { bound, held: 0, recording: None, first: 0, segments, ended: false, taken: false, rate: 0 }
    }

    /// A recording begins; what was held of the last one goes.
    pub(crate) fn begin(&mut self, recording: RecordingId) {
        let Self { taken, rate, bound, .. } = *self;
        *self = Self { recording: Some(recording), taken, rate, ..Self::new(bound) };
    }

    /// Bytes of the open segment.
    pub(crate) fn push(&mut self, now: Instant, bytes: Bytes) {
        let open = match self.segments.back_mut() {
            Some(last) if !last.closed => last,
            _ => {
                self.segments.push_back(Segment {
                    started: now,
                    pieces: Vec::new(),
                    bytes: 0,
                    closed: false,
                });
                self.segments.back_mut().expect("it was just added")
            }
        };
        open.bytes += bytes.len();
        self.held += bytes.len();
        open.pieces.push(bytes);
        self.trim();
    }

    /// The open segment ends.
    pub(crate) fn close(&mut self) {
        if let Some(last) = self.segments.back_mut() {
            last.closed = true;
            let ms = last.started.elapsed().as_millis().max(100);
            self.rate = usize::try_from(last.bytes as u128 * 1000 / ms).unwrap_or(usize::MAX);
        }
        self.trim();
    }

    /// The recording ends.
    pub(crate) fn end(&mut self) {
        self.ended = true;
    }

    /// The recording there is; none once it has ended.
    pub(crate) fn recording(&self) -> Option<RecordingId> {
        self.recording.filter(|_| !self.ended)
    }

    /// What the camera gives, in bytes a second.
    pub(crate) const fn bytes_per_s(&self) -> usize {
        self.rate
    }

    /// A cursor at the start of the newest segment, for a new connection.
    pub(crate) fn newest(&mut self) -> Option<Cursor> {
        let recording = self.recording()?;
        self.taken = true;
        let open = self.segments.back().is_some_and(|last| !last.closed);
        let segment = self.first + self.segments.len() as u64 - u64::from(open);
        Some(Cursor { recording, segment, piece: 0, within: 0 })
    }

    /// Nobody takes any more.
    pub(crate) fn released(&mut self) {
        self.taken = false;
        self.trim();
    }

    /// Takes what comes next.
    pub(crate) fn next(&mut self, cursor: &mut Cursor) -> Piece {
        if self.recording != Some(cursor.recording) {
            return Piece::RecordingEnd;
        }
        let Some(index) =
            cursor.segment.checked_sub(self.first).and_then(|index| usize::try_from(index).ok())
        else {
            // Of a recording that has ended there is no newer segment to go on with.
            return if self.ended { Piece::RecordingEnd } else { Piece::Gone };
        };
        let Some(segment) = self.segments.get_mut(index) else {
            return if self.ended { Piece::RecordingEnd } else { Piece::Wait };
        };
        if let Some(piece) = segment.pieces.get_mut(cursor.piece) {
            let rest = piece.slice(cursor.within..);
            if rest.len() <= PAYLOAD_BYTES {
                cursor.piece += 1;
                cursor.within = 0;
                return Piece::Bytes(rest);
            }
            cursor.within += PAYLOAD_BYTES;
            return Piece::Bytes(rest.slice(..PAYLOAD_BYTES));
        }
        if !segment.closed {
            return Piece::Wait;
        }
        let over = cursor.segment;
        *cursor = Cursor { segment: over + 1, piece: 0, within: 0, ..*cursor };
        // What was taken is needed no more.
        while self.first <= over {
            self.drop_first();
        }
        Piece::SegmentEnd { segment: over }
    }

    /// When the cursor's segment began.
    pub(crate) fn started(&self, cursor: &Cursor) -> Option<Instant> {
        let index = usize::try_from(cursor.segment.checked_sub(self.first)?).ok()?;
        self.segments.get(index).map(|segment| segment.started)
    }

    fn trim(&mut self) {
        let open = self.segments.back().is_some_and(|last| !last.closed);
        let kept = if self.taken { 1 } else { usize::from(open) };
        while self.segments.len() > kept && (self.held > self.bound || !self.taken) {
            self.drop_first();
        }
    }

    fn drop_first(&mut self) {
        if let Some(segment) = self.segments.pop_front() {
            self.held -= segment.bytes;
        }
        self.first += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn recording() -> RecordingId {
        "20261122-101500".parse().unwrap()
    }

    fn ring(bound: usize) -> LiveRing {
        let mut ring = LiveRing::new(bound);
        ring.begin(recording());
        ring
    }

    fn fill(ring: &mut LiveRing, byte: u8, len: usize) {
        ring.push(Instant::now(), Bytes::from(vec![byte; len]));
    }

    #[test]
    fn new_connection_begins_at_the_open_segments_start() {
        let mut ring = ring(1 << 20);
        fill(&mut ring, 1, 188);
        ring.close();
        fill(&mut ring, 2, 376);
        let mut cursor = ring.newest().unwrap();
        assert_eq!(cursor.segment, 1);
        assert_eq!(ring.next(&mut cursor), Piece::Bytes(Bytes::from(vec![2; 376])));
        assert_eq!(ring.next(&mut cursor), Piece::Wait);
        ring.close();
        assert_eq!(ring.next(&mut cursor), Piece::SegmentEnd { segment: 1 });
        assert_eq!(ring.next(&mut cursor), Piece::Wait);
    }

    #[test]
    fn payloads_are_at_most_seven_packets() {
        let mut ring = ring(1 << 20);
        fill(&mut ring, 7, 188 * 16);
        let mut cursor = ring.newest().unwrap();
        let lengths: Vec<usize> = std::iter::from_fn(|| match ring.next(&mut cursor) {
            Piece::Bytes(bytes) => Some(bytes.len()),
            _ => None,
        })
        .collect();
        assert_eq!(lengths, [1316, 1316, 376]);
    }

    #[test]
    fn slow_taker_finds_its_segment_gone_and_memory_stays_bounded() {
        let mut ring = ring(1000);
        fill(&mut ring, 1, 188);
        let mut cursor = ring.newest().unwrap();
        for _ in 0..100 {
            ring.close();
            fill(&mut ring, 2, 376);
            assert!(ring.held <= 1000, "{}", ring.held);
        }
        assert_eq!(ring.next(&mut cursor), Piece::Gone);
    }

    #[test]
    fn slow_taker_of_a_recording_that_has_ended_is_told_of_its_end() {
        let mut ring = ring(1000);
        fill(&mut ring, 1, 188);
        let mut cursor = ring.newest().unwrap();
        for _ in 0..10 {
            ring.close();
            fill(&mut ring, 2, 376);
        }
        ring.close();
        ring.end();
        assert_eq!(ring.newest(), None);
        assert_eq!(ring.next(&mut cursor), Piece::RecordingEnd);
    }

    #[test]
    fn end_of_the_recording_comes_after_its_last_byte() {
        let mut ring = ring(1000);
        fill(&mut ring, 1, 188);
        let mut cursor = ring.newest().unwrap();
        ring.close();
        ring.end();
        assert!(matches!(ring.next(&mut cursor), Piece::Bytes(_)));
        assert_eq!(ring.next(&mut cursor), Piece::SegmentEnd { segment: 0 });
        assert_eq!(ring.next(&mut cursor), Piece::RecordingEnd);
        assert_eq!(ring.newest(), None);
        ring.begin(recording().next_second());
        assert_eq!(ring.next(&mut cursor), Piece::RecordingEnd);
    }

    #[test]
    fn without_a_taker_only_the_open_segment_is_held() {
        let mut ring = ring(1 << 20);
        for _ in 0..10 {
            fill(&mut ring, 1, 188);
            ring.close();
        }
        assert_eq!(ring.held, 0);
        fill(&mut ring, 1, 188);
        assert_eq!((ring.held, ring.newest().unwrap().segment), (188, 10));
    }

    proptest! {
        #[test]
        fn taker_that_keeps_up_gets_every_byte_in_order(pieces in prop::collection::vec((1usize..20, any::<bool>()), 1..60)) {
            let mut ring = ring(1 << 20);
            let (mut pushed, mut taken) = (Vec::new(), Vec::new());
            let mut cursor = ring.newest().unwrap();
            for (index, (packets, closes)) in pieces.into_iter().enumerate() {
                let bytes = vec![u8::try_from(index).unwrap(); packets * 188];
                pushed.extend_from_slice(&bytes);
                ring.push(Instant::now(), Bytes::from(bytes));
                if closes { ring.close(); }
                loop {
                    match ring.next(&mut cursor) {
                        Piece::Bytes(bytes) => taken.extend_from_slice(&bytes),
                        Piece::SegmentEnd { .. } => {}
                        other => { prop_assert_eq!(other, Piece::Wait); break; }
                    }
                }
            }
            prop_assert_eq!(pushed, taken);
        }
    }
}
