//! What a connection hands to its consumer, and why a connection ends.
//!
//! Invariant: `Data` and `Lost` come in stream order; `Closed` comes once and last.

use bytes::Bytes;

/// The next thing on a connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Delivery {
    /// The next bytes of the stream: one or more whole packets' payloads, in order. Packet borders are not kept.
    Data(Bytes),
    /// Bytes are missing here: this many packets were given up.
    Lost {
        /// Packets that will not come.
        packets: u64,
    },
    /// The connection is over; nothing follows.
    Closed(CloseReason),
}

/// The packets behind a [`Delivery::Lost`], by their sequence numbers (31 bits, which wrap).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LostRange {
    /// The first that will not come.
    pub first: u32,
    /// The last.
    pub last: u32,
}

/// Why a connection ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum CloseReason {
    /// The peer said SHUTDOWN.
    PeerShutdown,
    /// Nothing came from the peer for the idle time.
    PeerIdle,
    /// Nobody listens at the peer's port any more (ICMP port unreachable).
    PeerGone,
    /// The peer reported an error of its own.
    PeerError(u32),
    /// Our side closed it.
    Local,
    /// The consumer did not take what arrived, and its queue was full.
    SlowConsumer,
    /// A caller's packet stayed unacknowledged for a minute.
    Expired,
    /// A key could not be used or refreshed.
    Crypto,
    /// The listener (or the task that drives this connection) has stopped.
    Stopped,
}

impl CloseReason {
    /// A short fixed name, for metrics and logs.
    pub const fn name(self) -> &'static str {
        match self {
            Self::PeerShutdown => "peer_shutdown",
            Self::PeerIdle => "peer_idle",
            Self::PeerGone => "peer_gone",
            Self::PeerError(_) => "peer_error",
            Self::Local => "local",
            Self::SlowConsumer => "slow_consumer",
            Self::Expired => "expired",
            Self::Crypto => "crypto",
            Self::Stopped => "stopped",
        }
    }
}

impl std::fmt::Display for CloseReason {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::PeerShutdown => f.write_str("the peer closed the connection"),
            Self::PeerIdle => f.write_str("nothing came from the peer"),
            Self::PeerGone => f.write_str("nobody listens at the peer's port"),
            Self::PeerError(code) => write!(f, "the peer reported error {code}"),
            Self::Local => f.write_str("closed by this side"),
            Self::SlowConsumer => f.write_str("the consumer was too slow"),
            Self::Expired => f.write_str("a packet stayed unacknowledged for too long"),
            Self::Crypto => f.write_str("a key could not be used"),
            Self::Stopped => f.write_str("the driver has stopped"),
        }
    }
}
