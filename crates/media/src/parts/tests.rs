//! Cut streams against the truth about them.

use dashvault_testkit::ts::{Keyframes, TsProfile, TsSource, TsStream};
use proptest::prelude::*;

use super::{PartCutter, Piece, SEGMENT_MOST, least_of};
use crate::{Segment, SegmentSink, Segmenter, SegmenterConfig};

/// A segment as a viewer gets it.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Shown {
    start: i64,
    discontinuity: bool,
    parts: Vec<(u32, u32, bool)>,
    bytes: Vec<u8>,
    ended: bool,
}

#[derive(Default)]
struct Viewer {
    segments: Vec<Shown>,
}

impl Viewer {
    fn take(&mut self, pieces: Vec<Piece>) {
        for piece in pieces {
            match piece {
                Piece::Begin { start, discontinuity } => {
                    assert!(self.segments.last().is_none_or(|last| last.ended), "begun twice");
                    let (parts, bytes) = Default::default();
                    self.segments.push(Shown { start: start.0, discontinuity, parts, bytes, ended: false });
                }
                Piece::Part(part) => {
                    let open = self.segments.last_mut().filter(|open| !open.ended).unwrap();
                    assert!(part.duration <= part.target && part.duration.0 > 0, "{part:?}");
                    assert!(!part.independent || open.parts.is_empty());
                    open.parts.push((part.duration.0, part.target.0, part.independent));
                    open.bytes.extend(part.bytes);
                }
                Piece::End => {
                    let open = self.segments.last_mut().filter(|open| !open.ended).unwrap();
                    assert!(!open.parts.is_empty(), "a segment without parts");
                    open.ended = true;
                }
            }
        }
    }

    /// What RFC 8216bis asks of durations.
    fn keeps_the_rules(&self) {
        for shown in &self.segments {
            let total: u32 = shown.parts.iter().map(|(duration, ..)| duration).sum();
            assert!(total < 225_000, "{total} rounds to more than two seconds");
            let settled = if shown.ended { shown.parts.len() - 1 } else { shown.parts.len() };
            for (duration, target, _) in shown.parts.iter().take(settled) {
                assert!(i64::from(*duration) >= least_of(i64::from(*target)) - 1, "{duration} of {target}");
            }
            let independent = shown.parts.first().is_none_or(|(.., independent)| *independent);
            assert!(independent || !shown.discontinuity, "a run begins with a keyframe");
        }
    }

    fn bytes(&self) -> Vec<u8> {
        self.segments.iter().flat_map(|shown| shown.bytes.clone()).collect()
    }
}

fn feed(cutter: &mut PartCutter, viewer: &mut Viewer, bytes: &[u8], step: usize) {
    for piece in bytes.chunks(step.max(1)) {
        let mut out = Vec::new();
        cutter.push(piece, &mut out).unwrap();
        viewer.take(out);
    }
}

fn cut(stream: &TsStream, step: usize) -> Viewer {
    let (mut cutter, mut viewer) = (PartCutter::new(), Viewer::default());
    feed(&mut cutter, &mut viewer, &stream.bytes, step);
    viewer.keeps_the_rules();
    viewer
}

/// Bytes before the archive's first segment that begins with a keyframe.
fn lead(stream: &TsStream) -> usize {
    struct Lead(usize, bool);
    impl SegmentSink for Lead {
        fn bytes(&mut self, _: &[u8]) {}
        fn closed(&mut self, segment: Segment) {
            self.1 |= segment.keyframe;
            self.0 += if self.1 { 0 } else { usize::try_from(segment.len).unwrap() };
        }
    }
    let mut found = Lead(0, false);
    let mut segmenter = Segmenter::new(SegmenterConfig::default());
    segmenter.push(&stream.bytes, &mut found).unwrap();
    segmenter.finish(&mut found);
    found.0
}

fn shown_of(stream: &TsStream) -> &[u8] {
    &stream.bytes[lead(stream)..]
}

fn camera() -> TsProfile {
    TsProfile { bitrate: 200_000, ..TsProfile::default() }
}

#[test]
fn live_segments_are_the_archives_in_parts_of_whole_frames() {
    let stream = TsSource::stream(camera(), 1, 6);
    let viewer = cut(&stream, 1316);
    assert_eq!(viewer.segments.len(), 6);
    for (index, shown) in viewer.segments.iter().take(5).enumerate() {
        // Audio before the first keyframe is a segment of its own, and not shown.
        let archived = if index == 0 { &stream.segment(0)[lead(&stream)..] } else { stream.segment(index) };
        assert!(shown.bytes == archived, "segment {index}");
        assert_eq!(shown.start, stream.segments[index].start_pts);
        let durations: Vec<_> = shown.parts.iter().map(|(duration, ..)| *duration).collect();
        assert_eq!(durations, [27_000, 27_000, 27_000, 9000]);
        assert_eq!(shown.discontinuity, index == 0);
    }
    assert!(shown_of(&stream).starts_with(&viewer.bytes()));
    let missing = shown_of(&stream).len() - viewer.bytes().len();
    assert!(missing < stream.segment(5).len(), "the last part waits for the next frame");
}

