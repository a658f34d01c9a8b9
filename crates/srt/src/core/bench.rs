//! A caller and a listener joined by a link in memory, on a clock that the test moves. For tests only.
//!
//! Both are driven as the contract says and not otherwise: `handle_timeout` is called when `next_timeout` asks for it,
//! so that a timer that is forgotten shows.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use super::crypto::{Cipher, ReceiveKeys};
use super::receive::Sink;
use super::seq::{SeqRange, SocketId};
use super::transmit::Transmits;
use super::{
    Caller, CallerEncryption, CallerEvent, CallerSettings, EncryptionPolicy, Listener, ListenerEvent,
    ListenerSettings, Random, Sinks,
};
use crate::{KeySize, Passphrase, RejectCode};

pub(super) const MS: Duration = Duration::from_millis(1);
/// So many datagrams are kept to be changed.
const SEEN: usize = 24;
pub(super) const DELAY: Duration = Duration::from_millis(20);

/// A payload of a transport stream with a number in it.
pub(super) fn payload(number: u32) -> Vec<u8> {
    let mut payload = vec![0x47; 188];
    payload[1..5].copy_from_slice(&number.to_be_bytes());
    payload
}

/// What arrived, and how many packets were reported lost.
#[derive(Debug, Default)]
pub(super) struct Arrived {
    pub(super) numbers: Vec<u32>,
    pub(super) lost: u32,
}

impl Sink for Arrived {
    fn data(&mut self, payload: &[u8]) {
        let number = payload.get(1..5).and_then(|bytes| bytes.try_into().ok()).map_or(0, u32::from_be_bytes);
        self.numbers.push(number);
    }

    fn lost(&mut self, range: SeqRange) {
        self.lost += range.len();
    }
}

impl Sinks for Arrived {
    fn sink(&mut self, _id: SocketId) -> Option<&mut dyn Sink> {
        Some(self)
    }
}

pub(super) fn random(seed: u64) -> Random {
    let mut rng = fastrand::Rng::with_seed(seed);
    Box::new(move |bytes| rng.fill(bytes))
}

pub(super) fn at(address: &str) -> SocketAddr {
    address.parse().unwrap()
}

pub(super) fn secret(passphrase: &str) -> Passphrase {
    Passphrase::new(passphrase).unwrap()
}

