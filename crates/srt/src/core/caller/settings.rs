//! What a caller is told, and tells.

use std::time::Duration;

use crate::core::connection::{ReceiveSettings, SendSettings};
use crate::core::crypto::Cipher;
use crate::{CloseReason, KeySize, Passphrase, RejectCode};

/// How a [`Caller`](super::Caller) behaves.
#[derive(Debug, Clone)]
pub struct CallerSettings {
    /// What it asks for; at most 512 bytes, longer is cut.
    pub stream_id: String,
    /// Encrypt with this.
    pub encryption: Option<CallerEncryption>,
    /// Give up after this (default 3 s).
    pub connect_timeout: Duration,
    /// An unanswered question is repeated after this (default 150 ms).
    pub handshake_retry: Duration,
    /// A peer that says nothing for this long is gone (default 5 s).
    pub peer_idle: Duration,
    /// The receiving half.
    pub receive: ReceiveSettings,
    /// The sending half.
    pub send: SendSettings,
}

impl Default for CallerSettings {
    fn default() -> Self {
        Self {
            stream_id: String::new(),
            encryption: None,
            connect_timeout: Duration::from_secs(3),
            handshake_retry: Duration::from_millis(150),
            peer_idle: Duration::from_secs(5),
            receive: ReceiveSettings::default(),
            send: SendSettings::default(),
        }
    }
}

/// What a caller encrypts with.
#[derive(Debug, Clone)]
pub struct CallerEncryption {
    /// The shared secret.
    pub passphrase: Passphrase,
    /// The AES key length.
    pub key_size: KeySize,
    /// CTR, which every SRT speaks, or GCM.
    pub cipher: Cipher,
}

/// What happened to a caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CallerEvent {
    /// The connection is open.
    Connected {
        /// How long the listener may hold a gap.
        latency: Duration,
    },
    /// The listener said no.
    Rejected(RejectCode),
    /// There was no connection.
    Failed(ConnectFailure),
    /// The connection is over.
    Closed(CloseReason),
}

/// Why there was no connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ConnectFailure {
    /// Nobody answered in time.
    Timeout,
    /// Nobody listens there (ICMP).
    Refused,
    /// The listener cannot use our key.
    Crypto,
    /// The listener is not one for live streams.
    Unsupported,
    /// Closed before it was connected.
    Cancelled,
}
