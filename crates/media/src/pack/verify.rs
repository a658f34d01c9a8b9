//! Reading and verifying whole pack files over [`Read`] and [`Seek`], in bounded memory.

use std::io::{self, Read, Seek, SeekFrom};

use dashvault_base::{ContentHash, PackId};

use super::{
    BadSegment, BodyVerifier, PublicKey, SignedManifest, parse_trailer, trailer::TrailerError, trailer_len,
};
use crate::PACKET_BYTES;

const READ_BYTES: usize = 256 * 1024;

/// What the caller knows already and a pack must match.
#[derive(Debug, Clone, Copy, Default)]
pub struct VerifyOptions {
    /// The key that must have signed.
    pub public_key: Option<PublicKey>,
    /// The pack it must be.
    pub pack: Option<PackId>,
    /// The chain: hash of the pack before.
    pub previous: Option<ContentHash>,
}

/// A sound pack.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PackReport {
    /// Its manifest.
    pub signed: SignedManifest,
    /// The manifest's hash, for the chain.
    pub manifest_hash: ContentHash,
    /// Length of the body.
    pub body_len: u64,
    /// Length of the whole file.
    pub file_len: u64,
}

/// A pack whose trailer is sound, with every segment that is not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PackAudit {
    /// What the trailer says.
    pub report: PackReport,
    /// The bad segments in order; empty for a sound pack.
    pub bad: Vec<BadSegment>,
}

/// Why a pack is not sound.
#[derive(Debug, thiserror::Error)]
pub enum PackError {
    /// It could not be read.
    #[error("the pack cannot be read")]
    Io(#[from] io::Error),
    /// The file ends within a packet.
    #[error("the file is {len} bytes, not whole packets of 188")]
    TornPacket {
        /// Its length.
        len: u64,
    },
    /// The trailer is missing or wrong.
    #[error("trailer, from byte {start} of the file on")]
    Trailer {
        /// Where it starts, as far as it is known.
        start: u64,
        /// What is wrong.
        source: TrailerError,
    },
    /// The body is longer or shorter than the manifest's segments.
    #[error("the body is {found} bytes, the manifest's segments are {expected}")]
    BodyLength {
        /// By the manifest.
        expected: u64,
        /// By the file.
        found: u64,
    },
    /// A segment's bytes are not those that were signed.
    #[error("segment {}, bytes {} to {}, is not what was signed", .0.index, .0.start, .0.end)]
    Segment(BadSegment),
    /// Sound, but signed by another key than expected.
    #[error("signed by {found:?}, not by {expected:?}")]
    OtherKey {
        /// The key it should be.
        expected: PublicKey,
        /// The key it is.
        found: PublicKey,
    },
    /// Sound, but another pack than expected.
    #[error("this is pack {found}, not {expected}")]
    OtherPack {
        /// The pack it should be.
        expected: PackId,
        /// The pack it is.
        found: PackId,
    },
    /// Sound, but the chain to the previous pack is broken.
    #[error("follows the pack with hash {found}, not {expected}")]
    BrokenChain {
        /// The previous pack's hash.
        expected: ContentHash,
        /// What the manifest names.
        found: ContentHash,
    },
}

/// Reads the manifest of a pack file; `None` where the pack is still open (no trailer).
///
/// The trailer is checked in every bit, its signature too; the body is not read.
///
/// # Errors
/// The file cannot be read, is torn, or its trailer is not sound.
pub fn read_manifest<R: Read + Seek>(reader: &mut R) -> Result<Option<SignedManifest>, PackError> {
    Ok(open(reader)?.map(|(report, _)| report.signed))
}

/// Verifies a whole pack: structure, trailer, signature, every segment, and what `options` know.
///
/// # Errors
/// The first thing that is wrong, and where. One flipped bit anywhere in the file is found.
pub fn verify_pack<R: Read + Seek>(reader: &mut R, options: &VerifyOptions) -> Result<PackReport, PackError> {
    let audit = audit_pack(reader)?;
    if let Some(bad) = audit.bad.first() {
        return Err(PackError::Segment(*bad));
    }
    options.check(&audit.report.signed)?;
    Ok(audit.report)
}

/// Like [`verify_pack`], but goes on after a bad segment and tells them all.
///
/// # Errors
/// The file cannot be read, or its trailer is not sound, so that no segment can be judged.
pub fn audit_pack<R: Read + Seek>(reader: &mut R) -> Result<PackAudit, PackError> {
    let missing = |start| PackError::Trailer { start, source: TrailerError::Missing };
    let (report, body_found) = match open(reader)? {
        Some(opened) => opened,
        None => return Err(missing(reader.seek(SeekFrom::End(0))?)),
    };
    if body_found != report.body_len {
        return Err(PackError::BodyLength { expected: report.body_len, found: body_found });
    }
    reader.seek(SeekFrom::Start(0))?;
    let mut verifier = BodyVerifier::new(report.signed.manifest());
    let mut body = reader.take(report.body_len);
    let mut buffer = vec![0; READ_BYTES];
    loop {
        match body.read(&mut buffer) {
            Ok(0) => break,
            Ok(read) => verifier.push(&buffer[..read]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error.into()),
        }
    }
    let bad = verifier.finish();
    Ok(PackAudit { report, bad })
}

impl VerifyOptions {
    fn check(&self, signed: &SignedManifest) -> Result<(), PackError> {
        let manifest = signed.manifest();
        match (self.public_key, signed.public_key()) {
            (Some(expected), found) if expected != found => {
                return Err(PackError::OtherKey { expected, found });
            }
            _ => {}
        }
        match (self.pack, manifest.pack) {
            (Some(expected), found) if expected != found => {
                return Err(PackError::OtherPack { expected, found });
            }
            _ => {}
        }
        match (self.previous, manifest.previous) {
            (Some(expected), found) if expected != found => Err(PackError::BrokenChain { expected, found }),
            _ => Ok(()),
        }
    }
}

/// Reads the trailer; gives what it says and the length of what lies before it.
fn open<R: Read + Seek>(reader: &mut R) -> Result<Option<(PackReport, u64)>, PackError> {
    const PACKET: u64 = PACKET_BYTES as u64;
    let file_len = reader.seek(SeekFrom::End(0))?;
    if !file_len.is_multiple_of(PACKET) {
        return Err(PackError::TornPacket { len: file_len });
    }
    let Some(last_at) = file_len.checked_sub(PACKET) else { return Ok(None) };
    let mut last_packet = [0; PACKET_BYTES];
    reader.seek(SeekFrom::Start(last_at))?;
    reader.read_exact(&mut last_packet)?;
    let wrong = |start: u64, source: TrailerError| PackError::Trailer { start, source };
    let Some(len) = trailer_len(&last_packet).map_err(|source| wrong(last_at, source))? else {
        return Ok(None);
    };
    let start =
        file_len.checked_sub(len.into()).ok_or_else(|| wrong(0, TrailerError::Length { len: len.into() }))?;
    let mut tail = vec![0; len as usize];
    reader.seek(SeekFrom::Start(start))?;
    reader.read_exact(&mut tail)?;
    let signed = parse_trailer(&tail).map_err(|source| wrong(start, source))?;
    let (manifest_hash, body_len) = (signed.manifest().hash(), signed.manifest().body_len());
    Ok(Some((PackReport { signed, manifest_hash, body_len, file_len }, start)))
}
