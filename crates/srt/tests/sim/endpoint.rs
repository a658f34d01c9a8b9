//! What the simulator asks of an end of a connection, so that the core and the fakes can stand in for each other.
//!
//! Belongs here: the trait, the states and the counts that oracles compare. Time is a [`Duration`] since the run
//! began; only the core's adapter knows of `Instant`.

use std::net::SocketAddr;
use std::time::Duration;

use crate::application::Consumer;

/// One end with its application.
pub(crate) trait Endpoint {
    fn receive(&mut self, now: Duration, from: SocketAddr, datagram: &mut [u8]);
    fn wake(&mut self, now: Duration);
    fn next_wake(&self) -> Option<Duration>;
    /// Hands on everything that may go now.
    fn transmit(&mut self, now: Duration, out: &mut dyn FnMut(SocketAddr, &[u8]));
    /// Offers a payload of the application.
    fn send(&mut self, now: Duration, payload: &[u8]) -> Offer;
    fn close(&mut self, now: Duration);
    /// Our own address changed, and we know it.
    fn moved(&mut self, now: Duration);
    fn state(&self) -> &State;
    /// Whether everything that was accepted is acknowledged or dropped.
    fn is_drained(&self) -> bool;
    fn consumer(&mut self) -> &mut Consumer;
    fn counters(&self, now: Duration) -> Counters;
}

/// What became of an offered payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Offer {
    Accepted,
    Refused,
}

/// How far an end is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum State {
    Connecting,
    Open,
    /// Over, and why.
    Closed(String),
}

impl State {
    pub(crate) fn is_closed(&self) -> bool {
        matches!(self, Self::Closed(_))
    }
}

/// What an end says of itself; zero where it has nothing to say.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counters {
    /// Data sent the first time.
    pub(crate) sent_packets: u64,
    pub(crate) resent_packets: u64,
    pub(crate) acked_packets: u64,
    /// Given up by the sender.
    pub(crate) dropped_packets: u64,
    pub(crate) buffered_packets: u64,
    pub(crate) buffered_bytes: u64,
    pub(crate) delivered_bytes: u64,
    pub(crate) lost_packets: u64,
    pub(crate) held_packets: u64,
    pub(crate) moves: u64,
    pub(crate) key_refreshes: u64,
    pub(crate) rtt_us: u64,
    /// Connections that the end ever had.
    pub(crate) connections: u64,
    /// Bytes of heap that the end holds now, and allocations within its calls so far.
    pub(crate) heap_bytes: i64,
    pub(crate) allocations: u64,
}
