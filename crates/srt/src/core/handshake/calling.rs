//! A caller's handshake: induction, then conclusion, each repeated until it is answered.
//!
//! ```text
//! Inducing   -- answer of version 5 with a cookie --> Concluding
//! Inducing   -- answer of another version         --> Err(Unsupported)
//! Concluding -- conclusion that fits ours         --> Ok(Agreement)
//! both       -- rejection                         --> Err(Rejected)
//! both       -- connect timeout                   --> Err(Timeout)
//! ```
//! Answers that come twice or to an earlier question change nothing.
//!
//! What does not belong here: what follows the handshake.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use super::{INDUCTION_EXTENSION, INDUCTION_VERSION, MTU, VERSION, agreed, hello, key_units};
use crate::RejectCode;
use crate::core::packet::{
    Handshake, HandshakeKind, HandshakeOut, HelloFlags, MAGIC, Outgoing, wire_ip, write_control,
};
use crate::core::seq::{Seq, SocketId, Stamp};

/// What a caller says of itself.
#[derive(Debug)]
pub(in crate::core) struct Introduction {
    pub(in crate::core) local: SocketId,
    pub(in crate::core) initial_seq: Seq,
    pub(in crate::core) window: u32,
    pub(in crate::core) latency: Duration,
    pub(in crate::core) stream_id: String,
    pub(in crate::core) key_message: Option<Box<[u8]>>,
}

/// A handshake under way.
#[derive(Debug)]
pub(in crate::core) struct Calling {
    introduction: Introduction,
    peer: SocketAddr,
    began: Instant,
    deadline: Instant,
    retry: Duration,
    /// The listener's cookie, once it has sent one.
    cookie: Option<u32>,
    due: Instant,
}

/// What the handshake led to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::core) struct Agreement {
    pub(in crate::core) remote: SocketId,
    /// The first number of what the listener sends.
    pub(in crate::core) their_seq: Seq,
    pub(in crate::core) window: u32,
    /// How long the listener holds what we send.
    pub(in crate::core) send_latency: Duration,
    pub(in crate::core) receive_latency: Duration,
}

/// Why it led to nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::core) enum Refusal {
    Rejected(RejectCode),
    Unsupported,
    Crypto,
}

impl Calling {
    pub(in crate::core) fn new(
        introduction: Introduction,
        peer: SocketAddr,
        now: Instant,
        timeout: Duration,
        retry: Duration,
    ) -> Self {
        let retry = retry.max(Duration::from_millis(1));
        Self { introduction, peer, began: now, deadline: now + timeout, retry, cookie: None, due: now }
    }

    pub(in crate::core) fn introduction(&self) -> &Introduction {
        &self.introduction
    }

    pub(in crate::core) fn is_too_late(&self, now: Instant) -> bool {
        now >= self.deadline
    }

    pub(in crate::core) fn next_timeout(&self) -> Instant {
        self.due.min(self.deadline)
    }

    /// Our address has changed, and the cookie was the old one's: it begins anew.
    pub(in crate::core) fn restart(&mut self, now: Instant) {
        self.cookie = None;
        self.due = now;
    }

    /// Appends the present question when it is due.
    pub(in crate::core) fn poll(&mut self, now: Instant, out: &mut Vec<u8>) {
        if now < self.due || self.is_too_late(now) {
            return;
        }
        self.due = now + self.retry;
        let micros = now.saturating_duration_since(self.began).as_micros();
        let stamp = Stamp::of_micros(u64::try_from(micros).unwrap_or(u64::MAX));
        write_control(stamp, SocketId(0), &Outgoing::Handshake(self.question()), out);
    }

    /// Takes an answer.
    pub(in crate::core) fn answered(
        &mut self,
        now: Instant,
        answer: &Handshake<'_>,
    ) -> Result<Option<Agreement>, Refusal> {
        match (answer.kind, self.cookie) {
            (HandshakeKind::Rejected(code), _) => Err(Refusal::Rejected(RejectCode(code))),
            (HandshakeKind::Induction, None) if answer.version < VERSION || answer.extension != MAGIC => {
                Err(Refusal::Unsupported)
            }
            (HandshakeKind::Induction, None) => {
                self.cookie = Some(answer.cookie);
                self.due = now;
                Ok(None)
            }
            (HandshakeKind::Conclusion, Some(_)) => self.agreement(answer).map(Some),
            _ => Ok(None),
        }
    }

    fn agreement(&self, answer: &Handshake<'_>) -> Result<Agreement, Refusal> {
        let hello = answer.extensions.hello_response().ok_or(Refusal::Unsupported)?;
        if answer.version != VERSION || answer.socket.0 == 0 || hello.flags.has(HelloFlags::STREAM) {
            return Err(Refusal::Unsupported);
        }
        // A listener that cannot use our key says so in four bytes, or not at all.
        if answer.extensions.key_response() != self.introduction.key_message.as_deref() {
            return Err(Refusal::Crypto);
        }
        let ours = self.introduction.latency;
        Ok(Agreement {
            remote: answer.socket,
            their_seq: answer.initial_seq,
            window: answer.window,
            send_latency: agreed(ours, hello.receive_latency_ms),
            receive_latency: agreed(ours, hello.send_latency_ms),
        })
    }

    fn question(&self) -> HandshakeOut<'_> {
        let introduction = &self.introduction;
        let mut question = HandshakeOut {
            version: INDUCTION_VERSION,
            encryption: 0,
            extension: INDUCTION_EXTENSION,
            initial_seq: introduction.initial_seq,
            mtu: MTU,
            window: introduction.window,
            kind: HandshakeKind::Induction,
            socket: introduction.local,
            cookie: 0,
            peer_ip: wire_ip(self.peer.ip()),
            hello: None,
            key: None,
            stream_id: None,
        };
        if let Some(cookie) = self.cookie {
            let key_message = introduction.key_message.as_deref();
            question.version = VERSION;
            question.encryption = key_message.map_or(0, key_units);
            question.kind = HandshakeKind::Conclusion;
            question.cookie = cookie;
            question.hello = Some((true, hello(introduction.latency, introduction.latency)));
            question.key = key_message.map(|message| (true, message));
            question.stream_id = Some(&introduction.stream_id);
            question.extension = question.flags();
        }
        question
    }
}
