//! What a connection sends, and when it wants to be asked.
//!
//! Order: a farewell alone; else answers to ACKs, keys, acknowledgements, loss reports, drops, data, and a keepalive
//! where nothing else was said.

use std::time::{Duration, Instant};

use super::Connection;
use crate::core::packet::{Ack, Outgoing, nak_fits, write_control};
use crate::core::receive::AckOut;
use crate::core::seq::{SeqRange, Stamp};
use crate::core::transmit::Transmits;

/// A connection that has said nothing for so long says that it lives.
const KEEPALIVE: Duration = Duration::from_secs(1);
/// Loss reports at a time: each is a datagram of several hundred ranges.
const MOST_NAKS: usize = 4;

impl Connection {
    /// Appends at most about `most` datagrams; `ranges` is scratch room.
    pub(in crate::core) fn poll_transmit(
        &mut self,
        now: Instant,
        out: &mut Transmits,
        most: usize,
        ranges: &mut Vec<SeqRange>,
    ) {
        let (before, bytes) = (out.len(), out.total_bytes());
        if self.over.is_some() {
            for _ in 0..std::mem::take(&mut self.farewells) {
                self.say(now, &Outgoing::Shutdown, out);
            }
        } else {
            self.feedback(now, out, ranges);
            self.data_out(now, out, before + most);
            if out.len() == before && (self.show || now >= self.said + KEEPALIVE) {
                self.say(now, &Outgoing::Keepalive, out);
            }
            self.show = false;
        }
        if out.len() > before {
            self.said = now;
            self.wire_sent_bytes += (out.total_bytes() - bytes) as u64;
        }
    }

    /// A datagram for an address that is to be proved: the ACK's number comes back from there only if the peer is there.
    pub(in crate::core) fn challenge(&self, now: Instant, number: u32) -> Vec<u8> {
        let mut bytes = Vec::new();
        let ack = Ack { number, ..self.receiver.current_ack() };
        write_control(self.stamp(now), self.remote, &Outgoing::Ack(ack), &mut bytes);
        bytes
    }

    pub(in crate::core) fn next_timeout(&self) -> Option<Instant> {
        if self.over.is_some() {
            return (self.farewells > 0).then_some(self.said);
        }
        if self.answers_waiting > 0 || self.show {
            return Some(self.said);
        }
        let gone = self.heard + self.peer_idle;
        let alive = (self.said + KEEPALIVE).min(self.probation.map_or(gone, |until| until.min(gone)));
        let sender = self.sender.as_ref().and_then(|sender| sender.next_timeout());
        let keys = self.keys.as_ref().and_then(|keys| keys.next_timeout());
        [self.receiver.next_timeout(), sender, keys].into_iter().flatten().fold(alive, Instant::min).into()
    }

    fn feedback(&mut self, now: Instant, out: &mut Transmits, ranges: &mut Vec<SeqRange>) {
        for index in 0..std::mem::take(&mut self.answers_waiting) {
            let number = self.answers.get(index).copied().unwrap_or_default();
            self.say(now, &Outgoing::AckAck { number }, out);
        }
        if let Some(mut keys) = self.keys.take() {
            keys.settled(self.sender.as_ref().map_or(0, |sender| sender.settled_packets()));
            keys.poll(now, |outgoing| self.say(now, outgoing, out));
            self.keys = Some(keys);
        }
        match self.receiver.poll_ack(now) {
            Some(AckOut::Full(ack)) => self.say(now, &Outgoing::Ack(ack), out),
            Some(AckOut::Light(ack)) => self.say(now, &Outgoing::LightAck { ack }, out),
            None => {}
        }
        for _ in 0..MOST_NAKS {
            ranges.clear();
            if !self.receiver.poll_nak(now, ranges) {
                break;
            }
            let mut rest = ranges.as_slice();
            while !rest.is_empty() {
                let (fits, more) = rest.split_at(nak_fits(rest).clamp(1, rest.len()));
                self.say(now, &Outgoing::Nak(fits), out);
                rest = more;
            }
        }
    }

    fn data_out(&mut self, now: Instant, out: &mut Transmits, until: usize) {
        let (began, peer, remote) = (self.began, self.peer, self.remote);
        let Some(sender) = &mut self.sender else { return };
        if let Some(drop) = sender.poll_drop(now) {
            let stamp = stamp(began, now);
            let request = Outgoing::DropRequest { message: drop.message, range: drop.range };
            out.push_with(peer, |bytes| write_control(stamp, remote, &request, bytes));
        }
        while out.len() < until {
            let keys = self.keys.as_deref_mut();
            match keys {
                Some(keys) => {
                    if !sender.poll_data(now, began, peer, remote, Some(keys.send_keys()), out) {
                        break;
                    }
                    keys.sent(now, sender.fresh_packets());
                }
                None => {
                    if !sender.poll_data(now, began, peer, remote, None, out) {
                        break;
                    }
                }
            }
        }
    }

    fn say(&self, now: Instant, body: &Outgoing<'_>, out: &mut Transmits) {
        let stamp = self.stamp(now);
        out.push_with(self.peer, |bytes| write_control(stamp, self.remote, body, bytes));
    }

    /// Now, as our stamps say it.
    pub(in crate::core) fn stamp(&self, now: Instant) -> Stamp {
        stamp(self.began, now)
    }
}

fn stamp(began: Instant, now: Instant) -> Stamp {
    let micros = now.saturating_duration_since(began).as_micros();
    Stamp::of_micros(u64::try_from(micros).unwrap_or(u64::MAX))
}
