//! What the recorder's threads and tasks share.
//!
//! Belongs here: the one value they all hold, and its locks. Not here: what anybody does with it.
//!
//! Invariants: no lock is held across an `.await` or a disk access; of two locks only `ring` then `book` are ever held
//! together, in no code at present.

use std::collections::BTreeMap;
use std::sync::atomic::AtomicU64;
use std::sync::{Mutex, MutexGuard, PoisonError};

use dashvault_base::{CameraName, DeviceId, LossCause, RecordingId};
use dashvault_spool::{Folder, Loss, Spool};
use dashvault_wire::{DeviceStatus, EventNotice};
use tokio::sync::Notify;

use crate::backfill::{Believer, Book};
use crate::camera::Downtime;
use crate::config::RecorderConfig;
use crate::governor::Governor;
use crate::live::LiveRing;
use crate::reach::Reach;
use crate::status::{LiveStatus, Phase, VaultStatus};
use crate::telling;

/// Shared by all.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) config: RecorderConfig,
    pub(crate) spool: Spool,
    /// Those that are recorded, in the order of the settings; then others that the spool has footage of.
    pub(crate) cameras: Vec<CameraShared>,
    pub(crate) believer: Option<Believer>,
    pub(crate) reach: Reach,
    pub(crate) wire: WireCounters,
    book: Mutex<Book>,
    /// The book has news for the announcer.
    pub(crate) book_news: Notify,
    /// The book may have jobs for the uploaders.
    pub(crate) jobs: Notify,
    governor: Mutex<Governor>,
    pub(crate) vault: Mutex<VaultStatus>,
    pub(crate) phase: Mutex<Phase>,
    losses: Mutex<LossTally>,
    /// What the vault has not acknowledged, as last looked at.
    pub(crate) events: Mutex<Vec<EventNotice>>,
    /// How the recorder is, as the vault may be told.
    status: Mutex<DeviceStatus>,
}

/// Shared by those who serve one camera.
#[derive(Debug)]
pub(crate) struct CameraShared {
    pub(crate) name: CameraName,
    ring: Mutex<LiveRing>,
    /// The ring has something new.
    pub(crate) fresh: Notify,
    pub(crate) live: Mutex<LiveStatus>,
    pub(crate) capture: Mutex<CaptureFacts>,
    /// The time in which it gives nothing.
    pub(crate) downtime: Mutex<Downtime>,
}

/// What the capture thread knows for the snapshot.
#[derive(Clone, Debug, Default)]
pub(crate) struct CaptureFacts {
    pub(crate) recording: Option<RecordingId>,
    pub(crate) encoder: Option<String>,
    /// Why there is no process yet.
    pub(crate) trouble: Option<String>,
}

/// Bytes handed to the network.
#[derive(Debug, Default)]
pub(crate) struct WireCounters {
    pub(crate) live: AtomicU64,
    pub(crate) live_retransmitted: AtomicU64,
    pub(crate) backfill: AtomicU64,
    pub(crate) announce: AtomicU64,
}

/// Lost milliseconds of this run, by camera and cause, each loss once.
#[derive(Debug, Default)]
struct LossTally {
    counted: BTreeMap<(CameraName, String), u64>,
    lost_ms: BTreeMap<(CameraName, LossCause), u64>,
}

impl Shared {
    pub(crate) fn new(config: RecorderConfig, spool: Spool, governor: Governor) -> Self {
        let camera = |name: &CameraName| CameraShared {
            name: name.clone(),
            ring: Mutex::new(LiveRing::new(config.live_ring_bytes)),
            fresh: Notify::new(),
            live: Mutex::default(),
            capture: Mutex::default(),
            downtime: Mutex::default(),
        };
        let names = camera_names(&config, &spool);
        let cameras: Vec<_> = names.iter().map(camera).collect();
        let believer = config.token.as_ref().map(|token| Believer {
            key: token.live_key(),
            device: config.device.clone(),
            cameras: names,
        });
        let book = Book::new(cameras.len());
        let losses = LossTally::default();
        let shared = Self {
            config,
            spool,
            cameras,
            believer,
            reach: Reach::new(),
            wire: WireCounters::default(),
            book: Mutex::new(book),
            book_news: Notify::new(),
            jobs: Notify::new(),
            governor: Mutex::new(governor),
            vault: Mutex::default(),
            phase: Mutex::default(),
            losses: Mutex::new(losses),
            events: Mutex::default(),
            status: Mutex::default(),
        };
        // What was lost in earlier runs is announced, but not counted as this run's.
        let earlier = shared.spool.losses();
        let mut tally = lock(&shared.losses);
        tally.counted = earlier.into_iter().map(|loss| ((loss.camera, loss.id), loss.lost_ms)).collect();
        drop(tally);
        shared
    }

