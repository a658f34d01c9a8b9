//! What a caller counts and estimates, for whoever governs its rate.

use std::time::Duration;

use crate::core::ConnectionReport;

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
    /// Packets given up as too late.
    pub dropped_packets: u64,
    /// Their payload bytes.
    pub dropped_bytes: u64,
    /// Packets queued or unacknowledged now.
    pub buffered_packets: u64,
    /// Their payload bytes.
    pub buffered_bytes: u64,
    /// Age of the oldest unacknowledged payload.
    pub buffered: Duration,
    /// Time since the peer was last heard.
    pub silence: Duration,
    /// NAK packets received.
    pub naks: u64,
    /// What the peer says it receives, in payload bytes a second.
    pub delivery_bytes_per_second: u64,
    /// What the link carries, as far as it was seen, in bytes a second; 0 as long as nothing is known.
    pub estimated_bytes_per_second: u64,
    /// UDP payload bytes sent, all packets.
    pub wire_sent_bytes: u64,
    /// UDP payload bytes received.
    pub wire_received_bytes: u64,
    /// Times the caller went on from another address of its own.
    pub moves: u64,
}

impl SendStats {
    pub(super) fn of(report: &ConnectionReport, silence: Duration, moves: u64) -> Self {
        let wire = Self {
            silence,
            moves,
            wire_sent_bytes: report.wire_sent_bytes,
            wire_received_bytes: report.wire_received_bytes,
            ..Self::default()
        };
        let Some(sender) = &report.sender else { return wire };
        Self {
            rtt_us: sender.rtt_us,
            rtt_var_us: sender.rtt_var_us,
            accepted_packets: sender.accepted_packets,
            accepted_bytes: sender.accepted_bytes,
            sent_packets: sender.sent_packets,
            sent_bytes: sender.sent_bytes,
            retransmitted_packets: sender.retransmitted_packets,
            retransmitted_bytes: sender.retransmitted_bytes,
            acked_packets: sender.acked_packets,
            acked_bytes: sender.acked_bytes,
            dropped_packets: sender.dropped_packets,
            dropped_bytes: sender.dropped_bytes,
            buffered_packets: sender.buffered_packets,
            buffered_bytes: sender.buffered_bytes,
            buffered: sender.buffered,
            naks: sender.naks,
            delivery_bytes_per_second: sender.delivery_bytes_per_s,
            estimated_bytes_per_second: sender.estimated_bytes_per_s,
            ..wire
        }
    }
}
