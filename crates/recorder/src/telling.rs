//! What the vault is told of the recorder itself, and when.
//!
//! Belongs here: the status made of a snapshot, and the choice of the moment; pure. Not here: taking snapshots
//! (`snapshot`), asking the vault (`backfill::announcer`).
//!
//! Invariants: nothing is told more often than each [`LEAST`]; a change that somebody should see waits no longer; the
//! rest rides on announcements that are made anyway, or goes alone each [`ALONE`].

use std::time::{Duration, Instant};

use dashvault_wire::status::{MAX_CAMERAS, MAX_TEXT_BYTES, cut};
use dashvault_wire::{CameraState, DeviceStatus, LinkStatus};

use crate::status::{CameraStatus, RecorderStatus, WireStatus};

/// The least time between two statuses.
pub(crate) const LEAST: Duration = Duration::from_secs(10);
/// After so long without anything else to say, the status is said alone: the vault shows a device as present by it.
const ALONE: Duration = Duration::from_secs(30);
/// What rates are taken over, at the least.
const WINDOW: Duration = Duration::from_secs(5);

/// Makes statuses of snapshots.
#[derive(Debug, Default)]
pub(crate) struct Feeling {
    /// The counters at the beginning of the window.
    mark: Option<(Instant, WireStatus)>,
    loss_permille: Option<u16>,
    send_bytes_per_s: Option<u64>,
}

impl Feeling {
    /// The status that a snapshot taken at `now` makes.
    pub(crate) fn status(&mut self, now: Instant, snapshot: &RecorderStatus) -> DeviceStatus {
        self.measure(now, &snapshot.wire);
        let connected = snapshot.cameras.iter().filter(|camera| camera.live.state == "connected");
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it saturates")]
        let rtt_ms = connected.map(|camera| camera.live.rtt_ms.round() as u32).max();
        let link = rtt_ms.map(|rtt_ms| LinkStatus {
            rtt_ms: Some(rtt_ms),
            loss_permille: self.loss_permille,
            send_bytes_per_s: self.send_bytes_per_s,
        });
        DeviceStatus {
            version: Some(env!("CARGO_PKG_VERSION").to_owned()),
            backlog_bytes: Some(snapshot.cameras.iter().map(|camera| camera.on_vehicle.bytes).sum()),
            backlog_ms: Some(snapshot.cameras.iter().map(|camera| camera.on_vehicle.ms).sum()),
            spool_free_bytes: Some(snapshot.spool.free_bytes),
            link,
            cameras: snapshot.cameras.iter().take(MAX_CAMERAS).map(camera_state).collect(),
        }
    }

    fn measure(&mut self, now: Instant, wire: &WireStatus) {
        let (since, before) = *self.mark.get_or_insert((now, *wire));
        let passed = now.saturating_duration_since(since);
        if passed < WINDOW {
            return;
        }
        let live = wire.live_bytes.saturating_sub(before.live_bytes);
        let again = wire.live_retransmitted_bytes.saturating_sub(before.live_retransmitted_bytes);
        let uploaded = wire.backfill_bytes.saturating_sub(before.backfill_bytes);
        let permille = again.saturating_mul(1000).checked_div(live);
        self.loss_permille = permille.map(|permille| u16::try_from(permille.min(1000)).unwrap_or(1000));
        let ms = u64::try_from(passed.as_millis()).unwrap_or(u64::MAX);
        self.send_bytes_per_s = (live + uploaded).saturating_mul(1000).checked_div(ms);
        self.mark = Some((now, *wire));
    }
}

fn camera_state(camera: &CameraStatus) -> CameraState {
    // The last line says why, where there is something to say.
    let last_words = camera.capture.stderr_tail.as_deref().and_then(|tail| tail.lines().last());
    CameraState {
        name: camera.camera.clone(),
        state: cut(&camera.capture.state, MAX_TEXT_BYTES),
        detail: last_words.map(|line| cut(line, MAX_TEXT_BYTES)),
    }
}

/// What was told last, and when.
#[derive(Debug, Default)]
pub(crate) struct Told(Option<(Instant, DeviceStatus)>);

impl Told {
    /// When `current` is to be told even if there is nothing else to say.
    pub(crate) fn due(&self, now: Instant, current: &DeviceStatus) -> Instant {
        match &self.0 {
            None => now,
            Some((at, told)) => *at + if differs_much(told, current) { LEAST } else { ALONE },
        }
    }

    /// Whether it may ride on an announcement that is made now.
    pub(crate) fn may_ride(&self, now: Instant) -> bool {
        self.0.as_ref().is_none_or(|(at, _)| now.saturating_duration_since(*at) >= LEAST)
    }

    /// The vault has it.
    pub(crate) fn was_told(&mut self, now: Instant, status: DeviceStatus) {
        self.0 = Some((now, status));
    }
}

/// Whether somebody should see it soon: another camera runs or fails, or live came or went.
pub(crate) fn differs_much(before: &DeviceStatus, now: &DeviceStatus) -> bool {
    before.link.is_some() != now.link.is_some()
        || before.cameras.len() != now.cameras.len()
        || before.cameras.iter().zip(&now.cameras).any(|(a, b)| (&a.name, &a.state) != (&b.name, &b.state))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::status::{Amount, CaptureStatus, LiveStatus};

    fn snapshot(state: &str) -> RecorderStatus {
        let camera = CameraStatus {
            capture: CaptureStatus {
                state: state.to_owned(),
                stderr_tail: Some("opening\nno such device".to_owned()),
                ..CaptureStatus::default()
            },
            live: LiveStatus { state: "connected".to_owned(), rtt_ms: 40.4, ..LiveStatus::default() },
            on_vehicle: Amount { segments: 0, ms: 2000, bytes: 500 },
            ..CameraStatus::new("front".parse().unwrap())
        };
        RecorderStatus { cameras: vec![camera], ..RecorderStatus::default() }
    }

    #[test]
    fn status_says_what_is_left_and_how_the_link_feels() {
        let (mut feeling, start) = (Feeling::default(), Instant::now());
        let first = feeling.status(start, &snapshot("failed"));
        assert_eq!((first.backlog_bytes, first.backlog_ms), (Some(500), Some(2000)));
        assert_eq!(first.cameras[0].detail.as_deref(), Some("no such device"));
        assert_eq!(first.link.unwrap(), LinkStatus { rtt_ms: Some(40), ..LinkStatus::default() });
        let mut later = snapshot("running");
        later.wire =
            WireStatus { live_bytes: 10_000, live_retransmitted_bytes: 200, ..WireStatus::default() };
        let link = feeling.status(start + Duration::from_secs(10), &later).link.unwrap();
        assert_eq!((link.loss_permille, link.send_bytes_per_s), (Some(20), Some(1000)));
        // Within the next window the rates stay.
        assert_eq!(feeling.status(start + Duration::from_secs(11), &later).link.unwrap(), link);
    }

    #[test]
    fn status_is_told_at_once_then_when_a_camera_changes_and_else_seldom() {
        let (mut told, start) = (Told::default(), Instant::now());
        let (running, failed) = (
            Feeling::default().status(start, &snapshot("running")),
            Feeling::default().status(start, &snapshot("failed")),
        );
        assert_eq!(told.due(start, &running), start);
        told.was_told(start, running.clone());
        assert_eq!(told.due(start, &running), start + ALONE);
        assert_eq!(told.due(start, &failed), start + LEAST, "a change waits no longer than it must");
        assert!(!told.may_ride(start + LEAST / 2));
        assert!(told.may_ride(start + LEAST));
    }
}
