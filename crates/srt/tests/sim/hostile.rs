//! Attackers: what they know, and what they send.
//!
//! Belongs here: forged datagrams from those who see nothing (strangers, and liars with the peer's address), and
//! copies, changed or not, from those who see everything. What must hold then is in the scenario.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::Duration;

use fastrand::Rng;

use crate::network::{CALLER, Flight, LISTENER, Network, Side, corrupt};
use crate::scenario::Scenario;

/// Copies that an attacker keeps.
const HEARD: usize = 64;

/// Who attacks, one datagram each so long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Hostile {
    None,
    /// Forgeries from addresses of their own.
    Strangers(Duration),
    /// Forgeries from the peer's address, by one who sees nothing and so knows no socket id and no cookie.
    Liars(Duration),
    /// Unchanged copies, later, from the peer's address and from others.
    Replays(Duration),
    /// Changed copies, from the peer's address and from others.
    Mutations(Duration),
}

impl Hostile {
    fn every(self) -> Option<Duration> {
        match self {
            Self::None => None,
            Self::Strangers(every) | Self::Liars(every) | Self::Replays(every) | Self::Mutations(every) => {
                Some(every)
            }
        }
    }
}

/// An attack under way.
pub(crate) struct Attack {
    hostile: Hostile,
    due: Option<Duration>,
    ends: Duration,
    heard: VecDeque<(Side, SocketAddr, Vec<u8>)>,
    rng: Rng,
}

impl Attack {
    pub(crate) fn new(scenario: &Scenario) -> Self {
        let length = scenario.upstream.length().max(scenario.downstream.length());
        Self {
            hostile: scenario.hostile,
            due: scenario.hostile.every(),
            ends: scenario.connect_timeout + length,
            heard: VecDeque::new(),
            rng: Rng::with_seed(scenario.seed ^ 0xa77a_c4e5),
        }
    }

    pub(crate) fn due(&self) -> Option<Duration> {
        self.due
    }

    /// Sees a datagram arrive.
    pub(crate) fn overhear(&mut self, flight: &Flight) {
        if !matches!(self.hostile, Hostile::Replays(_) | Hostile::Mutations(_)) {
            return;
        }
        if self.heard.len() < HEARD {
            self.heard.push_back((flight.to, flight.from, flight.bytes.clone()));
        } else if self.rng.u8(0..8) == 0 || flight.bytes.first().is_some_and(|byte| byte & 0x80 != 0) {
            self.heard.pop_front();
            self.heard.push_back((flight.to, flight.from, flight.bytes.clone()));
        }
    }

    /// Sends what is due.
    pub(crate) fn strike(&mut self, now: Duration, network: &mut Network) {
        while let Some(due) = self.due.filter(|due| *due <= now) {
            self.due = self.hostile.every().map(|every| due + every).filter(|next| *next < self.ends);
            let Some((to, from, bytes)) = self.datagram(network.caller()) else { continue };
            network.inject(now, to, from, bytes);
        }
    }

    fn datagram(&mut self, caller: SocketAddr) -> Option<(Side, SocketAddr, Vec<u8>)> {
        let to = if self.rng.u8(0..4) == 0 { Side::Caller } else { Side::Listener };
        match self.hostile {
            Hostile::None => None,
            Hostile::Strangers(_) => Some((to, self.stranger(), forge(&mut self.rng))),
            Hostile::Liars(_) => {
                let from = if to == Side::Caller { LISTENER } else { caller };
                Some((to, from, forge(&mut self.rng)))
            }
            Hostile::Replays(_) | Hostile::Mutations(_) => {
                let nth = self.rng.usize(0..self.heard.len().max(1));
                let (to, from, mut bytes) = self.heard.get(nth)?.clone();
                if matches!(self.hostile, Hostile::Mutations(_)) {
                    corrupt(&mut bytes, &mut self.rng);
                }
                let from = if self.rng.u8(0..4) == 0 { self.stranger() } else { from };
                Some((to, from, bytes))
            }
        }
    }

    fn stranger(&mut self) -> SocketAddr {
        SocketAddr::new([203, 0, 113, self.rng.u8(..)].into(), self.rng.u16(1..))
    }
}

/// A datagram of somebody who sees nothing: noise, or well-formed with ids, cookies and numbers that are guesses.
pub(crate) fn forge(rng: &mut Rng) -> Vec<u8> {
    const INDUCTION: u32 = 1;
    const CONCLUSION: u32 = u32::MAX;
    let (guessed, cookie, sequence) = (guess(rng), guess(rng), rng.u32(..) >> 1);
    let to = if rng.bool() { 0 } else { guessed };
    let (words, noisy) = match rng.u8(0..8) {
        0 => return noise(rng, 1500),
        // Data, to an id that nobody has.
        1 => (vec![sequence, rng.u32(..), rng.u32(..), rng.u32(2..)], true),
        // Any control packet.
        2 | 3 => (vec![0x8000_0000 | u32::from(rng.u8(0..10)) << 16, rng.u32(..), rng.u32(..), to], true),
        4 | 5 => {
            let head = [0x8000_0000, 0, 99, 0, 4, 2, sequence, 1500, 8192, INDUCTION, guessed, 0];
            ([head.as_slice(), &[0; 4]].concat(), false)
        }
        // A conclusion with a hello and a stream id.
        _ => {
            let head = [0x8000_0000, 0, 99, to, 5, 5, sequence, 1500, 8192, CONCLUSION, guessed, cookie];
            let hello = [0x0001_0003, 0x0001_0503, 0xbf, 0x0078_0078];
            let stream_id = [0x0005_0001, 0x6d61_6363];
            ([head.as_slice(), &[0; 4], &hello, &stream_id].concat(), false)
        }
    };
    let mut bytes: Vec<u8> = words.into_iter().flat_map(u32::to_be_bytes).collect();
    if noisy {
        bytes.extend(noise(rng, 1400));
    }
    bytes
}

/// A socket id or cookie of somebody who does not know it.
fn guess(rng: &mut Rng) -> u32 {
    match rng.u8(0..6) {
        0 => 0,
        1 => 1,
        2 => u32::MAX,
        _ => rng.u32(..),
    }
}

fn noise(rng: &mut Rng, most: usize) -> Vec<u8> {
    let len = rng.usize(0..=most);
    std::iter::repeat_with(|| rng.u8(..)).take(len).collect()
}

#[test]
fn nobody_forges_from_the_callers_network() {
    let mut attack =
        Attack::new(&Scenario { hostile: Hostile::Strangers(Duration::from_millis(1)), ..Scenario::plain() });
    for _ in 0..100 {
        assert_ne!(attack.stranger().ip(), CALLER.ip());
    }
}
