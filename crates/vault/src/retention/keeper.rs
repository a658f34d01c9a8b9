//! The task that deletes what the rules take, step by step and crash-safe: mark, unlink, note that it is gone.
//!
//! Belongs here: the order of the steps, how much one of them does, when a pass is due. Does not: which packs
//! ([`super::plan`] and the index's queries), how an object is unlinked.
//!
//! Invariants: an object is removed only after its mark is durable; a pass may be dropped at any `.await` and the next one
//! goes on; one pass at a time.

use std::{future::Future, sync::Arc, time::Duration};

use dashvault_base::{CameraName, DeviceId, WallMs};

use super::{
    plan::{Reason, cutoff, how_many},
    rules::Policy,
};
use crate::{
    archive::{
        index::{Candidate, Index, IndexError},
        objects::ObjectKey,
    },
    core::Core,
    metrics::Metrics,
    store::{ObjectReads, ReadError, StoreError},
};

/// Packs that one step marks and removes.
pub(crate) const STEP: u32 = 64;
/// Between two steps others get the disk and the index.
const PAUSE: Duration = Duration::from_millis(20);
/// How often the rules are looked at.
const PASS: Duration = Duration::from_secs(60);
/// How often the free space is.
const LOOK: Duration = Duration::from_secs(5);

/// Removes objects for good.
pub(crate) trait Remover: Send + Sync {
    /// Returns after the object is gone durably; one that is not there is no error.
    fn remove(&self, key: ObjectKey) -> impl Future<Output = Result<(), ReadError>> + Send;
}

/// Carries the rules out.
#[derive(Debug)]
pub(crate) struct Keeper<R> {
    pub(crate) index: Index,
    pub(crate) remover: R,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) pause: Duration,
}

/// Which packs a bound is on.
type Scope<'a> = Option<(&'a DeviceId, &'a CameraName)>;

impl<R: Remover> Keeper<R> {
    /// Removes the objects of packs that are marked. Those that cannot be removed now stay marked; gives how many.
    pub(crate) async fn finish(&self, now: WallMs) -> Result<u32, IndexError> {
        let mut failed = 0;
        loop {
            let keys = self.index.packs_to_remove(failed, STEP).await?;
            if keys.is_empty() {
                return Ok(failed);
            }
            let mut removed = Vec::with_capacity(keys.len());
            for key in keys {
                match self.remover.remove(key.clone()).await {
                    Ok(()) => removed.push(key),
                    Err(ReadError::Stopped) => return Ok(failed),
                    Err(error) => {
                        let error: &dyn std::error::Error = &error;
                        tracing::error!(object = %key, error, "expired object cannot be removed; it is tried again");
                        self.metrics.retention.failures.increment(1);
                        failed += 1;
                    }
                }
            }
            self.index.objects_removed(&removed, now).await?;
        }
    }

    /// Deletes what the rules take by age and by bytes.
    pub(crate) async fn by_rules(&self, policy: &Policy, now: WallMs) -> Result<(), IndexError> {
        let mut unmet = 0;
        for usage in self.index.usage().await? {
            let bounds = policy.bounds(&usage.device, &usage.camera);
            if let Some(max) = bounds.max_age_ms {
                let cutoff = cutoff(now, max);
                self.by_age(&usage.device, &usage.camera, cutoff, now).await?;
            }
            if let Some(max) = bounds.max_bytes {
                let scope = Some((&usage.device, &usage.camera));
                unmet += u64::from(!self.by_bytes(scope, max, Reason::Bytes, now).await?);
            }
        }
        if let Some(max) = policy.vault.max_bytes {
            unmet += u64::from(!self.by_bytes(None, max, Reason::VaultBytes, now).await?);
        }
        self.metrics.retention.unmet.set(unmet as f64);
        Ok(())
    }

    /// Deletes the oldest until `needed` bytes more are free; whether that much could be found.
    pub(crate) async fn for_room(&self, needed: u64, now: WallMs) -> Result<bool, IndexError> {
        let mut left = needed;
        while left > 0 {
            let oldest = self.index.oldest_packs(None, STEP).await?;
            let freed = self.take(oldest, left, Reason::FreeSpace, now).await?;
            if freed == 0 {
                return Ok(false);
            }
            left = left.saturating_sub(freed);
        }
        Ok(true)
    }

    async fn by_age(
        &self,
        device: &DeviceId,
        camera: &CameraName,
        cutoff: WallMs,
        now: WallMs,
    ) -> Result<(), IndexError> {
        loop {
            let old = self.index.stored_before(device, camera, cutoff, STEP).await?;
            if old.is_empty() {
                return Ok(());
            }
            self.delete(&old, Reason::Age, now).await?;
        }
    }

    /// Whether the bound is met at the end.
    async fn by_bytes(
        &self,
        scope: Scope<'_>,
        max: u64,
        reason: Reason,
        now: WallMs,
    ) -> Result<bool, IndexError> {
        loop {
            let excess = self.index.stored_bytes(scope).await?.saturating_sub(max);
            if excess == 0 {
                return Ok(true);
            }
            let oldest = self.index.oldest_packs(scope, STEP).await?;
            if self.take(oldest, excess, reason, now).await? == 0 {
                return Ok(false);
            }
        }
    }

    /// Deletes as many of the oldest as `excess` asks for; gives the bytes that this sets free.
    async fn take(
        &self,
        mut oldest: Vec<Candidate>,
        excess: u64,
        reason: Reason,
        now: WallMs,
    ) -> Result<u64, IndexError> {
        oldest.truncate(how_many(oldest.iter().map(|pack| pack.bytes), excess));
        if oldest.is_empty() {
            return Ok(0);
        }
        self.delete(&oldest, reason, now).await
    }

