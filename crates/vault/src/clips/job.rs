//! A clip job's values: format, state, progress, what it covers, why it failed.

use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};

use dashvault_base::WallMs;
use dashvault_wire::evidence::{FORMAT, Hole, Report, Stretch};
use serde::{Deserialize, Serialize};

use super::plan::Span;
use crate::archive::index::ClipRow;

/// What kind of file a clip is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum ClipFormat {
    /// For every player; made by ffmpeg without encoding again.
    Mp4,
    /// The segments one after the other.
    Ts,
}

/// How far a job is.
///
/// | from | to | when |
/// |---|---|---|
/// | (asked for) | `Queued` | its row is committed |
/// | `Queued` | `Running` | its turn comes |
/// | `Running` | `Queued` | the vault starts and finds it: it is done again from the beginning |
/// | `Running` | `Finished` | its file is durable under its name |
/// | `Running` | `Failed` | for good: what it needs is not there, or cannot be made |
/// | any | (gone) | it is cancelled or removed, or its time or room is over |
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum ClipState {
    Queued,
    Running,
    Finished,
    Failed,
}

impl ClipFormat {
    /// The name in the index and in JSON.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Mp4 => "mp4",
            Self::Ts => "ts",
        }
    }

    pub(crate) const fn content_type(self) -> &'static str {
        match self {
            Self::Mp4 => "video/mp4",
            Self::Ts => "video/mp2t",
        }
    }
}

impl ClipState {
    /// The name in the index and in JSON.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Running => "running",
            Self::Finished => "finished",
            Self::Failed => "failed",
        }
    }
}

/// What a clip shows, and what it does not.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub(crate) struct Summary {
    /// Wall time of its first picture, at or before what was asked for.
    #[schema(value_type = i64)]
    pub(crate) from: WallMs,
    /// Wall time at its end.
    #[schema(value_type = i64)]
    pub(crate) to: WallMs,
    /// How long it plays.
    pub(crate) covered_ms: u64,
    /// The stretches that it shows.
    pub(crate) covered: Vec<Span>,
    /// What was asked for and is not in it.
    pub(crate) missing: Vec<Missing>,
    /// Segments with packets missing inside: they are in it, and may stutter.
    pub(crate) damaged_segments: usize,
    /// Packs that it is made of.
    pub(crate) packs: usize,
    /// About how long the file will be (bundle: with its packs).
    pub(crate) estimated_bytes: u64,
}

impl Summary {
    /// The report of an evidence bundle, as far as this is known before its files are gathered.
    pub(super) fn report(&self, row: &ClipRow, clip: String, now: WallMs) -> Report {
        let stretch = |span: &Span| Stretch { from: span.from, to: span.to };
        let hole = |missing: &Missing| Hole {
            from: missing.from,
            to: missing.to,
            state: missing.state.clone(),
            cause: missing.cause.clone(),
        };
        Report {
            format: FORMAT.to_owned(),
            device: row.device.to_string(),
            camera: row.camera.to_string(),
            device_key: None,
            vault_key: String::new(),
            made_at: now,
            made_by: row.created_by.clone(),
            title: row.title.clone(),
            note: row.note.clone(),
            asked: Stretch { from: row.from, to: row.to },
            shown: self.covered.iter().map(stretch).collect(),
            missing: self.missing.iter().map(hole).collect(),
            shown_ms: self.covered_ms,
            damaged_segments: self.damaged_segments as u64,
            clip,
            files: Vec::new(),
            packs: Vec::new(),
        }
    }
}

/// A stretch that a clip does not show.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub(crate) struct Missing {
    #[schema(value_type = i64)]
    pub(crate) from: WallMs,
    #[schema(value_type = i64)]
    pub(crate) to: WallMs,
    /// `on_vehicle`, `lost`, `not_recorded`, or `arriving` (here, and not yet whole).
    pub(crate) state: String,
    /// Why it is lost.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub(crate) cause: Option<String>,
}

/// Why there is no clip.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub(crate) struct ClipProblem {
    /// A stable name: `no-footage`, `mixed-formats`, `no-ffmpeg`, `disk-full`, `gone`, `ffmpeg`, `failed`.
    pub(crate) code: String,
    /// What happened, and what to do.
    pub(crate) detail: String,
}

impl ClipProblem {
    pub(crate) fn new(code: &str, detail: impl Into<String>) -> Self {
        Self { code: code.to_owned(), detail: detail.into() }
    }
}

/// What a running job does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Phase {
    /// Waits for its turn.
    Waiting,
    /// Footage goes through ffmpeg, or into the file.
    Cutting,
    /// ffmpeg moves the file's index to its front.
    Finishing,
    /// The evidence bundle is put together.
    Bundling,
}

const PHASES: [Phase; 4] = [Phase::Waiting, Phase::Cutting, Phase::Finishing, Phase::Bundling];

/// How far a running job is; written by its threads, read by anybody.
#[derive(Debug, Default)]
pub(crate) struct Progress {
    phase: AtomicU8,
    done_bytes: AtomicU64,
    total_bytes: AtomicU64,
    /// Media time that ffmpeg has written.
    written_ms: AtomicU64,
}

/// [`Progress`] at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, utoipa::ToSchema)]
pub(crate) struct ProgressNow {
    pub(crate) phase: Phase,
    /// From 0 to 1, over all phases.
    pub(crate) fraction: f64,
    /// Bytes of footage that were read.
    pub(crate) done_bytes: u64,
    /// Bytes of footage that it takes.
    pub(crate) total_bytes: u64,
    /// How much of the clip is written.
    pub(crate) written_ms: u64,
}

impl Progress {
    pub(crate) fn enter(&self, phase: Phase) {
        let code = PHASES.iter().position(|known| *known == phase).and_then(|code| u8::try_from(code).ok());
        self.phase.store(code.unwrap_or(0), Ordering::Relaxed);
    }

    pub(crate) fn expect(&self, bytes: u64) {
        self.total_bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    pub(crate) fn advance(&self, bytes: u64) {
        self.done_bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    pub(crate) fn written(&self, ms: u64) {
        self.written_ms.fetch_max(ms, Ordering::Relaxed);
    }

    #[expect(clippy::cast_precision_loss, reason = "a fraction for a bar on a screen")]
    pub(crate) fn now(&self) -> ProgressNow {
        let phase = PHASES.get(usize::from(self.phase.load(Ordering::Relaxed))).copied();
        let (done, total) =
            (self.done_bytes.load(Ordering::Relaxed), self.total_bytes.load(Ordering::Relaxed));
        let fraction = if total == 0 { 0.0 } else { (done as f64 / total as f64).min(1.0) };
        ProgressNow {
            phase: phase.unwrap_or(Phase::Waiting),
            fraction,
            done_bytes: done,
            total_bytes: total,
            written_ms: self.written_ms.load(Ordering::Relaxed),
        }
    }
}
