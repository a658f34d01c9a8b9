//! HLS media playlists as text: live with low latency, and recorded by byte range (RFC 8216bis §4.4).
//!
//! Belongs here: tags, their order, their numbers. Does not: which segments a playlist has, where they lie, who may
//! ask (`dashvault-vault`). Nothing is kept but the text: a day of segments costs one string.
//!
//! The shape, in the order of calls:
//!
//! ```
//! use dashvault_base::{Ticks90k, WallMs};
//! use dashvault_media::hls::{ByteRange, Header, Kind, Lead, PlaylistWriter};
//!
//! let header = Header { target_duration_s: 2, media_sequence: 0, discontinuity_sequence: 0, kind: Kind::Vod };
//! let mut playlist = PlaylistWriter::new(&header);
//! playlist.begin_segment(&Lead { program_date_time: Some(WallMs(0)), ..Lead::default() });
//! playlist.end_segment(Ticks90k(90_000), Some(ByteRange { len: 188, start: 376 }), "/objects/bus/front/…");
//! assert!(playlist.finish().ends_with("#EXT-X-ENDLIST\n"));
//! ```
//!
//! A live playlist writes [`PlaylistWriter::part`]s between the two, and ends with parts of a segment that has not
//! ended and a [`PlaylistWriter::preload_hint`].

mod writer;

pub use writer::PlaylistWriter;

use dashvault_base::{Ticks90k, WallMs};

/// What stands before the first segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    /// No segment lasts longer, rounded to seconds; the same in every answer for a playlist.
    pub target_duration_s: u32,
    /// The first segment's number (also where a delta update leaves it out).
    pub media_sequence: u64,
    /// Discontinuities before the first segment.
    pub discontinuity_sequence: u64,
    /// Recorded or live.
    pub kind: Kind,
}

/// Whether a playlist grows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// It has ended and never changes.
    Vod,
    /// It slides, in parts.
    LowLatency(LowLatency),
}

/// What a low-latency playlist promises.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LowLatency {
    /// No part lasts longer.
    pub part_target: Ticks90k,
    /// Older segments than this from the end may be left out of an answer; `None`: none ever are. At least six
    /// target durations.
    pub can_skip_until_s: Option<u32>,
}

impl LowLatency {
    /// How far from the end players stay: three parts (§4.4.3.8).
    #[must_use]
    pub const fn part_hold_back(self) -> Ticks90k {
        Ticks90k(self.part_target.0.saturating_mul(3))
    }
}

/// What stands before a segment's first part, or before the segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Lead {
    /// Time, streams or encoding do not continue from the segment before.
    pub discontinuity: bool,
    /// Wall time of its first picture.
    pub program_date_time: Option<WallMs>,
    /// It cannot be had.
    pub gap: bool,
}

/// One part of a segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Part {
    /// How long it lasts.
    pub duration: Ticks90k,
    /// Decoding can start at its first picture.
    pub independent: bool,
}

/// Where in a resource a segment lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ByteRange {
    /// Length in bytes.
    pub len: u64,
    /// The first byte.
    pub start: u64,
}
