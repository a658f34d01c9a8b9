//! Every packet of the protocol, parsed in place and written into the caller's buffer; nothing here allocates.
//!
//! Parsing is total: any bytes give a packet or a [`PacketError`], never a panic. What a packet *means* (windows, ranges
//! longer than a window, a key nobody announced) is for its receiver to judge.
//!
//! What does not belong here: encryption (`crypto`), batching (`transmit`), all state.
//!
//! draft-sharabayko-srt-01 §3.

mod ack;
mod data;
mod extension;
mod handshake;
mod loss;
mod words;
mod write;

pub use ack::{Ack, Rates};
pub use data::{Boundary, Data, DataHeader, KeySlot, mark_retransmitted, write_data_header};
pub use extension::{ExtensionKind, Extensions, Hello, HelloFlags, MAX_TEXT_BYTES, Text};
pub use handshake::{
    FLAG_CONFIG, FLAG_HELLO, FLAG_KEY, HANDSHAKE_BYTES, Handshake, HandshakeKind, HandshakeOut, MAGIC,
    wire_ip,
};
pub use loss::{LossList, MAX_LOSS_RANGE, nak_fits};
pub use write::{Outgoing, write_control};

use super::seq::{Seq, SeqRange, SocketId, Stamp};
use words::{header_word, words};

/// Every packet begins with a header of this size.
pub const HEADER_BYTES: usize = 16;
/// The largest datagram: an Ethernet frame less the headers of IPv4 and UDP.
pub const MAX_DATAGRAM_BYTES: usize = 1472;
/// The largest payload or control information field.
pub const MAX_PAYLOAD_BYTES: usize = MAX_DATAGRAM_BYTES - HEADER_BYTES;

/// The first bit of a control packet.
const CONTROL: u32 = 1 << 31;

/// Control packet types.
mod kind {
    pub(super) const HANDSHAKE: u16 = 0;
    pub(super) const KEEPALIVE: u16 = 1;
    pub(super) const ACK: u16 = 2;
    pub(super) const NAK: u16 = 3;
    pub(super) const CONGESTION_WARNING: u16 = 4;
    pub(super) const SHUTDOWN: u16 = 5;
    pub(super) const ACKACK: u16 = 6;
    pub(super) const DROP_REQUEST: u16 = 7;
    pub(super) const PEER_ERROR: u16 = 8;
    pub(super) const USER: u16 = 0x7FFF;
    /// Subtypes of [`USER`].
    pub(super) const KEY_REQUEST: u16 = 3;
    pub(super) const KEY_RESPONSE: u16 = 4;
}

/// A parsed datagram.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Packet<'a> {
    /// Payload of the stream.
    Data(Data<'a>),
    /// Everything else.
    Control(Control<'a>),
}

/// A parsed control packet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Control<'a> {
    /// When it was sent.
    pub stamp: Stamp,
    /// Who it is for.
    pub to: SocketId,
    /// What it says.
    pub body: Body<'a>,
}

