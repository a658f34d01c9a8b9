//! What is good of an open pack's bytes: checked against the journal, and cut anew behind it.

use dashvault_base::{ContentHash, Pts};
use dashvault_disk::{DiskError, DiskFile};
use dashvault_media::{
    MAX_SEGMENTS_PER_PACK, PACKET_BYTES, Segment, SegmentEntry, SegmentSink, Segmenter, SegmenterConfig,
};

use super::open_pack::end_offset_ms;

const PACKET: u64 = PACKET_BYTES as u64;
/// Bytes read at a time: whole packets.
const STEP: u64 = PACKET * 1024;
/// The least that a disk writes or does not.
const SECTOR: u64 = 512;
const SYNC_BYTE: u8 = 0x47;
/// How a trailer begins: a null packet, then the manifest's magic (`docs/design/pack-format.md`).
const TRAILER_START: [u8; 8] = [SYNC_BYTE, 0x1F, 0xFF, 0x10, b'D', b'V', b'M', b'F'];
/// The PTS wraps at 33 bits (ISO/IEC 13818-1 §2.4.3.7).
const PTS_WRAP: i64 = 1 << 33;

/// What to keep of an open pack.
#[derive(Debug, Default)]
pub(super) struct Rescan {
    /// Everything to keep: the journal's segments, then the tail's.
    pub(super) segments: Vec<SegmentEntry>,
    /// How many of them are the tail's.
    pub(super) unannounced: usize,
    /// Which of the journal's have other bytes than it says.
    pub(super) damaged: Vec<u32>,
    /// Bytes of all of them.
    pub(super) body_len: u64,
    /// Bytes of footage behind them that are not kept.
    pub(super) dropped_bytes: u64,
}

impl Rescan {
    /// Reads the whole file, the end of it twice.
    pub(super) fn run(file: &dyn DiskFile, journaled: &[SegmentEntry]) -> Result<Self, DiskError> {
        let file_len = file.len()?;
        let mut kept = Self::default();
        kept.take_journaled(file, journaled, file_len)?;
        let (start, end) = (kept.body_len, tail_end(file, kept.body_len, file_len)?);
        let mut tail = cut_tail(file, start, end, kept.segments.last().map(|last| last.len))?;
        tail.truncate(MAX_SEGMENTS_PER_PACK.saturating_sub(kept.segments.len()));
        // Without a keyframe first it cannot be played, and may be no more than the tables of a segment to come.
        if tail.first().is_some_and(|segment| segment.keyframe) {
            kept.take_tail(&tail);
        }
        // A scrap of a trailer is no footage; torn packets and holes are.
        let is_trailer = starts_trailer(file, end)?;
        let footage_end = if is_trailer { end } else { file_len };
        kept.dropped_bytes = footage_end.saturating_sub(kept.body_len);
        Ok(kept)
    }

    fn take_journaled(
        &mut self,
        file: &dyn DiskFile,
        journaled: &[SegmentEntry],
        file_len: u64,
    ) -> Result<(), DiskError> {
        for (index, entry) in (0u32..).zip(journaled) {
            let end = self.body_len.saturating_add(entry.len.into());
            if end > file_len {
                break;
            }
            let found = hash(file, self.body_len, end)?;
            let mut entry = *entry;
            if found != entry.hash {
                // The last line may be of a segment that was dropped when its sync failed: the bytes are those of
                // the next one then, which is for the tail to judge.
                if index as usize + 1 == journaled.len() {
                    break;
                }
                (entry.hash, entry.damaged) = (found, true);
                self.damaged.push(index);
            }
            self.segments.push(entry);
            self.body_len = end;
        }
        Ok(())
    }

    fn take_tail(&mut self, tail: &[Segment]) {
        let shift = self.pts_shift(tail);
        for segment in tail {
            let wall_offset_ms = self.segments.last().map_or(0, end_offset_ms);
            let mut entry = SegmentEntry::new(segment, wall_offset_ms);
            entry.start_pts = entry.start_pts.map(|pts| Pts(pts.0.saturating_add(shift)));
            self.body_len = self.body_len.saturating_add(entry.len.into());
            self.segments.push(entry);
            self.unannounced += 1;
        }
        // Its last picture is cut short.
        if let Some(last) = self.segments.last_mut() {
            last.damaged = true;
        }
    }

    /// What to add to the tail's PTS, unwrapped on its own, to go on where the journal's ended.
    fn pts_shift(&self, tail: &[Segment]) -> i64 {
        let timed = |entry: &&SegmentEntry| entry.start_pts.is_some();
        let last = self.segments.iter().rev().find(timed);
        let expected = last.and_then(|last| Some(last.start_pts?.0.saturating_add(last.duration.0.into())));
        let first = tail.iter().find_map(|segment| segment.start_pts);
        match (expected, first) {
            (Some(expected), Some(first)) => {
                let apart = expected.saturating_sub(first.0).saturating_add(PTS_WRAP / 2);
                apart.div_euclid(PTS_WRAP).saturating_mul(PTS_WRAP)
            }
            _ => 0,
        }
    }
}

