//! The segmenter: cuts a transport stream where a keyframe begins, the same way wherever the bytes are seen.
//!
//! Belongs here: packet rhythm, the cut, hashes and times of segments. Does not: packs, files, what segments are for.
//! The rule and its reasons are in `docs/design/segmenter.md`.
//!
//! Invariants:
//! 1. Segments depend only on the sequence of packets: not on how the input is split, and not on packets before the
//!    segment's own. So a segmenter that starts at any cut finds the same later cuts.
//! 2. For input of whole packets, the sink's bytes are the input; otherwise, the input without what lies between packets.
//! 3. Memory is bounded: 512 held packets, 4 KiB of unaligned bytes, 8 KiB of continuity
//!    counters, and a kilobyte for each of at most 33 tables. Nothing is allocated per packet.

mod counters;
mod framing;
mod held;
mod losses;
mod open;
mod programs;
mod rule;
mod segment;
mod times;

use dashvault_base::{ContentHash, Pts};

pub use counters::Counters;
pub use segment::{ClosedBy, Segment, SegmentSink};

use crate::{PACKET_BYTES, StreamInfo, ts::SYNC_BYTE};
use framing::{Found, M2TS_TIMESTAMP_BYTES, WINDOW_BYTES, find_packet};
use held::Window;
use open::Open;

/// How a segmenter cuts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SegmenterConfig {
    /// The most bytes of a segment, rounded down to whole packets and at least 1024 of them; 16 MiB unless said
    /// otherwise. Whoever shall find the same segments needs the same value.
    pub max_segment_bytes: usize,
    /// Where there is no video: how long a segment lasts at least, in 90 kHz ticks; 1 s unless said otherwise.
    pub audio_only_segment_90k: u32,
}

impl Default for SegmenterConfig {
    fn default() -> Self {
        Self { max_segment_bytes: 16 << 20, audio_only_segment_90k: 90_000 }
    }
}

/// Why the input is refused for good.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SegmenterError {
    /// Packets of 192 bytes: Blu-ray or AVCHD, with a timestamp before each packet.
    #[error("at byte {offset}: this is M2TS with 192-byte packets, not a transport stream with 188")]
    M2tsRefused {
        /// Where the first 192-byte packet starts.
        offset: u64,
    },
    /// No rhythm of sync bytes.
    #[error("no transport stream packet within the first {searched} bytes")]
    NotTransportStream {
        /// How many bytes were searched.
        searched: u64,
    },
}

/// Before so many packets are found, the input may still be refused; later, it is only damaged.
const SURE_PACKETS: u64 = 4;
const MOST_SEARCHED_BYTES: u64 = 64 * 1024;
/// Unaligned bytes that are kept to search on.
const STAGING_BYTES: usize = 4096;
const _: () = assert!(STAGING_BYTES > WINDOW_BYTES);

/// Cuts a transport stream into segments.
#[derive(Debug)]
pub struct Segmenter {
    rhythm: Rhythm,
    /// Input that makes no whole packet yet.
    carry: Vec<u8>,
    /// Input bytes behind us.
    offset: u64,
    /// Bytes are missing before the next input.
    gap: bool,
    refused: Option<SegmenterError>,
    open: Open,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Rhythm {
    /// The next packet begins at the next byte.
    Kept,
    /// It begins where three sync bytes stand in rhythm.
    Lost,
}

impl Segmenter {
    /// A segmenter at the start of a stream, or at any cut of it.
    #[must_use]
    pub fn new(config: SegmenterConfig) -> Self {
        Self {
            rhythm: Rhythm::Kept,
            carry: Vec::new(),
            offset: 0,
            gap: false,
            refused: None,
            open: Open::new(config),
        }
    }

    /// Takes timestamps to be near this one, so that a segmenter that starts within a recording goes on counting as
    /// the one before did, also after the wrap at 26.5 hours.
    pub const fn set_epoch(&mut self, near: Pts) {
        self.open.set_epoch(near);
    }

    /// Feeds the next bytes, in any split; calls the sink with what is decided.
    ///
    /// # Errors
    /// The input is no transport stream. It stays refused.
    pub fn push(&mut self, input: &[u8], sink: &mut impl SegmentSink) -> Result<(), SegmenterError> {
        if let Some(error) = self.refused {
            return Err(error);
        }
        let result = self.feed(input, sink);
        self.refused = result.err();
        result
    }

    /// Bytes are missing here (lost SRT packets): the open segment is damaged, a partial packet is dropped, and the
    /// next packet is searched for.
    pub fn gap(&mut self) {
        self.open.counters.gaps += 1;
        self.gap = true;
    }

    /// The stream ends: decides what is held back, drops a torn last packet, and closes the open segment.
    ///
    /// Afterwards the segmenter is at the start of a stream again; its counters go on.
    pub fn finish(&mut self, sink: &mut impl SegmentSink) {
        if self.refused.is_none() {
            // A refusal now would come too late to matter: no byte is left to refuse.
            let _ = self.drop_carry(sink);
        }
        self.open.finish(sink);
        self.rhythm = Rhythm::Kept;
        self.gap = false;
    }

    /// What it has met so far.
    #[must_use]
    pub const fn counters(&self) -> Counters {
        self.open.counters
    }

