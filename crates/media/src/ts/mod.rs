//! The transport stream's layers: packets, PSI, PES, timestamps, continuity (ISO/IEC 13818-1).
//!
//! Belongs here: what the standard says of bytes. Does not: where a stream is cut, and what a codec's payload means.

pub mod continuity;
mod crc;
pub mod packet;
pub mod pes;
pub mod psi;
pub mod pts;
pub mod section;

pub use packet::{AdaptationField, PACKET_BYTES, Packet, Pid, SYNC_BYTE};
