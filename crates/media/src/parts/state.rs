//! What a cutter does with a frame or a segment's end, by its state.
//!
//! | state | a frame | the archive's segment ends |
//! |---|---|---|
//! | `Skipping` | the first one of a segment that begins with a keyframe begins a run | nothing |
//! | `Between` | begins a segment; a run, if it does not continue | a run cannot go on without a frame |
//! | `Running` | may end a part, or the segment | the last part, the segment's end |
//! | `Suspended` | the first one of the next session says whether it goes on | it did not go on |

use dashvault_base::ContentHash;

use super::{CutPart, Frame, PartCutter, Piece, SEGMENT_MOST, least_of};
use crate::{ClosedBy, Segment};

/// Bytes without any frame that are kept in the hope of one.
const FRAMELESS_BYTES: usize = 512 * 1024;

#[derive(Debug)]
pub(super) enum State {
    /// Nothing is shown until a segment begins with a keyframe.
    Skipping,
    /// A segment has ended with a frame of this time; the next one's first frame has not come.
    Between(i64),
    /// A segment is open.
    Running(Running),
    /// A segment is open, its session is not.
    Suspended(Box<Suspended>),
}

/// An open segment. Times are those of frames.
#[derive(Debug, Clone, Copy)]
pub(super) struct Running {
    /// Where the archive's segment begins.
    archive_start: i64,
    segment_start: i64,
    part_start: i64,
    last: Frame,
    /// The open part begins with a keyframe.
    independent: bool,
}

/// What is known of a segment whose session has ended.
#[derive(Debug)]
pub(super) struct Suspended {
    running: Running,
    /// Bytes that no part has yet.
    open: Vec<u8>,
    /// Bytes of the archive's segment that were seen, and their hash.
    given: usize,
    hash: ContentHash,
    /// The next session begins with the same frame.
    repeats: bool,
}

impl PartCutter {
    pub(super) fn frame(&mut self, frame: Frame, out: &mut Vec<Piece>) {
        let is_keyframe = self.frames.of_segment() == 1 && self.begins_with_keyframe();
        let changed = self.frames.take_changed();
        self.broken |= changed;
        match &mut self.state {
            State::Running(_) if changed => self.break_off(frame.at, out),
            State::Running(_) => self.frame_of_segment(frame, out),
            State::Between(last) => {
                let step = frame.time - *last;
                self.broken |= self.pace.is_break(step);
                if !self.broken {
                    self.pace.step(step);
                }
                self.begin(frame, is_keyframe, out);
            }
            State::Skipping => self.begin(frame, is_keyframe, out),
            State::Suspended(suspended) => {
                let Running { archive_start, part_start, last, .. } = suspended.running;
                if frame.time == archive_start {
                    suspended.repeats = true;
                    return;
                }
                let step = frame.time - last.time;
                let follows = is_keyframe && !self.pace.is_break(step) && !self.broken;
                self.give_up(follows.then_some(frame.time - part_start), out);
                self.broken = !follows;
                self.begin(frame, is_keyframe, out);
            }
        }
    }

    /// Begins a segment where one may begin.
    fn begin(&mut self, frame: Frame, is_keyframe: bool, out: &mut Vec<Piece>) {
        if self.broken && !is_keyframe {
            self.state = State::Skipping;
            return;
        }
        if self.broken {
            self.pace.new_run();
        }
        let discontinuity = std::mem::replace(&mut self.broken, false);
        out.push(Piece::Begin { start: frame.pts, discontinuity });
        let time = frame.time;
        self.state = State::Running(Running {
            archive_start: time,
            segment_start: time,
            part_start: time,
            last: frame,
            independent: is_keyframe,
        });
    }

    fn frame_of_segment(&mut self, mut frame: Frame, out: &mut Vec<Piece>) {
        /// Fields of one picture, or a timestamp that was written twice.
        const SAME_TIME: i64 = 180;
        let State::Running(mut open) = self.state else { return };
        let step = frame.time - open.last.time;
        if (0..=SAME_TIME).contains(&step) {
            return;
        }
        if self.pace.is_break(step) {
            return self.break_off(frame.at, out);
        }
        self.pace.step(step);
        let mut passed = frame.time - open.part_start;
        let Some(mut target) = self.pace.decide(passed) else {
            open.last = frame;
            self.state = State::Running(open);
            return;
        };
        if passed > target && open.last.time > open.part_start {
            // The frame before was the last one that the part could end at.
            let so_far = open.last.time - open.part_start;
            let at = open.last.at;
            self.part(at, so_far, open.independent, out);
            frame.at -= at;
            if so_far < least_of(target) {
                out.extend([Piece::End, Piece::Begin { start: open.last.pts, discontinuity: false }]);
                open.segment_start = open.last.time;
            }
            open = Running { part_start: open.last.time, independent: false, ..open };
            passed = frame.time - open.part_start;
        }
        if passed > target {
            target = self.pace.raise(passed);
        }
        let is_full = frame.time - open.segment_start >= i64::from(SEGMENT_MOST.0);
        if is_full || passed >= least_of(target) {
            self.part(frame.at, passed, open.independent, out);
            frame.at = 0;
            open = Running { part_start: frame.time, independent: false, ..open };
        }
        if is_full {
            out.extend([Piece::End, Piece::Begin { start: frame.pts, discontinuity: false }]);
            open.segment_start = frame.time;
        }
        open.last = frame;
        self.state = State::Running(open);
    }

