//! Scratch files: the bytes of a recorder's live stream, as they came, until its packs are stored.
//!
//! A session writes one scratch after the other (a new one every [`ROTATE_BYTES`], at a cut), never syncs them, and
//! never deletes what no stored pack has replaced. Bytes between packets are not written: a scratch is whole packets,
//! and cutting it again gives the same segments.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use dashvault_base::{Pts, RecordingId, WallMs};
use dashvault_disk::{Disk, DiskError, DiskFile, OpenMode};
use dashvault_media::{Segment, SegmentSink, Segmenter, SegmenterConfig, SegmenterError};
use dashvault_wire::ByteRange;

use super::{
    live_index::{LiveSegment, OpenLive, ScratchId},
    part::PIECE_BYTES,
};

/// A scratch is ended at the first cut beyond this size, so that it can be deleted soon.
const ROTATE_BYTES: u64 = 64 << 20;

/// When a scratch was begun, by its file name.
pub(crate) fn begun(name: &str) -> Option<WallMs> {
    let (wall, _) = name.strip_suffix(".ts")?.split_once('-')?;
    wall.parse().ok().map(WallMs)
}

/// One scratch file.
#[derive(Debug, Clone)]
pub(crate) struct Scratch {
    pub(crate) id: ScratchId,
    pub(crate) file: Arc<dyn DiskFile>,
    pub(crate) path: PathBuf,
}

/// A recorder's live session: cuts what comes in and writes it.
#[derive(Debug)]
pub(crate) struct LiveSession {
    pub(crate) recording: RecordingId,
    segmenter: Segmenter,
    /// Bytes in the current scratch.
    written: u64,
    /// Where the open segment starts in the current scratch.
    open_start: u64,
    /// Bytes of the open segment that were there when the first loss in it was reported.
    lost_after: Option<u64>,
    sure: Sure,
    /// No cut ends the open segment, but the end of the stream.
    finished: bool,
}

/// Tells which segments certainly are the recorder's: from a keyframe to a cut, without a loss in them or right before
/// them (that one may have taken the tables they begin with).
#[derive(Debug, Default)]
struct Sure {
    after_damage: bool,
}

impl Sure {
    fn judge(&mut self, segment: &Segment, damaged: bool) -> bool {
        let after_damage = std::mem::replace(&mut self.after_damage, damaged);
        segment.keyframe && !damaged && !after_damage
    }
}

/// What a session found in the bytes it was given, in order.
#[derive(Debug)]
pub(crate) enum Found {
    /// Bytes of the open segment.
    Bytes(Vec<u8>),
    /// The open segment has ended.
    Closed(Segment),
}

/// Collects what a segmenter gives out.
#[derive(Debug, Default)]
pub(crate) struct Collector(pub(crate) Vec<Found>);

impl SegmentSink for Collector {
    fn bytes(&mut self, run: &[u8]) {
        match self.0.last_mut() {
            Some(Found::Bytes(bytes)) => bytes.extend_from_slice(run),
            _ => self.0.push(Found::Bytes(run.to_vec())),
        }
    }

    fn closed(&mut self, segment: Segment) {
        self.0.push(Found::Closed(segment));
    }
}

impl LiveSession {
    pub(crate) fn new(recording: RecordingId) -> Self {
        let segmenter = Segmenter::new(SegmenterConfig::default());
        Self {
            recording,
            segmenter,
            written: 0,
            open_start: 0,
            lost_after: None,
            sure: Sure::default(),
            finished: false,
        }
    }

    /// Cuts the next bytes.
    pub(crate) fn push(&mut self, bytes: &[u8]) -> Result<Vec<Found>, SegmenterError> {
        let mut found = Collector::default();
        self.segmenter.push(bytes, &mut found)?;
        Ok(found.0)
    }

    /// Packets are missing here.
    pub(crate) fn gap(&mut self) {
        let so_far = self.written - self.open_start;
        self.lost_after.get_or_insert(so_far);
        self.segmenter.gap();
    }

