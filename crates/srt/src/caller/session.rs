//! A caller without its socket: the core, what we add to its statistics, and how we drive it.
//!
//! What we add, and why:
//! - *A lost tail is probed for* with one packet, where the core would send its whole flight again (`tail`).
//! - *Silence stops the flow.* When the peer has said nothing for [`STALL_LEAST`] or longer although data is under way, the link is
//!   probably cut: only one packet per [`PROBE`] is sent until it is heard again, instead of filling a black hole.
//! - *Pacing by a token bucket* that can be set while sending (`pacer`); the core's own is opened wide.
//!
//! Limits of the stop-gap: a rate is a ceiling, not an estimate; no DROPREQ (what is 60 s old ends the session), no
//! AES-192.
//!
//! Times are passed in.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use sapflow_srt::caller::ConfigError;
use sapflow_srt::packet::{Control, ControlPacket, Packet};
use sapflow_srt::{Caller, CallerCloseReason, CallerEvent};

use super::pacer::{Ages, Pacer};
use super::tail::{Tail, VARIANCE_US};
use super::{CallerConfig, SendError, SendStats};
use crate::{CloseReason, ConnectError, RejectCode, TS_PAYLOAD_BYTES};

/// Where the variance stands in a full ACK.
const ACK_VARIANCE: usize = 24;
/// Silence after which the link counts as cut: this and some round trips, but at most [`STALL_MOST`].
const STALL_LEAST: Duration = Duration::from_millis(250);
/// A listener that has nothing to say sends a keepalive each second.
const STALL_MOST: Duration = Duration::from_millis(1200);
/// How often a link that counts as cut is tried with a packet.
const PROBE: Duration = Duration::from_millis(100);
/// What the core has due within the timer's resolution is sent together.
const AHEAD: Duration = Duration::from_millis(1);
/// The core's own pacing, in bytes a second: as good as none.
const CORE_RATE: u64 = 1_000_000_000;
/// Packets sent in one go at most.
const BURST_PACKETS: usize = 256;
/// Nothing of ours expires sooner (upper layers drop whole segments instead).
const MAX_AGE: Duration = Duration::from_secs(60);

pub(super) struct Session {
    core: Caller,
    peer: SocketAddr,
    opened: Option<Opened>,
    ended: Option<Ended>,
    heard: Instant,
    probed: Instant,
    peer_variance_us: u32,
    delivery_bytes_per_second: u64,
    naks: u64,
    wire_sent_bytes: u64,
    wire_received_bytes: u64,
    ages: Ages,
    pacer: Pacer,
    tail: Tail,
    /// When the driver has to run again at the latest; senders wake it only for something earlier.
    pub(super) wakes_at: Option<Instant>,
    /// Close as soon as everything is acknowledged, at the latest then.
    pub(super) linger_until: Option<Instant>,
}

/// What the handshake agreed on.
#[derive(Debug, Clone, Copy)]
pub(super) struct Opened {
    pub(super) latency: Duration,
}

/// How a session ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ended {
    Core(CallerCloseReason),
    Refused,
}

impl Session {
    pub(super) fn new(peer: SocketAddr, config: &CallerConfig, now: Instant) -> Result<Self, ConnectError> {
        let core = Caller::new(core_config(config), peer, now)
            .map_err(|error| ConnectError::Config { what: config_error(error) })?;
        Ok(Self {
            core,
            peer,
            opened: None,
            ended: None,
            heard: now,
            probed: now,
            peer_variance_us: 0,
            delivery_bytes_per_second: 0,
            naks: 0,
            wire_sent_bytes: 0,
            wire_received_bytes: 0,
            ages: Ages::default(),
            pacer: Pacer::new(config.bandwidth_bytes_per_second, now),
            tail: Tail::new(now),
            wakes_at: None,
            linger_until: None,
        })
    }

    /// Queues a payload.
    pub(super) fn send(&mut self, now: Instant, payload: &[u8]) -> Result<(), SendError> {
        if payload.is_empty() || payload.len() > TS_PAYLOAD_BYTES {
            return Err(SendError::Size { bytes: payload.len() });
        }
        if let Some(ended) = self.ended {
            return Err(SendError::Closed(ended.reason()));
        }
        match self.core.enqueue(now, payload.to_vec()) {
            Ok(()) => {
                let accepted = self.core.stats().send.accepted_bytes;
                self.ages.accepted(now, accepted);
                Ok(())
            }
            Err(sapflow_srt::SendError::QueueFull) => Err(SendError::Full),
            Err(_) => Err(SendError::Closed(self.ended.map_or(CloseReason::Stopped, Ended::reason))),
        }
    }

