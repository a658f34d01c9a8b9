//! The calling side: a handshake, then a connection.
//!
//! ```text
//! calling -- agreed                       --> open      Connected
//! calling -- refused, rejected, too late  --> over      Rejected, Failed
//! open    -- the connection is over       --> over      Closed
//! any     -- close                        --> over      Failed(Cancelled), Closed(Local)
//! ```
//! What does not belong here: lingering, reconnecting, whether our own address has changed (the driver's).
//!
//! Invariants: one event ends it, and nothing follows; keys are derived before anything is sent.

mod settings;

pub use settings::{CallerEncryption, CallerEvent, CallerSettings, ConnectFailure};

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use super::connection::{Agreed, Connection, ConnectionReport, Keys, Random, SendError};
use super::crypto::{ReceiveKeys, SendKeys};
use super::handshake::calling::{Agreement, Calling, Introduction, Refusal};
use super::packet::{Body, MAX_TEXT_BYTES, Packet, destination};
use super::receive::Sink;
use super::seq::{Seq, SeqRange, SocketId};
use super::transmit::Transmits;
use crate::CloseReason;

enum State {
    Calling(Box<Calling>, Option<Box<Keys>>),
    Open(Box<Connection>),
    Over(Box<ConnectionReport>),
}

/// The calling side of a connection.
pub struct Caller {
    settings: CallerSettings,
    peer: SocketAddr,
    local: SocketId,
    began: Instant,
    state: State,
    /// Two at most: it was connected, and it ended.
    events: VecDeque<CallerEvent>,
    /// A connection that is over and still has to say so.
    leaving: Option<Box<Connection>>,
    ranges: Vec<SeqRange>,
    received_bytes: u64,
    sent_bytes: u64,
}

impl Caller {
    /// Begins to call. Slow with encryption: it derives the keys first.
    pub fn new(settings: &CallerSettings, peer: SocketAddr, now: Instant, mut random: Random) -> Self {
        let mut number = || {
            let mut bytes = [0; 4];
            random(&mut bytes);
            u32::from_be_bytes(bytes)
        };
        let local = SocketId(number() & 0x3FFF_FFFF | 1);
        let initial_seq = Seq::new(number());
        let keys =
            settings.encryption.as_ref().and_then(|encryption| keys(settings, encryption, &mut random));
        let introduction = Introduction {
            local,
            initial_seq,
            window: settings.receive.window_packets,
            latency: settings.receive.latency,
            stream_id: cut(&settings.stream_id).to_owned(),
            key_message: keys.as_ref().map(|keys| keys.message().into()),
        };
        let calling =
            Calling::new(introduction, peer, now, settings.connect_timeout, settings.handshake_retry);
        Self {
            settings: settings.clone(),
            peer,
            local,
            began: now,
            state: State::Calling(Box::new(calling), keys.map(Box::new)),
            events: VecDeque::new(),
            leaving: None,
            ranges: Vec::new(),
            received_bytes: 0,
            sent_bytes: 0,
        }
    }

    /// Takes a datagram; one from elsewhere or for another is ignored.
    pub fn handle_datagram(
        &mut self,
        now: Instant,
        from: SocketAddr,
        datagram: &mut [u8],
        sink: &mut dyn Sink,
    ) {
        if from != self.peer || destination(datagram) != Some(self.local) {
            return;
        }
        match &mut self.state {
            State::Calling(calling, _) => {
                self.received_bytes += datagram.len() as u64;
                let Ok(Packet::Control(control)) = Packet::parse(datagram) else { return };
                let Body::Handshake(answer) = &control.body else { return };
                match calling.answered(now, answer) {
                    Ok(None) => {}
                    Ok(Some(agreement)) => {
                        let since = Duration::from_micros(control.stamp.raw().into());
                        self.open(now, now.checked_sub(since).unwrap_or(now), &agreement);
                    }
                    Err(Refusal::Rejected(code)) => self.finish(now, CallerEvent::Rejected(code)),
                    Err(Refusal::Unsupported) => self.fail(now, ConnectFailure::Unsupported),
                    Err(Refusal::Crypto) => self.fail(now, ConnectFailure::Crypto),
                }
            }
            State::Open(connection) => {
                connection.handle_datagram(now, datagram, sink);
                self.settle(now);
            }
            State::Over(_) => {}
        }
    }

