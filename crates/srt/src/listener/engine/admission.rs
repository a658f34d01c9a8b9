//! How a caller becomes a connection, or does not: handshakes, the application's answer, keys.
//!
//! What does not belong here: open connections.
//!
//! Invariants: a repeated handshake gives the same answer and never a second connection; no caller is let in without
//! the application's yes and, where there is a passphrase, the right one.
//!
//! draft-sharabayko-srt-01 §4.3.1, §6.1.5.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use sapflow_srt::packet::{Control, ControlPacket, Extension, Handshake, HandshakeKind, Packet};
use sapflow_srt::seq::Seq;
use sapflow_srt::{Config, ConnId, Event};
use tracing::{info, warn};

use super::Engine;
use crate::listener::ListenerConfig;
use crate::listener::outlet::{Mirror, Outlet, Replay};
use crate::listener::peer::{HOLD_PACKETS, Opening, Peer};
use crate::listener::shown::shown;
use crate::queue::DeliveryQueue;
use crate::{AcceptError, KeySize, RejectCode, RejectReason};

/// The application has this long to answer a request: no caller waits longer.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(3);
/// Handshake packets answered per second; a derived key costs some 4 ms of this thread.
const HANDSHAKES_PER_SECOND: u32 = 200;

/// A handshake packet is not under way for longer.
const REMEMBERED: Duration = Duration::from_secs(10);
/// Ended connections remembered at most.
const MOST_REMEMBERED: usize = 256;

/// A caller that waits for the application's answer.
pub(super) struct Waiting {
    pub(super) addr: SocketAddr,
    pub(super) stream_id: Arc<str>,
    conclusion: Vec<u8>,
    arrived: Instant,
    timestamp: u32,
    handshake: Handshake,
}

/// A request for the application.
pub(in crate::listener) struct Announced {
    pub(in crate::listener) id: u32,
    pub(in crate::listener) peer: SocketAddr,
    pub(in crate::listener) stream_id: Arc<str>,
    pub(in crate::listener) encrypted: bool,
}

/// An accepted connection for the application.
pub(in crate::listener) struct Accepted {
    pub(in crate::listener) peer: SocketAddr,
    pub(in crate::listener) stream_id: Arc<str>,
    pub(in crate::listener) encrypted: bool,
    pub(in crate::listener) latency: Duration,
    pub(in crate::listener) queue: Arc<DeliveryQueue>,
}

impl Engine {
    /// Answers a request with yes.
    pub(in crate::listener) fn accept(&mut self, now: Instant, id: u32) -> Result<Accepted, AcceptError> {
        let waiting = self.waiting.remove(&id).ok_or(AcceptError::Gone)?;
        let crypto = key_size(&waiting.handshake)
            .and_then(|size| self.config.passphrase.as_ref().and_then(|secret| secret.core(size)));
        let accepted = self.core.accept_with_crypto(ConnId(id), now, crypto.clone());
        self.drain_core(now, Some(&waiting.stream_id));
        if !accepted {
            return Err(AcceptError::WrongPassphrase);
        }
        let mirror = match crypto {
            None => None,
            Some(crypto) => match Mirror::new(self.replay(&waiting), crypto) {
                Some(mirror) => Some(mirror),
                None => {
                    self.core.close(ConnId(id), now);
                    self.drain_core(now, None);
                    return Err(AcceptError::WrongPassphrase);
                }
            },
        };
        self.stats.accepted += 1;
        Ok(self.open(now, id, waiting, mirror))
    }

    /// Answers a request with no.
    pub(in crate::listener) fn reject(&mut self, now: Instant, id: u32, reason: RejectReason) {
        if let Some(waiting) = self.waiting.remove(&id) {
            let code = reason.code();
            info!(peer = %waiting.addr, stream_id = shown(&waiting.stream_id), code = code.0, "SRT caller refused");
            self.core.reject(ConnId(id), sapflow_srt::RejectCode(code.0));
            self.drain_core(now, None);
        }
    }

