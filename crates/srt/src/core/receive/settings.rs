//! What a receiver is told, and tells.

use std::time::{Duration, Instant};

use crate::core::packet::Ack;
use crate::core::seq::{Seq, SeqRange};

/// When packets are handed on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeliveryMode {
    /// In order, at once; a gap is held for the latency.
    Hold,
    /// By their time stamps, the latency later.
    Tsbpd {
        /// A gap ends when a packet behind it is due; else it waits for eight latencies, at least 10 s.
        drop_too_late: bool,
    },
}

/// What a [`Receiver`](super::Receiver) is to do.
#[derive(Debug, Clone, Copy)]
pub struct ReceiverConfig {
    /// The first packet.
    pub start: Seq,
    /// When packets are handed on.
    pub mode: DeliveryMode,
    /// How long a gap is held, or the delay of the playout.
    pub latency: Duration,
    /// The least time between two full ACKs.
    pub ack_interval: Duration,
    /// How many packets may wait, 16 at least.
    pub window_packets: u32,
    /// What stamp 0 means.
    pub began: Instant,
}

/// Where the stream goes, in order.
pub trait Sink {
    /// The next packet's payload.
    fn data(&mut self, payload: &[u8]);
    /// These packets will not come.
    fn lost(&mut self, range: SeqRange);
}

/// What became of a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Taken {
    /// Handed on.
    Delivered,
    /// Behind a gap, or before its time.
    Held,
    /// Held already.
    Duplicate,
    /// Handed on or given up before.
    Late,
    /// Refused.
    OutsideWindow,
}

/// An acknowledgement to send.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AckOut {
    /// It will be answered.
    Full(Ack),
    /// Only how far the stream came.
    Light(Seq),
}

/// Counters and measures of a [`Receiver`](super::Receiver).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ReceiverStats {
    /// All data packets that came.
    pub received_packets: u64,
    /// Their payloads.
    pub received_bytes: u64,
    /// Handed on.
    pub delivered_bytes: u64,
    /// Reported lost.
    pub lost_packets: u64,
    /// Came while held already.
    pub duplicate_packets: u64,
    /// Came when handed on or given up before.
    pub late_packets: u64,
    /// Marked as sent again.
    pub retransmitted_packets: u64,
    /// Outside the window.
    pub refused_packets: u64,
    /// Loss reports.
    pub naks_sent: u64,
    /// Acknowledgements, light ones too.
    pub acks_sent: u64,
    /// Held now.
    pub held_packets: u64,
    /// Their payloads.
    pub held_bytes: u64,
    /// The smoothed round trip.
    pub rtt_us: u32,
    /// Its variance.
    pub rtt_var_us: u32,
    /// What came in the last second.
    pub bytes_per_s: u32,
    /// How long a fresh gap is taken for a reordering.
    pub reorder_wait: Duration,
}