    /// Does what is due.
    pub fn handle_timeout(&mut self, now: Instant, sink: &mut dyn Sink) {
        match &mut self.state {
            State::Calling(calling, _) if calling.is_too_late(now) => self.fail(now, ConnectFailure::Timeout),
            State::Open(connection) => {
                connection.handle_timeout(now, sink);
                self.settle(now);
            }
            State::Calling(..) | State::Over(_) => {}
        }
    }

    /// The peer's host says that nobody listens at its port (ICMP).
    pub fn refused(&mut self, now: Instant) {
        match self.state {
            State::Calling(..) => self.fail(now, ConnectFailure::Refused),
            State::Open(_) => self.end(now, CloseReason::PeerGone),
            State::Over(_) => {}
        }
    }

    /// Our own address has changed: the peer hears of it at the next [`poll_transmit`](Self::poll_transmit).
    pub fn moved(&mut self, now: Instant) {
        match &mut self.state {
            State::Calling(calling, _) => calling.restart(now),
            State::Open(connection) => connection.moved(),
            State::Over(_) => {}
        }
    }

    /// Appends at most about `most` datagrams. Call it after every other call that takes `now`.
    pub fn poll_transmit(&mut self, now: Instant, out: &mut Transmits, most: usize) {
        let before = out.total_bytes();
        match &mut self.state {
            State::Calling(calling, _) => {
                out.push_with(self.peer, |bytes| calling.poll(now, bytes));
                self.sent_bytes += (out.total_bytes() - before) as u64;
            }
            State::Open(connection) => connection.poll_transmit(now, out, most, &mut self.ranges),
            State::Over(report) => {
                if let Some(mut connection) = self.leaving.take() {
                    connection.poll_transmit(now, out, most, &mut self.ranges);
                    report.wire_sent_bytes += (out.total_bytes() - before) as u64;
                }
            }
        }
    }

    /// When [`handle_timeout`](Self::handle_timeout) and [`poll_transmit`](Self::poll_transmit) have something to do;
    /// `None` once it is over. May be in the past when `most` cut the last poll short.
    pub fn next_timeout(&self) -> Option<Instant> {
        match &self.state {
            State::Calling(calling, _) => Some(calling.next_timeout()),
            State::Open(connection) => connection.next_timeout(),
            State::Over(_) => self.leaving.as_ref().and_then(|connection| connection.next_timeout()),
        }
    }

    /// What happened, in order.
    pub fn poll_event(&mut self) -> Option<CallerEvent> {
        self.events.pop_front()
    }

    /// Queues a payload.
    ///
    /// # Errors
    /// [`SendError`]; [`SendError::Closed`] also before it is connected.
    pub fn send(&mut self, now: Instant, payload: &[u8]) -> Result<(), SendError> {
        match &mut self.state {
            State::Open(connection) => connection.send(now, payload),
            State::Calling(..) | State::Over(_) => Err(SendError::Closed),
        }
    }

    /// Ends it at once. To let everything arrive, wait until [`is_drained`](Self::is_drained).
    pub fn close(&mut self, now: Instant) {
        match self.state {
            State::Calling(..) => self.fail(now, ConnectFailure::Cancelled),
            State::Open(_) => self.end(now, CloseReason::Local),
            State::Over(_) => {}
        }
    }

    /// Sets the ceiling for everything sent.
    pub fn set_bandwidth(&mut self, bytes_per_s: u64) {
        self.settings.send.bandwidth_bytes_per_s = bytes_per_s;
        if let State::Open(connection) = &mut self.state {
            connection.set_bandwidth(bytes_per_s);
        }
    }

    /// How many packets the consumer still takes.
    pub fn set_room(&mut self, packets: u32) {
        if let State::Open(connection) = &mut self.state {
            connection.set_room(packets);
        }
    }

