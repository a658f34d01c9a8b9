//! Putting segments that were cut apart onto one timeline, without touching what they show.
//!
//! Belongs here: new timestamps, blanking what is cut in two at an edge, and the joint between two runs. Does not:
//! which segments make a clip, and where their bytes come from. See `docs/design/clips.md`.
//!
//! Invariants:
//! 1. A segment keeps its length: timestamps are rewritten in place, what is left out becomes null packets.
//! 2. What becomes of a segment depends on its own bytes and its [`Setting`] only, so any byte range of a clip can be
//!    made without the bytes before it.
//! 3. Without an edge and with no offset a segment is left as it is.

mod joint;
mod stamps;
mod units;

use dashvault_base::{Pts, Ticks90k};

use crate::{PACKET_BYTES, Packet};

pub use joint::{JOINT_BYTES, JOINT_PACKETS, begins_with_tables, joint};

/// How one segment is put onto a timeline.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Setting {
    /// Where it starts now; wire timestamps are taken for those nearest to it.
    pub start: Pts,
    /// How long it lasts.
    pub duration: Ticks90k,
    /// Where it shall start.
    pub to: Pts,
    /// Nothing that plays before it is there: frames cut in two are blanked, and audio that plays before the start.
    pub first: bool,
    /// Nothing that plays after it is there: frames cut in two are blanked, and audio that plays past the end.
    pub last: bool,
}

/// Puts a segment's bytes onto the timeline, in place. A torn packet at the end is left alone.
pub fn set(segment: &mut [u8], setting: &Setting) {
    if setting.first || setting.last {
        units::blank_edges(segment, setting);
    }
    let offset_90k = setting.to.since(setting.start);
    if offset_90k != 0 {
        stamps::shift(segment, offset_90k);
    }
}

/// Makes a null packet of a packet.
fn blank(packet: &mut [u8]) {
    if let Some((header, rest)) = packet.split_first_chunk_mut::<4>() {
        *header = [0x47, 0x1F, 0xFF, 0x10];
        rest.fill(0xFF);
    }
}

/// The whole packets of `bytes` with their numbers; what has no sync byte is skipped.
fn packets(bytes: &[u8]) -> impl Iterator<Item = (usize, Packet<'_>)> {
    let whole = bytes.as_chunks::<PACKET_BYTES>().0;
    whole.iter().enumerate().filter_map(|(number, bytes)| Some((number, Packet::parse(bytes)?)))
}

#[cfg(test)]
mod tests;
