//! Real encoder output: keyframes as ffprobe counts them, the same cuts from any start, packs that players decode.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod stream;

use std::{
    io::Write,
    process::{Command, Stdio},
    thread,
};

use dashvault_base::{ContentHash, WallMs};
use dashvault_media::{
    Manifest, PACKET_BYTES, SealedBy, SegmentEntry, SegmenterConfig, SignedManifest, SigningKey,
    VerifyOptions, trailer,
    ts::psi::{AudioCodec, VideoCodec},
    verify_pack,
};
use stream::{Kept, VIDEO_PID, try_segments};

const H264: &str = "-c:v libx264 -preset veryfast -tune zerolatency -g 30 -c:a aac -b:a 128k";

/// Runs a program with `input` on its stdin; gives its stdout and stderr.
fn run(program: &str, arguments: &str, input: Vec<u8>) -> (Vec<u8>, String) {
    let mut child = Command::new(program)
        .args(arguments.split_whitespace())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("ffmpeg is installed for the tests");
    let mut stdin = child.stdin.take().unwrap();
    let writer = thread::spawn(move || stdin.write_all(&input));
    let output = child.wait_with_output().unwrap();
    // A program that has seen enough closes its stdin.
    let _ = writer.join().unwrap();
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{program} {arguments}: {errors}");
    (output.stdout, errors)
}

fn encoded(encoder: &str) -> Vec<u8> {
    let picture = "-f lavfi -i testsrc2=size=320x180:rate=30 -f lavfi -i sine";
    let arguments = format!("-nostdin -v error {picture} -t 6 {encoder} -f mpegts pipe:1");
    run("ffmpeg", &arguments, Vec::new()).0
}

/// Timestamps of the keyframes of the first video stream, as ffprobe has them.
fn keyframes(stream: &[u8]) -> Vec<i64> {
    let arguments =
        "-v error -select_streams v:0 -show_entries packet=pts,flags -of csv=p=0 -f mpegts pipe:0";
    let (lines, _) = run("ffprobe", arguments, stream.to_vec());
    let lines = String::from_utf8(lines).unwrap();
    let keys = lines.lines().filter(|line| line.contains('K'));
    keys.map(|line| line.split(',').next().unwrap().parse().unwrap()).collect()
}

fn starts(kept: &Kept) -> Vec<i64> {
    kept.segments.iter().map(|segment| segment.start_pts.unwrap().0).collect()
}

/// The same stream as an encoder writes it that never sets the random-access indicator.
fn without_random_access(stream: &[u8]) -> Vec<u8> {
    let mut stream = stream.to_vec();
    for packet in stream.as_chunks_mut::<PACKET_BYTES>().0 {
        let pid = u16::from_be_bytes([packet[1] & 0x1F, packet[2]]);
        if pid == VIDEO_PID && packet[3] & 0x20 != 0 && packet[4] > 0 {
            packet[5] &= !0x40;
        }
    }
    stream
}

fn check(input: &[u8], video: VideoCodec) -> Kept {
    let (kept, segmenter) = try_segments(input, &[], SegmenterConfig::default()).unwrap();
    assert_eq!(kept.bytes, input, "the sink gets the input");
    assert_eq!(starts(&kept), keyframes(input), "a segment for each keyframe");
    let counters = segmenter.counters();
    assert_eq!(counters.keyframes as usize, kept.segments.len());
    assert_eq!((counters.continuity_errors, counters.psi_errors, counters.pes_errors), (0, 0, 0));
    let streams = segmenter.streams().unwrap();
    assert_eq!(streams.video.unwrap().0, video);
    assert_eq!(streams.audio.unwrap().0, AudioCodec::Aac);
    assert!(kept.segments.iter().all(|segment| segment.keyframe && !segment.damaged));
    for split in [1, 188, 1316, 65_536, 777] {
        assert_eq!(try_segments(input, &[split], SegmenterConfig::default()).unwrap().0, kept);
    }
    for (index, start) in kept.starts().into_iter().enumerate() {
        let (later, _) = try_segments(&input[start..], &[], SegmenterConfig::default()).unwrap();
        assert_eq!(later.segments, kept.segments[index..], "started at segment {index}");
    }
    kept
}

