//! What a segmenter gives out: runs of bytes, and closed segments.

use dashvault_base::{ContentHash, Pts, Ticks90k};

/// One closed segment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Segment {
    /// Length in bytes, a multiple of 188.
    pub len: u32,
    /// BLAKE3 of its bytes.
    pub hash: ContentHash,
    /// The first PTS of its video, else of its audio; unwrapped within this segmenter.
    pub start_pts: Option<Pts>,
    /// Up to the next segment's start; estimated from its own frames where none follows.
    pub duration: Ticks90k,
    /// Decoding can start here: a keyframe, or any audio frame where there is no video.
    pub keyframe: bool,
    /// Packets are missing, broken, or mixed with garbage inside.
    pub damaged: bool,
    /// Why it ended, which says how the next one starts.
    pub closed_by: ClosedBy,
}

/// Why a segment ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClosedBy {
    /// The next one starts at a keyframe (or an audio frame, where there is no video).
    Keyframe,
    /// It reached the most bytes a segment may have; the next one starts anywhere.
    Size,
    /// The stream ended.
    End,
}

/// Takes what a segmenter gives out.
pub trait SegmentSink {
    /// Takes a run of whole packets of the open segment.
    fn bytes(&mut self, run: &[u8]);
    /// The open segment ends here; the next bytes belong to the next one.
    fn closed(&mut self, segment: Segment);
}