    /// One step: marks, removes, notes. A pack that was locked meanwhile is left, and asked for no more.
    async fn delete(&self, packs: &[Candidate], reason: Reason, now: WallMs) -> Result<u64, IndexError> {
        let marked = mark(&self.index, &self.metrics, packs, reason, now).await?;
        self.finish(now).await?;
        tokio::time::sleep(self.pause).await;
        Ok(marked.iter().map(|pack| pack.bytes).sum())
    }
}

/// Marks packs as expired and counts those that were; their objects are removed by [`Keeper::finish`].
pub(crate) async fn mark(
    index: &Index,
    metrics: &Metrics,
    packs: &[Candidate],
    reason: Reason,
    now: WallMs,
) -> Result<Vec<Candidate>, IndexError> {
    let marked = index.expire(packs, now).await?;
    let bytes = marked.iter().map(|pack| pack.bytes).sum();
    metrics.retention.deleted(reason, marked.len() as u64, bytes);
    if let Some(first) = marked.first() {
        tracing::info!(rule = %reason, packs = marked.len(), bytes, first = %first.key, "footage is deleted");
    }
    Ok(marked)
}

impl Remover for ObjectReads {
    fn remove(&self, key: ObjectKey) -> impl Future<Output = Result<(), ReadError>> + Send {
        self.delete(key)
    }
}

/// Why a pass ended early; the next one goes on.
#[derive(Debug, thiserror::Error)]
enum PassError {
    #[error(transparent)]
    Index(#[from] IndexError),
    #[error(transparent)]
    Read(#[from] ReadError),
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Runs until the vault stops.
pub(crate) async fn run(core: Arc<Core>) {
    let keeper = Keeper {
        index: core.index.clone(),
        remover: core.reads.clone(),
        metrics: core.metrics.clone(),
        pause: PAUSE,
    };
    let stopping = core.stopping.clone();
    let work = async {
        let mut next_pass = tokio::time::Instant::now();
        loop {
            let now = tokio::time::Instant::now();
            let due = now >= next_pass;
            if due {
                next_pass = now + PASS;
            }
            if let Err(error) = pass(&core, &keeper, due).await {
                let error: &dyn std::error::Error = &error;
                tracing::error!(error, "retention stands still; it is tried again");
                core.metrics.retention.failures.increment(1);
            }
            tokio::select! {
                () = tokio::time::sleep(LOOK) => {}
                () = core.memory.keeper.notified() => next_pass = tokio::time::Instant::now(),
            }
        }
    };
    stopping.run_until_cancelled(work).await;
}

/// All rules where it is time for them, else only the free space.
async fn pass<R: Remover>(core: &Core, keeper: &Keeper<R>, all: bool) -> Result<(), PassError> {
    let policy = core.index.retention().await?.policy;
    let now = core.clock.wall();
    if all {
        keeper.finish(now).await?;
        keeper.by_rules(&policy, now).await?;
        if let Some(max_age_ms) = policy.vault.live_max_age_ms {
            live(core, cutoff(now, max_age_ms)).await?;
        }
    }
    if let Some(min) = policy.vault.min_free_bytes {
        let free = core.reads.free_bytes(core.disk.clone(), core.config.data.clone()).await?;
        let needed = free.map_or(0, |free| min.saturating_sub(free));
        if needed > 0 && !keeper.for_room(needed, now).await? {
            tracing::error!(needed, "disk is low, and nothing is left that may be deleted");
        }
    }
    if all {
        measure(core, now).await?
    }
    Ok(())
}

/// Removes live bytes that came before `cutoff` and that no recorder has claimed, but for what a lock keeps.
async fn live(core: &Core, cutoff: WallMs) -> Result<(), PassError> {
    let files = core.reads.live_files(core.disk.clone(), core.layout()).await?;
    let mut tracks: Vec<_> = files.into_iter().filter(|file| file.begun <= cutoff).collect();
    tracks.dedup_by(|a, b| a.track == b.track);
    for file in tracks {
        let locked = core.index.locked_ranges(&file.track.device, &file.track.camera).await?;
        let gone = core.store.expire_live(&file.track, cutoff, locked).await?;
        core.metrics.retention.live_bytes.increment(gone.bytes);
        if gone.files > 0 {
            let (device, camera) = (&file.track.device, &file.track.camera);
            tracing::info!(%device, %camera, files = gone.files, bytes = gone.bytes, "unclaimed live bytes are deleted");
        }
    }
    Ok(())
}

async fn measure(core: &Core, now: WallMs) -> Result<(), PassError> {
    let usage = core.index.usage().await?;
    let sum = |of: fn(&crate::archive::index::CameraUsage) -> u64| usage.iter().map(of).sum::<u64>() as f64;
    let metrics = &core.metrics.retention;
    metrics.stored_packs.set(sum(|camera| camera.packs));
    metrics.stored_bytes.set(sum(|camera| camera.bytes));
    metrics.locked_packs.set(sum(|camera| camera.locked_packs));
    metrics.locked_bytes.set(sum(|camera| camera.locked_bytes));
    let oldest = usage.iter().map(|camera| camera.oldest).min().unwrap_or(now);
    metrics.oldest_seconds.set(now.0.saturating_sub(oldest.0).max(0) as f64 / 1000.0);
    metrics.pending.set(core.index.count_to_remove().await? as f64);
    Ok(())
}
