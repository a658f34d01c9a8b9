//! Plans against ground truth: histories of recordings with cuts, gaps and lost packs.

use dashvault_base::{ContentHash, PackId, RecordingId, Ticks90k};
use proptest::prelude::*;

use super::*;
use crate::archive::index::How;

const START: i64 = 1_764_000_000_000;

/// Segment `n` of a recording that begins `at` seconds after [`START`], one second each, `per_pack` in a pack.
fn second(at: i64, n: u32, per_pack: u32) -> Candidate {
    let recording = RecordingId::at(WallMs(START + at * 1000));
    Candidate {
        key: ObjectKey {
            device: "bus".parse().unwrap(),
            camera: "front".parse().unwrap(),
            pack: PackId { recording, number: n / per_pack },
        },
        position: n % per_pack,
        segment: SegmentRow {
            start_byte: u64::from(n % per_pack) * 18_800,
            bytes: 18_800,
            hash: ContentHash::ZERO,
            start_pts: Some(Pts(126_000 + i64::from(n) * 90_000)),
            start_wall: WallMs(START + at * 1000 + i64::from(n) * 1000),
            duration: Ticks90k(90_000),
            how: How::Live,
            keyframe: true,
            damaged: false,
        },
    }
}

fn span(from: i64, to: i64) -> Span {
    Span { from: WallMs(START + from), to: WallMs(START + to) }
}

#[test]
fn a_clip_begins_at_the_segment_that_shows_its_first_moment() {
    let all: Vec<_> = (0..20).map(|n| second(0, n, 5)).collect();
    let plan = Plan::new(span(3500, 12_200), &all);
    assert_eq!(plan.covered(), [span(3000, 13_000)]);
    assert_eq!((plan.covered_ms(), plan.runs(), plan.packs().len()), (10_000, 1, 3));
    assert_eq!(plan.holes(), []);
    assert_eq!(plan.ts_bytes(), 10 * 18_800);
    assert!(plan.pieces.iter().all(|piece| piece.setting.to == piece.setting.start), "nothing is moved");
}

#[test]
fn a_cut_closes_the_hole_in_the_clips_time_and_tells_it() {
    let all: Vec<_> = (0..20).filter(|n| !(7..12).contains(n)).map(|n| second(0, n, 5)).collect();
    let plan = Plan::new(span(5000, 15_000), &all);
    assert_eq!((plan.runs(), plan.covered_ms()), (2, 5000));
    assert_eq!(plan.holes(), [span(7000, 12_000)]);
    let places: Vec<_> = plan.pieces.iter().map(|piece| piece.setting.to.0 - 126_000 - 5 * 90_000).collect();
    assert_eq!(places, [0, 90_000, 180_000, 270_000, 360_000]);
    let edges: Vec<_> = plan.pieces.iter().map(|piece| (piece.setting.first, piece.setting.last)).collect();
    assert_eq!(edges, [(true, false), (false, true), (true, false), (false, false), (false, true)]);
    assert_eq!(plan.ts_bytes(), 5 * 18_800 + JOINT_BYTES as u64);
}

#[test]
fn another_recording_goes_on_in_the_clips_time() {
    let mut all: Vec<_> = (0..5).map(|n| second(0, n, 5)).collect();
    all.extend((0..5).map(|n| second(9, n, 5)));
    let plan = Plan::new(span(0, 20_000), &all);
    assert_eq!((plan.runs(), plan.covered_ms()), (2, 10_000));
    assert_eq!(plan.holes(), [span(5000, 9000), span(14_000, 20_000)]);
}

#[test]
fn two_recordings_at_once_are_not_shown_twice() {
    let mut all: Vec<_> = (0..10).map(|n| second(0, n, 5)).collect();
    all.extend((0..10).map(|n| second(4, n, 5)));
    let plan = Plan::new(span(0, 20_000), &all);
    assert_eq!(plan.covered(), [span(0, 14_000)]);
    assert_eq!(plan.covered_ms(), 14_000);
}

