//! Damaged and foreign streams: never a panic, always back in rhythm, never more memory than promised.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod stream;

use std::collections::HashSet;

use dashvault_media::{PACKET_BYTES, Segmenter, SegmenterConfig, SegmenterError};
use proptest::prelude::*;
use stream::{Kept, Plan, segments, stream, try_segments};

fn packets(input: &[u8]) -> Vec<[u8; PACKET_BYTES]> {
    input.as_chunks::<PACKET_BYTES>().0.to_vec()
}

#[test]
fn m2ts_is_refused_with_the_place_of_its_first_packet() {
    let mut m2ts = vec![0x12; 77];
    for (index, packet) in (0u32..).zip(packets(&stream(&Plan::default()))) {
        m2ts.extend(index.to_be_bytes());
        m2ts.extend(packet);
    }
    for splits in [&[1][..], &[192], &[70_000]] {
        let error = try_segments(&m2ts, splits, SegmenterConfig::default()).unwrap_err();
        assert_eq!(error, SegmenterError::M2tsRefused { offset: 77 });
        let aligned = try_segments(&m2ts[77..], splits, SegmenterConfig::default()).unwrap_err();
        assert_eq!(aligned, SegmenterError::M2tsRefused { offset: 0 });
    }
}

#[test]
fn m2ts_is_refused_also_where_its_timestamp_looks_like_a_sync_byte() {
    let mut m2ts = Vec::new();
    for packet in packets(&stream(&Plan::default())) {
        m2ts.extend([0x47, 0x47, 0, 0]);
        m2ts.extend(packet);
    }
    let error = try_segments(&m2ts, &[1316], SegmenterConfig::default()).unwrap_err();
    assert!(matches!(error, SegmenterError::M2tsRefused { offset } if offset <= 2 * 192), "{error}");
}

#[test]
fn what_is_no_transport_stream_is_refused_after_64_kib_and_stays_refused() {
    let text = b"no transport stream, Going on and on. ".repeat(4000);
    for splits in [&[1][..], &[4096], &[text.len()]] {
        let error = try_segments(&text, splits, SegmenterConfig::default()).unwrap_err();
        assert_eq!(error, SegmenterError::NotTransportStream { searched: 65_536 });
    }
    let mut segmenter = Segmenter::new(SegmenterConfig::default());
    let mut kept = Kept::default();
    assert!(segmenter.push(&text, &mut kept).is_err());
    assert!(segmenter.push(&stream(&Plan::default()), &mut kept).is_err());
    segmenter.finish(&mut kept);
    assert!(kept.segments.is_empty());
}

#[test]
fn packets_before_a_refusal_are_given_out_whole() {
    let input = [&stream(&Plan::default())[..3 * PACKET_BYTES], &[0; 70_000]].concat();
    for split in [1, 188, 1316, input.len()] {
        let mut segmenter = Segmenter::new(SegmenterConfig::default());
        let mut kept = Kept::default();
        let refused = input.chunks(split).any(|part| segmenter.push(part, &mut kept).is_err());
        assert!(refused);
        segmenter.finish(&mut kept);
        assert_eq!(kept.bytes, input[..3 * PACKET_BYTES]);
        assert_eq!(kept.segments.len(), 1);
    }
}

#[test]
fn a_torn_last_packet_is_dropped_and_counted() {
    let input = stream(&Plan::default());
    let torn = &input[..input.len() - 50];
    let (kept, segmenter) = try_segments(torn, &[1000], SegmenterConfig::default()).unwrap();
    assert_eq!(kept.bytes, input[..input.len() - PACKET_BYTES]);
    assert_eq!(segmenter.counters().skipped_bytes, (PACKET_BYTES - 50) as u64);
}

