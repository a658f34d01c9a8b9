//! Which live bytes of one camera are on the disk, and which announced segment they are. Pure.
//!
//! A live segment is found by content (length and hash). A *prefix* is found by its recording and first PTS, and only
//! up to the first byte behind which something was lost.
//!
//! A scratch is *settled* once each of its segments is stored, or was replaced: it came damaged, and another copy that
//! covers the same PTS of the same recording is stored. Only then may its file be deleted. A segment that came whole is
//! never replaced: PTS come again every 26.5 hours.

use std::collections::{BTreeMap, HashMap};

use dashvault_base::{ContentHash, Pts, RecordingId, Ticks90k};
use dashvault_wire::ByteRange;

/// PTS has 33 bits on the wire; the two sides may have unwrapped it differently.
const PTS_MASK: i64 = (1 << 33) - 1;

/// Live segments of one camera that are kept in memory. What is beyond stays on the disk and is not found; only a
/// stream with absurdly short segments gets there.
const MAX_SEGMENTS: usize = 200_000;

/// One scratch file of one camera.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct ScratchId(pub(crate) u64);

/// All live bytes of one camera.
#[derive(Debug, Default)]
pub(crate) struct LiveIndex {
    scratches: BTreeMap<ScratchId, ScratchEntries>,
    by_content: HashMap<(u32, ContentHash), Place>,
    /// The longest clean beginning of each ended segment, by recording and 33-bit PTS.
    by_pts: HashMap<(RecordingId, i64), Place>,
}

/// What is in one scratch file.
#[derive(Debug)]
struct ScratchEntries {
    recording: RecordingId,
    segments: Vec<LiveSegment>,
    open: Option<OpenLive>,
    writing: bool,
    unsettled: usize,
}

/// A segment that has ended in a scratch.
#[derive(Debug, Clone, Copy)]
pub(crate) struct LiveSegment {
    /// Where it lies in the scratch.
    pub(crate) range: ByteRange,
    /// How many of its first bytes came without a loss before them.
    pub(crate) clean: u64,
    pub(crate) hash: ContentHash,
    pub(crate) start_pts: Option<Pts>,
    /// It came whole, so that its hash is the recorder's: then only a stored segment of that hash is its copy.
    pub(crate) sure: bool,
    pub(crate) settled: bool,
}

/// The segment that is still coming in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct OpenLive {
    pub(crate) start: u64,
    pub(crate) clean: u64,
    pub(crate) start_pts: Option<Pts>,
}

/// A run of bytes in a scratch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) scratch: ScratchId,
    pub(crate) range: ByteRange,
}

impl LiveIndex {
    /// Begins a scratch that bytes come into.
    pub(crate) fn begin(&mut self, id: ScratchId, recording: RecordingId) {
        let entries =
            ScratchEntries { recording, segments: Vec::new(), open: None, writing: true, unsettled: 0 };
        self.scratches.insert(id, entries);
    }

    /// No more bytes come into a scratch.
    pub(crate) fn end(&mut self, id: ScratchId) {
        if let Some(entries) = self.scratches.get_mut(&id) {
            entries.writing = false;
            entries.open = None;
        }
    }

    /// A segment of a scratch has ended.
    pub(crate) fn closed(&mut self, id: ScratchId, segment: LiveSegment) {
        let Some(entries) = self.scratches.get_mut(&id) else { return };
        entries.open = None;
        entries.unsettled += usize::from(!segment.settled);
        if self.by_content.len() >= MAX_SEGMENTS {
            return;
        }
        entries.segments.push(segment);
        if let Ok(len) = u32::try_from(segment.range.len()) {
            self.by_content.insert((len, segment.hash), Place { scratch: id, range: segment.range });
        }
        if let Some(pts) = segment.start_pts {
            let start = segment.range.start;
            let place = Place { scratch: id, range: ByteRange::new(start, start + segment.clean) };
            let best = self.by_pts.entry((entries.recording, pts.0 & PTS_MASK)).or_insert(place);
            if best.range.len() < place.range.len() {
                *best = place;
            }
        }
    }

    /// How far the open segment of a scratch has come.
    pub(crate) fn grew(&mut self, id: ScratchId, open: OpenLive) {
        if let Some(entries) = self.scratches.get_mut(&id) {
            entries.open = Some(open);
        }
    }

