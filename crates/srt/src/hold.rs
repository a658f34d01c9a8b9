//! The hold buffer: puts packets in order, delivers at once what has no gap before it, and holds what has.
//!
//! A gap ends in one of three ways: the missing packets arrive; the sender says that it dropped them
//! ([`HoldBuffer::drop_range`]); or the first packet behind it has waited for the horizon ([`HoldBuffer::expire`]).
//! In the last two the loss is reported, exactly once for each packet, before what follows it.
//!
//! What does not belong here: sockets, acknowledgements, decryption, the clock (`now` is passed in).
//!
//! Invariants:
//! - the sink sees packets in sequence order, each at most once;
//! - packets delivered plus packets reported lost is the distance the head has moved;
//! - at most `capacity` slots are held, whatever arrives; a sequence number outside the window moves nothing unless
//!   the next packet confirms it (as RFC 3550 A.1 does for a jump);
//! - the front slot is never one that could go out.
//!
//! draft-sharabayko-srt-01 §3.1 (31-bit sequence numbers), §3.2.9 (message drop request).

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use sapflow_srt::seq::Seq;

/// Where a [`HoldBuffer`] puts what is decided.
pub(crate) trait HoldSink {
    /// The next packet in order (the whole datagram).
    fn packet(&mut self, datagram: &[u8]);
    /// `packets` packets from `first` on will not come.
    fn lost(&mut self, first: Seq, packets: u64);
}

/// What became of a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Arrival {
    /// Delivered at once; nothing was waiting.
    InOrder,
    /// It was missing: delivered, or at least no longer missing.
    Filled,
    /// Behind a gap: held.
    Held,
    /// Held already.
    Duplicate,
    /// Delivered or given up before.
    Late,
    /// Outside the window.
    Refused,
}

#[derive(Debug)]
enum Slot {
    Missing,
    Dropped { since: Instant },
    Held { since: Instant, datagram: Box<[u8]> },
}

impl Slot {
    fn since(&self) -> Option<Instant> {
        match self {
            Self::Missing => None,
            Self::Dropped { since } | Self::Held { since, .. } => Some(*since),
        }
    }
}

/// See the module's documentation.
#[derive(Debug)]
pub(crate) struct HoldBuffer {
    /// The next sequence number to deliver.
    head: Seq,
    slots: VecDeque<Slot>,
    held: usize,
    capacity: usize,
    horizon: Duration,
    /// What would confirm a jump.
    jump: Option<Seq>,
}

impl HoldBuffer {
    pub(crate) fn new(initial: Seq, capacity: usize, horizon: Duration) -> Self {
        Self {
            head: initial,
            slots: VecDeque::new(),
            held: 0,
            capacity: capacity.max(2),
            horizon,
            jump: None,
        }
    }

    /// Takes a packet.
    pub(crate) fn insert(
        &mut self,
        now: Instant,
        seq: Seq,
        datagram: &[u8],
        sink: &mut impl HoldSink,
    ) -> Arrival {
        if self.head == seq && self.slots.is_empty() {
            self.head = seq.next();
            self.jump = None;
            sink.packet(datagram);
            return Arrival::InOrder;
        }
        let distance = self.head.distance_to(seq);
        let Ok(index) = usize::try_from(distance) else {
            return Arrival::Late;
        };
        if index >= self.capacity {
            return self.outside(now, seq, index, datagram, sink);
        }
        self.jump = None;
        self.place(now, index, datagram, sink)
    }

    /// The sender no longer has `first..=last`.
    pub(crate) fn drop_range(&mut self, now: Instant, first: Seq, last: Seq, sink: &mut impl HoldSink) {
        if last.distance_to(first) > 0 {
            return;
        }
        let from = self.head.distance_to(first).max(0) as usize;
        let Ok(to) = usize::try_from(self.head.distance_to(last)) else {
            return;
        };
        if from >= self.capacity {
            return;
        }
        for index in from..=to.min(self.capacity - 1) {
            while self.slots.len() <= index {
                self.slots.push_back(Slot::Missing);
            }
            if let Some(slot @ Slot::Missing) = self.slots.get_mut(index) {
                *slot = Slot::Dropped { since: now };
            }
        }
        self.release(sink);
    }

    /// Gives up the gaps whose horizon is over.
    pub(crate) fn expire(&mut self, now: Instant, sink: &mut impl HoldSink) {
        while self.next_expiry().is_some_and(|at| at <= now) {
            let run = self.slots.iter().take_while(|s| matches!(s, Slot::Missing)).count();
            self.give_up(run, sink);
            self.release(sink);
        }
    }