    /// Whether the connection is open.
    pub fn is_connected(&self) -> bool {
        matches!(self.state, State::Open(_))
    }

    /// Whether it has ended, in whatever way.
    pub fn is_over(&self) -> bool {
        matches!(self.state, State::Over(_))
    }

    /// Whether everything that was sent is acknowledged.
    pub fn is_drained(&self) -> bool {
        match &self.state {
            State::Open(connection) => connection.is_drained(),
            State::Calling(..) | State::Over(_) => true,
        }
    }

    /// Counters; after the end, the last ones.
    pub fn stats(&self, now: Instant) -> ConnectionReport {
        let mut report = match &self.state {
            State::Calling(..) => ConnectionReport::default(),
            State::Open(connection) => connection.report(now),
            State::Over(report) => **report,
        };
        report.wire_sent_bytes += self.sent_bytes;
        report.wire_received_bytes += self.received_bytes;
        report
    }

    /// Our socket id.
    pub fn local_id(&self) -> SocketId {
        self.local
    }

    fn open(&mut self, now: Instant, peer_began: Instant, agreement: &Agreement) {
        let State::Calling(calling, keys) = &mut self.state else { return };
        let agreed = Agreed {
            local: self.local,
            remote: agreement.remote,
            peer: self.peer,
            began: self.began,
            peer_began,
            our_seq: calling.introduction().initial_seq,
            their_seq: agreement.their_seq,
            peer_window: agreement.window,
            receive_latency: agreement.receive_latency,
            send_latency: agreement.send_latency,
            peer_idle: self.settings.peer_idle,
            rtt: None,
        };
        let keys = keys.take().map(|mut keys| {
            keys.answered_in_handshake();
            *keys
        });
        let connection = Connection::new(&agreed, &self.settings.receive, &self.settings.send, keys, now);
        self.state = State::Open(Box::new(connection));
        self.events.push_back(CallerEvent::Connected { latency: agreement.send_latency });
    }

    fn fail(&mut self, now: Instant, failure: ConnectFailure) {
        self.finish(now, CallerEvent::Failed(failure));
    }

    fn end(&mut self, now: Instant, reason: CloseReason) {
        if let State::Open(connection) = &mut self.state {
            connection.end(now, reason, None);
            self.settle(now);
        }
    }

    fn settle(&mut self, now: Instant) {
        let State::Open(connection) = &self.state else { return };
        if let Some(reason) = connection.over() {
            self.finish(now, CallerEvent::Closed(reason));
        }
    }

    fn finish(&mut self, now: Instant, event: CallerEvent) {
        let report = match &self.state {
            State::Open(connection) => connection.report(now),
            State::Calling(..) | State::Over(_) => ConnectionReport::default(),
        };
        if let State::Open(connection) = std::mem::replace(&mut self.state, State::Over(Box::new(report))) {
            self.leaving = Some(connection);
        }
        self.events.push_back(event);
    }
}

impl std::fmt::Debug for Caller {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let state = match self.state {
            State::Calling(..) => "calling",
            State::Open(_) => "open",
            State::Over(_) => "over",
        };
        write!(f, "Caller({:?} to {}, {state})", self.local, self.peer)
    }
}

/// The keys of both directions; `None` never happens with a message that we made ourselves.
fn keys(settings: &CallerSettings, encryption: &CallerEncryption, random: &mut Random) -> Option<Keys> {
    let CallerEncryption { passphrase, key_size, cipher } = encryption;
    let mut send = SendKeys::new(passphrase, *key_size, *cipher, random);
    if let Some(packets) = settings.send.key_refresh_packets {
        send.set_refresh(packets);
    }
    let receive = ReceiveKeys::open(passphrase, send.message()).ok()?;
    Some(Keys::new(receive, send))
}

fn cut(stream_id: &str) -> &str {
    stream_id.get(..stream_id.floor_char_boundary(MAX_TEXT_BYTES)).unwrap_or_default()
}
