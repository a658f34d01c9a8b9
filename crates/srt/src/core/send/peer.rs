//! What the peer told about itself and the way to it, and the waits that follow from that.
//!
//! All of it is a claim: numbers are clamped to what a real path can have.

use std::time::{Duration, Instant};

/// What receivers report as long as they have not measured anything (draft-sharabayko-srt-01 §4.10).
const UNMEASURED_US: (u32, u32) = (100_000, 50_000);
const MOST_RTT: Duration = Duration::from_secs(10);
const MOST_VARIANCE: Duration = Duration::from_secs(2);
/// Silence after which the link counts as cut: this and some round trips, but at most [`STALL_MOST`].
const STALL_LEAST: Duration = Duration::from_millis(250);
/// A peer that has nothing to say sends a keepalive each second.
const STALL_MOST: Duration = Duration::from_millis(1200);
/// What an ACK may take beyond the round trips: receivers let them gather.
const ACK_DELAY: Duration = Duration::from_millis(150);
/// The longest round trip that counts for a probe's wait.
const PROBE_RTT_MOST: Duration = Duration::from_secs(1);
/// The longest pause between two probes.
const PROBE_MOST: Duration = Duration::from_secs(1);

/// The peer as it describes itself.
#[derive(Debug)]
pub(super) struct Peer {
    pub(super) rtt: Duration,
    pub(super) variance: Duration,
    /// Whether `rtt` was measured by anybody.
    measured: bool,
    pub(super) heard: Instant,
    /// Packets it takes beyond `window_from`.
    free: u64,
    window_from: u64,
    /// What it agreed to take at most.
    most: u64,
    pub(super) reported_bytes_per_s: u64,
}

impl Peer {
    pub(super) fn new(window: u32, now: Instant) -> Self {
        let (rtt, variance) = UNMEASURED_US;
        Self {
            rtt: Duration::from_micros(rtt.into()),
            variance: Duration::from_micros(variance.into()),
            measured: false,
            heard: now,
            free: window.into(),
            window_from: 0,
            most: window.into(),
            reported_bytes_per_s: 0,
        }
    }

    /// A round trip that we have seen ourselves, for the time before the peer reports one.
    pub(super) fn seed(&mut self, rtt: Duration) {
        if !self.measured {
            self.measured = true;
            self.rtt = rtt.min(MOST_RTT);
            self.variance = (rtt / 2).min(MOST_VARIANCE);
        }
    }

    /// What a full ACK says of the path.
    pub(super) fn reported(&mut self, rtt_us: u32, variance_us: u32) {
        if self.measured && (rtt_us, variance_us) == UNMEASURED_US {
            return;
        }
        self.measured |= (rtt_us, variance_us) != UNMEASURED_US;
        self.rtt = Duration::from_micros(rtt_us.into()).min(MOST_RTT);
        self.variance = Duration::from_micros(variance_us.into()).min(MOST_VARIANCE);
    }

    /// It has room for `free` packets from the one at `place` on.
    pub(super) fn set_window(&mut self, place: u64, free: u32) {
        self.window_from = place;
        self.free = u64::from(free).min(self.most);
    }

    /// Nothing before `place` takes room any more.
    pub(super) fn skip_to(&mut self, place: u64) {
        self.window_from = self.window_from.max(place);
    }

    /// Whether the packet at `place` is within the flow window.
    pub(super) fn takes(&self, place: u64) -> bool {
        place < self.window_from.saturating_add(self.free)
    }

    /// How long after a retransmission a NAK cannot know of it.
    pub(super) fn answer_time(&self) -> Duration {
        self.rtt + (self.variance * 2).max(Duration::from_millis(5))
    }

    /// Silence after which the link counts as cut.
    pub(super) fn stall(&self) -> Duration {
        (STALL_LEAST + self.rtt * 4).min(STALL_MOST)
    }

    /// How long to wait for an acknowledgement before probe number `probes`.
    pub(super) fn probe_wait(&self, probes: u32) -> Duration {
        let once = ACK_DELAY + self.rtt.min(PROBE_RTT_MOST) * 2 + self.variance.min(PROBE_RTT_MOST / 2) * 4;
        once.saturating_mul(1 << probes.min(4)).min(PROBE_MOST.max(once))
    }
}
