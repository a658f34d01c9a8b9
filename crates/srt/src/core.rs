//! The protocol without sockets, threads and clocks: datagrams and `now` go in, datagrams, payloads and events come out.
//!
//! [`Caller`] is the calling side of one connection, [`Listener`] the listening side of many. Both are driven alike:
//! after any call that takes `now`, call `poll_transmit`, then `poll_event` until it has none, then wait for a datagram
//! or for `next_timeout`.
//!
//! What does not belong here: anything that knows the time, a socket or a runtime.
//!
//! draft-sharabayko-srt-01.

#[cfg(test)]
mod bench;
mod caller;
mod connection;
pub mod crypto;
mod handshake;
mod listener;
pub mod packet;
pub mod receive;
pub mod send;
pub mod seq;
pub mod transmit;

#[cfg(test)]
mod tests;

pub use caller::{Caller, CallerEncryption, CallerEvent, CallerSettings, ConnectFailure};
pub use connection::{ConnectionReport, Random, ReceiveSettings, SendError, SendSettings};
pub use crypto::{Cipher, KeyError, ReceiveKeys, SendKeys};
pub use listener::{
    AcceptFailure, EncryptionPolicy, Listener, ListenerCounters, ListenerEvent, ListenerSettings, Opened,
    Pending, Refusal, Sinks, Worker,
};
pub use packet::{MAX_DATAGRAM_BYTES, MAX_PAYLOAD_BYTES, Packet, PacketError, destination, is_data};
pub use receive::{DeliveryMode, ReceiverStats, Sink};
pub use send::SenderStats;
pub use seq::{Seq, SeqRange, SocketId};
pub use transmit::{Datagram, Transmits};
