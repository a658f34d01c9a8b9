//! [`Track`]: what one camera shows live, whatever its sessions do.
//!
//! Pure: bytes and `now` come in, the playlist's text and its parts go out. The states are those of
//! `dashvault_media::parts`, and `Waiting`: nothing is listed but a GAP.

use std::time::{Duration, Instant};

use bytes::Bytes;
use dashvault_base::{Pts, RecordingId, Ticks90k, WallMs};
use dashvault_media::{
    parts::{CutPart, PartCutter, Piece},
    wall::WallMap,
};

use super::{
    numbers::Numbers,
    text,
    window::{Part, Segment, Window},
};
use crate::archive::index::NumberBlock;

/// A camera is watched while somebody asked for something so short a time ago.
const WATCHED_FOR: Duration = Duration::from_secs(30);
/// Without a session and a viewer for so long, everything is let go.
const RESTS_AFTER: Duration = Duration::from_secs(60);

/// How long a segment lasts that says that there is nothing: short enough for players to step over it.
const GAP: Ticks90k = Ticks90k(9000);

/// Both clocks, as a caller read them.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Now {
    pub(crate) mono: Instant,
    pub(crate) wall: WallMs,
}

/// Who feeds a track.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Feeding {
    pub(super) session: u64,
    pub(super) recording: RecordingId,
    /// It repeats the open segment after a broken connection, and announces.
    pub(super) is_recorder: bool,
}

/// Where a playlist ends: the number of the segment that has not ended, and how many parts of it there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Edge {
    pub(crate) number: u64,
    pub(crate) parts: usize,
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Track {
    cutter: PartCutter,
    feeding: Option<Feeding>,
    /// The recording that was shown last.
    recording: Option<RecordingId>,
    numbers: Numbers,
    window: Window,
    /// The open segment's start, until its first part comes.
    start: Option<Pts>,
    announced: WallMap,
    arrival: WallMap,
    /// When it was fed last.
    fed: Instant,
    viewed: Option<Instant>,
    texts: [Option<Bytes>; 2],
    pieces: Vec<Piece>,
}

impl Track {
    pub(super) fn new(now: Now) -> Self {
        Self {
            cutter: PartCutter::new(),
            feeding: None,
            recording: None,
            numbers: Numbers::default(),
            window: Window::default(),
            start: None,
            announced: WallMap::default(),
            arrival: WallMap::default(),
            fed: now.mono,
            viewed: None,
            texts: [None, None],
            pieces: Vec::new(),
        }
    }

    /// Numbers that were reserved.
    pub(super) fn add_numbers(&mut self, block: NumberBlock) {
        self.numbers.add(block);
    }

    pub(super) const fn numbers(&self) -> Numbers {
        self.numbers
    }

    /// Bytes held for viewers.
    pub(super) const fn bytes(&self) -> usize {
        self.window.bytes()
    }

    /// A session begins; from now on it is the one that is shown.
    pub(super) fn begin(&mut self, feeding: Feeding, now: Now) {
        let continues = feeding.is_recorder && self.recording == Some(feeding.recording);
        if self.recording != Some(feeding.recording) {
            self.announced = WallMap::default();
        }
        self.arrival = WallMap::default();
        self.feeding = Some(feeding);
        self.recording = Some(feeding.recording);
        self.fed = now.mono;
        if continues {
            self.cutter.resume();
        } else {
            self.cut(now, |cutter, out| cutter.restart(out));
        }
    }

    /// A session's next bytes; gives whether a viewer may see more than before. Those of a session that another one
    /// has replaced are left out.
    pub(super) fn data(&mut self, feeding: Feeding, data: &[Bytes], now: Now) -> bool {
        match self.feeding {
            Some(current) if current.session != feeding.session => return false,
            Some(_) => {}
            // The newer of two sessions ended before the older one did.
            None => self.begin(feeding, now),
        }
        self.fed = now.mono;
        self.cut(now, |cutter, out| {
            for piece in data {
                // What is no transport stream is not shown; who keeps it says so.
                let _ = cutter.push(piece, out);
            }
        })
    }

    /// Packets of a session are lost for good.
    pub(super) fn lost(&mut self, session: u64) {
        if self.feeding.is_some_and(|current| current.session == session) {
            self.cutter.gap();
        }
    }

    /// A session has ended.
    pub(super) fn end(&mut self, session: u64) {
        if self.feeding.is_some_and(|current| current.session == session) {
            self.cutter.suspend();
            self.feeding = None;
        }
    }

    /// A vehicle says when frames of a recording were recorded.
    pub(super) fn observe(&mut self, recording: RecordingId, frames: impl Iterator<Item = (Pts, WallMs)>) {
        if self.recording == Some(recording) {
            frames.for_each(|(pts, wall)| self.announced.observe(pts, wall));
        }
    }

    /// Time has passed.
    pub(super) fn tick(&mut self, now: Now) {
        let rests = self.feeding.is_none()
            && !self.is_watched(now)
            && now.mono.duration_since(self.fed) > RESTS_AFTER;
        if rests && self.window.last().is_some_and(|last| !last.gap) {
            self.cut(now, |cutter, out| cutter.restart(out));
            self.window.clear();
            self.touched();
        }
        self.window.prune(self.is_watched(now));
        self.touched();
    }

    /// Somebody looks.
    pub(crate) fn view(&mut self, now: Now) {
        self.viewed = Some(now.mono);
    }

    /// There is nothing to list.
    pub(crate) fn is_empty(&self) -> bool {
        self.window.listed().all(|one| !one.ended && one.parts.is_empty())
    }

