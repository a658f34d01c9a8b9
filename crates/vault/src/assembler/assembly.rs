//! What the vault knows and holds of one announced pack. Pure: bytes come in, verdicts go out.
//!
//! Belongs here: the announced segments, which bytes of the part are filled, streaming hashes, the sealed manifest.
//! Does not: files, and where bytes come from.
//!
//! Invariants: `held` covers every verified segment whole. A byte in `held` outside a verified segment counts as
//! there until its segment's hash has the last word. A verified segment is never written again. At most
//! [`MAX_HASHERS`] hashes run at a time; a segment without one is read back when it is full.

use dashvault_base::ContentHash;
use dashvault_media::{SegmentEntry, SignedManifest};
use dashvault_wire::{ByteRange, RangeSet, SegmentNotice, announce::MAX_SEGMENT_BYTES};

use crate::archive::index::How;

mod contents;
#[cfg(test)]
mod tests;

const MAX_HASHERS: usize = 8;

/// One pack that is being put together.
#[derive(Debug, Default)]
pub(crate) struct Assembly {
    segments: Vec<Slot>,
    held: RangeSet,
    verified: usize,
    hashers: Vec<RunningHash>,
    seal: Option<Seal>,
}

/// One announced segment.
#[derive(Debug, Clone)]
struct Slot {
    notice: SegmentNotice,
    range: ByteRange,
    verified: Option<How>,
    /// A live prefix turned out wrong: none is believed again.
    distrusted: bool,
}

/// The hash of a segment's first bytes.
#[derive(Debug)]
struct RunningHash {
    segment: usize,
    next: u64,
    hasher: blake3::Hasher,
}

/// The device's last word on a pack.
#[derive(Debug)]
pub(crate) struct Seal(pub(crate) SignedManifest);

/// What became of a segment whose bytes are all there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// The hash is right.
    Verified(usize),
    /// The hash is wrong: its bytes are forgotten.
    Mismatch(usize),
    /// Its bytes came out of order: read them and call [`Assembly::judge`].
    ReadBack(usize),
}

/// The trailer names segments that no recorder announces.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum SealError {
    /// A segment is longer than the contract allows.
    #[error("segment {index} of the manifest has {len} bytes, at most {MAX_SEGMENT_BYTES} are allowed")]
    SegmentLength { index: usize, len: u32 },
    /// No segment at all.
    #[error("the manifest has no segments")]
    Empty,
}

impl Assembly {
    /// How many segments are known, from the first.
    pub(crate) fn known(&self) -> usize {
        self.segments.len()
    }

    /// Length of the known segments: what of the pack's body may be uploaded.
    pub(crate) fn body_len(&self) -> u64 {
        self.segments.last().map_or(0, |slot| slot.range.end)
    }

    pub(crate) fn seal(&self) -> Option<&Seal> {
        self.seal.as_ref()
    }

    /// Whether every byte is there and right, and the manifest known.
    pub(crate) fn is_complete(&self) -> bool {
        self.seal.is_some() && self.verified == self.segments.len()
    }

    /// Takes announced segments, the first of which has index `first`. Gives the index from which on the known
    /// segments are new or others than before. Segments beyond a hole in the knowledge are not taken.
    pub(crate) fn announce(&mut self, first: usize, notices: &[SegmentNotice]) -> usize {
        let mut changed = self.segments.len();
        for (index, notice) in (first..).zip(notices) {
            match self.segments.get(index) {
                Some(slot) if same(&slot.notice, notice) => {}
                // A manifest has the last word; before it, the later announcement.
                Some(_) if self.seal.is_some() => {}
                Some(_) => {
                    self.truncate(index);
                    changed = changed.min(index);
                    self.push(*notice);
                }
                None if index == self.segments.len() && self.seal.is_none() => self.push(*notice),
                None => break,
            }
        }
        changed
    }

    /// Takes the sealed manifest, whose signature and name the caller has checked. Gives what
    /// [`Assembly::announce`] gives.
    pub(crate) fn close(&mut self, seal: Seal) -> Result<usize, SealError> {
        let entries = &seal.0.manifest().segments;
        let too_long = entries.iter().position(|entry| entry.len > MAX_SEGMENT_BYTES);
        if let Some(index) = too_long {
            return Err(SealError::SegmentLength { index, len: entries[index].len });
        }
        if entries.is_empty() {
            return Err(SealError::Empty);
        }
        self.seal = None;
        let notices: Vec<_> = entries.iter().map(notice).collect();
        let changed = self.announce(0, &notices);
        if notices.len() < self.segments.len() {
            self.truncate(notices.len());
        }
        self.seal = Some(seal);
        Ok(changed)
    }

    /// The bytes of the body that are not here, in order.
    pub(crate) fn wants(&self) -> Vec<ByteRange> {
        self.held.missing(ByteRange::new(0, self.body_len()))
    }

    /// A segment that is not verified yet: its notice, and how many of its first bytes are held.
    pub(crate) fn open_segment(&self, index: usize) -> Option<OpenSegment> {
        let slot = self.segments.get(index).filter(|slot| slot.verified.is_none())?;
        let prefix_end = self.held.missing(slot.range).first().map_or(slot.range.end, |gap| gap.start);
        Some(OpenSegment {
            notice: slot.notice,
            range: slot.range,
            prefix: prefix_end - slot.range.start,
            distrusted: slot.distrusted,
        })
    }

    pub(crate) fn notice(&self, index: usize) -> Option<SegmentNotice> {
        self.segments.get(index).map(|slot| slot.notice)
    }

    pub(crate) fn how(&self, index: usize) -> How {
        self.segments.get(index).and_then(|slot| slot.verified).unwrap_or(How::Unknown)
    }

