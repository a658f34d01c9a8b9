//! Which segments a playlist lists, and where its time jumps.

use dashvault_base::{Pts, RecordingId, Ticks90k, WallMs};

use super::{
    contents::{Contents, Held},
    place::{continues, meets},
    span::WallRange,
};
use crate::archive::objects::ObjectKey;

/// A segment of another recording may begin so long before the last one ends: how exactly clocks are read.
const OVERLAP_MS: i64 = 250;

/// A pack, to be played as far as it is here.
#[derive(Debug, Clone)]
pub(crate) struct PlaylistPack {
    pub(crate) key: ObjectKey,
    pub(crate) contents: Contents,
}

/// One or more neighbouring segments of a pack.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Listed<'a> {
    pub(crate) key: &'a ObjectKey,
    pub(crate) start_byte: u64,
    pub(crate) bytes: u64,
    pub(crate) range: WallRange,
    pub(crate) duration: Ticks90k,
    /// Time does not go on from the one before.
    pub(crate) jumps: bool,
    /// The first one listed of its pack.
    pub(crate) opens_pack: bool,
    pts: Option<Pts>,
    end_pts: Option<Pts>,
    position: usize,
}

/// The segments that meet `range`, in the order to play them.
pub(crate) fn list(range: WallRange, packs: &[PlaylistPack]) -> Vec<Listed<'_>> {
    let mut all: Vec<Listed<'_>> = packs.iter().flat_map(segments).collect();
    all.retain(|segment| segment.range.intersection(range).is_some());
    all.sort_by_key(|segment| (segment.range.from, segment.key.pack, segment.position));
    let mut chosen: Vec<Listed<'_>> = Vec::with_capacity(all.len());
    for mut next in all {
        if let Some(last) = chosen.last() {
            next.jumps = !last.goes_on_in(&next);
            next.opens_pack = last.key != next.key;
            if next.jumps {
                if next.range.from.plus_ms(OVERLAP_MS) < last.range.to {
                    continue;
                }
                let later = WallRange::new(next.range.from.max(last.range.to), next.range.to);
                // What is left of it may lie beyond what was asked for.
                let Some(later) = later.filter(|later| later.intersection(range).is_some()) else { continue };
                next.range = later;
            }
        }
        chosen.push(next);
    }
    chosen
}

/// Brings neighbours together that fit into `most`.
pub(crate) fn group<'a>(listed: &[Listed<'a>], most: Ticks90k) -> Vec<Listed<'a>> {
    let mut groups: Vec<Listed<'a>> = Vec::new();
    for next in listed {
        let fits = |last: &&mut Listed<'_>| {
            !next.jumps && last.key == next.key && last.duration.0.saturating_add(next.duration.0) <= most.0
        };
        match groups.last_mut().filter(fits) {
            Some(last) => {
                last.bytes += next.bytes;
                last.range.to = next.range.to;
                last.duration.0 += next.duration.0;
            }
            None => groups.push(*next),
        }
    }
    groups
}

fn segments(pack: &PlaylistPack) -> impl Iterator<Item = Listed<'_>> {
    let mut start = 0;
    let placed = pack.contents.0.iter().zip(pack.contents.places()).enumerate();
    placed.filter_map(move |(position, (entry, place))| {
        let (start_byte, bytes) = (start, u64::from(entry.bytes));
        start += bytes;
        if entry.held == Held::OnVehicle {
            return None;
        }
        // What has no time cannot be played.
        Some(Listed {
            key: &pack.key,
            start_byte,
            bytes,
            range: WallRange::new(place.from, place.to)?,
            duration: entry.timing.duration,
            jumps: false,
            opens_pack: true,
            pts: entry.timing.pts,
            end_pts: entry.timing.end_pts(),
            position,
        })
    })
}

impl Listed<'_> {
    fn recording(&self) -> RecordingId {
        self.key.pack.recording
    }

    /// Whether players go on from this one to `next` without being told of a jump.
    fn goes_on_in(&self, next: &Self) -> bool {
        let neighbours = if self.key == next.key {
            next.position == self.position + 1
        } else {
            next.position == 0 && next.key.pack.number == self.key.pack.number.wrapping_add(1)
        };
        let on = continues(self.end_pts, next.pts).unwrap_or_else(|| meets(self.range.to, next.range.from));
        self.recording() == next.recording() && neighbours && on
    }

    /// Wall time of its first picture.
    pub(crate) const fn wall(&self) -> WallMs {
        self.range.from
    }
}
