//! The handshake packet: 48 bytes, then extensions.
//!
//! What does not belong here: what follows from a handshake (`core::handshake`), the extensions' content
//! (`extension`).
//!
//! draft-sharabayko-srt-01 §3.2.1.

use std::net::IpAddr;

use super::extension::{self, Extensions, Hello};
use super::words::{put, words};
use super::{PacketError, kind};
use crate::core::seq::{Seq, SocketId};

/// The size of a handshake without extensions.
pub const HANDSHAKE_BYTES: usize = 48;
/// The extension field of a listener's induction response.
pub const MAGIC: u16 = 0x4A17;
/// Extension field of a conclusion: HSREQ or HSRSP follows.
pub const FLAG_HELLO: u16 = 1;
/// Extension field of a conclusion: KMREQ or KMRSP follows.
pub const FLAG_KEY: u16 = 2;
/// Extension field of a conclusion: a stream id or other settings follow.
pub const FLAG_CONFIG: u16 = 4;

/// A parsed handshake.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Handshake<'a> {
    /// 4 in a caller's induction, else 5.
    pub version: u32,
    /// Key length in 8-byte units: 2, 3, 4, or 0 for none said.
    pub encryption: u16,
    /// Extension flags, or [`MAGIC`], or 2 in a caller's induction.
    pub extension: u16,
    /// The first data packet's number.
    pub initial_seq: Seq,
    /// The largest IP packet.
    pub mtu: u32,
    /// The flow window, in packets.
    pub window: u32,
    /// Which step this is.
    pub kind: HandshakeKind,
    /// The sending side's socket id.
    pub socket: SocketId,
    /// The listener's cookie.
    pub cookie: u32,
    /// The address the sending side sees, as [`wire_ip`] writes it.
    pub peer_ip: [u8; 16],
    /// What follows.
    pub extensions: Extensions<'a>,
}

/// The step a handshake packet is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HandshakeKind {
    /// Who is there? (1)
    Induction,
    /// The caller proposes, the listener answers. (-1)
    Conclusion,
    /// Rendezvous: hello. (0)
    WaveHand,
    /// Rendezvous: agreed. (-2)
    Agreement,
    /// Historical. (-3)
    Done,
    /// No; the wire's code, 1000 or more.
    Rejected(u32),
}

/// A handshake to be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HandshakeOut<'a> {
    /// 4 in a caller's induction, else 5.
    pub version: u32,
    /// Key length in 8-byte units, 0 for none.
    pub encryption: u16,
    /// Extension flags ([`HandshakeOut::flags`]), or [`MAGIC`], or 2 in a caller's induction.
    pub extension: u16,
    /// The first data packet's number.
    pub initial_seq: Seq,
    /// The largest IP packet.
    pub mtu: u32,
    /// The flow window, in packets.
    pub window: u32,
    /// Which step this is.
    pub kind: HandshakeKind,
    /// The sending side's socket id.
    pub socket: SocketId,
    /// The listener's cookie.
    pub cookie: u32,
    /// The address of the side it is sent to: [`wire_ip`].
    pub peer_ip: [u8; 16],
    /// HSREQ (`true`) or HSRSP.
    pub hello: Option<(bool, Hello)>,
    /// KMREQ (`true`) or KMRSP, and its message; padded to whole words.
    pub key: Option<(bool, &'a [u8])>,
    /// The stream id; at most its first 512 bytes are written, an empty one is not.
    pub stream_id: Option<&'a str>,
}

impl<'a> Handshake<'a> {
    pub(super) fn parse(cif: &'a [u8]) -> Result<Self, PacketError> {
        let short = PacketError::Short { kind: kind::HANDSHAKE, bytes: cif.len() };
        let (fixed, rest) = cif.split_first_chunk::<HANDSHAKE_BYTES>().ok_or(short)?;
        let [version, fields, initial_seq, mtu, window, kind, socket, cookie] = words(fixed).ok_or(short)?;
        let [e0, e1, x0, x1] = fields.to_be_bytes();
        Ok(Self {
            version,
            encryption: u16::from_be_bytes([e0, e1]),
            extension: u16::from_be_bytes([x0, x1]),
            initial_seq: Seq::new(initial_seq),
            mtu,
            window,
            kind: HandshakeKind::of_wire(kind).ok_or(PacketError::HandshakeKind { kind })?,
            socket: SocketId(socket),
            cookie,
            peer_ip: *fixed.last_chunk().ok_or(short)?,
            extensions: Extensions::new(rest),
        })
    }
}

impl HandshakeKind {
    const fn of_wire(kind: u32) -> Option<Self> {
        Some(match kind.cast_signed() {
            1 => Self::Induction,
            0 => Self::WaveHand,
            -1 => Self::Conclusion,
            -2 => Self::Agreement,
            -3 => Self::Done,
            1000.. => Self::Rejected(kind),
            _ => return None,
        })
    }

    const fn wire(self) -> u32 {
        match self {
            Self::Induction => 1,
            Self::WaveHand => 0,
            Self::Conclusion => u32::MAX,
            Self::Agreement => u32::MAX - 1,
            Self::Done => u32::MAX - 2,
            Self::Rejected(code) => code,
        }
    }
}

impl HandshakeOut<'_> {
    /// The extension flags that say what `hello`, `key` and `stream_id` hold.
    pub fn flags(&self) -> u16 {
        let flag = |set: bool, flag: u16| if set { flag } else { 0 };
        flag(self.hello.is_some(), FLAG_HELLO)
            | flag(self.key.is_some(), FLAG_KEY)
            | flag(self.stream_id.is_some_and(|id| !id.is_empty()), FLAG_CONFIG)
    }

    /// Appends the control information.
    pub(super) fn write(&self, out: &mut Vec<u8>) {
        let fields = (u32::from(self.encryption) << 16) | u32::from(self.extension);
        put(out, &[self.version, fields, self.initial_seq.raw(), self.mtu, self.window]);
        put(out, &[self.kind.wire(), self.socket.0, self.cookie]);
        out.extend_from_slice(&self.peer_ip);
        if let Some((request, hello)) = self.hello {
            extension::write_hello(request, hello, out);
        }
        if let Some((request, message)) = self.key {
            extension::write_key(request, message, out);
        }
        if let Some(id) = self.stream_id.filter(|id| !id.is_empty()) {
            extension::write_stream_id(id, out);
        }
    }
}

/// An address as handshakes have it: four words, each with its bytes reversed (libsrt on little-endian machines, which
/// is all that is out there); the unused words of an IPv4 address are 0. Nobody depends on it.
pub fn wire_ip(ip: IpAddr) -> [u8; 16] {
    let mut wire = [0; 16];
    match ip.to_canonical() {
        IpAddr::V4(v4) => wire[..4].copy_from_slice(&v4.octets()),
        IpAddr::V6(v6) => wire = v6.octets(),
    }
    for word in wire.as_chunks_mut::<4>().0 {
        word.reverse();
    }
    wire
}
