//! Where segments lie on the wall: the one function that says so.
//!
//! A segment's wall time is when its first byte was read: late by what the pipe and the machine were busy, never early.
//! So within a stretch of segments whose timestamps continue, the least `wall - PTS` is believed for all of them.

use dashvault_base::{Pts, Ticks90k, WallMs};

/// Timestamps that differ by no more than this continue: a frame at four a second.
const CONTINUES_90K: i64 = 22_500;
/// The same for the wall, where there are no timestamps.
const CONTINUES_MS: u64 = 1000;
/// A stretch's first segment was read at most so late.
const LATEST_MS: i64 = 10_000;
/// Timestamps have 33 bits on the wire.
const WRAP_90K: i64 = 1 << 33;

/// What a segment says of its time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct SegmentTiming {
    pub(crate) wall: WallMs,
    pub(crate) pts: Option<Pts>,
    pub(crate) duration: Ticks90k,
}

/// Where a segment lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) from: WallMs,
    pub(crate) to: WallMs,
    /// It goes on where the one before it ended.
    pub(crate) follows: bool,
}

impl SegmentTiming {
    /// The timestamp at its end.
    pub(crate) fn end_pts(&self) -> Option<Pts> {
        self.pts.map(|pts| Pts(pts.0.wrapping_add(self.duration.0.into())))
    }

    fn end_wall(&self) -> WallMs {
        self.wall.plus_ms(ms(self.duration.0.into()))
    }
}

/// Whether what begins at `next` goes on where something ended; `None`: no timestamps say so.
pub(crate) fn continues(ended: Option<Pts>, next: Option<Pts>) -> Option<bool> {
    let (ended, next) = (ended?, next?);
    Some(step_90k(ended, next).abs() <= CONTINUES_90K)
}

/// Places the segments of one pack.
pub(crate) fn place(timings: &[SegmentTiming]) -> Vec<Place> {
    let mut places = Vec::with_capacity(timings.len());
    let mut rest = timings;
    while !rest.is_empty() {
        let follows = |pair: &[SegmentTiming]| match pair {
            [a, b] => continues(a.end_pts(), b.pts).unwrap_or_else(|| meets(a.end_wall(), b.wall)),
            _ => false,
        };
        let len = 1 + rest.windows(2).take_while(|pair| follows(pair)).count();
        let (stretch, after) = rest.split_at(len);
        place_stretch(stretch, &mut places);
        rest = after;
    }
    places
}

/// Whether two walls are close enough where nothing else tells.
pub(crate) fn meets(ended: WallMs, next: WallMs) -> bool {
    ended.0.abs_diff(next.0) <= CONTINUES_MS
}

fn place_stretch(stretch: &[SegmentTiming], places: &mut Vec<Place>) {
    let Some(first) = stretch.first() else { return };
    // Ticks from the stretch's first timestamp to each segment's start, and to its end.
    let mut marks = Vec::with_capacity(stretch.len() + 1);
    let mut at = 0i64;
    for (index, segment) in stretch.iter().enumerate() {
        marks.push(at);
        let next = stretch.get(index + 1).and_then(|next| next.pts);
        let step = segment.pts.zip(next).map_or(i64::from(segment.duration.0), |(a, b)| step_90k(a, b));
        at = at.saturating_add(step.max(0));
    }
    marks.push(at);
    let offsets = stretch.iter().zip(&marks).map(|(segment, mark)| segment.wall.plus_ms(-ms(*mark)));
    let least = offsets.min().unwrap_or(first.wall);
    let offset = least.max(first.wall.plus_ms(-LATEST_MS));
    for (index, pair) in marks.windows(2).enumerate() {
        if let [from, to] = pair {
            let (from, to) = (offset.plus_ms(ms(*from)), offset.plus_ms(ms(*to)));
            places.push(Place { from, to, follows: index > 0 });
        }
    }
}

/// Ticks from one timestamp to another, the short way round.
fn step_90k(from: Pts, to: Pts) -> i64 {
    let step = to.since(from).rem_euclid(WRAP_90K);
    if step > WRAP_90K / 2 { step - WRAP_90K } else { step }
}

const fn ms(ticks: i64) -> i64 {
    ticks / 90
}

#[cfg(test)]
mod tests {
    use super::*;

    fn second(n: i64, late_ms: i64) -> SegmentTiming {
        SegmentTiming {
            wall: WallMs(1_000_000 + n * 1000 + late_ms),
            pts: Some(Pts(n * 90_000)),
            duration: Ticks90k(90_000),
        }
    }

    fn walls(places: &[Place]) -> Vec<(i64, i64, bool)> {
        places.iter().map(|place| (place.from.0 - 1_000_000, place.to.0 - 1_000_000, place.follows)).collect()
    }

    #[test]
    fn segments_that_were_read_late_lie_where_their_timestamps_say() {
        let placed = place(&[second(0, 120), second(1, 20), second(2, 90)]);
        assert_eq!(walls(&placed), [(20, 1020, false), (1020, 2020, true), (2020, 3020, true)]);
    }

    #[test]
    fn a_jump_of_timestamps_begins_a_new_stretch() {
        let placed = place(&[second(0, 0), second(1, 0), second(5, 30)]);
        assert_eq!(walls(&placed), [(0, 1000, false), (1000, 2000, true), (5030, 6030, false)]);
    }

    #[test]
    fn timestamps_that_wrap_continue() {
        let at = |n: i64, pts| SegmentTiming { pts: Some(Pts(pts)), ..second(n, 0) };
        let placed = place(&[at(0, WRAP_90K - 45_000), at(1, 45_000)]);
        assert_eq!(walls(&placed), [(0, 1000, false), (1000, 2000, true)]);
    }

    #[test]
    fn without_timestamps_the_wall_is_all_there_is() {
        let blind = |n, late| SegmentTiming { pts: None, ..second(n, late) };
        let placed = place(&[blind(0, 0), blind(1, 40), blind(9, 0)]);
        assert_eq!(walls(&placed), [(0, 1000, false), (1000, 2000, true), (9000, 10_000, false)]);
    }

    #[test]
    fn a_burst_moves_a_stretch_by_ten_seconds_at_most() {
        let burst: Vec<_> =
            (0..30).map(|n| SegmentTiming { wall: WallMs(1_000_000), ..second(n, 0) }).collect();
        assert_eq!(walls(&place(&burst))[0], (-10_000, -9000, false));
    }

    #[test]
    fn impossible_times_do_not_overflow() {
        let wild =
            |pts| SegmentTiming { wall: WallMs(i64::MAX), pts: Some(Pts(pts)), duration: Ticks90k(u32::MAX) };
        for place in place(&[wild(i64::MIN), wild(i64::MAX), wild(0)]) {
            assert!(place.from <= place.to);
        }
    }
}
