//! The trailer: a signed manifest in null packets (PID 0x1FFF), which every player skips.
//!
//! Belongs here: packets to signed manifest and back. Does not: seeking in files, hashing the body.
//! Invariant: what [`parse_trailer`] accepts is, byte for byte, what [`trailer`] writes for the result.

use super::{Manifest, ManifestError, PublicKey, SignatureError, SignedManifest};
use crate::PACKET_BYTES;

/// The longest trailer a reader takes into memory.
pub const MAX_TRAILER_BYTES: usize = 1 << 20;

const VERSION: u16 = 1;
/// Sync byte, PID 0x1FFF, payload only, counter 0 (ISO/IEC 13818-1 §2.4.3.3 leaves it undefined here).
const NULL_HEADER: [u8; 4] = [0x47, 0x1F, 0xFF, 0x10];
const PAYLOAD_BYTES: usize = PACKET_BYTES - NULL_HEADER.len();
/// Like PNG's, it breaks when line ends are converted.
const MAGIC: [u8; 8] = *b"DVPACK\r\n";
const STUFFING: u8 = 0xFF;
const KEY_AND_SIGNATURE_BYTES: usize = 32 + 64;

/// Offsets in the last packet.
mod at {
    pub(super) const MAGIC: usize = 4;
    pub(super) const VERSION: usize = 12;
    pub(super) const TRAILER_LEN: usize = 14;
    pub(super) const CONTENT_LEN: usize = 18;
    pub(super) const CHECKSUM: usize = 22;
    pub(super) const STUFFING: usize = 54;
    pub(super) const MAGIC_AGAIN: usize = 180;
}

