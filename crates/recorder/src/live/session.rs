//! One live connection at work: sending what the ring has, and knowing when it is dead.
//!
//! Belongs here: a connection from its first byte to its end. Not here: which connection follows (`link`).
//!
//! Invariants: it carries one recording; it skips only whole segments at a segment's end (but where the ring had to drop
//! one under it); while the peer is silent nothing is sent.

use std::pin::Pin;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use dashvault_srt::{Call, CallEnd, CloseReason, Pulse, SendError, SendStats};
use tokio::time::Sleep;

use super::pace::{Pace, UNLIMITED_BYTES_PER_S};
use super::ring::{Cursor, PAYLOAD_BYTES, Piece};
use crate::governor::LiveSample;
use crate::shared::{CameraShared, Shared, lock};

/// How often a connection's counters are looked at.
const TICK: Duration = Duration::from_millis(100);
/// A tick may come so much early when there is something to do anyway.
const EARLY: Duration = Duration::from_millis(20);
/// And so much late when there is not: a wake-up for its own sake costs as much as sending a frame.
const LATE: Duration = Duration::from_millis(130);
/// How long the end of a recording may take to be acknowledged.
const LINGER: Duration = Duration::from_secs(1);

/// Why a session ended.
#[derive(Debug)]
pub(super) enum End {
    /// All of the recording was sent.
    Recording,
    /// The connection is over.
    Interrupted(CallEnd),
}

impl End {
    pub(super) fn trouble(&self) -> Option<String> {
        let Self::Interrupted(end) = self else { return None };
        Some(match end {
            CallEnd::Replaced(_) => "there was no sign of life; a new connection took its place".to_owned(),
            CallEnd::Closed(reason) => format!("connection closed: {reason}"),
            CallEnd::Dead(silence) => format!("nothing was acknowledged for {} ms", silence.as_millis()),
        })
    }
}

impl From<CallEnd> for End {
    fn from(end: CallEnd) -> Self {
        Self::Interrupted(end)
    }
}

/// One connection at work.
pub(super) struct Session<'a> {
    shared: &'a Shared,
    index: usize,
    call: Call,
    cursor: Cursor,
    /// The payload being filled.
    payload: BytesMut,
    /// Bytes handed to SRT since the connection began.
    handed: u64,
    began: Instant,
    next_tick: Instant,
    /// Wakes for a tick when nothing else does.
    timer: Pin<Box<Sleep>>,
    pace: Pace,
    limit: u64,
    last: SendStats,
    rated: (Instant, u64),
}

impl<'a> Session<'a> {
    pub(super) fn new(shared: &'a Shared, index: usize, call: Call, cursor: Cursor) -> Self {
        let now = Instant::now();
        Self {
            shared,
            index,
            call,
            cursor,
            payload: BytesMut::with_capacity(2 * PAYLOAD_BYTES),
            handed: 0,
            began: now,
            next_tick: now + TICK,
            timer: Box::pin(tokio::time::sleep(TICK + LATE)),
            pace: Pace::new(now),
            limit: UNLIMITED_BYTES_PER_S,
            last: SendStats::default(),
            rated: (now, 0),
        }
    }