#[test]
fn garbage_between_packets_is_in_no_segment_and_moves_no_cut() {
    let input = stream(&Plan::default());
    let clean = segments(&input);
    for garbage_bytes in [1, 4, 100, 188, 191, 1000, 5000, 100_000] {
        let mut dirty = Vec::new();
        for (index, packet) in packets(&input).iter().enumerate() {
            if index % 100 == 50 {
                dirty.extend(vec![0xEE; garbage_bytes]);
            }
            dirty.extend(packet);
        }
        let (kept, segmenter) = try_segments(&dirty, &[1316], SegmenterConfig::default()).unwrap();
        assert_eq!(kept.bytes, input, "{garbage_bytes} bytes of garbage");
        assert_eq!(kept.hashes(), clean.hashes());
        let times = packets(&input).len().div_ceil(100) as u64;
        assert!(segmenter.counters().resyncs.abs_diff(times) <= 1);
        assert_eq!(segmenter.counters().skipped_bytes, segmenter.counters().resyncs * garbage_bytes as u64);
        assert!(kept.segments.iter().any(|segment| segment.damaged));
    }
}

#[test]
fn a_gap_damages_its_segment_and_leaves_the_others() {
    let input = stream(&Plan::default());
    let clean = segments(&input);
    let cut = clean.starts()[4] + 5 * PACKET_BYTES;
    let mut kept = Kept::default();
    let mut segmenter = Segmenter::new(SegmenterConfig::default());
    // The first part ends within a packet, which is dropped.
    segmenter.push(&input[..cut + 60], &mut kept).unwrap();
    segmenter.gap();
    segmenter.push(&input[cut + 8 * PACKET_BYTES..], &mut kept).unwrap();
    segmenter.finish(&mut kept);
    assert_eq!(kept.bytes.len(), input.len() - 8 * PACKET_BYTES);
    for (index, (segment, clean)) in kept.segments.iter().zip(&clean.segments).enumerate() {
        assert_eq!(segment.damaged, index == 4, "segment {index}");
        assert_eq!(segment.hash == clean.hash, index != 4, "segment {index}");
    }
    assert_eq!(segmenter.counters().gaps, 1);
}

#[test]
fn behind_a_gap_the_next_packet_is_searched_for() {
    let input = stream(&Plan::default());
    // A sync byte by chance right behind the gap, then the rest of a packet.
    let behind = [&[0x47][..], &[1; 80], &input].concat();
    let mut kept = Kept::default();
    let mut segmenter = Segmenter::new(SegmenterConfig::default());
    segmenter.push(&input[..500 * PACKET_BYTES], &mut kept).unwrap();
    segmenter.gap();
    segmenter.push(&behind, &mut kept).unwrap();
    segmenter.finish(&mut kept);
    assert_eq!(kept.bytes, [&input[..500 * PACKET_BYTES], &input].concat());
    assert_eq!(segmenter.counters().skipped_bytes, 81);
}

#[test]
fn a_lone_packet_between_two_gaps_is_kept() {
    let input = stream(&Plan::default());
    let mut kept = Kept::default();
    let mut segmenter = Segmenter::new(SegmenterConfig::default());
    for packet in [0, 5, 9] {
        segmenter.push(&input[packet * PACKET_BYTES..(packet + 1) * PACKET_BYTES], &mut kept).unwrap();
        segmenter.gap();
    }
    segmenter.finish(&mut kept);
    assert_eq!(kept.bytes.len(), 3 * PACKET_BYTES);
}

#[test]
fn a_gap_just_before_a_cut_is_told_on_both_sides() {
    let input = stream(&Plan::default());
    let clean = segments(&input);
    let cut = clean.starts()[4];
    let mut kept = Kept::default();
    let mut segmenter = Segmenter::new(SegmenterConfig::default());
    segmenter.push(&input[..cut - 3 * PACKET_BYTES], &mut kept).unwrap();
    segmenter.gap();
    segmenter.gap();
    segmenter.push(&input[cut..], &mut kept).unwrap();
    segmenter.finish(&mut kept);
    let damaged: Vec<bool> = kept.segments.iter().map(|segment| segment.damaged).collect();
    assert_eq!(damaged, [false, false, false, true, true, false, false, false, false]);
    assert_eq!(kept.segments[4].hash, clean.segments[4].hash);
}

