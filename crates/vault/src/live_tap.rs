//! [`LiveHub`]: where a later live view listens to what comes in, without slowing it down.
//!
//! A listener that is too slow misses events and is told how many; the sender never waits.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use bytes::Bytes;
use dashvault_base::{CameraName, DeviceId, RecordingId};
use tokio::sync::broadcast;

/// Events a listener may fall behind by.
const BACKLOG: usize = 256;

/// What happens on one camera's live stream.
#[derive(Debug, Clone)]
pub enum LiveEvent {
    /// A publisher has begun.
    Begun(RecordingId),
    /// Bytes as they came, in order.
    Bytes(Bytes),
    /// Packets are missing here.
    Gap,
    /// The publisher has ended.
    Ended,
}

/// A listener's end.
pub type LiveTap = broadcast::Receiver<LiveEvent>;

/// All cameras that somebody listens to.
#[derive(Debug, Default)]
pub struct LiveHub {
    taps: Mutex<HashMap<(DeviceId, CameraName), broadcast::Sender<LiveEvent>>>,
}

impl LiveHub {
    /// Listens to a camera from now on.
    #[must_use]
    pub fn tap(&self, device: &DeviceId, camera: &CameraName) -> LiveTap {
        let mut taps = self.taps();
        taps.retain(|_, sender| sender.receiver_count() > 0);
        let key = (device.clone(), camera.clone());
        taps.entry(key).or_insert_with(|| broadcast::channel(BACKLOG).0).subscribe()
    }

    /// Tells the camera's listeners, if there are any.
    pub(crate) fn tell(&self, device: &DeviceId, camera: &CameraName, event: impl FnOnce() -> LiveEvent) {
        let taps = self.taps();
        if taps.is_empty() {
            return;
        }
        if let Some(sender) = taps.get(&(device.clone(), camera.clone())) {
            // Nobody there any more is fine.
            let _ = sender.send(event());
        }
    }

    fn taps(&self) -> MutexGuard<'_, HashMap<(DeviceId, CameraName), broadcast::Sender<LiveEvent>>> {
        self.taps.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
