//! Random histories of a camera: encoder runs, outages, losses, a clock that is set; the timeline against the truth.

use super::*;

/// One segment as the world has it.
#[derive(Debug, Clone, Copy)]
struct Truth {
    from: i64,
    held: Option<Held>,
}

/// A recording of whole seconds; `None` is a segment that was lost.
fn recordings() -> impl Strategy<Value = Vec<(i64, Vec<Option<Held>>)>> {
    let held = prop_oneof![
        5 => Just(Some(Held::Live)),
        2 => Just(Some(Held::Backfilled)),
        2 => Just(Some(Held::OnVehicle)),
        1 => Just(None),
    ];
    prop::collection::vec((1i64..30, prop::collection::vec(held, 1..40)), 1..6)
}

proptest! {
    #[test]
    fn a_history_shows_as_it_was(
        history in recordings(), late in prop::collection::vec(0i64..150, 200), pack_seconds in 1usize..9,
    ) {
        let mut at = 0;
        let (mut truth, mut packs, mut losses) = (Vec::new(), Vec::new(), Vec::new());
        let mut lateness = late.iter().cycle();
        for (pause, seconds) in history {
            at += pause * 1000;
            let id = recording(at);
            let start = at;
            let mut entries = Vec::new();
            for held in seconds {
                let pts = (at - start) * 90 + 126_000;
                truth.push(Truth { from: at, held });
                match held {
                    // The first of a recording is read at once, so that the truth is known.
                    Some(held) => entries.push(Entry {
                        bytes: 188,
                        timing: SegmentTiming {
                            wall: WallMs(at + if entries.len() % pack_seconds == 0 { 0 } else { *lateness.next().unwrap() }),
                            pts: Some(Pts(pts)),
                            duration: Ticks90k(90_000),
                        },
                        held,
                        keyframe: true,
                    }),
                    None => losses.push(Loss { range: range(at, at + 1000), recording: Some(id), cause: LossCause::Overflow }),
                }
                at += 1000;
            }
            for (number, entries) in (0..).zip(entries.chunks(pack_seconds)) {
                let stage = if entries.iter().all(|entry| entry.held != Held::OnVehicle) { Stage::Stored } else { Stage::Arriving };
                packs.push(PackRuns::of(id, number, stage, &Contents(entries.to_vec())));
            }
        }
        let whole = range(0, at + 5000);
        let spans = spans(whole, Sources { packs, losses });
        cover(&spans, whole);
        // In the middle of each second, so that what a clock cannot tell does not matter.
        for second in 0..(at + 5000) / 1000 {
            let middle = second * 1000 + 500;
            let expected = match truth.iter().find(|truth| truth.from == second * 1000) {
                None => "not_recorded",
                Some(Truth { held: None, .. }) => "lost",
                Some(Truth { held: Some(Held::Live), .. }) => "live",
                Some(Truth { held: Some(Held::OnVehicle), .. }) => "on_vehicle",
                Some(_) => "backfilled",
            };
            let span = spans.iter().find(|span| span.range.from.0 <= middle && middle < span.range.to.0).unwrap();
            prop_assert_eq!(span.state.name(), expected, "second {}", second);
        }
        let totals = Totals::of(&spans);
        let sum = totals.live_ms + totals.backfilled_ms + totals.on_vehicle_ms + totals.lost_ms + totals.not_recorded_ms;
        prop_assert_eq!(sum, whole.len_ms());
    }
}
