//! From sources that may speak of the same moment to spans: the first in rank that covers a moment has it.

use std::{cmp::Reverse, collections::BinaryHeap};

use dashvault_base::{LossCause, RecordingId, WallMs};

use super::{
    contents::Held,
    runs::{PackRuns, Stage, join},
    span::{Cause, Recordings, Span, State, WallRange},
};

/// What is shorter than this and lies between two others is no hole: it is how exactly clocks are read.
const SLIVER_MS: u64 = 250;

/// What somebody said is lost.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Loss {
    pub(crate) range: WallRange,
    pub(crate) recording: Option<RecordingId>,
    pub(crate) cause: LossCause,
}

/// All that is known of one camera within a range, and a little beyond it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Sources {
    pub(crate) packs: Vec<PackRuns>,
    pub(crate) losses: Vec<Loss>,
}

/// One source's word on a range.
#[derive(Debug, Clone, Copy)]
pub(super) struct Piece {
    pub(super) range: WallRange,
    pub(super) rank: u8,
    pub(super) state: State,
    pub(super) recording: Option<RecordingId>,
    pub(super) bytes: u64,
}

/// The spans of a range.
pub(crate) fn spans(range: WallRange, mut sources: Sources) -> Vec<Span> {
    join(&mut sources.packs);
    let mut painted = paint(range, &pieces(&sources));
    close_slivers(&mut painted);
    painted
}

fn pieces(sources: &Sources) -> Vec<Piece> {
    let mut pieces = Vec::new();
    for pack in &sources.packs {
        for run in &pack.runs {
            let (rank, state) = word(pack.stage, run.held);
            let piece =
                Piece { range: run.range, rank, state, recording: Some(pack.recording), bytes: run.bytes };
            if state == State::OnVehicle {
                pieces.extend(not_lost(piece, &sources.losses));
            } else {
                pieces.push(piece);
            }
        }
    }
    pieces.extend(sources.losses.iter().map(|loss| {
        let state = State::Lost { cause: Cause::Told(loss.cause), partly: false };
        Piece { range: loss.range, rank: 7, state, recording: None, bytes: 0 }
    }));
    pieces
}

/// Rank and state of a run; see the table in `docs/design/timeline.md`.
fn word(stage: Stage, held: Held) -> (u8, State) {
    let torn = |cause| State::Lost { cause: Cause::Told(cause), partly: true };
    match (stage, held, held.torn()) {
        (Stage::Deleted, ..) => (9, State::NotRecorded { deleted: true }),
        (Stage::Missing, ..) => (8, State::Lost { cause: Cause::Missing, partly: false }),
        (_, _, Some(cause)) => (5, torn(cause)),
        (_, Held::OnVehicle, _) => (6, State::OnVehicle),
        (Stage::Stored, Held::Live, _) => (1, State::Live),
        (Stage::Stored, ..) => (2, State::Backfilled),
        (Stage::Arriving, Held::Live, _) => (3, State::Live),
        (Stage::Arriving, ..) => (4, State::Backfilled),
    }
}

/// What is left of a piece on the vehicle, which itself says that it has lost some of this recording.
fn not_lost(piece: Piece, losses: &[Loss]) -> Vec<Piece> {
    let mut left = vec![piece];
    for loss in losses.iter().filter(|loss| loss.recording == piece.recording) {
        left = left.into_iter().flat_map(|piece| without(piece, loss.range)).collect();
    }
    left
}

fn without(piece: Piece, range: WallRange) -> impl Iterator<Item = Piece> {
    let WallRange { from, to } = piece.range;
    let (before, after) = (from..to.min(range.from), from.max(range.to)..to);
    let whole = piece.range.intersection(range).is_none();
    let kept = if whole {
        [Some(piece.range), None]
    } else {
        [before, after].map(|r| WallRange::new(r.start, r.end))
    };
    let kept = kept.into_iter().flatten().filter(move |range| whole || range.len_ms() >= SLIVER_MS);
    kept.map(move |range| Piece { range, bytes: piece.share(range), ..piece })
}

