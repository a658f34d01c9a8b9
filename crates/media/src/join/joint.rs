//! The packets between two runs: they tell a decoder that counters jump, and bring the tables where a run lacks them.
//!
//! Belongs here: those packets. Does not: the segments beside them.
//! Invariant: a joint has always [`JOINT_BYTES`], whatever the segment behind it holds, so that the length of a clip is
//! known before any byte of it is read.

use super::packets;
use crate::{
    PACKET_BYTES, Packet, Pid,
    ts::{
        psi::{parse_pat, parse_pmt},
        section::SectionReader,
    },
};

/// Packets of a joint.
pub const JOINT_PACKETS: usize = 16;
/// Bytes of a joint.
pub const JOINT_BYTES: usize = JOINT_PACKETS * PACKET_BYTES;

/// PIDs that are announced; a programme has a handful.
const MOST_PIDS: usize = 10;
/// Table packets that are repeated: a PAT and a PMT that may need a few.
const MOST_TABLES: usize = 5;

/// Whether a segment's first packet is a table, so that a decoder can start with it.
#[must_use]
pub fn begins_with_tables(first_packet: &[u8]) -> bool {
    let packet = first_packet.first_chunk::<PACKET_BYTES>().and_then(Packet::parse);
    packet.is_some_and(|packet| matches!(packet.pid(), Pid::PAT | Pid::SDT))
}

/// The joint before a run whose first segment is `head`.
#[must_use]
pub fn joint(head: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(JOINT_BYTES);
    for (pid, counter) in first_counters(head) {
        out.extend_from_slice(&discontinuity(pid, counter));
    }
    if !begins_with_tables(head) {
        for packet in tables(head) {
            out.extend_from_slice(packet);
        }
    }
    while out.len() < JOINT_BYTES {
        let mut null = [0xFF; PACKET_BYTES];
        super::blank(&mut null);
        out.extend_from_slice(&null);
    }
    out.truncate(JOINT_BYTES);
    out
}

/// Each PID with the counter that comes before its first packet's.
fn first_counters(head: &[u8]) -> Vec<(Pid, u8)> {
    let mut found: Vec<(Pid, u8)> = Vec::new();
    for (_, packet) in packets(head) {
        let pid = packet.pid();
        if found.len() < MOST_PIDS && pid != Pid::NULL && found.iter().all(|(known, _)| *known != pid) {
            let counter = packet.continuity_counter();
            found.push((pid, if packet.has_payload() { counter.wrapping_sub(1) & 0x0F } else { counter }));
        }
    }
    found
}

/// A packet without payload whose adaptation field says that its PID's counter jumps (ISO/IEC 13818-1 §2.4.3.5).
fn discontinuity(pid: Pid, counter: u8) -> [u8; PACKET_BYTES] {
    let mut packet = [0xFF; PACKET_BYTES];
    let [high, low] = pid.number().to_be_bytes();
    packet[..6].copy_from_slice(&[0x47, high, low, 0x20 | counter, 183, 0x80]);
    packet
}

/// The first PAT and PMT of a segment, as packets.
fn tables(head: &[u8]) -> Vec<&[u8; PACKET_BYTES]> {
    let mut found = Vec::new();
    let (mut pat, mut pmt) = (SectionReader::new(), SectionReader::new());
    let mut pmt_pid = None;
    for bytes in head.as_chunks::<PACKET_BYTES>().0 {
        let Some(packet) = Packet::parse(bytes) else { continue };
        if found.len() >= MOST_TABLES {
            break;
        }
        if packet.pid() == Pid::PAT && pmt_pid.is_none() {
            found.push(bytes);
            pat.push(packet, |section| {
                let programs = section.ok().and_then(|section| parse_pat(section).ok().flatten());
                pmt_pid = programs.and_then(|mut programs| programs.next()).map(|program| program.pmt);
            });
        } else if Some(packet.pid()) == pmt_pid {
            found.push(bytes);
            let mut whole = false;
            pmt.push(packet, |section| whole |= section.is_ok_and(|section| parse_pmt(section).is_ok()));
            if whole {
                break;
            }
        }
    }
    found
}
