//! The timeline: what every moment of a camera is, and the playlist over what can be played.
//!
//! Belongs here: where a segment lies, which source of several has a moment, zooming out, which segments a playlist
//! lists. Does not: where sources come from (`archive::index`), HTTP. Pure; see `docs/design/timeline.md`.
//!
//! Invariants: spans cover their range in order without overlap, neighbours differ; only footage that is here makes a
//! moment `live` or `backfilled`.

mod coarse;
mod codec;
mod contents;
mod listing;
mod paint;
mod place;
mod playlist;
mod runs;
mod span;

pub(crate) use coarse::{coarsen, left_at_least};
pub(crate) use codec::CodecError;
pub(crate) use contents::{Contents, Entry, Held};
pub(crate) use listing::PlaylistPack;
pub(crate) use paint::{Loss, Sources, spans};
pub(crate) use place::SegmentTiming;
pub(crate) use playlist::playlist;
pub(crate) use runs::{PackRuns, Stage};
#[cfg(test)]
pub(crate) use span::{Cause, Recordings};
pub(crate) use span::{Span, State, Totals, WallRange};

#[cfg(test)]
mod tests;
