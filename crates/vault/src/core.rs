//! What every task of a running vault shares.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, MutexGuard, OnceLock, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use dashvault_base::{CameraName, Clock, DeviceId, RecordingId};
use dashvault_disk::Disk;
use dashvault_media::SigningKey;
use tokio_util::sync::CancellationToken;

use crate::{
    VaultConfig,
    archive::{
        index::{Index, IndexError, RecordingKind},
        objects::{ObjectKey, ObjectStore},
    },
    audit::{AuditLog, Views},
    clips,
    http::access::Act,
    import::Desk,
    layout::Layout,
    live::LiveHub,
    metrics::Metrics,
    publishing::Publishing,
    requests::Requests,
    store::{ObjectReads, Store},
    thumbnails::Thumbnails,
    uploads::UploadTable,
    users::{guessing::Guessing, password::Hashing},
};

/// A device's `last_seen` is written at most this often.
const TOUCH: Duration = Duration::from_secs(10);
/// Recordings whose kind is remembered.
const MAX_CLAIMS: usize = 4096;

/// One vault's parts, by name.
#[derive(Debug)]
pub(crate) struct Core {
    pub(crate) config: VaultConfig,
    pub(crate) clock: Arc<dyn ClockDebug>,
    pub(crate) disk: Arc<dyn Disk>,
    pub(crate) index: Index,
    pub(crate) store: Store,
    pub(crate) reads: ObjectReads,
    pub(crate) objects: Arc<dyn ObjectStore>,
    /// The vault's own.
    pub(crate) key: Arc<SigningKey>,
    pub(crate) clips: clips::Desk,
    pub(crate) thumbnails: Thumbnails,
    pub(crate) uploads: Arc<UploadTable>,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) imports: Desk,
    pub(crate) live: LiveHub,
    pub(crate) gates: Gates,
    /// Cancelled when the vault stops.
    pub(crate) stopping: CancellationToken,
    pub(crate) memory: Memory,
    /// What callers do is noted here; see `Core::audit`.
    pub(crate) audit: AuditLog,
}

/// What a running vault remembers between requests; it begins empty.
#[derive(Debug, Default)]
pub(crate) struct Memory {
    touched: Mutex<HashMap<DeviceId, Instant>>,
    claims: Mutex<HashMap<(DeviceId, CameraName, RecordingId), RecordingKind>>,
    /// When a device was told of its missing packs, and up to which.
    missing_told: Mutex<HashMap<DeviceId, (Instant, Option<ObjectKey>)>>,
    pub(crate) requests: Requests,
    sessions: AtomicU64,
    /// Tells the keeper that there is something to do.
    pub(crate) keeper: tokio::sync::Notify,
    views: Mutex<Views>,
    ports: OnceLock<(u16, u16)>,
    pub(crate) publishing: Publishing,
    pub(crate) guessing: Guessing,
    pub(crate) hashing: Hashing,
}

impl Memory {
    /// Notes at which ports HTTP and SRT listen.
    pub(crate) fn listens_at(&self, http: u16, srt: u16) {
        // The vault listens once.
        let _ = self.ports.set((http, srt));
    }

    /// Where HTTP and SRT listen.
    pub(crate) fn ports(&self) -> (u16, u16) {
        self.ports.get().copied().unwrap_or_default()
    }

    /// Whether a view is worth a line of the audit log.
    pub(crate) fn is_new_view(&self, now: Instant, who: &str, act: &Act) -> bool {
        lock(&self.views).is_new(now, who, act.device.as_ref(), act.camera.as_ref())
    }
}

/// A clock that can be shown in a `Debug` of its owner.
pub(crate) trait ClockDebug: Clock + std::fmt::Debug {}
impl<T: Clock + std::fmt::Debug> ClockDebug for T {}

impl Core {
    /// Where things lie.
    pub(crate) fn layout(&self) -> Layout {
        Layout::new(&self.config.data)
    }

    /// A number no other live session of this run has.
    pub(crate) fn next_session(&self) -> u64 {
        self.memory.sessions.fetch_add(1, Ordering::Relaxed)
    }

    /// Notes that a device was heard of, now and then.
    pub(crate) async fn touch(&self, device: &DeviceId) -> Result<(), IndexError> {
        {
            let mut touched = lock(&self.memory.touched);
            if touched.get(device).is_some_and(|last| last.elapsed() < TOUCH) {
                return Ok(());
            }
            touched.insert(device.clone(), Instant::now());
        }
        self.index.touch_device(device, self.clock.wall()).await
    }

    /// Whether a device may be told of missing packs again, and after which one it goes on; `None`: not yet.
    pub(crate) fn may_tell_missing(&self, device: &DeviceId) -> Option<Option<ObjectKey>> {
        match lock(&self.memory.missing_told).get(device) {
            Some((at, _)) if at.elapsed() < self.config.limits.missing_interval => None,
            Some((_, after)) => Some(after.clone()),
            None => Some(None),
        }
    }

    /// Notes that a device was told of its missing packs up to `last`; without one it was told of all.
    pub(crate) fn missing_told(&self, device: &DeviceId, last: Option<ObjectKey>) {
        lock(&self.memory.missing_told).insert(device.clone(), (Instant::now(), last));
    }

    /// Notes a recording's kind unless it has one; gives the one it has. `None`: the device may not have that many
    /// cameras.
    pub(crate) async fn claim(
        &self,
        device: &DeviceId,
        camera: &CameraName,
        recording: RecordingId,
        kind: RecordingKind,
    ) -> Result<Option<RecordingKind>, IndexError> {
        let key = (device.clone(), camera.clone(), recording);
        if let Some(kind) = lock(&self.memory.claims).get(&key) {
            return Ok(Some(*kind));
        }
        let cameras = self.index.cameras(device).await?;
        if !cameras.contains(camera) && cameras.len() >= self.config.limits.cameras_per_device {
            return Ok(None);
        }
        let kind = self.index.claim_recording(device, camera, recording, kind, self.clock.wall()).await?;
        let mut claims = lock(&self.memory.claims);
        if claims.len() >= MAX_CLAIMS {
            claims.clear();
        }
        claims.insert(key, kind);
        Ok(Some(kind))
    }
}

/// One token for each device that is doing something; revoking the device cancels it.
#[derive(Debug, Default)]
pub(crate) struct Gates {
    open: Mutex<HashMap<DeviceId, CancellationToken>>,
}

impl Gates {
    /// A token that is cancelled when the device is revoked.
    pub(crate) fn enter(&self, device: &DeviceId) -> CancellationToken {
        lock(&self.open).entry(device.clone()).or_default().child_token()
    }

    /// Ends everything that a revoked device is doing.
    pub(crate) fn close(&self, revoked: &[DeviceId]) {
        let mut open = lock(&self.open);
        for device in revoked {
            if let Some(token) = open.remove(device) {
                tracing::warn!(%device, "device is revoked: what it was doing ends");
                token.cancel();
            }
        }
    }

    /// Whether any device is doing something.
    pub(crate) fn is_empty(&self) -> bool {
        lock(&self.open).is_empty()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
