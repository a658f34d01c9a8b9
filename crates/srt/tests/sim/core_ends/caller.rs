//! The calling end.

use std::net::SocketAddr;
use std::time::Duration;

use dashvault_srt::core::{Caller, CallerEncryption, CallerEvent, CallerSettings, Transmits};

use super::{
    cipher, counters, instant, key_size, moment, passphrase, random, receive_settings, send_settings,
};
use crate::application::Consumer;
use crate::endpoint::{Counters, Endpoint, Offer, State};
use crate::heap::Meter;
use crate::network::LISTENER;
use crate::scenario::Scenario;

/// Datagrams that the driver takes from the core at once.
const BATCH: usize = 64;

/// A caller, its driver and its application.
pub(crate) struct CallerEnd {
    caller: Caller,
    consumer: Consumer,
    transmits: Transmits,
    state: State,
    meter: Meter,
}

impl CallerEnd {
    pub(crate) fn new(scenario: &Scenario) -> Self {
        let encryption = scenario.encryption.map(|encryption| CallerEncryption {
            passphrase: passphrase(),
            key_size: key_size(encryption),
            cipher: cipher(encryption),
        });
        let settings = CallerSettings {
            stream_id: "gate/front".to_owned(),
            encryption,
            connect_timeout: scenario.connect_timeout,
            receive: receive_settings(scenario),
            send: send_settings(scenario),
            ..CallerSettings::default()
        };
        let random = random(scenario.seed ^ 0xca11, scenario.wraps);
        let mut meter = Meter::default();
        let caller = meter.watch(|| Caller::new(&settings, LISTENER, instant(Duration::ZERO), random));
        Self {
            caller,
            consumer: Consumer::expecting(None, scenario.downstream.sizes),
            transmits: Transmits::default(),
            state: State::Connecting,
            meter,
        }
    }

    fn take_events(&mut self) {
        while let Some(event) = self.caller.poll_event() {
            self.state = match event {
                CallerEvent::Connected { .. } => State::Open,
                CallerEvent::Rejected(code) => State::Closed(format!("rejected: {code:?}")),
                CallerEvent::Failed(failure) => State::Closed(format!("failed: {failure:?}")),
                CallerEvent::Closed(reason) => State::Closed(format!("{reason:?}")),
            };
        }
    }
}

impl Endpoint for CallerEnd {
    fn receive(&mut self, now: Duration, from: SocketAddr, datagram: &mut [u8]) {
        let (caller, sink) = (&mut self.caller, &mut self.consumer);
        self.meter.watch(|| caller.handle_datagram(instant(now), from, datagram, sink));
        self.take_events();
    }

    fn wake(&mut self, now: Duration) {
        let (caller, sink) = (&mut self.caller, &mut self.consumer);
        self.meter.watch(|| caller.handle_timeout(instant(now), sink));
        self.take_events();
    }

    fn next_wake(&self) -> Option<Duration> {
        self.caller.next_timeout().map(moment)
    }

    fn transmit(&mut self, now: Duration, out: &mut dyn FnMut(SocketAddr, &[u8])) {
        loop {
            let (caller, transmits) = (&mut self.caller, &mut self.transmits);
            transmits.clear();
            self.meter.watch(|| caller.poll_transmit(instant(now), transmits, BATCH));
            self.transmits.iter().for_each(|(to, bytes)| out(to, bytes));
            if self.transmits.is_empty() {
                break;
            }
        }
        self.take_events();
    }

    fn send(&mut self, now: Duration, payload: &[u8]) -> Offer {
        let caller = &mut self.caller;
        match self.meter.watch(|| caller.send(instant(now), payload)) {
            Ok(()) => Offer::Accepted,
            Err(_) => Offer::Refused,
        }
    }

    fn close(&mut self, now: Duration) {
        self.caller.close(instant(now));
        self.take_events();
    }

    fn moved(&mut self, now: Duration) {
        self.caller.moved(instant(now));
    }

    fn state(&self) -> &State {
        &self.state
    }

    fn is_drained(&self) -> bool {
        self.caller.is_drained()
    }

    fn consumer(&mut self) -> &mut Consumer {
        &mut self.consumer
    }

    fn counters(&self, now: Duration) -> Counters {
        counters(&self.caller.stats(instant(now)), 1, &self.meter)
    }
}
