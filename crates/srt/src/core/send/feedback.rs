//! What acknowledgements and loss reports of the peer do to a sender.
//!
//! They are claims of somebody who may be hostile: whatever lies outside of what was sent is ignored, and the work for
//! one loss report is bounded by what is in flight, however often its ranges name the same packets.

use std::time::Instant;

use super::Sender;
use crate::core::packet::Ack;
use crate::core::seq::{Seq, SeqRange};

/// Packets a loss report may name beyond those in flight.
const NAMED_TWICE: usize = 256;

impl Sender {
    /// Takes a full or small ACK.
    pub fn ack(&mut self, now: Instant, ack: &Ack) {
        self.tick(now);
        let Some(place) = self.acknowledge(now, ack.ack) else { return };
        self.peer.reported(ack.rtt_us, ack.rtt_var_us);
        self.peer.set_window(place, ack.free_packets);
        self.peer.skip_to(self.dropped_to);
        if let Some(rates) = ack.rates {
            self.peer.reported_bytes_per_s = rates.bytes_per_s.into();
        }
    }

    /// Takes a light ACK, which says nothing of the flow window.
    pub fn light_ack(&mut self, now: Instant, ack: Seq) {
        self.tick(now);
        self.acknowledge(now, ack);
    }

    /// Takes a loss report.
    pub fn nak(&mut self, now: Instant, ranges: impl Iterator<Item = SeqRange>) {
        self.tick(now);
        self.peer.heard = self.clock;
        self.counts.naks += 1;
        let (first, unsent) = (self.buffer.first(), self.buffer.unsent());
        let mut work = self.buffer.in_flight() + NAMED_TWICE;
        for range in ranges {
            let (from, until) = self.buffer.places(range, self.acked, first);
            if from < until {
                self.notice.asked(self.clock, self.peer.answer_time());
            }
            let (from, until) = self.buffer.places(range, first, unsent);
            if from == until {
                continue;
            }
            self.presume_delivered(from);
            for place in from..until {
                if work == 0 {
                    return;
                }
                work -= 1;
                self.missing(place);
            }
            // The one behind the hole has shown the hole.
            self.delivery.know(until);
            self.presume_delivered((until + 1).min(unsent));
        }
        self.delivery.answered(self.clock, self.peer.rtt, self.pacer.rate());
    }

    /// Everything before `seq` has arrived. Its place, if that can be true and is not old.
    fn acknowledge(&mut self, now: Instant, seq: Seq) -> Option<u64> {
        let place =
            self.buffer.place(seq).filter(|place| (self.acked..=self.buffer.unsent()).contains(place))?;
        self.peer.heard = self.clock;
        if place > self.acked {
            self.acked = place;
            self.progressed = now;
            self.probes = 0;
            while self.buffer.first() < place {
                let (counts, delivery) = (&mut self.counts, &mut self.delivery);
                self.buffer.pop(|slot| {
                    counts.acked_packets += 1;
                    counts.acked_bytes += slot.payload_bytes as u64;
                    if !slot.seen {
                        delivery.delivered(slot.payload_bytes);
                    }
                });
            }
            self.lost.forget_before(self.buffer.first());
            self.delivery.know(place);
            if self.acked >= self.buffer.first() {
                self.notice.settled();
            }
        }
        self.delivery.answered(self.clock, self.peer.rtt, self.pacer.rate());
        Some(place)
    }

    /// A packet that the peer names as missing.
    fn missing(&mut self, place: u64) {
        let patience = self.peer.answer_time();
        let Some(slot) = self.buffer.slot_mut(place) else { return };
        if std::mem::take(&mut slot.seen) {
            self.delivery.undelivered(slot.payload_bytes);
        }
        // A report of what was sent only once is no repetition: it cannot come sooner than a round trip anyway.
        if slot.resent && self.clock.saturating_duration_since(slot.sent_at) < patience {
            self.counts.retransmit_suppressed += 1;
            return;
        }
        self.lost.mark(place);
    }

    /// What is before a packet reported as missing, and was not reported itself, has arrived.
    fn presume_delivered(&mut self, until: u64) {
        for place in self.delivery.known().max(self.buffer.first())..until {
            if let Some(slot) = self.buffer.slot_mut(place) {
                slot.seen = true;
                self.delivery.delivered(slot.payload_bytes);
            }
        }
        self.delivery.know(until);
    }
}
