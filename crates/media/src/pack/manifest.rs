//! The manifest: what a pack holds, whose it is, and which pack came before.
//!
//! Belongs here: the value and its one binary encoding (big-endian, version 1). Does not: signature and packets.
//! Lengths are bounded before anything is allocated.

use dashvault_base::{CameraName, ContentHash, DeviceId, IdError, PackId, RecordingId, WallMs};

use super::SegmentEntry;

/// The most segments one pack may have.
pub const MAX_SEGMENTS_PER_PACK: usize = 4096;

const MAGIC: [u8; 4] = *b"DVMF";
const VERSION: u16 = 1;
const HASH_CONTEXT: &str = "dashvault 2026-11-22 pack manifest v1";

/// Who closed the pack.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SealedBy {
    /// The recorder, as it recorded.
    Device,
    /// The recorder, after a crash, from what the disk had kept.
    Recovery,
    /// The vault, for a publisher that never announced.
    Vault,
}

/// What a pack holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Manifest {
    /// The device that recorded it.
    pub device: DeviceId,
    /// Its camera.
    pub camera: CameraName,
    /// Recording and number.
    pub pack: PackId,
    /// Who closed it.
    pub sealed_by: SealedBy,
    /// Wall time of the first segment's start, as believed then.
    pub start_wall: WallMs,
    /// Monotonic milliseconds since boot at the first segment's start.
    pub start_mono_ms: u64,
    /// The boot that `start_mono_ms` counts from; zeros where unknown.
    pub boot_id: [u8; 16],
    /// [`Manifest::hash`] of this camera's previous pack; [`ContentHash::ZERO`] if there is none.
    pub previous: ContentHash,
    /// The segments in order.
    pub segments: Vec<SegmentEntry>,
}

/// Why bytes are no manifest, or a manifest cannot be signed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ManifestError {
    /// The bytes end too early.
    #[error("the manifest ends at byte {offset} where more must follow")]
    Truncated {
        /// Where more was expected.
        offset: usize,
    },
    /// Bytes follow its end.
    #[error("the manifest ends at byte {offset} but more bytes follow")]
    Overlong {
        /// Where it ends.
        offset: usize,
    },
    /// It does not begin with the manifest magic.
    #[error("no manifest magic")]
    Magic,
    /// It was written by a newer Dashvault.
    #[error("manifest version {version} is newer than {VERSION}, the newest this program reads")]
    NewerVersion {
        /// Its version.
        version: u16,
    },
    /// A fixed field has a value outside its range.
    #[error("manifest field {field} has an impossible value")]
    Field {
        /// Which.
        field: &'static str,
    },
    /// A device or camera name is not valid.
    #[error("manifest has an invalid name")]
    Name(#[from] IdError),
    /// More segments than a pack may have.
    #[error("{count} segments are more than {MAX_SEGMENTS_PER_PACK}")]
    TooManySegments {
        /// How many.
        count: usize,
    },
    /// A segment's length is zero or no multiple of 188.
    #[error("segment {index} has the impossible length {len}")]
    SegmentLength {
        /// Which segment.
        index: u32,
        /// Its length.
        len: u32,
    },
    /// A segment has unknown flags, or a PTS where it says it has none.
    #[error("segment {index} has impossible flags")]
    SegmentFlags {
        /// Which segment.
        index: u32,
    },
}

impl Manifest {
    /// Length of the pack's body in bytes.
    #[must_use]
    pub fn body_len(&self) -> u64 {
        self.segments.iter().map(|entry| u64::from(entry.len)).sum()
    }

    /// Where segment `index` starts in the pack's body; the body's end where there is no such segment.
    #[must_use]
    pub fn offset_of(&self, index: usize) -> u64 {
        self.segments.iter().take(index).map(|entry| u64::from(entry.len)).sum()
    }

    /// Sum of the segments' durations in 90 kHz ticks.
    #[must_use]
    pub fn duration_90k(&self) -> u64 {
        self.segments.iter().map(|entry| u64::from(entry.duration.0)).sum()
    }

    /// The domain-separated BLAKE3 of the encoding: what is signed, and what the next pack names as `previous`.
    #[must_use]
    pub fn hash(&self) -> ContentHash {
        let mut hasher = blake3::Hasher::new_derive_key(HASH_CONTEXT);
        hasher.update(&self.encode());
        hasher.finalize().into()
    }

    /// Whether a reader would accept it.
    ///
    /// # Errors
    /// Too many segments, or a segment whose length cannot be.
    pub fn check(&self) -> Result<(), ManifestError> {
        if self.segments.len() > MAX_SEGMENTS_PER_PACK {
            return Err(ManifestError::TooManySegments { count: self.segments.len() });
        }
        (0u32..).zip(&self.segments).try_for_each(|(index, entry)| entry.check(index))
    }

