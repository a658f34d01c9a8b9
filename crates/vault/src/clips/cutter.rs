//! One clip job from its row to its file. Blocking; runs on the desk's thread.
//!
//! Belongs here: the order of a job's steps. Does not: which job is next (`desk`), the files' folder (`shelf`).
//! Invariant: until its file has its name nothing of a job counts; it may be stopped and done again at any point.

use std::{
    io::{self, Write},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

use dashvault_base::WallMs;
use dashvault_disk::{DiskError, OpenMode};
use dashvault_process::{Command, Excess, Exchange, Output, Pool, PoolError};
use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;

use super::{
    film::{Edges, Film},
    job::{ClipFormat, ClipProblem, Phase, Progress, Summary},
    mux,
    plan::{Plan, Span},
    shelf::{self, Shelf},
    survey,
};
use crate::{
    archive::{
        index::{ClipOutcome, ClipRow, IndexError},
        objects::{ObjectError, ObjectReader},
    },
    core::Core,
    evidence::{self, BundleError},
};

/// ffmpeg's log that is kept.
const LOG_BYTES: usize = 64 * 1024;
/// Bytes between two looks whether to go on.
const STEP_BYTES: usize = 1 << 20;

/// One job at work.
pub(super) struct Cutter<'a> {
    pub(super) core: &'a Arc<Core>,
    pub(super) runtime: &'a Handle,
    pub(super) pool: &'a Pool,
    pub(super) shelf: &'a Shelf,
    pub(super) row: &'a ClipRow,
    pub(super) progress: &'a Arc<Progress>,
    pub(super) stop: &'a CancellationToken,
}

