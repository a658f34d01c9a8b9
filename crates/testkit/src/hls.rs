//! What a player may expect of media playlists: a reader and the rules of RFC 8216bis, as an oracle of its own.
//!
//! [`Playlist::parse`] refuses what it does not understand; [`check`] says what is wrong within one playlist, and
//! [`check_reload`] what is wrong between two answers for the same one. Nothing here shares code with
//! `dashvault-media`, which writes them.

mod parse;
mod reload;
mod rules;

pub use parse::{Part, Playlist, Segment};
pub use reload::check_reload;
pub use rules::check;

/// Durations are written in microseconds.
pub(crate) const EPSILON: f64 = 0.000_002;
