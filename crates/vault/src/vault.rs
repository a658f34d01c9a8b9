//! Starting and stopping a whole vault.
//!
//! Order at start: lock, key, index, what a crash left (objects without index, open plain packs, upload records),
//! threads, ports. At the end the other way round.

use std::{io, net::SocketAddr, path::PathBuf, sync::Arc, thread::JoinHandle, time::Duration};

use dashvault_base::{Clock, SystemClock};
use dashvault_disk::{Disk, DiskError, DiskLock, OsDisk};
use dashvault_media::{PackLimits, SigningKey};
use dashvault_srt::{Listener, ListenerConfig};
use tokio::{net::TcpListener, runtime::Handle, task::JoinSet};
use tokio_util::{
    sync::{CancellationToken, DropGuard},
    task::AbortOnDropHandle,
};

use crate::{
    VaultConfig,
    archive::{
        index::{Index, IndexError},
        objects::{DirStore, ObjectStore},
        reconcile::{ReconcileError, Reconciled, reconcile},
    },
    assembler::finish::Archive,
    audit::{AuditLog, AuditWriter, Keep},
    clips,
    core::{Core, Gates, Memory},
    http,
    import::{self, Desk, desk::DeskError},
    ingest,
    keys::{self, KeyError},
    layout::Layout,
    live::{self, LiveHub},
    metrics::Metrics,
    plain,
    store::{BlockingIndex, ObjectReads, ShardContext, Store, TICK},
    thumbnails::Thumbnails,
    uploads::UploadTable,
    users::setup::{self, SetupError},
};

/// A running vault heeds a revocation within this time.
const REVOCATION_POLL: Duration = Duration::from_millis(500);

const LOCK_TRIES: u32 = 5;
const LOCK_PAUSE: Duration = Duration::from_millis(50);

/// The vault's entry point.
#[derive(Debug)]
pub struct Vault;

/// A vault that serves. Prefer [`RunningVault::shutdown`] to dropping it: a dropped one ends soon, but not yet.
#[derive(Debug)]
pub struct RunningVault {
    http: SocketAddr,
    srt: SocketAddr,
    core: Arc<Core>,
    tasks: JoinSet<()>,
    audit: Auditing,
    readers: Vec<JoinHandle<()>>,
    lock: DiskLock,
    setup_code: Option<String>,
    /// Tells connections and sessions to end when the vault is dropped.
    _stop_on_drop: DropGuard,
}

