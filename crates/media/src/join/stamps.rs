//! Rewriting timestamps where they stand: PCR, OPCR, PTS and DTS (ISO/IEC 13818-1 §2.4.3.5, §2.4.3.7).
//!
//! Belongs here: the bits. Does not: by how much.
//! Invariant: only the 33 bits of each timestamp change; prefixes, markers and the 27 MHz extension stay.

use crate::{
    PACKET_BYTES, Packet, Pid,
    ts::pes::{PesError, PesHeader},
};

const WRAP: i64 = 1 << 33;
/// Where a PES header's first timestamp is.
const STAMPS_AT: usize = 9;
const STAMP_BYTES: usize = 5;
/// Up to and with the DTS.
const HEADER_BYTES: usize = STAMPS_AT + 2 * STAMP_BYTES;

/// Moves every timestamp by `offset_90k`.
pub(super) fn shift(segment: &mut [u8], offset_90k: i64) {
    let count = segment.len() / PACKET_BYTES;
    for number in 0..count {
        shift_clock(packet_mut(segment, number), offset_90k);
        let starts = view(segment, number)
            .filter(|packet| packet.unit_start() && packet.pid() != Pid::NULL)
            .map(|packet| packet.pid());
        if let Some(pid) = starts {
            shift_unit(segment, number, count, pid, offset_90k);
        }
    }
}

fn view(segment: &[u8], number: usize) -> Option<Packet<'_>> {
    segment.as_chunks::<PACKET_BYTES>().0.get(number).and_then(Packet::parse)
}

fn packet_mut(segment: &mut [u8], number: usize) -> &mut [u8] {
    segment.get_mut(number * PACKET_BYTES..(number + 1) * PACKET_BYTES).unwrap_or_default()
}

/// The clock references of an adaptation field.
fn shift_clock(packet: &mut [u8], offset_90k: i64) {
    let Some((&[sync, _, _, control, len, flags], _)) = packet.split_first_chunk::<6>() else { return };
    if sync != 0x47 || control & 0x20 == 0 || len == 0 {
        return;
    }
    let end = (5 + usize::from(len)).min(packet.len());
    let mut at = 6;
    for flag in [0x10, 0x08] {
        if flags & flag == 0 {
            continue;
        }
        let Some(reference) = packet.get_mut(at..end).and_then(|field| field.first_chunk_mut::<6>()) else {
            return;
        };
        let bits = reference.iter().fold(0u64, |bits, byte| bits << 8 | u64::from(*byte));
        let moved = add(bits >> 15, offset_90k) << 15 | bits & 0x7FFF;
        reference.copy_from_slice(&moved.to_be_bytes()[2..]);
        at += 6;
    }
}

/// The timestamps of the PES packet that starts in packet `number`, which may reach into later packets of its PID.
fn shift_unit(segment: &mut [u8], number: usize, count: usize, pid: Pid, offset_90k: i64) {
    let mut header = [0; HEADER_BYTES];
    let mut places = [0; HEADER_BYTES];
    let mut filled = 0;
    for next in number..count {
        let Some(packet) = view(segment, next).filter(|packet| packet.pid() == pid) else { continue };
        if next > number && packet.unit_start() {
            break;
        }
        let payload = packet.payload();
        let from = (next + 1) * PACKET_BYTES - payload.len();
        for (index, byte) in payload.iter().enumerate().take(HEADER_BYTES - filled) {
            header[filled] = *byte;
            places[filled] = from + index;
            filled += 1;
        }
        match PesHeader::parse(&header[..filled]) {
            Err(PesError::Incomplete { .. }) => {}
            Err(_) => return,
            Ok(found) => {
                let stamps = usize::from(found.pts.is_some()) + usize::from(found.dts.is_some());
                for stamp in 0..stamps {
                    let first = STAMPS_AT + stamp * STAMP_BYTES;
                    let mut bits = [0; STAMP_BYTES];
                    bits.copy_from_slice(&header[first..first + STAMP_BYTES]);
                    let moved = moved(bits, offset_90k);
                    for (place, byte) in places[first..first + STAMP_BYTES].iter().zip(moved) {
                        if let Some(target) = segment.get_mut(*place) {
                            *target = byte;
                        }
                    }
                }
                return;
            }
        }
    }
}

fn moved(stamp: [u8; STAMP_BYTES], offset_90k: i64) -> [u8; STAMP_BYTES] {
    let Some(before) = crate::ts::pts::parse(stamp) else { return stamp };
    let after = add(before, offset_90k);
    let byte = |value: u64| value.to_be_bytes()[7];
    [
        stamp[0] & 0xF1 | byte(after >> 29) & 0x0E,
        byte(after >> 22),
        byte(after >> 14) | 1,
        byte(after >> 7),
        byte(after << 1) | 1,
    ]
}

fn add(wire: u64, offset_90k: i64) -> u64 {
    let wire = i64::try_from(wire).unwrap_or(0);
    wire.wrapping_add(offset_90k).rem_euclid(WRAP).unsigned_abs()
}
