//! Synthetic MPEG transport streams (ISO/IEC 13818-1), seeded and pure, with the truth about them.
//!
//! [`TsSource`] writes packets that players accept (PAT, PMT and SDT with CRC, PES with timestamps, PCR, continuity
//! counters, real parameter sets and NAL headers; the pictures themselves are filler) and notes where each keyframe's
//! segment begins. [`damage`] breaks streams on purpose. Nothing here shares code with `dashvault-media`, which it is
//! the oracle for.

pub mod damage;
mod packet;
mod picture;
mod profile;
mod psi;
mod source;

pub use profile::{Keyframes, TsProfile, VideoCodec, WRAP_90K};
pub use source::{ExpectedSegment, TsReader, TsSource, TsStream};

/// Bytes in a transport stream packet.
pub const PACKET_BYTES: usize = 188;
/// PID of the video.
pub const VIDEO_PID: u16 = 0x100;
/// PID of the audio.
pub const AUDIO_PID: u16 = 0x101;
/// PID of the PMT of the programme with the video.
pub const PMT_PID: u16 = 0x1000;
/// PID of the PMT of the other programme, where there is one.
pub const OTHER_PMT_PID: u16 = 0x1001;
/// PID of the PAT.
pub const PAT_PID: u16 = 0;
/// PID of the SDT.
pub const SDT_PID: u16 = 0x11;
/// PID of null packets.
pub const NULL_PID: u16 = 0x1fff;
