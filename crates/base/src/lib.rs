//! Ids, timestamps, units and the clock that every other crate shares.
//!
//! Pure: no files, no sockets, no system time but in [`clock::SystemClock`].

#![forbid(unsafe_code)]

pub mod clock;
mod hash;
mod ids;
mod loss;
mod time;

pub use clock::{Clock, SystemClock};
pub use hash::{ContentHash, HashParseError};
pub use ids::{CameraName, DeviceId, IdError, PackId, RecordingId, TrackId};
pub use loss::LossCause;
pub use time::{Pts, Ticks90k, TimeParseError, WallMs};