/// Why bytes are no sound trailer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TrailerError {
    /// There is none: the pack was never sealed.
    #[error("no trailer: the pack was still open")]
    Missing,
    /// The last packet is a trailer's, but broken.
    #[error("the trailer's last packet is damaged")]
    LastPacket,
    /// It was written by a newer Dashvault.
    #[error("trailer version {version} is newer than {VERSION}, the newest this program reads")]
    NewerVersion {
        /// Its version.
        version: u16,
    },
    /// The trailer's length cannot be.
    #[error("trailer length {len} is impossible")]
    Length {
        /// What the last packet says, or how many bytes there are.
        len: u64,
    },
    /// The checksum over the trailer does not match.
    #[error("the trailer's checksum does not match")]
    Checksum,
    /// Checksum right, but not what this format writes.
    #[error("the trailer differs from its canonical form at byte {offset}")]
    NotCanonical {
        /// The first such byte, from the trailer's start.
        offset: usize,
    },
    /// The manifest inside does not decode.
    #[error("the trailer's manifest is unreadable")]
    Manifest(#[from] ManifestError),
    /// The signature is wrong.
    #[error(transparent)]
    Signature(#[from] SignatureError),
}

/// The trailer of a signed manifest: whole null packets.
#[must_use]
pub fn trailer(signed: &SignedManifest) -> Vec<u8> {
    let manifest = signed.manifest().encode();
    let mut content = Vec::with_capacity(manifest.len() + KEY_AND_SIGNATURE_BYTES);
    content.extend_from_slice(&manifest);
    content.extend_from_slice(signed.public_key().as_bytes());
    content.extend_from_slice(signed.signature());

    let packets = content.len().div_ceil(PAYLOAD_BYTES) + 1;
    let mut out = Vec::with_capacity(packets * PACKET_BYTES);
    for payload in content.chunks(PAYLOAD_BYTES) {
        out.extend_from_slice(&NULL_HEADER);
        out.extend_from_slice(payload);
        out.resize(out.len().next_multiple_of(PACKET_BYTES), STUFFING);
    }
    out.extend_from_slice(&NULL_HEADER);
    out.extend_from_slice(&MAGIC);
    out.extend_from_slice(&VERSION.to_be_bytes());
    out.extend_from_slice(&length_field(packets * PACKET_BYTES));
    out.extend_from_slice(&length_field(content.len()));
    let checksum = blake3::hash(&out);
    out.extend_from_slice(checksum.as_bytes());
    out.resize(packets * PACKET_BYTES - MAGIC.len(), STUFFING);
    out.extend_from_slice(&MAGIC);
    out
}

fn length_field(len: usize) -> [u8; 4] {
    u32::try_from(len).unwrap_or(u32::MAX).to_be_bytes()
}

/// Length of the trailer that ends with `last_packet`, including it; `None` where the pack has none (is open).
///
/// # Errors
/// The packet is a trailer's last, but damaged, too new, or says an impossible length.
pub fn trailer_len(last_packet: &[u8; PACKET_BYTES]) -> Result<Option<u32>, TrailerError> {
    let magics = [at::MAGIC, at::MAGIC_AGAIN].map(|offset| field::<8>(last_packet, offset) == MAGIC);
    if magics == [false, false] {
        return Ok(None);
    }
    let stuffed = last_packet[at::STUFFING..at::MAGIC_AGAIN].iter().all(|byte| *byte == STUFFING);
    if magics != [true, true] || !last_packet.starts_with(&NULL_HEADER) || !stuffed {
        return Err(TrailerError::LastPacket);
    }
    match u16::from_be_bytes(field(last_packet, at::VERSION)) {
        0 => return Err(TrailerError::LastPacket),
        VERSION => {}
        version => return Err(TrailerError::NewerVersion { version }),
    }
    let len = u32::from_be_bytes(field(last_packet, at::TRAILER_LEN));
    let bytes = len as usize;
    let possible = (2 * PACKET_BYTES..=MAX_TRAILER_BYTES).contains(&bytes);
    if !possible || !bytes.is_multiple_of(PACKET_BYTES) {
        return Err(TrailerError::Length { len: len.into() });
    }
    Ok(Some(len))
}

fn field<const N: usize>(packet: &[u8; PACKET_BYTES], offset: usize) -> [u8; N] {
    packet[offset..offset + N].try_into().expect("fields lie within the packet")
}

/// Reads the trailer that `tail`, the end of a pack file, ends with; checksum, form and signature are checked.
///
/// # Errors
/// There is no trailer, or it is not sound in every bit.
pub fn parse_trailer(tail: &[u8]) -> Result<SignedManifest, TrailerError> {
    let last_packet = tail.last_chunk::<PACKET_BYTES>().ok_or(TrailerError::Missing)?;
    let len = trailer_len(last_packet)?.ok_or(TrailerError::Missing)? as usize;
    let start = tail.len().checked_sub(len).ok_or(TrailerError::Length { len: tail.len() as u64 })?;
    let bytes = &tail[start..];
    let checksum_at = len - PACKET_BYTES + at::CHECKSUM;
    if *blake3::hash(&bytes[..checksum_at]).as_bytes() != field::<32>(last_packet, at::CHECKSUM) {
        return Err(TrailerError::Checksum);
    }
    let signed = decode_content(bytes, u32::from_be_bytes(field(last_packet, at::CONTENT_LEN)) as usize)?;
    let again = trailer(&signed);
    if again != bytes {
        let same = again.iter().zip(bytes).take_while(|(a, b)| a == b).count();
        return Err(TrailerError::NotCanonical { offset: same });
    }
    signed.verify()?;
    Ok(signed)
}

fn decode_content(bytes: &[u8], content_len: usize) -> Result<SignedManifest, TrailerError> {
    let packets = bytes.as_chunks::<PACKET_BYTES>().0;
    let payloads = packets.split_last().map_or(packets, |(_, before)| before);
    let mut content = Vec::with_capacity(payloads.len() * PAYLOAD_BYTES);
    payloads.iter().for_each(|packet| content.extend_from_slice(&packet[NULL_HEADER.len()..]));
    let impossible = TrailerError::Length { len: content_len as u64 };
    let content = content.get(..content_len).ok_or_else(|| impossible.clone())?;
    let (rest, signature) = content.split_last_chunk::<64>().ok_or_else(|| impossible.clone())?;
    let (manifest, key) = rest.split_last_chunk::<32>().ok_or(impossible)?;
    Ok(SignedManifest::from_parts(Manifest::decode(manifest)?, PublicKey::from_bytes(*key), *signature))
}