    /// The one encoding of this manifest.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(256 + self.segments.len() * SegmentEntry::BYTES);
        out.extend_from_slice(&MAGIC);
        out.extend_from_slice(&VERSION.to_be_bytes());
        out.push(match self.sealed_by {
            SealedBy::Device => 0,
            SealedBy::Recovery => 1,
            SealedBy::Vault => 2,
        });
        encode_name(&mut out, self.device.as_str());
        encode_name(&mut out, self.camera.as_str());
        out.extend_from_slice(&self.pack.recording.start().0.to_be_bytes());
        out.extend_from_slice(&self.pack.number.to_be_bytes());
        out.extend_from_slice(&self.start_wall.0.to_be_bytes());
        out.extend_from_slice(&self.start_mono_ms.to_be_bytes());
        out.extend_from_slice(&self.boot_id);
        out.extend_from_slice(self.previous.as_bytes());
        out.extend_from_slice(&u32::try_from(self.segments.len()).unwrap_or(u32::MAX).to_be_bytes());
        self.segments.iter().for_each(|entry| entry.encode(&mut out));
        out
    }

    /// Reads an encoding; every accepted input is what [`Manifest::encode`] writes for the result.
    ///
    /// # Errors
    /// Anything but the whole encoding of a manifest of this or an older version.
    pub fn decode(bytes: &[u8]) -> Result<Self, ManifestError> {
        let mut reader = Reader { bytes, offset: 0 };
        if reader.array()? != MAGIC {
            return Err(ManifestError::Magic);
        }
        match u16::from_be_bytes(reader.array()?) {
            0 => return Err(ManifestError::Field { field: "version" }),
            VERSION => {}
            version => return Err(ManifestError::NewerVersion { version }),
        }
        let manifest = Self {
            sealed_by: decode_sealed_by(&mut reader)?,
            device: reader.name("device")?.parse()?,
            camera: reader.name("camera")?.parse()?,
            pack: decode_pack(&mut reader)?,
            start_wall: WallMs(i64::from_be_bytes(reader.array()?)),
            start_mono_ms: u64::from_be_bytes(reader.array()?),
            boot_id: reader.array()?,
            previous: ContentHash::from_bytes(reader.array()?),
            segments: decode_segments(&mut reader)?,
        };
        reader.end()?;
        Ok(manifest)
    }
}

fn encode_name(out: &mut Vec<u8>, name: &str) {
    out.push(u8::try_from(name.len()).expect("names are at most 64 bytes"));
    out.extend_from_slice(name.as_bytes());
}

fn decode_sealed_by(reader: &mut Reader<'_>) -> Result<SealedBy, ManifestError> {
    match reader.array()? {
        [0] => Ok(SealedBy::Device),
        [1] => Ok(SealedBy::Recovery),
        [2] => Ok(SealedBy::Vault),
        [_] => Err(ManifestError::Field { field: "sealed_by" }),
    }
}

fn decode_pack(reader: &mut Reader<'_>) -> Result<PackId, ManifestError> {
    let start = WallMs(i64::from_be_bytes(reader.array()?));
    let recording = RecordingId::at(start);
    if recording.start() != start {
        return Err(ManifestError::Field { field: "recording" });
    }
    Ok(PackId { recording, number: reader.u32()? })
}

fn decode_segments(reader: &mut Reader<'_>) -> Result<Vec<SegmentEntry>, ManifestError> {
    let count = reader.u32()?;
    let bounded = count as usize;
    if bounded > MAX_SEGMENTS_PER_PACK {
        return Err(ManifestError::TooManySegments { count: bounded });
    }
    (0..count).map(|index| SegmentEntry::decode(reader, index)).collect()
}

/// Takes fields off the front of an encoding.
pub(super) struct Reader<'a> {
    bytes: &'a [u8],
    offset: usize,
}

impl<'a> Reader<'a> {
    fn take(&mut self, len: usize) -> Result<&'a [u8], ManifestError> {
        let truncated = ManifestError::Truncated { offset: self.bytes.len() };
        let taken = self.bytes.get(self.offset..).and_then(|rest| rest.get(..len)).ok_or(truncated)?;
        self.offset += len;
        Ok(taken)
    }

    pub(super) fn array<const N: usize>(&mut self) -> Result<[u8; N], ManifestError> {
        Ok(self.take(N)?.try_into().expect("take gives exactly N bytes"))
    }

    pub(super) fn u32(&mut self) -> Result<u32, ManifestError> {
        self.array().map(u32::from_be_bytes)
    }

    fn name(&mut self, field: &'static str) -> Result<&'a str, ManifestError> {
        let [len] = self.array()?;
        std::str::from_utf8(self.take(len.into())?).map_err(|_| ManifestError::Field { field })
    }

    fn end(&self) -> Result<(), ManifestError> {
        if self.offset == self.bytes.len() {
            Ok(())
        } else {
            Err(ManifestError::Overlong { offset: self.offset })
        }
    }
}
