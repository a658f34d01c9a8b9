//! Which segments make a clip, in which order, and where each of them lies in it. Pure.
//!
//! Invariants:
//! 1. Pieces follow one another without a gap in the clip's time: each starts where the one before it ends.
//! 2. A run (pieces whose timestamps go on) has one offset, and begins with a keyframe.
//! 3. What is covered is the sum of the pieces' time: nothing counts that is not in the clip.

use dashvault_base::{Pts, WallMs};
use dashvault_media::join::{JOINT_BYTES, Setting};

use crate::archive::{index::SegmentRow, objects::ObjectKey};

/// Timestamps that differ by no more than this go on: a frame at four a second.
const CONTINUES_90K: i64 = 22_500;
/// A segment of another recording may begin so long before the last one ends: how exactly clocks are read.
const OVERLAP_MS: i64 = 250;
/// Holes that are shorter are how exactly clocks are read, and none.
pub(super) const SLIVER_MS: i64 = 250;

/// A stored segment that may be part of a clip.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Candidate {
    pub(crate) key: ObjectKey,
    /// Its place in the pack.
    pub(crate) position: u32,
    pub(crate) segment: SegmentRow,
}

/// A range of wall time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize, utoipa::ToSchema)]
pub(crate) struct Span {
    #[schema(value_type = i64)]
    pub(crate) from: WallMs,
    #[schema(value_type = i64)]
    pub(crate) to: WallMs,
}

/// One segment in a clip.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Piece {
    pub(crate) key: ObjectKey,
    pub(crate) start_byte: u64,
    pub(crate) bytes: u32,
    pub(crate) wall: Span,
    pub(crate) damaged: bool,
    /// Where it comes to lie. `first` and `last` are those of its run.
    pub(crate) setting: Setting,
}

/// A clip that can be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Plan {
    /// What was asked for.
    pub(crate) asked: Span,
    pub(crate) pieces: Vec<Piece>,
    /// Its runs' time together.
    pub(crate) covered_90k: u64,
}

impl Plan {
    /// The clip of a range. `candidates` are in the order of their names: recording, pack, position.
    pub(crate) fn new(asked: Span, candidates: &[Candidate]) -> Self {
        let mut plan = Self { asked, pieces: Vec::new(), covered_90k: 0 };
        let mut run: Option<Run> = None;
        for index in choose(asked, candidates) {
            let Some(next) = candidates.get(index) else { continue };
            let Some(pts) = next.segment.start_pts else { continue };
            let goes_on = run.as_ref().is_some_and(|run| run.last.goes_on_in(next));
            if !goes_on {
                plan.end_run(run.take());
            }
            let open = run.get_or_insert(Run { start: pts, to: plan.end_pts().unwrap_or(pts), last: next });
            open.last = next;
            let to = Pts(open.to.0.saturating_add(pts.since(open.start)));
            plan.pieces.push(next.piece(pts, to, !goes_on));
        }
        plan.end_run(run);
        plan
    }

    /// How many runs: one more than cuts.
    pub(crate) fn runs(&self) -> usize {
        self.pieces.iter().filter(|piece| piece.setting.first).count()
    }

    /// The clip's length as a transport stream, without a joint before the first run.
    pub(crate) fn ts_bytes(&self) -> u64 {
        let joints = self.runs().saturating_sub(1) as u64 * JOINT_BYTES as u64;
        self.pieces.iter().map(|piece| u64::from(piece.bytes)).sum::<u64>() + joints
    }

    /// What an MP4 of it has about: frames without the packets around them.
    pub(crate) fn mp4_bytes_about(&self) -> u64 {
        self.ts_bytes() / 100 * 97
    }

    pub(crate) const fn covered_ms(&self) -> u64 {
        self.covered_90k / 90
    }

    /// How many pieces have packets missing inside.
    pub(crate) fn damaged(&self) -> usize {
        self.pieces.iter().filter(|piece| piece.damaged).count()
    }

    /// The stretches of wall time that the clip shows.
    pub(crate) fn covered(&self) -> Vec<Span> {
        let mut spans: Vec<Span> = Vec::new();
        for piece in &self.pieces {
            match spans.last_mut() {
                Some(last) if piece.wall.from.0.saturating_sub(last.to.0).abs() < SLIVER_MS => {
                    last.to = piece.wall.to
                }
                _ => spans.push(piece.wall),
            }
        }
        spans
    }

    /// The stretches of what was asked for that the clip does not show.
    pub(crate) fn holes(&self) -> Vec<Span> {
        let mut covered = self.covered();
        covered.sort_by_key(|span| span.from);
        let mut holes = Vec::new();
        let mut at = self.asked.from;
        for span in covered {
            if span.from.0.saturating_sub(at.0) >= SLIVER_MS {
                holes.push(Span { from: at, to: span.from.min(self.asked.to) });
            }
            at = at.max(span.to);
        }
        if self.asked.to.0.saturating_sub(at.0) >= SLIVER_MS {
            holes.push(Span { from: at, to: self.asked.to });
        }
        holes.retain(|hole| hole.from < hole.to);
        holes
    }

