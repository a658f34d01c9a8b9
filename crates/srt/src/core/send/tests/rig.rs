//! The sender, the link and the receiver on virtual time.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap};

use super::world::{Link, Message, Receiver};
use super::*;
use crate::core::packet::Data;

/// Everything together.
pub(super) struct Rig {
    pub(super) sender: Sender,
    pub(super) link: Link,
    pub(super) receiver: Receiver,
    pub(super) random: fastrand::Rng,
    pub(super) now: Instant,
    pub(super) began: Instant,
    pub(super) wire: BinaryHeap<Reverse<(Instant, u64)>>,
    pub(super) messages: BTreeMap<u64, Message>,
    pub(super) sent_messages: u64,
    pub(super) link_free_at: Instant,
    pub(super) out: Transmits,
    /// What was lost, in payload bytes.
    pub(super) lost_bytes: u64,
    pub(super) data_sent: u64,
    pub(super) first_sends: BTreeMap<u64, Vec<u8>>,
    /// Times and sizes of retransmissions.
    pub(super) resent: Vec<(Instant, usize)>,
    pub(super) keep: bool,
}

impl Rig {
    pub(super) fn new(config: SenderConfig, link: Link, seed: u64) -> Self {
        let now = Instant::now();
        let receiver = Receiver {
            next: 0,
            highest: 0,
            held: BTreeSet::new(),
            ack_due: false,
            acked_at: now,
            naked_at: now,
            ack_interval: ms(10),
            nak_interval: ms(30),
            free: 8192,
        };
        Self {
            sender: Sender::new(config, now),
            link,
            receiver,
            random: fastrand::Rng::with_seed(seed),
            now,
            began: now,
            wire: BinaryHeap::new(),
            messages: BTreeMap::new(),
            sent_messages: 0,
            link_free_at: now,
            out: Transmits::new(),
            lost_bytes: 0,
            data_sent: 0,
            first_sends: BTreeMap::new(),
            resent: Vec::new(),
            keep: false,
        }
    }

    /// Runs with the application giving `bytes_per_s` in full packets.
    pub(super) fn offer(&mut self, bytes_per_s: u64, time: Duration) {
        let until = self.now + time;
        let pause = Duration::from_nanos(FULL as u64 * 1_000_000_000 / bytes_per_s);
        while self.now < until {
            let _full = self.sender.send(self.now, &[0x47; FULL]);
            self.run(pause);
        }
    }

    pub(super) fn run(&mut self, time: Duration) {
        let until = self.now + time;
        loop {
            self.poll();
            let receiver = self.receiver_due();
            let wire = self.wire.peek().map(|Reverse((at, _))| *at);
            let next = [self.sender.next_timeout(), wire, receiver].into_iter().flatten().min();
            assert!(self.sender.next_timeout().is_none_or(|at| at > self.now), "a timeout that does nothing");
            let Some(next) = next.filter(|next| *next < until) else { break };
            self.now = next;
            self.deliver();
            self.answer();
        }
        self.now = until;
    }

    pub(super) fn run_until_drained(&mut self, most: Duration) {
        let until = self.now + most;
        while !self.sender.is_drained() {
            assert!(self.now < until, "never acknowledged: {:?}", self.sender.stats(self.now));
            self.run(ms(50));
        }
    }

    pub(super) fn poll(&mut self) {
        while let Some(drop) = self.sender.poll_drop(self.now) {
            let first = u64::from(drop.range.first.raw().wrapping_sub(config().start.raw()) & 0x7fff_ffff);
            self.carry(Message::Drop(first, first + u64::from(drop.range.len())), 40);
        }
        while self.sender.poll_data(self.now, self.began, peer(), ID, None, &mut self.out) {}
        let out = std::mem::take(&mut self.out);
        for (_, datagram) in out.iter() {
            let Ok(Packet::Data(data)) = Packet::parse(datagram) else { panic!("not data") };
            self.forward(&data, datagram);
        }
        self.out = out;
        self.out.clear();
    }