/// Why a vault does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// Another process serves this data folder.
    #[error("{} is in use by another vault; stop that one first", .0.display())]
    InUse(PathBuf),
    /// A port cannot be bound.
    #[error("cannot listen on {what} {addr}")]
    Bind {
        /// HTTP or SRT.
        what: &'static str,
        /// The address.
        addr: SocketAddr,
        /// Why.
        source: io::Error,
    },
    /// The data folder cannot be used.
    #[error("data folder cannot be used")]
    Disk(#[from] DiskError),
    /// The index cannot be used.
    #[error(transparent)]
    Index(#[from] IndexError),
    /// The vault's own key cannot be used.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// The code for the first administrator cannot be kept.
    #[error(transparent)]
    Setup(#[from] SetupError),
    /// What an earlier run left cannot be put in order.
    #[error("what an earlier run left cannot be put in order")]
    Recovery(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The system gives no threads.
    #[error("the system gives no threads")]
    Threads(#[source] io::Error),
}

impl Vault {
    /// Locks the data folder, recovers what a crash left, and serves. Call it within a tokio runtime that outlives
    /// the vault.
    ///
    /// # Errors
    /// [`StartError`]; nothing runs then.
    pub async fn start(config: VaultConfig) -> Result<RunningVault, StartError> {
        let data = config.data.clone();
        let (layout, lock, key) = blocking(move || open_folder(data)).await?;
        let index = Index::open(&layout.index()).await?;
        let disk: Arc<dyn Disk> = Arc::new(OsDisk);
        let metrics = Arc::new(Metrics::new());
        let live = LiveHub::default();
        let key = Arc::new(key);
        let recovery = (config.clone(), layout.clone(), index.clone(), disk.clone(), key.clone());
        let runtime = Handle::current();
        let (context, objects) = {
            let metrics = metrics.clone();
            blocking(move || recover(recovery, runtime, metrics)).await?
        };
        let (uploads, store) = (context.uploads.clone(), Store::start(&context, config.limits.store_threads));
        let store = store.map_err(StartError::Threads)?;
        let (reads, mut readers) = ObjectReads::start(&objects).map_err(StartError::Threads)?;
        let (importer, threads) =
            ObjectReads::start_named("importer", 1, &objects).map_err(StartError::Threads)?;
        readers.extend(threads);
        let imports = {
            let (disk, index, folder) = (disk.clone(), index.clone(), context.layout.imports());
            let runtime = Handle::current();
            let reserve = config.limits.reserve_bytes;
            let open = move || Ok(Desk::open(disk, index, runtime, folder, reserve, importer)?);
            blocking::<_, StartError>(open).await?
        };
        let clock = Arc::new(SystemClock);
        let (pictures, cache, folder) = (config.clips.clone(), disk.clone(), layout.thumbnails());
        let thumbnails =
            blocking(move || Thumbnails::start(&pictures, cache, folder).map_err(StartError::Threads));
        let thumbnails = thumbnails.await?;
        let (gates, stopping, memory) = (Gates::default(), CancellationToken::new(), Memory::default());
        let keep = Keep { audit: config.limits.audit_keep, sessions: config.limits.sessions() };
        let (audit, writer) = AuditLog::new(index.clone(), metrics.clone(), keep);
        let core = Arc::new(Core {
            config,
            clock,
            disk,
            index,
            store,
            reads,
            objects,
            key,
            clips: clips::Desk::default(),
            thumbnails,
            uploads,
            metrics,
            live,
            imports,
            gates,
            stopping,
            memory,
            audit,
        });
        let ready = match first_run(&core, &layout).await {
            Ok(code) => listen(&core).await.map(|listening| (listening, code)),
            Err(error) => Err(error),
        };
        match ready {
            Ok(((http, srt, tasks), setup_code)) => {
                let _stop_on_drop = core.stopping.clone().drop_guard();
                let audit = Auditing::start(writer);
                tell_setup(http, setup_code.as_deref());
                Ok(RunningVault { http, srt, core, tasks, audit, readers, lock, setup_code, _stop_on_drop })
            }
            Err(error) => {
                core.store.stop(false).await;
                Err(error)
            }
        }
    }
}

impl RunningVault {
    /// Where HTTP listens.
    #[must_use]
    pub const fn http_addr(&self) -> SocketAddr {
        self.http
    }

    /// Where SRT listens.
    #[must_use]
    pub const fn srt_addr(&self) -> SocketAddr {
        self.srt
    }

    /// The code that makes the first administrator; `None` where there was one at the start.
    #[must_use]
    pub fn setup_code(&self) -> Option<&str> {
        self.setup_code.as_deref()
    }

    /// Stops. With `graceful`, open sessions are ended, packs of plain publishers sealed and what is complete made
    /// durable first; without, it stops as a crash would. Returns when every thread has ended and the folder is free.
    pub async fn shutdown(mut self, graceful: bool) {
        self.core.stopping.cancel();
        if graceful {
            while self.tasks.join_next().await.is_some() {}
        } else {
            self.tasks.shutdown().await;
        }
        // After the last request, so that all of them are in the audit log.
        self.audit.stop(graceful).await;
        self.core.store.stop(graceful).await;
        if graceful {
            self.core.live.close(&self.core.index).await;
        }
        self.core.index.close().await;
        let Self { core, readers, lock, .. } = self;
        drop(core);
        let ended = blocking::<_, StartError>(move || {
            readers.into_iter().for_each(|thread| drop(thread.join()));
            drop(lock);
            Ok(())
        });
        let _ = ended.await;
        tracing::info!(graceful, "vault has stopped");
    }
}

/// The task that writes the audit log. It outlives the requests that it writes of.
#[derive(Debug)]
struct Auditing {
    stopping: CancellationToken,
    task: AbortOnDropHandle<()>,
}

impl Auditing {
    fn start(writer: AuditWriter) -> Self {
        let stopping = CancellationToken::new();
        let task = AbortOnDropHandle::new(tokio::spawn(writer.run(stopping.clone())));
        Self { stopping, task }
    }

    async fn stop(self, graceful: bool) {
        if graceful {
            self.stopping.cancel();
        } else {
            self.task.abort();
        }
        let _ = self.task.await;
    }
}

/// The setup code where there are no users yet; otherwise the file of an old one is removed.
async fn first_run(core: &Core, layout: &Layout) -> Result<Option<String>, StartError> {
    let path = layout.setup_code();
    if core.index.has_users().await? {
        blocking(move || Ok(setup::forget(&path)?)).await.map(|()| None)
    } else {
        blocking(move || Ok(Some(setup::load_or_create(&path)?.reveal()))).await
    }
}

/// The one time that a secret is logged: whoever reads the vault's log runs it.
fn tell_setup(http: SocketAddr, code: Option<&str>) {
    let Some(code) = code else { return };
    let host = if http.ip().is_unspecified() { "localhost".to_owned() } else { http.ip().to_string() };
    let host = if host.contains(':') { format!("[{host}]") } else { host };
    let url = format!("http://{host}:{}/", http.port());
    tracing::warn!(
        url,
        code,
        "there are no users yet: open this address and give the code to make the first administrator"
    );
}

impl From<DeskError> for StartError {
    fn from(error: DeskError) -> Self {
        match error {
            DeskError::Disk(error) => Self::Disk(error),
            DeskError::Index(error) => Self::Index(error),
            DeskError::Threads(error) => Self::Threads(error),
        }
    }
}

/// Runs blocking work of the start or the end, when nothing else waits for the threads it takes.
async fn blocking<T: Send + 'static, E: From<StartError> + Send + 'static>(
    work: impl FnOnce() -> Result<T, E> + Send + 'static,
) -> Result<T, E> {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result,
        Err(error) => Err(StartError::Recovery(error.into()).into()),
    }
}

fn open_folder(data: PathBuf) -> Result<(Layout, DiskLock, SigningKey), StartError> {
    let layout = Layout::new(&data);
    layout.create_root()?;
    let lock = lock(&layout)?.ok_or(StartError::InUse(data))?;
    let key = keys::load_or_create(&layout.key())?;
    Ok((layout, lock, key))
}

/// Takes the folder's lock. A process that was forked a moment ago by another thread of ours holds a copy of an old
/// lock until it executes its program, so a held lock is tried again for a moment.
fn lock(layout: &Layout) -> Result<Option<DiskLock>, DiskError> {
    for _ in 0..LOCK_TRIES {
        if let Some(lock) = OsDisk.try_lock(&layout.lock())? {
            return Ok(Some(lock));
        }
        std::thread::sleep(LOCK_PAUSE);
    }
    OsDisk.try_lock(&layout.lock())
}

type Recovery = (VaultConfig, Layout, Index, Arc<dyn Disk>, Arc<SigningKey>);

/// Puts in order what an earlier run left.
fn recover(
    (config, layout, index, disk, key): Recovery,
    runtime: Handle,
    metrics: Arc<Metrics>,
) -> Result<(ShardContext, Arc<dyn ObjectStore>), StartError> {
    let objects: Arc<dyn ObjectStore> = Arc::new(DirStore::open(disk.clone(), layout.objects())?);
    let asked = BlockingIndex { index: index.clone(), runtime: runtime.clone() };
    let archive = Archive {
        disk: disk.clone(),
        objects: objects.clone(),
        index: Arc::new(asked),
        clock: Arc::new(SystemClock),
    };
    let summed = runtime.block_on(index.sum_up_packs())?;
    if summed > 0 {
        tracing::info!(packs = summed, "packs of an older version are summed up for the timeline");
    }
    let failed = |error: ReconcileError| StartError::Recovery(error.into());
    let reconciled = reconcile(&archive, &index, &runtime).map_err(failed)?;
    let recovered =
        plain::recover(&archive, &layout, &key).map_err(|error| StartError::Recovery(error.into()))?;
    let Reconciled { objects: found, adopted, unsound, missing, left } = reconciled;
    tracing::info!(objects = found, adopted, unsound, missing, left, "objects and index agree");
    let (packs, bytes) = (recovered.packs, recovered.bytes);
    tracing::info!(
        packs,
        bytes,
        empty = recovered.empty,
        failed = recovered.failed,
        "open packs of plain publishers are sealed"
    );
    let uploads = Arc::new(UploadTable::load(disk.as_ref(), &layout.uploads(), SystemClock.wall())?);
    let target_90k =
        u64::try_from(config.limits.pack_duration.as_millis()).unwrap_or(u64::MAX).saturating_mul(90);
    let pack_limits = PackLimits { target_90k, ..PackLimits::default() };
    let upload_expiry = config.limits.upload_expiry;
    let reserve_bytes = config.limits.reserve_bytes;
    let context = ShardContext {
        archive,
        index,
        runtime,
        layout,
        uploads,
        metrics,
        key,
        pack_limits,
        upload_expiry,
        reserve_bytes,
    };
    Ok((context, objects))
}

/// Binds both ports and starts the tasks.
async fn listen(core: &Arc<Core>) -> Result<(SocketAddr, SocketAddr, JoinSet<()>), StartError> {
    let config = &core.config;
    let unbound = |what, addr| move |source| StartError::Bind { what, addr, source };
    let http = TcpListener::bind(config.http).await.map_err(unbound("HTTP", config.http))?;
    let http_addr = http.local_addr().map_err(unbound("HTTP", config.http))?;
    let srt = Listener::bind(ListenerConfig {
        addr: config.srt,
        latency: config.srt_latency,
        max_connections: config.limits.srt_connections,
        passphrase: config.srt_passphrase.clone(),
        allow_plaintext: config.srt_allow_plaintext,
        ..ListenerConfig::default()
    });
    let srt = srt.await.map_err(unbound("SRT", config.srt))?;
    let srt_addr = srt.local_addr();
    core.memory.listens_at(http_addr.port(), srt_addr.port());
    let mut tasks = JoinSet::new();
    tasks.spawn(http::server::serve(core.clone(), http));
    tasks.spawn(ingest::run(core.clone(), srt));
    tasks.spawn(housekeeping(core.clone()));
    tasks.spawn(heed_revocations(core.clone()));
    tasks.spawn(prepare_hashing(core.clone()));
    tasks.spawn(crate::retention::keeper::run(core.clone()));
    tasks.spawn(import::desk::run(core.clone()));
    tasks.spawn(clips::work(core.clone()));
    tracing::info!(%http_addr, %srt_addr, data = %config.data.display(), "vault serves");
    Ok((http_addr, srt_addr, tasks))
}

async fn prepare_hashing(core: Arc<Core>) {
    if let Err(error) = core.memory.hashing.prepare().await {
        tracing::error!(error = &error as &dyn std::error::Error, "passwords cannot be hashed");
    }
}

async fn housekeeping(core: Arc<Core>) {
    while core.stopping.run_until_cancelled(tokio::time::sleep(TICK)).await.is_some() {
        core.store.tick().await;
        live::housekeeping(&core).await;
    }
}

/// Ends what revoked devices are doing. Requests that begin later ask the index themselves.
async fn heed_revocations(core: Arc<Core>) {
    while core.stopping.run_until_cancelled(tokio::time::sleep(REVOCATION_POLL)).await.is_some() {
        if core.gates.is_empty() {
            continue;
        }
        match core.index.revoked_devices().await {
            Ok(revoked) => core.gates.close(&revoked),
            Err(error) => tracing::error!(%error, "revocations cannot be read"),
        }
    }
}