    /// Where a segment with this content lies.
    pub(crate) fn whole(&self, len: u32, hash: ContentHash) -> Option<Place> {
        self.by_content.get(&(len, hash)).copied()
    }

    /// The longest clean run of bytes that should be the beginning of the segment with this first PTS.
    pub(crate) fn prefix(&self, recording: RecordingId, pts: Pts) -> Option<Place> {
        let ended = self.by_pts.get(&(recording, pts.0 & PTS_MASK)).copied();
        let coming = self.scratches.iter().filter_map(|(id, entries)| {
            let open = entries.open.filter(|_| entries.recording == recording)?;
            let same = open.start_pts?.since(pts) & PTS_MASK == 0;
            let range = ByteRange::new(open.start, open.start + open.clean);
            same.then_some(Place { scratch: *id, range })
        });
        let longest = coming.chain(ended).max_by_key(|place| place.range.len());
        longest.filter(|place| !place.range.is_empty())
    }

    /// Notes that a segment is stored: live copies of it, and of what it covers, are not needed any more.
    pub(crate) fn settle(
        &mut self,
        recording: RecordingId,
        hash: ContentHash,
        pts: Option<Pts>,
        duration: Ticks90k,
    ) {
        for entries in self.scratches.values_mut().filter(|entries| entries.recording == recording) {
            // A segment without any PTS goes with the one before it; at a scratch's start it is the torn end of
            // one, and goes with the one after.
            let lead = entries.segments.iter().take_while(|segment| segment.start_pts.is_none()).count();
            let mut before = false;
            for segment in &mut entries.segments {
                let covered = match (segment.start_pts, pts) {
                    (Some(live), Some(stored)) => {
                        live.since(stored) & PTS_MASK < i64::from(duration.0.max(1))
                    }
                    (None, _) => before,
                    (Some(_), None) => false,
                };
                before = segment.hash == hash || (covered && !segment.sure);
                if before && !segment.settled {
                    segment.settled = true;
                    entries.unsettled -= 1;
                }
            }
            if entries.segments.get(lead).is_some_and(|segment| segment.settled) {
                for segment in entries.segments.iter_mut().take(lead).filter(|segment| !segment.settled) {
                    segment.settled = true;
                    entries.unsettled -= 1;
                }
            }
        }
    }

    /// Takes out a scratch that nothing is needed of any more.
    pub(crate) fn take_settled(&mut self) -> Option<(ScratchId, RecordingId)> {
        let done = |entries: &ScratchEntries| !entries.writing && entries.unsettled == 0;
        let (id, _) = self.scratches.iter().find(|(_, entries)| done(entries))?;
        let id = *id;
        self.forget(id).map(|recording| (id, recording))
    }

    /// Takes out a scratch that is not written any more, whatever is in it; gives its recording.
    pub(crate) fn forget(&mut self, id: ScratchId) -> Option<RecordingId> {
        self.scratches.get(&id).filter(|entries| !entries.writing)?;
        let entries = self.scratches.remove(&id)?;
        self.by_content.retain(|_, place| place.scratch != id);
        self.by_pts.retain(|_, place| place.scratch != id);
        Some(entries.recording)
    }

    /// The recordings that have live bytes here.
    pub(crate) fn recordings(&self) -> Vec<RecordingId> {
        let mut all: Vec<_> = self.scratches.values().map(|entries| entries.recording).collect();
        all.sort_unstable();
        all.dedup();
        all
    }

