//! The journal of an open pack: when it started, and which of its segments are durable.
//!
//! A pack file holds nothing but video until it is sealed, so where its last *ended* segment stops cannot be read
//! from it: the packets of the next one look the same. The journal says it, and keeps what the bytes cannot tell
//! (wall times, the unwrapped PTS, the previous pack). Without one, recovery falls back to cutting the bytes anew.
//!
//! ```text
//! header  512 bytes  magic "DVJRNL1\n" · recording i64 · number u32 · start_wall i64 · start_mono_ms u64
//!                    · boot_id [16] · previous [32] · checksum [16] · zeros
//! record  128 bytes  index u32 · len u32 · hash [32] · flags u8 · start_pts i64 · duration u32
//!                    · wall_offset_ms u32 · checksum [16] · zeros                 (big-endian)
//! ```
//! A checksum is the front of BLAKE3 over what precedes it; a record's also covers the header's checksum, so that
//! a stale block of another pack never counts. The file starts with room for a minute of records in zeros: an
//! overwrite needs no new block, and its sync no filesystem journal commit.
//!
//! Invariant: a record is written only after the segment's bytes are durable.

use std::{path::Path, sync::Arc};

use dashvault_base::{ContentHash, PackId, Pts, RecordingId, Ticks90k, WallMs};
use dashvault_disk::{Disk, DiskError, DiskFile, OpenMode};
use dashvault_media::{MAX_SEGMENTS_PER_PACK, SegmentEntry};

use crate::PackStart;

const HEADER_BYTES: usize = 512;
const RECORD_BYTES: usize = 128;
const CHECKSUM_BYTES: usize = 16;
const PREALLOCATED_BYTES: usize = 8192;
const MAGIC: [u8; 8] = *b"DVJRNL1\n";
/// The longest journal that can be sound.
const MAX_BYTES: u64 = (HEADER_BYTES + MAX_SEGMENTS_PER_PACK * RECORD_BYTES) as u64;

const HAS_PTS: u8 = 1;
const KEYFRAME: u8 = 2;
const DAMAGED: u8 = 4;

/// What a journal says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Journal {
    pub(crate) start: PackStart,
    pub(crate) previous: ContentHash,
    pub(crate) segments: Vec<SegmentEntry>,
}

