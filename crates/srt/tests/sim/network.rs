//! The network between a caller and a listener: datagrams in flight, addresses, counts.
//!
//! Belongs here: who has which address, the heap of flights, what reaches whom. What happens to a datagram on its
//! way is in [`link`], what the ends say is none of its business but for the counts in [`traffic`].
//! Time is a [`Duration`] since the run began. Everything is decided by the seed.

pub(crate) mod link;
pub(crate) mod traffic;

use std::cmp::{Ordering, Reverse};
use std::collections::BinaryHeap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use fastrand::Rng;

use link::{Link, Path};
use traffic::Traffic;

/// Where the listener is. It never moves.
pub(crate) const LISTENER: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1)), 9000);
/// Where the caller is at first.
pub(crate) const CALLER: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::new(198, 51, 100, 7)), 40_000);

/// The two ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    Caller,
    Listener,
}

/// One datagram that will arrive.
#[derive(Debug)]
pub(crate) struct Flight {
    pub(crate) at: Duration,
    serial: u64,
    pub(crate) to: Side,
    target: SocketAddr,
    pub(crate) from: SocketAddr,
    pub(crate) bytes: Vec<u8>,
}

/// Both directions, the addresses and what is under way.
pub(crate) struct Network {
    flights: BinaryHeap<Reverse<Flight>>,
    serial: u64,
    up: Link,
    down: Link,
    caller: SocketAddr,
    spare: Vec<Vec<u8>>,
    rng: Rng,
    /// The caller's initial sequence number, as seen on the wire.
    pub(crate) start: Option<u32>,
    /// Bytes that the listener sent to addresses that never were the caller's.
    pub(crate) to_strangers: u64,
    /// Bytes that strangers sent to the listener.
    pub(crate) from_strangers: u64,
}

impl Network {
    pub(crate) fn new(up: Path, down: Path, seed: u64) -> Self {
        Self {
            flights: BinaryHeap::new(),
            serial: 0,
            up: Link::new(up),
            down: Link::new(down),
            caller: CALLER,
            spare: Vec::new(),
            rng: Rng::with_seed(seed),
            start: None,
            to_strangers: 0,
            from_strangers: 0,
        }
    }

    /// The address that the listener sees the caller at.
    pub(crate) fn caller(&self) -> SocketAddr {
        self.caller
    }

    /// Gives the caller another address: what is under way to the old one is lost.
    pub(crate) fn rebind(&mut self, address: SocketAddr) {
        self.caller = address;
    }

    /// One end sends a datagram.
    pub(crate) fn send(&mut self, now: Duration, side: Side, target: SocketAddr, bytes: &[u8]) {
        let (link, to, from) = match side {
            Side::Caller => (&mut self.up, Side::Listener, self.caller),
            Side::Listener => (&mut self.down, Side::Caller, LISTENER),
        };
        if side == Side::Caller && self.start.is_none() {
            self.start = traffic::initial_sequence(bytes);
        }
        if side == Side::Listener && is_stranger(target) {
            self.to_strangers += bytes.len() as u64;
            return;
        }
        let fate = link.carry(now, bytes, &mut self.rng);
        let shift = link.path.shift_messages;
        for at in fate.arrivals.into_iter().flatten() {
            let mut copy = self.spare.pop().unwrap_or_default();
            copy.extend_from_slice(bytes);
            traffic::shift_message(&mut copy, shift);
            if fate.corrupt {
                corrupt(&mut copy, &mut self.rng);
            }
            self.launch(Flight { at, serial: 0, to, target, from, bytes: copy });
        }
    }

    /// Somebody else puts a datagram in front of one end, past every link.
    pub(crate) fn inject(&mut self, now: Duration, to: Side, from: SocketAddr, bytes: Vec<u8>) {
        if to == Side::Listener && is_stranger(from) {
            self.from_strangers += bytes.len() as u64;
        }
        let target = if to == Side::Listener { LISTENER } else { self.caller };
        self.launch(Flight { at: now, serial: 0, to, target, from, bytes });
    }

    /// When the next datagram arrives.
    pub(crate) fn next_arrival(&self) -> Option<Duration> {
        self.flights.peek().map(|flight| flight.0.at)
    }

    /// The next datagram that has arrived by now, if any.
    pub(crate) fn take(&mut self, now: Duration) -> Option<Flight> {
        while self.next_arrival().is_some_and(|at| at <= now) {
            let Reverse(flight) = self.flights.pop()?;
            if flight.to == Side::Listener || flight.target == self.caller {
                return Some(flight);
            }
            self.recycle(flight.bytes);
        }
        None
    }

    /// Takes a buffer back.
    pub(crate) fn recycle(&mut self, mut bytes: Vec<u8>) {
        bytes.clear();
        self.spare.push(bytes);
    }

    /// What went from the caller to the listener, and back.
    pub(crate) fn traffic(&self) -> (Traffic, Traffic) {
        (self.up.traffic.clone(), self.down.traffic.clone())
    }

    fn launch(&mut self, mut flight: Flight) {
        flight.serial = self.serial;
        self.serial += 1;
        self.flights.push(Reverse(flight));
    }
}

/// Attackers live in 203.0.113.0/24, and nobody else does.
fn is_stranger(address: SocketAddr) -> bool {
    matches!(address.ip(), IpAddr::V4(ip) if ip.octets()[..3] == [203, 0, 113])
}

/// Flips bits, and now and then cuts the end off.
pub(crate) fn corrupt(bytes: &mut Vec<u8>, rng: &mut Rng) {
    for _ in 0..rng.usize(1..=4) {
        if let Some(byte) = rng.choice(bytes.iter_mut()) {
            *byte ^= 1 << rng.u8(0..8);
        }
    }
    if rng.u8(0..8) == 0 {
        bytes.truncate(rng.usize(0..=bytes.len()));
    }
}

impl Ord for Flight {
    fn cmp(&self, other: &Self) -> Ordering {
        (self.at, self.serial).cmp(&(other.at, other.serial))
    }
}

impl PartialOrd for Flight {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Flight {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Flight {}
