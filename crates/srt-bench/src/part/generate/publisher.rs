//! One publisher of the load.

use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

use crate::sys::Outbox;
use crate::wire::{self, Answer};

/// A handshake packet that brought no answer is repeated after this.
const RETRY: Duration = Duration::from_millis(500);
const KEEPALIVE: Duration = Duration::from_secs(1);
/// The first socket id; the publishers' follow.
const FIRST_SOCKET: u32 = 0x1000;
const LATENCY_MS: u16 = 120;

/// What all publishers have seen.
#[derive(Default)]
pub(super) struct Counts {
    pub(super) packets: u64,
    /// Packets that were due while the generator was kept from running, and were left out.
    pub(super) forgotten: u64,
    naks: u64,
    asked_again: u64,
    acks: u64,
    rejected: u64,
    closed: u64,
}

impl Counts {
    pub(super) fn line(&self, open: usize) -> String {
        let Self { packets, forgotten, naks, asked_again, acks, rejected, closed } = self;
        format!(
            "open={open} packets={packets} forgotten={forgotten} naks={naks} asked_again={asked_again} acks={acks} \
             rejected={rejected} closed={closed}"
        )
    }
}

enum State {
    Induction,
    Conclusion { cookie: u32 },
    Open { peer: u32 },
    Closed,
}

pub(super) struct Publisher {
    index: u32,
    state: State,
    seq: u32,
    message: u32,
    /// When a handshake packet or a keepalive is due.
    speaks: Option<Instant>,
}

impl Publisher {
    /// A raw one needs no handshake.
    pub(super) fn new(index: usize, raw: bool) -> Self {
        // Wraps come early for some.
        let seq = fastrand::u32(..) & 0x7fff_ffff;
        let state = if raw { State::Open { peer: 1 } } else { State::Induction };
        Self { index: index as u32, state, seq, message: 0, speaks: None }
    }

    /// Which publisher a datagram is for.
    pub(super) fn index_of(socket: u32) -> Option<usize> {
        socket.checked_sub(FIRST_SOCKET).map(|index| index as usize)
    }

    /// Its own address in 127.0.0.0/8.
    pub(super) fn addr(&self) -> Ipv4Addr {
        Ipv4Addr::from(0x7f0a_0001 + self.index)
    }

    pub(super) fn is_open(&self) -> bool {
        matches!(self.state, State::Open { .. })
    }

    /// The head of its next data packet.
    pub(super) fn data(&mut self, stamp_us: u32) -> Option<[u8; wire::HEADER_BYTES]> {
        let State::Open { peer } = self.state else { return None };
        self.message = (self.message % 0x03ff_ffff) + 1;
        let head = wire::data(self.seq, self.message, stamp_us, peer);
        self.seq = (self.seq + 1) & 0x7fff_ffff;
        Some(head)
    }

    /// Takes what the listener says.
    pub(super) fn hear(&mut self, datagram: &[u8], stamp_us: u32, counts: &mut Counts, out: &mut Outbox) {
        match (Answer::read(datagram), &self.state) {
            (Answer::Cookie(cookie), State::Induction) => {
                (self.state, self.speaks) = (State::Conclusion { cookie }, None);
            }
            (Answer::Open(peer), State::Conclusion { .. }) => {
                (self.state, self.speaks) = (State::Open { peer }, None);
            }
            (Answer::Rejected, State::Induction | State::Conclusion { .. }) => {
                counts.rejected += 1;
                (self.state, self.speaks) = (State::Induction, Some(Instant::now() + RETRY));
            }
            (Answer::Ack(number), State::Open { peer }) => {
                counts.acks += 1;
                out.push(self.addr(), &wire::ackack(number, stamp_us, *peer), false);
            }
            (Answer::Nak(ranges), State::Open { peer }) => {
                counts.naks += 1;
                for (first, last) in ranges {
                    counts.asked_again += u64::from(last.wrapping_sub(first) & 0x7fff_ffff) + 1;
                    out.push(self.addr(), &wire::drop_request(first, last, stamp_us, *peer), false);
                }
            }
            (Answer::Shutdown, State::Open { .. }) => {
                counts.closed += 1;
                self.state = State::Closed;
            }
            _ => {}
        }
    }

    /// Says what is due.
    pub(super) fn speak(&mut self, now: Instant, stamp_us: u32, out: &mut Outbox) {
        if self.speaks.is_some_and(|at| at > now) {
            return;
        }
        let socket = FIRST_SOCKET + self.index;
        match self.state {
            State::Induction => {
                self.speaks = Some(now + RETRY);
                out.push(self.addr(), &wire::induction(stamp_us, socket, self.seq), false);
            }
            State::Conclusion { cookie } => {
                self.speaks = Some(now + RETRY);
                out.push(
                    self.addr(),
                    &wire::conclusion(stamp_us, socket, self.seq, cookie, LATENCY_MS),
                    false,
                );
            }
            State::Open { peer } => {
                self.speaks = Some(now + KEEPALIVE);
                out.push(self.addr(), &wire::keepalive(stamp_us, peer), false);
            }
            State::Closed => {}
        }
    }
}
