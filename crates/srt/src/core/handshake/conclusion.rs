//! What a caller asks for, read from its conclusion, or the code with which it is refused.
//!
//! What does not belong here: cookies, limits, and whether the application wants it.

use std::time::Duration;

use super::{VERSION, agreed};
use crate::RejectCode;
use crate::core::packet::{ExtensionKind, Handshake, Hello, HelloFlags};
use crate::core::seq::{Seq, SocketId};

/// 1004: no sense in it.
const ROGUE: RejectCode = RejectCode(1004);
/// 1008: another handshake version.
const OLD_VERSION: RejectCode = RejectCode(1008);
/// 1012: stream mode is not for live connections.
const STREAM_MODE: RejectCode = RejectCode(1012);
/// 1013: only live congestion control.
const CONGESTION: RejectCode = RejectCode(1013);
/// 1014: no packet filters.
const FILTER: RejectCode = RejectCode(1014);
/// 2400: the stream id is not UTF-8, or too long.
const BAD_STREAM_ID: RejectCode = RejectCode(2400);

/// Key messages take up to 104 bytes; nothing much longer is kept for the application.
const MAX_KEY_MESSAGE_BYTES: usize = 128;

/// A caller's wishes.
#[derive(Debug)]
pub(in crate::core) struct Conclusion {
    pub(in crate::core) socket: SocketId,
    pub(in crate::core) initial_seq: Seq,
    pub(in crate::core) window: u32,
    pub(in crate::core) hello: Hello,
    pub(in crate::core) key_message: Option<Vec<u8>>,
    pub(in crate::core) stream_id: String,
}

impl Conclusion {
    /// Reads a handshake that says it is a conclusion.
    pub(in crate::core) fn read(handshake: &Handshake<'_>) -> Result<Self, RejectCode> {
        if handshake.version != VERSION {
            return Err(OLD_VERSION);
        }
        let extensions = &handshake.extensions;
        let hello = extensions.hello_request().filter(|_| handshake.socket.0 != 0).ok_or(ROGUE)?;
        if hello.flags.has(HelloFlags::STREAM) {
            return Err(STREAM_MODE);
        }
        if extensions.congestion().is_some_and(|name| name.as_bytes() != b"live") {
            return Err(CONGESTION);
        }
        if extensions.find(ExtensionKind::Filter).is_some() {
            return Err(FILTER);
        }
        let key_message = extensions.key_request();
        if key_message.is_some_and(|message| message.len() > MAX_KEY_MESSAGE_BYTES) {
            return Err(ROGUE);
        }
        Ok(Self {
            socket: handshake.socket,
            initial_seq: handshake.initial_seq,
            window: handshake.window,
            hello,
            key_message: key_message.map(<[u8]>::to_vec),
            stream_id: stream_id(handshake)?,
        })
    }

    /// The latencies of receiving and of sending, when ours is this one.
    pub(in crate::core) fn latencies(&self, ours: Duration) -> (Duration, Duration) {
        (agreed(ours, self.hello.send_latency_ms), agreed(ours, self.hello.receive_latency_ms))
    }
}

fn stream_id(handshake: &Handshake<'_>) -> Result<String, RejectCode> {
    if handshake.extensions.find(ExtensionKind::StreamId).is_none() {
        return Ok(String::new());
    }
    let id = handshake.extensions.stream_id().ok_or(BAD_STREAM_ID)?;
    Ok(std::str::from_utf8(id.as_bytes()).map_err(|_| BAD_STREAM_ID)?.to_owned())
}
