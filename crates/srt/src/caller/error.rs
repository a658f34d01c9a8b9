//! Why a caller could not connect, or not send.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use crate::{CloseReason, RejectCode};

/// Why a connect failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConnectError {
    /// Nobody answered in time.
    #[error("no answer from {peer} within {timeout:?}")]
    Timeout {
        /// Who was called.
        peer: SocketAddr,
        /// How long.
        timeout: Duration,
    },
    /// The host answered that nobody listens at this port.
    #[error("nobody listens at {peer}")]
    Refused {
        /// Who was called.
        peer: SocketAddr,
    },
    /// The listener said no.
    #[error("{peer} refused: {code}")]
    Rejected {
        /// Who was called.
        peer: SocketAddr,
        /// Its code, with its meaning.
        code: RejectCode,
    },
    /// The listener speaks an SRT that a live caller cannot use.
    #[error("{peer} is not a usable SRT live listener")]
    Unsupported {
        /// Who was called.
        peer: SocketAddr,
    },
    /// The listener's key material does not match.
    #[error("encryption with {peer} failed")]
    Crypto {
        /// Who was called.
        peer: SocketAddr,
    },
    /// A setting is out of its range.
    #[error("caller configuration: {what}")]
    Config {
        /// Which one.
        what: String,
    },
    /// The host name has no address.
    #[error("cannot resolve {host}")]
    Resolve {
        /// The name.
        host: String,
        /// The resolver's error.
        #[source]
        source: io::Error,
    },
    /// A socket function failed.
    #[error("socket to {peer}")]
    Io {
        /// Who was called.
        peer: SocketAddr,
        /// The system's error.
        #[source]
        source: io::Error,
    },
}

/// Why a payload was not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SendError {
    /// The connection is over.
    #[error("connection closed: {0}")]
    Closed(CloseReason),
    /// No room now ([`Caller::try_send`](crate::Caller::try_send) only).
    #[error("send buffer full")]
    Full,
    /// Empty or larger than a packet.
    #[error("payload of {bytes} bytes, 1 to {} are allowed", crate::TS_PAYLOAD_BYTES)]
    Size {
        /// Its length.
        bytes: usize,
    },
}