/// Why a job has no file.
#[derive(Debug, thiserror::Error)]
pub(super) enum CutError {
    /// It was cancelled, or the vault stops.
    #[error("stopped")]
    Stopped,
    #[error("{}", .0.detail)]
    Problem(ClipProblem),
    #[error(transparent)]
    Index(#[from] IndexError),
    #[error(transparent)]
    Object(#[from] ObjectError),
    #[error(transparent)]
    Disk(#[from] DiskError),
}

impl CutError {
    /// What a failed job says.
    pub(super) fn into_problem(self) -> ClipProblem {
        match self {
            Self::Problem(problem) => problem,
            Self::Object(ObjectError::NotFound(key) | ObjectError::Short(key)) => {
                let detail =
                    format!("the vault has lost {key}; see `dashvault verify`, then ask for the clip again");
                ClipProblem::new("gone", detail)
            }
            Self::Disk(error) if error.is_full() => ClipProblem::new(
                "disk-full",
                "the vault's disk is full; its operator makes room, then ask again",
            ),
            error => {
                let causes =
                    std::iter::successors(Some(&error as &dyn std::error::Error), |error| error.source());
                let text: Vec<String> = causes.map(ToString::to_string).collect();
                ClipProblem::new("failed", text.join(": "))
            }
        }
    }
}

impl Cutter<'_> {
    /// Makes the clip.
    pub(super) fn run(&self) -> Result<ClipOutcome, CutError> {
        let asked = Span { from: self.row.from, to: self.row.to };
        let (plan, summary) = self.runtime.block_on(survey::summary(self.core, self.row, asked))?;
        if plan.pieces.is_empty() {
            return Err(CutError::Problem(survey::no_footage()));
        }
        let plan = Arc::new(plan);
        self.progress.enter(Phase::Cutting);
        let clip = match self.row.format {
            ClipFormat::Mp4 => self.mp4(&plan)?,
            ClipFormat::Ts => self.ts(&plan)?,
        };
        let made = if self.row.evidence { self.bundle(&plan, &summary, &clip)? } else { clip };
        let bytes = self.shelf.publish(self.row, &made)?;
        let file = file_name(self.row, &plan, shelf::extension(self.row));
        let summary = serde_json::to_string(&summary).unwrap_or_default();
        Ok(ClipOutcome::Finished { bytes, file, summary })
    }

    /// Puts the clip with its packs and a signed report into a bundle.
    fn bundle(&self, plan: &Plan, summary: &Summary, clip: &Path) -> Result<PathBuf, CutError> {
        let (core, row) = (self.core, self.row);
        let mut packs = Vec::new();
        for key in plan.packs() {
            let gone = || CutError::Object(ObjectError::NotFound(key.clone()));
            packs.push(self.runtime.block_on(core.index.pack(&key))?.ok_or_else(gone)?);
        }
        let device = self.runtime.block_on(core.index.device(&row.device))?;
        let contents = evidence::Contents {
            objects: &core.objects,
            packs,
            clip,
            device_key: device.and_then(|device| device.public_key),
            vault_key: &core.key,
        };
        let clip_name = file_name(row, plan, row.format.name());
        let report = summary.report(row, clip_name, core.clock.wall());
        let path = self.shelf.part(row, "zip");
        self.progress.enter(Phase::Bundling);
        self.progress.expect(contents.packs.iter().map(|pack| pack.bytes).sum());
        let step = |bytes| {
            self.progress.advance(bytes);
            !self.stop.is_cancelled()
        };
        match evidence::write(self.shelf.disk(), &path, report, &contents, &step) {
            Ok(()) => Ok(path),
            Err(BundleError::Stopped) => Err(CutError::Stopped),
            Err(BundleError::Object(error)) => Err(CutError::Object(error)),
            Err(BundleError::Disk(error)) => Err(CutError::Disk(error)),
            Err(error @ (BundleError::Unsound { .. } | BundleError::Report(_))) => {
                let detail = format!("{error}; see `dashvault verify`");
                Err(CutError::Problem(ClipProblem::new("unsound", detail)))
            }
        }
    }

    fn ts(&self, plan: &Arc<Plan>) -> Result<PathBuf, CutError> {
        let film = Film::open(plan.clone(), Edges::Raw, self.core.objects.clone())?;
        let path = self.shelf.part(self.row, "ts");
        let file = self.shelf.disk().open(&path, OpenMode::CreateNew)?;
        self.progress.expect(film.len());
        let (mut at, mut buffer) = (0, vec![0; STEP_BYTES]);
        while at < film.len() {
            self.go_on()?;
            let read = film.read_at(&mut buffer, at)?;
            file.write_all_at(&buffer[..read], at)?;
            at += read as u64;
            self.progress.advance(read as u64);
        }
        Ok(path)
    }

    fn mp4(&self, plan: &Arc<Plan>) -> Result<PathBuf, CutError> {
        let film = Arc::new(Film::open(plan.clone(), Edges::Clean, self.core.objects.clone())?);
        let formats = survey::formats(&film)?;
        let trim = self.row.exact.then(|| trim(plan)).flatten();
        self.progress.expect(film.len() + if trim.is_some() { film.len() } else { 0 });
        let path = self.shelf.part(self.row, "mp4");
        self.ffmpeg(mux::command(&self.core.config.clips.ffmpeg, &path, formats.hevc), Some(&film))?;
        let Some((skip_ms, keep_ms)) = trim else { return Ok(path) };
        let exact = self.shelf.part(self.row, "exact");
        self.ffmpeg(
            mux::trim_command(&self.core.config.clips.ffmpeg, &path, &exact, skip_ms, keep_ms),
            None,
        )?;
        self.progress.advance(film.len());
        Ok(exact)
    }

    /// Runs ffmpeg in the pool; `film` is its standard input.
    fn ffmpeg(&self, command: Command, film: Option<&Arc<Film>>) -> Result<(), CutError> {
        let progress = self.progress.clone();
        let mut exchange = Exchange::new().output_limit(LOG_BYTES, Excess::Drop).on_progress(move |block| {
            let ms = block.out_time_us.and_then(|us| u64::try_from(us / 1000).ok());
            progress.written(ms.unwrap_or(0));
        });
        let failed = Arc::new(Mutex::new(None));
        if let Some(film) = film {
            let feed = Feed {
                film: film.clone(),
                progress: self.progress.clone(),
                stop: self.stop.clone(),
                failed: failed.clone(),
            };
            exchange = exchange.feed(move |stdin| feed.write(stdin));
        }
        let result = self.runtime.block_on(self.result(command, exchange));
        self.go_on()?;
        if let Some(error) = failed.lock().unwrap_or_else(PoisonError::into_inner).take() {
            return Err(CutError::Object(error));
        }
        mux::outcome(result).map_err(CutError::Problem)
    }

    async fn result(&self, command: Command, exchange: Exchange) -> Result<Output, PoolError> {
        let ticket = self.pool.submit(command, exchange).await.map_err(|_| PoolError::Cancelled)?;
        let canceller = ticket.canceller();
        let mut result = std::pin::pin!(ticket.result());
        tokio::select! {
            result = result.as_mut() => result,
            () = self.stop.cancelled() => {
                canceller.cancel();
                result.await
            }
        }
    }

    fn go_on(&self) -> Result<(), CutError> {
        if self.stop.is_cancelled() { Err(CutError::Stopped) } else { Ok(()) }
    }
}

/// What writes a film to ffmpeg.
struct Feed {
    film: Arc<Film>,
    progress: Arc<Progress>,
    stop: CancellationToken,
    /// Why the film ended too early; without it ffmpeg would take what it got for all.
    failed: Arc<Mutex<Option<ObjectError>>>,
}

impl Feed {
    fn write(&self, stdin: &mut dyn Write) -> io::Result<()> {
        for index in 0..self.film.plan().pieces.len() {
            if self.stop.is_cancelled() {
                return Err(io::ErrorKind::Interrupted.into());
            }
            match self.film.piece(index) {
                Ok(bytes) => {
                    stdin.write_all(&bytes)?;
                    self.progress.advance(bytes.len() as u64);
                }
                Err(error) => {
                    *self.failed.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
                    return Err(io::ErrorKind::UnexpectedEof.into());
                }
            }
        }
        self.progress.enter(Phase::Finishing);
        Ok(())
    }
}

/// How much of a clip's beginning is not asked for, and how much of it is, in milliseconds; `None` where it is all.
fn trim(plan: &Plan) -> Option<(u64, u64)> {
    let (first, last) = (plan.pieces.first()?, plan.pieces.last()?);
    let skip_ms = u64::try_from(plan.asked.from.0.saturating_sub(first.wall.from.0)).unwrap_or(0);
    let tail_ms = u64::try_from(last.wall.to.0.saturating_sub(plan.asked.to.0)).unwrap_or(0);
    let keep_ms = plan.covered_ms().checked_sub(skip_ms + tail_ms)?;
    (skip_ms + tail_ms > 0 && keep_ms > 0).then_some((skip_ms, keep_ms))
}

/// A name that says what is in it: `bus-front-20261122-101500Z.mp4`.
fn file_name(row: &ClipRow, plan: &Plan, extension: &str) -> String {
    let from = plan.pieces.first().map_or(row.from, |piece| piece.wall.from);
    format!("{}-{}-{}.{extension}", row.device, row.camera, compact(from))
}

fn compact(wall: WallMs) -> String {
    let (year, month, day, hour, minute, second) = wall.civil();
    format!("{year:04}{month:02}{day:02}-{hour:02}{minute:02}{second:02}Z")
}
