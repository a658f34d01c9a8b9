//! Sections put together from packets (ISO/IEC 13818-1 §2.4.4).
//!
//! Belongs here: finding a section's first byte and its length over packets, and its CRC. Does not: what a table says.
//! Invariant: at most 1024 bytes are held, the longest a PAT or PMT section may be.

use super::{Packet, crc::crc32};

/// The longest PAT or PMT section, with its header and CRC.
pub const MAX_SECTION_BYTES: usize = 1024;
const HEADER_BYTES: usize = 3;
const CRC_BYTES: usize = 4;
const STUFFING_TABLE: u8 = 0xFF;

/// A section is broken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SectionError {
    /// The pointer to its first byte points out of the packet.
    #[error("the pointer field {pointer} points out of the packet")]
    Pointer {
        /// The pointer field.
        pointer: u8,
    },
    /// Its length cannot be.
    #[error("section length {len} is impossible")]
    Length {
        /// With its header.
        len: usize,
    },
    /// Its checksum does not match.
    #[error("the section's checksum does not match")]
    Crc,
}

/// Puts the sections of one PID together.
#[derive(Debug, Clone)]
pub struct SectionReader {
    buffer: Box<[u8; MAX_SECTION_BYTES]>,
    filled: usize,
    collecting: bool,
}

impl SectionReader {
    /// A reader that waits for a section to start.
    #[must_use]
    pub fn new() -> Self {
        Self { buffer: Box::new([0; MAX_SECTION_BYTES]), filled: 0, collecting: false }
    }

    /// Forgets what it has.
    pub fn reset(&mut self) {
        self.filled = 0;
        self.collecting = false;
    }

    /// Takes the PID's next packet and calls `whole` with each section that is complete (CRC checked, without it),
    /// or with what is wrong.
    pub fn push(&mut self, packet: Packet<'_>, mut whole: impl FnMut(Result<&[u8], SectionError>)) {
        let payload = packet.payload();
        if !packet.unit_start() {
            self.append(payload, &mut whole);
            return;
        }
        let Some((pointer, rest)) = payload.split_first() else { return };
        let Some((tail, mut starts)) = rest.split_at_checked(usize::from(*pointer)) else {
            self.reset();
            return whole(Err(SectionError::Pointer { pointer: *pointer }));
        };
        self.append(tail, &mut whole);
        // Sections may follow one another; 0xFF where a table id should be means stuffing up to the packet's end.
        while starts.first().is_some_and(|table| *table != STUFFING_TABLE) {
            self.filled = 0;
            self.collecting = true;
            starts = self.append(starts, &mut whole);
        }
    }

    /// Adds bytes to the open section; gives back those behind its end.
    fn append<'a>(
        &mut self,
        mut bytes: &'a [u8],
        whole: &mut impl FnMut(Result<&[u8], SectionError>),
    ) -> &'a [u8] {
        while self.collecting && !bytes.is_empty() {
            let wanted = if self.filled < HEADER_BYTES { HEADER_BYTES } else { self.section_len() };
            let (taken, rest) = bytes.split_at(bytes.len().min(wanted - self.filled));
            self.buffer[self.filled..self.filled + taken.len()].copy_from_slice(taken);
            self.filled += taken.len();
            bytes = rest;
            if self.filled < HEADER_BYTES {
                continue;
            }
            let len = self.section_len();
            if !(HEADER_BYTES + CRC_BYTES..=MAX_SECTION_BYTES).contains(&len) {
                self.reset();
                whole(Err(SectionError::Length { len }));
                return &[];
            }
            if self.filled == len {
                self.collecting = false;
                let section = &self.buffer[..len];
                let sound = crc32(section) == 0;
                whole(if sound { Ok(&section[..len - CRC_BYTES]) } else { Err(SectionError::Crc) });
            }
        }
        bytes
    }

    fn section_len(&self) -> usize {
        HEADER_BYTES + usize::from(u16::from_be_bytes([self.buffer[1] & 0x0F, self.buffer[2]]))
    }
}

impl Default for SectionReader {
    fn default() -> Self {
        Self::new()
    }
}
