//! Which views are worth a line: watching asks many times a second, and is one act.

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

use dashvault_base::{CameraName, DeviceId};

/// Watching that goes on is noted again after this time.
const AGAIN: Duration = Duration::from_secs(600);
/// Viewings that are remembered; beyond, some are noted more often.
const ROOM: usize = 10_000;

/// Who watches what, and since when that is noted.
#[derive(Debug, Default)]
pub(crate) struct Views {
    noted: HashMap<(String, Option<DeviceId>, Option<CameraName>), Instant>,
}

impl Views {
    /// Whether a view is worth a line now; it counts as noted then.
    pub(crate) fn is_new(
        &mut self,
        now: Instant,
        who: &str,
        device: Option<&DeviceId>,
        camera: Option<&CameraName>,
    ) -> bool {
        let key = (who.to_owned(), device.cloned(), camera.cloned());
        if self.noted.get(&key).is_some_and(|noted| now.saturating_duration_since(*noted) < AGAIN) {
            return false;
        }
        if self.noted.len() >= ROOM {
            self.noted.retain(|_, noted| now.saturating_duration_since(*noted) < AGAIN);
        }
        if self.noted.len() >= ROOM {
            self.noted.clear();
        }
        self.noted.insert(key, now);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn watching_is_noted_once_in_ten_minutes_for_each_caller_and_camera() {
        let (mut views, start) = (Views::default(), Instant::now());
        let (bus, front, rear): (DeviceId, CameraName, CameraName) =
            ("bus".parse().unwrap(), "front".parse().unwrap(), "rear".parse().unwrap());
        let mut at = |seconds, who, camera| {
            views.is_new(start + Duration::from_secs(seconds), who, Some(&bus), Some(camera))
        };
        assert!(at(0, "anna", &front) && !at(1, "anna", &front) && !at(599, "anna", &front));
        assert!(at(2, "anna", &rear) && at(2, "bert", &front));
        assert!(at(600, "anna", &front) && !at(1199, "anna", &front) && at(1200, "anna", &front));
    }

    #[test]
    fn a_flood_of_callers_takes_bounded_room() {
        let (mut views, now) = (Views::default(), Instant::now());
        for n in 0..3 * ROOM {
            assert!(views.is_new(now, &n.to_string(), None, None));
        }
        assert!(views.noted.len() <= ROOM);
    }
}
