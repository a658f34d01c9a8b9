//! One established connection: both halves, its keys, and what keeps it alive.
//!
//! ```text
//! open    -- SHUTDOWN           --> over (PeerShutdown), everything that came is delivered first
//! open    -- silence            --> over (PeerIdle)
//! open    -- `close`            --> over (its reason), SHUTDOWN goes out twice
//! ```
//! What does not belong here: the handshake, finding the connection of a datagram, whether an address may be believed.
//!
//! Invariants: nothing the peer says after the end changes anything; the sending half exists once something is sent.
//!
//! Rooms: `settings` what both sides configure and count, `keys` encryption, `poll` what is sent and when.

mod keys;
mod poll;
mod settings;

pub use settings::{ConnectionReport, Random, ReceiveSettings, SendError, SendSettings};

use std::net::SocketAddr;
use std::time::{Duration, Instant};

pub(in crate::core) use keys::Keys;

use super::packet::{Body, Control, DataHeader, HEADER_BYTES, KeySlot, Packet};
use super::receive::{Receiver, ReceiverConfig, Sink};
use super::send::{Sender, SenderConfig};
use super::seq::{Seq, SocketId};
use crate::CloseReason;

/// ACKs of the peer that wait for their answers; of more the oldest are not answered.
const MAX_ANSWERS: usize = 4;

/// What both sides agreed on.
#[derive(Debug, Clone)]
pub(in crate::core) struct Agreed {
    pub(in crate::core) local: SocketId,
    pub(in crate::core) remote: SocketId,
    pub(in crate::core) peer: SocketAddr,
    /// What our stamp 0 means.
    pub(in crate::core) began: Instant,
    /// What the peer's means.
    pub(in crate::core) peer_began: Instant,
    /// The first packet of each direction.
    pub(in crate::core) our_seq: Seq,
    pub(in crate::core) their_seq: Seq,
    pub(in crate::core) peer_window: u32,
    pub(in crate::core) receive_latency: Duration,
    pub(in crate::core) send_latency: Duration,
    pub(in crate::core) peer_idle: Duration,
    /// What the handshake measured.
    pub(in crate::core) rtt: Option<Duration>,
}

pub(in crate::core) struct Connection {
    local: SocketId,
    remote: SocketId,
    peer: SocketAddr,
    began: Instant,
    peer_idle: Duration,
    receiver: Receiver,
    sender: Option<Box<Sender>>,
    /// The sending half until there is one.
    sending: Box<SenderConfig>,
    rtt: Option<Duration>,
    keys: Option<Box<Keys>>,
    heard: Instant,
    /// Must have been heard again by then.
    probation: Option<Instant>,
    said: Instant,
    /// Numbers of ACKs to answer, the oldest first.
    answers: [u32; MAX_ANSWERS],
    answers_waiting: usize,
    /// Say something at once, so that the peer sees where we are.
    show: bool,
    over: Option<CloseReason>,
    /// SHUTDOWNs to send.
    farewells: u8,
    wire_received_bytes: u64,
    wire_sent_bytes: u64,
    undecryptable_packets: u64,
    moves: u64,
}

impl Connection {
    pub(in crate::core) fn new(
        agreed: &Agreed,
        receive: &ReceiveSettings,
        send: &SendSettings,
        keys: Option<Keys>,
        now: Instant,
    ) -> Self {
        let receiver = ReceiverConfig {
            start: agreed.their_seq,
            mode: receive.mode,
            latency: agreed.receive_latency,
            ack_interval: receive.ack_interval,
            window_packets: receive.window_packets,
            began: agreed.peer_began,
        };
        Self {
            local: agreed.local,
            remote: agreed.remote,
            peer: agreed.peer,
            began: agreed.began,
            peer_idle: agreed.peer_idle,
            receiver: Receiver::new(&receiver, now),
            sender: None,
            sending: Box::new(sender_config(agreed, send)),
            rtt: agreed.rtt,
            keys: keys.map(Box::new),
            heard: now,
            probation: None,
            said: now,
            answers: [0; MAX_ANSWERS],
            answers_waiting: 0,
            show: false,
            over: None,
            farewells: 0,
            wire_received_bytes: 0,
            wire_sent_bytes: 0,
            undecryptable_packets: 0,
            moves: 0,
        }
    }

    pub(in crate::core) fn peer(&self) -> SocketAddr {
        self.peer
    }

