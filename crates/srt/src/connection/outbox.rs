//! Payloads that wait for the worker to send them to a connection's peer.
//!
//! Invariants: order is kept; no more than [`MOST_BYTES`] wait; an empty outbox holds no buffer.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use tokio::sync::Notify;
use tokio::sync::futures::Notified;

/// Payload bytes that may wait here; the sender behind has a buffer of its own.
const MOST_BYTES: usize = 1 << 20;

#[derive(Debug, Default)]
pub(crate) struct Outbox {
    state: Mutex<State>,
    room: Notify,
}

#[derive(Debug, Default)]
struct State {
    payloads: VecDeque<Bytes>,
    bytes: usize,
    /// The worker knows that there is something.
    announced: bool,
    closed: bool,
}

/// What a worker found about a payload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fate {
    Sent,
    /// It stays.
    NoRoom,
    /// It, and all others, will never be sent.
    Never,
}

impl Outbox {
    /// Appends a payload of so many bytes; false when there is no room.
    pub(crate) fn push(&self, payload: impl FnOnce() -> Bytes, bytes: usize) -> bool {
        let mut state = self.lock();
        if state.closed {
            return true;
        }
        if state.bytes + bytes > MOST_BYTES {
            return false;
        }
        state.bytes += bytes;
        state.payloads.push_back(payload());
        true
    }

    /// Whether the worker has to be told that there is something; from then on it counts as told.
    pub(crate) fn announce(&self) -> bool {
        let mut state = self.lock();
        let news = !state.announced && !state.payloads.is_empty();
        state.announced |= news;
        news
    }

    /// The worker could not be told.
    pub(crate) fn unannounce(&self) {
        self.lock().announced = false;
    }

    /// Gives payloads to `send` as long as it takes them; false when some are left.
    pub(crate) fn drain(&self, mut send: impl FnMut(&[u8]) -> Fate) -> bool {
        let mut state = self.lock();
        let before = state.payloads.len();
        while let Some(payload) = state.payloads.front() {
            match send(payload) {
                Fate::NoRoom => break,
                Fate::Never => state.end(),
                Fate::Sent => {
                    let bytes = payload.len();
                    state.bytes -= bytes;
                    state.payloads.pop_front();
                }
            }
        }
        let (moved, empty) = (state.payloads.len() < before, state.payloads.is_empty());
        if empty {
            state.announced = false;
            state.payloads = VecDeque::new();
        }
        drop(state);
        if moved {
            self.room.notify_waiters();
        }
        empty
    }

    pub(crate) fn close(&self) {
        self.lock().end();
        self.room.notify_waiters();
    }

    /// Becomes ready when there may be room.
    pub(crate) fn room(&self) -> Notified<'_> {
        self.room.notified()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn end(&mut self) {
        (self.payloads, self.bytes, self.closed) = (VecDeque::new(), 0, true);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn payloads_leave_in_order_as_far_as_they_are_taken() {
        let outbox = Outbox::default();
        for byte in 0..3 {
            assert!(outbox.push(|| Bytes::from(vec![byte; 8]), 8));
        }
        let mut sent = Vec::new();
        let take_two = |sent: &mut Vec<u8>, payload: &[u8]| {
            if sent.len() == 2 {
                return Fate::NoRoom;
            }
            sent.push(payload[0]);
            Fate::Sent
        };
        assert!(!outbox.drain(|payload| take_two(&mut sent, payload)));
        assert_eq!(sent, [0, 1]);
        assert!(outbox.drain(|_| Fate::Sent));
        assert!(!outbox.announce());
    }

    #[test]
    fn it_takes_no_more_than_its_bound_and_nothing_after_its_end() {
        let outbox = Outbox::default();
        assert!(outbox.push(|| Bytes::from(vec![0; MOST_BYTES]), MOST_BYTES));
        assert!(!outbox.push(|| panic!("no room"), 1));
        assert!(outbox.announce() && !outbox.announce());
        outbox.close();
        assert!(outbox.push(|| panic!("nobody takes it"), 1));
        assert!(!outbox.announce());
    }
}
