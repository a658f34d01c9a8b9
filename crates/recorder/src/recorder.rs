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
use crate::config::{ConfigError, OnFull, RecorderConfig, unnamed};
use crate::governor::Governor;
use crate::house::House;
use crate::live;
use crate::shared::{Shared, lock};
use crate::status::{Phase, RecorderStatus};
use crate::telling::Feeling;
use crate::{confirm, events, housekeeping, identity, quota, recovered, snapshot};

/// Stack of the network thread and of those that serve its disk accesses.
const STACK_BYTES: usize = 1 << 20;
const BLOCKING_STACK_BYTES: usize = 256 << 10;
/// Disk accesses at once, beside the cameras' own.
const MAX_BLOCKING: usize = 4;
/// How long the end waits for disk accesses under way.
const SHUTDOWN: Duration = Duration::from_secs(1);
/// How often the drain looks whether it is over.
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
    /// Whether the vault answered the last time it was asked, and knows the device.
    pub answered: bool,
    /// Losses and events that the vault has not acknowledged.
    pub untold: u64,
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
        events::tell_of_markers(&shared);
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
        let cameras = Arc::new(cameras);
        let first = snapshot::take(&shared, &cameras, began);
        shared.tell(Feeling::default().status(began, &first));
        let (status_out, status) = watch::channel(first);
        let house = House::start(&shared, &cameras, began, status_out).map_err(StartError::Thread)?;
        let (stop, stops) = mpsc::channel(1);
        let conductor = Conductor { shared: Arc::clone(&shared), cameras, house, status: status.clone() };
        thread::Builder::new()
            .name("recorder".to_owned())
            .stack_size(STACK_BYTES)
            .spawn(move || conductor.conduct(runtime, stops))
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

    /// Keeps every pack of `camera` with footage between `from` and `to` from eviction, sends it first, and tells the
    /// vault of the event; `note` says what happened. Gives the packs. Blocks on the disk.
    ///
    /// # Errors
    /// The disk fails.
    pub fn lock(
        &self,
        camera: &CameraName,
        from: WallMs,
        to: WallMs,
        note: &str,
    ) -> Result<Vec<PackId>, dashvault_spool::SpoolError> {
        events::lock_range(&self.shared, camera, from, to, note)
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
            Err(_) => StopReport { status: self.status.borrow().clone(), ..StopReport::default() },
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
    let open = |confirmed| {
        let (key, disk, device) = (SigningKey::from_seed(seed), Arc::new(OsDisk), config.device.clone());
        match &config.token {
            Some(_) => {
                let from = config.adopts_from(confirmed);
                Spool::open_adopting(disk, &config.spool, device, key, limits, &from)
            }
            None => Spool::open(disk, &config.spool, device, key, limits),
        }
        .map_err(|error| spool_error(Box::new(error)))
    };
    let mut opened = open(confirm::is_noted(&config))?;
    if config.token.is_some() && opened.1.has_packs_of(&unnamed()) {
        match confirm::ask(&config) {
            Ok(()) => {
                // One recorder at a time has a spool.
                drop(opened);
                opened = open(true)?;
            }
            Err(why) => recovered::log_unconfirmed(&config.device, &why),
        }
    }
    let (spool, report) = opened;
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
    house: House,
    status: watch::Receiver<RecorderStatus>,
}

impl Conductor {
    fn conduct(self, runtime: Runtime, mut stops: mpsc::Receiver<StopRequest>) {
        let (request, report) = runtime.block_on(async {
            let (stopping, _) = watch::channel(false);
            let live = self.start_live(&stopping);
            let tasks = self.start_backfill();
            // None: the handle was dropped.
            let request = stops.recv().await;
            let drain = request.as_ref().map_or(Duration::ZERO, |request| request.drain);
            let report = self.stop(drain, &stopping, live).await;
            tasks.iter().for_each(JoinHandle::abort);
            (request, report)
        });
        // What still runs holds the spool, which is to be free for the next recorder once the stop is told. A name that
        // does not resolve may take longer, and needs it no more.
        runtime.shutdown_timeout(SHUTDOWN);
        if let Some(request) = request {
            // Nobody may wait any more.
            let _ = request.done.send(report);
        }
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
        *lock(&self.shared.phase) = Phase::Draining;
        self.shared.book().hurry();
        self.join_cameras(stopping).await;
        let deadline = Instant::now() + drain;
        let live_limit = drain.min(LIVE_DRAIN);
        let ((), rest) = tokio::join!(self.end_live(live, live_limit), self.drain(deadline));
        *lock(&self.shared.phase) = Phase::Stopped;
        let (house, status) = (self.house, self.status);
        // It says itself what went wrong.
        let _ = tokio::task::spawn_blocking(move || house.end()).await;
        let status = status.borrow().clone();
        StopReport { drained: rest.packs, answered: rest.answered, untold: rest.untold, status }
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

    /// Returns when every camera's last pack is sealed.
    async fn join_cameras(&self, stopping: &watch::Sender<bool>) {
        self.cameras.iter().for_each(Camera::ask_stop);
        stopping.send_replace(true);
        let cameras = Arc::clone(&self.cameras);
        // A camera thread that panicked was told of where it was joined.
        let _ = tokio::task::spawn_blocking(move || cameras.iter().for_each(Camera::join)).await;
        // A link that waits for a recording may have missed that there will be none.
        self.shared.cameras.iter().for_each(|camera| camera.fresh.notify_one());
    }

    /// Waits until the vault has it all: each pack by its receipt, each loss and event by its word.
    async fn drain(&self, deadline: Instant) -> Rest {
        let with_vault = self.shared.config.vault.is_some();
        let deadline = tokio::time::Instant::from_std(deadline);
        self.shared.book_news.notify_one();
        while with_vault && tokio::time::Instant::now() < deadline {
            let moved = self.shared.jobs.notified();
            tokio::pin!(moved);
            // Listens before it looks, so that the last receipt is not missed.
            moved.as_mut().enable();
            let vault = lock(&self.shared.vault).clone();
            let told = self.shared.untold() == 0 && vault.announcements > 0;
            if (self.shared.book().is_drained() && told) || vault.denied.is_some() {
                break;
            }
            // Now and then it looks without having been told.
            let _ =
                tokio::time::timeout_at(deadline.min(tokio::time::Instant::now() + DRAIN_TICK), moved).await;
        }
        Rest {
            packs: !with_vault || self.shared.book().is_empty(),
            answered: lock(&self.shared.vault).reachable,
            untold: if with_vault { self.shared.untold() } else { 0 },
        }
    }
}

/// How a drain ended.
struct Rest {
    packs: bool,
    answered: bool,
    untold: u64,
}
