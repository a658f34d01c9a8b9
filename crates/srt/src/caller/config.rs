//! How a caller connects and sends.

use std::net::SocketAddr;
use std::time::Duration;

use crate::core::{CallerEncryption, CallerSettings, ReceiveSettings, SendSettings};
use crate::{Cipher, ConnectError, DeliveryMode, Encryption};

/// The longest stream id.
const STREAM_ID_BYTES: usize = 512;

/// How a [`Caller`](crate::Caller) connects and sends.
#[derive(Debug, Clone)]
pub struct CallerConfig {
    /// What is asked for; at most 512 bytes.
    pub stream_id: String,
    /// The latency asked for, 1 ms to 65 s (default 1 s): how long the listener may hold a gap.
    pub latency: Duration,
    /// Encrypt with this.
    pub encryption: Option<Encryption>,
    /// Encrypt so (default [`Cipher::Ctr`], which every listener knows).
    pub cipher: Cipher,
    /// Give up connecting after this (default 3 s).
    pub connect_timeout: Duration,
    /// Repeat an unanswered handshake packet after this (default 150 ms).
    pub handshake_retry: Duration,
    /// The connection is dead when nothing came for this long (default 5 s).
    pub peer_idle: Duration,
    /// Ceiling for everything sent, in bytes a second (default 12.5 MB/s). It is a ceiling, not an estimate: on a
    /// slower link, bursts fill the modem's queue, so set it to what the link can do.
    pub bandwidth_bytes_per_second: u64,
    /// Retransmissions at most, in per cent of what the application sends (default 25).
    pub overhead_percent: u32,
    /// Give up a payload that was not acknowledged after this, and tell the listener (default: never).
    pub too_late: Option<Duration>,
    /// Encrypt with a new key after so many packets (default: 2^24, as libsrt).
    pub key_refresh_packets: Option<u32>,
    /// Payload bytes queued or unacknowledged at most (default 8 MiB, up to 64 MiB).
    pub max_buffer_bytes: usize,
    /// Payload bytes from the listener that may wait for [`Caller::recv`](crate::Caller::recv) (default 1 MiB). Beyond
    /// it the connection is closed, but when nothing was ever received: then the rest is thrown away.
    pub max_queued_bytes: usize,
    /// When payloads from the listener are delivered (default [`DeliveryMode::Hold`]).
    pub delivery: DeliveryMode,
    /// Send from this address. With an IP address of its own it is never left; else the caller goes on from whatever
    /// address the system gives it next, when the one it has is gone.
    pub local: Option<SocketAddr>,
}

impl Default for CallerConfig {
    fn default() -> Self {
        Self {
            stream_id: String::new(),
            latency: Duration::from_secs(1),
            encryption: None,
            cipher: Cipher::Ctr,
            connect_timeout: Duration::from_secs(3),
            handshake_retry: Duration::from_millis(150),
            peer_idle: Duration::from_secs(5),
            bandwidth_bytes_per_second: 12_500_000,
            overhead_percent: 25,
            too_late: None,
            key_refresh_packets: None,
            max_buffer_bytes: 8 << 20,
            max_queued_bytes: 1 << 20,
            delivery: DeliveryMode::Hold,
            local: None,
        }
    }
}

impl CallerConfig {
    /// The protocol's settings.
    ///
    /// # Errors
    /// [`ConnectError::Config`] for what is out of its range.
    pub(super) fn settings(&self) -> Result<CallerSettings, ConnectError> {
        let wrong = |what: &str| Err(ConnectError::Config { what: what.to_owned() });
        if self.stream_id.len() > STREAM_ID_BYTES {
            return wrong("the stream id is longer than 512 bytes");
        }
        if !(Duration::from_millis(1)..=Duration::from_millis(65_535)).contains(&self.latency) {
            return wrong("the latency is not within 1 ms and 65 s");
        }
        if self.max_buffer_bytes == 0 || self.max_buffer_bytes > 64 << 20 {
            return wrong("the buffer is not within 1 byte and 64 MiB");
        }
        if self.bandwidth_bytes_per_second == 0 {
            return wrong("no bandwidth");
        }
        let receive =
            ReceiveSettings { latency: self.latency, mode: self.delivery, ..ReceiveSettings::default() };
        let send = SendSettings {
            bandwidth_bytes_per_s: self.bandwidth_bytes_per_second,
            overhead_percent: self.overhead_percent,
            max_buffer_bytes: self.max_buffer_bytes,
            too_late: self.too_late,
            key_refresh_packets: self.key_refresh_packets,
            ..SendSettings::default()
        };
        Ok(CallerSettings {
            stream_id: self.stream_id.clone(),
            encryption: self.encryption.clone().map(|encryption| CallerEncryption {
                passphrase: encryption.passphrase,
                key_size: encryption.key_size,
                cipher: self.cipher,
            }),
            connect_timeout: self.connect_timeout,
            handshake_retry: self.handshake_retry,
            peer_idle: self.peer_idle,
            receive,
            send,
        })
    }
}
