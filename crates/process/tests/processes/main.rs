//! The crate on real processes: `sh`, `cat`, `ffmpeg`, and this test program itself in the role of a parent that is
//! killed. Linux, since it looks into `/proc`.
//!
//! Nothing here sleeps to synchronise: tests wait for conditions, with generous limits.

#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod children;
mod communicate;
mod ffmpeg;
mod lifetime;
mod observe;
mod pool;
mod supervise;
