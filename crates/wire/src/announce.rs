//! The one conversation of reconciliation: the recorder says what exists, the vault what it lacks.
//!
//! An announcement is idempotent: it may be lost, repeated or reordered. The vault's reply always
//! says all it lacks of the packs named, so neither side needs to remember the other.

use base64::{Engine, engine::general_purpose::STANDARD};
use dashvault_base::{
    CameraName, ContentHash, DeviceId, LossCause, PackId, Pts, RecordingId, Ticks90k, WallMs,
};
use serde::{Deserialize, Serialize};

use crate::{ByteRange, DeviceStatus, EventNotice, Receipt, event};

/// The most packs in one announcement.
pub const MAX_PACKS: usize = 64;
/// The most segments in one pack, announced or sealed.
pub const MAX_SEGMENTS: usize = 4096;
/// The most loss notices in one announcement.
pub const MAX_LOSSES: usize = 256;
/// The most packs that one reply says somebody waits for.
pub const MAX_REQUESTED: usize = 64;
/// The longest announcement body accepted, in bytes.
pub const MAX_BODY_BYTES: usize = 4 << 20;
/// The longest segment that may be announced, in bytes.
pub const MAX_SEGMENT_BYTES: u32 = 16 << 20;

/// What the recorder says: news of packs that have no receipt yet, and of losses not yet acknowledged.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct AnnounceRequest {
    /// [`crate::paths::PROTOCOL`].
    pub protocol: u16,
    /// The packs, newest first.
    #[serde(default)]
    pub packs: Vec<PackAnnounce>,
    /// Footage that will never come, with its causes.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub losses: Vec<LossNotice>,
    /// What happened in the vehicle, not yet acknowledged.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub events: Vec<EventNotice>,
    /// How the recorder is; told now and then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<DeviceStatus>,
}

/// News of one pack.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PackAnnounce {
    /// The camera.
    pub camera: CameraName,
    /// The pack.
    pub pack: PackId,
    /// The recorder's wall time at the pack's first byte.
    pub start_wall: WallMs,
    /// The index of the first segment listed; those before were announced earlier.
    #[serde(default)]
    pub first: u32,
    /// Segments that have ended and are durable on the vehicle. May be empty once sealed: the
    /// trailer lists them all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub segments: Vec<SegmentNotice>,
    /// The sealed pack's trailer, as it stands in the file, in base64.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "base64_bytes")]
    pub trailer: Option<Vec<u8>>,
}

/// One segment of an open pack. Field names are short: one of these crosses a mobile link each second.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct SegmentNotice {
    /// Length in bytes, a multiple of 188.
    pub len: u32,
    /// BLAKE3 of its bytes.
    pub hash: ContentHash,
    /// PTS of its first picture, as unwrapped by the recorder's segmenter.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pts: Option<Pts>,
    /// Duration in 90 kHz ticks.
    pub dur: Ticks90k,
    /// Milliseconds from the pack's `start_wall` to the segment's first byte.
    pub at: u32,
}

/// Footage that does not exist.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LossNotice {
    /// Names this loss for ever, so that telling it twice counts once: 1 to 64 of `A-Z a-z 0-9 _ -`.
    pub id: String,
    /// The camera.
    pub camera: CameraName,
    /// The recording it is missing from, where there was one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recording: Option<RecordingId>,
    /// When it begins, by the recorder's clock.
    pub from: WallMs,
    /// When it ends.
    pub to: WallMs,
    /// How much footage is missing, in milliseconds (may be less than `to - from`).
    pub lost_ms: u64,
    /// How many bytes were deleted or dropped, where that is known.
    #[serde(default)]
    pub bytes: u64,
    /// Why.
    pub cause: LossCause,
}

/// What the vault answers.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct AnnounceReply {
    /// [`crate::paths::PROTOCOL`].
    pub protocol: u16,
    /// One reply for each pack announced, in the same order.
    #[serde(default)]
    pub packs: Vec<PackReply>,
    /// The losses that are now durable in the index.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub losses: Vec<String>,
    /// Packs that the vault gave a receipt for and has lost since: a recorder that still has one announces it again.
    /// Told now and then, some at a time.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub missing: Vec<MissingPack>,
    /// The device that the vault takes the recorder for, by its bearer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub device: Option<DeviceId>,
    /// The events that are now durable in the index, by id.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub events: Vec<String>,
    /// Packs that somebody waits for: they are sent before others. Told now and then while they are not here.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub requested: Vec<RequestedPack>,
}

/// A stored pack that the vault has lost.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MissingPack {
    /// The camera.
    pub camera: CameraName,
    /// The pack.
    pub pack: PackId,
}

/// A pack that somebody waits for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RequestedPack {
    /// The camera.
    pub camera: CameraName,
    /// The pack.
    pub pack: PackId,
}

