//! How the two halves of a connection behave, and what they count.

use std::time::Duration;

use crate::core::receive::{DeliveryMode, ReceiverStats};
use crate::core::send::{SendRefusal, SenderStats};

/// Fills a buffer with unpredictable bytes: the operating system's, or in a simulation those of a seeded generator.
pub type Random = Box<dyn FnMut(&mut [u8]) + Send>;

/// The sending half of either side.
#[derive(Debug, Clone)]
pub struct SendSettings {
    /// Ceiling for everything sent, in bytes a second (default 12.5 MB/s).
    pub bandwidth_bytes_per_s: u64,
    /// Retransmissions over the rate of what is sent the first time, in percent (default 25).
    pub overhead_percent: u32,
    /// Payload bytes queued or unacknowledged at most (default 8 MiB).
    pub max_buffer_bytes: usize,
    /// Packets queued or unacknowledged at most (default 25,600).
    pub max_buffer_packets: u32,
    /// The largest payload (default 1316 bytes: seven TS packets).
    pub max_payload: usize,
    /// Payloads older than this are dropped and the peer is told; `None` (the default): never.
    pub too_late: Option<Duration>,
    /// Take a new key after so many packets; `None`: after 2^24.
    pub key_refresh_packets: Option<u32>,
}

impl Default for SendSettings {
    fn default() -> Self {
        Self {
            bandwidth_bytes_per_s: 12_500_000,
            overhead_percent: 25,
            max_buffer_bytes: 8 << 20,
            max_buffer_packets: 25_600,
            max_payload: crate::TS_PAYLOAD_BYTES,
            too_late: None,
            key_refresh_packets: None,
        }
    }
}

/// The receiving half of either side.
#[derive(Debug, Clone)]
pub struct ReceiveSettings {
    /// How long a gap is held, or how much later than sent payloads are played out; the peer may want more (default
    /// 1 s).
    pub latency: Duration,
    /// Deliver at once, or play out (default [`DeliveryMode::Hold`]).
    pub mode: DeliveryMode,
    /// Acknowledge no more often than this (default 100 ms; libsrt 10 ms).
    pub ack_interval: Duration,
    /// Packets held behind a gap at most (default 8192).
    pub window_packets: u32,
}

impl Default for ReceiveSettings {
    fn default() -> Self {
        Self {
            latency: Duration::from_secs(1),
            mode: DeliveryMode::Hold,
            ack_interval: Duration::from_millis(100),
            window_packets: 8192,
        }
    }
}

/// Why a payload was not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SendError {
    /// There is no connection (yet, or any more).
    #[error("not connected")]
    Closed,
    /// No room now.
    #[error("send buffer full")]
    Full,
    /// Empty, or larger than the largest payload.
    #[error("payload of a size that does not fit a packet")]
    Size,
}

impl From<SendRefusal> for SendError {
    fn from(refusal: SendRefusal) -> Self {
        match refusal {
            SendRefusal::Full => Self::Full,
            SendRefusal::Size => Self::Size,
        }
    }
}

/// Counters of one connection.
#[derive(Debug, Clone, Copy, Default)]
pub struct ConnectionReport {
    /// The receiving half.
    pub receiver: ReceiverStats,
    /// The sending half; `None` when nothing was ever sent.
    pub sender: Option<SenderStats>,
    /// UDP payload bytes received.
    pub wire_received_bytes: u64,
    /// UDP payload bytes sent.
    pub wire_sent_bytes: u64,
    /// Data packets that nothing could be made of: no key, forged, or clear where encryption is agreed (or the
    /// reverse).
    pub undecryptable_packets: u64,
    /// Keys of the peer taken after the first.
    pub key_refreshes: u64,
    /// Times that the peer's address changed.
    pub moves: u64,
}
