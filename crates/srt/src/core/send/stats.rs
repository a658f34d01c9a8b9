//! What a sender counts and estimates, for whoever governs its rate.

use std::time::Duration;

/// Counters and estimates of a sender; all byte counts but `wire_sent_bytes` are payload bytes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SenderStats {
    /// Smoothed round-trip time as the peer reports it, in microseconds.
    pub rtt_us: u64,
    /// Its variance, in microseconds.
    pub rtt_var_us: u64,
    /// Payloads taken from the application.
    pub accepted_packets: u64,
    /// Their bytes.
    pub accepted_bytes: u64,
    /// Data packets sent, retransmissions included.
    pub sent_packets: u64,
    /// Their payload bytes.
    pub sent_bytes: u64,
    /// Retransmitted packets, probes included.
    pub retransmitted_packets: u64,
    /// Their payload bytes.
    pub retransmitted_bytes: u64,
    /// Packets acknowledged by the peer (which is no receipt), cumulative and in order.
    pub acked_packets: u64,
    /// Their payload bytes.
    pub acked_bytes: u64,
    /// Packets given up as too late.
    pub dropped_packets: u64,
    /// Their payload bytes.
    pub dropped_bytes: u64,
    /// Packets queued or unacknowledged now.
    pub buffered_packets: u64,
    /// Their payload bytes.
    pub buffered_bytes: u64,
    /// Packets sent and neither acknowledged nor dropped.
    pub in_flight_packets: u64,
    /// Age of the oldest unacknowledged payload.
    pub buffered: Duration,
    /// Time since the peer was last heard.
    pub silence: Duration,
    /// NAK packets received.
    pub naks: u64,
    /// Packets that a NAK named although their retransmission was still on its way.
    pub retransmit_suppressed: u64,
    /// Retransmissions that nobody asked for: a tail that may be lost.
    pub probes: u64,
    /// What the application gives, in bytes a second.
    pub input_bytes_per_s: u64,
    /// What the peer says it receives, in bytes a second.
    pub delivery_bytes_per_s: u64,
    /// What the link carries, as far as it was seen, in bytes a second; 0 as long as nothing is known.
    pub estimated_bytes_per_s: u64,
    /// UDP payload bytes of all data packets sent; control packets are the connection's to count.
    pub wire_sent_bytes: u64,
}