    pub(super) fn handshake(
        &mut self,
        now: Instant,
        from: SocketAddr,
        timestamp: u32,
        hs: Handshake,
        datagram: &[u8],
    ) {
        if self.has_just_ended(now, (from, hs.socket_id)) {
            self.stats.stray += 1;
            return;
        }
        self.core.handle_datagram(now, from, datagram);
        let stream_id = String::from_utf8_lossy(hs.stream_id().unwrap_or_default()).into_owned();
        let valid = hs.stream_id().is_none_or(|id| std::str::from_utf8(id).is_ok());
        let Some(Event::Connect { id, .. }) = self.drain_core(now, Some(&stream_id)) else {
            return;
        };
        let stream_id: Arc<str> = stream_id.into();
        let announced = Announced {
            id: id.0,
            peer: from,
            stream_id: stream_id.clone(),
            encrypted: key_size(&hs).is_some(),
        };
        let conclusion = datagram.to_vec();
        let waiting = Waiting { addr: from, stream_id, conclusion, arrived: now, timestamp, handshake: hs };
        self.waiting.insert(id.0, waiting);
        if valid {
            self.requests.push_back(announced);
        } else {
            self.reject(now, id.0, RejectReason::BadRequest);
        }
    }

    fn has_just_ended(&mut self, now: Instant, caller: (SocketAddr, u32)) -> bool {
        while self.ended.front().is_some_and(|(at, _)| now > *at + REMEMBERED)
            || self.ended.len() > MOST_REMEMBERED
        {
            self.ended.pop_front();
        }
        self.ended.iter().any(|(_, ended)| *ended == caller)
    }

    fn replay<'a>(&self, waiting: &'a Waiting) -> Replay<'a> {
        Replay {
            key: self.key.clone(),
            epoch: self.epoch,
            arrived: waiting.arrived,
            peer: waiting.addr,
            conclusion: &waiting.conclusion,
            timestamp: waiting.timestamp,
        }
    }

    fn open(&mut self, now: Instant, id: u32, waiting: Waiting, mirror: Option<Mirror>) -> Accepted {
        let latency = self.core.latency(ConnId(id)).unwrap_or(self.config.latency);
        let encrypted = mirror.is_some();
        let queue = Arc::new(DeliveryQueue::new(self.config.max_queued_bytes));
        let opening = Opening {
            addr: waiting.addr,
            caller_socket: waiting.handshake.socket_id,
            stream_id: waiting.stream_id.clone(),
            initial: Seq::new(waiting.handshake.initial_seq),
            timestamp: waiting.timestamp,
            latency,
            ack_interval: self.config.ack_interval,
            encrypted,
        };
        let peer = Peer::new(now, opening, Outlet::new(queue.clone(), mirror));
        self.by_caller.insert((peer.addr, peer.caller_socket), id);
        info!(peer = %peer.addr, stream_id = shown(&peer.stream_id), encrypted, ?latency, "SRT caller accepted");
        self.peers.insert(id, peer);
        Accepted { peer: waiting.addr, stream_id: waiting.stream_id, encrypted, latency, queue }
    }

    pub(super) fn log_rejection(&mut self, to: SocketAddr, datagram: &[u8], stream_id: Option<&str>) {
        let Ok(Packet::Control(ControlPacket { body: Control::Handshake(hs), .. })) = Packet::parse(datagram)
        else {
            return;
        };
        let HandshakeKind::Rejection(code) = hs.kind else { return };
        let code = RejectCode(code);
        match code {
            RejectCode::BAD_SECRET => self.stats.wrong_passphrase += 1,
            RejectCode::UNSECURE => self.stats.unsecure += 1,
            RejectCode(2000..) => return,
            _ => {}
        }
        let stream_id = stream_id.unwrap_or_default();
        warn!(peer = %to, stream_id = shown(stream_id), code = code.0, why = code.meaning(), "SRT handshake refused");
    }
}

/// The key length that a caller's key material is for.
fn key_size(hs: &Handshake) -> Option<KeySize> {
    hs.extensions.iter().find_map(|extension| match extension {
        Extension::KmReq(material) => match material.get(15) {
            Some(8) => Some(KeySize::Aes256),
            _ => Some(KeySize::Aes128),
        },
        _ => None,
    })
}

pub(super) fn core_config(config: &ListenerConfig) -> Config {
    // With optional encryption the core wants some secret configured; the one in force is chosen at the accept.
    let optional = config.passphrase.as_ref().filter(|_| config.allow_plaintext);
    Config {
        latency: config.latency.clamp(Duration::from_millis(20), Duration::from_secs(60)),
        max_connections: config.max_connections,
        handshakes_per_second: HANDSHAKES_PER_SECOND,
        buffer_packets: HOLD_PACKETS,
        peer_idle: config.peer_idle,
        accept_timeout: ANSWER_TIMEOUT,
        crypto: optional.and_then(|secret| secret.core(KeySize::Aes128)),
        require_encryption: config.passphrase.is_some() && !config.allow_plaintext,
        allow_plaintext: config.allow_plaintext,
    }
}
