//! A pack's contents: each segment's length, time and state, as one blob of the index.
//!
//! ```text
//! version 1 · count · for each: flags (state, keyframe 8, has a PTS 16) · bytes · duration · wall and PTS as steps
//!                     from where the one before ended
//! ```

use dashvault_base::{LossCause, Pts, Ticks90k, WallMs};

use super::{
    codec::{CodecError, Reader, Writer},
    place::{Place, SegmentTiming, place},
    span::WallRange,
};
use crate::archive::index::How;

const VERSION: u8 = 1;
/// A segment's place may differ so much from the time at which it was read.
const SLACK_MS: i64 = 1000;
const STATE: u8 = 7;
const KEYFRAME: u8 = 8;
const HAS_PTS: u8 = 16;

/// How a segment is held.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Held {
    /// It came as it was recorded.
    Live,
    /// It came later.
    Backfilled,
    /// Packets are missing inside, lost on the network.
    TornByNetwork,
    /// Packets are missing inside, as the camera gave it.
    TornByCamera,
    /// It is not here.
    OnVehicle,
}

/// One segment of a pack.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) bytes: u32,
    pub(crate) timing: SegmentTiming,
    pub(crate) held: Held,
    pub(crate) keyframe: bool,
}

/// All segments of a pack, in order.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Contents(pub(crate) Vec<Entry>);

const ALL: [Held; 5] =
    [Held::Live, Held::Backfilled, Held::TornByNetwork, Held::TornByCamera, Held::OnVehicle];

impl Held {
    /// How a segment that came to the vault is held.
    pub(crate) const fn of(how: How, damaged: bool, sealed_by_vault: bool) -> Self {
        match how {
            How::Plain if damaged => Self::TornByNetwork,
            How::Unknown if damaged && sealed_by_vault => Self::TornByNetwork,
            _ if damaged => Self::TornByCamera,
            How::Live | How::Plain => Self::Live,
            How::Backfilled | How::Unknown => Self::Backfilled,
        }
    }

    pub(super) const fn code(self) -> u8 {
        match self {
            Self::Live => 0,
            Self::Backfilled => 1,
            Self::TornByNetwork => 2,
            Self::TornByCamera => 3,
            Self::OnVehicle => 4,
        }
    }

    pub(super) fn from_code(code: u8) -> Option<Self> {
        ALL.into_iter().find(|held| held.code() == code)
    }

    /// Why packets are missing, where some are.
    pub(super) const fn torn(self) -> Option<LossCause> {
        match self {
            Self::TornByNetwork => Some(LossCause::Network),
            Self::TornByCamera => Some(LossCause::Camera),
            Self::Live | Self::Backfilled | Self::OnVehicle => None,
        }
    }
}

impl Contents {
    /// Where its segments lie.
    pub(crate) fn places(&self) -> Vec<Place> {
        let timings: Vec<SegmentTiming> = self.0.iter().map(|entry| entry.timing).collect();
        place(&timings)
    }

    /// Whether a segment that is here may lie within `range`, give or take a second.
    pub(crate) fn is_here_within(&self, range: WallRange) -> bool {
        let (from, to) = (range.from.plus_ms(-SLACK_MS), range.to.plus_ms(SLACK_MS));
        self.0.iter().filter(|entry| entry.held != Held::OnVehicle).any(|entry| {
            let end = entry.timing.wall.plus_ms(i64::from(entry.timing.duration.0) / 90);
            entry.timing.wall < to && from < end
        })
    }

    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut out = Writer::default();
        out.byte(VERSION);
        out.unsigned(self.0.len() as u64);
        let (mut wall, mut pts) = (0i64, 0i64);
        for Entry { bytes, timing, held, keyframe } in &self.0 {
            let flag = |set: bool, bit: u8| if set { bit } else { 0 };
            out.byte(held.code() | flag(*keyframe, KEYFRAME) | flag(timing.pts.is_some(), HAS_PTS));
            out.unsigned((*bytes).into());
            out.unsigned(timing.duration.0.into());
            out.step(wall, timing.wall.0);
            wall = after_wall(timing);
            if let Some(start) = timing.pts {
                out.step(pts, start.0);
                pts = after_pts(start, timing);
            }
        }
        out.0
    }

    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, CodecError> {
        let mut reader = Reader::new(bytes);
        if reader.byte()? != VERSION {
            return Err(reader.broken());
        }
        let count = reader.small()?;
        let mut entries = Vec::new();
        let (mut wall, mut pts) = (0i64, 0i64);
        for _ in 0..count {
            let flags = reader.byte()?;
            let held = Held::from_code(flags & STATE).ok_or(reader.broken())?;
            let (bytes, duration) = (reader.small()?, Ticks90k(reader.small()?));
            let start = WallMs(reader.step(wall)?);
            let mut timing = SegmentTiming { wall: start, pts: None, duration };
            wall = after_wall(&timing);
            if flags & HAS_PTS != 0 {
                let start = Pts(reader.step(pts)?);
                pts = after_pts(start, &timing);
                timing.pts = Some(start);
            }
            entries.push(Entry { bytes, timing, held, keyframe: flags & KEYFRAME != 0 });
        }
        if reader.is_at_end() { Ok(Self(entries)) } else { Err(reader.broken()) }
    }
}

fn after_wall(timing: &SegmentTiming) -> i64 {
    timing.wall.0.wrapping_add((timing.duration.0 / 90).into())
}

fn after_pts(start: Pts, timing: &SegmentTiming) -> i64 {
    start.0.wrapping_add(timing.duration.0.into())
}
