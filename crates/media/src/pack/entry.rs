//! One segment's line in a manifest, and its 53 bytes.

use dashvault_base::{ContentHash, Pts, Ticks90k};

use super::manifest::{ManifestError, Reader};
use crate::{PACKET_BYTES, Segment};

/// What a manifest says of one segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SegmentEntry {
    /// Length in bytes: at least one packet, a multiple of 188.
    pub len: u32,
    /// BLAKE3 of the segment's bytes.
    pub hash: ContentHash,
    /// The first PTS of its video, else of its audio; unwrapped within the recording.
    pub start_pts: Option<Pts>,
    /// Up to the next segment's start.
    pub duration: Ticks90k,
    /// Milliseconds from the manifest's `start_wall` to this segment's start.
    pub wall_offset_ms: u32,
    /// It starts at a keyframe, so that decoding can start here.
    pub keyframe: bool,
    /// Packets are missing or broken inside.
    pub damaged: bool,
}

const HAS_PTS: u8 = 1;
const KEYFRAME: u8 = 2;
const DAMAGED: u8 = 4;

impl SegmentEntry {
    /// The entry of a segment as the segmenter gave it.
    #[must_use]
    pub const fn new(segment: &Segment, wall_offset_ms: u32) -> Self {
        Self {
            len: segment.len,
            hash: segment.hash,
            start_pts: segment.start_pts,
            duration: segment.duration,
            wall_offset_ms,
            keyframe: segment.keyframe,
            damaged: segment.damaged,
        }
    }

    /// Encoded length in bytes.
    pub(super) const BYTES: usize = 53;

    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        let flag = |set: bool, bit: u8| if set { bit } else { 0 };
        out.extend_from_slice(&self.len.to_be_bytes());
        out.extend_from_slice(self.hash.as_bytes());
        out.push(
            flag(self.start_pts.is_some(), HAS_PTS)
                | flag(self.keyframe, KEYFRAME)
                | flag(self.damaged, DAMAGED),
        );
        out.extend_from_slice(&self.start_pts.map_or(0, |pts| pts.0).to_be_bytes());
        out.extend_from_slice(&self.duration.0.to_be_bytes());
        out.extend_from_slice(&self.wall_offset_ms.to_be_bytes());
    }

    pub(super) fn decode(reader: &mut Reader<'_>, index: u32) -> Result<Self, ManifestError> {
        let len = reader.u32()?;
        let hash = ContentHash::from_bytes(reader.array()?);
        let [flags] = reader.array()?;
        let pts = i64::from_be_bytes(reader.array()?);
        let duration = Ticks90k(reader.u32()?);
        let wall_offset_ms = reader.u32()?;
        let has_pts = flags & HAS_PTS != 0;
        if flags & !(HAS_PTS | KEYFRAME | DAMAGED) != 0 || (!has_pts && pts != 0) {
            return Err(ManifestError::SegmentFlags { index });
        }
        let entry = Self {
            len,
            hash,
            start_pts: has_pts.then_some(Pts(pts)),
            duration,
            wall_offset_ms,
            keyframe: flags & KEYFRAME != 0,
            damaged: flags & DAMAGED != 0,
        };
        entry.check(index)?;
        Ok(entry)
    }

    pub(super) fn check(&self, index: u32) -> Result<(), ManifestError> {
        let whole = (self.len as usize).is_multiple_of(PACKET_BYTES);
        if self.len == 0 || !whole {
            return Err(ManifestError::SegmentLength { index, len: self.len });
        }
        Ok(())
    }
}
