//! The listening end: it serves the first caller that asks and rejects all others.

use std::net::SocketAddr;
use std::time::Duration;

use dashvault_srt::RejectCode;
use dashvault_srt::core::{
    ConnectionReport, EncryptionPolicy, Listener, ListenerEvent, ListenerSettings, Pending, ReceiveKeys,
    Sink, Sinks, SocketId, Transmits,
};

use super::{counters, instant, moment, passphrase, random, receive_settings, send_settings};
use crate::application::Consumer;
use crate::endpoint::{Counters, Endpoint, Offer, State};
use crate::heap::Meter;
use crate::scenario::Scenario;

/// A listener, its driver and its application.
pub(crate) struct ListenerEnd {
    listener: Listener,
    outlet: Outlet,
    transmits: Transmits,
    state: State,
    /// A request, and when the application has decided on it.
    pending: Option<(Duration, Pending)>,
    decides_after: Duration,
    last_report: ConnectionReport,
    meter: Meter,
}

/// The consumer of the one connection that is served.
struct Outlet {
    id: Option<SocketId>,
    consumer: Consumer,
}

impl Sinks for Outlet {
    fn sink(&mut self, id: SocketId) -> Option<&mut dyn Sink> {
        (self.id == Some(id)).then_some(&mut self.consumer as &mut dyn Sink)
    }
}

impl ListenerEnd {
    pub(crate) fn new(scenario: &Scenario) -> Self {
        let settings = ListenerSettings {
            receive: receive_settings(scenario),
            send: send_settings(scenario),
            encryption: match scenario.encryption {
                Some(_) => EncryptionPolicy::Required,
                None => EncryptionPolicy::Refused,
            },
            ..ListenerSettings::default()
        };
        let random = random(scenario.seed ^ 0x115, false);
        let mut meter = Meter::default();
        let listener = meter.watch(|| Listener::new(settings, instant(Duration::ZERO), random));
        Self {
            listener,
            outlet: Outlet { id: None, consumer: Consumer::expecting(None, scenario.upstream.sizes) },
            transmits: Transmits::default(),
            state: State::Connecting,
            pending: None,
            decides_after: scenario.decides_after,
            last_report: ConnectionReport::default(),
            meter,
        }
    }

    fn take_events(&mut self, now: Duration) {
        while let Some(event) = self.listener.poll_event() {
            match event {
                ListenerEvent::Requested(pending) if self.outlet.id.is_none() && self.pending.is_none() => {
                    self.pending = Some((now + self.decides_after, pending));
                }
                ListenerEvent::Requested(pending) => {
                    self.listener.reject(instant(now), pending.id, RejectCode::UNSECURE);
                }
                ListenerEvent::Withdrawn { id } => {
                    self.pending.take_if(|pending| pending.1.id == id);
                }
                ListenerEvent::Closed { id, reason, stats } if Some(id) == self.outlet.id => {
                    self.state = State::Closed(format!("{reason:?}"));
                    self.last_report = *stats;
                }
                ListenerEvent::Closed { .. } | ListenerEvent::Moved { .. } | ListenerEvent::Refused(_) => {}
            }
        }
    }

    /// Answers the request, if its time has come. Keys are derived off the path of the receiver.
    fn decide(&mut self, now: Duration) {
        let Some((_, pending)) = self.pending.take_if(|pending| pending.0 <= now) else { return };
        let listener = &mut self.listener;
        let keys = match pending.key_message.map(|message| ReceiveKeys::open(&passphrase(), &message)) {
            Some(Err(_)) => return listener.reject(instant(now), pending.id, RejectCode::BAD_SECRET),
            keys => keys.and_then(Result::ok),
        };
        let opened = self.meter.watch(|| listener.accept(instant(now), pending.id, keys));
        if opened.is_ok() {
            self.outlet.id = Some(pending.id);
            self.state = State::Open;
        }
    }

    fn report(&self, now: Duration) -> ConnectionReport {
        let id = self.outlet.id.filter(|_| !self.state.is_closed());
        id.and_then(|id| self.listener.connection_stats(instant(now), id)).unwrap_or(self.last_report)
    }
}

impl Endpoint for ListenerEnd {
    fn receive(&mut self, now: Duration, from: SocketAddr, datagram: &mut [u8]) {
        let (listener, outlet) = (&mut self.listener, &mut self.outlet);
        self.meter.watch(|| listener.handle_datagram(instant(now), from, datagram, outlet));
        self.take_events(now);
    }

    fn wake(&mut self, now: Duration) {
        self.decide(now);
        let (listener, outlet) = (&mut self.listener, &mut self.outlet);
        self.meter.watch(|| listener.handle_timeout(instant(now), outlet));
        self.take_events(now);
    }

    fn next_wake(&self) -> Option<Duration> {
        let decides = self.pending.as_ref().map(|pending| pending.0);
        [self.listener.next_timeout().map(moment), decides].into_iter().flatten().min()
    }

    fn transmit(&mut self, now: Duration, out: &mut dyn FnMut(SocketAddr, &[u8])) {
        let (listener, transmits) = (&mut self.listener, &mut self.transmits);
        transmits.clear();
        self.meter.watch(|| listener.poll_transmit(instant(now), transmits));
        self.transmits.iter().for_each(|(to, bytes)| out(to, bytes));
        self.take_events(now);
    }

    fn send(&mut self, now: Duration, payload: &[u8]) -> Offer {
        let Some(id) = self.outlet.id else { return Offer::Refused };
        let listener = &mut self.listener;
        match self.meter.watch(|| listener.send(instant(now), id, payload)) {
            Ok(()) => Offer::Accepted,
            Err(_) => Offer::Refused,
        }
    }

    fn close(&mut self, now: Duration) {
        if let Some(id) = self.outlet.id {
            self.listener.close(instant(now), id, dashvault_srt::CloseReason::Local);
        }
    }

    fn moved(&mut self, _: Duration) {}

    fn state(&self) -> &State {
        &self.state
    }

    fn is_drained(&self) -> bool {
        self.outlet.id.is_none_or(|id| self.state.is_closed() || self.listener.is_drained(id))
    }

    fn consumer(&mut self) -> &mut Consumer {
        &mut self.outlet.consumer
    }

    fn counters(&self, now: Duration) -> Counters {
        let accepted = self.listener.stats().accepted;
        counters(&self.report(now), accepted, &self.meter)
    }
}
