//! One direction of the link: what becomes of a packet that is offered at `now`.
//!
//! Pure: no sockets, no clock, no tasks. The driver offers payloads, asks [`Lane::wakeup`] when to come back, and
//! takes what has arrived from [`Lane::poll`].
//!
//! A packet waits in the bottleneck's queue (one FIFO for all proxies, served at [`Way::rate`]), is then lost or
//! not, and flies for its delay. Invariants: a flow's stream data is never dropped or reordered while the flow
//! lives; `clock` is the time up to which the queue has been served; queue and air hold a bounded number of bytes.
//!
//! TCP through a userspace proxy has no packets to drop. It is emulated by what loss does to it: a lost segment
//! stalls its stream for a round trip (fast retransmit), now and then for a retransmission timeout, and a lossy
//! way narrows the window (Mathis: 1.22 / √loss segments).

mod parcel;

pub(super) use parcel::FlowId;

use std::{
    cmp::Reverse,
    collections::{BinaryHeap, HashMap, VecDeque},
    time::{Duration, Instant},
};

use fastrand::Rng;

use self::parcel::{Flying, Kind, Parcel};
use super::{conditions::Way, tally::WayTally};

/// Payload of a full TCP segment on a 1,500-byte path.
pub(super) const SEGMENT_BYTES: u64 = 1448;
/// The most that a stream reads at once.
const MAX_CHUNK_BYTES: u64 = 16 * 1024;
/// What a stream may have on its way without loss.
const WINDOW_BYTES: u64 = 1024 * 1024;
/// What a queued chunk costs at least, so that tiny writes cannot make many of them.
const MIN_CHARGE_BYTES: u64 = 256;
/// Datagrams in the air; more are dropped as if the queue were full.
const MAX_FLYING: usize = 65_536;
/// Linux's smallest retransmission timeout.
const RETRANSMISSION_TIMEOUT: Duration = Duration::from_millis(200);
/// The longest that a stream waits for its next retransmission after an outage.
const MAX_BACKOFF: Duration = Duration::from_secs(3);
/// A reordered datagram is late by this range of milliseconds.
const REORDER_MS: std::ops::RangeInclusive<u64> = 2..=20;

#[derive(Debug, Default)]
struct Flow {
    charged_bytes: u64,
    outstanding_bytes: u64,
    not_before: Option<Instant>,
}

/// One direction of the link.
#[derive(Debug)]
pub(super) struct Lane<T> {
    way: Way,
    round_trip: Duration,
    stopped_at: Option<Instant>,
    rng: Rng,
    clock: Instant,
    queue: VecDeque<Parcel<T>>,
    queued_bytes: u64,
    queued_stream_bytes: u64,
    head_left_bytes: f64,
    flying: BinaryHeap<Reverse<Flying<T>>>,
    order: u64,
    datagrams_not_before: Instant,
    flows: HashMap<FlowId, Flow>,
    tally: WayTally,
}

impl<T: Clone> Lane<T> {
    pub(super) fn new(now: Instant, seed: u64) -> Self {
        Self {
            way: Way::PERFECT,
            round_trip: Duration::ZERO,
            stopped_at: None,
            rng: Rng::with_seed(seed),
            clock: now,
            queue: VecDeque::new(),
            queued_bytes: 0,
            queued_stream_bytes: 0,
            head_left_bytes: 0.0,
            flying: BinaryHeap::new(),
            order: 0,
            datagrams_not_before: now,
            flows: HashMap::new(),
            tally: WayTally::default(),
        }
    }

    pub(super) const fn tally(&self) -> WayTally {
        self.tally
    }

    /// Changes the shape from `now` on; what already left the queue keeps its time of arrival.
    pub(super) fn reshape(&mut self, now: Instant, way: Way, round_trip: Duration) {
        self.serve(now);
        self.way = Way { rate: way.rate.map(|rate| rate.max(1)), ..way };
        self.round_trip = round_trip;
        self.serve(now);
    }

    /// Stops carrying: datagrams on their way are gone, streams keep theirs.
    pub(super) fn stop(&mut self, now: Instant) {
        if self.stopped_at.is_some() {
            return;
        }
        self.serve(now);
        self.stopped_at = Some(now);
        let udp = &mut self.tally.udp;
        let mut keep = |parcel: &Parcel<T>| {
            let stream = matches!(parcel.kind, Kind::Stream(_));
            if !stream {
                udp.cut.add(1, parcel.bytes);
            }
            stream
        };
        self.flying.retain(|Reverse(flying)| keep(&flying.parcel));
        let head_was_stream = self.queue.front().is_some_and(|parcel| matches!(parcel.kind, Kind::Stream(_)));
        self.queue.retain(&mut keep);
        self.queued_bytes = self.queued_stream_bytes;
        if !head_was_stream {
            self.head_left_bytes = self.queue.front().map_or(0.0, |parcel| to_f64(parcel.bytes));
        }
    }

