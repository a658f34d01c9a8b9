//! An open SRT connection in virtual time, between a real caller and a real listener, into which an attacker speaks.
//!
//! The input: one byte of settings (1: played out by time stamps, 2: what is too late is dropped, 4: the senders give
//! up what is old), then datagrams, each with two bytes of length and one that says how it comes:
//!
//! | bits | meaning |
//! |---|---|
//! | 0 | to the listener (0) or to the caller (1) |
//! | 1, 2 | 0: from the peer's address; 1: also addressed to the connection, whatever it says; 2, 3: from elsewhere |
//! | 3 to 5 | the time that passes before, see [`PAUSES_MS`] |
//! | 6 | both applications send a payload before |
//! | 7 | what the two ends say in that time is lost |
//!
//! Afterwards nothing passes any more, and both ends must come to rest.
//!
//! Encryption stays out: each input would derive keys. `srt_key_message` has it.

use std::net::SocketAddr;
use std::sync::LazyLock;
use std::time::{Duration, Instant};

use dashvault_srt::RejectCode;
use dashvault_srt::core::{
    Caller, CallerSettings, ConnectionReport, DeliveryMode, Listener, ListenerEvent, ListenerSettings,
    MAX_DATAGRAM_BYTES, Pending, Random, ReceiveSettings, SendSettings, Seq, SeqRange, Sink, Sinks, SocketId,
    Transmits,
};

/// What bits 3 to 5 mean.
pub(super) const PAUSES_MS: [u64; 8] = [0, 1, 7, 30, 100, 300, 700, 2500];
const MAX_DATAGRAMS: usize = 256;
const MAX_HALF_OPEN: usize = 4;
const MAX_CONNECTIONS: usize = 3;
const WINDOW_PACKETS: u32 = 64;
const BUFFER_PACKETS: u32 = 32;
/// One poll of an end that has so few connections and so little to send.
const MAX_POLLED: usize = 512;
/// Polls and timeouts at one moment, until both ends wait for a later one.
const MAX_TURNS: usize = 64;
/// The first packet of both directions: its number wraps soon.
const FIRST: Seq = Seq::new(0x7FFF_FFF0);

/// The start of virtual time.
static START: LazyLock<Instant> = LazyLock::new(Instant::now);

pub(super) fn run(input: &[u8]) {
    let Some((settings, rest)) = input.split_first() else { return };
    let mut ends = Ends::connected(*settings);
    ends.play(rest);
    ends.fall_silent();
}

/// Numbers that are the same in each run.
pub(super) fn random(seed: u64) -> impl FnMut(&mut [u8]) + Send + 'static {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    move |out| {
        for byte in out {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            *byte = state.to_be_bytes()[0];
        }
    }
}

/// One of the addresses in this network.
pub(super) fn address(port: u16) -> SocketAddr {
    SocketAddr::from(([192, 0, 2, 1], port))
}

const LISTENER: u16 = 1;
const CALLER: u16 = 2;
const ELSEWHERE: [u16; 2] = [3, 4];

/// Both ends and the wire between them.
pub(super) struct Ends {
    pub(super) now: Instant,
    pub(super) listener: Listener,
    pub(super) caller: Caller,
    /// The accepted connection.
    pub(super) id: SocketId,
    up: Upward,
    down: InOrder,
    out: Transmits,
    cut: bool,
    /// What went over the wire, when it is asked for: from the caller or not, to which address, what.
    pub(super) tape: Option<Vec<(bool, SocketAddr, Vec<u8>)>>,
}

impl Ends {
    pub(super) fn connected(settings: u8) -> Self {
        let mut ends = Self::new(settings, None);
        ends.connect();
        ends
    }

    /// As [`Ends::connected`], and remembers what is said.
    pub(super) fn recorded(settings: u8) -> Self {
        let mut ends = Self::new(settings, Some(Vec::new()));
        ends.connect();
        ends
    }

    fn new(settings: u8, tape: Option<Vec<(bool, SocketAddr, Vec<u8>)>>) -> Self {
        let now = *START;
        let (receive, send) = halves(settings);
        let idle = Duration::from_secs(1);
        let calling = CallerSettings {
            stream_id: "#!::r=bus-7/front,m=publish".to_owned(),
            peer_idle: idle,
            receive: receive.clone(),
            send: send.clone(),
            ..CallerSettings::default()
        };
        let listening = ListenerSettings {
            receive,
            send,
            peer_idle: idle,
            max_connections: MAX_CONNECTIONS,
            max_half_open: MAX_HALF_OPEN,
            ..ListenerSettings::default()
        };
        Self {
            now,
            listener: Listener::new(listening, now, Box::new(random(1))),
            caller: Caller::new(&calling, address(LISTENER), now, callers_random()),
            id: SocketId(0),
            up: Upward { id: SocketId(0), sink: InOrder(FIRST) },
            down: InOrder(FIRST),
            out: Transmits::new(),
            cut: false,
            tape,
        }
    }