#[test]
fn a_group_of_ten_seconds_is_shown_in_segments_of_two() {
    let stream = TsSource::stream(TsProfile { gop: 300, ..camera() }, 2, 21);
    let viewer = cut(&stream, 1316);
    assert!(viewer.segments.len() >= 9, "{}", viewer.segments.len());
    assert!(shown_of(&stream).starts_with(&viewer.bytes()));
    let independent = |shown: &&Shown| shown.parts[0].2;
    assert_eq!(viewer.segments.iter().filter(independent).count(), 3);
    let total: u32 = viewer.segments[0].parts.iter().map(|(duration, ..)| duration).sum();
    assert_eq!(total, SEGMENT_MOST.0);
    assert_eq!(viewer.segments.iter().filter(|shown| shown.discontinuity).count(), 1);
}

#[test]
fn audio_alone_is_shown_too() {
    let viewer = cut(&TsSource::stream(TsProfile::audio_only(), 3, 5), 1316);
    assert!(viewer.segments.len() >= 3, "{}", viewer.segments.len());
    assert_eq!(viewer.segments.iter().filter(|shown| shown.discontinuity).count(), 1);
}

#[test]
fn nothing_is_shown_before_the_first_keyframe() {
    let stream = TsSource::stream(camera(), 4, 4);
    let middle = 188 * 40;
    let (mut cutter, mut viewer) = (PartCutter::new(), Viewer::default());
    feed(&mut cutter, &mut viewer, &stream.bytes[middle..], 1316);
    viewer.keeps_the_rules();
    assert_eq!(viewer.segments[0].start, stream.segments[1].start_pts);
    assert!(viewer.segments[0].bytes == stream.segment(1));
}

#[test]
fn a_session_that_repeats_the_open_segment_goes_on_with_it_unseen() {
    let stream = TsSource::stream(camera(), 5, 4);
    let second = usize::try_from(stream.segments[1].offset).unwrap();
    let third = usize::try_from(stream.segments[2].offset).unwrap();
    for died_at in (second + 188..third).step_by(188 * 3) {
        let (mut cutter, mut viewer) = (PartCutter::new(), Viewer::default());
        feed(&mut cutter, &mut viewer, &stream.bytes[..died_at], 1316);
        cutter.suspend();
        cutter.resume();
        feed(&mut cutter, &mut viewer, &stream.bytes[second..], 1316);
        viewer.keeps_the_rules();
        assert!(shown_of(&stream).starts_with(&viewer.bytes()), "died at {died_at}");
        assert_eq!(viewer.segments.iter().filter(|shown| shown.discontinuity).count(), 1, "{died_at}");
        assert_eq!(viewer.segments.len(), 4);
    }
}

#[test]
fn a_session_that_begins_with_the_next_segment_continues_the_run() {
    let stream = TsSource::stream(camera(), 6, 4);
    let third = usize::try_from(stream.segments[2].offset).unwrap();
    let (mut cutter, mut viewer) = (PartCutter::new(), Viewer::default());
    feed(&mut cutter, &mut viewer, &stream.bytes[..third], 1316);
    cutter.suspend();
    cutter.resume();
    feed(&mut cutter, &mut viewer, &stream.bytes[third..], 1316);
    viewer.keeps_the_rules();
    assert!(shown_of(&stream).starts_with(&viewer.bytes()));
    assert_eq!(viewer.segments.iter().filter(|shown| shown.discontinuity).count(), 1);
}

#[test]
fn a_session_that_comes_back_later_is_a_discontinuity() {
    let stream = TsSource::stream(camera(), 7, 9);
    let at = |index: usize| usize::try_from(stream.segments[index].offset).unwrap();
    let (mut cutter, mut viewer) = (PartCutter::new(), Viewer::default());
    feed(&mut cutter, &mut viewer, &stream.bytes[..at(2) + 188 * 20], 1316);
    cutter.suspend();
    cutter.resume();
    feed(&mut cutter, &mut viewer, &stream.bytes[at(6)..], 1316);
    viewer.keeps_the_rules();
    let marks: Vec<_> = viewer.segments.iter().map(|shown| (shown.start, shown.discontinuity)).collect();
    let start = |index: usize| stream.segments[index].start_pts;
    assert_eq!(marks[..4], [(start(0), true), (start(1), false), (start(2), false), (start(6), true)]);
}