    /// Carries again. Each stream resumes at its sender's next retransmission, whose timer has backed off
    /// meanwhile: at once, or up to the outage's length (at most 3 s) later.
    pub(super) fn resume(&mut self, now: Instant) {
        let Some(stopped_at) = self.stopped_at.take() else { return };
        self.clock = now;
        let longest = now.duration_since(stopped_at).min(MAX_BACKOFF);
        let mut waiting: Vec<_> =
            self.flows.iter_mut().filter(|(_, flow)| flow.outstanding_bytes > 0).collect();
        // The map's own order differs from run to run, and with it what each flow would draw.
        waiting.sort_unstable_by_key(|(id, _)| id.0);
        for (_, flow) in waiting {
            let resumes_at = now + longest.mul_f64(self.rng.f64());
            flow.not_before = flow.not_before.max(Some(resumes_at));
        }
        let flying = std::mem::take(&mut self.flying);
        self.flying = flying.into_iter().map(|Reverse(flying)| Reverse(self.retimed(flying))).collect();
    }

    fn retimed(&self, mut flying: Flying<T>) -> Flying<T> {
        if let Kind::Stream(id) = flying.parcel.kind {
            let not_before = self.flows.get(&id).and_then(|flow| flow.not_before);
            flying.due = not_before.map_or(flying.due, |not_before| not_before.max(flying.due));
        }
        flying
    }

    /// Takes a datagram from its sender; it may be dropped on the spot.
    pub(super) fn offer_datagram(&mut self, now: Instant, bytes: u64, item: T) {
        self.serve(now);
        let udp = &mut self.tally.udp;
        udp.offered.add(1, bytes);
        if self.stopped_at.is_some() {
            udp.cut.add(1, bytes);
        } else if self.queue_is_full_for(bytes) || self.flying.len() >= MAX_FLYING {
            self.tally.udp.overflowed.add(1, bytes);
        } else {
            self.enqueue(Parcel { bytes, kind: Kind::Datagram, item });
            self.serve(now);
        }
    }

    /// How many bytes a stream may offer now; 0 means: ask again after the next arrival.
    pub(super) fn stream_room(&mut self, now: Instant, id: FlowId) -> u64 {
        self.serve(now);
        if self.stopped_at.is_some() {
            return 0;
        }
        let charged = self.flows.get(&id).map_or(0, |flow| flow.charged_bytes);
        let window = self.window_bytes().saturating_sub(charged);
        let (chunk, queue) = match self.way.rate {
            None => (MAX_CHUNK_BYTES, u64::MAX),
            Some(rate) => {
                // A hundredth of a second's worth, so that a datagram behind it does not wait long.
                let chunk = (rate / 100).clamp(SEGMENT_BYTES, MAX_CHUNK_BYTES);
                (
                    chunk,
                    (self.way.queue_bytes / 2).max(SEGMENT_BYTES).saturating_sub(self.queued_stream_bytes),
                )
            }
        };
        let room = chunk.min(window).min(queue);
        if room < SEGMENT_BYTES { 0 } else { room }
    }

    /// Takes stream data from its sender; an empty item (an end of stream) travels in order with it.
    pub(super) fn offer_stream(&mut self, now: Instant, id: FlowId, bytes: u64, item: T) {
        self.serve(now);
        self.tally.tcp.offered.add(segments(bytes), bytes);
        let flow = self.flows.entry(id).or_default();
        flow.charged_bytes += bytes.max(MIN_CHARGE_BYTES);
        flow.outstanding_bytes += bytes;
        self.enqueue(Parcel { bytes, kind: Kind::Stream(id), item });
        self.serve(now);
    }

    /// The receiver of a stream has taken what [`Self::poll`] gave for it.
    pub(super) fn landed(&mut self, id: FlowId, bytes: u64) {
        if let Some(flow) = self.flows.get_mut(&id) {
            flow.charged_bytes = flow.charged_bytes.saturating_sub(bytes.max(MIN_CHARGE_BYTES));
            flow.outstanding_bytes = flow.outstanding_bytes.saturating_sub(bytes);
            self.tally.tcp.delivered.add(segments(bytes), bytes);
        }
    }

    /// Forgets a stream; what it still had on its way is gone.
    pub(super) fn close_flow(&mut self, id: FlowId) {
        let Some(flow) = self.flows.remove(&id) else { return };
        self.tally.tcp.cut.add(segments(flow.outstanding_bytes), flow.outstanding_bytes);
        // What waits in the queue has been sent and keeps its share of the rate; what flies holds memory only.
        self.flying
            .retain(|Reverse(flying)| !matches!(flying.parcel.kind, Kind::Stream(other) if other == id));
    }

    /// The next payload that has arrived by `now`.
    pub(super) fn poll(&mut self, now: Instant) -> Option<T> {
        self.serve(now);
        if self.stopped_at.is_some() || self.flying.peek()?.0.due > now {
            return None;
        }
        let Parcel { bytes, kind, item } = self.flying.pop()?.0.parcel;
        if matches!(kind, Kind::Datagram) {
            self.tally.udp.delivered.add(1, bytes);
        }
        Some(item)
    }

