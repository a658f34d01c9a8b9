//! The bounded queue between a connection's driver and its consumer.
//!
//! The driver appends payloads and never waits; the consumer takes everything that has gathered as one run of bytes.
//! When more than `max_bytes` wait, the queue says so and the driver closes the connection: one slow consumer stops
//! neither the socket nor the others.
//!
//! Invariants: order is kept; what was queued before the end is still delivered after it; `Closed` comes once and last.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

use bytes::{Bytes, BytesMut};
use tokio::sync::Notify;

use crate::{CloseReason, ConnectionStats, Delivery};

/// A run of bytes is handed over at this size even when more follows.
const RUN_BYTES: usize = 64 * 1024;

#[derive(Debug)]
pub(crate) struct DeliveryQueue {
    state: Mutex<State>,
    ready: Notify,
    max_bytes: usize,
}

#[derive(Debug, Default)]
struct State {
    /// What is complete: full runs and losses.
    done: VecDeque<Delivery>,
    /// The run that still grows.
    tail: BytesMut,
    queued_bytes: usize,
    closed: Option<CloseReason>,
    close_taken: bool,
    abandoned: bool,
    stats: ConnectionStats,
}

impl DeliveryQueue {
    pub(crate) fn new(max_bytes: usize) -> Self {
        Self { state: Mutex::default(), ready: Notify::new(), max_bytes }
    }

    /// Appends a payload; false when there is no room, or nobody who would take it.
    pub(crate) fn push(&self, payload: &[u8]) -> bool {
        let mut state = self.lock();
        if state.abandoned || state.queued_bytes + payload.len() > self.max_bytes {
            return false;
        }
        state.queued_bytes += payload.len();
        state.stats.delivered_bytes += payload.len() as u64;
        if state.tail.len() + payload.len() > RUN_BYTES {
            state.end_run();
        }
        let was_empty = state.tail.is_empty();
        state.tail.extend_from_slice(payload);
        drop(state);
        if was_empty {
            self.ready.notify_one();
        }
        true
    }

    /// Reports a loss at this place of the stream.
    pub(crate) fn push_lost(&self, packets: u64) {
        let mut state = self.lock();
        state.stats.lost_packets += packets;
        state.end_run();
        // Neighbouring losses are one, so a flood of gaps cannot grow the queue without payload between them.
        match state.done.back_mut() {
            Some(Delivery::Lost { packets: before }) => *before += packets,
            _ => state.done.push_back(Delivery::Lost { packets }),
        }
        drop(state);
        self.ready.notify_one();
    }

    /// Ends the stream; the first reason counts.
    pub(crate) fn close(&self, reason: CloseReason) {
        self.lock().closed.get_or_insert(reason);
        self.ready.notify_one();
    }

    /// The consumer is gone: nothing is kept any more.
    pub(crate) fn abandon(&self) {
        let mut state = self.lock();
        state.abandoned = true;
        state.done.clear();
        state.tail = BytesMut::new();
        state.queued_bytes = 0;
    }

    pub(crate) fn is_abandoned(&self) -> bool {
        self.lock().abandoned
    }

    /// Takes the next delivery, waiting for it; `None` after the end.
    ///
    /// # Cancel safety
    /// A delivery is taken only by the poll that returns it.
    pub(crate) async fn take(&self) -> Option<Delivery> {
        loop {
            if let Some(next) = self.lock().next() {
                return next;
            }
            self.ready.notified().await;
        }
    }

    /// `Some(None)` is the end, `None` that there is nothing yet.
    #[cfg(test)]
    pub(crate) fn try_take(&self) -> Option<Option<Delivery>> {
        self.lock().next()
    }

    pub(crate) fn closed(&self) -> Option<CloseReason> {
        self.lock().closed
    }

    pub(crate) fn stats(&self) -> ConnectionStats {
        let state = self.lock();
        ConnectionStats { queued_bytes: state.queued_bytes as u64, ..state.stats }
    }

    /// Replaces the counters that the driver keeps.
    pub(crate) fn update_stats(&self, update: impl FnOnce(&mut ConnectionStats)) {
        update(&mut self.lock().stats);
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn end_run(&mut self) {
        if !self.tail.is_empty() {
            let run = self.tail.split().freeze();
            self.done.push_back(Delivery::Data(run));
        }
    }

    /// `Some(None)` is the end, `None` that there is nothing yet.
    fn next(&mut self) -> Option<Option<Delivery>> {
        if let Some(delivery) = self.done.pop_front() {
            if let Delivery::Data(run) = &delivery {
                self.queued_bytes -= run.len();
            }
            return Some(Some(delivery));
        }
        if !self.tail.is_empty() {
            let run: Bytes = self.tail.split().freeze();
            self.queued_bytes -= run.len();
            return Some(Some(Delivery::Data(run)));
        }
        let reason = self.closed?;
        if self.close_taken {
            return Some(None);
        }
        self.close_taken = true;
        Some(Some(Delivery::Closed(reason)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn payloads_gather_into_runs_and_losses_part_them() {
        let queue = DeliveryQueue::new(1000);
        assert!(queue.push(b"one"));
        assert!(queue.push(b"two"));
        queue.push_lost(3);
        queue.push_lost(4);
        assert!(queue.push(b"three"));
        queue.close(CloseReason::PeerShutdown);
        queue.close(CloseReason::PeerIdle);
        assert_eq!(queue.try_take(), Some(Some(Delivery::Data(Bytes::from_static(b"onetwo")))));
        assert_eq!(queue.try_take(), Some(Some(Delivery::Lost { packets: 7 })));
        assert_eq!(queue.try_take(), Some(Some(Delivery::Data(Bytes::from_static(b"three")))));
        assert_eq!(queue.try_take(), Some(Some(Delivery::Closed(CloseReason::PeerShutdown))));
        assert_eq!(queue.try_take(), Some(None));
        assert_eq!(queue.stats().lost_packets, 7);
    }

    #[test]
    fn a_full_queue_says_so_and_has_room_again_when_it_is_read() {
        let queue = DeliveryQueue::new(10);
        assert!(queue.push(&[1; 8]));
        assert!(!queue.push(&[2; 3]));
        assert_eq!(queue.stats().queued_bytes, 8);
        queue.try_take().unwrap().unwrap();
        assert!(queue.push(&[2; 3]));
    }

    #[test]
    fn an_abandoned_queue_keeps_nothing() {
        let queue = DeliveryQueue::new(10);
        assert!(queue.push(&[1; 8]));
        queue.abandon();
        assert!(!queue.push(&[1; 1]));
        assert_eq!(queue.stats().queued_bytes, 0);
        assert_eq!(queue.try_take(), None);
    }
}
