//! Playlists: what is listed, in which order, where it jumps.

use super::{
    super::listing::{group, list},
    *,
};
use crate::archive::objects::ObjectKey;

fn pack(of: RecordingId, number: u32, walls: &[i64], first_pts: i64) -> PlaylistPack {
    let entries = walls.iter().enumerate().map(|(n, wall)| Entry {
        bytes: 1880,
        timing: SegmentTiming {
            wall: WallMs(*wall),
            pts: Some(Pts(first_pts + n as i64 * 90_000)),
            duration: Ticks90k(90_000),
        },
        held: Held::Live,
        keyframe: true,
    });
    let pack = dashvault_base::PackId { recording: of, number };
    let key = ObjectKey { device: "bus".parse().unwrap(), camera: "front".parse().unwrap(), pack };
    PlaylistPack { key, contents: Contents(entries.collect()) }
}

#[test]
fn packs_that_continue_are_one_stretch_and_a_new_recording_is_a_jump() {
    let packs = [
        pack(recording(0), 0, &[0, 1000, 2000], 0),
        pack(recording(0), 1, &[3040, 4040], 270_000),
        pack(recording(60), 0, &[60_000], 0),
    ];
    let text = playlist(range(1500, 100_000), &packs).unwrap();
    let lines: Vec<&str> = text.lines().filter(|line| line.starts_with('#')).skip(5).collect();
    assert_eq!(
        lines,
        [
            "#EXT-X-PROGRAM-DATE-TIME:1970-01-01T00:00:01.000Z",
            "#EXTINF:1.000000,",
            "#EXT-X-BYTERANGE:1880@1880",
            "#EXTINF:1.000000,",
            "#EXT-X-BYTERANGE:1880@3760",
            "#EXT-X-PROGRAM-DATE-TIME:1970-01-01T00:00:03.040Z",
            "#EXTINF:1.000000,",
            "#EXT-X-BYTERANGE:1880@0",
            "#EXTINF:1.000000,",
            "#EXT-X-BYTERANGE:1880@1880",
            "#EXT-X-DISCONTINUITY",
            "#EXT-X-PROGRAM-DATE-TIME:1970-01-01T00:01:00.000Z",
            "#EXTINF:1.000000,",
            "#EXT-X-BYTERANGE:1880@0",
            "#EXT-X-ENDLIST",
        ]
    );
    assert!(text.contains("\n/objects/bus/front/19700101-000000/19700101-000000_00001.ts\n"), "{text}");
}

#[test]
fn where_nothing_is_stored_there_is_no_playlist() {
    assert_eq!(playlist(range(0, 1000), &[]), None);
    assert_eq!(playlist(range(5000, 6000), &[pack(recording(0), 0, &[0], 0)]), None);
}

#[test]
fn a_missing_pack_is_a_jump_even_where_timestamps_would_fit() {
    let packs = [pack(recording(0), 0, &[0], 0), pack(recording(0), 2, &[1000], 90_000)];
    let jumps: Vec<bool> = list(range(0, 9000), &packs).iter().map(|listed| listed.jumps).collect();
    assert_eq!(jumps, [false, true]);
}

proptest! {
    #[test]
    fn time_goes_forward_whatever_overlaps(
        starts in prop::collection::vec((0i64..60_000, 1usize..20), 1..8), from in 0i64..30_000, len in 1i64..60_000,
    ) {
        let packs: Vec<PlaylistPack> = (0..).zip(&starts).map(|(n, (start, count))| {
            let walls: Vec<i64> = (0..*count as i64).map(|k| start + k * 1000).collect();
            pack(recording(n), 0, &walls, n * 7_777_777)
        }).collect();
        let whole = range(from, from + len);
        let listed = list(whole, &packs);
        for pair in listed.windows(2) {
            prop_assert!(pair[0].range.to <= pair[1].range.from.plus_ms(1), "{:?}", pair);
            prop_assert!(pair[0].range.from < pair[1].range.from);
        }
        // Each listed second is in the range, and no stored second is further than a segment from a listed one.
        for segment in &listed {
            prop_assert!(segment.range.intersection(whole).is_some());
        }
        for (start, count) in &starts {
            for wall in (0..*count as i64).map(|k| start + k * 1000).filter(|wall| *wall >= from && wall + 1000 <= from + len) {
                let near = listed.iter().any(|segment| segment.range.from.0 < wall + 1000 && wall < segment.range.to.0);
                prop_assert!(near, "second {} is not played", wall);
            }
        }
    }

    #[test]
    fn grouping_keeps_bytes_time_and_jumps(counts in prop::collection::vec(1i64..30, 1..6), most in 1u32..9) {
        let packs: Vec<PlaylistPack> = (0..).zip(&counts).map(|(n, count)| {
            let walls: Vec<i64> = (0..*count).map(|k| n * 100_000 + k * 1000).collect();
            pack(recording(n), 0, &walls, 0)
        }).collect();
        let segments = list(range(0, 1_000_000), &packs);
        let groups = group(&segments, Ticks90k(most * 90_000));
        prop_assert!(groups.iter().all(|group| group.duration.0 <= most * 90_000));
        let bytes = |all: &[super::super::listing::Listed<'_>]| all.iter().map(|one| one.bytes).sum::<u64>();
        prop_assert_eq!(bytes(&groups), bytes(&segments));
        prop_assert_eq!(groups.iter().filter(|group| group.jumps).count(), counts.len() - 1);
        prop_assert!(groups.iter().all(|group| group.bytes == u64::from(group.duration.0 / 90_000) * 1880));
    }
}
