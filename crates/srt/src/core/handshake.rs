//! The handshake of version 5: what both sides say, and how what they say is read.
//!
//! Rooms: `cookie` proves addresses without state, `conclusion` reads what a caller asks for, `answer` writes what a
//! listener says, `calling` is the caller's side with its repetitions.
//!
//! What does not belong here: open connections, and who is let in.
//!
//! draft-sharabayko-srt-01 §3.2.1, §4.3.1.

pub(in crate::core) mod answer;
pub(in crate::core) mod calling;
pub(in crate::core) mod conclusion;
pub(in crate::core) mod cookie;

use std::time::Duration;

use crate::core::packet::{Hello, HelloFlags};

/// The handshake version that we speak.
const VERSION: u32 = 5;
/// The version in a caller's first packet, for listeners of any age.
const INDUCTION_VERSION: u32 = 4;
/// The extension field of a caller's first packet: datagrams.
const INDUCTION_EXTENSION: u16 = 2;
/// What we call ourselves: SRT 1.5.3.
const SRT_VERSION: u32 = 0x01_05_03;
/// The largest IP packet.
const MTU: u32 = 1500;

const FLAGS: HelloFlags = HelloFlags::TSBPDSND
    .with(HelloFlags::TSBPDRCV)
    .with(HelloFlags::CRYPT)
    .with(HelloFlags::TLPKTDROP)
    .with(HelloFlags::PERIODICNAK)
    .with(HelloFlags::REXMITFLG);

/// What we say about ourselves with these latencies.
fn hello(receive: Duration, send: Duration) -> Hello {
    Hello {
        version: SRT_VERSION,
        flags: FLAGS,
        receive_latency_ms: latency_ms(receive),
        send_latency_ms: latency_ms(send),
    }
}

/// A latency as the wire has it: 1 ms to 65 s.
fn latency_ms(latency: Duration) -> u16 {
    u16::try_from(latency.as_millis()).unwrap_or(u16::MAX).max(1)
}

/// The larger of a latency of ours and one that the peer wants.
fn agreed(ours: Duration, theirs_ms: u16) -> Duration {
    Duration::from_millis(u64::from(latency_ms(ours).max(theirs_ms)))
}

/// The length field of a key message, which is also the handshake's: 2, 3 or 4 times 8 bytes.
fn key_units(message: &[u8]) -> u16 {
    // The length of the salt is at 14, that of the key at 15, both in words.
    message.get(15).map_or(0, |words| u16::from(*words) / 2)
}
