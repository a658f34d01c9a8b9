//! One live connection at work: sending what the ring has, and knowing when it is dead.
//!
//! Belongs here: a connection from its first byte to its end. Not here: which connection follows (`link`).
//!
//! Invariants: it carries one recording; it skips only whole segments at a segment's end (but where the ring had to drop
//! one under it); while the peer is silent nothing is sent.

use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use dashvault_srt::{Caller, CallerConfig, CloseReason, ConnectError, SendError, SendStats};
use tokio::time::Sleep;

use super::pace::{Pace, UNLIMITED_BYTES_PER_S};
use super::ring::{Cursor, PAYLOAD_BYTES, Piece};
use crate::governor::LiveSample;
use crate::shared::{CameraShared, Shared, lock};

/// How often a connection's counters are looked at.
const TICK: Duration = Duration::from_millis(100);
/// Nothing heard from the peer for so long, with data outstanding: the link is dead.
const DEAD_AFTER: Duration = Duration::from_secs(2);
/// Nothing acknowledged for so long, although the peer is heard: it does not hear us.
const STUCK_AFTER: Duration = Duration::from_secs(5);
/// Nothing heard for so long: nothing more is sent until something is, or the link is dead. What goes into a dead link
/// crosses the network twice.
const DOUBTFUL_AFTER: Duration = Duration::from_millis(180);
/// After so much more of it a second connection is tried.
const REDIAL_AFTER: Duration = Duration::from_millis(250);
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
    /// SRT says so.
    Closed(CloseReason),
    /// Nothing was acknowledged for this long.
    Dead(Duration),
    /// While there was no sign of life, a new connection came about.
    Replaced(Caller),
}

impl End {
    pub(super) fn trouble(&self) -> Option<String> {
        match self {
            Self::Recording => None,
            Self::Replaced(_) => {
                Some("there was no sign of life; a new connection took its place".to_owned())
            }
            Self::Closed(reason) => Some(format!("connection closed: {reason}")),
            Self::Dead(silence) => Some(format!("nothing was acknowledged for {} ms", silence.as_millis())),
        }
    }
}

/// A connection under way.
type Dialling = Pin<Box<dyn Future<Output = Result<Caller, ConnectError>> + Send>>;

/// One connection at work.
pub(super) struct Session<'a> {
    shared: &'a Shared,
    index: usize,
    caller: Caller,
    cursor: Cursor,
    /// The payload being filled.
    payload: BytesMut,
    /// Bytes handed to SRT since the connection began.
    handed: u64,
    began: Instant,
    next_tick: Instant,
    /// Wakes for a tick when nothing else does.
    timer: Pin<Box<Sleep>>,
    /// When the peer was last heard, or nothing was outstanding.
    heard: Instant,
    /// When something was last acknowledged, or nothing was outstanding.
    moved: Instant,
    /// Nothing was heard for too long to go on sending.
    doubtful: bool,
    /// The second connection under way.
    dialling: Option<Dialling>,
    redial: (SocketAddr, CallerConfig),
    pace: Pace,
    limit: u64,
    last: SendStats,
    rated: (Instant, u64),
}

impl<'a> Session<'a> {
    pub(super) fn new(
        shared: &'a Shared,
        index: usize,
        caller: Caller,
        cursor: Cursor,
        redial: (SocketAddr, CallerConfig),
    ) -> Self {
        let now = Instant::now();
        Self {
            shared,
            index,
            caller,
            cursor,
            payload: BytesMut::with_capacity(2 * PAYLOAD_BYTES),
            handed: 0,
            began: now,
            next_tick: now + TICK,
            timer: Box::pin(tokio::time::sleep(TICK + LATE)),
            heard: now,
            moved: now,
            doubtful: false,
            dialling: None,
            redial,
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
        if self.doubtful {
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
                    reason = self.caller.closed() => return Err(End::Closed(reason)),
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
        let dials = self.dialling.is_some();
        let dialled = async {
            match &mut self.dialling {
                Some(dialling) => dialling.await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = tokio::time::sleep_until(self.next_tick.into()) => self.tick(),
            // The peer closes the old connection for the new one, perhaps before we hear of the new one.
            reason = self.caller.closed(), if !dials => Err(End::Closed(reason)),
            dialled = dialled => {
                self.dialling = None;
                dialled.map_or(Ok(()), |caller| Err(End::Replaced(caller)))
            }
        }
    }

    async fn flush(&mut self) -> Result<(), End> {
        let rest = self.payload.split();
        if rest.is_empty() { Ok(()) } else { self.send(&rest).await }
    }

    /// Hands a payload over; while SRT has no room, the connection is still watched.
    async fn send(&mut self, payload: &[u8]) -> Result<(), End> {
        match self.caller.try_send(payload) {
            Ok(()) => {}
            Err(SendError::Full) => {
                let payload = Bytes::copy_from_slice(payload);
                loop {
                    let sent =
                        tokio::time::timeout_at(self.next_tick.into(), self.caller.send(payload.clone()));
                    match sent.await {
                        Ok(Ok(())) => break,
                        Ok(Err(error)) => return Err(closed_by(error)),
                        Err(_) => self.tick()?,
                    }
                    while self.doubtful {
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
        let stats = self.caller.stats();
        let idle = stats.buffered_bytes == 0;
        if idle || stats.wire_received_bytes > self.last.wire_received_bytes {
            self.heard = now;
        }
        if idle || stats.acked_bytes > self.last.acked_bytes {
            self.moved = now;
        }
        self.account(now, &stats);
        let rtt = Duration::from_micros(stats.rtt_us);
        let silence = now.saturating_duration_since(self.heard);
        let stuck = now.saturating_duration_since(self.moved);
        self.doubtful = silence > DOUBTFUL_AFTER.max(rtt * 3);
        if !self.doubtful {
            self.dialling = None;
            self.tell_governor(now, &stats);
            let limit = self.pace.update(now, rtt, stats.delivery_bytes_per_second);
            if limit != std::mem::replace(&mut self.limit, limit) {
                self.caller.set_bandwidth(limit);
            }
        } else if self.dialling.is_none() && silence > DOUBTFUL_AFTER.max(rtt * 3) + REDIAL_AFTER {
            let (peer, config) = self.redial.clone();
            self.dialling = Some(Box::pin(Caller::connect(peer, config)));
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
        if silence > DEAD_AFTER.max(rtt * 4) || stuck > STUCK_AFTER.max(rtt * 8) {
            Err(End::Dead(stuck))
        } else {
            Ok(())
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
        let Self { caller, shared, index, last, .. } = self;
        let stats = caller.close(linger).await;
        let sent = stats.wire_sent_bytes.saturating_sub(last.wire_sent_bytes);
        shared.wire.live.fetch_add(sent, Ordering::Relaxed);
        shared.book().acknowledged(Instant::now(), index, stats.acked_bytes);
    }
}

fn closed_by(error: SendError) -> End {
    match error {
        SendError::Closed(reason) => End::Closed(reason),
        SendError::Full | SendError::Size { .. } => End::Closed(CloseReason::Stopped),
    }
}
