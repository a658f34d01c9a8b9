//! The window: packets that arrived behind a gap or before their time, and the places of those that are missing.
//!
//! What does not belong here: when to give something up, acknowledgements, loss reports.
//!
//! Invariants:
//! - the first slot is `head`, the next packet to hand on; slots never go beyond the last packet known to exist;
//! - packets handed on plus packets reported lost is the distance that `head` has moved;
//! - `since` of missing packets never decreases towards the end;
//! - as many buffers exist as were held at once lately; with nothing held for a while, none.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use super::{ReceiverStats, Sink};
use crate::core::seq::{Seq, SeqRange};

/// One place in the window.
#[derive(Debug)]
pub(super) enum Slot {
    /// Not here, and known since then to have been sent.
    Missing { since: Instant },
    /// The sender no longer has it.
    Dropped,
    /// Here; `stamp_us` is its unwrapped stamp.
    Held { payload: Vec<u8>, stamp_us: u64 },
}

/// What became of a packet put into the window.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Placed {
    /// Beyond everything seen.
    New,
    /// It had been missing since then.
    Filled { since: Instant },
    /// The sender had said that it dropped it.
    Undropped,
    /// It is here already.
    Duplicate,
}

/// See the module's documentation.
#[derive(Debug)]
pub(super) struct Window {
    head: Seq,
    slots: VecDeque<Slot>,
    /// Leading slots that are not missing.
    settled: usize,
    /// No slot before this one is held.
    first_held: usize,
    held: usize,
    held_bytes: usize,
    spare: Vec<Vec<u8>>,
    /// The most packets held at once, in this period and the one before.
    peak: usize,
    peak_before: usize,
}

impl Window {
    pub(super) fn new(head: Seq) -> Self {
        Self {
            head,
            slots: VecDeque::new(),
            settled: 0,
            first_held: 0,
            held: 0,
            held_bytes: 0,
            spare: Vec::new(),
            peak: 0,
            peak_before: 0,
        }
    }

    /// The next packet to hand on.
    #[inline]
    pub(super) fn head(&self) -> Seq {
        self.head
    }

    /// The first packet that neither came nor was given up.
    #[inline]
    pub(super) fn next_missing(&self) -> Seq {
        self.head.plus(as_u32(self.settled))
    }

    /// Nothing waits and nothing is missing.
    #[inline]
    pub(super) fn is_empty(&self) -> bool {
        self.slots.is_empty()
    }

    /// Packets from `head` to the last one known to exist.
    pub(super) fn len(&self) -> usize {
        self.slots.len()
    }

    /// Leading slots that are not missing.
    pub(super) fn settled(&self) -> usize {
        self.settled
    }

    pub(super) fn held(&self) -> usize {
        self.held
    }

    pub(super) fn held_bytes(&self) -> usize {
        self.held_bytes
    }

    pub(super) fn front(&self) -> Option<&Slot> {
        self.slots.front()
    }

    /// The slot of `index`, counted from the head.
    pub(super) fn slot(&self, index: usize) -> Option<&Slot> {
        self.slots.get(index)
    }

    /// The first packet held: its index and stamp.
    pub(super) fn first_held(&mut self) -> Option<(usize, u64)> {
        loop {
            match self.slots.get(self.first_held)? {
                Slot::Held { stamp_us, .. } => return Some((self.first_held, *stamp_us)),
                Slot::Missing { .. } | Slot::Dropped => self.first_held += 1,
            }
        }
    }

    /// Leading packets that were dropped, or are missing for `patience`.
    pub(super) fn leading_gap(&self, now: Instant, patience: Duration) -> usize {
        let over = |slot: &&Slot| match slot {
            Slot::Missing { since } => *since + patience <= now,
            Slot::Dropped => true,
            Slot::Held { .. } => false,
        };
        self.slots.iter().take_while(over).count()
    }

    /// The head's packet goes past an empty window.
    #[inline]
    pub(super) fn step(&mut self) {
        self.head = self.head.plus(1);
    }

    /// Everything before `index` is known to exist: what had not been known is missing since `now`.
    pub(super) fn extend(&mut self, now: Instant, index: usize) -> Option<SeqRange> {
        let known = self.slots.len();
        if index <= known {
            return None;
        }
        self.slots.resize_with(index, || Slot::Missing { since: now });
        SeqRange::new(self.head.plus(as_u32(known)), self.head.plus(as_u32(index - 1)))
    }

