//! Fuzz targets: for each parser of hostile bytes, one function that must not panic and must keep its promises.
//!
//! The same functions serve three runs: `cargo test` replays the seeds in `fuzz/corpus` and mutates them for a few
//! seconds; `cargo fuzz run TARGET` (see `fuzz/README.md`) explores for as long as one likes; and an input that once
//! failed becomes a seed. What does not belong here: the parsers' own property tests, which stand beside them.

#![forbid(unsafe_code)]

mod targets;

pub use targets::{TARGETS, Target, srt_seeds};
