//! One end with its socket, its application and the habits of a driver.
//!
//! Belongs here: the socket's finite buffer, wake-ups that are never closer than the scenario says, timers that ring a
//! little late, and peaks of what the end holds.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::Duration;

use fastrand::Rng;

use super::outcome::End;
use crate::application::{Producer, Stream};
use crate::endpoint::{Endpoint, Offer, State};
use crate::network::{Network, Side};
use crate::scenario::Scenario;

/// Wake-ups at one moment that mean that an end spins.
const SPINNING: u32 = 200;
/// Steps between two looks at the counters.
const PEAK_EVERY: u64 = 64;

/// An end in its place.
pub(crate) struct Station<E> {
    side: Side,
    pub(crate) endpoint: E,
    pub(crate) producer: Producer,
    inbox: VecDeque<(SocketAddr, Vec<u8>)>,
    /// When the driver looks again because of datagrams or the application.
    look_at: Option<Duration>,
    /// How late the next timer rings.
    late: Duration,
    last_step: Option<Duration>,
    steps: u64,
    steps_at_once: u32,
    idle_steps: u64,
    socket_drops: u64,
    most_held: u64,
    most_buffered_packets: u64,
    most_buffered_bytes: u64,
    most_heap: i64,
}

impl<E: Endpoint> Station<E> {
    pub(crate) fn new(side: Side, endpoint: E, stream: Stream) -> Self {
        Self {
            side,
            endpoint,
            producer: Producer::new(stream),
            inbox: VecDeque::new(),
            look_at: Some(Duration::ZERO),
            late: Duration::ZERO,
            last_step: None,
            steps: 0,
            steps_at_once: 0,
            idle_steps: 0,
            socket_drops: 0,
            most_held: 0,
            most_buffered_packets: 0,
            most_buffered_bytes: 0,
            most_heap: 0,
        }
    }

    pub(crate) fn is_over(&self) -> bool {
        self.endpoint.state().is_closed()
    }

    /// When this end has something to do.
    pub(crate) fn due(&self, slack: Duration) -> Option<Duration> {
        let late = if slack.is_zero() { Duration::ZERO } else { self.late };
        let timer = self.endpoint.next_wake().map(|at| at + late);
        [self.look_at, timer].into_iter().flatten().min()
    }

    /// The application did something: the driver looks at once.
    pub(crate) fn touch(&mut self, now: Duration) {
        self.look_at = Some(self.look_at.map_or(now, |at| at.min(now)));
    }

    /// A datagram reaches the socket.
    pub(crate) fn arrive(&mut self, now: Duration, scenario: &Scenario, from: SocketAddr, bytes: Vec<u8>) {
        if self.inbox.len() >= scenario.socket_datagrams {
            self.socket_drops += 1;
            return;
        }
        self.inbox.push_back((from, bytes));
        let free = self.last_step.map_or(now, |at| at + scenario.wake_gap).max(now);
        self.look_at = Some(self.look_at.map_or(free, |at| at.min(free)));
    }

    /// Offers all payloads that are due.
    pub(crate) fn produce(&mut self, now: Duration) {
        while self.producer.due().is_some_and(|due| due <= now) {
            if *self.endpoint.state() != State::Open {
                return self.producer.stop();
            }
            self.endpoint.consumer().now = now;
            let offer = self.endpoint.send(now, self.producer.payload(now));
            self.producer.advance(offer == Offer::Accepted);
            self.touch(now);
        }
    }

    /// Does what is due, as a driver would.
    pub(crate) fn step(&mut self, now: Duration, scenario: &Scenario, network: &mut Network, rng: &mut Rng) {
        if self.due(scenario.slack).is_none_or(|due| due > now) {
            return;
        }
        self.watch_spinning(now);
        self.endpoint.consumer().now = now;
        let mut busy = self.look_at.take_if(|at| *at <= now).is_some();
        if busy {
            while let Some((from, mut bytes)) = self.inbox.pop_front() {
                self.endpoint.receive(now, from, &mut bytes);
                network.recycle(bytes);
            }
        }
        if self.endpoint.next_wake().is_some_and(|at| at <= now) {
            self.endpoint.wake(now);
        }
        let side = self.side;
        self.endpoint.transmit(now, &mut |to, bytes| {
            busy = true;
            network.send(now, side, to, bytes);
        });
        self.steps += 1;
        self.idle_steps += u64::from(!busy);
        if self.steps.is_multiple_of(PEAK_EVERY) {
            self.note_peak(now);
        }
        if !scenario.slack.is_zero() {
            self.late = scenario.slack.mul_f64(rng.f64());
        }
    }

    fn watch_spinning(&mut self, now: Duration) {
        self.steps_at_once = if self.last_step == Some(now) { self.steps_at_once + 1 } else { 0 };
        self.last_step = Some(now);
        assert!(self.steps_at_once < SPINNING, "the {:?} spins at {now:?}", self.side);
    }

    /// Looks at what the end holds.
    pub(crate) fn note_peak(&mut self, now: Duration) {
        let counters = self.endpoint.counters(now);
        self.most_held = self.most_held.max(counters.held_packets);
        self.most_buffered_packets = self.most_buffered_packets.max(counters.buffered_packets);
        self.most_buffered_bytes = self.most_buffered_bytes.max(counters.buffered_bytes);
        self.most_heap = self.most_heap.max(counters.heap_bytes);
    }

    /// What is left of this end.
    pub(crate) fn end(&mut self, now: Duration) -> End {
        self.note_peak(now);
        End {
            state: self.endpoint.state().clone(),
            accepted: self.producer.accepted,
            accepted_bytes: self.producer.accepted_bytes,
            refused: self.producer.refused,
            counters: self.endpoint.counters(now),
            consumer: std::mem::take(self.endpoint.consumer()),
            steps: self.steps,
            idle_steps: self.idle_steps,
            socket_drops: self.socket_drops,
            most_held: self.most_held,
            most_buffered_packets: self.most_buffered_packets,
            most_buffered_bytes: self.most_buffered_bytes,
            most_heap: self.most_heap,
        }
    }
}
