//! Live: what comes in, as one LL-HLS playlist a camera; see `docs/design/live.md`.
//!
//! Belongs here: tracks (what a camera shows now), their numbers, their text, and who waits for them. Does not: the cut
//! (`dashvault_media::parts`), HTTP, files. A publisher calls in and never waits; viewers wait on a watch.

mod hub;
mod numbers;
mod text;
mod track;
mod window;

pub(crate) use hub::{LiveFeed, LiveHub, LiveTrack, housekeeping};
pub(crate) use track::Track;

use std::time::Duration;

/// `EXT-X-TARGETDURATION`: live segments last at most 2.2 s and a frame.
pub(crate) const TARGET_DURATION_S: u32 = 2;
/// A request is held so long for what it asks for (three target durations).
pub(crate) const HOLD: Duration = Duration::from_secs(6);
