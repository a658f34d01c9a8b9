//! Segments of several recordings on one timeline: what ffmpeg makes of it, and what stays as it was.

#![allow(clippy::unwrap_used, clippy::cast_possible_truncation, reason = "a test fails by panicking")]

mod stream;

use std::{
    io::Write,
    process::{Command, Stdio},
    thread,
};

use dashvault_base::Pts;
use dashvault_media::{
    PACKET_BYTES, Packet, Pid, Segment,
    join::{JOINT_BYTES, Setting, begins_with_tables, joint, set},
};
use proptest::prelude::*;
use stream::{Kept, Plan, segments, stream};

fn run(program: &str, arguments: &str, input: &[u8]) -> (Vec<u8>, String) {
    let mut child = Command::new(program)
        .args(arguments.split_whitespace())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("ffmpeg is installed for the tests");
    let mut stdin = child.stdin.take().unwrap();
    let input = input.to_vec();
    let writer = thread::spawn(move || stdin.write_all(&input));
    let output = child.wait_with_output().unwrap();
    let _ = writer.join().unwrap();
    (output.stdout, String::from_utf8_lossy(&output.stderr).into_owned())
}

fn encoded(seconds: u32, encoder: &str) -> Kept {
    let picture = "-f lavfi -i testsrc2=size=320x180:rate=30 -f lavfi -i sine=sample_rate=44100";
    let arguments = format!("-nostdin -v error {picture} -t {seconds} {encoder} -f mpegts pipe:1");
    segments(&run("ffmpeg", &arguments, &[]).0)
}

const PLAIN: &str = "-c:v libx264 -preset ultrafast -tune zerolatency -g 30 -c:a aac -b:a 128k";
const REORDERED: &str = "-c:v libx264 -preset ultrafast -bf 3 -g 30 -c:a aac -b:a 128k";

/// The segments of `picked`, run by run, one after the other from the first one's start; and how long they play.
fn joined(picked: &[(&Kept, std::ops::Range<usize>)], edges: bool) -> (Vec<u8>, u64) {
    let mut out = Vec::new();
    let mut to: Option<i64> = None;
    let mut ticks = 0;
    for (number, (kept, range)) in picked.iter().enumerate() {
        let starts = kept.starts();
        for index in range.clone() {
            let Segment { start_pts, duration, len, .. } = kept.segments[index];
            let mut bytes = kept.bytes[starts[index]..starts[index] + len as usize].to_vec();
            let start = start_pts.unwrap();
            let place = *to.get_or_insert(start.0);
            let (first, last) = (index == range.start, index + 1 == range.end);
            let first = first && (edges || number > 0);
            let last = last && (edges || number + 1 < picked.len());
            if first && number > 0 {
                out.extend(joint(&bytes));
            }
            set(&mut bytes, &Setting { start, duration, to: Pts(place), first, last });
            out.extend(bytes);
            to = Some(place + i64::from(duration.0));
            ticks += u64::from(duration.0);
        }
    }
    (out, ticks)
}

/// Duration in milliseconds, by stream and as a whole, of the MP4 that ffmpeg makes without encoding.
fn mp4(input: &[u8], folder: &std::path::Path) -> (Vec<f64>, String) {
    let path = folder.join("clip.mp4");
    let file = path.to_str().unwrap();
    let arguments = format!("-nostdin -v warning -y -f mpegts -i pipe:0 -c copy -movflags +faststart {file}");
    let (_, mut said) = run("ffmpeg", &arguments, input);
    let probe = format!("-v error -show_entries stream=duration:format=duration -of csv=p=0 {file}");
    let (durations, errors) = run("ffprobe", &probe, &[]);
    said += &errors;
    said += &run("ffmpeg", &format!("-nostdin -v warning -i {file} -f null -"), &[]).1;
    let durations = String::from_utf8(durations).unwrap();
    let numbers = durations.lines().filter_map(|line| line.trim_end_matches(',').parse::<f64>().ok());
    (numbers.map(|seconds| seconds * 1000.0).collect(), said)
}

