//! Writes control packets; each appends to the caller's buffer, which it does not otherwise touch.
//!
//! Packets without information get one word of zeros, as libsrt sends it.
//!
//! draft-sharabayko-srt-01 §3.2.

use super::words::put;
use super::{Ack, CONTROL, HandshakeOut, kind, loss};
use crate::core::seq::{Seq, SeqRange, SocketId, Stamp};

/// A control packet to be written; see [`Body`](super::Body) for what each says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outgoing<'a> {
    /// A step of the handshake, or a rejection.
    Handshake(HandshakeOut<'a>),
    /// We live.
    Keepalive,
    /// What arrived: full, or small where it has no rates.
    Ack(Ack),
    /// What arrived, in short.
    LightAck {
        /// The first packet that did not arrive.
        ack: Seq,
    },
    /// What is missing; no more than [`nak_fits`](super::nak_fits) says.
    Nak(&'a [SeqRange]),
    /// We close.
    Shutdown,
    /// The answer to an ACK.
    AckAck {
        /// Number of that ACK.
        number: u32,
    },
    /// Packets that will not be sent (again).
    DropRequest {
        /// The message they belong to, 0 for several.
        message: u32,
        /// The packets.
        range: SeqRange,
    },
    /// New keys.
    KeyRequest(&'a [u8]),
    /// The answer to new keys.
    KeyResponse(&'a [u8]),
}

/// Appends a control packet.
pub fn write_control(stamp: Stamp, to: SocketId, body: &Outgoing<'_>, out: &mut Vec<u8>) {
    let (kind, subtype, specific) = match body {
        Outgoing::Handshake(_) => (kind::HANDSHAKE, 0, 0),
        Outgoing::Keepalive => (kind::KEEPALIVE, 0, 0),
        Outgoing::Ack(ack) => (kind::ACK, 0, ack.number),
        Outgoing::LightAck { .. } => (kind::ACK, 0, 0),
        Outgoing::Nak(_) => (kind::NAK, 0, 0),
        Outgoing::Shutdown => (kind::SHUTDOWN, 0, 0),
        Outgoing::AckAck { number } => (kind::ACKACK, 0, *number),
        Outgoing::DropRequest { message, .. } => (kind::DROP_REQUEST, 0, *message),
        Outgoing::KeyRequest(_) => (kind::USER, kind::KEY_REQUEST, 0),
        Outgoing::KeyResponse(_) => (kind::USER, kind::KEY_RESPONSE, 0),
    };
    put(out, &[CONTROL | (u32::from(kind) << 16) | u32::from(subtype), specific, stamp.raw(), to.0]);
    match body {
        Outgoing::Handshake(handshake) => handshake.write(out),
        Outgoing::Ack(ack) => ack.write(out),
        Outgoing::LightAck { ack } => put(out, &[ack.raw()]),
        Outgoing::Nak(ranges) => loss::write(ranges, out),
        Outgoing::DropRequest { range, .. } => put(out, &[range.first.raw(), range.last.raw()]),
        Outgoing::KeyRequest(message) | Outgoing::KeyResponse(message) => out.extend_from_slice(message),
        Outgoing::Keepalive | Outgoing::Shutdown | Outgoing::AckAck { .. } => put(out, &[0]),
    }
}
