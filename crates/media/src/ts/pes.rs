//! PES headers and their timestamps, also when they lie over several packets (ISO/IEC 13818-1 §2.4.3.6).
//!
//! Belongs here: the header, and where the elementary stream's bytes begin. Does not: unwrapping timestamps.
//! Invariant: at most 19 bytes are held, up to the DTS; what the header has behind that is skipped.

use super::pts;

const FIXED_BYTES: usize = 9;
/// Up to and with the DTS.
const KEPT_BYTES: usize = 19;

/// What a PES header says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PesHeader {
    /// The stream id, 0xE0 to 0xEF for video.
    pub stream_id: u8,
    /// Presentation time, 33 bits of 90 kHz.
    pub pts: Option<u64>,
    /// Decoding time where it differs.
    pub dts: Option<u64>,
    /// Length of the whole header, from the start code to the first byte of the elementary stream.
    pub header_bytes: usize,
}

/// Bytes are no PES header.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PesError {
    /// More bytes are needed: this many in all.
    #[error("the header needs {wanted} bytes")]
    Incomplete {
        /// How many.
        wanted: usize,
    },
    /// It does not begin with 00 00 01 and the id of a media stream.
    #[error("no PES start code")]
    StartCode,
    /// A fixed bit is wrong, or the header is too short for its timestamps.
    #[error("a malformed PES header")]
    Malformed,
}

impl PesHeader {
    /// Reads the header at the front of `bytes`.
    ///
    /// # Errors
    /// It is none, or more bytes are needed.
    pub fn parse(bytes: &[u8]) -> Result<Self, PesError> {
        let start: &[u8; 4] = bytes.first_chunk().ok_or(PesError::Incomplete { wanted: FIXED_BYTES })?;
        let stream_id = match *start {
            [0, 0, 1, id] if has_flags(id) => id,
            _ => return Err(PesError::StartCode),
        };
        let fixed: &[u8; FIXED_BYTES] =
            bytes.first_chunk().ok_or(PesError::Incomplete { wanted: FIXED_BYTES })?;
        let [.., marker, flags, data_bytes] = *fixed;
        if marker & 0xC0 != 0x80 {
            return Err(PesError::Malformed);
        }
        let header_bytes = FIXED_BYTES + usize::from(data_bytes);
        let timestamps = match flags >> 6 {
            0b00 => 0,
            0b10 => 1,
            0b11 => 2,
            _ => return Err(PesError::Malformed),
        };
        let wanted = FIXED_BYTES + 5 * timestamps;
        if wanted > header_bytes {
            return Err(PesError::Malformed);
        }
        let kept = bytes.get(FIXED_BYTES..wanted).ok_or(PesError::Incomplete { wanted })?;
        let mut stamps = kept.as_chunks::<5>().0.iter().map(|stamp| pts::parse(*stamp));
        let mut next = || stamps.next().map(|stamp| stamp.ok_or(PesError::Malformed)).transpose();
        Ok(Self { stream_id, pts: next()?, dts: next()?, header_bytes })
    }
}

/// Audio, video and private stream 1 (AC-3, Opus) have the flags; padding, maps and private stream 2 do not.
const fn has_flags(stream_id: u8) -> bool {
    matches!(stream_id, 0xBD | 0xC0..=0xEF | 0xFA..=0xFD)
}

/// Reads one PID's PES packets, payload by payload.
#[derive(Debug, Clone)]
pub struct PesReader {
    kept: [u8; KEPT_BYTES],
    filled: usize,
    state: State,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// Before the first start, or after a header that is none.
    Idle,
    /// The header so far lacks bytes.
    Header,
    /// The header is known; this much of it still has to be skipped.
    Body { header: PesHeader, skip: usize },
}

impl PesReader {
    /// A reader that waits for a PES packet to start.
    #[must_use]
    pub const fn new() -> Self {
        Self { kept: [0; KEPT_BYTES], filled: 0, state: State::Idle }
    }

    /// A PES packet starts with the next payload.
    pub const fn start(&mut self) {
        self.filled = 0;
        self.state = State::Header;
    }

    /// Takes the next payload; gives the part of it that belongs to the elementary stream.
    ///
    /// # Errors
    /// The header is none; the rest of this PES packet is skipped.
    pub fn push<'a>(&mut self, payload: &'a [u8]) -> Result<&'a [u8], PesError> {
        let mut rest = payload;
        if self.state == State::Header {
            rest = self.header_bytes(payload)?;
        }
        let State::Body { header, skip } = self.state else { return Ok(&[]) };
        let skipped = skip.min(rest.len());
        self.state = State::Body { header, skip: skip - skipped };
        Ok(&rest[skipped..])
    }

    /// The header of the PES packet that is being read, once it is complete.
    #[must_use]
    pub const fn header(&self) -> Option<PesHeader> {
        match self.state {
            State::Body { header, .. } => Some(header),
            State::Idle | State::Header => None,
        }
    }

    /// The header still lacks bytes.
    #[must_use]
    pub fn waits(&self) -> bool {
        self.state == State::Header
    }

    /// Adds to the kept bytes until the header is known; gives what was not needed for that.
    fn header_bytes<'a>(&mut self, payload: &'a [u8]) -> Result<&'a [u8], PesError> {
        let (taken, _) = payload.split_at(payload.len().min(KEPT_BYTES - self.filled));
        let before = self.filled;
        self.kept[before..before + taken.len()].copy_from_slice(taken);
        self.filled += taken.len();
        match PesHeader::parse(&self.kept[..self.filled]) {
            Ok(header) => {
                // Header bytes that lie in this payload or later ones; those before are behind us.
                self.state = State::Body { header, skip: header.header_bytes.saturating_sub(before) };
                Ok(payload)
            }
            Err(PesError::Incomplete { .. }) => Ok(&[]),
            Err(error) => {
                self.state = State::Idle;
                Err(error)
            }
        }
    }
}

impl Default for PesReader {
    fn default() -> Self {
        Self::new()
    }
}
