//! Who waits for which packs: what the index says, asked now and then and remembered in between.

use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use dashvault_base::{CameraName, DeviceId, PackId};

use crate::archive::objects::ObjectKey;

/// A device is told so often, and the index asked.
const EVERY: Duration = Duration::from_secs(10);

/// Packs of one device.
pub(crate) type Packs = Arc<HashSet<(CameraName, PackId)>>;

/// What is remembered; a device has one entry.
#[derive(Debug, Default)]
pub(crate) struct Requests {
    devices: Mutex<HashMap<DeviceId, (Instant, Packs)>>,
}

impl Requests {
    /// What a device's packs are that somebody waits for; `None` when the index must be asked, and the device told.
    pub(crate) fn known(&self, device: &DeviceId) -> Option<Packs> {
        let devices = self.lock();
        let (asked, packs) = devices.get(device)?;
        (asked.elapsed() < EVERY).then(|| packs.clone())
    }

    /// The index has said it.
    pub(crate) fn learned(&self, device: &DeviceId, keys: &[ObjectKey]) -> Packs {
        let packs: Packs = Arc::new(keys.iter().map(|key| (key.camera.clone(), key.pack)).collect());
        self.lock().insert(device.clone(), (Instant::now(), packs.clone()));
        packs
    }

    /// Somebody has asked for something: the device is told the next time it is heard of.
    pub(crate) fn changed(&self, device: &DeviceId) {
        self.lock().remove(device);
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<DeviceId, (Instant, Packs)>> {
        self.devices.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
