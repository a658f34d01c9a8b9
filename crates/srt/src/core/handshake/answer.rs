//! What a listener says in a handshake: the induction's answer, yes, and no.
//!
//! Invariant: an induction's answer is no larger than the question, so that nobody is flooded through us.

use std::net::SocketAddr;
use std::time::Duration;

use super::{MTU, VERSION, hello, key_units};
use crate::RejectCode;
use crate::core::packet::{
    Handshake, HandshakeKind, HandshakeOut, Hello, MAGIC, Outgoing, wire_ip, write_control,
};
use crate::core::seq::{Seq, SocketId, Stamp};

/// Appends the answer to an induction.
pub(in crate::core) fn induction(
    question: &Handshake<'_>,
    stamp: Stamp,
    peer: SocketAddr,
    cookie: u32,
    out: &mut Vec<u8>,
) {
    let answer = HandshakeOut {
        version: VERSION,
        encryption: 0,
        extension: MAGIC,
        initial_seq: question.initial_seq,
        mtu: MTU.min(question.mtu),
        window: question.window,
        kind: HandshakeKind::Induction,
        socket: SocketId(0),
        cookie,
        peer_ip: wire_ip(peer.ip()),
        hello: None,
        key: None,
        stream_id: None,
    };
    write_control(stamp, question.socket, &Outgoing::Handshake(answer), out);
}

/// Appends a no.
pub(in crate::core) fn rejection(
    socket: SocketId,
    initial_seq: Seq,
    peer: SocketAddr,
    code: RejectCode,
    out: &mut Vec<u8>,
) {
    let answer = HandshakeOut {
        version: VERSION,
        encryption: 0,
        extension: 0,
        initial_seq,
        mtu: MTU,
        window: 0,
        kind: HandshakeKind::Rejected(code.0),
        socket: SocketId(0),
        cookie: 0,
        peer_ip: wire_ip(peer.ip()),
        hello: None,
        key: None,
        stream_id: None,
    };
    write_control(Stamp::of_micros(0), socket, &Outgoing::Handshake(answer), out);
}

/// A yes, kept as long as its connection: a caller that did not get it asks again.
#[derive(Debug)]
pub(in crate::core) struct Acceptance {
    pub(in crate::core) caller: SocketId,
    local: SocketId,
    initial_seq: Seq,
    window: u32,
    hello: Hello,
    key_message: Option<Box<[u8]>>,
}

impl Acceptance {
    pub(in crate::core) fn new(
        (caller, local): (SocketId, SocketId),
        initial_seq: Seq,
        window: u32,
        (receive, send): (Duration, Duration),
        key_message: Option<Vec<u8>>,
    ) -> Self {
        let key_message = key_message.map(Vec::into_boxed_slice);
        Self { caller, local, initial_seq, window, hello: hello(receive, send), key_message }
    }

    /// Appends it.
    pub(in crate::core) fn write(&self, stamp: Stamp, peer: SocketAddr, cookie: u32, out: &mut Vec<u8>) {
        let mut answer = HandshakeOut {
            version: VERSION,
            encryption: self.key_message.as_deref().map_or(0, key_units),
            extension: 0,
            initial_seq: self.initial_seq,
            mtu: MTU,
            window: self.window,
            kind: HandshakeKind::Conclusion,
            socket: self.local,
            cookie,
            peer_ip: wire_ip(peer.ip()),
            hello: Some((false, self.hello)),
            key: self.key_message.as_deref().map(|message| (false, message)),
            stream_id: None,
        };
        answer.extension = answer.flags();
        write_control(stamp, self.caller, &Outgoing::Handshake(answer), out);
    }
}