/// What a control packet says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Body<'a> {
    /// A step of the handshake, or a rejection.
    Handshake(Handshake<'a>),
    /// The peer lives.
    Keepalive,
    /// What arrived, with the path's properties: answered with ACKACK.
    Ack(Ack),
    /// What arrived, in short: not answered.
    LightAck {
        /// The first packet that did not arrive.
        ack: Seq,
    },
    /// What is missing.
    Nak(LossList<'a>),
    /// The receiver finds its delay growing (tolerated; nobody sends it).
    CongestionWarning,
    /// The peer closes.
    Shutdown,
    /// The answer to an ACK.
    AckAck {
        /// Number of that ACK.
        number: u32,
    },
    /// The sender will not send these packets (again).
    DropRequest {
        /// The message they belong to, 0 for several.
        message: u32,
        /// The packets; as long as the peer says, up to 2^30.
        range: SeqRange,
    },
    /// The peer's application failed (file mode; tolerated).
    PeerError(u32),
    /// New keys: a key material message.
    KeyRequest(&'a [u8]),
    /// The answer to new keys: the same message, or an error word.
    KeyResponse(&'a [u8]),
    /// A control packet of a type this core does not know.
    Unknown {
        /// Its type, 15 bits.
        kind: u16,
        /// Its subtype.
        subtype: u16,
    },
}

/// Why a datagram is no packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PacketError {
    /// No room for a header.
    #[error("{bytes} bytes are too few for a packet header")]
    NoHeader {
        /// The datagram's size.
        bytes: usize,
    },
    /// A control packet ends before its fixed fields do.
    #[error("control packet of type {kind} has only {bytes} bytes of information")]
    Short {
        /// Its type.
        kind: u16,
        /// What follows its header.
        bytes: usize,
    },
    /// Both key bits are set in a data packet.
    #[error("data packet names both keys")]
    BothKeys,
    /// A drop request ends before it begins.
    #[error("drop request ends before it begins")]
    InvertedRange,
    /// A handshake step that does not exist.
    #[error("handshake of unknown kind {kind:#x}")]
    HandshakeKind {
        /// The wire's value.
        kind: u32,
    },
}

impl<'a> Packet<'a> {
    /// Reads a datagram in place.
    ///
    /// # Errors
    /// [`PacketError`] where it is no packet of the protocol.
    pub fn parse(datagram: &'a [u8]) -> Result<Self, PacketError> {
        let Some((header, rest)) = datagram.split_first_chunk::<HEADER_BYTES>() else {
            return Err(PacketError::NoHeader { bytes: datagram.len() });
        };
        if header_word(header, 0) & CONTROL == 0 {
            return Data::parse(header, rest).map(Self::Data);
        }
        Ok(Self::Control(Control {
            stamp: Stamp::of_micros(u64::from(header_word(header, 2))),
            to: SocketId(header_word(header, 3)),
            body: Body::parse(header, rest)?,
        }))
    }
}

impl<'a> Body<'a> {
    fn parse(header: &[u8; HEADER_BYTES], cif: &'a [u8]) -> Result<Self, PacketError> {
        let &[k0, k1, s0, s1, ..] = header;
        let kind = u16::from_be_bytes([k0 & 0x7F, k1]);
        let subtype = u16::from_be_bytes([s0, s1]);
        let specific = header_word(header, 1);
        let short = PacketError::Short { kind, bytes: cif.len() };
        Ok(match kind {
            kind::HANDSHAKE => Self::Handshake(Handshake::parse(cif)?),
            kind::KEEPALIVE => Self::Keepalive,
            kind::ACK => Ack::parse(specific, cif).ok_or(short)?,
            kind::NAK => Self::Nak(LossList::new(cif)),
            kind::CONGESTION_WARNING => Self::CongestionWarning,
            kind::SHUTDOWN => Self::Shutdown,
            kind::ACKACK => Self::AckAck { number: specific },
            kind::DROP_REQUEST => {
                let [first, last] = words(cif).ok_or(short)?;
                let range =
                    SeqRange::new(Seq::new(first), Seq::new(last)).ok_or(PacketError::InvertedRange)?;
                Self::DropRequest { message: specific, range }
            }
            kind::PEER_ERROR => Self::PeerError(specific),
            kind::USER if subtype == kind::KEY_REQUEST => Self::KeyRequest(cif),
            kind::USER if subtype == kind::KEY_RESPONSE => Self::KeyResponse(cif),
            _ => Self::Unknown { kind, subtype },
        })
    }
}

/// Whom a datagram is for, without parsing the rest.
pub fn destination(datagram: &[u8]) -> Option<SocketId> {
    let header = datagram.first_chunk::<HEADER_BYTES>()?;
    Some(SocketId(header_word(header, 3)))
}

/// Whether a datagram's first bit says data.
pub fn is_data(datagram: &[u8]) -> bool {
    datagram.first().is_some_and(|byte| byte & 0x80 == 0)
}

#[cfg(test)]
mod tests;
