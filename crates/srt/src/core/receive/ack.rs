//! When to acknowledge, and what an answered acknowledgement tells.
//!
//! A full ACK goes out when the stream moved, at most one in each interval; it is repeated a few times while its answer
//! is missing. A light one goes out between them when much has come. A packet that came again shows that an ACK was
//! lost: it is answered as if the stream had moved. Room that opened again is told until that is answered.
//!
//! Invariants: numbers rise by one for each full ACK, also for a repeated one, so that each answer measures a round
//! trip; without anything to tell there is no timer.
//!
//! draft-sharabayko-srt-01 §3.2.4, §3.2.5, §4.8.1.

use std::time::{Duration, Instant};

use super::round_trip::RoundTrip;
use crate::core::seq::Seq;

/// Packets after which a light ACK goes out.
const LIGHT_AFTER: u32 = 512;
const REPEATS: u8 = 3;
/// ACKs whose answer is waited for: as many as the word has bits.
const WAITING: u32 = u64::BITS;

/// What is due.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum AckDue {
    /// A full one of this number.
    Full(u32),
    Light,
}

/// See the module's documentation.
#[derive(Debug)]
pub(super) struct AckSchedule {
    interval: Duration,
    began: Instant,
    /// No full ACK before this.
    next_full: Instant,
    last_full: Instant,
    /// Up to where the last full ACK went, and the last of any kind.
    told: Seq,
    told_light: Seq,
    told_room: u32,
    /// Packets since the last ACK of any kind.
    packets: u32,
    /// Something came again, or room opened.
    wanted: bool,
    repeats: u8,
    /// The room was told to be short, then to be ample: this must arrive.
    reopened: bool,
    /// The last number sent.
    number: u32,
    /// Bit n: the ACK n before the last one waits for its answer.
    waiting: u64,
    /// When the last ACKs went out, by number, in microseconds since `began` (wrapping).
    sent_us: [u32; WAITING as usize],
    pub(super) round_trip: RoundTrip,
}

impl AckSchedule {
    pub(super) fn new(now: Instant, start: Seq, interval: Duration, room: u32) -> Self {
        Self {
            interval,
            began: now,
            next_full: now,
            last_full: now,
            told: start,
            told_light: start,
            told_room: room,
            packets: 0,
            wanted: false,
            repeats: REPEATS,
            reopened: false,
            number: 0,
            waiting: 0,
            sent_us: [0; WAITING as usize],
            round_trip: RoundTrip::new(),
        }
    }

    /// A packet came.
    #[inline]
    pub(super) fn packet(&mut self) {
        self.packets += 1;
    }

    /// A packet came that had come before: the sender does not know.
    pub(super) fn came_again(&mut self) {
        self.wanted = true;
    }

    /// There is room for so many packets.
    pub(super) fn room(&mut self, packets: u32) {
        if packets / 2 > self.told_room {
            self.wanted = true;
            self.reopened = true;
        }
    }

    /// What is due with everything before `next` received. Counts as sent.
    pub(super) fn poll(&mut self, now: Instant, next: Seq, room: u32) -> Option<AckDue> {
        if self.next_due(next).is_some_and(|at| at <= now) {
            return Some(AckDue::Full(self.full(now, next, room)));
        }
        if self.packets >= LIGHT_AFTER && next != self.told_light {
            self.told_light = next;
            self.packets = 0;
            return Some(AckDue::Light);
        }
        None
    }

    pub(super) fn next_due(&self, next: Seq) -> Option<Instant> {
        if next != self.told || self.wanted {
            return Some(self.next_full);
        }
        if self.waiting & 1 == 1 && (self.repeats < REPEATS || self.reopened) {
            return Some((self.last_full + self.round_trip.overdue()).max(self.next_full));
        }
        None
    }

    /// An ACK was answered.
    pub(super) fn answered(&mut self, now: Instant, number: u32) {
        let age = self.number.wrapping_sub(number);
        let bit = 1_u64.checked_shl(age).unwrap_or(0);
        if number == 0 || self.waiting & bit == 0 {
            return;
        }
        self.waiting &= !bit;
        if age == 0 {
            self.reopened = false;
        }
        if let Some(sent) = self.sent_us.get((number % WAITING) as usize) {
            let time = self.clock(now).wrapping_sub(*sent);
            self.round_trip.sample(Duration::from_micros(u64::from(time)));
        }
    }

    /// The last number sent.
    #[cfg(test)]
    pub(super) fn number(&self) -> u32 {
        self.number
    }

    fn full(&mut self, now: Instant, next: Seq, room: u32) -> u32 {
        let moved = next != self.told || self.wanted;
        self.repeats = if moved { 0 } else { self.repeats.saturating_add(1) };
        self.wanted = false;
        self.told = next;
        self.told_light = next;
        self.told_room = room;
        self.packets = 0;
        self.last_full = now;
        self.next_full = now + self.interval;
        self.number = match self.number {
            number @ 0..0x7FFF_FFFF => number + 1,
            _ => 1,
        };
        // After a wrap of the number, old answers would be misread.
        self.waiting = if self.number == 1 { 1 } else { self.waiting << 1 | 1 };
        let clock = self.clock(now);
        if let Some(sent) = self.sent_us.get_mut((self.number % WAITING) as usize) {
            *sent = clock;
        }
        self.number
    }

    /// Microseconds; their differences matter.
    #[expect(clippy::cast_possible_truncation, reason = "it wraps")]
    fn clock(&self, now: Instant) -> u32 {
        now.saturating_duration_since(self.began).as_micros() as u32
    }
}
