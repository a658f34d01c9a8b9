//! Where clip jobs are done: one thread, one job at a time, the oldest first; and the housekeeping of finished ones.
//!
//! Belongs here: the queue, cancelling, age and quota. Does not: how one clip is made (`cutter`).
//!
//! Invariants: the rows are the queue, so it survives a restart; a job without a row has no file for longer than until
//! the next start; the files of finished clips are bounded in bytes and age.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use dashvault_disk::DiskError;
use dashvault_process::{Pool, PoolConfig};
use tokio::{
    runtime::Handle,
    sync::{Notify, oneshot},
};
use tokio_util::sync::CancellationToken;

use super::{
    cutter::{CutError, Cutter},
    job::{ClipProblem, ClipState, Progress, ProgressNow},
    shelf::Shelf,
};
use crate::{
    archive::index::{ClipOutcome, ClipRow, IndexError},
    core::Core,
    layout::Layout,
};

/// How often the age of finished clips is looked at.
const HOUSEKEEPING: Duration = Duration::from_secs(60);
/// The pauses after the index did not answer.
const PAUSES: u32 = 10;
const PAUSE: Duration = Duration::from_millis(500);

/// The handle that requests have of the jobs.
#[derive(Debug, Default)]
pub(crate) struct Desk {
    news: Notify,
    at_work: Mutex<HashMap<String, AtWork>>,
}

/// A job that runs.
#[derive(Debug, Clone)]
struct AtWork {
    progress: Arc<Progress>,
    stop: CancellationToken,
}

impl Desk {
    /// There is something new in the queue.
    pub(crate) fn wake(&self) {
        self.news.notify_one();
    }

    /// How far a job is that runs.
    pub(crate) fn progress(&self, id: &str) -> Option<ProgressNow> {
        self.at_work().get(id).map(|job| job.progress.now())
    }

    /// Stops a job whose row is gone, if it runs, and has its files removed.
    pub(crate) fn removed(&self, id: &str) {
        if let Some(job) = self.at_work().get(id) {
            job.stop.cancel();
        }
        self.wake();
    }