    /// When anything last came from the peer.
    pub(in crate::core) fn heard(&self) -> Instant {
        self.heard
    }

    /// The peer must be heard again until then, or it is gone.
    pub(in crate::core) fn expect_a_sign_until(&mut self, until: Instant) {
        self.probation.get_or_insert(until);
    }

    pub(in crate::core) fn is_encrypted(&self) -> bool {
        self.keys.is_some()
    }

    /// Why it is over, when it is.
    pub(in crate::core) fn over(&self) -> Option<CloseReason> {
        self.over
    }

    /// Takes a datagram of the peer.
    pub(in crate::core) fn handle_datagram(
        &mut self,
        now: Instant,
        datagram: &mut [u8],
        sink: &mut dyn Sink,
    ) {
        if self.over.is_some() {
            return;
        }
        self.wire_received_bytes += datagram.len() as u64;
        match Packet::parse(datagram) {
            Ok(Packet::Data(data)) => {
                let header = data.header();
                self.hear(now);
                self.data(now, &header, datagram, sink);
            }
            Ok(Packet::Control(control)) => {
                self.hear(now);
                self.control(now, &control, sink);
            }
            Err(_) => {}
        }
    }

    /// Whether a data packet could be the peer's, though it comes from elsewhere: within the window, and encrypted as
    /// agreed (with GCM: also sealed with our key). Nothing of the connection changes; the payload does.
    pub(in crate::core) fn is_plausible(&self, datagram: &mut [u8]) -> bool {
        let Ok(Packet::Data(data)) = Packet::parse(datagram) else { return false };
        let header = data.header();
        if !self.receiver.is_in_window(header.seq) {
            return false;
        }
        self.decrypt(&header, datagram).is_some()
    }

    /// The peer's address is this one from now on.
    pub(in crate::core) fn move_to(&mut self, now: Instant, peer: SocketAddr) {
        self.peer = peer;
        self.hear(now);
        self.moves += 1;
        self.show = true;
    }

    /// How often the peer's address has changed.
    pub(in crate::core) fn moves(&self) -> u64 {
        self.moves
    }

    /// Our own address has changed: the peer is to see it at once.
    pub(in crate::core) fn moved(&mut self) {
        self.show = true;
    }

    pub(in crate::core) fn handle_timeout(&mut self, now: Instant, sink: &mut dyn Sink) {
        if self.over.is_some() {
            return;
        }
        self.receiver.handle_timeout(now, sink);
        if let Some(keys) = &mut self.keys {
            keys.derive(now);
        }
        if self.probation.is_some_and(|until| until <= now) {
            self.end(now, CloseReason::PeerGone, Some(&mut *sink));
        }
        if now.saturating_duration_since(self.heard) >= self.peer_idle {
            self.end(now, CloseReason::PeerIdle, Some(sink));
        }
    }

    /// Ends it. What came is delivered, unless it is our side that wants nothing more; the peer is told, unless it has
    /// said it first.
    pub(in crate::core) fn end(&mut self, now: Instant, reason: CloseReason, sink: Option<&mut dyn Sink>) {
        if self.over.is_none() {
            if let Some(sink) = sink {
                self.receiver.finish(now, sink);
            }
            self.over = Some(reason);
            // Never repeated and never answered: losing one would cost the peer its idle time.
            self.farewells = if reason == CloseReason::PeerShutdown { 0 } else { 2 };
        }
    }

    pub(in crate::core) fn send(&mut self, now: Instant, payload: &[u8]) -> Result<(), SendError> {
        if self.over.is_some() {
            return Err(SendError::Closed);
        }
        Ok(self.sender(now).send(now, payload)?)
    }

    pub(in crate::core) fn set_bandwidth(&mut self, bytes_per_s: u64) {
        self.sending.bandwidth_bytes_per_s = bytes_per_s;
        if let Some(sender) = &mut self.sender {
            sender.set_bandwidth(bytes_per_s);
        }
    }

    pub(in crate::core) fn set_room(&mut self, packets: u32) {
        self.receiver.set_room(packets);
    }

    /// Whether all that was sent is acknowledged.
    pub(in crate::core) fn is_drained(&self) -> bool {
        self.sender.as_ref().is_none_or(|sender| sender.is_drained())
    }

