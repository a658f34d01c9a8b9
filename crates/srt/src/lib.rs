//! SRT for live MPEG-TS: a [`Listener`] that loses nothing it can still get, and a [`Caller`] that paces what it sends.
//!
//! What the listener does differently from a player's SRT: it has no playout delay. Payloads are delivered in order
//! and at once; a gap is *held* until the missing packets arrive, the sender says that it dropped them (DROPREQ), or
//! the hold horizon (the negotiated latency) is over. Only then is the gap reported, as [`Delivery::Lost`]. Who wants
//! SRT as others have it takes [`DeliveryMode::Tsbpd`].
//!
//! Rooms: [`core`] is the protocol, without sockets and clocks; `listener` and `caller` drive it, by the sockets of
//! `sys`; `line` is a caller that connects again by itself; `queue` stands between a connection and its consumer.
//!
//! What does not belong here: stream id grammar, who may publish, what the bytes are.
//!
//! Protocol: draft-sharabayko-srt-01; reject codes: Haivision/srt `docs/features/access-control.md`.

#![deny(unsafe_code)]
#![cfg_attr(test, allow(clippy::unwrap_used))]

mod caller;
mod connection;
pub mod core;
mod delivery;
mod line;
mod listener;
mod passphrase;
mod queue;
mod reject;
mod sys;
mod url;

pub use crate::core::{Cipher, DeliveryMode, Refusal};
pub use caller::{Caller, CallerConfig, ConnectError, SendError, SendStats};
pub use connection::{Connection, ConnectionStats};
pub use delivery::{CloseReason, Delivery, LostRange};
pub use line::{Call, CallEnd, Dialler, Interrupted, InterruptedBy, Line, LineError, Pulse, VigilConfig};
pub use listener::{AcceptError, Listener, ListenerConfig, ListenerStats, ListenerStatsHandle, Request};
pub use passphrase::{Encryption, KeySize, Passphrase, PassphraseError};
pub use reject::{RejectCode, RejectReason};
pub use url::{SrtUrl, SrtUrlError};

/// The largest payload of one SRT packet, in bytes.
pub const MAX_PAYLOAD_BYTES: usize = 1456;

/// The usual payload of one SRT packet: seven TS packets.
pub const TS_PAYLOAD_BYTES: usize = 7 * 188;
