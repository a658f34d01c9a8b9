//! A pack under construction, as the timeline sees it.

use dashvault_base::WallMs;

use super::Assembly;
use crate::timeline::{Contents, Entry, Held, SegmentTiming};

impl Assembly {
    /// What is announced of it, and what of that is here. `start` is the wall time of its first byte.
    pub(crate) fn contents(&self, start: WallMs) -> Contents {
        let start = self.seal().map_or(start, |seal| seal.0.manifest().start_wall);
        let entries = self.segments.iter().map(|slot| Entry {
            bytes: slot.notice.len,
            timing: SegmentTiming {
                wall: start.plus_ms(slot.notice.at.into()),
                pts: slot.notice.pts,
                duration: slot.notice.dur,
            },
            held: slot.verified.map_or(Held::OnVehicle, |how| Held::of(how, false, false)),
            keyframe: true,
        });
        Contents(entries.collect())
    }
}
