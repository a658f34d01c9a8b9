//! What a sender does next, and when.
//!
//! One function decides ([`Sender::choose`]); polling acts on it, and the next timeout is what it waits for, so that the
//! two never disagree.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use super::buffer::{Buffer, Slot};
use super::{DropOut, OVERHEAD_LEAST, QUIET, Sender};
use crate::core::crypto::SendKeys;
use crate::core::packet::{
    Boundary, DataHeader, HEADER_BYTES, KeySlot, mark_retransmitted, write_data_header,
};
use crate::core::seq::{Seq, SeqRange, SocketId, Stamp};
use crate::core::transmit::Transmits;

/// How often a link that counts as cut is tried with a packet.
const SILENT_PAUSE: Duration = Duration::from_millis(100);
/// A silent peer is probed at least this often.
const SILENT_PROBE: Duration = Duration::from_millis(500);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Choice {
    /// The peer misses it.
    Lost(u64),
    /// The first that was never sent.
    New,
    /// Sent again unasked; none: a new one, although the window is closed.
    Probe(Option<u64>),
    /// Nothing before that time.
    Wait(Option<Instant>),
}

impl Sender {
    /// Writes the next datagram if one may go now: lost ones first, then new ones. `began` is the time of stamp 0; `keys`
    /// encrypt a payload the first time it is sent.
    pub fn poll_data(
        &mut self,
        now: Instant,
        began: Instant,
        to: SocketAddr,
        id: SocketId,
        keys: Option<&mut SendKeys>,
        out: &mut Transmits,
    ) -> bool {
        self.tick(now);
        match self.choose(self.clock) {
            Choice::Lost(place) => {
                self.lost.take(place);
                self.send_again(place, to, out)
            }
            Choice::New => self.send_new(began, to, id, keys, out),
            Choice::Probe(place) => {
                self.probes = self.probes.saturating_add(1);
                self.counts.probes += 1;
                match place {
                    Some(place) => self.send_again(place, to, out),
                    None => self.send_new(began, to, id, keys, out),
                }
            }
            Choice::Wait(_) => {
                // Nothing more to send, or our own budget holds it back: what flows now is not the most that could.
                if !self.buffer.has_unsent() || self.lost.first().is_some() {
                    self.delivery.idle(self.buffer.unsent());
                }
                false
            }
        }
    }

    /// The DROPREQ to send, if there is one.
    pub fn poll_drop(&mut self, now: Instant) -> Option<DropOut> {
        self.tick(now);
        if self.drop_due()? > self.clock {
            return None;
        }
        self.notice.told(self.clock);
        let last = self.buffer.seq(self.buffer.first()).minus(1);
        Some(DropOut { message: 0, range: SeqRange { first: self.buffer.seq(self.acked), last } })
    }

    /// When [`poll_data`](Self::poll_data) or [`poll_drop`](Self::poll_drop) has something to do. May be in the past.
    pub fn next_timeout(&self) -> Option<Instant> {
        let next = match self.choose(self.clock) {
            Choice::Wait(at) => at,
            _ => Some(self.clock),
        };
        let expiry = self.config.too_late.zip(self.buffer.oldest()).map(|(late, slot)| slot.accepted + late);
        [next, expiry, self.drop_due(), self.shrink_due()].into_iter().flatten().min()
    }

    /// Brings everything that follows from time alone up to date.
    pub(super) fn tick(&mut self, now: Instant) {
        self.clock = self.clock.max(now);
        self.pacer.refill(self.clock);
        self.overhead.refill(self.clock);
        if self.input.fold(self.clock) {
            let share = self.input.weighted().saturating_mul(self.config.overhead_percent.into()) / 100;
            self.overhead.set_rate(share.max(OVERHEAD_LEAST));
        }
        self.drop_too_late();
        if self.shrink_due().is_some_and(|at| at <= self.clock) {
            self.buffer.shrink();
        }
    }

    fn choose(&self, now: Instant) -> Choice {
        let mut gate = self.pacer.out_of_debt_at();
        if self.is_silent(now) {
            gate = gate.max(self.last_sent + SILENT_PAUSE);
        }
        let affordable = |place: u64| {
            let bytes = self.buffer.slot(place).map_or(0, |slot| slot.datagram.len());
            gate.max(self.overhead.holds_at(bytes))
        };
        let lost = self.lost.first();
        let may_send_new = self.buffer.has_unsent() && self.peer.takes(self.buffer.unsent());
        let again = lost.map(|place| (Choice::Lost(place), affordable(place)));
        let new = may_send_new.then_some((Choice::New, gate));
        let probe = (lost.is_none() && !may_send_new && !self.buffer.is_empty()).then(|| {
            let since = self.progressed.max(self.last_sent);
            let wait = self.peer.probe_wait(self.probes);
            // A long round trip is no reason to leave a peer unasked until it counts as gone.
            let wait = if self.is_silent(now) { wait.min(SILENT_PROBE) } else { wait };
            let at = gate.max(since + wait);
            match self.probed_place() {
                Some(place) => (Choice::Probe(Some(place)), at.max(affordable(place))),
                None => (Choice::Probe(None), at),
            }
        });
        let mut wait: Option<Instant> = None;
        for (choice, at) in [again, new, probe].into_iter().flatten() {
            if at <= now {
                return choice;
            }
            wait = Some(wait.map_or(at, |wait| wait.min(at)));
        }
        Choice::Wait(wait)
    }

