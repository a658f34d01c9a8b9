//! The cut, on streams without damage: every split, every start, every kind of keyframe.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod stream;

use dashvault_base::Pts;
use dashvault_media::{ClosedBy, PACKET_BYTES, Segmenter, SegmenterConfig, ts::psi::VideoCodec};
use proptest::prelude::*;
use stream::{Kept, Plan, Writer, segments, stream, try_segments};

#[test]
fn each_gop_is_one_segment_that_starts_at_its_psi() {
    let input = stream(&Plan::default());
    let (kept, segmenter) = try_segments(&input, &[], SegmenterConfig::default()).unwrap();
    assert_eq!(kept.bytes, input);
    assert_eq!(kept.segments.len(), 9);
    assert_eq!(segmenter.counters().keyframes, 9);
    for (index, (segment, start)) in kept.segments.iter().zip(kept.starts()).enumerate() {
        assert!(segment.keyframe && !segment.damaged);
        assert_eq!(input[start + 1] & 0x1F, 0, "SDT first");
        assert_eq!(input[start + 2], 0x11, "SDT first");
        assert_eq!(segment.start_pts, Some(Pts(126_000 + index as i64 * 30_000)));
        assert_eq!(segment.duration.0, 30_000);
        let last = index == 8;
        assert_eq!(segment.closed_by, if last { ClosedBy::End } else { ClosedBy::Keyframe });
    }
    let streams = segmenter.streams().unwrap();
    assert_eq!(streams.video.map(|(codec, pid)| (codec, pid.number())), Some((VideoCodec::H264, 0x100)));
}

#[test]
fn keyframes_are_found_without_the_random_access_indicator() {
    for hevc in [false, true] {
        for no_sps in [false, true] {
            for sei_bytes in [0, 700] {
                let plan = Plan { hevc, no_sps, sei_bytes, random_access: false, ..Plan::default() };
                let with = segments(&stream(&Plan { random_access: true, ..plan.clone() }));
                let without = segments(&stream(&plan));
                assert_eq!(without.segments.len(), 9, "{plan:?}");
                assert_eq!(with.segments.len(), 9, "{plan:?}");
                assert!(without.segments.iter().all(|segment| segment.keyframe));
            }
        }
    }
}

#[test]
fn a_keyframe_whose_nal_unit_comes_too_late_is_none() {
    let plan = Plan { random_access: false, sei_bytes: 9 * 184, ..Plan::default() };
    assert_eq!(segments(&stream(&plan)).segments.len(), 1);
}

#[test]
fn without_psi_before_the_keyframe_the_cut_is_at_the_keyframe() {
    let plan = Plan { psi_at_keyframes: false, psi_every: Some(3), sdt: false, ..Plan::default() };
    let input = stream(&plan);
    let kept = segments(&input);
    assert_eq!(kept.segments.len(), 9);
    for (segment, start) in kept.segments.iter().zip(kept.starts()).skip(1) {
        let pid = u16::from_be_bytes([input[start + 1] & 0x1F, input[start + 2]]);
        assert!(pid == stream::VIDEO_PID || pid == 0);
        assert!(segment.keyframe);
        assert_eq!(segment.start_pts.unwrap().0 % 30_000, 126_000 % 30_000);
        assert_eq!(segment.duration.0, 30_000);
    }
}

#[test]
fn several_programs_are_cut_by_the_first_with_video() {
    let kept = segments(&stream(&Plan { second_program: true, ..Plan::default() }));
    assert_eq!(kept.segments.len(), 9);
}

#[test]
fn audio_alone_is_cut_about_every_second() {
    let plan = Plan { video: false, frames: 300, gop: 3, ..Plan::default() };
    let input = stream(&plan);
    let kept = segments(&input);
    assert_eq!(kept.bytes, input);
    assert_eq!(kept.segments.len(), 10);
    for segment in &kept.segments {
        assert!(segment.keyframe);
        assert_eq!(segment.duration.0, 90_000);
    }
}

#[test]
fn a_segment_never_exceeds_the_limit_and_cuts_where_something_is_held() {
    let config = SegmenterConfig { max_segment_bytes: 1024 * PACKET_BYTES, ..SegmenterConfig::default() };
    for plan in [
        Plan { gop: 10_000, frames: 1500, ..Plan::default() },
        Plan { no_psi: true, frames: 1500, ..Plan::default() },
        Plan { gop: 150, frames: 1500, frame_bytes: 1000, ..Plan::default() },
    ] {
        let input = stream(&plan);
        let (kept, segmenter) = try_segments(&input, &[], config).unwrap();
        assert_eq!(kept.bytes, input);
        assert!(kept.segments.iter().all(|segment| segment.len as usize <= config.max_segment_bytes));
        assert!(segmenter.counters().forced_cuts > 0);
        assert!(kept.segments.iter().any(|segment| segment.closed_by == ClosedBy::Size));
        same_cuts_from_any_start(&kept, config);
    }
}

#[test]
fn timestamps_run_on_over_the_wrap() {
    let plan = Plan { first_pts: (1 << 33) - 100_000, ..Plan::default() };
    let kept = segments(&stream(&plan));
    for pair in kept.segments.windows(2) {
        assert_eq!(pair[1].start_pts.unwrap().since(pair[0].start_pts.unwrap()), 30_000);
        assert_eq!(pair[0].duration.0, 30_000);
    }
}