    fn camera(&self) -> &'a CameraShared {
        &self.shared.cameras[self.index]
    }

    /// Sends what the ring has until one of the ends.
    pub(super) async fn send_all(&mut self) -> End {
        loop {
            let step = self.step().await;
            if let Err(end) = step {
                return end;
            }
        }
    }

    async fn step(&mut self) -> Result<(), End> {
        if self.call.is_doubtful() {
            return self.wait_for_a_sign().await;
        }
        let camera = self.camera();
        let fresh = camera.fresh.notified();
        let piece = camera.ring().next(&mut self.cursor);
        match piece {
            Piece::Bytes(bytes) => {
                self.payload.extend_from_slice(&bytes);
                while self.payload.len() >= PAYLOAD_BYTES {
                    let full = self.payload.split_to(PAYLOAD_BYTES);
                    self.send(&full).await?;
                }
            }
            Piece::SegmentEnd { segment } => self.segment_over(segment),
            Piece::Wait => {
                // With the rest of what has just come, in one call.
                self.flush().await?;
                tokio::select! {
                    () = fresh => {}
                    () = self.timer.as_mut() => {}
                    reason = self.call.caller().closed() => return Err(CallEnd::Closed(reason).into()),
                }
            }
            Piece::Gone => self.skip_to_newest(),
            Piece::RecordingEnd => {
                self.flush().await?;
                return Err(End::Recording);
            }
        }
        if Instant::now() + EARLY >= self.next_tick { self.tick() } else { Ok(()) }
    }

    async fn wait_for_a_sign(&mut self) -> Result<(), End> {
        self.call.sign(self.next_tick).await?;
        if Instant::now() >= self.next_tick { self.tick() } else { Ok(()) }
    }

    async fn flush(&mut self) -> Result<(), End> {
        let rest = self.payload.split();
        if rest.is_empty() { Ok(()) } else { self.send(&rest).await }
    }

    /// Hands a payload over; while SRT has no room, the connection is still watched.
    async fn send(&mut self, payload: &[u8]) -> Result<(), End> {
        match self.call.caller().try_send(payload) {
            Ok(()) => {}
            Err(SendError::Full) => {
                let payload = Bytes::copy_from_slice(payload);
                loop {
                    let sending = self.call.caller().send(payload.clone());
                    let sent = tokio::time::timeout_at(self.next_tick.into(), sending);
                    match sent.await {
                        Ok(Ok(())) => break,
                        Ok(Err(error)) => return Err(closed_by(error)),
                        Err(_) => self.tick()?,
                    }
                    while self.call.is_doubtful() {
                        self.wait_for_a_sign().await?;
                    }
                }
            }
            Err(error) => return Err(closed_by(error)),
        }
        self.handed += payload.len() as u64;
        Ok(())
    }

    fn segment_over(&mut self, segment: u64) {
        // What waits in the payload belongs to it.
        let end = self.handed + self.payload.len() as u64;
        if let Some(ledger) = self.shared.book().ledger(self.index) {
            ledger.finished(segment, end);
        }
        let lag = self.camera().ring().started(&self.cursor).map(|started| started.elapsed());
        if lag.is_some_and(|lag| lag > Duration::from_millis(u64::from(self.shared.config.live_lag_ms))) {
            self.skip_to_newest();
        }
    }

    fn skip_to_newest(&mut self) {
        let newest = self.camera().ring().newest();
        let Some(newest) = newest.filter(|newest| newest.segment > self.cursor.segment) else { return };
        lock(&self.camera().live).skipped_segments += newest.segment - self.cursor.segment;
        self.cursor = newest;
        if let Some(ledger) = self.shared.book().ledger(self.index) {
            ledger.skipped_to(newest.segment);
        }
    }

    /// Looks at the counters: what arrived, how the link feels, whether it is dead.
    fn tick(&mut self) -> Result<(), End> {
        let now = Instant::now();
        self.next_tick = now + TICK;
        let stats = self.call.caller().stats();
        let pulse = self.call.look(now, &stats);
        let silence = self.call.silence(now);
        self.account(now, &stats);
        if pulse == Pulse::Sound {
            self.tell_governor(now, &stats);
            let rtt = Duration::from_micros(stats.rtt_us);
            let limit = self.pace.update(now, rtt, stats.delivery_bytes_per_second);
            if limit != std::mem::replace(&mut self.limit, limit) {
                self.call.caller().set_bandwidth(limit);
            }
        }
        if silence > TICK / 2 {
            // Looks closer while it may be that the link is going.
            self.next_tick = now + TICK / 2;
        }
        let late = if silence > TICK { Duration::ZERO } else { LATE };
        self.timer.as_mut().reset((self.next_tick + late).into());
        tracing::trace!(camera = %self.camera().name, rtt_us = stats.rtt_us, oldest = ?stats.buffered, ?silence,
            buffered = stats.buffered_bytes, received = stats.delivery_bytes_per_second, limit = self.limit,
            sent = stats.sent_bytes - self.last.sent_bytes.min(stats.sent_bytes),
            retransmitted = stats.retransmitted_bytes - self.last.retransmitted_bytes.min(stats.retransmitted_bytes),
            "live tick");
        self.last = stats;
        match pulse {
            Pulse::Dead { unanswered } => Err(CallEnd::Dead(unanswered).into()),
            Pulse::Sound | Pulse::Doubtful | Pulse::Silent => Ok(()),
        }
    }

    /// What the link feels; not while it is silent, which is no congestion.
    fn tell_governor(&self, now: Instant, stats: &SendStats) {
        let sample = LiveSample {
            rtt: Duration::from_micros(stats.rtt_us),
            oldest: stats.buffered,
            sent: stats.sent_packets.saturating_sub(self.last.sent_packets),
            retransmitted: stats.retransmitted_packets.saturating_sub(self.last.retransmitted_packets),
        };
        self.shared.governor().sample(now, self.index, Some(sample));
    }

    fn account(&mut self, now: Instant, stats: &SendStats) {
        let wire = &self.shared.wire;
        let grown = |now: u64, before: u64| now.saturating_sub(before);
        wire.live.fetch_add(grown(stats.wire_sent_bytes, self.last.wire_sent_bytes), Ordering::Relaxed);
        let repeated = grown(stats.retransmitted_bytes, self.last.retransmitted_bytes);
        wire.live_retransmitted.fetch_add(repeated, Ordering::Relaxed);
        {
            let mut book = self.shared.book();
            book.set_live_rtt(Duration::from_micros(stats.rtt_us));
            book.acknowledged(now, self.index, stats.acked_bytes);
        }
        let mut live = lock(&self.camera().live);
        live.connected_ms =
            u64::try_from(now.saturating_duration_since(self.began).as_millis()).unwrap_or(u64::MAX);
        #[expect(clippy::cast_precision_loss, reason = "shown to people")]
        let rtt_ms = stats.rtt_us as f64 / 1000.0;
        live.rtt_ms = rtt_ms;
        live.buffered_bytes = stats.buffered_bytes;
        let passed = now.saturating_duration_since(self.rated.0);
        if passed >= Duration::from_secs(1) {
            let bytes = stats.acked_bytes.saturating_sub(self.rated.1);
            live.rate_bytes_per_s = bytes * 1000 / u64::try_from(passed.as_millis()).unwrap_or(1000).max(1);
            self.rated = (now, stats.acked_bytes);
        }
    }

    /// Lets the end of a recording arrive; then counts what did.
    pub(super) async fn finish(self, end: &End) {
        let linger = if matches!(end, End::Recording) { LINGER } else { Duration::ZERO };
        let Self { call, shared, index, last, .. } = self;
        let stats = call.hang_up(linger).await;
        let sent = stats.wire_sent_bytes.saturating_sub(last.wire_sent_bytes);
        shared.wire.live.fetch_add(sent, Ordering::Relaxed);
        shared.book().acknowledged(Instant::now(), index, stats.acked_bytes);
    }
}

fn closed_by(error: SendError) -> End {
    CallEnd::Closed(match error {
        SendError::Closed(reason) => reason,
        SendError::Full | SendError::Size { .. } => CloseReason::Stopped,
    })
    .into()
}
