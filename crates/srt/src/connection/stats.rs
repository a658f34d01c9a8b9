//! What is counted for one connection.

use crate::core::ConnectionReport;

/// Counters of one connection.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ConnectionStats {
    /// Data packets that arrived, every copy.
    pub received_packets: u64,
    /// Their payload bytes.
    pub received_bytes: u64,
    /// Payload bytes handed over in order (queued for the consumer or taken by it).
    pub delivered_bytes: u64,
    /// Packets given up.
    pub lost_packets: u64,
    /// Copies of packets that were held already.
    pub duplicate_packets: u64,
    /// Packets that came after they had been delivered or given up.
    pub late_packets: u64,
    /// Packets marked as retransmissions.
    pub retransmitted_packets: u64,
    /// Packets refused: outside the window, or not to be decrypted.
    pub refused_packets: u64,
    /// NAK packets sent.
    pub naks_sent: u64,
    /// ACK packets sent.
    pub acks_sent: u64,
    /// Packets that wait behind a gap now.
    pub held_packets: u64,
    /// Payload bytes that wait for the consumer now.
    pub queued_bytes: u64,
    /// Smoothed round-trip time, in microseconds.
    pub rtt_us: u64,
    /// UDP payload bytes received.
    pub wire_received_bytes: u64,
    /// UDP payload bytes sent.
    pub wire_sent_bytes: u64,
    /// Times the peer came from a new address and proved that it is still itself.
    pub moves: u64,
    /// Key changes of the peer.
    pub key_refreshes: u64,
}

impl ConnectionStats {
    /// Takes over what the protocol counts; what the queue counts stays.
    pub(crate) fn update(&mut self, report: &ConnectionReport) {
        let receiver = &report.receiver;
        *self = Self {
            received_packets: receiver.received_packets,
            received_bytes: receiver.received_bytes,
            delivered_bytes: self.delivered_bytes,
            lost_packets: self.lost_packets,
            duplicate_packets: receiver.duplicate_packets,
            late_packets: receiver.late_packets,
            retransmitted_packets: receiver.retransmitted_packets,
            refused_packets: receiver.refused_packets + report.undecryptable_packets,
            naks_sent: receiver.naks_sent,
            acks_sent: receiver.acks_sent,
            held_packets: receiver.held_packets,
            queued_bytes: self.queued_bytes,
            rtt_us: u64::from(receiver.rtt_us),
            wire_received_bytes: report.wire_received_bytes,
            wire_sent_bytes: report.wire_sent_bytes,
            moves: report.moves,
            key_refreshes: report.key_refreshes,
        };
    }
}
