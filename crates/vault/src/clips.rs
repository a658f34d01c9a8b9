//! Clips: any range of a camera over any number of cuts, as a transport stream at once or as an MP4 by a job.
//!
//! Belongs here: which segments make a clip and how they are joined ([`Plan`], pure), its bytes ([`Film`]), and the
//! jobs that write files ([`Desk`]). Does not: HTTP, SQL, the bytes of TS packets (`dashvault_media::join`).
//! See `docs/design/clips.md`.

mod cutter;
mod desk;
mod film;
mod job;
mod mux;
mod plan;
mod shelf;
mod survey;

pub(crate) use desk::{Desk, work};
pub(crate) use film::{Edges, Film};
pub(crate) use job::{ClipFormat, ClipProblem, ClipState, ProgressNow, Summary};
pub(crate) use mux::{ffmpeg_is_there, no_ffmpeg};
pub(crate) use plan::{Candidate, Plan, Span};
pub(crate) use shelf::Shelf;
pub(crate) use survey::{no_footage, summary};
