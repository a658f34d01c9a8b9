//! What a caller counts and estimates, for whoever governs its rate.

use std::time::Duration;

/// Counters and estimates of a caller; all byte counts but `wire_…` are payload bytes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SendStats {
    /// Smoothed round-trip time, in microseconds.
    pub rtt_us: u64,
    /// Its variance as the peer reports it, in microseconds.
    pub rtt_var_us: u64,
    /// Payloads taken from the application.
    pub accepted_packets: u64,
    /// Their bytes.
    pub accepted_bytes: u64,
    /// Data packets sent, retransmissions included.
    pub sent_packets: u64,
    /// Their payload bytes.
    pub sent_bytes: u64,
    /// Retransmitted packets.
    pub retransmitted_packets: u64,
    /// Their payload bytes.
    pub retransmitted_bytes: u64,
    /// Packets acknowledged by the peer's SRT (which is no receipt), cumulative and in order.
    pub acked_packets: u64,
    /// Their payload bytes.
    pub acked_bytes: u64,
    /// Packets queued or unacknowledged now.
    pub buffered_packets: u64,
    /// Their payload bytes.
    pub buffered_bytes: u64,
    /// Age of the oldest unacknowledged payload, in steps of 20 ms.
    pub buffered: Duration,
    /// Time since the peer was last heard.
    pub silence: Duration,
    /// NAK packets received.
    pub naks: u64,
    /// What the peer says it receives, in payload bytes a second.
    pub delivery_bytes_per_second: u64,
    /// UDP payload bytes sent, all packets.
    pub wire_sent_bytes: u64,
    /// UDP payload bytes received.
    pub wire_received_bytes: u64,
}