    pub(crate) fn book(&self) -> MutexGuard<'_, Book> {
        lock(&self.book)
    }

    pub(crate) fn governor(&self) -> MutexGuard<'_, Governor> {
        lock(&self.governor)
    }

    pub(crate) fn device(&self) -> &DeviceId {
        &self.config.device
    }

    /// The camera's place in the settings.
    pub(crate) fn camera_index(&self, name: &CameraName) -> Option<usize> {
        self.cameras.iter().position(|camera| camera.name == *name)
    }

    /// The losses that the vault has not acknowledged; each is counted for the snapshot the first time it is seen here.
    pub(crate) fn losses(&self) -> Vec<Loss> {
        // Held while the spool is looked at, so that no older look undoes a newer one.
        let mut tally = lock(&self.losses);
        let growing = self.spool.growing_losses();
        let losses = self.spool.losses();
        for loss in growing.iter().chain(&losses) {
            let key = (loss.camera.clone(), loss.id.clone());
            let before = tally.counted.insert(key, loss.lost_ms).unwrap_or_default();
            let more = loss.lost_ms.saturating_sub(before);
            *tally.lost_ms.entry((loss.camera.clone(), loss.cause)).or_default() += more;
        }
        drop(tally);
        losses
    }

    /// The vault has a loss: its name need not be remembered.
    pub(crate) fn loss_acknowledged(&self, camera: &CameraName, id: &str) {
        lock(&self.losses).counted.remove(&(camera.clone(), id.to_owned()));
    }

    /// How many losses and events the vault has not acknowledged.
    pub(crate) fn untold(&self) -> u64 {
        (self.losses().len() + lock(&self.events).len()) as u64
    }

    /// Keeps how the recorder is, for the next time that the vault is told.
    pub(crate) fn tell(&self, status: DeviceStatus) {
        let before = std::mem::replace(&mut *lock(&self.status), status.clone());
        if telling::differs_much(&before, &status) {
            self.book_news.notify_one();
        }
    }

    /// How the recorder is.
    pub(crate) fn device_status(&self) -> DeviceStatus {
        lock(&self.status).clone()
    }

    /// Lost milliseconds of one camera in this run, by cause, up to now: also of what is being lost.
    pub(crate) fn lost_ms(&self, camera: &CameraName) -> BTreeMap<LossCause, u64> {
        self.losses();
        let tally = lock(&self.losses);
        let own = tally.lost_ms.iter().filter(|((name, _), ms)| name == camera && **ms > 0);
        own.map(|((_, cause), ms)| (*cause, *ms)).collect()
    }
}

impl CameraShared {
    pub(crate) fn ring(&self) -> MutexGuard<'_, LiveRing> {
        lock(&self.ring)
    }
}

fn camera_names(config: &RecorderConfig, spool: &Spool) -> Vec<CameraName> {
    let recorded = config.cameras.iter().map(|spec| spec.name.clone());
    let packs = Folder::ALL.into_iter().flat_map(|folder| spool.packs(folder)).map(|info| info.camera);
    let losses = spool.losses().into_iter().map(|loss| loss.camera);
    let mut names = Vec::new();
    for name in recorded.chain(packs).chain(losses) {
        if !names.contains(&name) {
            names.push(name);
        }
    }
    names
}

/// Locks; a panic elsewhere does not spread, since every lock holds a value that is whole between statements.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
