//! Written playlists, read by two other readers.

use dashvault_base::{Ticks90k, WallMs};
use dashvault_testkit::hls::{Playlist, check};

use super::PlaylistWriter;
use crate::hls::{ByteRange, Header, Kind, Lead, LowLatency, Part};

const SECOND: Ticks90k = Ticks90k(90_000);
const WALL: WallMs = WallMs(1_795_000_000_250);

fn live(skipped: u64) -> String {
    let promise = LowLatency { part_target: Ticks90k(31_500), can_skip_until_s: Some(12) };
    let header = Header {
        target_duration_s: 2,
        media_sequence: 7,
        discontinuity_sequence: 3,
        kind: Kind::LowLatency(promise),
    };
    let mut text = PlaylistWriter::new(&header);
    if skipped > 0 {
        text.skipped(skipped);
    }
    for number in 7 + skipped..10 {
        text.begin_segment(&Lead {
            discontinuity: number == 9,
            program_date_time: Some(WALL.plus_ms(number as i64 * 1000)),
            gap: number == 7,
        });
        if number == 9 {
            for part in 0..3 {
                text.part(
                    &Part { duration: Ticks90k(30_000), independent: part == 0 },
                    format!("9.{part}.ts"),
                );
            }
        }
        text.end_segment(SECOND, None, format_args!("{number}.ts"));
    }
    text.begin_segment(&Lead { program_date_time: Some(WALL.plus_ms(10_000)), ..Lead::default() });
    text.part(&Part { duration: Ticks90k(27_000), independent: true }, "10.0.ts");
    text.preload_hint("10.1.ts");
    text.finish()
}

#[test]
fn a_live_playlist_keeps_the_rules_and_says_what_was_put_in() {
    let text = live(0);
    let read = Playlist::parse(&text).unwrap();
    assert_eq!(check(&read), Vec::<String>::new(), "{text}");
    assert_eq!((read.media_sequence, read.discontinuity_sequence, read.segments.len()), (7, 3, 3));
    assert_eq!((read.part_target, read.hint.as_deref()), (Some(0.35), Some("10.1.ts")));
    assert!(read.segments[0].gap && read.segments[2].discontinuity && read.open.parts[0].independent);
    assert_eq!(read.segments[1].program_date_time_ms, Some(WALL.0 + 8000));
    assert_eq!(read.server_control["PART-HOLD-BACK"], "1.050000");
    assert!(!read.ended);
}

#[test]
fn a_foreign_reader_understands_a_live_playlist() {
    let text = live(0);
    let (_, read) = m3u8_rs::parse_media_playlist(text.as_bytes()).unwrap();
    assert_eq!((read.media_sequence, read.target_duration, read.version), (7, 2, Some(9)));
    assert_eq!(read.discontinuity_sequence, 3);
    let uris: Vec<_> = read.segments.iter().map(|segment| segment.uri.as_str()).collect();
    assert_eq!(uris, ["7.ts", "8.ts", "9.ts"]);
    assert!(read.segments[2].discontinuity && !read.end_list);
    let stamped = read.segments[1].program_date_time.unwrap();
    assert_eq!(stamped.timestamp_millis(), WALL.0 + 8000);
}

#[test]
fn a_delta_update_leaves_the_oldest_out() {
    let read = Playlist::parse(&live(2)).unwrap();
    assert_eq!((read.media_sequence, read.skipped, read.segments.len()), (7, 2, 1));
    assert_eq!(read.next_sequence(), 10);
    assert_eq!(check(&read), Vec::<String>::new());
}

#[test]
fn a_recorded_playlist_ends_and_names_byte_ranges() {
    let header =
        Header { target_duration_s: 1, media_sequence: 0, discontinuity_sequence: 0, kind: Kind::Vod };
    let mut text = PlaylistWriter::new(&header);
    for number in 0..3u64 {
        text.begin_segment(&Lead { discontinuity: number == 2, ..Lead::default() });
        text.end_segment(SECOND, Some(ByteRange { len: 376, start: 376 * number }), "/objects/a/b/c/d.ts");
    }
    let text = text.finish();
    let read = Playlist::parse(&text).unwrap();
    assert_eq!(check(&read), Vec::<String>::new(), "{text}");
    assert!(read.ended && read.segments[2].discontinuity);
    let (_, foreign) = m3u8_rs::parse_media_playlist(text.as_bytes()).unwrap();
    assert!(foreign.end_list);
    let range = foreign.segments[2].byte_range.as_ref().unwrap();
    assert_eq!((range.length, range.offset), (376, Some(752)));
}

#[test]
fn no_part_is_written_longer_than_its_target() {
    for ticks in [1, 8, 31_499, 31_500, 29_999, u32::MAX] {
        let text = super::Seconds(Ticks90k(ticks)).to_string();
        let seconds: f64 = text.parse().unwrap();
        let exact = f64::from(ticks) / 90_000.0;
        assert!(seconds <= exact && exact - seconds < 0.000_001_1, "{ticks}: {text}");
    }
}
