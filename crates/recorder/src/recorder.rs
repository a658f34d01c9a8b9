//! The whole recorder: starting its threads and tasks in order, and stopping them in order.
//!
//! ```text
//! start:  spool recovered ─► network tasks ─► cameras
//! stop:   cameras asked ─► what they wrote is sealed ─► live and backfill drained ─► tasks ended
//! ```
//! Belongs here: ownership and the two orders. Not here: what any part does.

use std::path::PathBuf;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use dashvault_base::{CameraName, PackId, WallMs};
use dashvault_disk::OsDisk;
use dashvault_media::SigningKey;
use dashvault_spool::{Spool, SpoolConfig};
use tokio::runtime::{Builder, Runtime};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinHandle;

use crate::backfill;
use crate::boot::Boot;
use crate::camera::Camera;
use crate::config::{ConfigError, OnFull, RecorderConfig};
use crate::governor::Governor;
use crate::live;
use crate::shared::{Shared, lock};
use crate::status::{Phase, RecorderStatus};
use crate::{events, housekeeping, identity, quota, recovered, snapshot};

/// Stack of the network thread and of those that serve its disk accesses.
const STACK_BYTES: usize = 1 << 20;
const BLOCKING_STACK_BYTES: usize = 256 << 10;
/// Disk accesses at once, beside the cameras' own.
const MAX_BLOCKING: usize = 4;
/// How often a snapshot is shown while the backlog is sent.
const DRAIN_TICK: Duration = Duration::from_millis(500);
/// How long live may take to bring a recording's end across, within the drain.
const LIVE_DRAIN: Duration = Duration::from_millis(1500);

/// Starts recorders.
#[derive(Debug)]
pub struct Recorder;

