//! What a round has brought about: consumers woken, callers announced, let in and refused, ends and moves told.
//!
//! What does not belong here: the socket, timers, who may publish.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use tokio::sync::mpsc;
use tracing::{debug, info, warn};

use super::Worker;
use crate::connection::Shared;
use crate::core::crypto::ReceiveKeys;
use crate::core::{self, AcceptFailure, ConnectionReport, ListenerEvent, Pending, Refusal, SocketId};
use crate::listener::Request;
use crate::listener::shown::shown;
use crate::{AcceptError, CloseReason, Connection, RejectReason};

impl Worker {
    /// Passes on what the round has brought about.
    pub(super) fn settle(&mut self, now: Instant) {
        self.look_at_touched(now);
        // Ended connections count until their last words are written. Before consumers and peers learn of it:
        self.core.poll_transmit(now, &mut self.transmits);
        self.show();
        while let Some(event) = self.core.poll_event() {
            match event {
                ListenerEvent::Requested(pending) => self.announce(now, pending),
                ListenerEvent::Withdrawn { id } => debug!(id = id.0, "SRT caller was not answered in time"),
                ListenerEvent::Closed { id, reason, stats } => self.closed(id, reason, &stats),
                ListenerEvent::Moved { id, from, to } => self.moved(id, from, to),
                ListenerEvent::Refused(refusal) => self.refused(refusal),
            }
        }
        // What the answers to events brought.
        self.core.poll_transmit(now, &mut self.transmits);
        self.show();
        self.send();
    }

    /// Wakes the consumers that something came for, and ends connections whose consumer is gone or too slow.
    fn look_at_touched(&mut self, now: Instant) {
        while let Some((id, tap)) = self.taps.next_touched() {
            let shared = &tap.shared;
            let report = self.core.connection_stats(now, id);
            let room = shared.queue.flush(|stats| {
                if let Some(report) = &report {
                    stats.update(report);
                }
            });
            if !tap.overflowed {
                self.core.set_room(id, room);
            } else if shared.queue.is_abandoned() {
                self.core.close(now, id, CloseReason::Local);
            } else {
                let stream_id = shown(&tap.stream_id);
                warn!(peer = %shared.peer(), stream_id, "SRT connection closed: its consumer is too slow");
                self.extra.slow_consumers += 1;
                self.core.close(now, id, CloseReason::SlowConsumer);
            }
        }
    }

    pub(super) fn accept(
        &mut self,
        now: Instant,
        id: SocketId,
        stream_id: Arc<str>,
        keys: Option<ReceiveKeys>,
    ) -> Result<Connection, AcceptError> {
        let opened = self.core.accept(now, id, keys).map_err(|failure| match failure {
            AcceptFailure::Gone => AcceptError::Gone,
            AcceptFailure::Unsecure => AcceptError::Unsecure,
        })?;
        let core::Opened { peer, latency, encrypted, .. } = opened;
        info!(%peer, stream_id = shown(&stream_id), encrypted, ?latency, "SRT caller accepted");
        let shared = Arc::new(Shared::new(peer, self.start.config.max_queued_bytes));
        self.taps.open(id, Arc::clone(&shared), Arc::clone(&stream_id));
        let mailbox = self.own_mailbox().ok_or(AcceptError::Gone)?;
        Ok(Connection { id, stream_id, encrypted, latency, shared, mailbox })
    }

    fn announce(&mut self, now: Instant, pending: Pending) {
        let Pending { id, peer, stream_id, key_message, latency } = pending;
        let counters = self.core.stats();
        let all = counters.connections + counters.half_open + self.start.board.others(self.start.index);
        let request = Request {
            id,
            peer,
            stream_id: stream_id.into(),
            key_message,
            latency,
            config: Arc::clone(&self.start.config),
            mailbox: self.own_mailbox(),
        };
        let refused = if all > self.start.config.max_connections as u64 {
            Some(request)
        } else {
            self.start.requests.try_send(request).err().map(mpsc::error::TrySendError::into_inner)
        };
        if let Some(request) = refused {
            warn!(%peer, stream_id = shown(request.stream_id()), "SRT caller refused: too many connections");
            request.forget();
            self.extra.overloaded += 1;
            self.core.reject(now, id, RejectReason::Overload.code());
        }
    }

    fn closed(&mut self, id: SocketId, reason: CloseReason, stats: &ConnectionReport) {
        let Some(tap) = self.taps.close(id) else { return };
        tap.shared.queue.flush(|ours| ours.update(stats));
        tap.shared.close(reason);
        info!(
            peer = %tap.shared.peer(),
            stream_id = shown(&tap.stream_id),
            reason = reason.name(),
            received_bytes = stats.receiver.received_bytes,
            lost_packets = stats.receiver.lost_packets,
            "SRT connection closed"
        );
    }

    /// The protocol tells of a few a second at most.
    fn refused(&self, refusal: Refusal) {
        let Refusal { peer, stream_id, code, untold, .. } = &refusal;
        let (stream_id, meaning) = (shown(stream_id), code.meaning());
        warn!(%peer, stream_id, code = code.0, meaning, untold, "SRT caller refused by the listener itself");
        self.start.board.refused(refusal);
    }

    fn moved(&self, id: SocketId, from: SocketAddr, to: SocketAddr) {
        let Some(tap) = self.taps.tap(id) else { return };
        tap.shared.moved(to);
        info!(%from, %to, stream_id = shown(&tap.stream_id), "SRT peer has moved");
    }
}
