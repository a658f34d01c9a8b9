//! A pack summed up: its runs of one state, as one blob of the index; and how packs of a recording meet.
//!
//! ```text
//! version 1 · timestamps at begin and end (flags 1, 2) · for each run: state · step from the end before · length in
//!             ms · bytes
//! ```

use dashvault_base::{Pts, RecordingId, WallMs};

use super::{
    codec::{CodecError, Reader, Writer},
    contents::{Contents, Held},
    place::{continues, meets},
    span::WallRange,
};

const VERSION: u8 = 1;
const BEGINS: u8 = 1;
const ENDS: u8 = 2;
/// Packs of a recording that continue are brought together over at most this; beyond it the clock was set.
const JOIN_MS: u64 = 2000;

/// A stretch of a pack in one state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Run {
    pub(crate) range: WallRange,
    pub(crate) held: Held,
    pub(crate) bytes: u64,
}

/// How far a pack has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stage {
    /// Not complete here.
    Arriving,
    /// Stored.
    Stored,
    /// Stored once, and the vault has lost its object.
    Missing,
    /// Stored once, and deleted.
    Deleted,
}

/// A pack summed up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PackRuns {
    pub(crate) recording: RecordingId,
    pub(crate) number: u32,
    pub(crate) stage: Stage,
    pub(crate) begins: Option<Pts>,
    pub(crate) ends: Option<Pts>,
    pub(crate) runs: Vec<Run>,
}

impl PackRuns {
    /// Sums up what a pack contains.
    pub(crate) fn of(recording: RecordingId, number: u32, stage: Stage, contents: &Contents) -> Self {
        let mut runs: Vec<Run> = Vec::new();
        for (entry, place) in contents.0.iter().zip(contents.places()) {
            let bytes = u64::from(entry.bytes);
            match runs.last_mut() {
                Some(last) if last.held == entry.held && (place.follows || last.range.to == place.from) => {
                    last.range.to = last.range.to.max(place.to);
                    last.bytes += bytes;
                }
                _ => runs.extend(WallRange::new(place.from, place.to).map(|range| Run {
                    range,
                    held: entry.held,
                    bytes,
                })),
            }
        }
        let begins = contents.0.first().and_then(|entry| entry.timing.pts);
        let ends = contents.0.last().and_then(|entry| entry.timing.end_pts());
        Self { recording, number, stage, begins, ends, runs }
    }

    /// From its first run to its last.
    pub(crate) fn range(&self) -> Option<WallRange> {
        let from = self.runs.iter().map(|run| run.range.from).min()?;
        let to = self.runs.iter().map(|run| run.range.to).max()?;
        WallRange::new(from, to)
    }

    /// Bytes that are not here.
    pub(crate) fn lacking_bytes(&self) -> u64 {
        self.runs.iter().filter(|run| run.held == Held::OnVehicle).map(|run| run.bytes).sum()
    }

    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut out = Writer::default();
        out.byte(VERSION);
        let flag = |pts: Option<Pts>, bit| if pts.is_some() { bit } else { 0 };
        out.byte(flag(self.begins, BEGINS) | flag(self.ends, ENDS));
        self.begins.iter().chain(&self.ends).for_each(|pts| out.signed(pts.0));
        let mut at = 0;
        for Run { range, held, bytes } in &self.runs {
            out.byte(held.code());
            out.step(at, range.from.0);
            out.unsigned(range.len_ms());
            out.unsigned(*bytes);
            at = range.to.0;
        }
        out.0
    }

    pub(crate) fn decode(
        recording: RecordingId,
        number: u32,
        stage: Stage,
        bytes: &[u8],
    ) -> Result<Self, CodecError> {
        let mut reader = Reader::new(bytes);
        if reader.byte()? != VERSION {
            return Err(reader.broken());
        }
        let flags = reader.byte()?;
        let mut pts = |bit| (flags & bit != 0).then(|| reader.signed().map(Pts)).transpose();
        let (begins, ends) = (pts(BEGINS)?, pts(ENDS)?);
        let mut runs = Vec::new();
        let mut at = 0;
        while !reader.is_at_end() {
            let held = Held::from_code(reader.byte()?).ok_or(reader.broken())?;
            let from = WallMs(reader.step(at)?);
            let len = i64::try_from(reader.unsigned()?).map_err(|_| reader.broken())?;
            let range = WallRange::new(from, from.plus_ms(len)).ok_or(reader.broken())?;
            at = range.to.0;
            runs.push(Run { range, held, bytes: reader.unsigned()? });
        }
        Ok(Self { recording, number, stage, begins, ends, runs })
    }
}

/// Brings packs of one recording together where they continue: the earlier one ends where the later one begins.
pub(crate) fn join(packs: &mut [PackRuns]) {
    packs.sort_by_key(|pack| (pack.recording, pack.number));
    for at in 1..packs.len() {
        let (before, after) = packs.split_at_mut(at);
        let (Some(before), Some(after)) = (before.last_mut(), after.first()) else { continue };
        if before.recording == after.recording {
            meet(before, after);
        }
    }
}

fn meet(before: &mut PackRuns, after: &PackRuns) {
    let (Some(last), Some(first)) = (before.runs.last_mut(), after.runs.first()) else { return };
    let (ended, next) = (last.range.to, first.range.from);
    let same_clock = ended.0.abs_diff(next.0) <= JOIN_MS;
    if same_clock
        && next > last.range.from
        && continues(before.ends, after.begins).unwrap_or_else(|| meets(ended, next))
    {
        last.range.to = next;
    }
}