/// Where one pack stands in the vault.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PackReply {
    /// The camera.
    pub camera: CameraName,
    /// The pack.
    pub pack: PackId,
    /// Where it stands.
    #[serde(flatten)]
    pub status: PackStatus,
}

/// See [`PackReply`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "status", rename_all = "kebab-case")]
pub enum PackStatus {
    /// Not all of it is here.
    Assembling {
        /// How many segments, from the first, the vault knows of; announce from there.
        known: u32,
        /// The bytes of the pack's file it lacks, among those announced.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        want: Vec<ByteRange>,
        /// Somebody waits for this pack: send it before others.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        requested: bool,
    },
    /// Durable; nothing more is needed.
    Stored {
        /// The proof.
        receipt: Receipt,
    },
    /// Not accepted, and will not be until something changes.
    Refused {
        /// A stable code, such as `other-content` or `bad-signature`.
        code: String,
        /// What is wrong and what to do.
        detail: String,
    },
}

/// An announcement that says more than any honest recorder would.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AnnounceError {
    /// It speaks a version of the contract that this side does not know.
    #[error("announcement speaks protocol {0}, this vault speaks {PROTOCOL}; update the vault", PROTOCOL = crate::paths::PROTOCOL)]
    Protocol(u16),
    /// A list is longer than allowed.
    #[error("announcement lists {count} {what}, at most {max} are allowed")]
    TooMany {
        /// Packs, segments, losses, events or cameras.
        what: &'static str,
        /// How many it lists.
        count: usize,
        /// The limit.
        max: usize,
    },
    /// A segment's length cannot be.
    #[error(
        "segment {index} of pack {pack} has {len} bytes; a segment has 1 to {MAX_SEGMENT_BYTES}, in packets of 188"
    )]
    SegmentLength {
        /// The pack.
        pack: PackId,
        /// The segment.
        index: usize,
        /// Its length.
        len: u32,
    },
    /// A loss's id is not a valid name, or it ends before it begins.
    #[error("loss notice {0:?} is not valid")]
    Loss(String),
    /// An event's id or kind is not a valid name, its note is too long, or it ends before it begins.
    #[error("event notice {0:?} is not valid")]
    Event(String),
    /// A text in the status is too long.
    #[error("a text in the status is longer than {max} bytes", max = crate::status::MAX_TEXT_BYTES)]
    Status,
}

impl AnnounceRequest {
    /// Checks every limit, so that what follows may rely on them.
    ///
    /// # Errors
    /// [`AnnounceError`] for the first limit that is passed.
    pub fn validate(&self) -> Result<(), AnnounceError> {
        if self.protocol != crate::paths::PROTOCOL {
            return Err(AnnounceError::Protocol(self.protocol));
        }
        within("packs", self.packs.len(), MAX_PACKS)?;
        within("losses", self.losses.len(), MAX_LOSSES)?;
        event::validate(&self.events)?;
        self.status.as_ref().map_or(Ok(()), DeviceStatus::validate)?;
        self.packs.iter().try_for_each(PackAnnounce::validate)?;
        let bad_loss =
            self.losses.iter().find(|loss| loss.to < loss.from || loss.id.parse::<DeviceId>().is_err());
        bad_loss.map_or(Ok(()), |loss| Err(AnnounceError::Loss(loss.id.chars().take(80).collect())))
    }
}

impl PackAnnounce {
    fn validate(&self) -> Result<(), AnnounceError> {
        let first = usize::try_from(self.first).unwrap_or(usize::MAX);
        within("segments", first.saturating_add(self.segments.len()), MAX_SEGMENTS)?;
        for (index, segment) in self.segments.iter().enumerate() {
            if segment.len == 0 || segment.len > MAX_SEGMENT_BYTES || segment.len % 188 != 0 {
                return Err(AnnounceError::SegmentLength {
                    pack: self.pack,
                    index: first + index,
                    len: segment.len,
                });
            }
        }
        Ok(())
    }
}

const fn within(what: &'static str, count: usize, max: usize) -> Result<(), AnnounceError> {
    if count > max { Err(AnnounceError::TooMany { what, count, max }) } else { Ok(()) }
}

mod base64_bytes {
    use super::{Engine, STANDARD};
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    pub(super) fn serialize<S: Serializer>(
        bytes: &Option<Vec<u8>>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        match bytes {
            Some(bytes) => serializer.serialize_str(&STANDARD.encode(bytes)),
            None => serializer.serialize_none(),
        }
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<Vec<u8>>, D::Error> {
        let text = <Option<std::borrow::Cow<'de, str>>>::deserialize(deserializer)?;
        text.map(|text| STANDARD.decode(text.as_bytes()).map_err(D::Error::custom)).transpose()
    }
}

#[cfg(test)]
mod tests;
