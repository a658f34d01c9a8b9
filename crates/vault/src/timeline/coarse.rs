//! Zooming out: spans on a raster, on which nothing that is lost disappears.

use dashvault_base::WallMs;

use super::span::{Span, State, WallRange};

/// Puts spans on the multiples of `resolution_ms`. A cell is lost if anything in it is, else on the vehicle if
/// anything is, else what most of it is.
pub(crate) fn coarsen(spans: &[Span], resolution_ms: u64) -> Vec<Span> {
    let step = i64::try_from(resolution_ms.max(1)).unwrap_or(i64::MAX);
    let (Some(first), Some(last)) = (spans.first(), spans.last()) else { return Vec::new() };
    let end = last.range.to;
    let (mut at, mut index) = (first.range.from, 0);
    let mut cells = Vec::new();
    while at < end {
        let cell_end = next_line(at, step).min(end);
        let Some(span) = spans.get(index) else { break };
        if span.range.to >= cell_end {
            // All cells that lie within this span.
            let until =
                if span.range.to == end { end } else { line_before(span.range.to, step).max(cell_end) };
            push(&mut cells, part_of(span, at, until));
            at = until;
        } else {
            push(&mut cells, mix(spans.get(index..).unwrap_or_default(), at, cell_end));
            at = cell_end;
        }
        while spans.get(index).is_some_and(|span| span.range.to <= at) {
            index += 1;
        }
    }
    cells
}

/// At least so many spans are left at a resolution: one that is twice as long as a cell has a whole cell to itself.
pub(crate) fn left_at_least(spans: &[Span], resolution_ms: u64) -> usize {
    let whole = spans.iter().filter(|span| span.range.len_ms() / 2 >= resolution_ms);
    let (mut left, mut last) = (0, None);
    for span in whole {
        left += usize::from(last != Some(span.state));
        last = Some(span.state);
    }
    left
}

fn next_line(at: WallMs, step: i64) -> WallMs {
    WallMs(at.0.div_euclid(step).saturating_add(1).saturating_mul(step))
}

fn line_before(at: WallMs, step: i64) -> WallMs {
    WallMs(at.0.div_euclid(step).saturating_mul(step))
}

/// The cell from `from` to `to`, over the spans from the one that holds `from` on.
fn mix(spans: &[Span], from: WallMs, to: WallMs) -> Option<Span> {
    let range = WallRange::new(from, to)?;
    let parts: Vec<Span> = spans
        .iter()
        .take_while(|span| span.range.from < to)
        .filter_map(|span| part_of(span, from, to))
        .collect();
    let mut lengths: Vec<(State, u64)> = Vec::new();
    for part in &parts {
        match lengths.iter_mut().find(|(state, _)| *state == part.state) {
            Some((_, length)) => *length += part.range.len_ms(),
            None => lengths.push((part.state, part.range.len_ms())),
        }
    }
    let state = lengths.into_iter().max_by_key(|(state, length)| (gravity(*state), *length, *state))?.0;
    let mut cell = Span::empty(range, state);
    for part in parts {
        cell.bytes += part.bytes;
        cell.recordings.extend(part.recordings);
    }
    Some(cell)
}

const fn gravity(state: State) -> u8 {
    match state {
        State::Lost { .. } => 2,
        State::OnVehicle => 1,
        State::Live | State::Backfilled | State::NotRecorded { .. } => 0,
    }
}

fn part_of(span: &Span, from: WallMs, to: WallMs) -> Option<Span> {
    let range = span.range.intersection(WallRange::new(from, to)?)?;
    let bytes = u128::from(span.bytes) * u128::from(range.len_ms()) / u128::from(span.range.len_ms().max(1));
    Some(Span { range, bytes: u64::try_from(bytes).unwrap_or(u64::MAX), ..span.clone() })
}

fn push(cells: &mut Vec<Span>, cell: Option<Span>) {
    let Some(cell) = cell else { return };
    match cells.last_mut().filter(|last| last.state == cell.state) {
        Some(last) => last.take(cell),
        None => cells.push(cell),
    }
}
