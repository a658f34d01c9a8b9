//! The ways to the consumers: where each connection's payloads go.
//!
//! Invariant: whatever a round has touched is on the list, and is looked at before anything is sent.

use std::collections::HashMap;
use std::sync::Arc;

use crate::connection::Shared;
use crate::core::Sinks;
use crate::core::SocketId;
use crate::core::receive::Sink;
use crate::core::seq::SeqRange;

/// All connections of one worker.
#[derive(Default)]
pub(super) struct Taps {
    taps: HashMap<SocketId, Tap>,
    /// Those that something came for in this round.
    touched: Vec<SocketId>,
}

/// One connection's consumer.
pub(super) struct Tap {
    pub(super) shared: Arc<Shared>,
    pub(super) stream_id: Arc<str>,
    /// The consumer is gone, or has no room.
    pub(super) overflowed: bool,
    touched: bool,
}

impl Taps {
    pub(super) fn open(&mut self, id: SocketId, shared: Arc<Shared>, stream_id: Arc<str>) {
        self.taps.insert(id, Tap { shared, stream_id, overflowed: false, touched: false });
    }

    pub(super) fn close(&mut self, id: SocketId) -> Option<Tap> {
        self.taps.remove(&id)
    }

    pub(super) fn tap(&self, id: SocketId) -> Option<&Tap> {
        self.taps.get(&id)
    }

    /// One of those that something came for, until there is none.
    pub(super) fn next_touched(&mut self) -> Option<(SocketId, &mut Tap)> {
        while let Some(id) = self.touched.pop() {
            if self.taps.contains_key(&id) {
                let tap = self.taps.get_mut(&id)?;
                tap.touched = false;
                return Some((id, tap));
            }
        }
        None
    }

    /// Puts those on the list whose consumer has left without being heard, or has something to send.
    pub(super) fn sweep(&mut self, sending: &mut Vec<SocketId>) {
        for (id, tap) in &mut self.taps {
            if tap.shared.queue.is_abandoned() {
                tap.overflowed = true;
                tap.touch(*id, &mut self.touched);
            }
            if tap.shared.outbox.announce() {
                sending.push(*id);
            }
        }
    }
}

impl Sinks for Taps {
    fn sink(&mut self, id: SocketId) -> Option<&mut dyn Sink> {
        let tap = self.taps.get_mut(&id)?;
        tap.touch(id, &mut self.touched);
        Some(tap)
    }
}

impl Tap {
    fn touch(&mut self, id: SocketId, list: &mut Vec<SocketId>) {
        if !self.touched {
            self.touched = true;
            list.push(id);
        }
    }
}

impl Sink for Tap {
    fn data(&mut self, payload: &[u8]) {
        // After the first payload without room nothing more goes in, or there would be a hole.
        self.overflowed = self.overflowed || !self.shared.queue.push(payload);
    }

    fn lost(&mut self, range: SeqRange) {
        if !self.overflowed {
            self.shared.queue.push_lost(range);
        }
    }
}