    pub(super) fn forward(&mut self, data: &Data<'_>, datagram: &[u8]) {
        assert_eq!(data.to, ID);
        let place = u64::from(data.seq.raw().wrapping_sub(config().start.raw()) & 0x7fff_ffff);
        self.data_sent += 1;
        if data.retransmitted {
            self.resent.push((self.now, datagram.len()));
        }
        if self.keep {
            let mut bytes = datagram.to_vec();
            bytes[4] &= !4;
            let first = self.first_sends.entry(place).or_insert_with(|| bytes.clone());
            assert_eq!(*first, bytes, "a retransmission repeats the bytes");
        }
        if !self.carry(Message::Data(place), datagram.len()) {
            self.lost_bytes += data.payload.len() as u64;
        }
    }

    /// The way there.
    pub(super) fn carry(&mut self, message: Message, bytes: usize) -> bool {
        let start = self.link_free_at.max(self.now);
        let queued = (start - self.now).as_nanos() * u128::from(self.link.bytes_per_s) / 1_000_000_000;
        if self.link.cut
            || queued > u128::from(self.link.queue_bytes)
            || self.random.f64() < self.link.data_loss
        {
            return false;
        }
        self.link_free_at =
            start + Duration::from_nanos(bytes as u64 * 1_000_000_000 / self.link.bytes_per_s);
        let jitter = self.link.jitter.mul_f64(self.random.f64());
        self.put(self.link_free_at + self.link.rtt / 2 + jitter, message);
        true
    }

    pub(super) fn back(&mut self, message: Message) {
        if !self.link.cut && self.random.f64() >= self.link.feedback_loss {
            self.put(self.now + self.link.rtt / 2, message);
        }
    }

    pub(super) fn put(&mut self, at: Instant, message: Message) {
        self.sent_messages += 1;
        self.wire.push(Reverse((at, self.sent_messages)));
        self.messages.insert(self.sent_messages, message);
    }

    pub(super) fn deliver(&mut self) {
        while let Some(Reverse((at, number))) = self.wire.peek().copied().filter(|next| next.0.0 <= self.now)
        {
            assert!(at <= self.now);
            self.wire.pop();
            match self.messages.remove(&number).unwrap() {
                Message::Data(place) => {
                    let before = self.receiver.highest;
                    self.receiver.take(place, place + 1);
                    if place > before {
                        let gap = self.receiver.missing(before);
                        self.back(Message::Nak(gap));
                    }
                }
                Message::Drop(first, until) => self.receiver.take(first, until),
                Message::Ack(ack) => self.sender.ack(self.now, &ack),
                Message::Nak(ranges) => self.sender.nak(self.now, ranges.into_iter()),
            }
        }
    }

    pub(super) fn receiver_due(&self) -> Option<Instant> {
        let receiver = &self.receiver;
        let ack = receiver.ack_due.then_some(receiver.acked_at + receiver.ack_interval);
        let nak = (receiver.next < receiver.highest).then_some(receiver.naked_at + receiver.nak_interval);
        [ack, nak].into_iter().flatten().min().map(|at| at.max(self.now + Duration::from_nanos(1)))
    }

    pub(super) fn answer(&mut self) {
        if self.receiver.ack_due && self.now >= self.receiver.acked_at + self.receiver.ack_interval {
            self.receiver.ack_due = false;
            self.receiver.acked_at = self.now;
            let rtt_us = u32::try_from(self.link.rtt.as_micros()).unwrap();
            let ack = seq(self.receiver.next);
            let free_packets = self.receiver.free;
            self.back(Message::Ack(Ack {
                number: 1,
                ack,
                rtt_us,
                rtt_var_us: 2000,
                free_packets,
                rates: None,
            }));
        }
        if self.receiver.next < self.receiver.highest
            && self.now >= self.receiver.naked_at + self.receiver.nak_interval
        {
            self.receiver.naked_at = self.now;
            let ranges = self.receiver.missing(0);
            self.back(Message::Nak(ranges));
        }
    }
}