    /// A whole segment is listed.
    pub(crate) fn has_segment(&self) -> bool {
        self.window.listed().any(|one| one.ended)
    }

    /// Somebody feeds it.
    pub(crate) const fn is_fed(&self) -> bool {
        self.feeding.is_some()
    }

    /// Where the playlist ends.
    pub(crate) fn edge(&self) -> Edge {
        match self.window.last().filter(|last| !last.ended) {
            Some(open) => Edge { number: open.number, parts: open.parts.len() },
            None => Edge { number: self.numbers.next(), parts: 0 },
        }
    }

    /// Whether the playlist has this segment, or this part of it (or one after it).
    pub(crate) fn has(&self, number: u64, part: Option<usize>) -> bool {
        let edge = self.edge();
        let Some(part) = part else { return number < edge.number };
        if number == edge.number {
            return part < edge.parts;
        }
        // A part behind a segment's last one is the first of the next.
        let is_behind = self.window.find(number).is_some_and(|one| part >= one.parts.len());
        if is_behind && number + 1 == edge.number { edge.parts > 0 } else { number < edge.number }
    }

    /// The playlist, whole or without what a player has that asks for a delta update.
    pub(crate) fn text(&mut self, delta: bool) -> Bytes {
        let Self { window, numbers, cutter, texts, .. } = self;
        let [whole, update] = texts;
        let kept = if delta { update } else { whole };
        let write = || {
            // Parts that keep another target than the newest ones would not keep the playlist's.
            let newest = window.listed().rev().find(|one| !one.parts.is_empty());
            let target = newest.map_or_else(|| cutter.part_target(), |one| one.target);
            Bytes::from(text::playlist(window.listed(), numbers.next(), target, delta))
        };
        kept.get_or_insert_with(write).clone()
    }

    /// A part's bytes.
    pub(crate) fn part(&self, number: u64, part: usize) -> Option<Bytes> {
        self.window.find(number)?.parts.get(part).map(|part| part.bytes.clone())
    }

    /// A segment that has ended, part by part.
    pub(crate) fn segment(&self, number: u64) -> Option<Vec<Bytes>> {
        let segment = self.window.find(number).filter(|one| one.ended && !one.gap)?;
        Some(segment.parts.iter().map(|part| part.bytes.clone()).collect())
    }

    fn is_watched(&self, now: Now) -> bool {
        self.viewed.is_some_and(|at| now.mono.duration_since(at) < WATCHED_FOR)
    }

    fn touched(&mut self) {
        self.texts = [None, None];
    }

    /// Lets the cutter work and takes what it gives; says whether there was anything.
    fn cut(&mut self, now: Now, work: impl FnOnce(&mut PartCutter, &mut Vec<Piece>)) -> bool {
        let mut pieces = std::mem::take(&mut self.pieces);
        work(&mut self.cutter, &mut pieces);
        let any = !pieces.is_empty();
        let mut left = pieces.drain(..);
        while let Some(piece) = left.next() {
            if !self.take(piece, now) {
                // Without numbers nothing more can be shown; what follows begins anew.
                left.by_ref().for_each(drop);
                self.cutter.interrupt(&mut Vec::new());
            }
        }
        drop(left);
        self.pieces = pieces;
        if any {
            self.window.prune(self.is_watched(now));
            self.touched();
        }
        any
    }

    fn take(&mut self, piece: Piece, now: Now) -> bool {
        match piece {
            Piece::Begin { start, discontinuity } => {
                let Some((number, discontinuities)) = self.numbers.take(discontinuity) else { return false };
                self.start = Some(start);
                self.window.push(Segment {
                    number,
                    parts: Vec::new(),
                    duration: Ticks90k(0),
                    wall: None,
                    discontinuity,
                    discontinuities,
                    ended: false,
                    gap: false,
                    target: self.cutter.part_target(),
                });
            }
            Piece::Part(part) => self.take_part(part, now),
            Piece::End => {
                if let Some(open) = self.window.open() {
                    open.ended = true;
                }
            }
        }
        true
    }

    fn take_part(&mut self, part: CutPart, now: Now) {
        let CutPart { bytes, duration, independent, target } = part;
        if let Some(start) = self.start.take() {
            // What has just come has just been recorded, as far as is known.
            self.arrival.observe(Pts(start.0.saturating_add(duration.0.into())), now.wall);
            let wall = self.announced.wall_of(start).or_else(|| self.arrival.wall_of(start));
            let latest = self.window.listed().filter_map(|one| one.wall).next_back();
            // A time that would go back is left out until those before it have gone.
            let wall = wall.filter(|wall| latest.is_none_or(|latest| *wall > latest));
            if let Some(open) = self.window.open() {
                (open.wall, open.target) = (wall, target);
            }
        }
        if let Some(open) = self.window.open() {
            open.target = open.target.max(target);
        }
        self.window.part(Part { bytes: bytes.into(), duration, independent });
    }

    /// Lists a segment that cannot be had where there is nothing to list: players take it for a playlist and wait for the
    /// next one.
    pub(crate) fn wait_visibly(&mut self, now: Now) {
        if self.is_empty() && !self.is_fed() {
            // A segment of which there was too little for a part ends with what there is.
            self.cut(now, |cutter, out| cutter.restart(out));
        }
        if self.window.listed().next().is_some() {
            return;
        }
        let Some((number, discontinuities)) = self.numbers.take(false) else { return };
        self.window.push(Segment {
            number,
            parts: Vec::new(),
            duration: GAP,
            wall: None,
            discontinuity: false,
            discontinuities,
            ended: true,
            gap: true,
            target: self.cutter.part_target(),
        });
        self.touched();
    }
}

#[cfg(test)]
mod tests;
