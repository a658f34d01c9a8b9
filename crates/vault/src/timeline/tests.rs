//! The timeline against models that look at each millisecond alone, on random histories.

use dashvault_base::{LossCause, Pts, RecordingId, Ticks90k, WallMs};
use proptest::prelude::*;

use super::{
    contents::Contents,
    paint::{Piece, paint},
    place::SegmentTiming,
    runs::{Run, join},
    span::Cause,
    *,
};

mod history;
mod listing;

fn range(from: i64, to: i64) -> WallRange {
    WallRange::new(WallMs(from), WallMs(to)).unwrap()
}

fn recording(n: i64) -> RecordingId {
    RecordingId::at(WallMs(n * 1000))
}

const STATES: [State; 6] = [
    State::Live,
    State::Backfilled,
    State::OnVehicle,
    State::Lost { cause: Cause::Told(LossCause::Camera), partly: false },
    State::Lost { cause: Cause::Missing, partly: false },
    State::NotRecorded { deleted: true },
];

fn piece() -> impl Strategy<Value = Piece> {
    (0i64..300, 1i64..80, 0usize..STATES.len(), 0i64..3, 0u64..10_000).prop_map(
        |(from, len, state, of, bytes)| Piece {
            range: range(from, from + len),
            rank: u8::try_from(state).unwrap(),
            state: STATES[state],
            recording: Some(recording(of)),
            bytes,
        },
    )
}

/// What the piece of the least rank says of a millisecond.
fn state_at(pieces: &[Piece], ms: i64) -> State {
    let covering = pieces.iter().filter(|piece| piece.range.from.0 <= ms && ms < piece.range.to.0);
    let first = covering.min_by_key(|piece| piece.rank);
    first.map_or(State::NotRecorded { deleted: false }, |piece| piece.state)
}

fn cover(spans: &[Span], whole: WallRange) {
    let mut at = whole.from;
    for span in spans {
        assert_eq!(span.range.from, at);
        assert!(span.range.to > at);
        at = span.range.to;
    }
    assert_eq!(at, whole.to);
    assert!(spans.windows(2).all(|pair| pair[0].state != pair[1].state), "neighbours agree: {spans:?}");
}

proptest! {
    #[test]
    fn every_millisecond_is_what_its_first_source_says(
        pieces in prop::collection::vec(piece(), 0..30), from in 0i64..200, len in 1i64..250
    ) {
        let whole = range(from, from + len);
        let spans = paint(whole, &pieces);
        cover(&spans, whole);
        for span in &spans {
            for ms in span.range.from.0..span.range.to.0 {
                prop_assert_eq!(span.state, state_at(&pieces, ms));
            }
        }
    }

    #[test]
    fn bytes_of_pieces_that_nothing_hides_add_up(lengths in prop::collection::vec((1i64..50, 0u64..10_000), 1..20), cut in 0i64..900) {
        let mut at = 0;
        let pieces: Vec<Piece> = lengths.iter().map(|(len, bytes)| {
            let piece = Piece { range: range(at, at + len), rank: 1, state: State::Live, recording: None, bytes: *bytes };
            at += len;
            piece
        }).collect();
        let bytes = |from, to| WallRange::new(WallMs(from), WallMs(to)).map_or(0, |whole| paint(whole, &pieces).iter().map(|span| span.bytes).sum::<u64>());
        let cut = cut.min(at);
        prop_assert_eq!(bytes(0, cut) + bytes(cut, at), lengths.iter().map(|(_, bytes)| bytes).sum::<u64>());
    }

    #[test]
    fn a_coarse_cell_is_the_gravest_or_the_most_of_it(
        pieces in prop::collection::vec(piece(), 0..20), from in 0i64..100, len in 1i64..300, resolution in 2i64..90
    ) {
        let whole = range(from, from + len);
        let exact = paint(whole, &pieces);
        let coarse = coarsen(&exact, resolution as u64);
        cover(&coarse, whole);
        prop_assert!(left_at_least(&exact, resolution as u64) <= coarse.len());
        for span in &coarse {
            for ms in span.range.from.0..span.range.to.0 {
                let cell = ms.div_euclid(resolution);
                let inside = (cell * resolution).max(from)..((cell + 1) * resolution).min(from + len);
                let states: Vec<State> = inside.map(|ms| state_at(&pieces, ms)).collect();
                let count = |state: State| states.iter().filter(|other| **other == state).count();
                let gravity = |state: State| match state {
                    State::Lost { .. } => 2,
                    State::OnVehicle => 1,
                    _ => 0,
                };
                let expected = states.iter().copied().max_by_key(|state| (gravity(*state), count(*state), *state));
                prop_assert_eq!(Some(span.state), expected);
            }
        }
    }

    #[test]
    fn blobs_come_back_as_they_were_written(entries in prop::collection::vec(entry(), 0..40), number in any::<u32>()) {
        let contents = Contents(entries);
        prop_assert_eq!(&Contents::decode(&contents.encode()).unwrap(), &contents);
        let runs = PackRuns::of(recording(3), number, Stage::Stored, &contents);
        prop_assert_eq!(PackRuns::decode(recording(3), number, Stage::Stored, &runs.encode()).unwrap(), runs);
    }

    #[test]
    fn broken_blobs_are_refused_and_nothing_panics(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let mut with_version = vec![1];
        with_version.extend(bytes);
        if let Ok(contents) = Contents::decode(&with_version) {
            let _ = PackRuns::of(recording(1), 0, Stage::Stored, &contents);
        }
        let _ = PackRuns::decode(recording(1), 0, Stage::Stored, &with_version);
    }
}