    /// The archive's segment ends at this byte.
    pub(super) fn segment_ended(&mut self, at: usize, segment: &Segment, out: &mut Vec<Piece>) {
        match self.state {
            State::Running(open) => {
                let end = open.archive_start + i64::from(segment.duration.0);
                let by_frames = self.pace.last_part(open.part_start, open.last.time);
                let left = end - open.part_start;
                // The archive's durations are of presentation; they differ where frames are reordered oddly.
                let left = if (1..=2 * by_frames).contains(&left) { left } else { by_frames };
                self.part(at, left, open.independent, out);
                out.push(Piece::End);
                self.state = State::Between(open.last.time);
            }
            State::Skipping | State::Between(_) | State::Suspended(_) => {
                self.give_up(None, out);
                self.broken = true;
                self.state = State::Skipping;
                self.forget(at);
            }
        }
        if segment.closed_by == ClosedBy::End {
            self.broken = true;
        }
        self.follows_keyframe = segment.closed_by == ClosedBy::Keyframe;
        self.frames.segment_ended();
    }

    /// The open segment ends at this byte, and nothing more is shown until a keyframe.
    pub(super) fn break_off(&mut self, at: usize, out: &mut Vec<Piece>) {
        if let State::Running(open) = self.state {
            if at > 0 {
                let duration = self.pace.last_part(open.part_start, open.last.time);
                self.part(at, duration, open.independent, out);
            }
            out.push(Piece::End);
        }
        self.broken = true;
        self.state = State::Skipping;
    }

    /// The session has ended.
    pub(super) fn set_aside(&mut self) {
        let given = usize::try_from(self.segmenter.open_len()).unwrap_or(usize::MAX);
        let hash = self.segmenter.open_hash();
        let open = std::mem::take(&mut self.open);
        if let State::Running(running) = self.state {
            let suspended = Suspended { running, open, given, hash, repeats: false };
            self.state = State::Suspended(Box::new(suspended));
        }
    }

    /// Ends a suspended segment with the bytes that were there; its last part lasts so long, or as its frames say.
    pub(super) fn give_up(&mut self, left: Option<i64>, out: &mut Vec<Piece>) {
        if !matches!(self.state, State::Suspended(_)) {
            return;
        }
        let State::Suspended(suspended) = std::mem::replace(&mut self.state, State::Skipping) else { return };
        let Suspended { running, open, .. } = *suspended;
        if !open.is_empty() {
            let left = left.unwrap_or_else(|| self.pace.last_part(running.part_start, running.last.time));
            let duration = self.pace.part(left);
            out.push(Piece::Part(CutPart {
                bytes: open,
                duration,
                independent: running.independent,
                target: self.pace.target(),
            }));
        }
        out.push(Piece::End);
    }

    /// Where a session repeats the suspended segment: true while it has not repeated all that is known.
    pub(super) fn awaits_repeat(&mut self, until: usize, out: &mut Vec<Piece>) -> bool {
        let State::Suspended(suspended) = &mut self.state else { return false };
        if !suspended.repeats {
            return false;
        }
        let given = suspended.given;
        if until < given && self.ends.is_empty() {
            return true;
        }
        let is_same = self
            .open
            .get(..given.min(until))
            .is_some_and(|bytes| bytes.len() == given && ContentHash::of(bytes) == suspended.hash);
        if !is_same {
            self.give_up(None, out);
            self.broken = true;
            return false;
        }
        let mut open = std::mem::take(&mut suspended.open);
        let running = suspended.running;
        let kept = open.len();
        open.extend_from_slice(self.open.get(given..).unwrap_or(&[]));
        self.open = open;
        self.ends.iter_mut().for_each(|(at, _)| *at = *at - given + kept);
        self.frames.go_on_at(kept);
        self.state = State::Running(running);
        false
    }

    /// While skipping, keeps only what may yet begin a run.
    pub(super) fn drop_skipped(&mut self) {
        let is_over = self.frames.of_segment() > 0 || self.open.len() > FRAMELESS_BYTES;
        if matches!(self.state, State::Skipping) && is_over {
            self.forget(self.frames.seen().max(self.open.len()));
            self.frames.go_on_at(0);
        }
    }

    fn begins_with_keyframe(&self) -> bool {
        match self.ends.first() {
            Some((_, segment)) => segment.keyframe,
            None => self.follows_keyframe || self.segmenter.opens_with_keyframe(),
        }
    }

    /// Gives out everything before this byte as a part.
    fn part(&mut self, at: usize, duration: i64, independent: bool, out: &mut Vec<Piece>) {
        let bytes = self.open.get(..at).unwrap_or(&[]).to_vec();
        self.forget(at);
        let duration = self.pace.part(duration);
        out.push(Piece::Part(CutPart { bytes, duration, independent, target: self.pace.target() }));
    }

    fn forget(&mut self, bytes: usize) {
        let bytes = bytes.min(self.open.len());
        self.open.drain(..bytes);
        self.ends.iter_mut().for_each(|(at, _)| *at -= bytes.min(*at));
        self.frames.drained(bytes);
    }
}
