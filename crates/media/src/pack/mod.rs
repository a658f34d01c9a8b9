//! The pack file: concatenated segments (the body), then the signed manifest in null packets (the trailer).
//!
//! Belongs here: the bytes of a pack and what they prove. Does not: where packs lie and when they are deleted.
//! The byte table is in `docs/design/pack-format.md`.
//!
//! Invariants:
//! 1. The body is whole 188-byte packets, and exactly the manifest's segments in order.
//! 2. A manifest has one encoding, and a trailer too: what decodes is encoded again and compared, so that no
//!    flipped bit hides in a byte that nobody reads.
//! 3. A file whose last packet carries no trailer magic is an open pack; half a magic is damage.

mod body;
mod cutter;
mod entry;
mod manifest;
mod sign;
mod trailer;
mod verify;

pub use body::{BadSegment, BodyVerifier};
pub use cutter::{PackCutter, PackLimits};
pub use entry::SegmentEntry;
pub use manifest::{MAX_SEGMENTS_PER_PACK, Manifest, ManifestError, SealedBy};
pub use sign::{PublicKey, PublicKeyParseError, SignatureError, SignedManifest, SigningKey};
pub use trailer::{MAX_TRAILER_BYTES, TrailerError, parse_trailer, trailer, trailer_len};
pub use verify::{PackAudit, PackError, PackReport, VerifyOptions, audit_pack, read_manifest, verify_pack};