    fn connect(&mut self) {
        self.pass(Duration::from_millis(1));
        assert!(self.caller.is_connected() && self.id != SocketId(0), "the ends do not connect");
    }

    /// Cuts an input into datagrams.
    pub(super) fn play(&mut self, mut input: &[u8]) {
        for _ in 0..MAX_DATAGRAMS {
            let Some((&[high, low, how], rest)) = input.split_first_chunk::<3>() else { break };
            let bytes = usize::from(u16::from_be_bytes([high, low])).min(rest.len());
            let (datagram, rest) = rest.split_at(bytes);
            self.take(how, datagram);
            input = rest;
        }
    }

    /// One datagram of the input, after what `how` says.
    pub(super) fn take(&mut self, how: u8, datagram: &[u8]) {
        if how & 0x40 != 0 {
            self.send();
        }
        self.cut = how & 0x80 != 0;
        self.pass(Duration::from_millis(PAUSES_MS[usize::from(how >> 3 & 7)]));
        let (to_caller, address_bits) = (how & 1 != 0, how >> 1 & 3);
        let mut datagram = datagram.to_vec();
        if let (1, Some(to)) = (address_bits, datagram.get_mut(12..16)) {
            let id = if to_caller { self.caller.local_id() } else { self.id };
            to.copy_from_slice(&id.0.to_be_bytes());
        }
        let from = match (address_bits, to_caller) {
            (2, _) => ELSEWHERE[0],
            (3, _) => ELSEWHERE[1],
            (_, true) => LISTENER,
            (_, false) => CALLER,
        };
        self.deliver(to_caller, address(from), &mut datagram);
        self.pass(Duration::ZERO);
    }

    /// Nothing passes any more: both ends give up, and then want nothing.
    pub(super) fn fall_silent(&mut self) {
        self.cut = true;
        self.pass(Duration::from_secs(15));
        let stats = self.listener.stats();
        assert!(self.caller.is_over(), "the caller lives on alone");
        assert_eq!((stats.connections, stats.half_open), (0, 0), "the listener keeps who is gone");
        assert_eq!(self.caller.next_timeout(), None);
        assert_eq!(self.listener.next_timeout(), None);
    }

    /// Both applications send a payload.
    pub(super) fn send(&mut self) {
        let _ = self.caller.send(self.now, &[0x47; 188]);
        let _ = self.listener.send(self.now, self.id, &[0x47; 188]);
    }

    /// Lets time pass, with all that falls due in it.
    pub(super) fn pass(&mut self, time: Duration) {
        let until = self.now + time;
        let (mut turns, mut steps) = (0, 0);
        let most_steps = 2_000 + 20 * time.as_millis();
        loop {
            self.exchange();
            let (listener, caller) = (self.listener.next_timeout(), self.caller.next_timeout());
            let Some(next) = [listener, caller].into_iter().flatten().min().filter(|next| *next <= until)
            else {
                break;
            };
            turns = if next <= self.now { turns + 1 } else { 0 };
            steps += 1;
            assert!(
                turns < MAX_TURNS,
                "at one moment without end: listener {listener:?}, caller {caller:?}, now {:?}",
                self.now
            );
            assert!(steps < most_steps, "too much to do in {time:?}");
            self.now = self.now.max(next);
            self.listener.handle_timeout(self.now, &mut self.up);
            self.caller.handle_timeout(self.now, &mut self.down);
        }
        self.now = until;
    }

    /// Carries what both ends have to say, until they are silent.
    fn exchange(&mut self) {
        for _ in 0..MAX_TURNS {
            self.decide();
            let mut out = std::mem::take(&mut self.out);
            out.clear();
            self.listener.poll_transmit(self.now, &mut out);
            let of_listener = out.len();
            assert!(of_listener <= MAX_POLLED, "{of_listener} datagrams of the listener at once");
            self.caller.poll_transmit(self.now, &mut out, MAX_POLLED);
            assert!(out.len() - of_listener <= MAX_POLLED, "too many datagrams of the caller at once");
            for (index, (to, datagram)) in out.iter().enumerate() {
                self.carry(index >= of_listener, to, datagram);
            }
            let silent = out.is_empty();
            self.out = out;
            self.check();
            if silent {
                return;
            }
        }
        panic!("the ends talk without end at one moment");
    }

