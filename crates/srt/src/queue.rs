//! The bounded queue between a connection's driver and its consumer.
//!
//! The driver appends payloads and never waits; the consumer takes everything that has gathered as one run of bytes.
//! When more than `max_bytes` wait, the queue says so and the driver closes the connection: one slow consumer stops
//! neither the socket nor the others. Before that, [`DeliveryQueue::flush`] tells how little room is left.
//!
//! Invariants: order is kept; what was queued before the end is still delivered after it; `Closed` comes once and last;
//! an empty queue holds no buffer.

#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

use bytes::{Bytes, BytesMut};
use tokio::sync::Notify;

use crate::core::seq::SeqRange;
use crate::{CloseReason, ConnectionStats, Delivery, LostRange, TS_PAYLOAD_BYTES};

/// A run of bytes is handed over at this size even when more follows.
const RUN_BYTES: usize = 64 * 1024;
/// The first buffer's size, as long as nothing is known of a stream.
const FIRST_BYTES: usize = 4 * TS_PAYLOAD_BYTES;
/// The least room that is told, in packets: a peer that may send nothing would never learn that there is room again,
/// and a consumer that stands still would never be found out.
const LEAST_ROOM: u32 = 64;

#[derive(Debug)]
pub(crate) struct DeliveryQueue {
    state: Mutex<State>,
    ready: Notify,
    max_bytes: usize,
}

#[derive(Debug, Default)]
struct State {
    /// What is complete: full runs and losses.
    done: VecDeque<Item>,
    /// The run that still grows.
    tail: BytesMut,
    /// How long the last run was that the consumer took.
    usual_bytes: usize,
    queued_bytes: usize,
    /// Something came since the consumer was last woken.
    fresh: bool,
    /// The loss that was taken last.
    lost: Option<LostRange>,
    closed: Option<CloseReason>,
    close_taken: bool,
    abandoned: bool,
    stats: ConnectionStats,
}

#[derive(Debug)]
enum Item {
    Run(Bytes),
    Lost(u64, LostRange),
}

impl DeliveryQueue {
    pub(crate) fn new(max_bytes: usize) -> Self {
        Self { state: Mutex::default(), ready: Notify::new(), max_bytes }
    }

    /// Appends a payload; false when there is no room, or nobody who would take it. The consumer learns of it with the
    /// next [`flush`](Self::flush).
    pub(crate) fn push(&self, payload: &[u8]) -> bool {
        let mut state = self.lock();
        if state.abandoned || state.queued_bytes + payload.len() > self.max_bytes {
            return false;
        }
        state.append(payload);
        true
    }

    /// Reports a loss at this place of the stream.
    pub(crate) fn push_lost(&self, range: SeqRange) {
        let mut state = self.lock();
        if state.abandoned {
            return;
        }
        let packets = u64::from(range.len());
        state.stats.lost_packets += packets;
        state.fresh = true;
        state.end_run();
        let lost = LostRange { first: range.first.raw(), last: range.last.raw() };
        // Neighbouring losses are one, so a flood of gaps cannot grow the queue without payload between them.
        match state.done.back_mut() {
            Some(Item::Lost(before, range)) => (*before, range.last) = (*before + packets, lost.last),
            _ => state.done.push_back(Item::Lost(packets, lost)),
        }
    }

    /// Wakes the consumer if there is something for it, updates the counters that the driver keeps, and says how many
    /// packets the peer may have under way.
    pub(crate) fn flush(&self, update: impl FnOnce(&mut ConnectionStats)) -> u32 {
        let mut state = self.lock();
        update(&mut state.stats);
        let room = self.max_bytes.saturating_sub(state.queued_bytes) / TS_PAYLOAD_BYTES;
        let wakes = std::mem::take(&mut state.fresh);
        drop(state);
        if wakes {
            self.ready.notify_one();
        }
        u32::try_from(room).unwrap_or(u32::MAX).max(LEAST_ROOM)
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
        state.done = VecDeque::new();
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

    /// Which packets the [`Delivery::Lost`] that was taken last is about.
    pub(crate) fn lost_range(&self) -> Option<LostRange> {
        self.lock().lost
    }

    pub(crate) fn closed(&self) -> Option<CloseReason> {
        self.lock().closed
    }

    pub(crate) fn stats(&self) -> ConnectionStats {
        let state = self.lock();
        ConnectionStats { queued_bytes: state.queued_bytes as u64, ..state.stats }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn append(&mut self, payload: &[u8]) {
        self.queued_bytes += payload.len();
        self.stats.delivered_bytes += payload.len() as u64;
        self.fresh = true;
        if self.tail.len() + payload.len() > RUN_BYTES {
            self.end_run();
        }
        if self.tail.capacity() == 0 {
            self.tail.reserve(self.usual_bytes.clamp(FIRST_BYTES, RUN_BYTES));
        }
        self.tail.extend_from_slice(payload);
    }

    /// The whole buffer goes with the run, so that nothing stays when the consumer has dropped it.
    fn end_run(&mut self) {
        if !self.tail.is_empty() {
            let run = std::mem::take(&mut self.tail).freeze();
            self.usual_bytes = run.len();
            self.done.push_back(Item::Run(run));
        }
    }

    /// `Some(None)` is the end, `None` that there is nothing yet.
    fn next(&mut self) -> Option<Option<Delivery>> {
        if self.done.is_empty() {
            self.end_run();
        }
        match self.done.pop_front() {
            Some(Item::Run(run)) => {
                self.queued_bytes -= run.len();
                return Some(Some(Delivery::Data(run)));
            }
            Some(Item::Lost(packets, range)) => {
                self.lost = Some(range);
                return Some(Some(Delivery::Lost { packets }));
            }
            None => {}
        }
        let reason = self.closed?;
        if self.close_taken {
            return Some(None);
        }
        self.close_taken = true;
        Some(Some(Delivery::Closed(reason)))
    }
}
