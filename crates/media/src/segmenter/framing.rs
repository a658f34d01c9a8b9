//! Where packets begin in bytes that have lost their rhythm.
//!
//! Belongs here: the search for sync bytes, and telling M2TS. Does not: what to do with the bytes before.
//! Invariant: the answer for a position depends only on the [`WINDOW_BYTES`] bytes from it on.

use crate::{PACKET_BYTES, ts::SYNC_BYTE};

/// M2TS: four bytes of timestamp, then the packet.
const M2TS_PACKET_BYTES: usize = 192;
pub(super) const M2TS_TIMESTAMP_BYTES: u64 = 4;
/// Sync bytes in rhythm that make a packet believed.
const PROOF: usize = 3;
const M2TS_PROOF: usize = 5;

/// No decision needs more bytes than this.
pub(super) const WINDOW_BYTES: usize = M2TS_PACKET_BYTES * (M2TS_PROOF - 1) + 1;

/// What a search found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Found {
    /// A packet begins behind this many bytes.
    Packet(usize),
    /// The sync byte of 192-byte packets stands behind this many bytes.
    M2ts(usize),
    /// So many bytes are no packet; those behind need more bytes to tell.
    NeedsMore(usize),
}

/// Looks for the first packet in `bytes`.
///
/// With `last`, nothing follows: what there is of the rhythm has to do, and no M2TS is told. It is told only with
/// `tell_m2ts`.
pub(super) fn find_packet(bytes: &[u8], last: bool, tell_m2ts: bool) -> Found {
    let needed = if last { PACKET_BYTES } else { WINDOW_BYTES };
    let mut position = 0;
    loop {
        let rest = &bytes[position..];
        let Some(sync) = rest.iter().position(|byte| *byte == SYNC_BYTE) else {
            return Found::NeedsMore(bytes.len());
        };
        position += sync;
        let rest = &bytes[position..];
        if rest.len() < needed {
            return Found::NeedsMore(position);
        }
        if in_rhythm(rest, PACKET_BYTES, PROOF) {
            return Found::Packet(position);
        }
        if tell_m2ts && !last && in_rhythm(rest, M2TS_PACKET_BYTES, M2TS_PROOF) {
            return Found::M2ts(position);
        }
        position += 1;
    }
}

/// Sync bytes at every step, as far as there are bytes.
fn in_rhythm(bytes: &[u8], step: usize, count: usize) -> bool {
    bytes.iter().step_by(step).take(count).all(|byte| *byte == SYNC_BYTE)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packets(count: usize, step: usize) -> Vec<u8> {
        let mut bytes = vec![0; count * step];
        bytes.iter_mut().step_by(step).for_each(|byte| *byte = SYNC_BYTE);
        bytes
    }

    #[test]
    fn packets_behind_garbage_are_found() {
        let mut bytes = vec![SYNC_BYTE, 1, 2, SYNC_BYTE, 4];
        bytes.extend(packets(6, PACKET_BYTES));
        assert_eq!(find_packet(&bytes, false, true), Found::Packet(5));
    }

    #[test]
    fn m2ts_is_told_with_the_place_of_its_sync_byte() {
        let mut bytes = vec![0; 100];
        bytes.extend(packets(8, M2TS_PACKET_BYTES));
        assert_eq!(find_packet(&bytes, false, true), Found::M2ts(100));
    }

    #[test]
    fn a_lone_packet_is_believed_only_at_the_end() {
        let bytes = packets(1, PACKET_BYTES);
        assert_eq!(find_packet(&bytes, false, true), Found::NeedsMore(0));
        assert_eq!(find_packet(&bytes, true, true), Found::Packet(0));
        assert_eq!(find_packet(&bytes[1..], true, true), Found::NeedsMore(PACKET_BYTES - 1));
    }
}