impl Journal {
    /// Reads the journal at `path`; `None` where there is none, or its header is not sound. Records count up to the
    /// first that is not sound.
    pub(crate) fn read(disk: &dyn Disk, path: &Path, pack: PackId) -> Result<Option<Self>, DiskError> {
        match disk.read(path, MAX_BYTES) {
            Ok(bytes) => Ok(Self::decode(&bytes, pack)),
            Err(error) if error.is_not_found() || error.source.kind() == std::io::ErrorKind::InvalidData => {
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    #[cfg(test)]
    fn encode(&self) -> Vec<u8> {
        let (mut bytes, seal) = encode_header(self.start, self.previous);
        for (index, entry) in (0..).zip(&self.segments) {
            bytes.extend_from_slice(&encode_record(index, entry, &seal));
        }
        bytes
    }

    fn decode(bytes: &[u8], pack: PackId) -> Option<Self> {
        let (header, records) = bytes.split_at_checked(HEADER_BYTES)?;
        let mut fields = Fields(header);
        if fields.array()? != MAGIC {
            return None;
        }
        let recording = RecordingId::at(WallMs(i64::from_be_bytes(fields.array()?)));
        let id = PackId { recording, number: u32::from_be_bytes(fields.array()?) };
        let start = PackStart {
            pack: id,
            start_wall: WallMs(i64::from_be_bytes(fields.array()?)),
            start_mono_ms: u64::from_be_bytes(fields.array()?),
            boot_id: fields.array()?,
        };
        let previous = ContentHash::from_bytes(fields.array()?);
        // Encoding it again checks the checksum, the padding and the range of every field.
        let (expected, seal) = encode_header(start, previous);
        if id != pack || expected != header {
            return None;
        }
        let records = (0..).zip(records.chunks_exact(RECORD_BYTES)).take(MAX_SEGMENTS_PER_PACK);
        let segments = records.map_while(|(index, record)| decode_record(index, record, &seal)).collect();
        Some(Self { start, previous, segments })
    }
}

/// Writes the journal of one open pack.
#[derive(Debug)]
pub(crate) struct JournalWriter {
    file: Arc<dyn DiskFile>,
    seal: [u8; CHECKSUM_BYTES],
    records: u32,
}

impl JournalWriter {
    /// Starts a journal. Returns after its header is durable, its name is not.
    pub(crate) fn create(
        disk: &dyn Disk,
        path: &Path,
        start: PackStart,
        previous: ContentHash,
    ) -> Result<Self, DiskError> {
        let (mut bytes, seal) = encode_header(start, previous);
        bytes.resize(PREALLOCATED_BYTES, 0);
        let file = disk.open(path, OpenMode::Truncate)?;
        file.write_all_at(&bytes, 0)?;
        file.sync_data()?;
        Ok(Self { file, seal, records: 0 })
    }

    /// Adds a segment whose bytes are durable. Returns after the record is durable.
    pub(crate) fn append(&mut self, entry: &SegmentEntry) -> Result<(), DiskError> {
        let record = encode_record(self.records, entry, &self.seal);
        let offset = HEADER_BYTES as u64 + u64::from(self.records) * RECORD_BYTES as u64;
        self.file.write_all_at(&record, offset)?;
        self.file.sync_data()?;
        self.records += 1;
        Ok(())
    }
}

fn encode_header(start: PackStart, previous: ContentHash) -> (Vec<u8>, [u8; CHECKSUM_BYTES]) {
    let mut bytes = Vec::with_capacity(PREALLOCATED_BYTES);
    bytes.extend_from_slice(&MAGIC);
    bytes.extend_from_slice(&start.pack.recording.start().0.to_be_bytes());
    bytes.extend_from_slice(&start.pack.number.to_be_bytes());
    bytes.extend_from_slice(&start.start_wall.0.to_be_bytes());
    bytes.extend_from_slice(&start.start_mono_ms.to_be_bytes());
    bytes.extend_from_slice(&start.boot_id);
    bytes.extend_from_slice(previous.as_bytes());
    let seal = checksum(&[&bytes]);
    bytes.extend_from_slice(&seal);
    bytes.resize(HEADER_BYTES, 0);
    (bytes, seal)
}

fn encode_record(index: u32, entry: &SegmentEntry, seal: &[u8; CHECKSUM_BYTES]) -> Vec<u8> {
    let flag = |set: bool, bit: u8| if set { bit } else { 0 };
    let mut bytes = Vec::with_capacity(RECORD_BYTES);
    bytes.extend_from_slice(&index.to_be_bytes());
    bytes.extend_from_slice(&entry.len.to_be_bytes());
    bytes.extend_from_slice(entry.hash.as_bytes());
    bytes.push(
        flag(entry.start_pts.is_some(), HAS_PTS)
            | flag(entry.keyframe, KEYFRAME)
            | flag(entry.damaged, DAMAGED),
    );
    bytes.extend_from_slice(&entry.start_pts.map_or(0, |pts| pts.0).to_be_bytes());
    bytes.extend_from_slice(&entry.duration.0.to_be_bytes());
    bytes.extend_from_slice(&entry.wall_offset_ms.to_be_bytes());
    let sum = checksum(&[seal, &bytes]);
    bytes.extend_from_slice(&sum);
    bytes.resize(RECORD_BYTES, 0);
    bytes
}

fn decode_record(index: u32, record: &[u8], seal: &[u8; CHECKSUM_BYTES]) -> Option<SegmentEntry> {
    let mut fields = Fields(record);
    let _index: [u8; 4] = fields.array()?;
    let len = u32::from_be_bytes(fields.array()?);
    let hash = ContentHash::from_bytes(fields.array()?);
    let [flags] = fields.array()?;
    let pts = Pts(i64::from_be_bytes(fields.array()?));
    let entry = SegmentEntry {
        len,
        hash,
        start_pts: (flags & HAS_PTS != 0).then_some(pts),
        duration: Ticks90k(u32::from_be_bytes(fields.array()?)),
        wall_offset_ms: u32::from_be_bytes(fields.array()?),
        keyframe: flags & KEYFRAME != 0,
        damaged: flags & DAMAGED != 0,
    };
    (encode_record(index, &entry, seal) == record).then_some(entry)
}

fn checksum(parts: &[&[u8]]) -> [u8; CHECKSUM_BYTES] {
    let hash = ContentHash::of(&parts.concat());
    *hash.as_bytes().first_chunk().expect("a hash is longer than a checksum")
}

/// Takes fixed-size fields off the front.
struct Fields<'a>(&'a [u8]);

impl Fields<'_> {
    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (field, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(*field)
    }
}

#[cfg(test)]
mod tests;
