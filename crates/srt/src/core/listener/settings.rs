//! What a listener is told, tells and counts.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use crate::core::connection::{ConnectionReport, ReceiveSettings, SendSettings};
use crate::core::receive::Sink;
use crate::core::seq::SocketId;
use crate::{CloseReason, RejectCode};

/// How a listener behaves.
#[derive(Debug, Clone)]
pub struct ListenerSettings {
    /// The receiving half of each connection.
    pub receive: ReceiveSettings,
    /// The sending half.
    pub send: SendSettings,
    /// A peer that says nothing for this long is gone (default 5 s).
    pub peer_idle: Duration,
    /// The application has this long to answer a request (default 3 s).
    pub accept_timeout: Duration,
    /// Open connections; more callers are refused with 1003 (default 4096).
    pub max_connections: usize,
    /// Callers that wait for the application's answer; more are refused with 2402 (default 512).
    pub max_half_open: usize,
    /// First packets of callers that are answered, a second (default 5000).
    pub inductions_per_s: u32,
    /// Who may or must encrypt.
    pub encryption: EncryptionPolicy,
    /// Which of several listeners behind one port this is.
    pub worker: Worker,
    /// Follow a peer whose address changes.
    pub migration: bool,
}

impl Default for ListenerSettings {
    fn default() -> Self {
        Self {
            receive: ReceiveSettings::default(),
            send: SendSettings::default(),
            peer_idle: Duration::from_secs(5),
            accept_timeout: Duration::from_secs(3),
            max_connections: 4096,
            max_half_open: 512,
            inductions_per_s: 5000,
            encryption: EncryptionPolicy::Either,
            worker: Worker { index: 0, count: 1 },
            migration: true,
        }
    }
}

/// Who may or must encrypt; who does otherwise is refused with 1011.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EncryptionPolicy {
    /// Every caller must.
    Required,
    /// The application decides by [`Pending::key_message`].
    Either,
    /// No caller may.
    Refused,
}

/// One of several listeners behind one port. Its ids are its `index` modulo `count`, so that any of them can tell
/// whose a datagram is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Worker {
    /// Which.
    pub index: u32,
    /// Of how many.
    pub count: u32,
}

/// Where each connection's payloads go.
pub trait Sinks {
    /// The sink of a connection; without one they are thrown away.
    fn sink(&mut self, id: SocketId) -> Option<&mut dyn Sink>;
}

/// What happened to a listener.
#[derive(Debug)]
pub enum ListenerEvent {
    /// A caller asks to be let in: answer with `accept` or `reject`.
    Requested(Pending),
    /// A request was not answered in time; `accept` gives [`AcceptFailure::Gone`].
    Withdrawn {
        /// Which.
        id: SocketId,
    },
    /// A caller was refused without the application: it asked for what cannot be, a limit was reached, or no answer
    /// came in time. Of very many, some are told.
    Refused(Refusal),
    /// A connection is over; everything that arrived was given to its sink before.
    Closed {
        /// Which.
        id: SocketId,
        /// Why.
        reason: CloseReason,
        /// Its last counters.
        stats: Box<ConnectionReport>,
    },
    /// A peer's address changed.
    Moved {
        /// Whose.
        id: SocketId,
        /// Where it was.
        from: SocketAddr,
        /// Where it is.
        to: SocketAddr,
    },
}

/// A caller that the listener refused by itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// When.
    pub at: Instant,
    /// Its address.
    pub peer: SocketAddr,
    /// What it asked for, untrusted; empty where that could not be read.
    pub stream_id: String,
    /// What it was told.
    pub code: RejectCode,
    /// How many before it were not told of.
    pub untold: u64,
}

/// A caller that waits for an answer.
#[derive(Debug)]
pub struct Pending {
    /// The connection's id, when there will be one.
    pub id: SocketId,
    /// Its address.
    pub peer: SocketAddr,
    /// What it asks for, untrusted.
    pub stream_id: String,
    /// Its key message, when it encrypts: [`ReceiveKeys::open`](crate::core::ReceiveKeys::open) it, away from where
    /// datagrams are taken.
    pub key_message: Option<Vec<u8>>,
    /// The latency that would be agreed on.
    pub latency: Duration,
}

/// A connection as it was accepted.
#[derive(Debug, Clone, Copy)]
pub struct Opened {
    /// The peer's address.
    pub peer: SocketAddr,
    /// How long gaps are held.
    pub latency: Duration,
    /// Whether payloads are encrypted.
    pub encrypted: bool,
}

/// Why a caller could not be accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AcceptFailure {
    /// It was answered already, or does not wait any more.
    #[error("caller does not wait any more")]
    Gone,
    /// Keys for a caller that does not encrypt, or none for one that does. It was told so (1011).
    #[error("only one side encrypts")]
    Unsecure,
}

/// Counters of a listener.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ListenerCounters {
    /// Open connections now.
    pub connections: u64,
    /// Callers that wait for the application's answer now.
    pub half_open: u64,
    /// Callers accepted.
    pub accepted: u64,
    /// Callers refused, for any reason.
    pub rejected: u64,
    /// Of those: with 1010.
    pub wrong_passphrase: u64,
    /// Of those: with 1011.
    pub unsecure: u64,
    /// Of those: because a limit was reached.
    pub overloaded: u64,
    /// Datagrams that are no SRT.
    pub malformed: u64,
    /// Datagrams for no connection, or from where its peer is not.
    pub stray: u64,
    /// Handshakes with a wrong or old cookie.
    pub bad_cookies: u64,
    /// First packets that were not answered, because too many came.
    pub rate_limited: u64,
    /// Handshakes that came again.
    pub repeated_handshakes: u64,
    /// Requests that nobody answered in time.
    pub unanswered: u64,
    /// Connections given up because their peer's process called anew.
    pub replaced: u64,
    /// Peers whose address changed.
    pub moves: u64,
    /// New addresses that were asked to prove themselves.
    pub challenges: u64,
    /// UDP payload bytes received.
    pub received_bytes: u64,
    /// UDP payload bytes sent.
    pub sent_bytes: u64,
    /// Answers to strangers that were not given, because too many waited.
    pub discarded_transmits: u64,
    /// Packets lost on connections that have ended.
    pub lost_packets: u64,
}