#[test]
fn h264_is_cut_at_every_keyframe() {
    let input = encoded(H264);
    let kept = check(&input, VideoCodec::H264);
    assert_eq!(kept.segments.len(), 6);
    for segment in &kept.segments {
        assert_eq!(segment.duration.0, 90_000);
    }
}

#[test]
fn h264_with_reordered_frames_is_cut_at_every_keyframe() {
    let input = encoded("-c:v libx264 -preset veryfast -bf 3 -g 30 -c:a aac");
    let kept = check(&input, VideoCodec::H264);
    let total: u32 = kept.segments.iter().map(|segment| segment.duration.0).sum();
    assert_eq!(total, 6 * 90_000);
}

#[test]
fn h264_without_random_access_indicator_is_cut_at_the_same_places() {
    let input = encoded(H264);
    let by_indicator = check(&input, VideoCodec::H264);
    let input = without_random_access(&input);
    let by_nal = check(&input, VideoCodec::H264);
    assert_eq!(by_nal.starts(), by_indicator.starts());
}

#[test]
fn h265_is_cut_at_every_keyframe_with_and_without_indicator() {
    let encoder =
        "-c:v libx265 -preset ultrafast -x265-params log-level=error:keyint=30:min-keyint=30 -c:a aac";
    let input = encoded(encoder);
    let by_indicator = check(&input, VideoCodec::H265);
    assert_eq!(by_indicator.segments.len(), 6);
    let input = without_random_access(&input);
    assert_eq!(check(&input, VideoCodec::H265).starts(), by_indicator.starts());
}

#[test]
fn intra_refresh_without_idr_frames_is_cut_at_its_recovery_points() {
    let input = encoded(&format!("{H264} -x264-params intra-refresh=1"));
    let kept = check(&input, VideoCodec::H264);
    assert_eq!(kept.segments.len(), 6);
}

#[test]
fn audio_alone_is_cut_about_every_second() {
    let input = encoded("-map 1:a -c:a aac -b:a 128k");
    let (kept, segmenter) = try_segments(&input, &[], SegmenterConfig::default()).unwrap();
    assert_eq!(kept.bytes, input);
    assert_eq!(segmenter.streams().unwrap().video, None);
    assert!((5..=6).contains(&kept.segments.len()), "{}", kept.segments.len());
    let total: u32 = kept.segments.iter().map(|segment| segment.duration.0).sum();
    // The last PES packet holds several frames, so its length is a guess.
    assert!(total.abs_diff(6 * 90_000) < 20_000, "{total}");
    for (index, start) in kept.starts().into_iter().enumerate() {
        let (later, _) = try_segments(&input[start..], &[], SegmenterConfig::default()).unwrap();
        assert_eq!(later.hashes(), kept.hashes()[index..]);
    }
}

#[test]
fn a_pack_with_its_trailer_decodes_without_a_word() {
    let input = encoded(H264);
    let (kept, _) = try_segments(&input, &[], SegmenterConfig::default()).unwrap();
    // The middle of a recording: neither its first nor its last segment.
    let starts = kept.starts();
    let segments = (0u32..).zip(&kept.segments[1..5]);
    let manifest = Manifest {
        device: "car".parse().unwrap(),
        camera: "front".parse().unwrap(),
        pack: "20261122-101500_00000".parse().unwrap(),
        sealed_by: SealedBy::Device,
        start_wall: WallMs(0),
        start_mono_ms: 0,
        boot_id: [0; 16],
        previous: ContentHash::ZERO,
        segments: segments.map(|(index, segment)| SegmentEntry::new(segment, index * 1000)).collect(),
    };
    let signed = SignedManifest::sign(manifest, &SigningKey::from_seed([1; 32])).unwrap();
    let pack = [&input[starts[1]..starts[5]], &trailer(&signed)].concat();
    verify_pack(&mut std::io::Cursor::new(&pack), &VerifyOptions::default()).unwrap();
    assert_eq!(keyframes(&pack).len(), 4);
    let (_, errors) = run("ffmpeg", "-v error -f mpegts -i pipe:0 -f null -", pack);
    assert_eq!(errors, "");
}
