//! Counts of what was on the wire, by kind.
//!
//! Belongs here: the least look at a datagram that tells its kind (draft-sharabayko-srt-01 §3), written apart from
//! the core so that a fault there cannot hide here.

/// IP and UDP headers of a datagram.
pub(crate) const WIRE_OVERHEAD_BYTES: u64 = 28;

/// What a datagram is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Data,
    Again,
    Handshake,
    Keepalive,
    Ack,
    Nak,
    Shutdown,
    AckAck,
    DropRequest,
    User,
    Other,
}

const KINDS: usize = Kind::Other as usize + 1;

impl Kind {
    pub(crate) fn of(bytes: &[u8]) -> Self {
        let &[first, second, _, _, flags, ..] = bytes else { return Self::Other };
        if first & 0x80 == 0 {
            return if flags & 0x04 == 0 { Self::Data } else { Self::Again };
        }
        match u16::from_be_bytes([first & 0x7f, second]) {
            0 => Self::Handshake,
            1 => Self::Keepalive,
            2 => Self::Ack,
            3 => Self::Nak,
            5 => Self::Shutdown,
            6 => Self::AckAck,
            7 => Self::DropRequest,
            0x7fff => Self::User,
            _ => Self::Other,
        }
    }
}

/// The initial sequence number that a handshake names.
pub(crate) fn initial_sequence(bytes: &[u8]) -> Option<u32> {
    if Kind::of(bytes) != Kind::Handshake {
        return None;
    }
    let word = bytes.get(24..28)?.try_into().ok()?;
    Some(u32::from_be_bytes(word) & 0x7fff_ffff)
}

/// Adds to the message number of data and drop requests, which goes from 1 to 2^26-1.
pub(crate) fn shift_message(bytes: &mut [u8], by: u32) {
    const MOST: u32 = (1 << 26) - 1;
    if by == 0 || !matches!(Kind::of(bytes), Kind::Data | Kind::Again | Kind::DropRequest) {
        return;
    }
    let Some(field) = bytes.get_mut(4..8) else { return };
    let word = field.iter().fold(0, |word, byte| word << 8 | u32::from(*byte));
    let message = word & MOST;
    if message > 0 {
        let shifted = (message - 1 + by) % MOST + 1;
        field.copy_from_slice(&(word & !MOST | shifted).to_be_bytes());
    }
}

/// Datagrams of one direction. Bytes are UDP payloads; `wire_bytes` adds the headers below.
#[derive(Clone, Debug, Default)]
pub(crate) struct Traffic {
    packets: [u64; KINDS],
    bytes: [u64; KINDS],
    lost_packets: [u64; KINDS],
    lost_bytes: [u64; KINDS],
}

impl Traffic {
    pub(crate) fn sent(&mut self, kind: Kind, len: usize) {
        self.packets[kind as usize] += 1;
        self.bytes[kind as usize] += len as u64;
    }

    pub(crate) fn lost(&mut self, kind: Kind, len: usize) {
        self.lost_packets[kind as usize] += 1;
        self.lost_bytes[kind as usize] += len as u64;
    }

    /// Datagrams of a kind that were sent.
    pub(crate) fn packets(&self, kind: Kind) -> u64 {
        self.packets[kind as usize]
    }

    /// Bytes of a kind that were sent.
    pub(crate) fn bytes(&self, kind: Kind) -> u64 {
        self.bytes[kind as usize]
    }

    /// Bytes of data, first sendings and others, that did not arrive.
    pub(crate) fn lost_data_bytes(&self) -> u64 {
        self.lost_bytes[Kind::Data as usize] + self.lost_bytes[Kind::Again as usize]
    }

    /// Datagrams that are not data.
    pub(crate) fn control_packets(&self) -> u64 {
        self.all_packets() - self.packets(Kind::Data) - self.packets(Kind::Again)
    }

    /// Everything, with IP and UDP headers.
    pub(crate) fn wire_bytes(&self) -> u64 {
        self.bytes.iter().sum::<u64>() + self.all_packets() * WIRE_OVERHEAD_BYTES
    }

    /// All datagrams.
    pub(crate) fn all_packets(&self) -> u64 {
        self.packets.iter().sum()
    }
}
