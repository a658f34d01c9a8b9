//! MPEG-TS, keyframes, the segmenter, the pack format, and HLS playlists.
//!
//! Belongs here: everything that is a function of media bytes. Does not: files, sockets, clocks, threads (a reader
//! or a sink comes in as a trait), and how packs are stored or sent. Hostile bytes never panic, and no structure
//! here grows with the input.
//!
//! * [`ts`]: packets, PSI, PES, timestamps, continuity (ISO/IEC 13818-1).
//! * [`keyframe`]: whether an access unit is a point to start decoding (H.264, H.265).
//! * [`hls`]: playlists as text.
//! * [`parts`]: live segments and parts; see `docs/design/live.md`.
//! * [`mod@format`]: codecs, picture size and sound of a segment.
//! * [`join`]: segments that were cut apart onto one timeline; see `docs/design/clips.md`.
//! * [`segmenter`]: the deterministic cut; see `docs/design/segmenter.md`.
//! * [`wall`]: from media time to wall time.
//! * [`pack`]: manifest, signature, trailer, verification; see `docs/design/pack-format.md`.

#![forbid(unsafe_code)]
#![warn(clippy::cast_possible_truncation)]
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::cast_possible_truncation))]

pub mod format;
pub mod hls;
pub mod join;
pub mod keyframe;
pub mod pack;
pub mod parts;
pub mod segmenter;
pub mod ts;
pub mod wall;

pub use pack::{
    BadSegment, BodyVerifier, MAX_SEGMENTS_PER_PACK, MAX_TRAILER_BYTES, Manifest, ManifestError, PackAudit,
    PackCutter, PackError, PackLimits, PackReport, PublicKey, PublicKeyParseError, SealedBy, SegmentEntry,
    SignatureError, SignedManifest, SigningKey, TrailerError, VerifyOptions, audit_pack, parse_trailer,
    read_manifest, trailer, trailer_len, verify_pack,
};
pub use segmenter::{ClosedBy, Counters, Segment, SegmentSink, Segmenter, SegmenterConfig, SegmenterError};
pub use ts::{PACKET_BYTES, Packet, Pid, psi::StreamInfo};
