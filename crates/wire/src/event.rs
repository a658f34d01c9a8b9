//! What happened in the vehicle: a range of time that somebody or something marked.
//!
//! Belongs here: the notice and its limits. Not here: what a mark does to eviction, retention or the order of uploads.

use dashvault_base::{CameraName, ContentHash, DeviceId, WallMs};
use serde::{Deserialize, Serialize};

use crate::announce::AnnounceError;
use crate::status::cut;

/// The most event notices in one announcement.
pub const MAX_EVENTS: usize = 64;
/// The longest note, in bytes.
pub const MAX_NOTE_BYTES: usize = 1000;

/// One event.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EventNotice {
    /// Names this event for ever within the device, so that telling it twice counts once: 1 to 64 of `A-Z a-z 0-9 _ -`.
    pub id: String,
    /// The camera; none: all of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub camera: Option<CameraName>,
    /// When it begins, by the recorder's clock.
    pub from: WallMs,
    /// When it ends; not before it begins.
    pub to: WallMs,
    /// What kind, such as `button`, `manual`, `api`: 1 to 64 of `A-Z a-z 0-9 _ -`.
    pub kind: String,
    /// What happened, in the words of whoever marked it.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub note: String,
}

impl EventNotice {
    /// An event of one camera, whose id follows from all that it says. The note is cut to what fits.
    #[must_use]
    pub fn of_camera(camera: &CameraName, from: WallMs, to: WallMs, kind: &str, note: &str) -> Self {
        let said = format!("{camera} {} {} {kind} {note}", from.0, to.0);
        Self {
            id: ContentHash::of(said.as_bytes()).to_string().chars().take(32).collect(),
            camera: Some(camera.clone()),
            from,
            to: to.max(from.plus_ms(1)),
            kind: kind.to_owned(),
            note: cut(note, MAX_NOTE_BYTES),
        }
    }

    /// Whether it says nothing that cannot be: names, range, length.
    #[must_use]
    pub fn is_valid(&self) -> bool {
        // A device's id is a name of the same kind.
        let is_name = |text: &str| text.parse::<DeviceId>().is_ok();
        is_name(&self.id) && is_name(&self.kind) && self.from <= self.to && self.note.len() <= MAX_NOTE_BYTES
    }
}

/// Checks the events of one announcement.
pub(crate) fn validate(events: &[EventNotice]) -> Result<(), AnnounceError> {
    if events.len() > MAX_EVENTS {
        return Err(AnnounceError::TooMany { what: "events", count: events.len(), max: MAX_EVENTS });
    }
    match events.iter().find(|event| !event.is_valid()) {
        Some(event) => Err(AnnounceError::Event(event.id.chars().take(80).collect())),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event() -> EventNotice {
        EventNotice {
            id: "button-1".into(),
            camera: None,
            from: WallMs(1),
            to: WallMs(2),
            kind: "button".into(),
            note: String::new(),
        }
    }

    #[test]
    fn event_that_cannot_be_is_refused_by_its_id() {
        assert_eq!(validate(&[event()]), Ok(()));
        for wrong in [
            EventNotice { id: "../x".into(), ..event() },
            EventNotice { kind: String::new(), ..event() },
            EventNotice { to: WallMs(0), ..event() },
            EventNotice { note: "x".repeat(MAX_NOTE_BYTES + 1), ..event() },
        ] {
            assert_eq!(validate(&[event(), wrong.clone()]), Err(AnnounceError::Event(wrong.id)));
        }
        assert!(validate(&vec![event(); MAX_EVENTS + 1]).is_err());
    }

    #[test]
    fn same_event_has_the_same_id_and_says_nothing_that_cannot_be() {
        let event =
            |note: &str| EventNotice::of_camera(&CameraName::main(), WallMs(5), WallMs(5), "button", note);
        assert_eq!(event("a bang"), event("a bang"));
        assert_ne!(event("a bang").id, event("another").id);
        assert!(event(&"ä".repeat(MAX_NOTE_BYTES)).is_valid());
    }

    #[test]
    fn event_of_all_cameras_names_none() {
        let text = serde_json::to_string(&event()).unwrap();
        assert_eq!(text, r#"{"id":"button-1","from":1,"to":2,"kind":"button"}"#);
        assert_eq!(serde_json::from_str::<EventNotice>(&text).unwrap(), event());
    }
}
