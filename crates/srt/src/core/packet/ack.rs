//! Acknowledgements: light (one word), small (four) and full (six, or seven since 1.0.2; more are ignored).
//!
//! draft-sharabayko-srt-01 §3.2.4.

use super::Body;
use super::words::{put, words};
use crate::core::seq::Seq;

/// An acknowledgement that wants an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ack {
    /// Its own number, which the ACKACK repeats.
    pub number: u32,
    /// The first packet that did not arrive.
    pub ack: Seq,
    /// The receiver's smoothed round-trip time, in microseconds.
    pub rtt_us: u32,
    /// Its variance, in microseconds.
    pub rtt_var_us: u32,
    /// How many packets the receiver still has room for.
    pub free_packets: u32,
    /// Measured rates; a small ACK has none.
    pub rates: Option<Rates>,
}

/// The receiver's view of the path.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Rates {
    /// What arrives, in packets per second.
    pub packets_per_s: u32,
    /// The estimated capacity of the link, in packets per second.
    pub link_packets_per_s: u32,
    /// What arrives, in bytes per second; 0 from peers before 1.0.2.
    pub bytes_per_s: u32,
}

impl Ack {
    /// Reads an ACK of any kind: [`Body::Ack`] or [`Body::LightAck`].
    pub(super) fn parse<'a>(number: u32, cif: &[u8]) -> Option<Body<'a>> {
        let [ack] = words(cif)?;
        let ack = Seq::new(ack);
        let Some([_, rtt_us, rtt_var_us, free_packets]) = words(cif) else {
            return Some(Body::LightAck { ack });
        };
        let rates = words(cif).map(|[_, _, _, _, packets_per_s, link_packets_per_s]| Rates {
            packets_per_s,
            link_packets_per_s,
            bytes_per_s: words(cif).map_or(0, |[_, _, _, _, _, _, bytes_per_s]| bytes_per_s),
        });
        Some(Body::Ack(Self { number, ack, rtt_us, rtt_var_us, free_packets, rates }))
    }

    /// Appends the control information.
    pub(super) fn write(&self, out: &mut Vec<u8>) {
        put(out, &[self.ack.raw(), self.rtt_us, self.rtt_var_us, self.free_packets]);
        if let Some(rates) = self.rates {
            put(out, &[rates.packets_per_s, rates.link_packets_per_s, rates.bytes_per_s]);
        }
    }
}