    /// When something will happen without a new offer.
    pub(super) fn wakeup(&self) -> Option<Instant> {
        if self.stopped_at.is_some() {
            return None;
        }
        let arrival = self.flying.peek().map(|Reverse(flying)| flying.due);
        let departure =
            self.way.rate.filter(|_| !self.queue.is_empty()).map(|rate| self.head_leaves_at(rate));
        match (arrival, departure) {
            (Some(arrival), Some(departure)) => Some(arrival.min(departure)),
            (one, other) => one.or(other),
        }
    }

    fn window_bytes(&self) -> u64 {
        if self.way.loss <= 0.0 {
            return WINDOW_BYTES;
        }
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped to 2..=700")]
        let segments = (1.22 / self.way.loss.sqrt()).clamp(2.0, 700.0) as u64;
        segments * SEGMENT_BYTES
    }

    fn queue_is_full_for(&self, bytes: u64) -> bool {
        self.way.rate.is_some() && !self.queue.is_empty() && self.queued_bytes + bytes > self.way.queue_bytes
    }

    fn enqueue(&mut self, parcel: Parcel<T>) {
        if self.queue.is_empty() {
            self.head_left_bytes = to_f64(parcel.bytes);
        }
        self.queued_bytes += parcel.bytes;
        if matches!(parcel.kind, Kind::Stream(_)) {
            self.queued_stream_bytes += parcel.bytes;
        }
        self.queue.push_back(parcel);
    }

    /// Brings the bottleneck up to `now`: what it has sent by then departs, each at its own time.
    fn serve(&mut self, now: Instant) {
        if self.stopped_at.is_some() {
            return;
        }
        // Two callers may have read the clock in one order and come here in the other.
        let now = now.max(self.clock);
        while !self.queue.is_empty() {
            if let Some(rate) = self.way.rate {
                let leaves_at = self.head_leaves_at(rate);
                if leaves_at > now {
                    let sent = now.duration_since(self.clock).as_secs_f64() * to_f64(rate);
                    self.head_left_bytes = (self.head_left_bytes - sent).max(0.0);
                    break;
                }
                self.clock = leaves_at;
            }
            let Some(parcel) = self.queue.pop_front() else { break };
            self.head_left_bytes = self.queue.front().map_or(0.0, |next| to_f64(next.bytes));
            self.queued_bytes -= parcel.bytes;
            match parcel.kind {
                Kind::Datagram => self.datagram_departs(parcel),
                Kind::Stream(id) => {
                    self.queued_stream_bytes -= parcel.bytes;
                    self.stream_departs(id, parcel);
                }
            }
        }
        self.clock = now;
    }

    fn head_leaves_at(&self, rate: u64) -> Instant {
        self.clock + Duration::from_secs_f64(self.head_left_bytes / to_f64(rate))
    }

    fn datagram_departs(&mut self, parcel: Parcel<T>) {
        if self.happens(self.way.loss) {
            self.tally.udp.lost.add(1, parcel.bytes);
            return;
        }
        let mut due = (self.clock + self.time_on_way()).max(self.datagrams_not_before);
        if self.happens(self.way.reorder) {
            due += Duration::from_millis(self.rng.u64(REORDER_MS));
        } else {
            self.datagrams_not_before = due;
        }
        if self.happens(self.way.duplicate) {
            self.tally.udp.duplicated.add(1, parcel.bytes);
            let copy_due = due + Duration::from_millis(self.rng.u64(0..=2));
            self.take_off(copy_due, parcel.clone());
        }
        self.take_off(due, parcel);
    }

    fn stream_departs(&mut self, id: FlowId, parcel: Parcel<T>) {
        let lost = (0..segments(parcel.bytes)).filter(|_| self.happens(self.way.loss)).count() as u64;
        let mut due = self.clock + self.time_on_way();
        if lost > 0 {
            self.tally.tcp.lost.add(lost, parcel.bytes.min(lost * SEGMENT_BYTES));
            // One in four is a tail loss or a lost retransmission, which only the timeout finds.
            let by_timeout = self.happens(0.25);
            due += if by_timeout { RETRANSMISSION_TIMEOUT.max(self.round_trip * 2) } else { self.round_trip };
        }
        // A flow that was closed while this waited takes nothing any more.
        let Some(flow) = self.flows.get_mut(&id) else { return };
        due = flow.not_before.map_or(due, |not_before| not_before.max(due));
        flow.not_before = Some(due);
        self.take_off(due, parcel);
    }

    fn take_off(&mut self, due: Instant, parcel: Parcel<T>) {
        self.order += 1;
        self.flying.push(Reverse(Flying { due, order: self.order, parcel }));
    }

    fn happens(&mut self, share: f64) -> bool {
        share > 0.0 && self.rng.f64() < share
    }

    fn time_on_way(&mut self) -> Duration {
        let jitter =
            if self.way.jitter.is_zero() { Duration::ZERO } else { self.way.jitter.mul_f64(self.rng.f64()) };
        self.way.delay + jitter
    }
}

/// Full segments that carry `bytes`.
fn segments(bytes: u64) -> u64 {
    bytes.div_ceil(SEGMENT_BYTES)
}

#[expect(clippy::cast_precision_loss, reason = "byte counts of a queue and rates are far below 2^52")]
const fn to_f64(count: u64) -> f64 {
    count as f64
}

#[cfg(test)]
mod tests;
