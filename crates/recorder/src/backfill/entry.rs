//! One pack in the book, and what is known of it.
//!
//! Belongs here: the entry, its segments, the facts that the spool tells. Not here: all packs together (`book`).

use std::time::Instant;

use dashvault_base::{ContentHash, PackId, WallMs};
use dashvault_media::Manifest;
use dashvault_wire::{ByteRange, RangeSet, SegmentNotice};

use crate::status::Amount;

/// A pack of one of this recorder's cameras, which are counted in the order of the settings.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct PackKey {
    /// The camera's place in the settings.
    pub(crate) camera: usize,
    /// The pack.
    pub(crate) pack: PackId,
}

/// A segment that is durable in the spool.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SegmentFact {
    /// Its number within the recording, as live counts.
    pub(crate) number: u64,
    /// What is announced of it.
    pub(crate) notice: SegmentNotice,
}

/// What is known of a pack that has been sealed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SealedFact {
    /// Length of its file.
    pub(crate) bytes: u64,
    /// Length of its segments; the trailer is the rest.
    pub(crate) body_bytes: u64,
    /// Hash of its manifest.
    pub(crate) manifest: ContentHash,
    /// How many segments.
    pub(crate) segments: u32,
    /// Milliseconds of media.
    pub(crate) media_ms: u64,
    /// Wall time of its first byte.
    pub(crate) start_wall: WallMs,
}

impl SealedFact {
    /// What a manifest says, of a file of so many bytes.
    pub(crate) fn of(manifest: &Manifest, bytes: u64) -> Self {
        Self {
            bytes,
            body_bytes: manifest.body_len(),
            manifest: manifest.hash(),
            segments: u32::try_from(manifest.segments.len()).unwrap_or(u32::MAX),
            media_ms: manifest.duration_90k() / 90,
            start_wall: manifest.start_wall,
        }
    }
}

/// One pack.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) start_wall: WallMs,
    pub(super) segments: Vec<Segment>,
    /// The end of the last durable segment.
    pub(super) body_bytes: u64,
    pub(super) media_ms: u64,
    pub(super) sealed: Option<SealedFact>,
    /// It is sealed, but its facts have to be read from its file first.
    pub(super) unread: bool,
    /// When its last segment ended; none for a pack of an earlier run.
    pub(super) ended: Option<Instant>,
    pub(super) locked: bool,
    pub(super) requested: bool,
    /// When the vault said last that somebody waits for it.
    pub(super) requested_at: Option<Instant>,
    /// How many segments the vault knows of, by its last reply.
    pub(super) known: u32,
    /// The vault has answered to the trailer.
    pub(super) trailer_told: bool,
    /// When to ask again, news or not.
    pub(super) ask_at: Option<Instant>,
    /// Replies in a row that wanted nothing and gave no receipt.
    pub(super) idle_replies: u32,
    /// What may be uploaded.
    pub(super) want: RangeSet,
    /// What was uploaded, and when: a reply to an earlier question may still want it.
    pub(super) done: Vec<(ByteRange, Instant)>,
    /// Bytes uploaded, for the account.
    pub(super) uploaded: u64,
    /// The vault's reason, where it refuses; or the disk's.
    pub(super) refused: Option<String>,
    /// Its file could not be read: until then it is left alone.
    pub(super) unreadable_until: Option<Instant>,
}

/// A segment of an open or young pack.
#[derive(Debug)]
pub(super) struct Segment {
    pub(super) fact: SegmentFact,
    pub(super) range: ByteRange,
    /// Counted as delivered over live.
    pub(super) delivered: bool,
}

impl Entry {
    pub(super) fn new(start_wall: WallMs) -> Self {
        Self {
            start_wall,
            segments: Vec::new(),
            body_bytes: 0,
            media_ms: 0,
            sealed: None,
            unread: false,
            ended: None,
            locked: false,
            requested: false,
            requested_at: None,
            known: 0,
            trailer_told: false,
            ask_at: None,
            idle_replies: 0,
            want: RangeSet::new(),
            done: Vec::new(),
            uploaded: 0,
            refused: None,
            unreadable_until: None,
        }
    }

    pub(super) const fn is_sealed(&self) -> bool {
        self.sealed.is_some() || self.unread
    }

    /// How many segments there are to be known.
    pub(super) fn segment_count(&self) -> u32 {
        self.sealed
            .map_or_else(|| u32::try_from(self.segments.len()).unwrap_or(u32::MAX), |sealed| sealed.segments)
    }

    /// Milliseconds of so many bytes of this pack, on average.
    pub(super) const fn ms_of(&self, bytes: u64) -> u64 {
        match self.media_ms.saturating_mul(bytes).checked_div(self.body_bytes) {
            Some(ms) => ms,
            None => 0,
        }
    }

    pub(super) fn has_old_segments(&self) -> bool {
        self.sealed.is_some() && !self.segments.is_empty()
    }

    /// The account keeps what live delivered, as if it had been uploaded; the trailer says the rest.
    pub(super) fn forget_segments(&mut self) {
        let delivered = self.segments.iter().filter(|segment| segment.delivered);
        self.uploaded += delivered.map(|segment| segment.range.len()).sum::<u64>();
        self.segments = Vec::new();
    }

    pub(super) fn on_vehicle(&self) -> Amount {
        let delivered = self.segments.iter().filter(|segment| segment.delivered);
        let carried: u64 = delivered.map(|segment| segment.range.len()).sum::<u64>() + self.uploaded;
        let bytes = self.body_bytes.saturating_sub(carried);
        Amount { segments: 0, ms: self.ms_of(bytes), bytes }
    }
}