    /// From its first picture to its last one.
    pub(crate) fn whole(&self) -> Option<Span> {
        let from = self.pieces.iter().map(|piece| piece.wall.from).min()?;
        let to = self.pieces.iter().map(|piece| piece.wall.to).max()?;
        Some(Span { from, to })
    }

    /// The packs it is made of, each once.
    pub(crate) fn packs(&self) -> Vec<ObjectKey> {
        let mut keys: Vec<ObjectKey> = self.pieces.iter().map(|piece| piece.key.clone()).collect();
        keys.sort_unstable();
        keys.dedup();
        keys
    }

    fn end_pts(&self) -> Option<Pts> {
        let Setting { to, duration, .. } = self.pieces.last()?.setting;
        Some(Pts(to.0.saturating_add(duration.0.into())))
    }

    /// Marks the last piece of a run and counts the run's time.
    fn end_run(&mut self, run: Option<Run<'_>>) {
        let (Some(run), Some(end)) = (run, self.end_pts()) else { return };
        self.covered_90k += u64::try_from(end.since(run.to)).unwrap_or(0);
        if let Some(last) = self.pieces.last_mut() {
            last.setting.last = true;
        }
    }
}

/// The open run.
struct Run<'a> {
    start: Pts,
    to: Pts,
    last: &'a Candidate,
}

/// The candidates that are shown, by their places, in the order of time. Of two recordings at the same time the one
/// that began first goes on.
fn choose(asked: Span, candidates: &[Candidate]) -> Vec<usize> {
    let mut all: Vec<usize> = (0..candidates.len()).collect();
    let wall = |index: &usize| candidates.get(*index).map(Candidate::wall);
    all.retain(|index| {
        wall(index).is_some_and(|wall| wall.from < asked.to && wall.to > asked.from && wall.from < wall.to)
            && candidates.get(*index).is_some_and(|found| found.segment.start_pts.is_some())
    });
    all.sort_by_key(|index| (wall(index).map(|wall| wall.from), *index));
    let mut chosen: Vec<usize> = Vec::with_capacity(all.len());
    let mut shown_to = WallMs(i64::MIN);
    for index in all {
        let (Some(next), Some(span)) = (candidates.get(index), wall(&index)) else { continue };
        let last = chosen.last().and_then(|last| candidates.get(*last));
        let goes_on = last.is_some_and(|last| last.goes_on_in(next));
        if !goes_on {
            if span.from.plus_ms(OVERLAP_MS) < shown_to {
                continue;
            }
            match lead(candidates, index) {
                Some(lead) if !chosen.contains(&lead) => chosen.extend(lead..index),
                // No keyframe is there to begin with: nothing could be seen of it.
                _ => continue,
            }
        }
        chosen.push(index);
        shown_to = shown_to.max(span.to);
    }
    chosen
}

/// The place of the keyframe that a run which begins at `index` needs, at it or directly before it.
fn lead(candidates: &[Candidate], index: usize) -> Option<usize> {
    let mut at = index;
    loop {
        let here = candidates.get(at)?;
        if here.segment.keyframe {
            return Some(at);
        }
        let before = candidates.get(at.checked_sub(1)?)?;
        if !before.goes_on_in(here) {
            return None;
        }
        at -= 1;
    }
}

impl Candidate {
    fn wall(&self) -> Span {
        let ms = i64::from(self.segment.duration.0) / 90;
        Span { from: self.segment.start_wall, to: self.segment.start_wall.plus_ms(ms) }
    }

    /// Whether `next` is the segment after this one, and its timestamps go on.
    fn goes_on_in(&self, next: &Self) -> bool {
        let neighbours = if self.key == next.key {
            next.position == self.position.wrapping_add(1)
        } else {
            next.position == 0 && next.key.pack.number == self.key.pack.number.wrapping_add(1)
        };
        let recording = self.key.pack.recording == next.key.pack.recording;
        let end = self.segment.start_pts.map(|pts| pts.0.wrapping_add(self.segment.duration.0.into()));
        let step = end.zip(next.segment.start_pts).map(|(end, next)| next.0.wrapping_sub(end));
        recording && neighbours && step.is_some_and(|step| step.abs() <= CONTINUES_90K)
    }

    fn piece(&self, start: Pts, to: Pts, first: bool) -> Piece {
        Piece {
            key: self.key.clone(),
            start_byte: self.segment.start_byte,
            bytes: self.segment.bytes,
            wall: self.wall(),
            damaged: self.segment.damaged,
            setting: Setting { start, duration: self.segment.duration, to, first, last: false },
        }
    }
}

#[cfg(test)]
mod tests;