    fn carry(&mut self, of_caller: bool, to: SocketAddr, datagram: &[u8]) {
        assert!(datagram.len() <= MAX_DATAGRAM_BYTES, "a datagram of {} bytes", datagram.len());
        if let Some(tape) = &mut self.tape {
            tape.push((of_caller, to, datagram.to_vec()));
        }
        let (there, from) = if of_caller { (LISTENER, CALLER) } else { (CALLER, LISTENER) };
        if !self.cut && to == address(there) {
            self.deliver(!of_caller, address(from), &mut datagram.to_vec());
        }
    }

    fn deliver(&mut self, to_caller: bool, from: SocketAddr, datagram: &mut [u8]) {
        if to_caller {
            self.caller.handle_datagram(self.now, from, datagram, &mut self.down);
        } else {
            self.listener.handle_datagram(self.now, from, datagram, &mut self.up);
        }
        self.check();
    }

    /// The listener's application: it takes the first caller, and later ones now and then.
    fn decide(&mut self) {
        while let Some(event) = self.listener.poll_event() {
            let ListenerEvent::Requested(Pending { id, .. }) = event else { continue };
            let first = self.id == SocketId(0);
            if first {
                (self.id, self.up.id) = (id, id);
            }
            match id.0 % 3 {
                _ if first => drop(self.listener.accept(self.now, id, None)),
                0 => drop(self.listener.accept(self.now, id, None)),
                1 => self.listener.reject(self.now, id, RejectCode::UNSECURE),
                _ => {}
            }
        }
        while self.caller.poll_event().is_some() {}
    }

    /// What must hold at any time.
    fn check(&self) {
        let stats = self.listener.stats();
        assert!(stats.half_open <= MAX_HALF_OPEN as u64, "{} half-open", stats.half_open);
        assert!(stats.connections <= (MAX_CONNECTIONS + MAX_HALF_OPEN) as u64, "{stats:?}");
        check_report(&self.caller.stats(self.now));
        if let Some(report) = self.listener.connection_stats(self.now, self.id) {
            check_report(&report);
        }
    }
}

fn check_report(report: &ConnectionReport) {
    let receiver = &report.receiver;
    assert!(receiver.held_packets <= u64::from(WINDOW_PACKETS), "{receiver:?}");
    assert!(receiver.held_bytes <= report.wire_received_bytes, "{report:?}");
    assert!(receiver.delivered_bytes + receiver.held_bytes <= report.wire_received_bytes, "{report:?}");
    if let Some(sender) = &report.sender {
        assert!(sender.buffered_packets <= u64::from(BUFFER_PACKETS), "{sender:?}");
        assert!(sender.in_flight_packets <= sender.buffered_packets, "{sender:?}");
    }
}

fn halves(settings: u8) -> (ReceiveSettings, SendSettings) {
    let mode = match settings & 3 {
        1 => DeliveryMode::Tsbpd { drop_too_late: false },
        3 => DeliveryMode::Tsbpd { drop_too_late: true },
        _ => DeliveryMode::Hold,
    };
    let receive = ReceiveSettings {
        latency: Duration::from_millis(120),
        mode,
        window_packets: WINDOW_PACKETS,
        ..ReceiveSettings::default()
    };
    let send = SendSettings {
        max_buffer_packets: BUFFER_PACKETS,
        too_late: (settings & 4 != 0).then_some(Duration::from_millis(200)),
        ..SendSettings::default()
    };
    (receive, send)
}

/// The caller draws its id, then the number of its first packet.
fn callers_random() -> Random {
    let mut rest = random(2);
    let mut draws = 0;
    Box::new(move |out| {
        rest(out);
        draws += 1;
        if draws == 2 {
            out.copy_from_slice(&FIRST.raw().to_be_bytes());
        }
    })
}

/// Sees each number once, in order: as data or as lost.
struct InOrder(Seq);

impl Sink for InOrder {
    fn data(&mut self, _payload: &[u8]) {
        self.0 = self.0.plus(1);
    }

    fn lost(&mut self, range: SeqRange) {
        assert_eq!(range.first, self.0, "a loss is told out of order");
        self.0 = range.last.plus(1);
    }
}

/// The accepted connection's sink; what others send is thrown away.
struct Upward {
    id: SocketId,
    sink: InOrder,
}

impl Sinks for Upward {
    fn sink(&mut self, id: SocketId) -> Option<&mut dyn Sink> {
        if id == self.id { Some(&mut self.sink) } else { None }
    }
}
