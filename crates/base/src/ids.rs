//! Names of things: device, camera, recording, pack.
//!
//! Every one is safe as a path component and in a stream id: no separators, no dots first.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::WallMs;

/// Why a text is not a valid id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum IdError {
    /// The name is empty, too long, or has a character outside `A-Z a-z 0-9 _ -`.
    #[error("{what} {text:?} must be 1 to {max} characters of A-Z, a-z, 0-9, '_' and '-'")]
    Name {
        /// Which kind of name.
        what: &'static str,
        /// The text, cut at 80 characters.
        text: String,
        /// The longest that is allowed.
        max: usize,
    },
    /// The recording is not `YYYYMMDD-HHMMSS`, or not a date that exists.
    #[error("recording {text:?} must be YYYYMMDD-HHMMSS, a date and time that exists")]
    Recording {
        /// The text, cut at 80 characters.
        text: String,
    },
    /// The pack is not `<recording>_<number>`.
    #[error("pack {text:?} must be YYYYMMDD-HHMMSS_NNNNN")]
    Pack {
        /// The text, cut at 80 characters.
        text: String,
    },
}

fn shown(text: &str) -> String {
    text.chars().take(80).collect()
}

macro_rules! name {
    ($(#[$doc:meta])* $name:ident, $what:literal, $max:literal) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(String);

        impl $name {
            /// The longest allowed, in bytes.
            pub const MAX_BYTES: usize = $max;

            /// The name as text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = IdError;

            fn from_str(text: &str) -> Result<Self, IdError> {
                let allowed = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-';
                if text.is_empty() || text.len() > $max || !text.bytes().all(allowed) {
                    return Err(IdError::Name { what: $what, text: shown(text), max: $max });
                }
                Ok(Self(text.to_owned()))
            }
        }

        text_form!($name);
    };
}

macro_rules! text_form {
    ($name:ident) => {
        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }
    };
}

name!(
    /// A vehicle's recorder, or any publisher: a UUID or a short name.
    DeviceId, "device", 64
);
name!(
    /// One camera of a device; `main` where a publisher names none.
    CameraName, "camera", 32
);

impl CameraName {
    /// The camera of a publisher that names none.
    #[must_use]
    pub fn main() -> Self {
        Self("main".to_owned())
    }
}

impl fmt::Display for DeviceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for CameraName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// One unbroken encoder run of one camera, named by its start in UTC: `20261122-101500`.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RecordingId(WallMs);

impl RecordingId {
    /// The recording that starts in the second of `wall`; years outside 1970 to 9999 are brought inside.
    #[must_use]
    pub fn at(wall: WallMs) -> Self {
        const LAST: WallMs = WallMs::from_civil(9999, 12, 31, 23, 59, 59);
        Self(WallMs(wall.0.clamp(0, LAST.0).div_euclid(1000) * 1000))
    }

    /// Its start, to the second.
    #[must_use]
    pub const fn start(self) -> WallMs {
        self.0
    }

    /// The recording named a second later: for a restart within the same second.
    #[must_use]
    pub fn next_second(self) -> Self {
        Self::at(self.0.plus_ms(1000))
    }
}

impl FromStr for RecordingId {
    type Err = IdError;

    fn from_str(text: &str) -> Result<Self, IdError> {
        let refused = || IdError::Recording { text: shown(text) };
        let digits = text.as_bytes();
        let shaped = digits.len() == 15
            && digits.iter().enumerate().all(|(i, b)| if i == 8 { *b == b'-' } else { b.is_ascii_digit() });
        if !shaped {
            return Err(refused());
        }
        let part = |range: std::ops::Range<usize>| text[range].parse::<u16>().map_err(|_| refused());
        let small = |range| part(range).and_then(|v| u8::try_from(v).map_err(|_| refused()));
        let wall = WallMs::from_civil(
            i64::from(part(0..4)?),
            small(4..6)?,
            small(6..8)?,
            small(9..11)?,
            small(11..13)?,
            small(13..15)?,
        );
        // A date that does not exist comes back as another one.
        let id = Self(wall);
        if wall.0 < 0 || id.to_string() != text { Err(refused()) } else { Ok(id) }
    }
}

impl fmt::Display for RecordingId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (year, month, day, hour, minute, second) = self.0.civil();
        write!(f, "{year:04}{month:02}{day:02}-{hour:02}{minute:02}{second:02}")
    }
}

impl fmt::Debug for RecordingId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

text_form!(RecordingId);

/// One camera's one recording.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct TrackId {
    /// The camera.
    pub camera: CameraName,
    /// The recording.
    pub recording: RecordingId,
}

impl fmt::Display for TrackId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.camera, self.recording)
    }
}

/// A pack's place within one camera: its recording and its number in it, from 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PackId {
    /// The recording.
    pub recording: RecordingId,
    /// The number, from 0.
    pub number: u32,
}

impl PackId {
    /// The file name of the pack: `20261122-101500_00003.ts`.
    #[must_use]
    pub fn file_name(self) -> String {
        format!("{self}.ts")
    }
}

impl fmt::Display for PackId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}_{:05}", self.recording, self.number)
    }
}

impl FromStr for PackId {
    type Err = IdError;

    fn from_str(text: &str) -> Result<Self, IdError> {
        let refused = || IdError::Pack { text: shown(text) };
        let (recording, number) = text.split_once('_').ok_or_else(refused)?;
        let digits = number.len() >= 5 && number.bytes().all(|b| b.is_ascii_digit());
        let id = Self { recording: recording.parse()?, number: number.parse().map_err(|_| refused())? };
        if digits && id.to_string() == text { Ok(id) } else { Err(refused()) }
    }
}

text_form!(PackId);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_could_leave_their_folder_are_refused() {
        for text in ["", ".", "..", "a/b", "a\\b", "a b", "é", "a:b", &"x".repeat(65)] {
            assert!(text.parse::<DeviceId>().is_err(), "{text:?}");
        }
        assert!("0b7e4f5e-3a52-4c1c-9d6e-2f2a5f0c9a11".parse::<DeviceId>().is_ok());
    }

    #[test]
    fn recordings_are_dates_that_exist() {
        for text in ["20261122-101500", "20240229-235959", "19700101-000000"] {
            assert_eq!(text.parse::<RecordingId>().map(|id| id.to_string()).as_deref(), Ok(text));
        }
        for text in [
            "20230229-000000",
            "20261122-240000",
            "20261322-101500",
            "20261122_101500",
            "2026112-2101500",
            "２0261122-1015",
        ] {
            assert!(text.parse::<RecordingId>().is_err(), "{text}");
        }
    }

    #[test]
    fn pack_names_round_trip_and_refuse_other_spellings() {
        for text in ["20261122-101500_00003", "20261122-101500_123456"] {
            assert_eq!(text.parse::<PackId>().map(|id| id.to_string()).as_deref(), Ok(text));
        }
        for text in [
            "20261122-101500_3",
            "20261122-101500_000003",
            "20261122-101500",
            "x_00001",
            "20261122-101500_+0003",
        ] {
            assert!(text.parse::<PackId>().is_err(), "{text}");
        }
    }
}