impl Piece {
    /// About how many of its bytes lie in `range`, which lies in its own; parts add up to the whole.
    fn share(&self, range: WallRange) -> u64 {
        let (len, bytes) = (u128::from(self.range.len_ms().max(1)), u128::from(self.bytes));
        let until = |wall: WallMs| bytes * u128::from(wall.0.abs_diff(self.range.from.0)) / len;
        u64::try_from(until(range.to) - until(range.from)).unwrap_or(u64::MAX)
    }
}

/// Gives each moment of a range to the piece of the least rank that covers it.
pub(super) fn paint(range: WallRange, pieces: &[Piece]) -> Vec<Span> {
    let mut clipped: Vec<(WallRange, &Piece)> =
        pieces.iter().filter_map(|piece| Some((piece.range.intersection(range)?, piece))).collect();
    clipped.sort_by_key(|(range, _)| range.from);
    let mut edges: Vec<WallMs> = clipped.iter().flat_map(|(range, _)| [range.from, range.to]).collect();
    edges.extend([range.from, range.to]);
    edges.sort_unstable();
    edges.dedup();

    let mut spans = Vec::new();
    // The least rank on top; of equal ones the one that began first.
    let mut open: BinaryHeap<Reverse<(u8, usize)>> = BinaryHeap::new();
    let mut coming = 0;
    for pair in edges.windows(2) {
        let Some(moment) = pair.first().zip(pair.get(1)).and_then(|(from, to)| WallRange::new(*from, *to))
        else {
            continue;
        };
        while let Some((_, piece)) = clipped.get(coming).filter(|(range, _)| range.from <= moment.from) {
            open.push(Reverse((piece.rank, coming)));
            coming += 1;
        }
        let top = loop {
            let Some(Reverse((_, at))) = open.peek() else { break None };
            match clipped.get(*at) {
                Some((range, piece)) if range.to > moment.from => break Some(*piece),
                _ => open.pop(),
            };
        };
        push(&mut spans, moment, top);
    }
    spans
}

fn push(spans: &mut Vec<Span>, range: WallRange, piece: Option<&Piece>) {
    let state = piece.map_or(State::NotRecorded { deleted: false }, |piece| piece.state);
    let bytes = piece.map_or(0, |piece| piece.share(range));
    let recording = piece.and_then(|piece| piece.recording);
    match spans.last_mut().filter(|last| last.state == state) {
        Some(last) => {
            last.range.to = range.to;
            last.bytes = last.bytes.saturating_add(bytes);
            last.recordings.extend(recording);
        }
        None => spans.push(Span { range, state, recordings: recording.into(), bytes }),
    }
}

/// Gives what is too short to be a hole to the span before it, and joins what then agrees.
fn close_slivers(spans: &mut Vec<Span>) {
    let (all, mut kept) = (std::mem::take(spans), Vec::<Span>::new());
    let last = all.len().saturating_sub(1);
    for (at, span) in all.into_iter().enumerate() {
        let hole = span.state == State::NotRecorded { deleted: false };
        let inside = at > 0 && at < last && span.range.len_ms() < SLIVER_MS;
        match kept.last_mut() {
            Some(before) if (hole && inside) || before.state == span.state => before.take(span),
            _ => kept.push(span),
        }
    }
    *spans = kept;
}

impl Span {
    /// Goes on to the end of the next one.
    pub(super) fn take(&mut self, next: Self) {
        self.range.to = next.range.to;
        self.bytes = self.bytes.saturating_add(next.bytes);
        self.recordings.extend(next.recordings);
    }

    /// A span of nothing.
    pub(super) fn empty(range: WallRange, state: State) -> Self {
        Self { range, state, recordings: Recordings::default(), bytes: 0 }
    }
}