    pub(in crate::core) fn report(&self, now: Instant) -> ConnectionReport {
        ConnectionReport {
            receiver: self.receiver.stats(),
            sender: self.sender.as_ref().map(|sender| sender.stats(now)),
            wire_received_bytes: self.wire_received_bytes,
            wire_sent_bytes: self.wire_sent_bytes,
            undecryptable_packets: self.undecryptable_packets,
            key_refreshes: self.keys.as_ref().map_or(0, |keys| keys.refreshes),
            moves: self.moves,
        }
    }

    fn hear(&mut self, now: Instant) {
        self.heard = now;
        self.probation = None;
        if let Some(sender) = &mut self.sender {
            sender.heard(now);
        }
    }

    fn data(&mut self, now: Instant, header: &DataHeader, datagram: &mut [u8], sink: &mut dyn Sink) {
        let Some(length) = self.decrypt(header, datagram) else {
            self.undecryptable_packets += 1;
            return;
        };
        let payload = datagram.get(HEADER_BYTES..HEADER_BYTES + length).unwrap_or_default();
        self.receiver.data(now, header.seq, header.stamp, header.retransmitted, payload, sink);
    }

    /// Makes a payload clear, in place; its length, or `None` where nothing can be made of it.
    fn decrypt(&self, header: &DataHeader, datagram: &mut [u8]) -> Option<usize> {
        let (start, payload) = datagram.split_first_chunk_mut::<HEADER_BYTES>()?;
        match (&self.keys, header.key) {
            (None, KeySlot::Clear) => Some(payload.len()),
            (Some(keys), slot) if slot != KeySlot::Clear => keys.decrypt(slot, start, header.seq, payload),
            _ => None,
        }
    }

    fn control(&mut self, now: Instant, control: &Control<'_>, sink: &mut dyn Sink) {
        match &control.body {
            Body::Ack(ack) => {
                self.answer(ack.number);
                if let Some(sender) = &mut self.sender {
                    sender.ack(now, ack);
                }
            }
            Body::LightAck { ack } => {
                if let Some(sender) = &mut self.sender {
                    sender.light_ack(now, *ack);
                }
            }
            Body::Nak(list) => {
                if let Some(sender) = &mut self.sender {
                    sender.nak(now, list.ranges());
                }
            }
            Body::AckAck { number } => self.receiver.ackack(now, *number),
            Body::DropRequest { range, .. } => self.receiver.drop_request(now, *range, sink),
            Body::Shutdown => self.end(now, CloseReason::PeerShutdown, Some(sink)),
            Body::KeyRequest(message) => {
                if let Some(keys) = &mut self.keys {
                    keys.requested(now, message);
                }
            }
            Body::KeyResponse(message) => {
                if let Some(keys) = &mut self.keys {
                    keys.answered(message);
                }
            }
            // A late handshake is the endpoint's; the others say nothing to a live connection.
            Body::Handshake(_)
            | Body::Keepalive
            | Body::CongestionWarning
            | Body::PeerError(_)
            | Body::Unknown { .. } => {}
        }
    }

    fn answer(&mut self, number: u32) {
        if self.answers_waiting == MAX_ANSWERS {
            self.answers.rotate_left(1);
            self.answers_waiting -= 1;
        }
        if let Some(place) = self.answers.get_mut(self.answers_waiting) {
            *place = number;
            self.answers_waiting += 1;
        }
    }

    fn sender(&mut self, now: Instant) -> &mut Sender {
        let (config, rtt) = (&self.sending, self.rtt);
        self.sender.get_or_insert_with(|| {
            let mut sender = Sender::new(SenderConfig::clone(config), now);
            if let Some(rtt) = rtt {
                sender.seed_rtt(rtt);
            }
            Box::new(sender)
        })
    }
}

impl std::fmt::Debug for Connection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { local, remote, peer, over, .. } = self;
        write!(f, "Connection({local:?} to {remote:?} at {peer}, over: {over:?})")
    }
}

fn sender_config(agreed: &Agreed, send: &SendSettings) -> SenderConfig {
    SenderConfig {
        start: agreed.our_seq,
        peer_latency: agreed.send_latency,
        too_late: send.too_late,
        max_buffer_bytes: send.max_buffer_bytes,
        max_buffer_packets: send.max_buffer_packets,
        bandwidth_bytes_per_s: send.bandwidth_bytes_per_s,
        overhead_percent: send.overhead_percent,
        max_payload: send.max_payload,
        peer_window: agreed.peer_window,
    }
}
