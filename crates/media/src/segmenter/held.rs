//! The open segment's bytes: those given out, those held back, and their hash.
//!
//! Belongs here: moving bytes to the sink without copying where they lie in the input. Does not: deciding when.
//! Invariant: packets reach the sink once, in order; what is held back is copied only when the input ends.

use dashvault_base::ContentHash;

use super::SegmentSink;
use crate::PACKET_BYTES;

/// The open segment's packets, counted from its first: given to the sink, then held, then in the window.
#[derive(Debug)]
pub(super) struct Held {
    given: u64,
    held: Vec<u8>,
    hasher: blake3::Hasher,
}

/// The part of the input that was taken but neither given nor copied.
#[derive(Debug)]
pub(super) struct Window<'a> {
    input: &'a [u8],
    start: usize,
    end: usize,
}

impl<'a> Window<'a> {
    pub(super) const fn new(input: &'a [u8]) -> Self {
        Self { input, start: 0, end: 0 }
    }

    /// The bytes behind the last packet taken.
    pub(super) fn rest(&self) -> &'a [u8] {
        self.input.get(self.end..).unwrap_or(&[])
    }

    /// Takes the packet at the front of [`Window::rest`].
    pub(super) fn take(&mut self) -> Option<&'a [u8; PACKET_BYTES]> {
        let packet = self.rest().first_chunk()?;
        self.end += PACKET_BYTES;
        Some(packet)
    }

    /// Bytes taken from the input, given or not.
    pub(super) const fn consumed(&self) -> usize {
        self.end
    }

    /// Bytes that wait in the window.
    pub(super) const fn waiting(&self) -> usize {
        self.end - self.start
    }

    /// Leaves out bytes; the caller has settled what waits.
    fn skip(&mut self, bytes: usize) {
        self.end = self.input.len().min(self.end + bytes);
        self.start = self.end;
    }

    fn give(&mut self, bytes: usize) -> &'a [u8] {
        let given = self.input.get(self.start..self.start + bytes).unwrap_or(&[]);
        self.start += bytes;
        given
    }
}

impl Held {
    pub(super) fn new() -> Self {
        Self { given: 0, held: Vec::new(), hasher: blake3::Hasher::new() }
    }

    /// Packets given to the sink.
    pub(super) const fn given(&self) -> u64 {
        self.given
    }

    /// The hash of what the sink was given of the open segment.
    pub(super) fn hash(&self) -> ContentHash {
        self.hasher.finalize().into()
    }

    /// A copy of the packet with this index in the segment, which was not yet given.
    pub(super) fn packet(&self, index: u64, window: &Window<'_>) -> Option<[u8; PACKET_BYTES]> {
        let offset = usize::try_from(index.checked_sub(self.given)?).ok()? * PACKET_BYTES;
        let bytes = match offset.checked_sub(self.held.len()) {
            None => self.held.get(offset..)?,
            Some(in_window) => window.input.get(window.start + in_window..window.end)?,
        };
        bytes.first_chunk().copied()
    }

    /// Gives the sink every packet before `index`.
    pub(super) fn release(&mut self, index: u64, window: &mut Window<'_>, sink: &mut impl SegmentSink) {
        let packets = index.saturating_sub(self.given);
        let bytes = usize::try_from(packets).unwrap_or(usize::MAX).saturating_mul(PACKET_BYTES);
        let from_held = bytes.min(self.held.len());
        if from_held > 0 {
            self.hasher.update(&self.held[..from_held]);
            sink.bytes(&self.held[..from_held]);
            self.held.drain(..from_held);
        }
        let run = window.give((bytes - from_held).min(window.waiting()));
        if !run.is_empty() {
            self.hasher.update(run);
            sink.bytes(run);
        }
        self.given += packets;
    }

    /// Copies what still waits in the window, and leaves out `skipped` bytes behind it.
    pub(super) fn settle(&mut self, window: &mut Window<'_>, skipped: usize) {
        let waiting = window.give(window.waiting());
        self.held.extend_from_slice(waiting);
        window.skip(skipped);
    }

    /// Ends the segment: its packets and hash. What is held belongs to the next one.
    pub(super) fn close(&mut self) -> (u64, ContentHash) {
        let hash = self.hasher.finalize().into();
        self.hasher.reset();
        (std::mem::take(&mut self.given), hash)
    }

    /// Forgets everything.
    pub(super) fn reset(&mut self) {
        self.given = 0;
        self.held.clear();
        self.hasher.reset();
    }
}