    /// The stream has ended.
    pub(crate) fn finish(&mut self) -> Vec<Found> {
        self.finished = true;
        let mut found = Collector::default();
        self.segmenter.finish(&mut found);
        found.0
    }

    /// Appends bytes of the open segment to the current scratch.
    pub(crate) fn write(&mut self, scratch: &Scratch, bytes: &[u8]) -> Result<(), DiskError> {
        scratch.file.write_all_at(bytes, self.written)?;
        self.written += bytes.len() as u64;
        Ok(())
    }

    /// Notes that the open segment has ended; gives its place in the scratch.
    pub(crate) fn close(&mut self, segment: &Segment) -> LiveSegment {
        let range = ByteRange::new(self.open_start, self.written);
        let sure = self.sure.judge(segment, segment.damaged || self.lost_after.is_some()) && !self.finished;
        // A loss inside held-back packets may have been counted to the segment before: then nothing is clean.
        let clean = self.lost_after.take().unwrap_or(if segment.damaged { 0 } else { range.len() });
        self.open_start = self.written;
        LiveSegment { range, clean, hash: segment.hash, start_pts: segment.start_pts, sure, settled: false }
    }

    /// The segment that is coming in.
    pub(crate) fn open(&self) -> OpenLive {
        let so_far = self.written - self.open_start;
        let start_pts: Option<Pts> = self.segmenter.open_start_pts();
        OpenLive { start: self.open_start, clean: self.lost_after.unwrap_or(so_far), start_pts }
    }

    /// Whether the next bytes belong into a new scratch; true at cuts only. The caller gives one.
    pub(crate) fn rotates(&mut self) -> bool {
        let full = self.written >= ROTATE_BYTES && self.open_start == self.written;
        if full {
            (self.written, self.open_start) = (0, 0);
        }
        full
    }
}

/// Creates a scratch file; its folder exists.
pub(crate) fn create(disk: &dyn Disk, id: ScratchId, path: PathBuf) -> Result<Scratch, DiskError> {
    let file = disk.open(&path, OpenMode::CreateNew)?;
    Ok(Scratch { id, file, path })
}

/// Cuts a scratch that an earlier run left. What the cut calls damaged has no clean beginning: where the loss was is
/// not known any more.
pub(crate) fn rescan(
    disk: &dyn Disk,
    id: ScratchId,
    path: &Path,
) -> Result<(Scratch, Vec<LiveSegment>), DiskError> {
    let file = disk.open(path, OpenMode::Read)?;
    let mut segmenter = Segmenter::new(SegmenterConfig::default());
    let mut lengths = Lengths::default();
    let mut buffer = vec![0; PIECE_BYTES];
    let mut at = 0;
    loop {
        let read = file.read_at(&mut buffer, at)?;
        // What no segmenter takes cannot be of use; it stays on the disk.
        if read == 0 || segmenter.push(&buffer[..read], &mut lengths).is_err() {
            break;
        }
        at += read as u64;
    }
    let ended = lengths.segments.len();
    segmenter.finish(&mut lengths);
    lengths.segments.iter_mut().skip(ended).for_each(|segment| segment.sure = false);
    Ok((Scratch { id, file, path: path.to_owned() }, lengths.segments))
}

/// Notes where segments lie, without their bytes.
#[derive(Debug, Default)]
struct Lengths {
    start: u64,
    sure: Sure,
    segments: Vec<LiveSegment>,
}

impl SegmentSink for Lengths {
    fn bytes(&mut self, _run: &[u8]) {}

    fn closed(&mut self, segment: Segment) {
        let range = ByteRange::new(self.start, self.start + u64::from(segment.len));
        self.start = range.end;
        let clean = if segment.damaged { 0 } else { range.len() };
        let sure = self.sure.judge(&segment, segment.damaged);
        let Segment { hash, start_pts, .. } = segment;
        self.segments.push(LiveSegment { range, clean, hash, start_pts, sure, settled: false });
    }
}