    /// How many scratches there are.
    pub(crate) fn len(&self) -> usize {
        self.scratches.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RECORDING: &str = "20261122-101500";

    fn recording() -> RecordingId {
        RECORDING.parse().unwrap()
    }

    fn segment(start: u64, clean: u64, pts: i64, text: &[u8]) -> LiveSegment {
        LiveSegment {
            range: ByteRange::new(start, start + 188),
            clean,
            hash: ContentHash::of(text),
            start_pts: Some(Pts(pts)),
            sure: false,
            settled: false,
        }
    }

    #[test]
    fn what_came_whole_is_not_replaced_by_the_same_pts_a_day_later() {
        let mut live = LiveIndex::default();
        live.begin(ScratchId(1), recording());
        live.closed(ScratchId(1), LiveSegment { sure: true, ..segment(0, 188, 90_000, b"a") });
        live.end(ScratchId(1));
        let wrapped = Some(Pts(90_000 + (1 << 33)));
        live.settle(recording(), ContentHash::of(b"b"), wrapped, Ticks90k(90_000));
        assert_eq!(live.take_settled(), None);
        live.settle(recording(), ContentHash::of(b"a"), Some(Pts(90_000)), Ticks90k(90_000));
        assert_eq!(live.take_settled(), Some((ScratchId(1), recording())));
    }

    #[test]
    fn a_segment_is_found_by_content_whatever_its_recording() {
        let mut live = LiveIndex::default();
        live.begin(ScratchId(1), recording());
        live.closed(ScratchId(1), segment(376, 188, 90_000, b"a"));
        let place = live.whole(188, ContentHash::of(b"a")).unwrap();
        assert_eq!((place.scratch, place.range.start), (ScratchId(1), 376));
        assert_eq!(live.whole(376, ContentHash::of(b"a")), None);
        assert_eq!(live.whole(188, ContentHash::of(b"b")), None);
    }

    #[test]
    fn the_longest_clean_prefix_wins_and_pts_are_compared_in_33_bits() {
        let mut live = LiveIndex::default();
        for (id, clean) in [(1, 10), (2, 100), (3, 50)] {
            live.begin(ScratchId(id), recording());
            live.closed(ScratchId(id), segment(0, clean, 90_000, b"a"));
        }
        let wrapped = Pts(90_000 + (3 << 33));
        let place = live.prefix(recording(), wrapped).unwrap();
        assert_eq!((place.scratch, place.range), (ScratchId(2), ByteRange::new(0, 100)));
        assert_eq!(live.prefix(recording().next_second(), wrapped), None);
        assert_eq!(live.prefix(recording(), Pts(90_001)), None);
    }

    #[test]
    fn the_open_segment_gives_its_bytes_so_far() {
        let mut live = LiveIndex::default();
        live.begin(ScratchId(1), recording());
        live.grew(ScratchId(1), OpenLive { start: 188, clean: 376, start_pts: Some(Pts(7)) });
        let expected = Place { scratch: ScratchId(1), range: ByteRange::new(188, 564) };
        assert_eq!(live.prefix(recording(), Pts(7)), Some(expected));
        live.end(ScratchId(1));
        assert_eq!(live.prefix(recording(), Pts(7)), None);
    }

    #[test]
    fn a_scratch_goes_only_when_all_it_has_is_stored_or_replaced() {
        let mut live = LiveIndex::default();
        live.begin(ScratchId(1), recording());
        live.closed(ScratchId(1), segment(0, 188, 0, b"a"));
        live.closed(ScratchId(1), segment(188, 20, 90_000, b"damaged"));
        live.settle(recording(), ContentHash::of(b"a"), Some(Pts(0)), Ticks90k(90_000));
        live.end(ScratchId(1));
        assert_eq!(live.take_settled(), None);
        live.settle(recording().next_second(), ContentHash::of(b"b"), Some(Pts(90_000)), Ticks90k(90_000));
        assert_eq!(live.take_settled(), None);
        live.settle(recording(), ContentHash::of(b"b"), Some(Pts(90_000)), Ticks90k(90_000));
        assert_eq!(live.take_settled(), Some((ScratchId(1), recording())));
        assert_eq!(live.whole(188, ContentHash::of(b"a")), None);
        assert_eq!(live.len(), 0);
    }

    #[test]
    fn the_torn_end_that_a_scratch_begins_with_goes_with_the_segment_after_it() {
        let mut live = LiveIndex::default();
        live.begin(ScratchId(1), recording());
        live.closed(ScratchId(1), LiveSegment { start_pts: None, ..segment(0, 0, 0, b"torn") });
        live.closed(ScratchId(1), segment(188, 188, 90_000, b"a"));
        live.end(ScratchId(1));
        assert_eq!(live.take_settled(), None);
        live.settle(recording(), ContentHash::of(b"a"), Some(Pts(90_000)), Ticks90k(90_000));
        assert_eq!(live.take_settled(), Some((ScratchId(1), recording())));
    }

    #[test]
    fn a_scratch_that_is_still_written_stays() {
        let mut live = LiveIndex::default();
        live.begin(ScratchId(1), recording());
        assert_eq!(live.take_settled(), None);
        assert_eq!(live.recordings(), [recording()]);
    }
}