/// Where good packets end: at a torn one, a hole that was never written, or a trailer.
///
/// A hole is at least a sector of zeros, so the sync byte of a packet in it is missing; the packet before may reach
/// into it. The last sector may be too short for a packet to begin in it: there, zeros alone tell.
fn tail_end(file: &dyn DiskFile, start: u64, file_len: u64) -> Result<u64, DiskError> {
    let whole = start + (file_len - start) / PACKET * PACKET;
    let mut end = start;
    while end < whole {
        let bytes = read(file, end, (end + STEP).min(whole))?;
        let (packets, _) = bytes.as_chunks::<PACKET_BYTES>();
        for packet in packets {
            if packet.starts_with(&TRAILER_START) {
                return Ok(end);
            }
            if packet[0] != SYNC_BYTE {
                return Ok(whole_packets(start, end, sector_of(end)));
            }
            end += PACKET;
        }
    }
    let last_sector = sector_of(file_len.saturating_sub(1)).max(start);
    let is_hole = read(file, last_sector, file_len)?.iter().all(|byte| *byte == 0);
    Ok(whole_packets(start, end, if is_hole { last_sector } else { end }))
}

const fn sector_of(offset: u64) -> u64 {
    offset / SECTOR * SECTOR
}

/// The last end of a packet, from `start` on, that is not behind `end` or `limit`.
fn whole_packets(start: u64, end: u64, limit: u64) -> u64 {
    start + end.min(limit).saturating_sub(start) / PACKET * PACKET
}

fn starts_trailer(file: &dyn DiskFile, at: u64) -> Result<bool, DiskError> {
    let mut start = [0; TRAILER_START.len()];
    let read = file.read_at(&mut start, at)?;
    Ok(read > 0 && TRAILER_START.starts_with(start.get(..read).unwrap_or_default()))
}

/// The segments in the bytes from `start` to `end`. The segment `before` is read too: that its end is a keyframe's
/// start, only its tables may tell. Where the cut is elsewhere then, the tail is cut on its own.
fn cut_tail(
    file: &dyn DiskFile,
    start: u64,
    end: u64,
    before: Option<u32>,
) -> Result<Vec<Segment>, DiskError> {
    if start == end {
        return Ok(Vec::new());
    }
    if let Some(len) = before {
        let mut with_it = cut(file, start.saturating_sub(len.into()), end)?;
        if with_it.len() > 1 && with_it.first().is_some_and(|first| first.len == len) {
            with_it.remove(0);
            return Ok(with_it);
        }
    }
    cut(file, start, end)
}

fn cut(file: &dyn DiskFile, start: u64, end: u64) -> Result<Vec<Segment>, DiskError> {
    let mut segmenter = Segmenter::new(SegmenterConfig::default());
    let mut segments = Segments::default();
    let mut at = start;
    while at < end {
        let bytes = read(file, at, (at + STEP).min(end))?;
        at += bytes.len() as u64;
        if segmenter.push(&bytes, &mut segments).is_err() {
            // Not a transport stream.
            return Ok(Vec::new());
        }
    }
    segmenter.finish(&mut segments);
    Ok(segments.closed)
}

/// Keeps segments, lets bytes go.
#[derive(Default)]
struct Segments {
    closed: Vec<Segment>,
}

impl SegmentSink for Segments {
    fn bytes(&mut self, _run: &[u8]) {}

    fn closed(&mut self, segment: Segment) {
        // A pack holds no more; an open file cannot make this grow without end.
        if self.closed.len() < 2 * MAX_SEGMENTS_PER_PACK {
            self.closed.push(segment);
        }
    }
}

fn hash(file: &dyn DiskFile, start: u64, end: u64) -> Result<ContentHash, DiskError> {
    let len = usize::try_from(end - start).unwrap_or(usize::MAX);
    let mut bytes = vec![0; len];
    file.read_exact_at(&mut bytes, start)?;
    Ok(ContentHash::of(&bytes))
}

fn read(file: &dyn DiskFile, start: u64, end: u64) -> Result<Vec<u8>, DiskError> {
    let mut bytes = vec![0; usize::try_from(end - start).unwrap_or(usize::MAX)];
    file.read_exact_at(&mut bytes, start)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use dashvault_base::Ticks90k;

    fn entry(start_pts: i64) -> SegmentEntry {
        SegmentEntry {
            len: 188,
            hash: ContentHash::ZERO,
            start_pts: Some(Pts(start_pts)),
            duration: Ticks90k(90_000),
            wall_offset_ms: 0,
            keyframe: true,
            damaged: false,
        }
    }

    #[test]
    fn a_tail_goes_on_in_the_same_turn_of_the_clock() {
        let shift = |last: i64, first: i64| {
            let kept = Rescan { segments: vec![entry(last)], ..Rescan::default() };
            let closed_by = dashvault_media::ClosedBy::End;
            let SegmentEntry { len, hash, duration, .. } = entry(0);
            let start_pts = Some(Pts(first));
            kept.pts_shift(&[Segment {
                len,
                hash,
                start_pts,
                duration,
                keyframe: true,
                damaged: false,
                closed_by,
            }])
        };
        assert_eq!(shift(500_000, 590_000), 0);
        assert_eq!(shift(PTS_WRAP - 45_000, 45_000), PTS_WRAP);
        assert_eq!(shift(3 * PTS_WRAP + 5, 90_005), 3 * PTS_WRAP);
        assert_eq!(shift(-90_000, PTS_WRAP), -PTS_WRAP);
        assert_eq!(shift(90_000, 5), 0);
    }
}