    /// Puts a packet into its place, at most at the end of what is known (see [`extend`](Self::extend)).
    pub(super) fn place(&mut self, index: usize, payload: &[u8], stamp_us: u64) -> Placed {
        let placed = match self.slots.get(index) {
            None => Placed::New,
            Some(Slot::Missing { since }) => Placed::Filled { since: *since },
            Some(Slot::Dropped) => Placed::Undropped,
            Some(Slot::Held { .. }) => return Placed::Duplicate,
        };
        let mut buffer = self.spare.pop().unwrap_or_default();
        buffer.clear();
        buffer.extend_from_slice(payload);
        self.held += 1;
        self.held_bytes += payload.len();
        self.peak = self.peak.max(self.held);
        self.first_held = self.first_held.min(index);
        let slot = Slot::Held { payload: buffer, stamp_us };
        match self.slots.get_mut(index) {
            Some(place) => *place = slot,
            None => self.slots.push_back(slot),
        }
        self.settle();
        placed
    }

    /// What is missing from `from` to before `to` will not come. `to` may lie beyond what is known.
    pub(super) fn forget(&mut self, from: usize, to: usize) {
        for slot in self.slots.range_mut(from.min(self.slots.len())..to.min(self.slots.len())) {
            if matches!(slot, Slot::Missing { .. }) {
                *slot = Slot::Dropped;
            }
        }
        if from <= self.slots.len() && to > self.slots.len() {
            self.slots.resize_with(to, || Slot::Dropped);
        }
        self.settle();
    }

    /// Moves the head by `count` packets: what is held is handed on, all else is lost.
    pub(super) fn advance(&mut self, count: usize, out: &mut Outlet<'_>) {
        let known = count.min(self.slots.len());
        for slot in self.slots.drain(..known) {
            if let Slot::Held { payload, .. } = slot {
                self.held -= 1;
                self.held_bytes -= payload.len();
                out.data(&payload);
                self.spare.push(payload);
            } else {
                out.lose(self.head, 1);
            }
            self.head = self.head.plus(1);
        }
        if let Some(beyond) = count.checked_sub(known).filter(|beyond| *beyond > 0) {
            out.lose(self.head, as_u32(beyond));
            self.head = self.head.plus(as_u32(beyond));
        }
        self.first_held = self.first_held.saturating_sub(count);
        self.settled = self.settled.saturating_sub(count);
        self.settle();
    }

    /// A period is over: gives back the memory that the last two had no use for. True while there is more to give.
    pub(super) fn trim(&mut self) -> bool {
        let needed = self.peak.max(self.peak_before);
        self.peak_before = std::mem::replace(&mut self.peak, self.held);
        self.spare.truncate(needed.saturating_sub(self.held));
        if self.slots.is_empty() && needed == 0 {
            self.slots = VecDeque::new();
            self.spare = Vec::new();
        } else {
            self.slots.shrink_to(4 * needed);
            self.spare.shrink_to(2 * needed);
        }
        self.slots.capacity() > 0
    }

    #[cfg(test)]
    pub(super) fn heap_bytes(&self) -> usize {
        let held = |slot: &Slot| if let Slot::Held { payload, .. } = slot { payload.capacity() } else { 0 };
        self.slots.capacity() * size_of::<Slot>()
            + self.spare.capacity() * size_of::<Vec<u8>>()
            + self.spare.iter().map(Vec::capacity).sum::<usize>()
            + self.slots.iter().map(held).sum::<usize>()
    }

    fn settle(&mut self) {
        while self.slots.get(self.settled).is_some_and(|slot| !matches!(slot, Slot::Missing { .. })) {
            self.settled += 1;
        }
    }
}

/// Where packets go; joins losses to ranges and counts.
pub(super) struct Outlet<'a> {
    sink: &'a mut dyn Sink,
    stats: &'a mut ReceiverStats,
    /// The first packet of a loss not told yet, and how many.
    lost: Option<(Seq, u32)>,
}

impl<'a> Outlet<'a> {
    pub(super) fn new(sink: &'a mut dyn Sink, stats: &'a mut ReceiverStats) -> Self {
        Self { sink, stats, lost: None }
    }

    /// Tells the loss that is still open.
    pub(super) fn close(&mut self) {
        if let Some((first, packets)) = self.lost.take() {
            self.stats.lost_packets += u64::from(packets);
            if let Some(range) = SeqRange::new(first, first.plus(packets - 1)) {
                self.sink.lost(range);
            }
        }
    }

    fn data(&mut self, payload: &[u8]) {
        self.close();
        self.stats.delivered_bytes += payload.len() as u64;
        self.sink.data(payload);
    }

    fn lose(&mut self, first: Seq, packets: u32) {
        match &mut self.lost {
            Some((_, before)) => *before += packets,
            None => self.lost = Some((first, packets)),
        }
    }
}

/// Distances in the window are below 2^31.
fn as_u32(count: usize) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}
