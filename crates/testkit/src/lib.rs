//! What tests and the demo need and the product does not ship: bad links, synthetic streams, a clock to turn by
//! hand, a filesystem that loses power, and processes that die at random moments.
//!
//! Everything random is seeded, and the seed is printed by whoever draws it. Nothing here depends on the crates it
//! helps to test (but for the traits it implements), so that it stays an independent witness.

#![forbid(unsafe_code)]
#![cfg_attr(test, allow(clippy::unwrap_used))]

pub mod chaos;
pub mod clock;
pub mod disk;
pub mod hls;
pub mod link;
#[cfg(unix)]
pub mod tee;
pub mod ts;

pub use clock::FakeClock;