    /// The last packet sent; at every second attempt the oldest, for a peer that asks for nothing twice.
    fn probed_place(&self) -> Option<u64> {
        let last = self.buffer.in_flight().checked_sub(1)?;
        Some(self.buffer.first() + if self.probes.is_multiple_of(2) { last as u64 } else { 0 })
    }

    fn is_silent(&self, now: Instant) -> bool {
        let stall = self.peer.stall();
        now.saturating_duration_since(self.peer.heard) > stall
            && self.buffer.oldest().is_some_and(|slot| now.saturating_duration_since(slot.accepted) > stall)
    }

    fn send_new(
        &mut self,
        began: Instant,
        to: SocketAddr,
        id: SocketId,
        keys: Option<&mut SendKeys>,
        out: &mut Transmits,
    ) -> bool {
        let place = self.buffer.unsent();
        let seq = self.buffer.seq(place);
        let Some(slot) = self.buffer.slot_mut(place) else { return false };
        seal(slot, place, seq, began, id, keys);
        slot.sent_at = self.clock;
        let (payload, wire) = (slot.payload_bytes, slot.datagram.len());
        out.push(to, &slot.datagram);
        self.buffer.mark_sent();
        self.count_sent(payload, wire);
        true
    }

    fn send_again(&mut self, place: u64, to: SocketAddr, out: &mut Transmits) -> bool {
        let Some(slot) = self.buffer.slot_mut(place) else { return false };
        if let Some(header) = slot.datagram.first_chunk_mut::<HEADER_BYTES>() {
            mark_retransmitted(header);
        }
        slot.sent_at = self.clock;
        slot.resent = true;
        let (payload, wire) = (slot.payload_bytes, slot.datagram.len());
        out.push(to, &slot.datagram);
        self.overhead.spend(wire);
        self.counts.retransmitted_packets += 1;
        self.counts.retransmitted_bytes += payload as u64;
        self.count_sent(payload, wire);
        true
    }

    fn count_sent(&mut self, payload: usize, wire: usize) {
        self.last_sent = self.clock;
        self.pacer.spend(wire);
        self.delivery.sent(payload);
        self.counts.sent_packets += 1;
        self.counts.sent_bytes += payload as u64;
        self.counts.wire_sent_bytes += wire as u64;
    }

    fn drop_too_late(&mut self) {
        let Some(late) = self.config.too_late else { return };
        let before = self.buffer.first();
        while self
            .buffer
            .oldest()
            .is_some_and(|slot| self.clock.saturating_duration_since(slot.accepted) >= late)
        {
            let counts = &mut self.counts;
            self.buffer.pop(|slot| {
                counts.dropped_packets += 1;
                counts.dropped_bytes += slot.payload_bytes as u64;
            });
        }
        let first = self.buffer.first();
        if first > before {
            self.dropped_to = first;
            self.lost.forget_before(first);
            self.delivery.know(first);
            self.peer.skip_to(first);
            self.notice.dropped();
        }
    }

    fn drop_due(&self) -> Option<Instant> {
        if self.acked >= self.buffer.first() {
            return None;
        }
        let due = self.notice.due(self.clock, self.peer.probe_wait(0))?;
        Some(if self.is_silent(self.clock) { due.max(self.last_sent + SILENT_PAUSE) } else { due })
    }

    fn shrink_due(&self) -> Option<Instant> {
        let quiet = self.buffer.is_empty() && self.buffer.holds_spare();
        quiet.then(|| self.progressed.max(self.last_sent) + QUIET)
    }
}

/// Makes a slot's datagram final: header and, with keys, encryption.
fn seal(slot: &mut Slot, place: u64, seq: Seq, began: Instant, id: SocketId, keys: Option<&mut SendKeys>) {
    let micros = slot.accepted.saturating_duration_since(began).as_micros();
    let mut header = DataHeader {
        seq,
        message: Buffer::message(place),
        boundary: Boundary::Solo,
        in_order: true,
        key: KeySlot::Clear,
        retransmitted: false,
        stamp: Stamp::of_micros(u64::try_from(micros).unwrap_or(u64::MAX)),
        to: id,
    };
    let mut bytes = [0; HEADER_BYTES];
    if let Some(keys) = keys {
        write_data_header(&header, &mut bytes);
        header.key = keys.seal(&bytes, seq, &mut slot.datagram, HEADER_BYTES);
    }
    write_data_header(&header, &mut bytes);
    if let Some(start) = slot.datagram.first_chunk_mut::<HEADER_BYTES>() {
        *start = bytes;
    }
}