fn check(picked: &[(&Kept, std::ops::Range<usize>)]) {
    let folder = std::env::temp_dir().join(format!(
        "dashvault-join-{}-{:?}",
        std::process::id(),
        thread::current().id()
    ));
    std::fs::create_dir_all(&folder).unwrap();
    let (bytes, ticks) = joined(picked, true);
    let expected = ticks as f64 / 90.0;
    let (durations, said) = mp4(&bytes, &folder);
    std::fs::remove_dir_all(&folder).unwrap();
    assert_eq!(said, "", "{durations:?}");
    let whole = *durations.last().unwrap();
    let frame = 1000.0 / 30.0;
    assert!((whole - expected).abs() <= frame, "{durations:?}, expected {expected}");
    assert!((durations[0] - expected).abs() <= frame, "{durations:?}, expected {expected}");
    let (_, decoding) = run("ffmpeg", "-nostdin -v warning -f mpegts -i pipe:0 -f null -", &bytes);
    assert_eq!(decoding, "", "as a transport stream");
}

#[test]
fn any_number_of_cuts_becomes_one_film_without_a_word_from_ffmpeg() {
    let (a, b) = (encoded(8, PLAIN), encoded(6, PLAIN));
    check(&[(&a, 0..8)]);
    check(&[(&a, 2..3)]);
    check(&[(&a, 1..3), (&a, 5..6), (&b, 0..2), (&b, 3..6), (&a, 0..1)]);
}

#[test]
fn reordered_frames_are_joined_as_well() {
    let (a, b) = (encoded(6, REORDERED), encoded(5, REORDERED));
    check(&[(&a, 1..4), (&b, 2..4), (&a, 5..6)]);
}

#[test]
fn what_is_not_cut_is_the_same_bytes() {
    let a = encoded(4, PLAIN);
    let (bytes, _) = joined(&[(&a, 0..4)], false);
    assert!(bytes == a.bytes);
}

#[test]
fn a_joint_announces_each_pid_and_brings_the_tables_where_the_run_lacks_them() {
    let plan = Plan { psi_at_keyframes: false, psi_every: Some(4), gop: 10, ..Plan::default() };
    let kept = segments(&stream(&plan));
    let starts = kept.starts();
    let second = &kept.bytes[starts[1]..starts[2]];
    assert!(!begins_with_tables(second));
    let tables = joint(second);
    assert_eq!(tables.len(), JOINT_BYTES);
    let packets: Vec<_> =
        tables.as_chunks::<PACKET_BYTES>().0.iter().map(|bytes| Packet::parse(bytes).unwrap()).collect();
    let announced = |pid: u16| {
        packets.iter().any(|packet| {
            packet.pid().number() == pid && packet.adaptation_field().is_some_and(|field| field.discontinuity)
        })
    };
    for pid in [0, stream::PMT_PID, stream::VIDEO_PID, stream::AUDIO_PID] {
        assert!(announced(pid), "{pid}");
    }
    let brought: Vec<_> = packets
        .iter()
        .filter(|packet| packet.has_payload() && packet.pid() != Pid::NULL)
        .map(|packet| packet.pid().number())
        .collect();
    assert_eq!(brought, [0, stream::PMT_PID]);
    assert!(begins_with_tables(&kept.bytes));
    assert!(
        joint(&kept.bytes)
            .as_chunks::<PACKET_BYTES>()
            .0
            .iter()
            .filter_map(Packet::parse)
            .all(|packet| { packet.pid() == Pid::NULL || !packet.has_payload() })
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn moving_there_and_back_gives_the_same_bytes(
        offset in -(1i64 << 33)..1i64 << 33, first_pts in 0..1u64 << 33, sei_bytes in 0..900usize, hevc: bool,
    ) {
        let before = stream(&Plan { first_pts, sei_bytes, hevc, frames: 30, ..Plan::default() });
        let mut bytes = before.clone();
        let setting = |start, to| Setting {
            start: Pts(start), duration: dashvault_base::Ticks90k(1), to: Pts(to), first: false, last: false,
        };
        set(&mut bytes, &setting(0, offset));
        prop_assert!(offset == 0 || bytes != before);
        set(&mut bytes, &setting(offset, 0));
        prop_assert!(bytes == before);
    }
}
