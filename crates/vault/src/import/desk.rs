//! The desk: which files come in, and the one job that runs.
//!
//! Belongs here: the table of uploads, their files, what a crash left, whose job is next. Does not: what a job does
//! ([`super::job`]), HTTP.
//!
//! Invariants: a file in `imports/` has a row, or goes at the next start; one job at a time; what was answered survives.

use std::{
    collections::HashMap,
    io,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use dashvault_base::WallMs;
use dashvault_disk::{Disk, DiskError, EntryKind, OpenMode};
use dashvault_process::{Pool, PoolConfig};
use tokio::{runtime::Handle, sync::Notify};
use tokio_util::sync::CancellationToken;

use super::{job, upload::ImportUpload};
use crate::{
    archive::index::{ImportRow, ImportState, Index, IndexError},
    core::Core,
    store::{ObjectReads, StoreError},
};

/// Unfinished uploads of all clients together.
pub(crate) const MAX_RECEIVING: usize = 64;
/// How often uploads that nobody feeds, and jobs that had to wait, are looked at.
const LOOK: Duration = Duration::from_secs(10);
/// Read and written at once where files are joined.
const PIECE_BYTES: usize = 1 << 20;
/// Where originals are that were to be kept.
pub(crate) const KEPT: &str = "kept";

/// All imports of a vault.
#[derive(Debug)]
pub(crate) struct Desk {
    disk: Arc<dyn Disk>,
    index: Index,
    runtime: Handle,
    folder: PathBuf,
    /// Free disk space below which nothing more is taken.
    reserve_bytes: u64,
    /// The importer's thread.
    pub(super) thread: ObjectReads,
    pub(super) pool: Pool,
    receiving: Mutex<HashMap<String, Arc<ImportUpload>>>,
    running: Mutex<Option<Running>>,
    wake: Notify,
}

/// The job that runs.
#[derive(Debug, Clone)]
pub(crate) struct Running {
    pub(crate) id: String,
    /// Cancelled when it is not wanted any more.
    pub(crate) over: CancellationToken,
    /// In thousandths.
    pub(crate) progress: Arc<AtomicU32>,
    /// Packs are being written: it cannot be cancelled any more.
    pub(crate) is_storing: Arc<std::sync::atomic::AtomicBool>,
}

/// Why the desk cannot do something.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DeskError {
    #[error(transparent)]
    Disk(#[from] DiskError),
    #[error(transparent)]
    Index(#[from] IndexError),
    #[error("the system gives no threads")]
    Threads(#[from] io::Error),
}

impl Desk {
    /// Takes up what an earlier run left. Blocks.
    pub(crate) fn open(
        disk: Arc<dyn Disk>,
        index: Index,
        runtime: Handle,
        folder: PathBuf,
        reserve_bytes: u64,
        thread: ObjectReads,
    ) -> Result<Self, DeskError> {
        disk.create_dir_all(&folder)?;
        let pool = Pool::new(PoolConfig { limit: 1, queue: 1 })?;
        let (receiving, running, wake) = (Mutex::default(), Mutex::default(), Notify::new());
        let desk =
            Self { disk, index, runtime, folder, reserve_bytes, thread, pool, receiving, running, wake };
        desk.recover()?;
        Ok(desk)
    }

    fn recover(&self) -> Result<(), DeskError> {
        let of = |state| self.runtime.block_on(self.index.imports_in(state));
        let mut known = Vec::new();
        for mut row in of(ImportState::Receiving)? {
            let path = self.original(&row.id);
            let file = self.disk.open(&path, OpenMode::Create)?;
            // What is not recorded was not answered, and may be torn.
            row.received = row.received.min(file.len()?);
            file.set_len(row.received)?;
            if row.received == row.length {
                row.state = ImportState::Queued;
                self.runtime.block_on(self.index.save_import(&row))?;
            } else {
                self.insert(Arc::new(ImportUpload::new(&row, file, path)));
            }
            known.push(row.id);
        }
        for mut row in of(ImportState::Running)? {
            row.state = ImportState::Queued;
            self.runtime.block_on(self.index.save_import(&row))?;
        }
        known.extend(of(ImportState::Queued)?.into_iter().map(|row| row.id));
        for entry in self.disk.list(&self.folder)? {
            let id = entry.name.split('.').next().unwrap_or_default();
            if entry.kind == EntryKind::File && !known.iter().any(|known| known == id) {
                self.disk.remove(&self.folder.join(&entry.name))?;
            }
        }
        Ok(())
    }

    /// Where a file lies as it came.
    pub(crate) fn original(&self, id: &str) -> PathBuf {
        self.folder.join(format!("{id}.part"))
    }

    /// Where its transport stream is made.
    pub(crate) fn stream(&self, id: &str) -> PathBuf {
        self.folder.join(format!("{id}.ts"))
    }

    /// Where its original is kept, where that was asked for.
    pub(crate) fn kept(&self, row: &ImportRow) -> PathBuf {
        let is_plain = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
        let name: String =
            row.filename.chars().map(|c| if is_plain(c) { c } else { '_' }).take(100).collect();
        self.folder.join(KEPT).join(format!("{}-{name}", row.id))
    }

    /// A file that comes in.
    pub(crate) fn find(&self, id: &str) -> Option<Arc<ImportUpload>> {
        lock(&self.receiving).get(id).cloned()
    }

    /// Whether another one may begin.
    pub(crate) fn has_room(&self) -> bool {
        lock(&self.receiving).len() < MAX_RECEIVING
    }

    /// The job that runs, if it is this one.
    pub(crate) fn running(&self, id: &str) -> Option<Running> {
        lock(&self.running).clone().filter(|running| running.id == id)
    }

    /// Begins to receive; the row is durable on return.
    pub(crate) async fn begin(&self, row: &ImportRow) -> Result<Arc<ImportUpload>, StoreError> {
        let (disk, path) = (self.disk.clone(), self.original(&row.id));
        let folder = self.folder.clone();
        self.index.add_import(row).await?;
        let (of, at) = (row.clone(), path.clone());
        let upload = self.thread.on_disk(move || {
            let file = disk.open(&at, OpenMode::CreateNew)?;
            disk.sync_dir(&folder)?;
            Ok(Arc::new(ImportUpload::new(&of, file, at)))
        });
        let upload = upload.await?;
        self.insert(upload.clone());
        Ok(upload)
    }

    /// Writes a file's next bytes, in the order of the calls; the answer says the offset after them.
    pub(crate) async fn write(
        &self,
        upload: &Arc<ImportUpload>,
        batch: Vec<Bytes>,
        now: WallMs,
    ) -> Result<tokio::sync::oneshot::Receiver<Result<u64, StoreError>>, StoreError> {
        let (upload, index, runtime) = (upload.clone(), self.index.clone(), self.runtime.clone());
        let (disk, folder, reserve) = (self.disk.clone(), self.folder.clone(), self.reserve_bytes);
        let work = move || {
            let is_settled = upload.write(&batch, &index, &runtime, now)?;
            if is_settled && !has_room(disk.as_ref(), &folder, reserve)? {
                return Err(StoreError::Full);
            }
            Ok(upload.written())
        };
        self.thread.begin(work).await
    }

    /// Returns after what was written is durable.
    pub(crate) async fn settle(&self, upload: &Arc<ImportUpload>, now: WallMs) -> Result<(), StoreError> {
        let (upload, index, runtime) = (upload.clone(), self.index.clone(), self.runtime.clone());
        let answer = self.thread.begin(move || Ok(upload.settle(&index, &runtime, now)?)).await?;
        answer.await.map_err(|_| StoreError::Stopped)?
    }

    /// Forgets what came after `offset`: it was corrupted on its way.
    pub(crate) async fn take_back(
        &self,
        upload: &Arc<ImportUpload>,
        offset: u64,
        now: WallMs,
    ) -> Result<(), StoreError> {
        let (upload, index, runtime) = (upload.clone(), self.index.clone(), self.runtime.clone());
        let answer = self.thread.begin(move || Ok(upload.take_back(offset, &index, &runtime, now)?)).await?;
        answer.await.map_err(|_| StoreError::Stopped)?
    }

    /// Puts the parts behind each other into a new upload, durably, and forgets them. The caller has their turns.
    pub(crate) async fn join(
        &self,
        upload: &Arc<ImportUpload>,
        parts: Vec<Arc<ImportUpload>>,
        now: WallMs,
    ) -> Result<(), StoreError> {
        for part in &parts {
            let mut at = 0;
            while at < part.length {
                let (disk, path) = (self.disk.clone(), part.path.clone());
                let len = usize::try_from(part.length - at).unwrap_or(PIECE_BYTES).min(PIECE_BYTES);
                let piece = self.thread.on_disk(move || read(disk.as_ref(), &path, at, len)).await?;
                at += piece.len() as u64;
                let answer = self.write(upload, vec![piece], now).await?;
                answer.await.map_err(|_| StoreError::Stopped)??;
            }
        }
        self.settle(upload, now).await?;
        for part in parts {
            self.forget(&part.id).await?;
        }
        Ok(())
    }

    /// Whether a file of this length can be made into packs: it is remuxed first, then stored.
    pub(super) async fn has_room_for(&self, length: u64) -> Result<bool, StoreError> {
        let (disk, folder) = (self.disk.clone(), self.folder.clone());
        let needed = self.reserve_bytes.saturating_add(length.saturating_mul(2));
        self.thread.on_disk(move || has_room(disk.as_ref(), &folder, needed)).await
    }

    /// A file is whole: its job waits for its turn. Nothing happens where it is not.
    pub(crate) async fn queue_if_whole(&self, upload: &ImportUpload) -> Result<bool, StoreError> {
        if upload.durable() != upload.length || upload.target.is_none() {
            return Ok(false);
        }
        if let Some(mut row) = self.index.import(&upload.id).await?
            && row.state == ImportState::Receiving
        {
            row.state = ImportState::Queued;
            self.index.save_import(&row).await?;
        }
        lock(&self.receiving).remove(&upload.id);
        self.wake.notify_one();
        Ok(true)
    }

    /// Forgets an import and removes its files; what it stored stays.
    pub(crate) async fn forget(&self, id: &str) -> Result<(), StoreError> {
        self.index.delete_import(id).await?;
        lock(&self.receiving).remove(id);
        self.remove_files(id).await
    }

    pub(super) async fn remove_files(&self, id: &str) -> Result<(), StoreError> {
        let disk = self.disk.clone();
        let paths = [self.original(id), self.stream(id)];
        let removed =
            self.thread.on_disk(move || paths.iter().try_for_each(|path| disk.remove_durably(path)));
        removed.await
    }

    /// Forgets files that nobody fed since `before`.
    async fn expire(&self, before: WallMs) -> Result<(), StoreError> {
        for row in self.index.imports_in(ImportState::Receiving).await? {
            if row.touched >= before {
                continue;
            }
            if let Some(upload) = self.find(&row.id) {
                // Whoever feeds it now has just begun; it is not expired then.
                if upload.written() > row.received || upload.take_turn().await.is_none() {
                    continue;
                }
            }
            tracing::info!(import = row.id, "unfinished import is forgotten");
            self.forget(&row.id).await?;
        }
        Ok(())
    }

    fn insert(&self, upload: Arc<ImportUpload>) {
        lock(&self.receiving).insert(upload.id.clone(), upload);
    }

    fn begin_job(&self, id: &str) -> Running {
        let running = Running {
            id: id.to_owned(),
            over: CancellationToken::new(),
            progress: Arc::new(AtomicU32::new(0)),
            is_storing: Arc::default(),
        };
        *lock(&self.running) = Some(running.clone());
        running
    }

    fn end_job(&self) {
        *lock(&self.running) = None;
    }
}

impl Running {
    /// How far it is, from 0 to 1000.
    pub(crate) fn permille(&self) -> u32 {
        self.progress.load(Ordering::Relaxed)
    }
}

/// Runs jobs until the vault stops.
pub(crate) async fn run(core: Arc<Core>) {
    let stopping = core.stopping.clone();
    let work = async {
        loop {
            if let Err(error) = look(&core).await {
                let error: &dyn std::error::Error = &error;
                tracing::error!(error, "imports stand still; they are tried again");
            }
            tokio::select! {
                () = tokio::time::sleep(LOOK) => {}
                () = core.imports.wake.notified() => {}
            }
        }
    };
    stopping.run_until_cancelled(work).await;
}

/// Runs what is queued, oldest first; what has to wait is passed over.
async fn look(core: &Arc<Core>) -> Result<(), StoreError> {
    let desk = &core.imports;
    let expiry = i64::try_from(core.config.limits.upload_expiry.as_millis()).unwrap_or(i64::MAX);
    desk.expire(core.clock.wall().plus_ms(expiry.saturating_neg())).await?;
    for row in desk.index.imports_in(ImportState::Queued).await? {
        let running = desk.begin_job(&row.id);
        let result = job::run(core, row, &running).await;
        desk.end_job();
        result?;
    }
    Ok(())
}

/// Whether more is free than `bytes`, as far as the system says.
fn has_room(disk: &dyn Disk, folder: &Path, bytes: u64) -> Result<bool, DiskError> {
    Ok(disk.space(folder)?.is_none_or(|space| space.free_bytes >= bytes))
}

fn read(disk: &dyn Disk, path: &Path, at: u64, len: usize) -> Result<Bytes, DiskError> {
    let file = disk.open(path, OpenMode::Read)?;
    let mut bytes = vec![0; len];
    file.read_exact_at(&mut bytes, at)?;
    Ok(bytes.into())
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
