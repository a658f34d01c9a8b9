//! Events on the vehicle's disk: the file that waits for the vault's acknowledgement, and the marker that names it.
//!
//! Belongs here: where they lie and how they are written, also while no recorder runs. Not here: what an event says
//! (`dashvault-wire`), when it is told.

use dashvault_base::{CameraName, WallMs};
use dashvault_disk::{Disk, DiskError};

use crate::SpoolLayout;

/// The line of a marker that says that its event was left by whoever wrote it.
const NAMED: &str = "event ";

/// Leaves an event, written as JSON, for the vault. Returns after it is durable.
///
/// # Errors
/// The disk fails.
pub fn leave_event(
    disk: &dyn Disk,
    layout: &SpoolLayout,
    camera: &CameraName,
    id: &str,
    json: &[u8],
) -> Result<(), DiskError> {
    disk.create_dir_all(&layout.events(camera))?;
    disk.write_atomic(&layout.event(camera, id), json)
}

/// What a marker says whose event was left.
#[must_use]
pub fn marker_text(at: WallMs, note: &str, id: &str) -> String {
    format!("{at} {note}\n{NAMED}{id}\n")
}

/// Whether a marker's event was left by whoever wrote it.
#[must_use]
pub fn names_its_event(marker: &str) -> bool {
    marker.lines().any(|line| line.starts_with(NAMED))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marker_names_its_event_and_a_foreign_one_does_not() {
        assert!(names_its_event(&marker_text(WallMs(0), "a bang", "x1")));
        assert!(!names_its_event("button\n"));
        assert!(!names_its_event("an event"));
    }
}