/// Why a recorder does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// Its settings contradict each other.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The spool cannot be used.
    #[error("spool {} cannot be used", path.display())]
    Spool {
        /// Its directory.
        path: PathBuf,
        /// Why.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The system gave no thread.
    #[error("no thread could be started")]
    Thread(#[source] std::io::Error),
}

/// How a stop went.
#[derive(Clone, Debug, Default)]
pub struct StopReport {
    /// Whether every pack has its receipt (or none was to be had: no vault).
    pub drained: bool,
    /// The last snapshot.
    pub status: RecorderStatus,
}

/// A recorder at work; dropping it stops it without draining and without waiting.
#[derive(Debug)]
pub struct RunningRecorder {
    status: watch::Receiver<RecorderStatus>,
    stop: mpsc::Sender<StopRequest>,
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct StopRequest {
    drain: Duration,
    done: oneshot::Sender<StopReport>,
}

impl Recorder {
    /// Opens the spool (recovering what a crash left), then starts the cameras and everything behind them on threads of
    /// its own. Needs no runtime around it; blocks while it recovers the spool.
    ///
    /// # Errors
    /// [`StartError`] when nothing was started.
    pub fn start(config: RecorderConfig) -> Result<RunningRecorder, StartError> {
        config.validate()?;
        let began = Instant::now();
        let shared = Arc::new(open(config)?);
        housekeeping::find_pending(&shared);
        let runtime = Builder::new_current_thread()
            .enable_all()
            .max_blocking_threads(MAX_BLOCKING)
            .thread_stack_size(BLOCKING_STACK_BYTES)
            .build()
            .map_err(StartError::Thread)?;
        let boot = Boot::read();
        let mut cameras = Vec::with_capacity(shared.cameras.len());
        for index in 0..shared.config.cameras.len() {
            cameras.push(Camera::start(&shared, index, boot).map_err(StartError::Thread)?);
        }
        let first = snapshot::take(&shared, &cameras, began, Phase::Recording);
        let (status_out, status) = watch::channel(first);
        let (stop, stops) = mpsc::channel(1);
        let conductor =
            Conductor { shared: Arc::clone(&shared), cameras: Arc::new(cameras), began, status_out };
        thread::Builder::new()
            .name("recorder".to_owned())
            .stack_size(STACK_BYTES)
            .spawn(move || conductor.conduct(&runtime, stops))
            .map_err(StartError::Thread)?;
        Ok(RunningRecorder { status, stop, shared })
    }
}

impl RunningRecorder {
    /// The snapshot, renewed about once a second.
    #[must_use]
    pub fn status(&self) -> watch::Receiver<RecorderStatus> {
        self.status.clone()
    }

    /// Keeps every pack of `camera` with footage between `from` and `to` from eviction and sends it first; `event` is
    /// kept with it. Gives the packs. Blocks on the disk.
    ///
    /// # Errors
    /// The disk fails.
    pub fn lock(
        &self,
        camera: &CameraName,
        from: WallMs,
        to: WallMs,
        event: &[u8],
    ) -> Result<Vec<PackId>, dashvault_spool::SpoolError> {
        events::lock_range(&self.shared, camera, from, to, event)
    }

    /// Stops the cameras politely, seals their packs, and sends the backlog until all of it is receipted or `drain` is
    /// over.
    ///
    /// # Cancel safety
    /// A dropped future gives up waiting: the stop goes on while the program lives.
    pub async fn stop(self, drain: Duration) -> StopReport {
        let (done, report) = oneshot::channel();
        // Where the recorder is gone already, the last snapshot is all there is.
        let _ = self.stop.send(StopRequest { drain, done }).await;
        match report.await {
            Ok(report) => report,
            Err(_) => StopReport { drained: false, status: self.status.borrow().clone() },
        }
    }
}

/// Opens the spool and makes what all parts share.
fn open(config: RecorderConfig) -> Result<Shared, StartError> {
    let path = config.spool.clone();
    let spool_error =
        |source: Box<dyn std::error::Error + Send + Sync>| StartError::Spool { path: path.clone(), source };
    let limits = SpoolConfig {
        quota_bytes: (config.quota_bytes > 0).then_some(config.quota_bytes),
        reserve_free_bytes: config.reserve_bytes,
        on_full: match config.on_full {
            OnFull::EvictUnsent => dashvault_spool::OnFull::EvictUnsent,
            OnFull::StopRecording => dashvault_spool::OnFull::StopRecording,
        },
    };
    let seed = match &config.token {
        Some(token) => token.signing_seed(),
        None => identity::seed(&config.spool).map_err(|error| spool_error(Box::new(error)))?,
    };
    let key = SigningKey::from_seed(seed);
    let (disk, device) = (Arc::new(OsDisk), config.device.clone());
    let opened = match &config.token {
        Some(_) => Spool::open_adopting(disk, &config.spool, device, key, limits, &config.adopts_from()),
        None => Spool::open(disk, &config.spool, device, key, limits),
    };
    let (spool, report) = opened.map_err(|error| spool_error(Box::new(error)))?;
    recovered::log(&report);
    quota::warn_if_small(&config, &spool);
    let links = if config.srt.is_some() { config.cameras.len() } else { 0 };
    let governor = Governor::new(Instant::now(), links, config.rate_cap_bytes_per_s);
    Ok(Shared::new(config, spool, governor))
}

/// Owns everything that runs.
struct Conductor {
    shared: Arc<Shared>,
    cameras: Arc<Vec<Camera>>,
    began: Instant,
    status_out: watch::Sender<RecorderStatus>,
}

impl Conductor {
    fn conduct(self, runtime: &Runtime, mut stops: mpsc::Receiver<StopRequest>) {
        runtime.block_on(async {
            let (stopping, _) = watch::channel(false);
            let live = self.start_live(&stopping);
            let mut tasks = self.start_backfill();
            tasks.push(tokio::spawn(housekeeping::run(Arc::clone(&self.shared))));
            let watching = tokio::spawn(snapshot::run(
                Arc::clone(&self.shared),
                Arc::clone(&self.cameras),
                self.began,
                self.status_out.clone(),
            ));
            // None: the handle was dropped.
            let request = stops.recv().await;
            watching.abort();
            let _ = watching.await;
            let drain = request.as_ref().map_or(Duration::ZERO, |request| request.drain);
            let report = self.stop(drain, &stopping, live).await;
            tasks.iter().for_each(JoinHandle::abort);
            if let Some(request) = request {
                // Nobody may wait any more.
                let _ = request.done.send(report);
            }
        });
    }

    fn start_live(&self, stopping: &watch::Sender<bool>) -> Vec<JoinHandle<()>> {
        let Some(target) = &self.shared.config.srt else { return Vec::new() };
        let link =
            |index| live::link::run(Arc::clone(&self.shared), index, target.clone(), stopping.subscribe());
        (0..self.shared.config.cameras.len()).map(|index| tokio::spawn(link(index))).collect()
    }

    fn start_backfill(&self) -> Vec<JoinHandle<()>> {
        let Shared { config, believer, .. } = &*self.shared;
        match (&config.vault, &config.token, believer) {
            (Some(url), Some(token), Some(believer)) => {
                backfill::start(&self.shared, url, &token.bearer(), believer.clone())
            }
            _ => Vec::new(),
        }
    }

    async fn stop(
        self,
        drain: Duration,
        stopping: &watch::Sender<bool>,
        live: Vec<JoinHandle<()>>,
    ) -> StopReport {
        self.shared.book().hurry();
        self.join_cameras(stopping).await;
        let deadline = Instant::now() + drain;
        let live_limit = drain.min(LIVE_DRAIN);
        let ((), drained) = tokio::join!(self.end_live(live, live_limit), self.drain(deadline));
        let snapshot = snapshot::take(&self.shared, &self.cameras, self.began, Phase::Stopped);
        snapshot::publish(&self.shared, snapshot.clone(), &self.status_out).await;
        StopReport { drained, status: snapshot }
    }

    /// Lets live bring the recordings' ends across; what it has not brought in time is backfill's.
    async fn end_live(&self, links: Vec<JoinHandle<()>>, limit: Duration) {
        let deadline = tokio::time::Instant::now() + limit;
        for (index, mut link) in links.into_iter().enumerate() {
            if tokio::time::timeout_at(deadline, &mut link).await.is_ok() {
                continue;
            }
            link.abort();
            // It ends by being cancelled, which is no news.
            let _ = link.await;
            if let Some(ledger) = self.shared.book().ledger(index) {
                ledger.disconnected();
            }
            self.shared.governor().sample(Instant::now(), index, None);
        }
        self.shared.book().ask_put_off(Instant::now());
        self.shared.book_news.notify_one();
    }

    /// Returns when every camera's last pack is sealed. The snapshots go on meanwhile.
    async fn join_cameras(&self, stopping: &watch::Sender<bool>) {
        self.cameras.iter().for_each(Camera::ask_stop);
        stopping.send_replace(true);
        let cameras = Arc::clone(&self.cameras);
        let joined = tokio::task::spawn_blocking(move || cameras.iter().for_each(Camera::join));
        tokio::pin!(joined);
        loop {
            tokio::select! {
                _ = &mut joined => break,
                () = tokio::time::sleep(DRAIN_TICK) => self.show(Phase::Draining).await,
            }
        }
        // A link that waits for a recording may have missed that there will be none.
        self.shared.cameras.iter().for_each(|camera| camera.fresh.notify_one());
    }

    async fn drain(&self, deadline: Instant) -> bool {
        let with_vault = self.shared.config.vault.is_some();
        let deadline = tokio::time::Instant::from_std(deadline);
        let mut show_at = tokio::time::Instant::now() + DRAIN_TICK;
        self.shared.book_news.notify_one();
        while with_vault && tokio::time::Instant::now() < deadline {
            let moved = self.shared.jobs.notified();
            tokio::pin!(moved);
            // Listens before it looks, so that the last receipt is not missed.
            moved.as_mut().enable();
            if self.shared.book().is_drained() || lock(&self.shared.vault).denied.is_some() {
                break;
            }
            tokio::select! {
                () = moved => {}
                () = tokio::time::sleep_until(show_at.min(deadline)) => {}
            }
            if tokio::time::Instant::now() >= show_at {
                self.show(Phase::Draining).await;
                show_at = tokio::time::Instant::now() + DRAIN_TICK;
            }
        }
        !with_vault || self.shared.book().is_empty()
    }

    async fn show(&self, phase: Phase) {
        let snapshot = snapshot::take(&self.shared, &self.cameras, self.began, phase);
        snapshot::publish(&self.shared, snapshot, &self.status_out).await;
    }
}