    /// The parts of `range` that may be written: those outside verified segments, within the body.
    pub(crate) fn writable(&self, range: ByteRange) -> Vec<ByteRange> {
        let mut parts: Vec<ByteRange> = Vec::new();
        for index in self.overlapping(range) {
            let slot = &self.segments[index];
            let part = slot.range.intersection(range);
            if slot.verified.is_some() || part.is_empty() {
                continue;
            }
            match parts.last_mut() {
                Some(last) if last.end == part.start => last.end = part.end,
                _ => parts.push(part),
            }
        }
        parts
    }

    /// Takes bytes that were just written to the part at `start`, which [`Assembly::writable`] allowed.
    pub(crate) fn wrote(&mut self, start: u64, bytes: &[u8], how: How) -> Vec<Verdict> {
        let range = ByteRange::new(start, start + bytes.len() as u64);
        let mut verdicts = Vec::new();
        for index in self.overlapping(range) {
            let slot = &self.segments[index];
            let part = slot.range.intersection(range);
            if slot.verified.is_some() || part.is_empty() {
                continue;
            }
            let from = usize::try_from(part.start - start).unwrap_or(usize::MAX);
            let until = usize::try_from(part.end - start).unwrap_or(usize::MAX);
            let Some(piece) = bytes.get(from..until) else { continue };
            let hash = self.feed(index, part, piece);
            self.held.insert(part);
            if self.held.contains(self.segments[index].range) {
                verdicts.push(match hash {
                    Some(hash) => self.judge(index, hash, how),
                    None => Verdict::ReadBack(index),
                });
            }
        }
        verdicts
    }

    /// Compares the hash of all bytes of a segment with what was announced.
    pub(crate) fn judge(&mut self, index: usize, hash: ContentHash, how: How) -> Verdict {
        self.hashers.retain(|running| running.segment != index);
        let Some(slot) = self.segments.get_mut(index) else { return Verdict::Mismatch(index) };
        if slot.notice.hash == hash {
            if slot.verified.replace(how).is_none() {
                self.verified += 1;
            }
            self.held.insert(slot.range);
            return Verdict::Verified(index);
        }
        slot.distrusted = true;
        self.held.remove(slot.range);
        Verdict::Mismatch(index)
    }

    /// Believes, until the hash speaks, that these bytes are in the part: an upload brought them before a restart.
    pub(crate) fn assume_held(&mut self, range: ByteRange) -> Vec<Verdict> {
        let mut verdicts = Vec::new();
        for part in self.writable(range) {
            self.held.insert(part);
        }
        for index in self.overlapping(range) {
            let slot = &self.segments[index];
            if slot.verified.is_none() && self.held.contains(slot.range) {
                verdicts.push(Verdict::ReadBack(index));
            }
        }
        verdicts
    }

    /// Forgets unverified bytes: their source took them back.
    pub(crate) fn drop_unverified(&mut self, range: ByteRange) {
        for part in self.writable(range) {
            self.held.remove(part);
            let segments = &self.segments;
            self.hashers.retain(|running| {
                segments.get(running.segment).is_some_and(|slot| slot.range.intersection(part).is_empty())
            });
        }
    }

    /// The segments that meet `range`.
    fn overlapping(&self, range: ByteRange) -> std::ops::Range<usize> {
        let first = self.segments.partition_point(|slot| slot.range.end <= range.start);
        let last = self.segments.partition_point(|slot| slot.range.start < range.end);
        first..last.max(first)
    }

    /// Hashes the next bytes of a segment; the whole hash once they reach its end in order.
    fn feed(&mut self, index: usize, part: ByteRange, piece: &[u8]) -> Option<ContentHash> {
        let range = self.segments[index].range;
        let at = self.hashers.iter().position(|running| running.segment == index);
        let mut running = match at {
            Some(at) => self.hashers.swap_remove(at),
            None => RunningHash { segment: index, next: range.start, hasher: blake3::Hasher::new() },
        };
        if part.start == range.start && running.next != range.start {
            running = RunningHash { segment: index, next: range.start, hasher: blake3::Hasher::new() };
        }
        if running.next != part.start {
            return None;
        }
        running.hasher.update(piece);
        running.next = part.end;
        if part.end == range.end {
            return Some(running.hasher.finalize().into());
        }
        if self.hashers.len() >= MAX_HASHERS {
            self.hashers.remove(0);
        }
        self.hashers.push(running);
        None
    }

    fn push(&mut self, notice: SegmentNotice) {
        let start = self.body_len();
        let range = ByteRange::new(start, start + u64::from(notice.len));
        self.segments.push(Slot { notice, range, verified: None, distrusted: false });
    }

    fn truncate(&mut self, len: usize) {
        let Some(first) = self.segments.get(len) else { return };
        self.held.remove(ByteRange::new(first.range.start, u64::MAX));
        self.hashers.retain(|running| running.segment < len);
        self.segments.truncate(len);
        self.verified = self.segments.iter().filter(|slot| slot.verified.is_some()).count();
    }
}

/// See [`Assembly::open_segment`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct OpenSegment {
    pub(crate) notice: SegmentNotice,
    pub(crate) range: ByteRange,
    /// How many of its first bytes are held.
    pub(crate) prefix: u64,
    /// Live prefixes are not believed any more.
    pub(crate) distrusted: bool,
}

/// Content decides; times may be corrected afterwards.
fn same(a: &SegmentNotice, b: &SegmentNotice) -> bool {
    a.len == b.len && a.hash == b.hash
}

fn notice(entry: &SegmentEntry) -> SegmentNotice {
    SegmentNotice {
        len: entry.len,
        hash: entry.hash,
        pts: entry.start_pts,
        dur: entry.duration,
        at: entry.wall_offset_ms,
    }
}