pub(super) fn encrypted(passphrase: &str, key_size: KeySize, cipher: Cipher) -> CallerSettings {
    let encryption = Some(CallerEncryption { passphrase: secret(passphrase), key_size, cipher });
    CallerSettings { encryption, ..CallerSettings::default() }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Way {
    Up,
    Down,
}

/// When the copies of a datagram arrive, beyond the link's delay: none where it is lost.
pub(super) type Fate = Box<dyn FnMut(Way, usize) -> Vec<Duration>>;

/// What the listener's application answers.
pub(super) enum Application {
    Accepts(Option<Passphrase>),
    Rejects(RejectCode),
    Waits,
}

pub(super) struct Pair {
    pub(super) now: Instant,
    pub(super) caller: Caller,
    pub(super) listener: Listener,
    pub(super) caller_at: SocketAddr,
    pub(super) application: Application,
    pub(super) fate: Fate,
    pub(super) at_caller: Arrived,
    pub(super) at_listener: Arrived,
    pub(super) caller_events: Vec<CallerEvent>,
    pub(super) listener_events: Vec<ListenerEvent>,
    /// Who was let in.
    pub(super) ids: Vec<SocketId>,
    /// Datagrams sent so far, up and down.
    pub(super) sent: [usize; 2],
    /// Datagrams that went over the link lately.
    pub(super) seen: Vec<(Way, Vec<u8>)>,
    /// The caller's events are left where they are.
    pub(super) deaf: bool,
    wire: Vec<(Instant, Way, SocketAddr, Vec<u8>)>,
}

impl Pair {
    pub(super) fn new(settings: &CallerSettings, application: Application) -> Self {
        Self::with(settings, ListenerSettings::default(), application)
    }

    pub(super) fn with(
        settings: &CallerSettings,
        listener: ListenerSettings,
        application: Application,
    ) -> Self {
        let now = Instant::now() + Duration::from_secs(3600);
        Self {
            now,
            caller: Caller::new(settings, at("192.0.2.2:9000"), now, random(1)),
            listener: Listener::new(listener, now, random(2)),
            caller_at: at("192.0.2.1:5000"),
            application,
            fate: Box::new(|_, _| vec![Duration::ZERO]),
            at_caller: Arrived::default(),
            at_listener: Arrived::default(),
            caller_events: Vec::new(),
            listener_events: Vec::new(),
            ids: Vec::new(),
            sent: [0; 2],
            seen: Vec::new(),
            deaf: false,
            wire: Vec::new(),
        }
    }

    /// Two that are connected.
    pub(super) fn connected(settings: &CallerSettings, application: Application) -> Self {
        let mut pair = Self::new(settings, application);
        pair.run(200 * MS);
        assert!(pair.caller.is_connected(), "{:?}", pair.caller_events);
        pair
    }

    pub(super) fn id(&self) -> SocketId {
        self.ids[0]
    }

    /// Lets this time pass.
    pub(super) fn run(&mut self, time: Duration) {
        let end = self.now + time;
        while self.now < end {
            self.step();
        }
    }

    /// Runs until something holds, for `limit` at most.
    pub(super) fn run_until(&mut self, limit: Duration, holds: impl Fn(&Self) -> bool) -> bool {
        let end = self.now + limit;
        while !holds(self) && self.now < end {
            self.step();
        }
        holds(self)
    }

    /// Sends numbered payloads both ways, one per 2 ms.
    pub(super) fn talk(&mut self, numbers: std::ops::Range<u32>) {
        for number in numbers {
            self.caller.send(self.now, &payload(number)).unwrap();
            let id = self.id();
            self.listener.send(self.now, id, &payload(number)).unwrap();
            self.run(2 * MS);
        }
    }

    pub(super) fn step(&mut self) {
        self.transmit();
        self.answer();
        self.now += MS;
        self.deliver();
        if self.caller.next_timeout().is_some_and(|due| due <= self.now) {
            self.caller.handle_timeout(self.now, &mut self.at_caller);
        }
        if self.listener.next_timeout().is_some_and(|due| due <= self.now) {
            self.listener.handle_timeout(self.now, &mut self.at_listener);
        }
        self.transmit();
        self.answer();
    }

    fn transmit(&mut self) {
        let mut out = Transmits::new();
        self.caller.poll_transmit(self.now, &mut out, 64);
        if !self.deaf {
            self.caller_events.extend(std::iter::from_fn(|| self.caller.poll_event()));
        }
        for (to, datagram) in out.iter() {
            assert_eq!(to, at("192.0.2.2:9000"));
            self.post(Way::Up, self.caller_at, datagram);
        }
        let mut out = Transmits::new();
        self.listener.poll_transmit(self.now, &mut out);
        for (to, datagram) in out.iter() {
            self.post(Way::Down, to, datagram);
        }
    }

    fn post(&mut self, way: Way, address: SocketAddr, datagram: &[u8]) {
        let count = &mut self.sent[usize::from(way == Way::Down)];
        let fate = (self.fate)(way, *count);
        *count += 1;
        if self.seen.len() == SEEN {
            self.seen.remove(0);
        }
        self.seen.push((way, datagram.to_vec()));
        for extra in fate {
            self.wire.push((self.now + DELAY + extra, way, address, datagram.to_vec()));
        }
    }

    fn deliver(&mut self) {
        let now = self.now;
        let (due, later) = std::mem::take(&mut self.wire).into_iter().partition(|sent| sent.0 <= now);
        self.wire = later;
        for (_, way, address, mut datagram) in due {
            match way {
                Way::Up => {
                    self.listener.handle_datagram(now, address, &mut datagram, &mut self.at_listener);
                }
                Way::Down if address == self.caller_at => {
                    self.caller.handle_datagram(
                        now,
                        at("192.0.2.2:9000"),
                        &mut datagram,
                        &mut self.at_caller,
                    );
                }
                Way::Down => {}
            }
        }
    }

    fn answer(&mut self) {
        while let Some(event) = self.listener.poll_event() {
            if let ListenerEvent::Requested(request) = &event {
                self.decide(request.id, request.key_message.as_deref());
            }
            self.listener_events.push(event);
        }
    }

    fn decide(&mut self, id: SocketId, key_message: Option<&[u8]>) {
        let passphrase = match &self.application {
            Application::Accepts(passphrase) => passphrase,
            Application::Rejects(code) => return self.listener.reject(self.now, id, *code),
            Application::Waits => return,
        };
        let keys = match (key_message, passphrase) {
            (Some(message), Some(passphrase)) => match ReceiveKeys::open(passphrase, message) {
                Ok(keys) => Some(keys),
                Err(_) => return self.listener.reject(self.now, id, RejectCode::BAD_SECRET),
            },
            (None, Some(_)) => return self.listener.reject(self.now, id, RejectCode::UNSECURE),
            (_, None) => None,
        };
        if self.listener.accept(self.now, id, keys).is_ok() {
            self.ids.push(id);
        }
    }
}

/// A listener that lets only those in who encrypt.
pub(super) fn required() -> ListenerSettings {
    ListenerSettings { encryption: EncryptionPolicy::Required, ..ListenerSettings::default() }
}