#[test]
fn a_run_without_a_keyframe_at_its_start_takes_the_one_before_or_is_left_out() {
    let mut all: Vec<_> = (0..10).map(|n| second(0, n, 20)).collect();
    for late in [4, 5] {
        all[late].segment.keyframe = false;
    }
    let plan = Plan::new(span(5200, 8000), &all);
    assert_eq!(plan.covered(), [span(3000, 8000)]);
    all.remove(3);
    let plan = Plan::new(span(4200, 8000), &all);
    assert_eq!(plan.covered(), [span(6000, 8000)]);
    assert_eq!(plan.holes(), [span(4200, 6000)]);
}

#[test]
fn nothing_stored_is_an_empty_plan() {
    let plan = Plan::new(span(0, 1000), &[]);
    assert_eq!((plan.pieces.len(), plan.covered_ms(), plan.runs()), (0, 0, 0));
    assert_eq!(plan.holes(), [span(0, 1000)]);
    let all: Vec<_> = (0..5).map(|n| second(0, n, 5)).collect();
    assert_eq!(Plan::new(span(9000, 10_000), &all).pieces, []);
}

#[test]
fn times_at_the_ends_of_the_world_do_no_harm() {
    let mut wild = second(0, 0, 5);
    wild.segment.start_wall = WallMs(i64::MAX);
    wild.segment.start_pts = Some(Pts(i64::MAX));
    let mut early = second(0, 1, 5);
    early.segment.start_wall = WallMs(i64::MIN);
    early.segment.start_pts = Some(Pts(i64::MIN));
    let asked = Span { from: WallMs(i64::MIN), to: WallMs(i64::MAX) };
    let plan = Plan::new(asked, &[wild, early]);
    let _ = (plan.holes(), plan.covered_ms());
}

/// A history: recordings one after the other with pauses, of which some seconds are not stored.
fn history() -> impl Strategy<Value = Vec<(u32, i64, Vec<bool>)>> {
    let recording = (1..8u32, 1..30i64, prop::collection::vec(prop::bool::weighted(0.8), 1..25));
    prop::collection::vec(recording, 1..6)
}

proptest! {
    #[test]
    fn what_a_clip_covers_is_the_truth(history in history(), from in 0..120_000i64, len in 1..90_000i64) {
        let mut all = Vec::new();
        // The seconds that are stored, from the start.
        let mut stored = Vec::new();
        let mut at = 0;
        for (per_pack, pause, seconds) in history {
            for (n, _) in seconds.iter().enumerate().filter(|(_, here)| **here) {
                all.push(second(at, n as u32, per_pack));
                stored.push(at + n as i64);
            }
            at += seconds.len() as i64 + pause;
        }
        let asked = span(from, from + len);
        let truth: Vec<i64> =
            stored.into_iter().filter(|second| second * 1000 < from + len && (second + 1) * 1000 > from).collect();
        let plan = Plan::new(asked, &all);
        prop_assert_eq!(plan.covered_ms(), truth.len() as u64 * 1000);
        let shown: Vec<i64> = plan.pieces.iter().map(|piece| (piece.wall.from.0 - START) / 1000).collect();
        prop_assert_eq!(shown, truth.clone());
        // Each piece starts where the one before it ends, in the clip's time.
        for pair in plan.pieces.windows(2) {
            prop_assert_eq!(pair[1].setting.to.0, pair[0].setting.to.0 + 90_000);
            prop_assert_eq!(pair[1].setting.first, pair[0].setting.last);
        }
        // Covered and holes together are what was asked for.
        let inside: i64 = plan.covered().iter().map(|span| span.to.min(asked.to).0 - span.from.max(asked.from).0).sum();
        let holes: i64 = plan.holes().iter().map(|hole| hole.to.0 - hole.from.0).sum();
        prop_assert!((inside + holes - len).abs() <= 250 * (plan.runs() as i64 + 1), "{} {} {}", inside, holes, len);
    }
}