    /// Takes a datagram from the peer.
    pub(super) fn receive(&mut self, now: Instant, datagram: &mut [u8]) {
        self.wire_received_bytes += datagram.len() as u64;
        self.observe(now, datagram);
        self.core.handle_datagram(now, self.peer, datagram);
        self.settle(now);
    }

    /// Nobody listens at the peer's port.
    pub(super) fn refused(&mut self, now: Instant) {
        self.core.stop(now);
        self.settle(now);
        self.ended = Some(Ended::Refused);
    }

    /// Ends the session from our side; the SHUTDOWN is among the next transmits.
    pub(super) fn stop(&mut self, now: Instant) {
        self.core.stop(now);
        self.settle(now);
    }

    /// Sets the ceiling for everything sent.
    pub(super) fn set_rate(&mut self, bytes_per_second: u64) {
        self.pacer.set_rate(bytes_per_second);
    }

    /// Writes what is to be sent now into `out`.
    pub(super) fn transmit(&mut self, now: Instant, out: &mut Vec<Vec<u8>>) {
        if let Some(nak) = self.tail.probe(now, self.core.stats().send.rtt_us) {
            self.core.handle_datagram(now, self.peer, &nak);
        }
        let limit = if self.is_stalled(now) { self.probes(now) } else { BURST_PACKETS };
        while out.len() < limit && self.pacer.ready(now) {
            let Some(at) = self.core.poll_timeout().filter(|at| *at <= now + AHEAD) else { break };
            match self.core.poll_transmit(at.max(now)) {
                Some((_, datagram)) => {
                    self.pacer.spend(datagram.len());
                    self.tail.sent(now, &datagram);
                    out.push(datagram);
                }
                // A timer that sent nothing and is still due would be polled for ever.
                None if self.core.poll_timeout().is_none_or(|next| next <= at) => break,
                None => {}
            }
        }
        self.settle(now);
        // After the end this is the SHUTDOWN, which no timer announces.
        if self.core.is_closed()
            && let Some((_, shutdown)) = self.core.poll_transmit(now)
        {
            // It is never repeated and never answered, and losing it costs the peer its idle time.
            out.push(shutdown.clone());
            out.push(shutdown);
        }
        self.wire_sent_bytes += out.iter().map(|datagram| datagram.len() as u64).sum::<u64>();
    }

    /// When [`transmit`](Self::transmit) has something to do.
    pub(super) fn next_wake(&self, now: Instant) -> Option<Instant> {
        let mut wake = self.core.poll_timeout()?;
        if self.is_stalled(now) {
            wake = wake.max(self.probed + PROBE);
        }
        if let Some(ready) = self.pacer.next_ready() {
            wake = wake.max(ready);
        }
        let probe = self.tail.next_probe(self.core.stats().send.rtt_us);
        Some([probe, self.linger_until].into_iter().flatten().fold(wake, Instant::min))
    }

    /// Whether a close that waits for acknowledgements may go on.
    pub(super) fn lingered(&self, now: Instant) -> bool {
        self.linger_until.is_some_and(|until| now >= until || self.core.stats().send.buffered_packets == 0)
    }

    pub(super) fn opened(&self) -> Option<Opened> {
        self.opened
    }

    pub(super) fn ended(&self) -> Option<Ended> {
        self.ended
    }

    pub(super) fn stats(&self, now: Instant) -> SendStats {
        let send = self.core.stats().send;
        SendStats {
            rtt_us: send.rtt_us,
            rtt_var_us: u64::from(self.peer_variance_us),
            accepted_packets: send.accepted_packets,
            accepted_bytes: send.accepted_bytes,
            sent_packets: send.sent_packets,
            sent_bytes: send.sent_bytes,
            retransmitted_packets: send.retransmitted_packets,
            retransmitted_bytes: send.retransmitted_bytes,
            acked_packets: send.acknowledged_packets,
            acked_bytes: send.acknowledged_bytes,
            buffered_packets: send.buffered_packets as u64,
            buffered_bytes: send.buffered_bytes as u64,
            buffered: self.ages.oldest(now),
            silence: now.saturating_duration_since(self.heard),
            naks: self.naks,
            delivery_bytes_per_second: self.delivery_bytes_per_second,
            wire_sent_bytes: self.wire_sent_bytes,
            wire_received_bytes: self.wire_received_bytes,
        }
    }

