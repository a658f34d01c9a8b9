//! The promise, tried end to end with the real programs: a rig that runs them, what it compares, and clients of others.
//!
//! Belongs here: starting and killing `dashvault` and ffmpeg, the bad link between them, and the comparison of what the
//! camera gave with what the vault holds. Not here: tests of one room, which stand in that room. The tests are in
//! `tests/`, the benchmarks in `src/bin/bench.rs`.
//!
//! Programs are found beside the one that runs (`target/<profile>`): build them first with `cargo build --workspace`.

#![forbid(unsafe_code)]

pub mod compare;
pub mod programs;
pub mod rig;
pub mod truth;

pub use compare::{Comparison, compare, concatenations};
pub use rig::{Rig, RigOptions};
