//! The listener without its socket: datagrams, commands and `now` come in; datagrams and requests go out.
//!
//! Handshakes, acknowledgements, loss reports and idle times are the core's (`sapflow-srt`); order, holding, delivery
//! and what is worth sending are ours (`peer`, `feedback`, `outlet`).
//!
//! Invariants: a datagram touches at most the connection it names and comes from; memory is bounded by the number of
//! connections; nothing here waits.

mod admission;
#[cfg(test)]
mod tests;

use std::collections::{HashMap, VecDeque};
use std::hash::RandomState;
use std::net::SocketAddr;
use std::time::Instant;

use sapflow_srt::packet::{Control, ControlPacket, DataPacket, Packet};
use sapflow_srt::{ConnId, Event, Listener};
use tracing::{debug, info, warn};

use super::feedback::complete_ack;
use super::peer::{Header, Peer};
use super::shown::shown;
use super::{ListenerConfig, ListenerStats};
use crate::{CloseReason, RejectReason};
pub(super) use admission::{Accepted, Announced};
use admission::{Waiting, core_config};

pub(super) struct Engine {
    config: ListenerConfig,
    core: Listener<RandomState>,
    key: RandomState,
    epoch: Instant,
    peers: HashMap<u32, Peer>,
    /// By the caller's address and socket id, as the core addresses what it sends.
    by_caller: HashMap<(SocketAddr, u32), u32>,
    /// Connections that ended a moment ago: a conclusion that was under way must not open a ghost of one.
    ended: VecDeque<(Instant, (SocketAddr, u32))>,
    waiting: HashMap<u32, Waiting>,
    transmits: VecDeque<(SocketAddr, Vec<u8>)>,
    requests: VecDeque<Announced>,
    headers: Vec<Header>,
    stats: ListenerStats,
}

impl Engine {
    pub(super) fn new(config: ListenerConfig, now: Instant) -> Self {
        let key = RandomState::new();
        Self {
            core: Listener::with_key(core_config(&config), now, key.clone()),
            key,
            epoch: now,
            config,
            peers: HashMap::new(),
            by_caller: HashMap::new(),
            ended: VecDeque::new(),
            waiting: HashMap::new(),
            transmits: VecDeque::new(),
            requests: VecDeque::new(),
            headers: Vec::new(),
            stats: ListenerStats::default(),
        }
    }

    /// Takes a datagram.
    pub(super) fn handle_datagram(&mut self, now: Instant, from: SocketAddr, datagram: &[u8]) {
        self.stats.received_bytes += datagram.len() as u64;
        match Packet::parse(datagram) {
            Ok(Packet::Data(packet)) => self.data(now, from, &packet, datagram),
            Ok(Packet::Control(packet)) => self.control(now, from, packet, datagram),
            Err(_) => self.core.handle_datagram(now, from, datagram),
        }
    }

    /// Does what is due.
    pub(super) fn tick(&mut self, now: Instant) {
        let ids: Vec<u32> = self.peers.keys().copied().collect();
        for id in &ids {
            if let Some(peer) = self.peers.get_mut(id) {
                peer.expire(now, &mut self.headers);
                self.show_core(now, *id);
            }
        }
        self.core.handle_timeout(now);
        self.drain_core(now, None);
        for id in ids {
            let Some(peer) = self.peers.get_mut(&id) else { continue };
            if let Some(mut ack) = peer.acks.due(now) {
                complete_ack(&mut ack, peer.hold.room(), peer.rate.bytes_per_second());
                self.transmits.push_back((peer.addr, ack));
            }
            if let Some(nak) = peer.naks.due(now, &peer.hold) {
                self.transmits.push_back((peer.addr, nak));
            }
            peer.publish();
            peer.outlet.overflowed |= peer.outlet.queue.is_abandoned();
            self.close_if_stuck(now, id);
        }
    }

    /// When [`tick`](Self::tick) has something to do.
    pub(super) fn next_wake(&self) -> Option<Instant> {
        self.peers.values().filter_map(Peer::next_wake).chain(self.core.poll_timeout()).min()
    }

    pub(super) fn poll_transmit(&mut self) -> Option<(SocketAddr, Vec<u8>)> {
        let next = self.transmits.pop_front();
        if let Some((_, datagram)) = &next {
            self.stats.sent_bytes += datagram.len() as u64;
        }
        next
    }

    pub(super) fn poll_request(&mut self) -> Option<Announced> {
        self.requests.pop_front()
    }

    pub(super) fn stats(&self) -> ListenerStats {
        let core = self.core.stats();
        ListenerStats {
            connections: self.peers.len() as u64,
            rejected: core.rejected,
            malformed: core.malformed,
            stray: self.stats.stray + core.stray,
            bad_cookies: core.bad_cookie,
            rate_limited: core.rate_limited,
            ..self.stats
        }
    }

    /// Ends a connection from our side.
    pub(super) fn close(&mut self, now: Instant, id: u32, reason: CloseReason) {
        self.core.close(ConnId(id), now);
        self.finish(now, id, reason);
        self.drain_core(now, None);
    }

    /// Ends everything.
    pub(super) fn close_all(&mut self, now: Instant, reason: CloseReason) {
        for id in self.peers.keys().copied().collect::<Vec<_>>() {
            self.close(now, id, reason);
        }
        for id in self.waiting.keys().copied().collect::<Vec<_>>() {
            self.reject(now, id, RejectReason::Unavailable);
        }
    }

