//! The send buffer: every packet from its acceptance until it is acknowledged or dropped, as the datagram that goes out.
//!
//! Packets have consecutive *places*, which never wrap; sequence and message numbers follow from them. The first `sent`
//! ones are on their way, the others wait. Buffers of packets that are done are used again, so that a steady stream
//! allocates nothing; [`Buffer::shrink`] gives them back.

use std::collections::VecDeque;
use std::time::Instant;

use crate::core::packet::HEADER_BYTES;
use crate::core::seq::{MessageNumber, Seq, SeqRange};

/// Message numbers run from 1 to this.
const LAST_MESSAGE: u64 = (1 << 26) - 1;
/// Buffers kept for use again.
const SPARE_BUFFERS: usize = 4096;
/// What encryption may add to a payload.
const SEAL_BYTES: usize = 16;

/// A packet.
#[derive(Debug)]
pub(super) struct Slot {
    /// Room for the header, then the payload: clear until the first sending, sealed from then on.
    pub(super) datagram: Vec<u8>,
    /// Of the clear payload.
    pub(super) payload_bytes: usize,
    pub(super) accepted: Instant,
    /// When it was sent last; meaningless before that.
    pub(super) sent_at: Instant,
    pub(super) resent: bool,
    /// Counted as delivered, because the peer named later packets and not this one.
    pub(super) seen: bool,
}

/// The packets from `first` on.
#[derive(Debug)]
pub(super) struct Buffer {
    slots: VecDeque<Slot>,
    first: u64,
    first_seq: Seq,
    sent: usize,
    bytes: usize,
    spare: Vec<Vec<u8>>,
}

impl Buffer {
    pub(super) fn new(start: Seq) -> Self {
        Self { slots: VecDeque::new(), first: 0, first_seq: start, sent: 0, bytes: 0, spare: Vec::new() }
    }

    /// As if `packets` had come and gone before.
    #[cfg(test)]
    pub(super) fn skip(&mut self, packets: u64) {
        self.first += packets;
    }

    pub(super) fn len(&self) -> usize {
        self.slots.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.slots.is_empty()
    }

    /// Of the payloads.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// How many packets are on their way.
    pub(super) fn in_flight(&self) -> usize {
        self.sent
    }

    pub(super) fn has_unsent(&self) -> bool {
        self.sent < self.slots.len()
    }

    /// The place of the oldest packet.
    pub(super) fn first(&self) -> u64 {
        self.first
    }

    /// The place of the first packet that was never sent.
    pub(super) fn unsent(&self) -> u64 {
        self.first + self.sent as u64
    }

    pub(super) fn oldest(&self) -> Option<&Slot> {
        self.slots.front()
    }

    pub(super) fn push(&mut self, now: Instant, payload: &[u8], max_payload: usize) {
        let mut datagram =
            self.spare.pop().unwrap_or_else(|| Vec::with_capacity(HEADER_BYTES + max_payload + SEAL_BYTES));
        datagram.clear();
        datagram.extend_from_slice(&[0; HEADER_BYTES]);
        datagram.extend_from_slice(payload);
        self.bytes += payload.len();
        self.slots.push_back(Slot {
            datagram,
            payload_bytes: payload.len(),
            accepted: now,
            sent_at: now,
            resent: false,
            seen: false,
        });
    }

    pub(super) fn slot_mut(&mut self, place: u64) -> Option<&mut Slot> {
        let offset = usize::try_from(place.checked_sub(self.first)?).ok()?;
        self.slots.get_mut(offset)
    }

    pub(super) fn slot(&self, place: u64) -> Option<&Slot> {
        self.slots.get(usize::try_from(place.checked_sub(self.first)?).ok()?)
    }

    /// Moves the first waiting packet to those on their way.
    pub(super) fn mark_sent(&mut self) {
        self.sent = (self.sent + 1).min(self.slots.len());
    }

