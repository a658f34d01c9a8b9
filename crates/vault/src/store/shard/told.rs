//! What is announced and not stored, into the index: in batches, at each tick, so that it is known while a vehicle is away.

use super::{Shard, report};
use crate::archive::index::AnnouncedRow;

/// Rows of one transaction.
const AT_ONCE: usize = 1000;
/// Rows that wait while the index fails; beyond it the oldest are left out until they are announced again.
const MOST_WAITING: usize = 20_000;

impl Shard {
    pub(super) fn note_told(&mut self) {
        for (track, used) in &mut self.announced {
            let told = used.camera.take_told().into_iter();
            self.told.extend(told.map(|runs| AnnouncedRow {
                device: track.device.clone(),
                camera: track.camera.clone(),
                runs,
            }));
        }
        for (track, used) in &mut self.plain {
            let told = used.camera.take_told().into_iter();
            self.told.extend(told.map(|runs| AnnouncedRow {
                device: track.device.clone(),
                camera: track.camera.clone(),
                runs,
            }));
        }
        let now = self.context.archive.clock.wall();
        while !self.told.is_empty() {
            let batch = self.told.get(..self.told.len().min(AT_ONCE)).unwrap_or_default();
            let noted = self.context.runtime.block_on(self.context.index.note_announced(batch, now));
            if let Err(error) = noted {
                report("what is announced cannot be noted", "index", &error);
                let beyond = self.told.len().saturating_sub(MOST_WAITING);
                self.told.drain(..beyond);
                return;
            }
            self.told.drain(..self.told.len().min(AT_ONCE));
        }
    }
}