#[test]
fn lost_packets_are_seen_by_their_counters_too() {
    let input = stream(&Plan::default());
    let clean = segments(&input);
    let cut = clean.starts()[4];
    // Without the last packet before segment 4, and without one within it.
    let lossy = [
        &input[..cut - PACKET_BYTES],
        &input[cut..cut + 10 * PACKET_BYTES],
        &input[cut + 11 * PACKET_BYTES..],
    ]
    .concat();
    let (kept, segmenter) = try_segments(&lossy, &[1316], SegmenterConfig::default()).unwrap();
    assert_eq!(segmenter.counters().continuity_errors, 2);
    assert_eq!(kept.segments.len(), clean.segments.len());
    assert!(kept.segments[4].damaged);
    assert_eq!(kept.hashes()[5..], clean.hashes()[5..]);
}

#[test]
fn minutes_without_a_keyframe_hold_nothing_back() {
    let plan = Plan { gop: 100_000, frames: 6000, random_access: false, ..Plan::default() };
    let input = stream(&plan);
    let mut segmenter = Segmenter::new(SegmenterConfig::default());
    let mut kept = Kept::default();
    let mut fed = 0;
    for part in input.chunks(1316) {
        segmenter.push(part, &mut kept).unwrap();
        fed += part.len();
        let behind = fed as u64 - kept.bytes.len() as u64;
        assert!(behind <= 1316, "{behind} bytes are held back");
    }
}

#[test]
fn what_is_held_back_is_bounded_in_the_worst_stream() {
    // A keyframe candidate that never decides, among packets of other PIDs, behind an endless run of PSI.
    let mut writer = stream::Writer::default();
    writer.psi(&Plan::default());
    let packet = |writer: &mut stream::Writer, pid: u16| writer.packet(pid, false, None, &[0xFF; 184]);
    for _ in 0..50 {
        (0..100).for_each(|_| packet(&mut writer, 0));
        writer.packet(stream::VIDEO_PID, true, Some(vec![0x40]), &[0, 0, 1, 0xE0, 0]);
        (0..2000).for_each(|_| packet(&mut writer, 0x300));
    }
    let mut segmenter = Segmenter::new(SegmenterConfig::default());
    let mut kept = Kept::default();
    let mut most = 0;
    for (index, part) in writer.out.chunks(PACKET_BYTES).enumerate() {
        segmenter.push(part, &mut kept).unwrap();
        most = most.max((index + 1) * PACKET_BYTES - kept.bytes.len());
    }
    assert!(most <= 512 * PACKET_BYTES, "{most} bytes were held back");
    segmenter.finish(&mut kept);
    assert_eq!(kept.bytes, writer.out);
}

#[derive(Debug, Clone)]
enum Damage {
    Lose(usize, usize),
    Garbage(usize, Vec<u8>),
    Flip(usize, u8),
    Gap(usize),
    Repeat(usize),
}

fn damages() -> impl Strategy<Value = Vec<Damage>> {
    let at = 0..4000usize;
    prop::collection::vec(
        prop_oneof![
            (at.clone(), 1..30usize).prop_map(|(at, count)| Damage::Lose(at, count)),
            (at.clone(), prop::collection::vec(prop_oneof![Just(0x47u8), any::<u8>()], 1..600))
                .prop_map(|(at, bytes)| Damage::Garbage(at, bytes)),
            (0..4000 * PACKET_BYTES, 0..8u8).prop_map(|(at, bit)| Damage::Flip(at, bit)),
            at.clone().prop_map(Damage::Gap),
            at.prop_map(Damage::Repeat),
        ],
        0..40,
    )
}