#[test]
fn footage_that_was_damaged_and_is_repeated_is_not_shown_twice() {
    let stream = TsSource::stream(camera(), 8, 5);
    let at = |index: usize| usize::try_from(stream.segments[index].offset).unwrap();
    let (mut cutter, mut viewer) = (PartCutter::new(), Viewer::default());
    feed(&mut cutter, &mut viewer, &stream.bytes[..at(1) + 188 * 20], 1316);
    cutter.gap();
    feed(&mut cutter, &mut viewer, &stream.bytes[at(1) + 188 * 22..at(1) + 188 * 60], 1316);
    cutter.suspend();
    cutter.resume();
    feed(&mut cutter, &mut viewer, &stream.bytes[at(1)..], 1316);
    viewer.keeps_the_rules();
    let starts: Vec<_> = viewer.segments.iter().map(|shown| shown.start).collect();
    let expected: Vec<_> = (0..5).map(|index| stream.segments[index].start_pts).collect();
    assert_eq!(starts, expected);
    assert!(viewer.segments[2].discontinuity);
}

#[test]
fn missing_time_is_a_discontinuity_at_the_next_keyframe() {
    let stream = TsSource::stream(camera(), 9, 8);
    let at = |index: usize| usize::try_from(stream.segments[index].offset).unwrap();
    let (mut cutter, mut viewer) = (PartCutter::new(), Viewer::default());
    feed(&mut cutter, &mut viewer, &stream.bytes[..at(2) + 188 * 20], 1316);
    cutter.gap();
    feed(&mut cutter, &mut viewer, &stream.bytes[at(4) + 188 * 30..], 1316);
    viewer.keeps_the_rules();
    let marks: Vec<_> = viewer.segments.iter().map(|shown| (shown.start, shown.discontinuity)).collect();
    assert_eq!(marks[3], (stream.segments[5].start_pts, true));
    assert!(viewer.segments[2].ended);
}

#[test]
fn another_recording_is_a_discontinuity() {
    let (one, two) = (TsSource::stream(camera(), 10, 3), TsSource::stream(camera(), 11, 3));
    let (mut cutter, mut viewer) = (PartCutter::new(), Viewer::default());
    feed(&mut cutter, &mut viewer, &one.bytes, 1316);
    let mut out = Vec::new();
    cutter.suspend();
    cutter.restart(&mut out);
    viewer.take(out);
    feed(&mut cutter, &mut viewer, &two.bytes, 1316);
    viewer.keeps_the_rules();
    assert!(viewer.segments[3].discontinuity && viewer.segments[2].ended);
    assert!(viewer.segments[2].bytes == one.segment(2), "nothing of the first one is lost");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn the_split_of_the_input_does_not_matter(seed in any::<u64>(), step in 1..9000usize, fps in prop::sample::select(vec![5u32, 8, 10, 25, 30, 50])) {
        let profile = TsProfile { fps, bitrate: 100_000, keyframes: Keyframes::Idr, psi_each_keyframe: true, ..TsProfile::random(seed) };
        let stream = TsSource::stream(profile, seed, 6);
        let (one, other) = (cut(&stream, 1316), cut(&stream, step));
        prop_assert!(one.segments == other.segments);
        prop_assert!(shown_of(&stream).starts_with(&one.bytes()));
        prop_assert!(one.segments.iter().skip(1).all(|shown| !shown.discontinuity));
    }

    #[test]
    fn hostile_bytes_and_sessions_never_break_the_order_of_pieces(
        seed in any::<u64>(),
        steps in prop::collection::vec((0..6u8, any::<prop::sample::Index>(), 1..4000usize), 1..40),
    ) {
        let stream = TsSource::stream(TsProfile { bitrate: 100_000, ..TsProfile::random(seed) }, seed, 8);
        let (mut cutter, mut viewer) = (PartCutter::new(), Viewer::default());
        for (what, at, packets) in steps {
            let mut out = Vec::new();
            let start = at.index(stream.bytes.len()) / 188 * 188;
            let end = (start + packets * 188).min(stream.bytes.len());
            match what {
                0 => cutter.suspend(),
                1 => cutter.resume(),
                2 => cutter.restart(&mut out),
                3 => cutter.interrupt(&mut out),
                4 => cutter.gap(),
                _ => {}
            }
            viewer.take(out);
            let mut bytes = stream.bytes[start..end].to_vec();
            if packets.is_multiple_of(3) && !bytes.is_empty() {
                let hit = packets % bytes.len();
                bytes[hit] ^= 0x55;
            }
            let mut out = Vec::new();
            let _ = cutter.push(&bytes, &mut out);
            viewer.take(out);
        }
        viewer.keeps_the_rules();
    }
}
