//! The receiver's half of a connection: puts packets in order, asks for what is missing, says what is lost.
//!
//! In *hold* mode a packet is handed on as soon as all before it were; in order, it touches no buffer. A gap is held
//! until it is filled, until the sender says that it dropped it, or for the latency. In *TSBPD* mode packets are handed
//! on when they are due (`playout`), and a gap ends at the latest when a packet behind it is.
//!
//! After each batch of datagrams and each [`Receiver::handle_timeout`], ask [`Receiver::poll_ack`] once,
//! [`Receiver::poll_nak`] until it says false, then [`Receiver::next_timeout`].
//!
//! What does not belong here: sockets, the wire's format, decryption, the clock (`now` is passed in).
//!
//! Invariants:
//! - the sink sees each sequence number once, in order: as data or in a lost range;
//! - at most `window_packets` are held, whatever arrives; a sequence number outside the window moves nothing unless the
//!   next packet confirms it (as RFC 3550 A.1 does for a jump);
//! - every gap ends; with nothing held and nothing to tell, there is no timer and almost no memory.
//!
//! draft-sharabayko-srt-01 §4.5 to §4.8, §4.10.

mod ack;
mod deliver;
mod nak;
mod playout;
mod rate;
mod reorder;
mod round_trip;
mod settings;
mod window;

#[cfg(test)]
mod tests;

pub use settings::{AckOut, DeliveryMode, ReceiverConfig, ReceiverStats, Sink, Taken};

use std::time::{Duration, Instant};

use self::ack::{AckDue, AckSchedule};
use self::nak::NakSchedule;
use self::playout::Playout;
use self::rate::{ArrivalRate, PERIOD};
use self::reorder::ReorderWait;
use self::window::{Placed, Window};
use super::packet::Ack;
use super::seq::{Seq, SeqRange, Stamp};

/// How long a gap may last where nothing is too late.
const LEAST_PATIENCE: Duration = Duration::from_secs(10);
/// A loss report is never repeated sooner.
const LEAST_AGAIN: Duration = Duration::from_millis(20);
/// No latency and no interval is longer.
const LONGEST: Duration = Duration::from_secs(3600);
/// Packets behind the next one that may still be on their way.
const BEHIND: i64 = 8192;

/// See the module's documentation.
#[derive(Debug)]
pub struct Receiver {
    window: Window,
    /// Packets that may wait.
    capacity: usize,
    mode: DeliveryMode,
    latency: Duration,
    playout: Playout,
    ack: AckSchedule,
    nak: NakSchedule,
    reorder: ReorderWait,
    rate: ArrivalRate,
    /// What the consumer takes.
    room: u32,
    /// The packet that would confirm a jump.
    jump: Option<Seq>,
    /// When the front of the window has something to do.
    wake: Option<Instant>,
    /// When the current period ends, and whether anybody minds.
    period_end: Instant,
    busy: bool,
    stats: ReceiverStats,
}

impl Receiver {
    /// A receiver that waits for its first packet.
    pub fn new(config: &ReceiverConfig, now: Instant) -> Self {
        let latency = config.latency.min(LONGEST);
        let window_packets = config.window_packets.clamp(16, 1 << 24);
        Self {
            window: Window::new(config.start),
            capacity: window_packets as usize,
            mode: config.mode,
            latency,
            playout: Playout::new(config.began, latency),
            ack: AckSchedule::new(now, config.start, config.ack_interval.min(LONGEST), window_packets),
            nak: NakSchedule::default(),
            reorder: ReorderWait::new(now, latency),
            rate: ArrivalRate::new(now),
            room: u32::MAX,
            jump: None,
            wake: None,
            period_end: now + PERIOD,
            busy: false,
            stats: ReceiverStats::default(),
        }
    }

