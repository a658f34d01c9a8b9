//! [`LiveHub`]: the tracks of all cameras, who feeds them and who waits for them.
//!
//! A track has one mutex, held for moments and never across an await. Whoever feeds it wakes a watch; whoever waits looks
//! again. Nothing here touches a disk but the index, for numbers, which no publisher waits for once it is admitted.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use bytes::Bytes;
use dashvault_base::{CameraName, DeviceId};
use dashvault_wire::PackAnnounce;
use tokio::{sync::watch, time::timeout};

use super::{
    numbers::BLOCK,
    track::{Feeding, Now, Track},
};
use crate::{
    archive::index::{Index, IndexError},
    core::Core,
    store::{SessionHandle, SessionKind},
};

type Key = (DeviceId, CameraName);

/// All tracks: those of cameras that were live or looked at since the vault started.
#[derive(Debug, Default)]
pub(crate) struct LiveHub {
    tracks: Mutex<HashMap<Key, Arc<LiveTrack>>>,
}

/// One track, shared by whoever feeds it and whoever watches.
#[derive(Debug)]
pub(crate) struct LiveTrack {
    state: Mutex<Track>,
    changed: watch::Sender<()>,
}

/// A session's way into its track. Dropping it ends the session there.
#[derive(Debug)]
pub(crate) struct LiveFeed {
    track: Arc<LiveTrack>,
    feeding: Feeding,
}

impl LiveHub {
    /// The track of a camera, where there is one.
    pub(crate) fn find(&self, device: &DeviceId, camera: &CameraName) -> Option<Arc<LiveTrack>> {
        lock(&self.tracks).get(&(device.clone(), camera.clone())).cloned()
    }

    /// The track of a camera, with numbers reserved for it.
    pub(crate) async fn open(
        &self,
        core: &Core,
        device: &DeviceId,
        camera: &CameraName,
    ) -> Result<Arc<LiveTrack>, IndexError> {
        let key = (device.clone(), camera.clone());
        let track = lock(&self.tracks).entry(key).or_insert_with(|| LiveTrack::new(core.now())).clone();
        if !track.lock().numbers().is_known() {
            track.reserve(core, device, camera).await?;
        }
        Ok(track)
    }

    /// A session begins. Without numbers nothing of it is shown until some can be reserved; it is kept all the same.
    pub(crate) async fn feed(&self, core: &Core, session: &SessionHandle) -> LiveFeed {
        let (device, camera) = (&session.track.device, &session.track.camera);
        let track = match self.open(core, device, camera).await {
            Ok(track) => track,
            Err(error) => {
                tracing::error!(%device, %camera, %error, "live numbers cannot be reserved");
                let key = (device.clone(), camera.clone());
                lock(&self.tracks).entry(key).or_insert_with(|| LiveTrack::new(core.now())).clone()
            }
        };
        let feeding = Feeding {
            session: session.id,
            recording: session.recording,
            is_recorder: session.kind == SessionKind::Announced,
        };
        track.lock().begin(feeding, core.now());
        LiveFeed { track, feeding }
    }

    /// What a vehicle announces says when its frames were recorded.
    pub(crate) fn announced(&self, device: &DeviceId, packs: &[PackAnnounce]) {
        for announced in packs {
            let Some(track) = self.find(device, &announced.camera) else { continue };
            let seen = announced
                .segments
                .iter()
                .filter_map(|segment| Some((segment.pts?, announced.start_wall.plus_ms(segment.at.into()))));
            track.lock().observe(announced.pack.recording, seen);
        }
    }

    /// Bytes that are held for viewers.
    pub(crate) fn bytes(&self) -> usize {
        self.all().iter().map(|(_, track)| track.lock().bytes()).sum()
    }

    /// Gives back what numbers were not used; nothing may be fed any more.
    pub(crate) async fn close(&self, index: &Index) {
        for ((device, camera), track) in self.all() {
            let numbers = track.lock().numbers();
            if !numbers.is_known() {
                continue;
            }
            let (rest, end) = numbers.rest();
            if let Err(error) = index.return_live_numbers(&device, &camera, end, rest).await {
                tracing::warn!(%device, %camera, %error, "live numbers cannot be given back; they are skipped");
            }
        }
    }

    fn all(&self) -> Vec<(Key, Arc<LiveTrack>)> {
        lock(&self.tracks).iter().map(|(key, track)| (key.clone(), track.clone())).collect()
    }
}

/// What is due by time: numbers, and memory that nobody looks at any more.
pub(crate) async fn housekeeping(core: &Core) {
    for ((device, camera), track) in core.live.all() {
        let few = {
            let mut state = track.lock();
            state.tick(core.now());
            state.numbers().are_few() && state.is_fed()
        };
        if few && let Err(error) = track.reserve(core, &device, &camera).await {
            tracing::error!(%device, %camera, %error, "live numbers cannot be reserved");
        }
    }
    #[expect(clippy::cast_precision_loss, reason = "a metric")]
    core.metrics.live_bytes.set(core.live.bytes() as f64);
}

impl LiveTrack {
    fn new(now: Now) -> Arc<Self> {
        let (changed, _) = watch::channel(());
        Arc::new(Self { state: Mutex::new(Track::new(now)), changed })
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, Track> {
        lock(&self.state)
    }

    /// Looks until there is an answer, as often as the track changes; `None` when that took `hold`, or the vault stops.
    pub(crate) async fn wait<T>(
        &self,
        core: &Core,
        hold: Duration,
        mut look: impl FnMut(&mut Track) -> Option<T>,
    ) -> Option<T> {
        let mut changes = self.changed.subscribe();
        let answered = async {
            loop {
                changes.mark_unchanged();
                if let Some(answer) = look(&mut self.lock()) {
                    return Some(answer);
                }
                changes.changed().await.ok()?;
            }
        };
        let held = core.stopping.run_until_cancelled(timeout(hold, answered)).await;
        held.and_then(Result::ok).flatten()
    }

    async fn reserve(&self, core: &Core, device: &DeviceId, camera: &CameraName) -> Result<(), IndexError> {
        let first = u64::try_from(core.clock.wall().0 / 1000).unwrap_or(0);
        let block = core.index.reserve_live_numbers(device, camera, first, BLOCK).await?;
        self.lock().add_numbers(block);
        Ok(())
    }
}

impl LiveFeed {
    /// The session's next bytes. Never waits for more than a viewer's look.
    pub(crate) fn data(&self, core: &Core, data: &[Bytes]) {
        if self.track.lock().data(self.feeding, data, core.now()) {
            self.track.changed.send_replace(());
        }
    }

    /// Packets are lost for good.
    pub(crate) fn lost(&self) {
        self.track.lock().lost(self.feeding.session);
    }
}

impl Drop for LiveFeed {
    fn drop(&mut self) {
        self.track.lock().end(self.feeding.session);
    }
}

impl Core {
    /// Both clocks.
    pub(crate) fn now(&self) -> Now {
        Now { mono: self.clock.now(), wall: self.clock.wall() }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
