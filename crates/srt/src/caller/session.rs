//! A caller without its socket: the protocol, how it ended, and when the driver has to come again.
//!
//! Times are passed in.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use super::{CallerConfig, SendError, SendStats};
use crate::core::receive::Sink;
use crate::core::seq::SeqRange;
use crate::core::{self, CallerEvent, ConnectFailure, Transmits};
use crate::queue::DeliveryQueue;
use crate::{CloseReason, ConnectError, RejectCode, TS_PAYLOAD_BYTES};

/// Datagrams sent in one go at most.
const BURST_DATAGRAMS: usize = 256;

pub(super) struct Session {
    core: core::Caller,
    inbox: Inbox,
    opened: Option<Duration>,
    ended: Option<Ended>,
    heard: Instant,
    moves: u64,
    /// The driver comes at the latest then; senders wake it only for something earlier.
    pub(super) wakes_at: Option<Instant>,
    /// Close as soon as everything is acknowledged, at the latest then.
    pub(super) linger_until: Option<Instant>,
}

/// How a session ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ended {
    Rejected(RejectCode),
    Failed(ConnectFailure),
    Closed(CloseReason),
}

/// The way to whoever receives.
struct Inbox {
    queue: std::sync::Arc<DeliveryQueue>,
    touched: bool,
    overflowed: bool,
}

impl Session {
    pub(super) fn new(core: core::Caller, queue: std::sync::Arc<DeliveryQueue>, now: Instant) -> Self {
        Self {
            core,
            inbox: Inbox { queue, touched: false, overflowed: false },
            opened: None,
            ended: None,
            heard: now,
            moves: 0,
            wakes_at: None,
            linger_until: None,
        }
    }

    /// Queues a payload.
    pub(super) fn send(&mut self, now: Instant, payload: &[u8]) -> Result<(), SendError> {
        if payload.is_empty() || payload.len() > TS_PAYLOAD_BYTES {
            return Err(SendError::Size { bytes: payload.len() });
        }
        if let Some(ended) = self.ended {
            return Err(SendError::Closed(ended.reason()));
        }
        self.core.send(now, payload).map_err(|error| match error {
            core::SendError::Full => SendError::Full,
            core::SendError::Size => SendError::Size { bytes: payload.len() },
            core::SendError::Closed => {
                SendError::Closed(self.ended.map_or(CloseReason::Stopped, Ended::reason))
            }
        })
    }

    /// Takes a datagram from the peer.
    pub(super) fn receive(&mut self, now: Instant, from: SocketAddr, datagram: &mut [u8]) {
        self.heard = now;
        self.core.handle_datagram(now, from, datagram, &mut self.inbox);
    }

    /// Nobody listens at the peer's port.
    pub(super) fn refused(&mut self, now: Instant) {
        self.core.refused(now);
        self.settle();
    }

    /// Our address may have changed in the peer's eyes; `surely` says that it has in ours.
    pub(super) fn moved(&mut self, now: Instant, surely: bool) {
        self.moves += u64::from(surely);
        self.core.moved(now);
    }

    /// Sets the ceiling for everything sent.
    pub(super) fn set_rate(&mut self, bytes_per_second: u64) {
        self.core.set_bandwidth(bytes_per_second);
    }

    /// Does what is due, and writes what is to be sent now into `out`; `reads` says whether anybody receives.
    pub(super) fn step(&mut self, now: Instant, reads: bool, out: &mut Transmits) {
        if self.core.next_timeout().is_some_and(|at| at <= now) {
            self.core.handle_timeout(now, &mut self.inbox);
        }
        if self.linger_until.is_some_and(|until| now >= until || self.core.is_drained()) {
            self.core.close(now);
        }
        self.look_at_inbox(now, reads);
        self.core.poll_transmit(now, out, BURST_DATAGRAMS);
        self.settle();
        if self.ended.is_some() {
            // What a last packet brought.
            self.inbox.queue.flush(|_| ());
        }
    }

    fn settle(&mut self) {
        while let Some(event) = self.core.poll_event() {
            let ended = match event {
                CallerEvent::Connected { latency } => {
                    self.opened = Some(latency);
                    continue;
                }
                CallerEvent::Rejected(code) => Ended::Rejected(code),
                CallerEvent::Failed(failure) => Ended::Failed(failure),
                CallerEvent::Closed(reason) => Ended::Closed(reason),
            };
            self.ended.get_or_insert(ended);
        }
    }

    /// When [`step`](Self::step) has something to do; ask after it.
    pub(super) fn next_timeout(&self) -> Option<Instant> {
        [self.core.next_timeout(), self.linger_until].into_iter().flatten().min()
    }

    /// How long nothing came although data is under way; `None` when nothing is.
    pub(super) fn unanswered(&self, now: Instant) -> Option<Duration> {
        let waits = self.core.is_connected() && !self.core.is_drained();
        waits.then(|| now.saturating_duration_since(self.heard))
    }

    pub(super) fn opened(&self) -> Option<Duration> {
        self.opened
    }

    pub(super) fn ended(&self) -> Option<Ended> {
        self.ended
    }

    pub(super) fn stats(&self, now: Instant) -> SendStats {
        let silence = now.saturating_duration_since(self.heard);
        SendStats::of(&self.core.stats(now), silence, self.moves)
    }

    /// Wakes whoever receives; ends the connection when nobody takes what came.
    fn look_at_inbox(&mut self, now: Instant, reads: bool) {
        if !std::mem::take(&mut self.inbox.touched) {
            return;
        }
        let report = self.core.stats(now);
        let room = self.inbox.queue.flush(|stats| stats.update(&report));
        self.core.set_room(room);
        if self.inbox.overflowed && reads {
            self.ended.get_or_insert(Ended::Closed(CloseReason::SlowConsumer));
            self.core.close(now);
        }
    }
}

impl Sink for Inbox {
    fn data(&mut self, payload: &[u8]) {
        self.touched = true;
        self.overflowed = self.overflowed || !self.queue.push(payload);
    }

    fn lost(&mut self, range: SeqRange) {
        self.touched = true;
        if !self.overflowed {
            self.queue.push_lost(range);
        }
    }
}

impl Ended {
    pub(super) fn reason(self) -> CloseReason {
        match self {
            Self::Closed(reason) => reason,
            Self::Failed(ConnectFailure::Refused) | Self::Rejected(_) => CloseReason::PeerGone,
            Self::Failed(ConnectFailure::Timeout) => CloseReason::PeerIdle,
            Self::Failed(ConnectFailure::Crypto) => CloseReason::Crypto,
            Self::Failed(ConnectFailure::Unsupported | ConnectFailure::Cancelled) => CloseReason::Local,
        }
    }

    /// As the outcome of a connect.
    pub(super) fn connect_error(self, peer: SocketAddr, config: &CallerConfig) -> ConnectError {
        match self {
            Self::Rejected(code) => ConnectError::Rejected { peer, code },
            Self::Failed(ConnectFailure::Refused) | Self::Closed(CloseReason::PeerGone) => {
                ConnectError::Refused { peer }
            }
            Self::Failed(ConnectFailure::Crypto) | Self::Closed(CloseReason::Crypto) => {
                ConnectError::Crypto { peer }
            }
            Self::Failed(ConnectFailure::Unsupported) => ConnectError::Unsupported { peer },
            Self::Failed(ConnectFailure::Timeout | ConnectFailure::Cancelled) | Self::Closed(_) => {
                ConnectError::Timeout { peer, timeout: config.connect_timeout }
            }
        }
    }
}
