//! The part file of one announced pack: an [`Assembly`] and its bytes, at the places they have in the pack.
//!
//! The file is sparse and not synced until the pack is complete. After a restart it is believed only as far as the
//! hashes of the next announcement go ([`Part::recover`]).

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use dashvault_base::{ContentHash, PackId, WallMs};
use dashvault_disk::{Disk, DiskError, DiskFile, OpenMode};
use dashvault_wire::ByteRange;

use super::assembly::{Assembly, Verdict};
use crate::{archive::index::How, arriving::ArrivingPack};

/// Read and copied in pieces of this size.
pub(crate) const PIECE_BYTES: usize = 256 * 1024;

/// Bytes of an earlier run that one announcement may have hashed: a sparse file is long for nothing.
const RECOVER_BYTES: u64 = 512 << 20;

/// See the module's documentation.
#[derive(Debug)]
pub(crate) struct Part {
    pub(crate) assembly: Assembly,
    file: Arc<dyn DiskFile>,
    path: PathBuf,
    /// How long the file was when it was opened: bytes of an earlier run.
    earlier_bytes: u64,
    /// The first segment that [`Part::recover`] has not come to.
    unread: Option<usize>,
    /// A sync of the file has failed.
    pub(crate) in_doubt: bool,
}

/// What a write or a recovery found out.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Judged {
    /// Segments that are right now.
    pub(crate) verified: Vec<usize>,
    /// Segments whose bytes were wrong and are wanted again.
    pub(crate) mismatched: Vec<usize>,
}

impl Part {
    /// Opens the part, or begins one. Its folder exists.
    pub(crate) fn open(disk: &dyn Disk, path: PathBuf) -> Result<Self, DiskError> {
        let file = disk.open(&path, OpenMode::Create)?;
        let earlier_bytes = file.len()?;
        Ok(Self { assembly: Assembly::default(), file, path, earlier_bytes, unread: None, in_doubt: false })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// It as viewers see it; `start` is the wall time of its first byte, unless its seal says so.
    pub(crate) fn arriving(&self, id: PackId, start: WallMs) -> ArrivingPack {
        ArrivingPack { id, contents: self.assembly.contents(start), file: self.file.clone() }
    }

    /// Writes bytes of the pack at `start`; what lies in verified segments or past the known body is left out.
    pub(crate) fn write(&mut self, start: u64, bytes: &[u8], how: How) -> Result<Judged, DiskError> {
        let mut judged = Judged::default();
        for range in self.assembly.writable(ByteRange::new(start, start + bytes.len() as u64)) {
            let (from, until) = (offset_in(range.start, start), offset_in(range.end, start));
            let Some(piece) = bytes.get(from..until) else { continue };
            self.file.write_all_at(piece, range.start)?;
            let verdicts = self.assembly.wrote(range.start, piece, how);
            self.settle(verdicts, how, &mut judged)?;
        }
        Ok(judged)
    }

    /// Copies `from` of another file to `start` of the pack.
    pub(crate) fn copy(
        &mut self,
        source: &dyn DiskFile,
        from: ByteRange,
        start: u64,
        how: How,
    ) -> Result<Judged, DiskError> {
        let mut judged = Judged::default();
        let mut buffer = vec![0; piece_len(from.len())];
        let mut at = 0;
        while at < from.len() {
            let len = piece_len(from.len() - at);
            source.read_exact_at(&mut buffer[..len], from.start + at)?;
            let more = self.write(start + at, &buffer[..len], how)?;
            judged.verified.extend(more.verified);
            judged.mismatched.extend(more.mismatched);
            at += len as u64;
        }
        Ok(judged)
    }

    /// Looks at what an earlier run left of the segments from `first` on: `uploaded` are the ranges that uploads
    /// say they brought, and everything else in the file counts if its hash is right. A call hashes at most
    /// [`RECOVER_BYTES`], more than any honest pack has; the next one goes on there.
    pub(crate) fn recover(&mut self, first: usize, uploaded: &[ByteRange]) -> Result<Judged, DiskError> {
        let mut judged = Judged::default();
        if self.earlier_bytes == 0 {
            return Ok(judged);
        }
        let first = self.unread.take().map_or(first, |unread| unread.min(first));
        let mut budget = RECOVER_BYTES;
        let mut open = (first..self.assembly.known()).filter_map(|index| self.assembly.open_segment(index));
        let Some(from) = open.next().map(|open| open.range.start) else {
            return Ok(judged);
        };
        let there = ByteRange::new(from, self.earlier_bytes);
        for range in uploaded {
            let verdicts = self.assembly.assume_held(range.intersection(there));
            self.settle(verdicts, How::Backfilled, &mut judged)?;
        }
        for index in first..self.assembly.known() {
            let Some(open) = self.assembly.open_segment(index) else { continue };
            // Held bytes wait for the rest of their segment; bytes found wrong just now stay wrong.
            if open.prefix > 0 || open.distrusted || open.range.end > self.earlier_bytes {
                continue;
            }
            let Some(left) = budget.checked_sub(open.range.len()) else {
                self.unread = Some(index);
                break;
            };
            budget = left;
            let hash = self.hash(open.range)?;
            if hash == open.notice.hash {
                let verdict = self.assembly.judge(index, hash, How::Backfilled);
                self.settle(vec![verdict], How::Backfilled, &mut judged)?;
            }
        }
        Ok(judged)
    }

    fn settle(&mut self, verdicts: Vec<Verdict>, how: How, judged: &mut Judged) -> Result<(), DiskError> {
        for verdict in verdicts {
            let last = match verdict {
                Verdict::ReadBack(index) => match self.assembly.open_segment(index) {
                    Some(open) => {
                        let hash = self.hash(open.range)?;
                        self.assembly.judge(index, hash, how)
                    }
                    None => continue,
                },
                other => other,
            };
            match last {
                Verdict::Verified(index) => judged.verified.push(index),
                Verdict::Mismatch(index) | Verdict::ReadBack(index) => judged.mismatched.push(index),
            }
        }
        Ok(())
    }

    fn hash(&self, range: ByteRange) -> Result<ContentHash, DiskError> {
        hash_of(self.file.as_ref(), range)
    }
}

/// Hashes a range of a file.
fn hash_of(file: &dyn DiskFile, range: ByteRange) -> Result<ContentHash, DiskError> {
    let mut hasher = blake3::Hasher::new();
    let mut buffer = vec![0; piece_len(range.len())];
    let mut at = range.start;
    while at < range.end {
        let len = piece_len(range.end - at);
        file.read_exact_at(&mut buffer[..len], at)?;
        hasher.update(&buffer[..len]);
        at += len as u64;
    }
    Ok(hasher.finalize().into())
}

fn piece_len(left: u64) -> usize {
    usize::try_from(left).unwrap_or(PIECE_BYTES).min(PIECE_BYTES)
}

fn offset_in(position: u64, start: u64) -> usize {
    usize::try_from(position - start).unwrap_or(usize::MAX)
}
