//! One run: two ends, their applications and the network between them, in virtual time.
//!
//! Belongs here: what a driver does (takes several datagrams a wake-up, then timers, then sends), when the stream
//! starts and ends, and the script (address changes, attackers). What counts as right is in [`crate::oracle`].

mod outcome;
mod station;

use std::time::Duration;

use fastrand::Rng;

use crate::endpoint::{Endpoint, State};
use crate::hostile::Attack;
use crate::network::{CALLER, Network, Side};
use crate::scenario::{Rebind, Scenario};
pub(crate) use outcome::{End, Outcome};
use station::Station;

/// Runs a scenario with these ends to its end, or to its time limit.
pub(crate) fn run<C: Endpoint, L: Endpoint>(scenario: &Scenario, caller: C, listener: L) -> Outcome {
    let mut run = Run {
        scenario,
        network: Network::new(scenario.up.clone(), scenario.down.clone(), scenario.seed),
        caller: Station::new(Side::Caller, caller, scenario.upstream.clone()),
        listener: Station::new(Side::Listener, listener, scenario.downstream.clone()),
        rebinds: 0,
        attack: Attack::new(scenario),
        rng: Rng::with_seed(scenario.seed ^ 0x7a11),
        now: Duration::ZERO,
        opened_at: None,
        offered_at: None,
        closed_at: None,
        drained: false,
        last_wire_at: Duration::ZERO,
    };
    let finished = run.until_over();
    run.outcome(finished)
}

struct Run<'a, C, L> {
    scenario: &'a Scenario,
    network: Network,
    caller: Station<C>,
    listener: Station<L>,
    /// How many address changes are done.
    rebinds: usize,
    attack: Attack,
    rng: Rng,
    now: Duration,
    /// When both ends were open.
    opened_at: Option<Duration>,
    /// When the caller's application had offered everything.
    offered_at: Option<Duration>,
    /// When the caller was told to close.
    closed_at: Option<Duration>,
    drained: bool,
    last_wire_at: Duration,
}

impl<C: Endpoint, L: Endpoint> Run<'_, C, L> {
    /// True if both ends are over, false if time ran out.
    fn until_over(&mut self) -> bool {
        // The first step lets the caller begin and the listener say its timers.
        self.step();
        loop {
            if self.caller.is_over() && (self.listener.is_over() || self.listener_never_opened()) {
                return true;
            }
            let Some(next) = self.next_moment() else { return false };
            if next > self.scenario.limit() {
                return false;
            }
            self.now = self.now.max(next);
            self.script();
            self.arrivals();
            self.applications();
            self.step();
        }
    }

    /// The listener knows nothing of a caller that gave up before it was accepted.
    fn listener_never_opened(&self) -> bool {
        *self.listener.endpoint.state() == State::Connecting
            && self.now > self.last_wire_at + Duration::from_secs(5)
    }

    fn next_moment(&self) -> Option<Duration> {
        let never_opened = (self.caller.is_over() && !self.listener.is_over())
            .then(|| self.last_wire_at + Duration::from_millis(5_001));
        [
            self.network.next_arrival(),
            self.caller.due(self.scenario.slack),
            self.listener.due(self.scenario.slack),
            self.caller.producer.due(),
            self.listener.producer.due(),
            self.next_rebind().map(|rebind| rebind.at),
            self.attack.due(),
            self.linger_ends(),
            never_opened.filter(|at| *at > self.now),
        ]
        .into_iter()
        .flatten()
        .min()
    }

    fn next_rebind(&self) -> Option<&Rebind> {
        self.scenario.rebinds.get(self.rebinds)
    }

    fn script(&mut self) {
        while let Some(rebind) = self.next_rebind().filter(|rebind| rebind.at <= self.now) {
            let (known, only_port) = (rebind.known, rebind.only_port);
            self.rebinds += 1;
            let nth = self.rebinds as u8;
            let mut address = self.network.caller();
            address.set_port(CALLER.port() + u16::from(nth));
            if !only_port {
                address.set_ip([198, 51, 100, 7 + nth].into());
            }
            self.network.rebind(address);
            if known {
                self.caller.endpoint.moved(self.now);
                self.caller.touch(self.now);
            }
        }
        self.attack.strike(self.now, &mut self.network);
    }

    fn arrivals(&mut self) {
        while let Some(flight) = self.network.take(self.now) {
            self.attack.overhear(&flight);
            self.last_wire_at = self.now;
            match flight.to {
                Side::Caller => self.caller.arrive(self.now, self.scenario, flight.from, flight.bytes),
                Side::Listener => self.listener.arrive(self.now, self.scenario, flight.from, flight.bytes),
            }
        }
    }

    /// Starts the streams, feeds them, and closes the caller when it has sent everything or may not linger any more.
    fn applications(&mut self) {
        if self.opened_at.is_none()
            && *self.caller.endpoint.state() == State::Open
            && *self.listener.endpoint.state() == State::Open
        {
            self.opened_at = Some(self.now);
            self.caller.producer.start(self.now);
            self.listener.producer.start(self.now);
        }
        self.caller.produce(self.now);
        self.listener.produce(self.now);
        if self.opened_at.is_some() && self.offered_at.is_none() {
            let done = self.caller.producer.is_done() && self.listener.producer.is_done();
            self.offered_at = done.then_some(self.now);
        }
        let Some(offered) = self.offered_at else { return };
        let drained = self.caller.endpoint.is_drained() && self.listener.endpoint.is_drained();
        let overdue = self.now >= offered + self.scenario.linger;
        if self.closed_at.is_none() && (drained || overdue) && !self.caller.is_over() {
            self.closed_at = Some(self.now);
            self.drained = drained;
            self.caller.note_peak(self.now);
            self.caller.endpoint.close(self.now);
            self.caller.touch(self.now);
        }
    }

    fn linger_ends(&self) -> Option<Duration> {
        let waits = self.closed_at.is_none() && !self.caller.is_over();
        self.offered_at.filter(|_| waits).map(|at| at + self.scenario.linger)
    }

    fn step(&mut self) {
        let start = self.network.start;
        self.caller.step(self.now, self.scenario, &mut self.network, &mut self.rng);
        self.listener.step(self.now, self.scenario, &mut self.network, &mut self.rng);
        if self.network.start != start {
            self.caller.endpoint.consumer().start = self.network.start;
            self.listener.endpoint.consumer().start = self.network.start;
        }
        if self.opened_at.is_none() {
            // Both may be open now: the streams start at this moment.
            self.applications();
        }
    }

    fn outcome(mut self, finished: bool) -> Outcome {
        let (up, down) = self.network.traffic();
        Outcome {
            finished,
            now: self.now,
            opened_at: self.opened_at,
            offered_at: self.offered_at,
            closed_at: self.closed_at,
            drained: self.drained,
            start: self.network.start,
            caller: self.caller.end(self.now),
            listener: self.listener.end(self.now),
            up,
            down,
            to_strangers: self.network.to_strangers,
            from_strangers: self.network.from_strangers,
        }
    }
}
