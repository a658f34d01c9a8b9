//! The queue between the reader and the writer of one camera, bounded in bytes.
//!
//! Belongs here: the queue. Not here: what is lost when it is full (`reader` decides, `writer` counts).
//!
//! Invariants: the reader never waits for longer than it says; what is no bytes (the end of a segment, of a recording)
//! always fits, and is bounded by the bytes between; the writer is woken for a lot of bytes or for an end, not for each
//! frame.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use dashvault_base::{Clock, RecordingId, SystemClock, WallMs};
use dashvault_media::Segment;

use super::downtime::Ended;

/// What the writer is told, in order.
#[derive(Debug)]
pub(super) enum Item {
    /// A recording begins.
    Begin(RecordingId),
    /// A segment begins.
    Open(Began),
    /// Bytes of the open segment.
    Bytes(Bytes),
    /// The open segment is over.
    Close {
        /// The segment, as cut.
        segment: Segment,
        /// Its number within the recording.
        number: u64,
        /// Whether all of its bytes were queued.
        whole: bool,
    },
    /// The recording is over.
    End,
    /// A loss is counted and grows no more: its file is to be written.
    Lost(Ended),
}

/// A moment, by both clocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Began {
    /// Wall time.
    pub(crate) wall: WallMs,
    /// Monotonic time.
    pub(crate) at: Instant,
}

impl Began {
    /// This moment.
    pub(crate) fn now() -> Self {
        Self { wall: SystemClock.wall(), at: Instant::now() }
    }
}

/// The queue.
#[derive(Debug)]
pub(super) struct Queue {
    bound: usize,
    state: Mutex<State>,
    /// The writer has something worth waking up for.
    work: Condvar,
    /// The reader may have room again.
    room: Condvar,
}

#[derive(Debug, Default)]
struct State {
    items: VecDeque<Item>,
    bytes: usize,
    /// Bytes that the writer was not woken for yet.
    quiet: usize,
    /// The reader waits for room.
    waited_for: bool,
    closed: bool,
}

/// The writer is woken for so many bytes, or for the end of a segment: not for each frame.
const WORTH_WAKING: usize = 192 << 10;

impl Queue {
    pub(super) fn new(bound: usize) -> Self {
        Self { bound, state: Mutex::default(), work: Condvar::new(), room: Condvar::new() }
    }

    /// Queues bytes; false when there is no room within `patience`. What is longer than the bound goes alone.
    pub(super) fn push_bytes(&self, bytes: Bytes, patience: Duration) -> bool {
        let len = bytes.len();
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let full = |state: &mut State| {
            let full = state.bytes > 0 && state.bytes + len > self.bound;
            state.waited_for = full;
            if full {
                self.work.notify_one();
            }
            full
        };
        let waited = self.room.wait_timeout_while(state, patience, full);
        let (mut state, _) = waited.unwrap_or_else(PoisonError::into_inner);
        if full(&mut state) {
            return false;
        }
        state.bytes += len;
        state.quiet += len;
        state.items.push_back(Item::Bytes(bytes));
        if state.quiet >= WORTH_WAKING {
            state.quiet = 0;
            self.work.notify_one();
        }
        true
    }

    /// Queues what is no bytes.
    pub(super) fn push(&self, item: Item) {
        let opens = matches!(item, Item::Open(_));
        self.state.lock().unwrap_or_else(PoisonError::into_inner).items.push_back(item);
        // The start of a segment is worth no wake-up: its bytes are still to come.
        if !opens {
            self.work.notify_one();
        }
    }

    /// Nothing follows.
    pub(super) fn close(&self) {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).closed = true;
        self.work.notify_one();
    }

    /// Waits for the next item; `None` when nothing follows.
    pub(super) fn pop(&self) -> Option<Item> {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let empty = |state: &mut State| state.items.is_empty() && !state.closed;
        let mut state = self.work.wait_while(state, empty).unwrap_or_else(PoisonError::into_inner);
        let item = state.items.pop_front()?;
        if let Item::Bytes(bytes) = &item {
            state.bytes -= bytes.len();
            let waited_for = std::mem::take(&mut state.waited_for);
            drop(state);
            if waited_for {
                self.room.notify_one();
            }
        }
        Some(item)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(len: usize) -> Bytes {
        Bytes::from(vec![0; len])
    }

    #[test]
    fn full_queue_refuses_bytes_but_never_the_end() {
        let queue = Queue::new(1000);
        assert!(queue.push_bytes(bytes(900), Duration::ZERO));
        assert!(!queue.push_bytes(bytes(200), Duration::ZERO));
        queue.push(Item::End);
        assert!(matches!(queue.pop(), Some(Item::Bytes(_))));
        assert!(queue.push_bytes(bytes(200), Duration::ZERO));
        queue.close();
        assert!(matches!(queue.pop(), Some(Item::End)));
        assert!(matches!(queue.pop(), Some(Item::Bytes(_))));
        assert!(queue.pop().is_none());
    }

    #[test]
    fn one_piece_longer_than_the_bound_goes_alone() {
        let queue = Queue::new(1000);
        assert!(queue.push_bytes(bytes(5000), Duration::ZERO));
        assert!(!queue.push_bytes(bytes(1), Duration::ZERO));
    }

    #[test]
    fn reader_that_waits_is_let_in_when_the_writer_takes() {
        let queue = std::sync::Arc::new(Queue::new(1000));
        assert!(queue.push_bytes(bytes(1000), Duration::ZERO));
        let taker = {
            let queue = queue.clone();
            std::thread::spawn(move || queue.pop().is_some())
        };
        assert!(queue.push_bytes(bytes(1000), Duration::from_secs(10)));
        assert!(taker.join().unwrap());
    }
}
