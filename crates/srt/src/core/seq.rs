//! Counters of the wire that wrap: sequence numbers, message numbers, time stamps; and the socket id.
//!
//! All comparisons go the shorter way around the circle, so that a wrap is nothing special to anybody else.
//!
//! What does not belong here: windows, lists of losses, clocks (a [`StampReader`] only unwraps what the peer wrote).
//!
//! draft-sharabayko-srt-01 §3.1.

/// Sequence numbers have 31 bits.
const SEQ_MASK: u32 = 0x7FFF_FFFF;
/// Message numbers have 26 bits.
const MESSAGE_MASK: u32 = 0x03FF_FFFF;

/// The sequence number of a data packet: 31 bits, wrapping.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub struct Seq(u32);

impl Seq {
    /// Takes the lower 31 bits.
    pub const fn new(raw: u32) -> Self {
        Self(raw & SEQ_MASK)
    }

    /// The number as the wire has it.
    pub const fn raw(self) -> u32 {
        self.0
    }

    /// The number `n` later.
    pub const fn plus(self, n: u32) -> Self {
        Self(self.0.wrapping_add(n) & SEQ_MASK)
    }

    /// The number `n` earlier.
    pub const fn minus(self, n: u32) -> Self {
        Self(self.0.wrapping_sub(n) & SEQ_MASK)
    }

    /// How far this is after `other`, the shorter way around: -2^30 to 2^30 - 1.
    pub const fn offset_from(self, other: Self) -> i32 {
        // Bit 30 of the difference is its sign: moved to the top, the arithmetic shift back extends it.
        (self.0.wrapping_sub(other.0) << 1).cast_signed() >> 1
    }

    /// Whether this comes before `other`, the shorter way around.
    pub const fn is_before(self, other: Self) -> bool {
        self.offset_from(other) < 0
    }
}

/// A run of sequence numbers, both ends included; `first` is never after `last` in one made by [`SeqRange::new`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct SeqRange {
    /// The first number.
    pub first: Seq,
    /// The last number.
    pub last: Seq,
}

impl SeqRange {
    /// A run, or nothing where `first` is after `last`.
    pub const fn new(first: Seq, last: Seq) -> Option<Self> {
        if last.is_before(first) { None } else { Some(Self { first, last }) }
    }

    /// A run of one.
    pub const fn single(seq: Seq) -> Self {
        Self { first: seq, last: seq }
    }

    /// How many numbers it has, at least one.
    #[expect(clippy::len_without_is_empty, reason = "a run is never empty")]
    pub const fn len(self) -> u32 {
        (self.last.0.wrapping_sub(self.first.0) & SEQ_MASK) + 1
    }

    /// All its numbers in order. Hostile runs are long: bound them first ([`SeqRange::within`]).
    pub fn iter(self) -> impl Iterator<Item = Seq> {
        (0..self.len()).map(move |n| self.first.plus(n))
    }

    /// Whether `seq` is one of its numbers.
    pub const fn contains(self, seq: Seq) -> bool {
        (seq.0.wrapping_sub(self.first.0) & SEQ_MASK) < self.len()
    }

    /// The part of it that also lies in `bounds`.
    pub const fn within(self, bounds: Self) -> Option<Self> {
        let first = if self.first.is_before(bounds.first) { bounds.first } else { self.first };
        let last = if bounds.last.is_before(self.last) { bounds.last } else { self.last };
        Self::new(first, last)
    }
}

/// The number of a message: 26 bits, 1 to 2^26 - 1 (0 comes only from a peer that breaks the rule).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct MessageNumber(u32);

impl MessageNumber {
    /// What a sender begins with.
    pub const FIRST: Self = Self(1);

    /// Takes the lower 26 bits.
    pub const fn new(raw: u32) -> Self {
        Self(raw & MESSAGE_MASK)
    }

    /// The number as the wire has it.
    pub const fn raw(self) -> u32 {
        self.0
    }

    /// The following number; 0 is skipped.
    #[must_use]
    pub const fn next(self) -> Self {
        match (self.0 + 1) & MESSAGE_MASK {
            0 => Self::FIRST,
            raw => Self(raw),
        }
    }
}

/// Microseconds since the connection began, wrapping at 2^32 (71.6 minutes).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub struct Stamp(u32);

impl Stamp {
    /// Takes the lower 32 bits of `micros`.
    #[expect(clippy::cast_possible_truncation, reason = "the wire has the lower 32 bits")]
    pub const fn of_micros(micros: u64) -> Self {
        Self(micros as u32)
    }

    /// The stamp as the wire has it.
    pub const fn raw(self) -> u32 {
        self.0
    }

    /// How many microseconds this is after `other`, the shorter way around.
    pub const fn offset_from(self, other: Self) -> i32 {
        self.0.wrapping_sub(other.0).cast_signed()
    }
}

/// Unwraps stamps: each is read as the time nearest to the one before.
#[derive(Clone, Debug, Default)]
pub struct StampReader {
    last_us: u64,
}

impl StampReader {
    /// Begins at stamp 0: a first stamp "before" it counts as 0.
    pub const fn new() -> Self {
        Self { last_us: 0 }
    }

    /// The microseconds since the connection began; times before its beginning are read as 0.
    pub fn micros(&mut self, stamp: Stamp) -> u64 {
        let offset = stamp.offset_from(Stamp::of_micros(self.last_us));
        let read = self.last_us.checked_add_signed(i64::from(offset));
        self.last_us = read.unwrap_or(self.last_us);
        read.unwrap_or(0)
    }
}

/// One side's name for a connection, chosen by that side; 0 addresses the port itself (a handshake).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SocketId(pub u32);

#[cfg(test)]
mod tests;
