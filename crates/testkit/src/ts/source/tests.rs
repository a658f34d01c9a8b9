//! The source against a second, naive look at its bytes.

use std::{
    collections::HashMap,
    io::Read,
    time::{Duration, Instant},
};

use super::{super::*, *};

fn packets(bytes: &[u8]) -> &[[u8; PACKET_BYTES]] {
    let (packets, rest) = bytes.as_chunks();
    assert!(rest.is_empty());
    packets
}

fn pid(packet: &[u8; PACKET_BYTES]) -> u16 {
    u16::from_be_bytes([packet[1] & 0x1f, packet[2]])
}

fn starts_unit(packet: &[u8; PACKET_BYTES]) -> bool {
    packet[1] & 0x40 != 0
}

fn payload(packet: &[u8; PACKET_BYTES]) -> &[u8] {
    if packet[3] & 0x20 == 0 { &packet[4..] } else { &packet[5 + usize::from(packet[4])..] }
}

#[test]
fn every_packet_is_in_sync_and_every_counter_goes_on() {
    for seed in 0..50 {
        let profile = TsProfile::random(seed);
        let stream = TsSource::stream(profile.clone(), seed, 3);
        let mut counters: HashMap<u16, u8> = HashMap::new();
        for packet in packets(&stream.bytes).iter().filter(|packet| pid(packet) != NULL_PID) {
            assert_eq!(packet[0], 0x47, "{profile:?}");
            let counter = packet[3] & 0x0f;
            if let Some(last) = counters.insert(pid(packet), counter) {
                assert_eq!(counter, (last + 1) & 0x0f, "seed {seed}");
            }
        }
    }
}

#[test]
fn segments_cover_the_stream_and_begin_where_tables_or_a_picture_begin() {
    for seed in 0..50 {
        let profile = TsProfile::random(seed);
        let stream = TsSource::stream(profile.clone(), seed, 5);
        let mut end = 0;
        for (index, segment) in stream.segments.iter().enumerate() {
            assert_eq!(segment.offset, end, "seed {seed}");
            end += segment.len;
            let bytes = stream.segment(index);
            let first_pid = pid(&packets(bytes)[0]);
            if index > 0 {
                let tables = [SDT_PID, PAT_PID].contains(&first_pid);
                assert!(tables || first_pid == VIDEO_PID, "seed {seed}: {first_pid:#x}");
                assert!(tables || !profile.psi_each_keyframe, "seed {seed}");
            }
            let video = packets(bytes).iter().filter(|packet| pid(packet) == VIDEO_PID);
            let pictures = video.clone().filter(|packet| starts_unit(packet)).count();
            assert_eq!(pictures, segment.frames as usize, "seed {seed}");
            let flagged =
                video.filter(|packet| packet[3] & 0x20 != 0 && packet[4] > 0 && packet[5] & 0x40 != 0);
            assert_eq!(flagged.count(), usize::from(profile.rai), "seed {seed}");
        }
        assert_eq!(end, stream.bytes.len() as u64);
        let fps = f64::from(profile.fps);
        assert_eq!(
            stream.segments.len(),
            (5.0 * fps / f64::from(profile.gop)).ceil() as usize,
            "seed {seed}"
        );
    }
}

#[test]
fn timestamps_wrap_on_the_wire_and_go_on_in_the_truth() {
    let profile = TsProfile { start_pts: WRAP_90K - 90_000, ..TsProfile::default() };
    let stream = TsSource::stream(profile, 1, 3);
    let starts: Vec<i64> = stream.segments.iter().map(|segment| segment.start_pts).collect();
    let wrap = i64::try_from(WRAP_90K).unwrap();
    assert_eq!(starts, [wrap - 90_000, wrap, wrap + 90_000]);
    let at_wrap = packets(stream.segment(1)).iter().find(|packet| pid(packet) == VIDEO_PID).unwrap();
    assert_eq!(payload(at_wrap)[9..14], [0x21, 0, 1, 0, 1]);
}

#[test]
fn a_restart_begins_anew_and_a_jump_only_moves_the_clock() {
    let mut source = TsSource::new(TsProfile::default(), 1);
    let mut bytes = Vec::new();
    source.seconds(1, &mut bytes);
    source.jump_pts(900_000);
    source.seconds(1, &mut bytes);
    source.restart(true);
    source.seconds(1, &mut bytes);
    let starts: Vec<i64> = source.segments().iter().map(|segment| segment.start_pts).collect();
    assert_eq!(starts, [126_000, 126_000 + 990_000, 126_000]);
    assert_eq!(source.written(), bytes.len() as u64);
}

#[test]
fn the_reader_gives_the_same_stream_and_no_more_than_asked_for() {
    let stream = TsSource::stream(TsProfile::default(), 3, 1);
    let mut read = Vec::new();
    let reader = &mut TsSource::new(TsProfile::default(), 3).reader(100_000);
    reader.read_to_end(&mut read).unwrap();
    assert!(read == stream.bytes[..100_000]);
}

#[test]
fn audio_alone_is_one_segment() {
    let stream = TsSource::stream(TsProfile::audio_only(), 1, 2);
    assert_eq!(stream.segments.len(), 1);
    assert!(
        packets(&stream.bytes)
            .iter()
            .all(|packet| [PAT_PID, PMT_PID, SDT_PID, AUDIO_PID].contains(&pid(packet)))
    );
}

#[test]
fn the_bit_rate_is_about_what_was_asked_for_and_writing_is_quick() {
    let profile = TsProfile { bitrate: 40_000_000, audio: false, ..TsProfile::default() };
    let started = Instant::now();
    let stream = TsSource::stream(profile, 1, 20);
    assert!((95_000_000..110_000_000).contains(&stream.bytes.len()), "{}", stream.bytes.len());
    // Far above the usual 0.1 s: only an accident in the algorithm would reach it.
    assert!(started.elapsed() < Duration::from_secs(5), "{:?}", started.elapsed());
}