    /// Reads what the core does not tell, and floors the variance.
    fn observe(&mut self, now: Instant, datagram: &mut [u8]) {
        let Ok(Packet::Control(ControlPacket { body, .. })) = Packet::parse(datagram) else {
            return;
        };
        self.heard = now;
        match body {
            Control::Ack(ack) => {
                self.tail.acknowledged(ack.ack);
                let Some(stats) = ack.stats else { return };
                self.peer_variance_us = stats.rtt_var;
                if let Some((_, _, bytes)) = stats.rates {
                    self.delivery_bytes_per_second = u64::from(bytes);
                }
                if let Some(word) = datagram.get_mut(ACK_VARIANCE..ACK_VARIANCE + 4) {
                    word.copy_from_slice(&stats.rtt_var.max(VARIANCE_US).to_be_bytes());
                }
            }
            Control::Nak(_) => self.naks += 1,
            _ => {}
        }
    }

    fn settle(&mut self, now: Instant) {
        while let Some(event) = self.core.poll_event() {
            match event {
                CallerEvent::Connected { latency, .. } => {
                    self.opened = Some(Opened { latency });
                    self.heard = now;
                    self.core.handle_datagram(now, self.peer, &self.tail.first_ack());
                }
                CallerEvent::Closed { reason } => {
                    self.ended.get_or_insert(Ended::Core(reason));
                }
            }
        }
        self.ages.acknowledged(self.core.stats().send.acknowledged_bytes);
    }

    fn is_stalled(&self, now: Instant) -> bool {
        let rtt = Duration::from_micros(self.core.stats().send.rtt_us);
        let stall = (STALL_LEAST + rtt * 4).min(STALL_MOST);
        self.opened.is_some()
            && now.saturating_duration_since(self.heard) > stall
            && self.ages.oldest(now) > stall
    }

    /// Packets that may be sent into a silent link now.
    fn probes(&mut self, now: Instant) -> usize {
        if now < self.probed + PROBE {
            return 0;
        }
        self.probed = now;
        1
    }
}

impl Ended {
    pub(super) fn reason(self) -> CloseReason {
        match self {
            Self::Refused => CloseReason::PeerGone,
            Self::Core(reason) => match reason {
                CallerCloseReason::Cancelled => CloseReason::Local,
                CallerCloseReason::PeerClosed => CloseReason::PeerShutdown,
                CallerCloseReason::PeerError(code) => CloseReason::PeerError(code),
                CallerCloseReason::MediaExpired | CallerCloseReason::RetryLimit => CloseReason::Expired,
                CallerCloseReason::Crypto => CloseReason::Crypto,
                _ => CloseReason::PeerIdle,
            },
        }
    }

    /// As the outcome of a connect.
    pub(super) fn connect_error(self, peer: SocketAddr, config: &CallerConfig) -> ConnectError {
        match self {
            Self::Refused => ConnectError::Refused { peer },
            Self::Core(CallerCloseReason::Rejected(code)) => {
                ConnectError::Rejected { peer, code: RejectCode(code) }
            }
            Self::Core(CallerCloseReason::Crypto) => ConnectError::Crypto { peer },
            Self::Core(CallerCloseReason::UnsupportedPeer) => ConnectError::Unsupported { peer },
            Self::Core(_) => ConnectError::Timeout { peer, timeout: config.connect_timeout },
        }
    }
}

fn core_config(config: &CallerConfig) -> sapflow_srt::CallerConfig {
    sapflow_srt::CallerConfig {
        stream_id: config.stream_id.clone(),
        latency: config.latency,
        connect_timeout: config.connect_timeout,
        handshake_retry: config.handshake_retry,
        max_handshake_packets: 1024,
        peer_idle: config.peer_idle,
        send: sapflow_srt::SendConfig {
            max_packets: 65_536,
            max_bytes: config.max_buffer_bytes,
            max_age_us: u64::try_from(MAX_AGE.as_micros()).unwrap_or(u64::MAX),
            max_payload: TS_PAYLOAD_BYTES,
            bandwidth: CORE_RATE,
            max_retransmits: 1024,
        },
        crypto: config.encryption.as_ref().and_then(|e| e.passphrase.core(e.key_size)),
    }
}

fn config_error(error: ConfigError) -> String {
    error.to_string()
}
