//! Which cameras are sending live now.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use dashvault_base::{CameraName, DeviceId};

type Counts = HashMap<DeviceId, HashMap<CameraName, usize>>;

/// How many live sessions each camera has; while one takes another's place there are two.
#[derive(Debug, Default)]
pub(crate) struct Publishing(Mutex<Counts>);

/// A session that goes on as long as this lives.
#[derive(Debug)]
pub(crate) struct Live<'a> {
    publishing: &'a Publishing,
    device: DeviceId,
    camera: CameraName,
}

impl Publishing {
    /// A session begins.
    pub(crate) fn begin(&self, device: &DeviceId, camera: &CameraName) -> Live<'_> {
        *self.counts().entry(device.clone()).or_default().entry(camera.clone()).or_default() += 1;
        Live { publishing: self, device: device.clone(), camera: camera.clone() }
    }

    /// The cameras of a device that are live.
    pub(crate) fn cameras(&self, device: &DeviceId) -> Vec<CameraName> {
        self.counts().get(device).map(|cameras| cameras.keys().cloned().collect()).unwrap_or_default()
    }

    fn counts(&self) -> MutexGuard<'_, Counts> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Live<'_> {
    fn drop(&mut self) {
        let mut counts = self.publishing.counts();
        let Some(cameras) = counts.get_mut(&self.device) else { return };
        if let Some(count) = cameras.get_mut(&self.camera) {
            *count -= 1;
            if *count == 0 {
                cameras.remove(&self.camera);
            }
        }
        if cameras.is_empty() {
            counts.remove(&self.device);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_camera_is_live_until_its_last_session_ends() {
        let publishing = Publishing::default();
        let (bus, front): (DeviceId, CameraName) = ("bus".parse().unwrap(), "front".parse().unwrap());
        let first = publishing.begin(&bus, &front);
        let second = publishing.begin(&bus, &front);
        drop(first);
        assert_eq!(publishing.cameras(&bus), std::slice::from_ref(&front));
        drop(second);
        assert!(publishing.cameras(&bus).is_empty() && publishing.counts().is_empty());
    }
}