    /// Takes a data packet, decrypted.
    #[inline]
    pub fn data(
        &mut self,
        now: Instant,
        seq: Seq,
        stamp: Stamp,
        retransmitted: bool,
        payload: &[u8],
        sink: &mut dyn Sink,
    ) -> Taken {
        self.stats.received_packets += 1;
        self.stats.received_bytes += payload.len() as u64;
        self.stats.retransmitted_packets += u64::from(retransmitted);
        self.rate.packet(payload.len());
        self.ack.packet();
        self.busy = true;
        if now >= self.period_end {
            self.end_period(now);
        }
        if self.mode == DeliveryMode::Hold && seq == self.window.head() && self.window.is_empty() {
            self.jump = None;
            self.window.step();
            self.stats.delivered_bytes += payload.len() as u64;
            sink.data(payload);
            return Taken::Delivered;
        }
        self.out_of_order(now, seq, stamp, retransmitted, payload, sink)
    }

    /// The sender no longer has these: what is missing of them is given up.
    pub fn drop_request(&mut self, now: Instant, range: SeqRange, sink: &mut dyn Sink) {
        let head = self.window.head();
        let from = usize::try_from(range.first.offset_from(head)).unwrap_or(0);
        let Ok(last) = usize::try_from(range.last.offset_from(head)) else {
            return;
        };
        if from > last || from >= self.capacity {
            return;
        }
        if let Some(gap) = self.window.extend(now, from) {
            self.nak.gap(now, gap);
        }
        self.window.forget(from, (last + 1).min(self.capacity));
        self.settle(now, sink);
    }

    /// An ACK was answered.
    pub fn ackack(&mut self, now: Instant, number: u32) {
        self.ack.answered(now, number);
    }

    /// How many packets the consumer still takes.
    pub fn set_room(&mut self, packets: u32) {
        self.room = packets;
        self.ack.room(self.free_packets());
    }

    /// Gives up what has waited for long enough, and hands on what is due.
    pub fn handle_timeout(&mut self, now: Instant, sink: &mut dyn Sink) {
        if self.wake.is_some_and(|at| at <= now) {
            self.settle(now, sink);
        }
        if now >= self.period_end {
            self.end_period(now);
        }
    }

    /// The acknowledgement to send now.
    pub fn poll_ack(&mut self, now: Instant) -> Option<AckOut> {
        let next = self.window.next_missing();
        let due = self.ack.poll(now, next, self.free_packets())?;
        self.stats.acks_sent += 1;
        Some(match due {
            AckDue::Full(number) => AckOut::Full(Ack { number, ..self.current_ack() }),
            AckDue::Light => AckOut::Light(next),
        })
    }

    /// Appends the runs to ask for now; false when there are none. There may be more: ask again.
    pub fn poll_nak(&mut self, now: Instant, ranges: &mut Vec<SeqRange>) -> bool {
        let before = ranges.len();
        let again = self.again();
        self.nak.poll(now, self.reorder.wait(), again, &self.window, ranges);
        let any = ranges.len() > before;
        self.stats.naks_sent += u64::from(any);
        any
    }

    /// What a full ACK would say now, with number 0.
    pub fn current_ack(&self) -> Ack {
        Ack {
            number: 0,
            ack: self.window.next_missing(),
            rtt_us: self.ack.round_trip.smooth_us(),
            rtt_var_us: self.ack.round_trip.variance_us(),
            free_packets: self.free_packets(),
            rates: self.rate.rates(),
        }
    }

    /// Whether a packet of this number may come from the peer now: not long ago, not beyond the window.
    pub fn is_in_window(&self, seq: Seq) -> bool {
        let offset = i64::from(seq.offset_from(self.window.head()));
        (-BEHIND..self.capacity as i64).contains(&offset)
    }

    /// When to call [`handle_timeout`](Self::handle_timeout) and poll again.
    pub fn next_timeout(&self) -> Option<Instant> {
        let ack = self.ack.next_due(self.window.next_missing());
        let nak = self.nak.next_due(self.reorder.wait(), self.again());
        let period = self.busy.then_some(self.period_end);
        [self.wake, ack, nak, period].into_iter().flatten().min()
    }

