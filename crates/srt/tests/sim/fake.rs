//! A trivial protocol that stands in for the core, with faults to order: the proof that the oracles see them.
//!
//! Belongs here: stop-and-wait over [`crate::endpoint::Endpoint`], no more than the network and the oracles need.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::Duration;

use crate::application::{Consumer, Sizes};
use crate::endpoint::{Counters, Endpoint, Offer, State};
use crate::network::{LISTENER, Side};

const RETRY: Duration = Duration::from_millis(100);
const IDLE: Duration = Duration::from_secs(4);

/// What a fake does wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Flaw {
    None,
    DeliversTwice,
    SkipsInSilence,
    CountsLossTwice,
    ChangesBytes,
    SwapsOrder,
    HoldsTooMuch,
    NeverEnds,
    DropsInSilence,
}

/// Either end of the fake protocol.
pub(crate) struct Fake {
    side: Side,
    flaw: Flaw,
    state: State,
    peer: Option<SocketAddr>,
    queue: VecDeque<Vec<u8>>,
    sent: u64,
    next_try: Option<Duration>,
    tries: u64,
    expected: u64,
    kept: Option<Vec<u8>>,
    answer: Option<Vec<u8>>,
    heard_at: Duration,
    counters: Counters,
    consumer: Consumer,
}

impl Fake {
    pub(crate) fn new(side: Side, flaw: Flaw) -> Self {
        let caller = side == Side::Caller;
        Self {
            side,
            flaw,
            state: State::Open,
            peer: caller.then_some(LISTENER),
            queue: VecDeque::new(),
            sent: 0,
            next_try: None,
            tries: 0,
            expected: 0,
            kept: None,
            answer: None,
            heard_at: Duration::ZERO,
            counters: Counters {
                held_packets: if flaw == Flaw::HoldsTooMuch { 9000 } else { 0 },
                ..Counters::default()
            },
            consumer: Consumer::expecting(Some(0), Sizes::Fixed(1316)),
        }
    }

    fn header(&self, again: bool) -> [u8; 16] {
        let mut header = [0; 16];
        header[..4].copy_from_slice(&(self.sent as u32).to_be_bytes());
        header[4] = if again { 0x04 } else { 0 };
        header
    }

    fn acknowledged(&mut self, now: Duration, sequence: u64) {
        if sequence == self.sent + 1 && self.queue.pop_front().is_some() {
            self.sent += 1;
            self.tries = 0;
            self.counters.acked_packets += 1;
            self.next_try = (!self.queue.is_empty()).then_some(now);
        }
    }

    fn deliver(&mut self, payload: &[u8]) {
        let odd = self.expected == 6;
        match self.flaw {
            Flaw::SkipsInSilence if odd => return,
            Flaw::CountsLossTwice if odd => self.counters.lost_packets += 1,
            Flaw::SwapsOrder if odd && self.kept.is_none() => return self.kept = Some(payload.to_vec()),
            _ => {}
        }
        let mut payload = payload.to_vec();
        if self.flaw == Flaw::ChangesBytes && odd {
            payload[900] ^= 1;
        }
        self.consumer.delivered(&payload);
        if let Some(kept) = self.kept.take() {
            self.consumer.delivered(&kept);
        }
        if self.flaw == Flaw::DeliversTwice && odd {
            self.consumer.delivered(&payload);
        }
        self.counters.delivered_bytes = self.consumer.delivered_bytes;
    }
}

impl Endpoint for Fake {
    fn receive(&mut self, now: Duration, from: SocketAddr, datagram: &mut [u8]) {
        self.heard_at = now;
        self.peer = Some(from);
        let (head, payload) = datagram.split_at(16);
        let sequence = u64::from(u32::from_be_bytes([head[0] & 0x7f, head[1], head[2], head[3]]));
        match (head[0] & 0x80 != 0, self.side) {
            (true, Side::Caller) => self.acknowledged(now, sequence),
            (true, Side::Listener) => self.state = State::Closed("PeerShutdown".into()),
            (false, _) => {
                if sequence == self.expected {
                    self.expected += 1;
                    self.deliver(payload);
                }
                let mut answer = vec![0; 16];
                answer[..4].copy_from_slice(&(0x8000_0000 | self.expected as u32).to_be_bytes());
                self.answer = Some(answer);
            }
        }
    }

    fn wake(&mut self, now: Duration) {
        if now >= self.heard_at + IDLE && self.flaw != Flaw::NeverEnds && !self.state.is_closed() {
            self.state = State::Closed("PeerIdle".into());
        }
    }

    fn next_wake(&self) -> Option<Duration> {
        let idle = (!self.state.is_closed() && self.flaw != Flaw::NeverEnds).then(|| self.heard_at + IDLE);
        [self.next_try, idle].into_iter().flatten().min()
    }

    fn transmit(&mut self, now: Duration, out: &mut dyn FnMut(SocketAddr, &[u8])) {
        let Some(peer) = self.peer else { return };
        if let Some(answer) = self.answer.take() {
            out(peer, &answer);
        }
        if self.next_try.is_none_or(|at| at > now) {
            return;
        }
        self.next_try = Some(now + RETRY);
        if self.state.is_closed() {
            self.next_try = None;
            out(peer, &[0x85; 16]);
        } else if let Some(payload) = self.queue.front() {
            let header = self.header(self.tries > 0);
            self.counters.sent_packets += u64::from(self.tries == 0);
            self.counters.resent_packets += u64::from(self.tries > 0);
            self.tries += 1;
            out(peer, &[header.as_slice(), payload].concat());
        } else {
            self.next_try = None;
        }
    }

    fn send(&mut self, now: Duration, payload: &[u8]) -> Offer {
        if self.flaw == Flaw::DropsInSilence && self.queue.len() > 3 {
            return Offer::Accepted;
        }
        self.queue.push_back(payload.to_vec());
        self.next_try.get_or_insert(now);
        Offer::Accepted
    }

    fn close(&mut self, now: Duration) {
        self.state = State::Closed("Local".into());
        self.next_try = Some(now);
    }

    fn moved(&mut self, _: Duration) {}

    fn state(&self) -> &State {
        &self.state
    }

    fn is_drained(&self) -> bool {
        self.queue.is_empty()
    }

    fn consumer(&mut self) -> &mut Consumer {
        &mut self.consumer
    }

    fn counters(&self, _: Duration) -> Counters {
        self.counters
    }
}