    fn at_work(&self) -> MutexGuard<'_, HashMap<String, AtWork>> {
        self.at_work.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Does clip jobs until the vault stops.
pub(crate) async fn work(core: Arc<Core>) {
    let (done, mut ended) = oneshot::channel::<()>();
    let desk = core.clone();
    let runtime = Handle::current();
    let run = move || {
        let _done = done;
        match Worker::start(core, runtime) {
            Ok(worker) => worker.work(),
            Err(error) => tracing::error!(error = &error as &dyn std::error::Error, "clips cannot be made"),
        }
    };
    if let Err(error) = std::thread::Builder::new().name("clips".to_owned()).spawn(run) {
        tracing::error!(%error, "clips cannot be made: the system gives no thread");
        return;
    }
    loop {
        // The thread waits by no timer of the runtime, which may end before it.
        tokio::select! {
            // An error is the sender gone: the thread has ended.
            _ = &mut ended => return,
            () = tokio::time::sleep(HOUSEKEEPING) => desk.clips.wake(),
        }
    }
}

/// Why no clip can be made.
#[derive(Debug, thiserror::Error)]
enum DeskError {
    #[error(transparent)]
    Disk(#[from] DiskError),
    #[error(transparent)]
    Index(#[from] IndexError),
    #[error("system gives no threads")]
    Threads(#[from] std::io::Error),
}

/// The thread.
struct Worker {
    core: Arc<Core>,
    runtime: Handle,
    pool: Pool,
    shelf: Shelf,
}

impl Worker {
    /// Puts in order what an earlier run left.
    fn start(core: Arc<Core>, runtime: Handle) -> Result<Self, DeskError> {
        let shelf = Shelf::open(core.disk.clone(), Layout::new(&core.config.data).clips())?;
        let requeued = runtime.block_on(core.index.requeue_clips())?;
        let finished = runtime.block_on(core.index.clips_in(ClipState::Finished))?;
        let there = shelf.tidy(&finished)?;
        for row in finished.iter().filter(|row| !there.contains(&row.id)) {
            let problem =
                ClipProblem::new("gone", "its file was removed from the vault's disk; ask for it again");
            let problem = serde_json::to_string(&problem).unwrap_or_default();
            let outcome = ClipOutcome::Failed { problem };
            runtime.block_on(core.index.end_clip(&row.id, &outcome, core.clock.wall()))?;
        }
        if requeued > 0 {
            tracing::info!(jobs = requeued, "clips that were being made are made again");
        }
        let pool = Pool::new(PoolConfig { limit: 1, queue: 1 })?;
        Ok(Self { core, runtime, pool, shelf })
    }

    fn work(self) {
        while !self.core.stopping.is_cancelled() {
            match self.step() {
                Ok(true) => {}
                Ok(false) => self.wait(),
                Err(error) => {
                    if !self.core.stopping.is_cancelled() {
                        let error: &dyn std::error::Error = &error;
                        tracing::error!(error, "clips cannot be made just now");
                    }
                    self.pause();
                }
            }
        }
    }

    /// Removes what is over and does the next job; false when there is none.
    fn step(&self) -> Result<bool, DeskError> {
        self.keep_house()?;
        let queued = self.runtime.block_on(self.core.index.clips_in(ClipState::Queued))?;
        let Some(row) = queued.into_iter().next() else { return Ok(false) };
        if !self.runtime.block_on(self.core.index.set_clip_state(&row.id, ClipState::Running))? {
            return Ok(true);
        }
        self.one(&row)?;
        Ok(true)
    }

    fn one(&self, row: &ClipRow) -> Result<(), DeskError> {
        let job = AtWork { progress: Arc::default(), stop: self.core.stopping.child_token() };
        self.core.clips.at_work().insert(row.id.clone(), job.clone());
        // A removal between taking the row and this line has found nobody to stop.
        let made = match self.runtime.block_on(self.core.index.clip(&row.id)) {
            Ok(Some(_)) => self.make(row, &job),
            Ok(None) => Err(CutError::Stopped),
            Err(error) => Err(error.into()),
        };
        let ended = self.end(row, made);
        self.core.clips.at_work().remove(&row.id);
        ended
    }

    fn make(&self, row: &ClipRow, job: &AtWork) -> Result<ClipOutcome, CutError> {
        self.shelf.clear(&row.id)?;
        self.make_room(row)?;
        let (core, runtime, pool, shelf) = (&self.core, &self.runtime, &self.pool, &self.shelf);
        let (progress, stop) = (&job.progress, &job.stop);
        Cutter { core, runtime, pool, shelf, row, progress, stop }.run()
    }

    fn end(&self, row: &ClipRow, made: Result<ClipOutcome, CutError>) -> Result<(), DeskError> {
        let id = &row.id;
        let outcome = match made {
            Ok(outcome) => outcome,
            Err(CutError::Stopped) => {
                self.shelf.clear(id)?;
                return Ok(());
            }
            Err(error) => {
                let problem = error.into_problem();
                tracing::warn!(
                    clip = id,
                    code = problem.code,
                    detail = problem.detail,
                    "clip cannot be made"
                );
                ClipOutcome::Failed { problem: serde_json::to_string(&problem).unwrap_or_default() }
            }
        };
        self.shelf.clear_parts(id)?;
        let there = self.runtime.block_on(self.core.index.end_clip(id, &outcome, self.core.clock.wall()))?;
        if !there || matches!(outcome, ClipOutcome::Failed { .. }) {
            self.shelf.clear(id)?;
        }
        Ok(())
    }

    /// Removes finished clips whose time is over, and files of rows that are gone.
    fn keep_house(&self) -> Result<(), DeskError> {
        let keep_ms = i64::try_from(self.core.config.clips.keep.as_millis()).unwrap_or(i64::MAX);
        let oldest = self.core.clock.wall().plus_ms(keep_ms.saturating_neg());
        for state in [ClipState::Finished, ClipState::Failed] {
            for row in self.runtime.block_on(self.core.index.clips_in(state))? {
                if row.ended.is_some_and(|ended| ended < oldest) {
                    self.remove(&row)?;
                }
            }
        }
        let finished = self.runtime.block_on(self.core.index.clips_in(ClipState::Finished))?;
        self.shelf.tidy(&finished)?;
        Ok(())
    }

    /// Removes finished clips, the oldest first, until this one fits.
    fn make_room(&self, row: &ClipRow) -> Result<(), CutError> {
        let needed =
            row.summary.as_deref().and_then(|text| serde_json::from_str::<super::Summary>(text).ok());
        let needed = needed.map_or(0, |summary| summary.estimated_bytes);
        let quota = self.core.config.clips.quota_bytes;
        if needed > quota {
            let detail =
                format!("it would have about {needed} bytes, and finished clips may have {quota} together");
            return Err(CutError::Problem(ClipProblem::new("too-large", detail)));
        }
        let finished = self.runtime.block_on(self.core.index.clips_in(ClipState::Finished))?;
        let mut used: u64 = finished.iter().filter_map(|row| row.bytes).sum();
        for old in &finished {
            if used.saturating_add(needed) <= quota {
                break;
            }
            used -= old.bytes.unwrap_or(0);
            tracing::info!(clip = old.id, "finished clip is removed: the quota is for newer ones");
            self.remove(old).map_err(|error| match error {
                DeskError::Index(error) => CutError::Index(error),
                DeskError::Disk(error) => CutError::Disk(error),
                DeskError::Threads(_) => CutError::Stopped,
            })?;
        }
        let space = self.shelf.disk().space(self.shelf.folder())?;
        let reserve = self.core.config.limits.reserve_bytes;
        // The MP4 before it is cut to the frame, or before it is bundled, lies beside the outcome.
        let twice = if row.exact || row.evidence { needed.saturating_mul(2) } else { needed };
        if space.is_some_and(|space| space.free_bytes < twice.saturating_add(reserve)) {
            let detail = format!(
                "it needs about {twice} bytes, which the vault's disk has not free beside its reserve"
            );
            return Err(CutError::Problem(ClipProblem::new("disk-full", detail)));
        }
        Ok(())
    }

    /// The row first: a file without a row is removed at the next look, a row without a file would promise one.
    fn remove(&self, row: &ClipRow) -> Result<(), DeskError> {
        self.runtime.block_on(self.core.index.delete_clip(&row.id))?;
        self.shelf.clear(&row.id)?;
        Ok(())
    }

    fn wait(&self) {
        self.runtime.block_on(async {
            tokio::select! {
                () = self.core.clips.news.notified() => {}
                () = self.core.stopping.cancelled() => {}
            }
        });
    }

    /// Waits a little, and puts back what was at work: nothing is while this thread waits.
    fn pause(&self) {
        for _ in 0..PAUSES {
            if self.core.stopping.is_cancelled() {
                return;
            }
            std::thread::sleep(PAUSE);
        }
        if let Err(error) = self.runtime.block_on(self.core.index.requeue_clips()) {
            tracing::error!(error = &error as &dyn std::error::Error, "clips cannot be queued again");
        }
    }
}