/// The damaged stream in parts; between them are gaps.
fn damaged(input: &[u8], damages: &[Damage]) -> Vec<Vec<u8>> {
    let mut input = input.to_vec();
    for damage in damages {
        if let Damage::Flip(at, bit) = damage
            && let Some(byte) = input.get_mut(*at)
        {
            *byte ^= 1 << bit;
        }
    }
    let mut parts = vec![Vec::new()];
    for (index, packet) in packets(&input).iter().enumerate() {
        let mut lost = false;
        for damage in damages {
            match damage {
                Damage::Lose(at, count) => lost |= (*at..at + count).contains(&index),
                Damage::Garbage(at, bytes) if *at == index => parts.last_mut().unwrap().extend(bytes),
                Damage::Gap(at) if *at == index => parts.push(Vec::new()),
                Damage::Repeat(at) if *at == index => parts.last_mut().unwrap().extend(packet),
                _ => {}
            }
        }
        if !lost {
            parts.last_mut().unwrap().extend(packet);
        }
    }
    parts
}

fn feed(parts: &[Vec<u8>], split: usize) -> (Kept, Segmenter) {
    let mut segmenter = Segmenter::new(SegmenterConfig::default());
    let mut kept = Kept::default();
    for (index, part) in parts.iter().enumerate() {
        if index > 0 {
            segmenter.gap();
        }
        part.chunks(split.max(1)).for_each(|piece| segmenter.push(piece, &mut kept).unwrap());
    }
    segmenter.finish(&mut kept);
    (kept, segmenter)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(192))]

    #[test]
    fn damage_never_panics_and_the_stream_heals(
        damages in damages(), split in prop_oneof![1..400usize, Just(1316), Just(65_536)], hevc: bool, random_access: bool,
    ) {
        let input = stream(&Plan { frames: 300, hevc, random_access, ..Plan::default() });
        let clean = segments(&input);
        let parts = damaged(&input, &damages);
        let (kept, segmenter) = feed(&parts, split);
        let (whole, again) = feed(&parts, usize::MAX);
        prop_assert_eq!(&kept, &whole);
        prop_assert_eq!(segmenter.counters(), again.counters());
        let total: usize = parts.iter().map(Vec::len).sum();
        prop_assert_eq!(kept.bytes.len() as u64 + segmenter.counters().skipped_bytes, total as u64);
        // Each damage reaches at most three segments (its own, the next, and one that it splits off).
        let found: HashSet<_> = kept.hashes().into_iter().collect();
        let missing = clean.segments.iter().filter(|segment| !found.contains(&segment.hash)).count();
        let reach: usize = damages.iter().map(|damage| match damage {
            Damage::Lose(_, count) => 2 + count / 5,
            _ => 3,
        }).sum();
        prop_assert!(missing <= reach, "{} of {} segments lost to {:?}", missing, clean.segments.len(), damages);
    }

    #[test]
    fn arbitrary_bytes_never_panic(bytes in prop::collection::vec(prop_oneof![2 => Just(0x47u8), 3 => any::<u8>()], 0..3000), split in 1..700usize) {
        let mut segmenter = Segmenter::new(SegmenterConfig::default());
        let mut kept = Kept::default();
        for part in bytes.chunks(split) {
            if segmenter.push(part, &mut kept).is_err() {
                break;
            }
        }
        segmenter.finish(&mut kept);
        prop_assert!(kept.bytes.len() <= bytes.len());
    }

    #[test]
    fn arbitrary_packets_never_panic(
        headers in prop::collection::vec((any::<[u8; 12]>(), prop_oneof![Just(0u16), Just(0x1000), Just(0x100), Just(0x101), any::<u16>()]), 0..200),
    ) {
        let mut bytes = stream(&Plan { frames: 12, ..Plan::default() });
        for (header, pid) in headers {
            let mut packet = [0u8; PACKET_BYTES];
            packet[..12].copy_from_slice(&header);
            packet[0] = 0x47;
            packet[1] = header[1] & 0xE0 | (pid >> 8) as u8 & 0x1F;
            packet[2] = pid as u8;
            bytes.extend(packet);
        }
        let kept = segments(&bytes);
        prop_assert_eq!(kept.bytes, bytes);
    }
}
