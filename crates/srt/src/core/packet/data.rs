//! Data packets: the header in four words, then the payload.
//!
//! ```text
//!  0 | sequence number (31)
//!  F F | O | K K | R | message number (26)      F boundary, O in order, K key, R sent again
//!  time stamp (32)
//!  destination socket id (32)
//! ```
//! draft-sharabayko-srt-01 §3.1.

use super::words::header_word;
use super::{HEADER_BYTES, PacketError};
use crate::core::seq::{MessageNumber, Seq, SocketId, Stamp};

const IN_ORDER: u32 = 1 << 29;
const RETRANSMITTED: u32 = 1 << 26;

/// A data packet's place in its message; live streams send [`Boundary::Solo`] only.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Boundary {
    /// Neither its first nor its last packet.
    Middle,
    /// The last packet.
    Last,
    /// The first packet.
    First,
    /// The whole message.
    Solo,
}

/// The key that encrypts a payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum KeySlot {
    /// None: not encrypted.
    Clear,
    /// The even key.
    Even,
    /// The odd key.
    Odd,
}

/// A parsed data packet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Data<'a> {
    /// Its number in the stream.
    pub seq: Seq,
    /// The message it belongs to.
    pub message: MessageNumber,
    /// Its place in that message.
    pub boundary: Boundary,
    /// Whether messages must be delivered in order (live streams are in any case).
    pub in_order: bool,
    /// What its payload is encrypted with.
    pub key: KeySlot,
    /// Whether it was sent before.
    pub retransmitted: bool,
    /// When the sender's application handed it over.
    pub stamp: Stamp,
    /// Who it is for.
    pub to: SocketId,
    /// The payload, as sent.
    pub payload: &'a [u8],
}

/// A data packet's header, to be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DataHeader {
    /// Its number in the stream.
    pub seq: Seq,
    /// The message it belongs to.
    pub message: MessageNumber,
    /// Its place in that message.
    pub boundary: Boundary,
    /// Whether messages must be delivered in order.
    pub in_order: bool,
    /// What its payload is encrypted with.
    pub key: KeySlot,
    /// Whether it was sent before.
    pub retransmitted: bool,
    /// When the application handed it over.
    pub stamp: Stamp,
    /// Who it is for.
    pub to: SocketId,
}

impl<'a> Data<'a> {
    #[inline]
    pub(super) fn parse(header: &[u8; HEADER_BYTES], payload: &'a [u8]) -> Result<Self, PacketError> {
        let word = header_word(header, 1);
        Ok(Self {
            seq: Seq::new(header_word(header, 0)),
            message: MessageNumber::new(word),
            boundary: Boundary::of_bits(word >> 30),
            in_order: word & IN_ORDER != 0,
            key: KeySlot::of_bits(word >> 27).ok_or(PacketError::BothKeys)?,
            retransmitted: word & RETRANSMITTED != 0,
            stamp: Stamp::of_micros(u64::from(header_word(header, 2))),
            to: SocketId(header_word(header, 3)),
            payload,
        })
    }

    /// The header's fields.
    pub const fn header(&self) -> DataHeader {
        DataHeader {
            seq: self.seq,
            message: self.message,
            boundary: self.boundary,
            in_order: self.in_order,
            key: self.key,
            retransmitted: self.retransmitted,
            stamp: self.stamp,
            to: self.to,
        }
    }
}

impl Boundary {
    const fn of_bits(bits: u32) -> Self {
        match bits & 3 {
            0 => Self::Middle,
            1 => Self::Last,
            2 => Self::First,
            _ => Self::Solo,
        }
    }

    const fn bits(self) -> u32 {
        match self {
            Self::Middle => 0,
            Self::Last => 1,
            Self::First => 2,
            Self::Solo => 3,
        }
    }
}

impl KeySlot {
    /// The other key's slot; even for the clear one.
    #[must_use]
    pub const fn other(self) -> Self {
        match self {
            Self::Clear | Self::Odd => Self::Even,
            Self::Even => Self::Odd,
        }
    }

    const fn of_bits(bits: u32) -> Option<Self> {
        match bits & 3 {
            0 => Some(Self::Clear),
            1 => Some(Self::Even),
            2 => Some(Self::Odd),
            _ => None,
        }
    }

    pub(in crate::core) const fn bits(self) -> u8 {
        match self {
            Self::Clear => 0,
            Self::Even => 1,
            Self::Odd => 2,
        }
    }
}

/// Writes a data packet's header.
pub fn write_data_header(data: &DataHeader, out: &mut [u8; HEADER_BYTES]) {
    let word = data.message.raw()
        | (data.boundary.bits() << 30)
        | if data.in_order { IN_ORDER } else { 0 }
        | (u32::from(data.key.bits()) << 27)
        | if data.retransmitted { RETRANSMITTED } else { 0 };
    let words = [data.seq.raw(), word, data.stamp.raw(), data.to.0];
    for (to, word) in out.as_chunks_mut::<4>().0.iter_mut().zip(words) {
        *to = word.to_be_bytes();
    }
}

/// Sets the mark of a packet that is sent again in a header written before.
pub const fn mark_retransmitted(header: &mut [u8; HEADER_BYTES]) {
    let [_, _, _, _, flags, ..] = header;
    *flags |= 1 << 2;
}