#[test]
fn a_segmenter_that_starts_late_can_go_on_in_the_same_epoch() {
    let plan = Plan { first_pts: (1 << 33) - 100_000, ..Plan::default() };
    let kept = segments(&stream(&plan));
    let (before, start) = (kept.segments[4].start_pts.unwrap(), kept.starts()[5]);
    let mut later = Kept::default();
    let mut segmenter = Segmenter::new(SegmenterConfig::default());
    segmenter.set_epoch(before);
    segmenter.push(&kept.bytes[start..], &mut later).unwrap();
    segmenter.finish(&mut later);
    assert_eq!(later.segments, kept.segments[5..]);
}

#[test]
fn a_psi_section_over_several_packets_is_read() {
    let mut writer = Writer::default();
    let plan = Plan::default();
    // A PMT with streams of unknown kind in front, longer than one packet.
    let mut streams: Vec<(u8, u16)> = (0..60).map(|index| (0xF0, 0x300 + index)).collect();
    streams.push((0x1B, stream::VIDEO_PID));
    writer.psi(&Plan { video: false, audio: false, ..plan });
    writer.pmt(stream::PMT_PID, 1, &streams);
    for frame in 0..30u64 {
        let kind = if frame % 10 == 0 { 0x65 } else { 0x41 };
        writer.pes(stream::VIDEO_PID, 0xE0, frame * 3000, false, &[0, 0, 0, 1, kind, 0x88, 1]);
        if frame % 10 == 9 {
            writer.psi(&Plan { video: false, audio: false, ..Plan::default() });
            writer.pmt(stream::PMT_PID, 1, &streams);
        }
    }
    let kept = segments(&writer.out);
    // The last PSI leads no keyframe, so it stays with the last segment.
    assert_eq!(kept.segments.len(), 3);
}

#[test]
fn a_finished_segmenter_starts_anew() {
    let input = stream(&Plan::default());
    let (mut kept, mut segmenter) = try_segments(&input, &[1000], SegmenterConfig::default()).unwrap();
    let first = kept.hashes();
    segmenter.push(&input, &mut kept).unwrap();
    segmenter.finish(&mut kept);
    assert_eq!(kept.hashes(), [first.clone(), first].concat());
}

/// A segmenter that starts at any segment finds the same ones from there on.
fn same_cuts_from_any_start(kept: &Kept, config: SegmenterConfig) {
    for (index, start) in kept.starts().into_iter().enumerate() {
        let (again, _) = try_segments(&kept.bytes[start..], &[], config).unwrap();
        assert_eq!(again.hashes(), kept.hashes()[index..], "started at segment {index}");
    }
}

fn plans() -> impl Strategy<Value = Plan> {
    let psi = (any::<bool>(), prop::option::of(1..9u64), any::<bool>(), any::<bool>());
    let nal = (any::<bool>(), any::<bool>(), any::<bool>(), prop_oneof![Just(0usize), 0..2000usize]);
    (1..80u64, 1..20u64, 1..1500usize, psi, nal, any::<bool>(), any::<bool>()).prop_map(
        |(frames, gop, frame_bytes, psi, nal, audio, second_program)| Plan {
            frames,
            gop,
            frame_bytes,
            psi_at_keyframes: psi.0,
            psi_every: psi.1,
            sdt: psi.2,
            video: psi.3 || !audio,
            hevc: nal.0,
            random_access: nal.1,
            no_sps: nal.2,
            sei_bytes: nal.3,
            audio,
            second_program,
            ..Plan::default()
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(192))]

    #[test]
    fn the_split_does_not_matter(plan in plans(), random in prop::collection::vec(1..5000usize, 1..20)) {
        let input = stream(&plan);
        let (whole, segmenter) = try_segments(&input, &[], SegmenterConfig::default()).unwrap();
        prop_assert_eq!(&whole.bytes, &input);
        for splits in [&[1][..], &[188], &[1316], &[65_536], &random] {
            let (kept, again) = try_segments(&input, splits, SegmenterConfig::default()).unwrap();
            prop_assert_eq!(&kept, &whole);
            prop_assert_eq!(again.counters(), segmenter.counters());
        }
    }

    #[test]
    fn starting_at_any_cut_finds_the_same_later_cuts(plan in plans()) {
        let config = SegmenterConfig { audio_only_segment_90k: 20_000, ..SegmenterConfig::default() };
        let (kept, _) = try_segments(&stream(&plan), &[], config).unwrap();
        same_cuts_from_any_start(&kept, config);
    }

    #[test]
    fn starting_at_any_packet_finds_the_cuts_of_clean_streams(plan in plans(), skip in 0..200usize) {
        // PSI leads every keyframe, so that nothing before matters.
        let plan = Plan { psi_at_keyframes: true, psi_every: None, video: true, ..plan };
        let input = stream(&plan);
        let whole = segments(&input);
        let late = segments(&input[(skip * PACKET_BYTES).min(input.len())..]);
        let common = late.segments.len().saturating_sub(1).min(whole.segments.len());
        let tail = |kept: &Kept| kept.hashes()[kept.segments.len() - common..].to_vec();
        prop_assert_eq!(tail(&late), tail(&whole));
    }
}
