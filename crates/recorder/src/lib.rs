//! The vehicle's side: capture, spool, live, backfill, governor.
//!
//! | folder | what it does |
//! |---|---|
//! | [`capture`] | which ffmpeg command records a camera, on each platform |
//! | `camera` | runs it, cuts its bytes into segments and packs, for the disk and for live |
//! | `live` | the newest bytes, over SRT, now |
//! | `backfill` | announces what exists, uploads what the vault lacks, takes receipts |
//! | [`governor`] | how fast backfill may be, so that live comes first |
//!
//! Threads, queues and failures: `docs/design/recorder.md`.

#![forbid(unsafe_code)]
#![cfg_attr(test, allow(clippy::unwrap_used))]

mod backfill;
mod boot;
mod camera;
pub mod capture;
mod config;
mod confirm;
mod events;
pub mod governor;
mod house;
mod housekeeping;
mod identity;
mod live;
mod quota;
mod reach;
mod recorder;
mod recovered;
mod shared;
mod snapshot;
pub mod status;
mod target;
mod telling;

pub use capture::CameraSpec;
pub use config::{ConfigError, OnFull, RecorderConfig};
pub use recorder::{Recorder, RunningRecorder, StartError, StopReport};
pub use status::RecorderStatus;
pub use target::{SrtTarget, TargetError, VaultUrl};