    /// The peer has closed: everything that came is handed on, every gap reported.
    pub fn finish(&mut self, now: Instant, sink: &mut dyn Sink) {
        self.advance(self.window.len(), sink);
        self.settle(now, sink);
    }

    /// Counters and measures.
    pub fn stats(&self) -> ReceiverStats {
        ReceiverStats {
            held_packets: self.window.held() as u64,
            held_bytes: self.window.held_bytes() as u64,
            rtt_us: self.ack.round_trip.smooth_us(),
            rtt_var_us: self.ack.round_trip.variance_us(),
            bytes_per_s: self.rate.rates().map_or(0, |rates| rates.bytes_per_s),
            reorder_wait: self.reorder.wait(),
            ..self.stats
        }
    }

    /// How long an answer to a loss report may take. While the round trip is a guess, a gap with little time is asked
    /// for more often all the same.
    fn again(&self) -> Duration {
        self.ack.round_trip.again().min((self.latency / 4).max(LEAST_AGAIN))
    }

    #[inline(never)]
    fn out_of_order(
        &mut self,
        now: Instant,
        seq: Seq,
        stamp: Stamp,
        retransmitted: bool,
        payload: &[u8],
        sink: &mut dyn Sink,
    ) -> Taken {
        let Ok(ahead) = usize::try_from(seq.offset_from(self.window.head())) else {
            self.stats.late_packets += 1;
            self.ack.came_again();
            return Taken::Late;
        };
        if ahead >= self.capacity && !self.jump(seq, ahead, sink) {
            self.stats.refused_packets += 1;
            return Taken::OutsideWindow;
        }
        self.jump = None;
        let index = usize::try_from(seq.offset_from(self.window.head())).unwrap_or(0);
        if let Some(gap) = self.window.extend(now, index) {
            self.nak.gap(now, gap);
        }
        let stamp_us = match self.mode {
            DeliveryMode::Hold => 0,
            DeliveryMode::Tsbpd { .. } => self.playout.arrival(now, stamp, retransmitted),
        };
        match self.window.place(index, payload, stamp_us) {
            Placed::Duplicate => {
                self.stats.duplicate_packets += 1;
                if index < self.window.settled() {
                    self.ack.came_again();
                }
                return Taken::Duplicate;
            }
            Placed::Filled { since } if !retransmitted => {
                self.reorder.reordered(now, now.saturating_duration_since(since));
            }
            Placed::Filled { .. } | Placed::Undropped | Placed::New => {}
        }
        self.settle(now, sink);
        if seq.is_before(self.window.head()) { Taken::Delivered } else { Taken::Held }
    }

    /// Follows a packet beyond the window that the next one confirms, where no gap could still be filled or where it
    /// is far beyond. The first of the two becomes the head, and is asked for.
    fn jump(&mut self, seq: Seq, ahead: usize, sink: &mut dyn Sink) -> bool {
        let confirmed = self.jump.replace(seq.plus(1)) == Some(seq);
        let far = ahead >= 2 * self.capacity;
        if !confirmed || !(far || self.window.is_empty()) {
            return false;
        }
        self.advance(ahead - 1, sink);
        true
    }

    /// What a sender may have on its way beyond what is acknowledged.
    fn free_packets(&self) -> u32 {
        let waiting = self.window.settled();
        let free = self.capacity.saturating_sub(waiting);
        u32::try_from(free).unwrap_or(u32::MAX).min(self.room)
    }

    #[cold]
    fn end_period(&mut self, now: Instant) {
        self.busy = self.rate.roll(now);
        self.busy |= self.reorder.roll(now);
        self.busy |= self.window.trim();
        self.nak.trim();
        self.period_end = now + PERIOD;
    }
}