fn entry() -> impl Strategy<Value = Entry> {
    let held = prop::sample::select(vec![
        Held::Live,
        Held::Backfilled,
        Held::TornByNetwork,
        Held::TornByCamera,
        Held::OnVehicle,
    ]);
    let wall = prop_oneof![4 => 0i64..1_000_000, 1 => any::<i64>()];
    let pts = prop::option::of(prop_oneof![4 => 0i64..1_000_000_000, 1 => any::<i64>()]);
    (any::<u32>(), wall, pts, any::<u32>(), held, any::<bool>()).prop_map(
        |(bytes, wall, pts, duration, held, keyframe)| Entry {
            bytes,
            timing: SegmentTiming { wall: WallMs(wall), pts: pts.map(Pts), duration: Ticks90k(duration) },
            held,
            keyframe,
        },
    )
}

#[test]
fn packs_of_a_recording_that_continue_meet_although_they_were_read_late() {
    let second = |n: i64, late: i64| Entry {
        bytes: 1000,
        timing: SegmentTiming {
            wall: WallMs(n * 1000 + late),
            pts: Some(Pts(n * 90_000)),
            duration: Ticks90k(90_000),
        },
        held: Held::Live,
        keyframe: true,
    };
    let pack = |number, first: i64, late: i64| {
        let contents = Contents((first..first + 3).map(|n| second(n, late)).collect());
        PackRuns::of(recording(0), number, Stage::Stored, &contents)
    };
    let mut packs = [pack(1, 3, 140), pack(0, 0, 20), pack(2, 8, 0)];
    join(&mut packs);
    let ranges: Vec<_> = packs.iter().map(|pack| pack.range().unwrap()).collect();
    assert_eq!(ranges, [range(20, 3140), range(3140, 6140), range(8000, 11_000)]);
}

#[test]
fn what_a_vehicle_has_lost_of_a_recording_it_no_longer_has() {
    let contents = Contents(vec![Entry {
        bytes: 10_000,
        timing: SegmentTiming { wall: WallMs(0), pts: Some(Pts(0)), duration: Ticks90k(900_000) },
        held: Held::OnVehicle,
        keyframe: true,
    }]);
    let packs = vec![PackRuns::of(recording(0), 0, Stage::Arriving, &contents)];
    let loss = |of| Loss { range: range(2000, 5000), recording: of, cause: LossCause::Quota };
    let states = |losses| -> Vec<_> {
        spans(range(0, 10_000), Sources { packs: packs.clone(), losses })
            .iter()
            .map(|span| (span.range.from.0, span.state.name(), span.bytes))
            .collect()
    };
    let lost = [(0, "on_vehicle", 2000), (2000, "lost", 0), (5000, "on_vehicle", 5000)];
    assert_eq!(states(vec![loss(Some(recording(0)))]), lost);
    assert_eq!(states(vec![loss(Some(recording(9)))]), [(0, "on_vehicle", 10_000)]);
}

#[test]
fn a_hole_shorter_than_a_quarter_second_is_none() {
    let live =
        |from, to| Piece { range: range(from, to), rank: 1, state: State::Live, recording: None, bytes: 0 };
    let holes = |hole: i64| {
        let packs = [live(0, 1000), live(1000 + hole, 3000)].map(|piece| PackRuns {
            recording: recording(piece.range.from.0),
            number: 0,
            stage: Stage::Stored,
            begins: None,
            ends: None,
            runs: vec![Run { range: piece.range, held: Held::Live, bytes: 0 }],
        });
        spans(range(-5000, 3000), Sources { packs: packs.to_vec(), losses: vec![] }).len()
    };
    assert_eq!((holes(249), holes(250)), (2, 4));
}