    /// Bytes given to the sink so far for the open segment.
    #[must_use]
    pub const fn open_len(&self) -> u64 {
        self.open.given_packets() * PACKET_BYTES as u64
    }

    /// The open segment's start, as far as it is known.
    #[must_use]
    pub fn open_start_pts(&self) -> Option<Pts> {
        self.open.start_pts()
    }

    /// Whether the open segment is known to begin with a keyframe (or an audio frame, where there is no video).
    #[must_use]
    pub const fn opens_with_keyframe(&self) -> bool {
        self.open.opens_with_keyframe()
    }

    /// BLAKE3 of the bytes given to the sink so far for the open segment.
    #[must_use]
    pub fn open_hash(&self) -> ContentHash {
        self.open.hash()
    }

    /// The streams it cuts by, as the last PMT had them.
    #[must_use]
    pub const fn streams(&self) -> Option<StreamInfo> {
        self.open.streams()
    }

    fn feed(&mut self, mut input: &[u8], sink: &mut impl SegmentSink) -> Result<(), SegmenterError> {
        if self.gap {
            self.cross_gap(sink)?;
        }
        // Bytes from earlier come first: with as little of the input as makes a packet, so that the rest is not copied.
        while !self.carry.is_empty() && !input.is_empty() {
            let wanted = if self.rhythm == Rhythm::Kept { PACKET_BYTES } else { STAGING_BYTES };
            let (more, rest) = input.split_at(input.len().min(wanted.saturating_sub(self.carry.len())));
            self.carry.extend_from_slice(more);
            input = rest;
            let mut carry = std::mem::take(&mut self.carry);
            let used = self.scan(&carry, false, sink)?;
            carry.drain(..used);
            self.carry = carry;
        }
        if !input.is_empty() {
            let used = self.scan(input, false, sink)?;
            self.carry.extend_from_slice(input.get(used..).unwrap_or(&[]));
        }
        Ok(())
    }

    fn cross_gap(&mut self, sink: &mut impl SegmentSink) -> Result<(), SegmenterError> {
        self.gap = false;
        self.drop_carry(sink)?;
        self.open.lost_bytes();
        self.rhythm = Rhythm::Lost;
        Ok(())
    }

    /// Takes what packets the carried bytes have, although nothing follows them; the rest is skipped.
    fn drop_carry(&mut self, sink: &mut impl SegmentSink) -> Result<(), SegmenterError> {
        let mut carry = std::mem::take(&mut self.carry);
        let used = self.scan(&carry, true, sink)?;
        self.open.counters.skipped_bytes += (carry.len() - used) as u64;
        self.offset += (carry.len() - used) as u64;
        carry.clear();
        self.carry = carry;
        Ok(())
    }

    /// Takes the packets of `bytes`; gives how many bytes are done with. With `last`, nothing follows them.
    fn scan(
        &mut self,
        bytes: &[u8],
        last: bool,
        sink: &mut impl SegmentSink,
    ) -> Result<usize, SegmenterError> {
        let mut window = Window::new(bytes);
        let result = self.take_packets(&mut window, last, sink);
        // Also where the input is refused: the packets before that were taken.
        self.open.settle(&mut window, 0, sink);
        self.offset += window.consumed() as u64;
        result.map(|()| window.consumed())
    }

    fn take_packets(
        &mut self,
        window: &mut Window<'_>,
        last: bool,
        sink: &mut impl SegmentSink,
    ) -> Result<(), SegmenterError> {
        loop {
            let rest = window.rest();
            if self.rhythm == Rhythm::Kept {
                if rest.len() < PACKET_BYTES {
                    return Ok(());
                }
                if rest.first() == Some(&SYNC_BYTE) {
                    self.open.take(window, sink);
                    continue;
                }
                self.rhythm = Rhythm::Lost;
                self.open.counters.resyncs += 1;
                self.open.lost_bytes();
            }
            if !self.search(window, last, sink)? {
                return Ok(());
            }
        }
    }

    /// Moves the window to the next packet; false where more bytes are needed to find one.
    fn search(
        &mut self,
        window: &mut Window<'_>,
        last: bool,
        sink: &mut impl SegmentSink,
    ) -> Result<bool, SegmenterError> {
        let may_refuse = self.open.counters.packets <= SURE_PACKETS;
        let found = find_packet(window.rest(), last, may_refuse);
        let (Found::Packet(skipped) | Found::NeedsMore(skipped) | Found::M2ts(skipped)) = found;
        let searched = self.open.counters.skipped_bytes + skipped as u64;
        if may_refuse && searched >= MOST_SEARCHED_BYTES {
            return Err(SegmenterError::NotTransportStream { searched: MOST_SEARCHED_BYTES });
        }
        if let Found::M2ts(_) = found {
            let sync_at = self.offset + (window.consumed() + skipped) as u64;
            let offset = sync_at.saturating_sub(M2TS_TIMESTAMP_BYTES);
            return Err(SegmenterError::M2tsRefused { offset });
        }
        self.open.settle(window, skipped, sink);
        self.open.counters.skipped_bytes = searched;
        if let Found::Packet(_) = found {
            self.rhythm = Rhythm::Kept;
        }
        Ok(self.rhythm == Rhythm::Kept)
    }
}