    /// When [`expire`](Self::expire) has something to do.
    pub(crate) fn next_expiry(&self) -> Option<Instant> {
        self.slots.iter().find_map(Slot::since).map(|since| since + self.horizon)
    }

    /// Delivers everything held, reporting what is missing in between.
    pub(crate) fn flush(&mut self, sink: &mut impl HoldSink) {
        self.give_up(self.slots.len(), sink);
    }

    /// Whether a packet is still wanted.
    pub(crate) fn is_missing(&self, seq: Seq) -> bool {
        usize::try_from(self.head.distance_to(seq))
            .is_ok_and(|index| self.slots.get(index).is_none_or(|slot| matches!(slot, Slot::Missing)))
    }

    /// Since when it has been known that this packet is missing; `None` when it is not.
    pub(crate) fn missing_since(&self, seq: Seq) -> Option<Instant> {
        let index = usize::try_from(self.head.distance_to(seq)).ok()?;
        if !matches!(self.slots.get(index)?, Slot::Missing) {
            return None;
        }
        self.slots.range(index..).find_map(Slot::since)
    }

    /// Whether a packet has neither been delivered nor given up.
    pub(crate) fn is_ahead(&self, seq: Seq) -> bool {
        self.head.distance_to(seq) >= 0
    }

    /// Packets that wait behind a gap.
    pub(crate) fn held(&self) -> usize {
        self.held
    }

    /// Packets that would still fit.
    pub(crate) fn room(&self) -> usize {
        self.capacity.saturating_sub(self.slots.len())
    }

    fn place(&mut self, now: Instant, index: usize, datagram: &[u8], sink: &mut impl HoldSink) -> Arrival {
        let filling = index < self.slots.len();
        while self.slots.len() <= index {
            self.slots.push_back(Slot::Missing);
        }
        let Some(slot) = self.slots.get_mut(index) else {
            return Arrival::Refused;
        };
        if matches!(slot, Slot::Held { .. }) {
            return Arrival::Duplicate;
        }
        *slot = Slot::Held { since: now, datagram: datagram.into() };
        self.held += 1;
        self.release(sink);
        if filling || index == 0 { Arrival::Filled } else { Arrival::Held }
    }

    /// A packet beyond the window is believed when its successor comes next.
    fn outside(
        &mut self,
        now: Instant,
        seq: Seq,
        index: usize,
        datagram: &[u8],
        sink: &mut impl HoldSink,
    ) -> Arrival {
        if self.jump != Some(seq) {
            self.jump = Some(seq.next());
            return Arrival::Refused;
        }
        self.jump = None;
        // A little ahead: make room. Far ahead: start afresh there.
        let skip = if index < 2 * self.capacity { index + 1 - self.capacity } else { index };
        self.give_up(skip, sink);
        self.release(sink);
        let index = self.head.distance_to(seq).max(0) as usize;
        self.place(now, index, datagram, sink)
    }

    /// Delivers from the front as long as nothing is missing.
    fn release(&mut self, sink: &mut impl HoldSink) {
        let run = self.slots.iter().take_while(|s| !matches!(s, Slot::Missing)).count();
        self.give_up(run, sink);
    }

    /// Moves the head by `count` packets: what is held is delivered, all else is lost.
    fn give_up(&mut self, count: usize, sink: &mut impl HoldSink) {
        let mut lost = 0_u64;
        let beyond = count.saturating_sub(self.slots.len());
        for _ in 0..count - beyond {
            match self.slots.pop_front() {
                Some(Slot::Held { datagram, .. }) => {
                    self.report(&mut lost, sink);
                    self.held -= 1;
                    sink.packet(&datagram);
                    self.head = self.head.next();
                }
                _ => {
                    lost += 1;
                    self.head = self.head.next();
                }
            }
        }
        // A jump: nothing of this was ever seen.
        self.head = self.head.add(u32::try_from(beyond).unwrap_or(0));
        lost += beyond as u64;
        self.report(&mut lost, sink);
    }

    fn report(&self, lost: &mut u64, sink: &mut impl HoldSink) {
        if *lost > 0 {
            let back = u32::try_from(*lost).unwrap_or(Seq::MAX);
            sink.lost(Seq::new(self.head.get().wrapping_sub(back)), *lost);
            *lost = 0;
        }
    }
}

#[cfg(test)]
mod tests;