    /// Takes the oldest packet out and shows it to `done`; its buffer is kept for another.
    pub(super) fn pop(&mut self, done: impl FnOnce(&Slot)) {
        let Some(slot) = self.slots.pop_front() else { return };
        done(&slot);
        self.bytes -= slot.payload_bytes;
        self.sent = self.sent.saturating_sub(1);
        self.first += 1;
        self.first_seq = self.first_seq.plus(1);
        if self.spare.len() < SPARE_BUFFERS {
            self.spare.push(slot.datagram);
        }
    }

    /// Gives back all memory that holds nothing.
    pub(super) fn shrink(&mut self) {
        self.spare = Vec::new();
        self.slots.shrink_to_fit();
    }

    pub(super) fn holds_spare(&self) -> bool {
        self.spare.capacity() > 0
    }

    pub(super) fn seq(&self, place: u64) -> Seq {
        // Places and sequence numbers differ by a constant; only the low 32 bits count.
        #[expect(clippy::cast_possible_truncation, reason = "sequence numbers are places modulo 2^31")]
        let ahead = place.wrapping_sub(self.first) as u32;
        self.first_seq.plus(ahead)
    }

    pub(super) fn message(place: u64) -> MessageNumber {
        #[expect(clippy::cast_possible_truncation, reason = "at most 2^26 - 1")]
        let number = (place % LAST_MESSAGE + 1) as u32;
        MessageNumber::new(number)
    }

    /// The place that a sequence number from the peer stands for, taken as the nearest one.
    pub(super) fn place(&self, seq: Seq) -> Option<u64> {
        self.first.checked_add_signed(i64::from(seq.offset_from(self.first_seq)))
    }

    /// The part of a range that is in `from..until`, as places `first..end`.
    pub(super) fn places(&self, range: SeqRange, from: u64, until: u64) -> (u64, u64) {
        let offset = i64::from(range.first.offset_from(self.first_seq));
        let first = i128::from(self.first) + i128::from(offset);
        let clip = |place: i128| {
            u64::try_from(place.clamp(i128::from(from), i128::from(until.max(from)))).unwrap_or(from)
        };
        (clip(first), clip(first + i128::from(range.len())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_follow_sequence_numbers_over_their_wrap() {
        let now = Instant::now();
        let mut buffer = Buffer::new(Seq::new(0x7fff_fffe));
        for n in 0..6_u8 {
            buffer.push(now, &[n], 1316);
        }
        buffer.pop(|_| ());
        for place in 1..6 {
            assert_eq!(buffer.place(buffer.seq(place)), Some(place));
        }
        assert_eq!(buffer.seq(2).raw(), 0);
        let range = SeqRange { first: Seq::new(0x7fff_fff0), last: Seq::new(1) };
        assert_eq!(buffer.places(range, 1, 6), (1, 4));
        assert_eq!(buffer.places(SeqRange::single(Seq::new(40)), 1, 6), (6, 6));
        assert_eq!(buffer.place(Seq::new(0x7fff_0000)), None, "before the start");
    }

    #[test]
    fn message_numbers_wrap_to_one() {
        assert_eq!(Buffer::message(0).raw(), 1);
        assert_eq!(Buffer::message(LAST_MESSAGE - 1).raw(), (1 << 26) - 1);
        assert_eq!(Buffer::message(LAST_MESSAGE).raw(), 1);
    }

    #[test]
    fn buffers_are_used_again_and_given_back() {
        let now = Instant::now();
        let mut buffer = Buffer::new(Seq::new(1));
        buffer.push(now, &[1; 1000], 1316);
        let before = buffer.oldest().unwrap().datagram.as_ptr();
        buffer.pop(|slot| assert_eq!(slot.payload_bytes, 1000));
        buffer.push(now, &[2; 1316], 1316);
        assert_eq!(buffer.oldest().unwrap().datagram.as_ptr(), before);
        assert_eq!(buffer.bytes(), 1316);
        buffer.pop(|_| ());
        assert!(buffer.holds_spare());
        buffer.shrink();
        assert!(!buffer.holds_spare());
    }
}
