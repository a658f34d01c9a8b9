//! Joining, on synthetic packets.

use proptest::prelude::*;

use super::*;
use crate::{Pid, ts::pes::PesHeader};

const VIDEO: u16 = 0x100;
const AUDIO: u16 = 0x101;

/// A packet with a PES header of this PTS, filled up with `0xAA`.
fn starts(pid: u16, stream_id: u8, length: u16, pts: u64) -> [u8; PACKET_BYTES] {
    let mut packet = [0xAA; PACKET_BYTES];
    let [high, low] = pid.to_be_bytes();
    packet[..4].copy_from_slice(&[0x47, 0x40 | high, low, 0x10]);
    packet[4..13].copy_from_slice(&[0, 0, 1, stream_id, (length >> 8) as u8, length as u8, 0x80, 0x80, 5]);
    let byte = |value: u64| value.to_be_bytes()[7];
    let stamp = [
        0x21 | byte(pts >> 29) & 0x0E,
        byte(pts >> 22),
        byte(pts >> 14) | 1,
        byte(pts >> 7),
        byte(pts << 1) | 1,
    ];
    packet[13..18].copy_from_slice(&stamp);
    packet
}

fn continues(pid: u16) -> [u8; PACKET_BYTES] {
    let mut packet = [0xBB; PACKET_BYTES];
    let [high, low] = pid.to_be_bytes();
    packet[..4].copy_from_slice(&[0x47, high, low, 0x11]);
    packet
}

fn setting(start: i64, duration: u32, to: i64) -> Setting {
    Setting { start: Pts(start), duration: Ticks90k(duration), to: Pts(to), first: false, last: false }
}

fn pts_of(bytes: &[u8]) -> Vec<(u16, u64)> {
    let header = |packet: Packet<'_>| PesHeader::parse(packet.payload()).ok()?.pts;
    packets(bytes).filter_map(|(_, packet)| Some((packet.pid().number(), header(packet)?))).collect()
}

#[test]
fn a_segment_without_edges_and_offset_is_left_as_it_is() {
    let mut bytes = [starts(VIDEO, 0xE0, 0, 90_000), continues(VIDEO)].concat();
    let before = bytes.clone();
    set(&mut bytes, &setting(90_000, 90_000, 90_000));
    assert_eq!(bytes, before);
}

#[test]
fn an_edge_blanks_what_begins_before_it_or_ends_behind_it() {
    let whole = 170;
    let bytes = [
        continues(VIDEO),
        starts(VIDEO, 0xE0, 0, 90_000),
        starts(AUDIO, 0xC0, whole, 80_000),
        starts(AUDIO, 0xC0, whole, 95_000),
        starts(AUDIO, 0xC0, whole, 181_000),
        starts(AUDIO, 0xC0, 400, 120_000),
    ]
    .concat();
    let kept = |first, last| {
        let mut bytes = bytes.clone();
        set(&mut bytes, &Setting { first, last, ..setting(90_000, 90_000, 90_000) });
        packets(&bytes).map(|(_, packet)| packet.pid() != Pid::NULL).collect::<Vec<_>>()
    };
    assert_eq!(kept(false, false), [true; 6]);
    assert_eq!(kept(true, false), [false, true, false, true, true, true]);
    assert_eq!(kept(false, true), [true, true, true, true, false, false]);
}

#[test]
fn a_header_that_lies_over_two_packets_is_moved_too() {
    let mut whole = starts(VIDEO, 0xE0, 0, 1000);
    let mut front = whole;
    // All but six bytes of the payload become an adaptation field.
    let payload: Vec<u8> = whole[4..].to_vec();
    front[3] = 0x30;
    front[4] = (PACKET_BYTES - 5 - 6) as u8;
    front[5] = 0;
    front[6..PACKET_BYTES - 6].fill(0xFF);
    front[PACKET_BYTES - 6..].copy_from_slice(&payload[..6]);
    let mut back = continues(VIDEO);
    back[4..].fill(0);
    back[4..4 + 40].copy_from_slice(&payload[6..46]);
    let mut bytes = [front, back].concat();
    set(&mut bytes, &setting(1000, 3000, 91_000));
    let header: Vec<u8> =
        [&bytes[PACKET_BYTES - 6..PACKET_BYTES], &bytes[PACKET_BYTES + 4..PACKET_BYTES + 44]].concat();
    assert_eq!(PesHeader::parse(&header).unwrap().pts, Some(91_000));
    set(&mut whole, &setting(1000, 3000, 91_000));
    assert_eq!(pts_of(&whole), [(VIDEO, 91_000)]);
}

proptest! {
    #[test]
    fn every_timestamp_moves_by_the_offset_modulo_33_bits(
        pts in 0..1u64 << 33, offset in -(1i64 << 34)..1i64 << 34,
    ) {
        let mut bytes = [starts(VIDEO, 0xE0, 0, pts), starts(AUDIO, 0xC0, 170, pts)].concat();
        set(&mut bytes, &setting(0, 1, offset));
        let moved = (pts as i64 + offset).rem_euclid(1 << 33) as u64;
        prop_assert_eq!(pts_of(&bytes), [(VIDEO, moved), (AUDIO, moved)]);
    }

    #[test]
    fn hostile_bytes_keep_their_length_and_do_no_harm(
        mut bytes in prop::collection::vec(any::<u8>(), 0..2000), first: bool, last: bool,
        start in any::<i64>(), duration in any::<u32>(), to in any::<i64>(), synced: bool,
    ) {
        if synced {
            bytes.iter_mut().step_by(PACKET_BYTES).for_each(|byte| *byte = 0x47);
        }
        let len = bytes.len();
        prop_assert_eq!(joint(&bytes).len(), JOINT_BYTES);
        set(&mut bytes, &Setting { first, last, ..setting(start, duration, to) });
        prop_assert_eq!(bytes.len(), len);
    }
}
