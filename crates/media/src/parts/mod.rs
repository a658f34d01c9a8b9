//! [`PartCutter`]: a live stream into segments and parts for LL-HLS (RFC 8216bis §3, §4.4.3.7, §4.4.4.9).
//!
//! Belongs here: where a part and a live segment end, how long they last, where something does not continue. Does not:
//! numbers, wall time, what is kept. The rules and their reasons are in `docs/design/live.md`.
//!
//! Invariants:
//! 1. A run (segments without a discontinuity between them) begins with a keyframe, and its bytes are the segmenter's,
//!    without a hole.
//! 2. A live segment ends where the archive's does, or earlier once it lasts [`SEGMENT_MOST`].
//! 3. A part lasts at most [`PartCutter::part_target`], and at least 0.85 of it unless it ends its segment.
//! 4. What is held is one part and what the segmenter holds; or, while a session resumes, at most one segment.

mod frames;
mod pace;
mod state;

use dashvault_base::{Pts, Ticks90k};

use crate::{Segment, SegmentSink, Segmenter, SegmenterConfig, SegmenterError};
use frames::{Frame, Frames};
use pace::{Pace, least_of};
use state::State;

/// A live segment that lasts so long ends at the next frame, so that none rounds to more than two seconds.
pub const SEGMENT_MOST: Ticks90k = Ticks90k(198_000);
/// How long parts last at most, where the frame rate allows it.
pub const PART_TARGET: Ticks90k = Ticks90k(31_500);

/// What a cutter gives out, in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Piece {
    /// A segment begins.
    Begin {
        /// Presentation time of its first frame.
        start: Pts,
        /// It does not continue the one before.
        discontinuity: bool,
    },
    /// The open segment's next part.
    Part(CutPart),
    /// The open segment ends.
    End,
}

/// One part.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CutPart {
    /// Whole packets.
    pub bytes: Vec<u8>,
    /// Up to the next part's first frame.
    pub duration: Ticks90k,
    /// Decoding can start at its first frame.
    pub independent: bool,
    /// What it keeps; see [`PartCutter::part_target`].
    pub target: Ticks90k,
}

/// Cuts one camera's sessions, one after the other.
#[derive(Debug)]
pub struct PartCutter {
    segmenter: Segmenter,
    /// Bytes that the segmenter gave and no part has yet, of the open segment and after it.
    open: Vec<u8>,
    /// Segments of the archive that ended in `open`: where, and what they were.
    ends: Vec<(usize, Segment)>,
    frames: Frames,
    pace: Pace,
    state: State,
    /// The archive's open segment begins with a keyframe, as the one before it said.
    follows_keyframe: bool,
    /// The next segment does not continue the last one.
    broken: bool,
}

/// Collects what the segmenter gives.
struct Sink<'a> {
    open: &'a mut Vec<u8>,
    ends: &'a mut Vec<(usize, Segment)>,
}

impl SegmentSink for Sink<'_> {
    fn bytes(&mut self, run: &[u8]) {
        self.open.extend_from_slice(run);
    }

    fn closed(&mut self, segment: Segment) {
        self.ends.push((self.open.len(), segment));
    }
}

impl Default for PartCutter {
    fn default() -> Self {
        Self::new()
    }
}

impl PartCutter {
    /// A cutter before its first session.
    #[must_use]
    pub fn new() -> Self {
        Self {
            segmenter: Segmenter::new(SegmenterConfig::default()),
            open: Vec::new(),
            ends: Vec::new(),
            frames: Frames::default(),
            pace: Pace::default(),
            state: State::Skipping,
            follows_keyframe: false,
            broken: true,
        }
    }

    /// How long parts last at most, as of the last one given out.
    #[must_use]
    pub const fn part_target(&self) -> Ticks90k {
        self.pace.target()
    }

    /// Takes the session's next bytes.
    ///
    /// # Errors
    /// They are no transport stream; nothing more comes of this session.
    pub fn push(&mut self, input: &[u8], out: &mut Vec<Piece>) -> Result<(), SegmenterError> {
        let mut sink = Sink { open: &mut self.open, ends: &mut self.ends };
        let pushed = self.segmenter.push(input, &mut sink);
        self.advance(out);
        pushed
    }

    /// Packets are missing here. Time says how many; see [`PartCutter::push`].
    pub fn gap(&mut self) {
        self.segmenter.gap();
    }

    /// The session has ended. The open segment stays open, for a session that goes on with it.
    pub fn suspend(&mut self) {
        self.set_aside();
        self.segmenter = Segmenter::new(SegmenterConfig::default());
        self.ends.clear();
        self.open.clear();
        self.frames.start_over();
        self.follows_keyframe = false;
    }

    /// A session begins that may go on with the open segment: what it repeats of it is left out.
    pub fn resume(&mut self) {
        self.suspend();
    }

    /// A session begins that has nothing to do with what was before; or none will.
    pub fn restart(&mut self, out: &mut Vec<Piece>) {
        self.suspend();
        self.give_up(None, out);
        self.state = State::Skipping;
        self.broken = true;
        self.frames = Frames::default();
    }

    /// Ends the open segment here; what follows begins at a keyframe, with a discontinuity.
    pub fn interrupt(&mut self, out: &mut Vec<Piece>) {
        self.give_up(None, out);
        self.break_off(self.open.len(), out);
    }

    /// Looks at what the segmenter gave: frames and ends, in order.
    fn advance(&mut self, out: &mut Vec<Piece>) {
        self.frames.follow(self.segmenter.streams());
        loop {
            let until = self.ends.first().map_or(self.open.len(), |(at, _)| *at);
            if self.awaits_repeat(until, out) {
                return;
            }
            let until = self.ends.first().map_or(self.open.len(), |(at, _)| *at);
            if let Some(frame) = self.frames.next(&self.open, until) {
                self.frame(frame, out);
            } else if self.ends.is_empty() {
                break;
            } else {
                let (at, segment) = self.ends.remove(0);
                self.segment_ended(at, &segment, out);
            }
        }
        self.drop_skipped();
    }
}

#[cfg(test)]
mod tests;
