//! A sender against a model: a link with loss, delay and a rate, and a tiny receiver, all on virtual time.

mod cost;
mod flow;
mod hostile;
mod loss;
mod rate;
mod rig;
mod seal;
mod world;

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use super::{Sender, SenderConfig};
use crate::core::packet::{Ack, Body, Packet};
use crate::core::seq::{Seq, SeqRange, SocketId};
use crate::core::transmit::Transmits;
use rig::Rig;
use world::Link;

const ID: SocketId = SocketId(7);
/// The largest payload.
const FULL: usize = 1316;

fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

fn peer() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], 9))
}

fn config() -> SenderConfig {
    SenderConfig {
        start: Seq::new(0x7fff_ff00),
        peer_latency: ms(120),
        too_late: None,
        max_buffer_bytes: 1 << 24,
        max_buffer_packets: 25_600,
        bandwidth_bytes_per_s: 12_500_000,
        overhead_percent: 25,
        max_payload: FULL,
        peer_window: 8192,
    }
}

fn seq(place: u64) -> Seq {
    config().start.plus(u32::try_from(place).unwrap())
}

/// A NAK as the packet parser gives it.
fn nak_of(datagram: &[u8]) -> Vec<SeqRange> {
    match Packet::parse(datagram) {
        Ok(Packet::Control(control)) => match control.body {
            Body::Nak(list) => list.ranges().collect(),
            _ => Vec::new(),
        },
        _ => Vec::new(),
    }
}
