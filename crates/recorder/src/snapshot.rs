//! Taking the snapshot of a recorder, and writing it.
//!
//! Belongs here: gathering the numbers of [`crate::status`]. Not here: making them. A snapshot takes each lock once, for
//! a moment.

use std::io;
use std::path::Path;
use std::sync::atomic::Ordering;
use std::time::Instant;

use dashvault_base::{Clock, SystemClock};
use dashvault_disk::{Disk, OsDisk};
use dashvault_process::Phase as ProcessPhase;
use tokio::sync::watch;

use crate::camera::Camera;
use crate::shared::{Shared, lock};
use crate::status::{
    BackfillStatus, CameraStatus, CaptureStatus, RecorderStatus, STATUS_FILE, SpoolStatus, WireStatus,
};

/// Lines of ffmpeg's error output that are shown.
const TAIL_LINES: usize = 8;

/// Shows a snapshot to those who watch, and writes it to the spool. Blocks.
pub(crate) fn show(shared: &Shared, snapshot: RecorderStatus, out: &watch::Sender<RecorderStatus>) {
    if let Err(error) = write(&shared.config.spool, &snapshot) {
        // The disk may be full; the next one may fit.
        tracing::debug!(%error, "snapshot was not written");
    }
    out.send_replace(snapshot);
}

/// Takes one.
pub(crate) fn take(shared: &Shared, cameras: &[Camera], began: Instant) -> RecorderStatus {
    let now = Instant::now();
    let of_camera = |index: usize| camera(shared, cameras.get(index), index);
    let (allowed, rate) = {
        let mut governor = shared.governor();
        (governor.allowed(), governor.used_bytes_per_s(now))
    };
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a rate is positive and small"
    )]
    let whole = |rate: f64| rate as u64;
    let (uploads, queued, refused) = {
        let book = shared.book();
        (book.jobs_running(), book.queued(), book.refusals())
    };
    let vault = shared.config.vault.as_ref().map(|_| {
        let mut vault = lock(&shared.vault).clone();
        vault.refused = refused;
        vault
    });
    RecorderStatus {
        at: SystemClock.wall(),
        pid: std::process::id(),
        device: Some(shared.device().clone()),
        uptime_ms: u64::try_from(now.saturating_duration_since(began).as_millis()).unwrap_or(u64::MAX),
        phase: *lock(&shared.phase),
        cameras: (0..shared.cameras.len()).map(of_camera).collect(),
        vault,
        backfill: BackfillStatus {
            allowed_bytes_per_s: allowed.map(whole),
            rate_bytes_per_s: whole(rate),
            uploads,
            queued,
        },
        wire: wire(shared),
        spool: SpoolStatus {
            used_bytes: shared.spool.used_bytes(),
            quota_bytes: shared.config.quota_bytes,
            free_bytes: OsDisk.space(&shared.config.spool).ok().flatten().map_or(0, |space| space.free_bytes),
        },
    }
}

fn wire(shared: &Shared) -> WireStatus {
    let wire = &shared.wire;
    WireStatus {
        live_bytes: wire.live.load(Ordering::Relaxed),
        live_retransmitted_bytes: wire.live_retransmitted.load(Ordering::Relaxed),
        backfill_bytes: wire.backfill.load(Ordering::Relaxed),
        announce_bytes: wire.announce.load(Ordering::Relaxed),
    }
}

fn camera(shared: &Shared, camera: Option<&Camera>, index: usize) -> CameraStatus {
    let own = &shared.cameras[index];
    let facts = lock(&own.capture).clone();
    let (tally, backlog) = {
        let book = shared.book();
        (book.tally(index), book.backlog(index))
    };
    CameraStatus {
        recording: facts.recording,
        capture: CaptureStatus { encoder: facts.encoder, ..capture(camera, facts.trouble) },
        live: lock(&own.live).clone(),
        captured: tally.captured,
        live_delivered: tally.live,
        backfilled: tally.backfilled,
        on_vehicle: backlog.on_vehicle,
        packs_pending: backlog.pending,
        packs_stored: tally.stored,
        lost_ms: shared.lost_ms(&own.name),
        ..CameraStatus::new(own.name.clone())
    }
}

fn capture(camera: Option<&Camera>, trouble: Option<String>) -> CaptureStatus {
    let Some(supervisor) = camera.and_then(Camera::supervisor) else {
        let state = match (camera, &trouble) {
            // Footage of an earlier run, or the recorder has stopped.
            (None, _) => "stopped",
            (Some(_), Some(_)) => "failed",
            (Some(_), None) => "starting",
        };
        return CaptureStatus { state: state.to_owned(), stderr_tail: trouble, ..CaptureStatus::default() };
    };
    let status = supervisor.status();
    let state = match status.phase {
        ProcessPhase::Starting => "starting",
        ProcessPhase::Running => "running",
        ProcessPhase::Stopping => "stopping",
        ProcessPhase::Waiting => "backing-off",
        ProcessPhase::Stopped => "stopped",
    };
    let failing = status.phase == ProcessPhase::Waiting;
    let tail = failing.then(|| supervisor.tail()).map(|lines| {
        let skipped = lines.len().saturating_sub(TAIL_LINES);
        lines[skipped..].join("\n")
    });
    CaptureStatus {
        state: state.to_owned(),
        pid: status.pid,
        restarts: status.runs.saturating_sub(1),
        fps: status.progress.and_then(|progress| progress.fps),
        encoder: None,
        stderr_tail: tail.filter(|tail| !tail.is_empty()).or(trouble),
    }
}

/// By rename, so that no reader sees half of it; not synced, since it is worth nothing after a crash.
fn write(root: &Path, snapshot: &RecorderStatus) -> io::Result<()> {
    let text = serde_json::to_vec(snapshot).map_err(io::Error::other)?;
    let temporary = root.join(format!(".{STATUS_FILE}.tmp"));
    std::fs::write(&temporary, text)?;
    std::fs::rename(&temporary, root.join(STATUS_FILE))
}