    fn data(&mut self, now: Instant, from: SocketAddr, packet: &DataPacket<'_>, datagram: &[u8]) {
        let Some(peer) = self.peers.get_mut(&packet.dest).filter(|peer| peer.addr == from) else {
            self.stats.stray += 1;
            return;
        };
        peer.data(now, packet, datagram, &mut self.headers);
        self.show_core(now, packet.dest);
        self.drain_core(now, None);
        self.close_if_stuck(now, packet.dest);
    }

    fn control(&mut self, now: Instant, from: SocketAddr, packet: ControlPacket, datagram: &[u8]) {
        let id = packet.dest;
        let peer = self.peers.get_mut(&id).filter(|peer| peer.addr == from);
        match (packet.body, peer) {
            (Control::Handshake(handshake), _) => {
                return self.handshake(now, from, packet.timestamp, handshake, datagram);
            }
            (Control::AckAck { number }, Some(peer)) if !peer.acks.measures(number) => return,
            (Control::DropRequest { first, last, .. }, Some(peer)) => {
                peer.dropped(now, first, last, &mut self.headers);
                self.show_core(now, id);
            }
            (Control::Other { control_type: 0x7fff, subtype: 3, .. }, Some(peer)) => {
                if let Some(mirror) = &mut peer.outlet.at(now).mirror {
                    mirror.refresh_key(datagram);
                }
            }
            _ => {}
        }
        self.core.handle_datagram(now, from, datagram);
        self.drain_core(now, None);
        self.close_if_stuck(now, id);
    }

    /// Shows the core the headers that a connection has written.
    fn show_core(&mut self, now: Instant, id: u32) {
        let Some(peer) = self.peers.get(&id) else {
            self.headers.clear();
            return;
        };
        for mut header in self.headers.drain(..) {
            super::feedback::overwrite(&mut header, 12, id);
            self.core.handle_datagram(now, peer.addr, &header);
        }
    }

    /// Takes the core's output; returns the caller it announces, if any.
    fn drain_core(&mut self, now: Instant, stream_id: Option<&str>) -> Option<Event> {
        while let Some((to, datagram)) = self.core.poll_transmit() {
            self.feedback(now, to, datagram, stream_id);
        }
        let mut connect = None;
        while let Some(event) = self.core.poll_event() {
            match event {
                Event::Connect { .. } => connect = Some(event),
                // Empty payloads: we deliver ourselves.
                Event::Data { .. } => {}
                Event::Closed { id, reason, .. } => self.core_closed(now, id.0, reason),
            }
        }
        connect
    }

    fn core_closed(&mut self, now: Instant, id: u32, reason: Option<sapflow_srt::CloseReason>) {
        if let Some(waiting) = self.waiting.remove(&id) {
            debug!(peer = %waiting.addr, stream_id = shown(&waiting.stream_id), "SRT caller was not answered in time");
            return;
        }
        let reason = match reason {
            Some(sapflow_srt::CloseReason::Timeout) => CloseReason::PeerIdle,
            _ => CloseReason::PeerShutdown,
        };
        self.finish(now, id, reason);
    }

    /// Decides about a datagram that the core wants to send.
    fn feedback(&mut self, now: Instant, to: SocketAddr, mut datagram: Vec<u8>, stream_id: Option<&str>) {
        let kind = datagram.get(..2).map(|word| (word.first().copied(), word.last().copied()));
        match kind {
            Some((Some(0x80), Some(0))) => self.log_rejection(to, &datagram, stream_id),
            Some((Some(0x80), Some(2))) => {
                if let Some(peer) = self.peer_of(to, &datagram) {
                    complete_ack(&mut datagram, peer.hold.room(), peer.rate.bytes_per_second());
                    match peer.acks.pass(now, datagram) {
                        Some(ack) => datagram = ack,
                        None => return,
                    }
                }
            }
            Some((Some(0x80), Some(3))) => {
                if let Some(peer) = self.peer_of(to, &datagram) {
                    let naks = peer.naks.pass(now, datagram, &peer.hold);
                    self.transmits.extend(naks.into_iter().map(|nak| (to, nak)));
                    return;
                }
            }
            _ => {}
        }
        self.transmits.push_back((to, datagram));
    }

    fn peer_of(&mut self, to: SocketAddr, datagram: &[u8]) -> Option<&mut Peer> {
        let socket = u32::from_be_bytes(datagram.get(12..16)?.try_into().ok()?);
        let id = self.by_caller.get(&(to, socket))?;
        self.peers.get_mut(id)
    }

    /// Ends a connection whose consumer is gone or too slow.
    fn close_if_stuck(&mut self, now: Instant, id: u32) {
        let Some(peer) = self.peers.get(&id).filter(|peer| peer.outlet.overflowed) else { return };
        if peer.outlet.queue.is_abandoned() {
            self.close(now, id, CloseReason::Local);
        } else {
            warn!(peer = %peer.addr, stream_id = shown(&peer.stream_id), "SRT connection closed: its consumer is too slow");
            self.stats.slow_consumers += 1;
            self.close(now, id, CloseReason::SlowConsumer);
        }
    }

    fn finish(&mut self, now: Instant, id: u32, reason: CloseReason) {
        let Some(mut peer) = self.peers.remove(&id) else { return };
        self.by_caller.remove(&(peer.addr, peer.caller_socket));
        self.ended.push_back((now, (peer.addr, peer.caller_socket)));
        peer.flush(now);
        peer.publish();
        peer.outlet.queue.close(reason);
        let stats = peer.outlet.queue.stats();
        self.stats.lost_packets += stats.lost_packets;
        info!(
            peer = %peer.addr,
            stream_id = shown(&peer.stream_id),
            reason = reason.name(),
            received_bytes = stats.received_bytes,
            lost_packets = stats.lost_packets,
            "SRT connection closed"
        );
    }
}
