//! Handshake extensions: type, length in words, content.
//!
//! Texts (stream id, congestion control, packet filter) have the bytes of each word reversed and are filled up with
//! NULs. An extension that is longer than what is left ends the list.
//!
//! draft-sharabayko-srt-01 §3.2.1.1 to §3.2.1.3.

use std::fmt;

use super::words::{put, words};

/// The longest text of an extension.
pub const MAX_TEXT_BYTES: usize = 512;

/// Extension types.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u16)]
pub enum ExtensionKind {
    /// The caller's version, flags and latencies.
    HelloRequest = 1,
    /// The listener's.
    HelloResponse = 2,
    /// The caller's key material.
    KeyRequest = 3,
    /// The listener's answer to it.
    KeyResponse = 4,
    /// The stream id.
    StreamId = 5,
    /// The name of the congestion control ("live" or "file").
    Congestion = 6,
    /// A packet filter's configuration.
    Filter = 7,
    /// A group of connections (bonding).
    Group = 8,
}

/// What follows a handshake's fixed fields.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Extensions<'a>(&'a [u8]);

/// Version, abilities and latencies of one side (HSREQ, HSRSP).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hello {
    /// As 0x010503 for 1.5.3.
    pub version: u32,
    /// What it can and wants.
    pub flags: HelloFlags,
    /// Its latency as a receiver, in milliseconds.
    pub receive_latency_ms: u16,
    /// The latency it wants the other side to have as a receiver, in milliseconds.
    pub send_latency_ms: u16,
}

/// Abilities of one side.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct HelloFlags(pub u32);

impl HelloFlags {
    /// Sends with time stamps.
    pub const TSBPDSND: Self = Self(1);
    /// Plays out by time stamps.
    pub const TSBPDRCV: Self = Self(2);
    /// Knows encryption.
    pub const CRYPT: Self = Self(4);
    /// Drops what is too late.
    pub const TLPKTDROP: Self = Self(8);
    /// Reports losses again and again.
    pub const PERIODICNAK: Self = Self(16);
    /// Marks what is sent again; always set since 1.2.
    pub const REXMITFLG: Self = Self(32);
    /// Stream mode: no messages (not live).
    pub const STREAM: Self = Self(64);
    /// Knows packet filters.
    pub const PACKET_FILTER: Self = Self(128);

    /// Whether all of `flags` are set.
    pub const fn has(self, flags: Self) -> bool {
        self.0 & flags.0 == flags.0
    }

    /// Both sets.
    #[must_use]
    pub const fn with(self, flags: Self) -> Self {
        Self(self.0 | flags.0)
    }
}

impl<'a> Extensions<'a> {
    pub(super) const fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    /// All of them in order: type and content.
    pub fn iter(&self) -> impl Iterator<Item = (u16, &'a [u8])> + use<'a> {
        let mut rest = self.0;
        let next = move || {
            let (&[k0, k1, l0, l1], after) = rest.split_first_chunk::<4>()?;
            let bytes = usize::from(u16::from_be_bytes([l0, l1])) * 4;
            let (content, after) = after.split_at_checked(bytes)?;
            rest = after;
            Some((u16::from_be_bytes([k0, k1]), content))
        };
        std::iter::from_fn(next).fuse()
    }

    /// The content of the first of a kind.
    pub fn find(&self, kind: ExtensionKind) -> Option<&'a [u8]> {
        self.iter().find(|(found, _)| *found == kind as u16).map(|(_, content)| content)
    }

    /// The caller's hello (HSREQ).
    pub fn hello_request(&self) -> Option<Hello> {
        Hello::parse(self.find(ExtensionKind::HelloRequest)?)
    }

    /// The listener's hello (HSRSP).
    pub fn hello_response(&self) -> Option<Hello> {
        Hello::parse(self.find(ExtensionKind::HelloResponse)?)
    }

    /// The caller's key material message (KMREQ).
    pub fn key_request(&self) -> Option<&'a [u8]> {
        self.find(ExtensionKind::KeyRequest)
    }

    /// The listener's answer (KMRSP).
    pub fn key_response(&self) -> Option<&'a [u8]> {
        self.find(ExtensionKind::KeyResponse)
    }

    /// The stream id; none where it is longer than SRT allows.
    pub fn stream_id(&self) -> Option<Text> {
        Text::parse(self.find(ExtensionKind::StreamId)?)
    }

    /// The congestion control's name; "live" where there is none.
    pub fn congestion(&self) -> Option<Text> {
        Text::parse(self.find(ExtensionKind::Congestion)?)
    }
}

impl Hello {
    fn parse(content: &[u8]) -> Option<Self> {
        let [version, flags, latencies] = words(content)?;
        let [r0, r1, s0, s1] = latencies.to_be_bytes();
        Some(Self {
            version,
            flags: HelloFlags(flags),
            receive_latency_ms: u16::from_be_bytes([r0, r1]),
            send_latency_ms: u16::from_be_bytes([s0, s1]),
        })
    }
}

/// A text of at most 512 bytes, out of its wire form; perhaps not UTF-8.
#[derive(Clone, Copy)]
pub struct Text {
    bytes: [u8; MAX_TEXT_BYTES],
    len: usize,
}

impl Text {
    fn parse(content: &[u8]) -> Option<Self> {
        let mut bytes = [0; MAX_TEXT_BYTES];
        bytes.get_mut(..content.len())?.copy_from_slice(content);
        for word in bytes.as_chunks_mut::<4>().0 {
            word.reverse();
        }
        let len = bytes.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
        Some(Self { bytes, len })
    }

    /// The text without the NULs after it.
    pub fn as_bytes(&self) -> &[u8] {
        self.bytes.get(..self.len).unwrap_or_default()
    }
}

impl PartialEq for Text {
    fn eq(&self, other: &Self) -> bool {
        self.as_bytes() == other.as_bytes()
    }
}

impl Eq for Text {}

impl fmt::Debug for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Text({:?})", String::from_utf8_lossy(self.as_bytes()))
    }
}

pub(super) fn write_hello(request: bool, hello: Hello, out: &mut Vec<u8>) {
    let kind = if request { ExtensionKind::HelloRequest } else { ExtensionKind::HelloResponse };
    let latencies = (u32::from(hello.receive_latency_ms) << 16) | u32::from(hello.send_latency_ms);
    put(out, &[head(kind, 3), hello.version, hello.flags.0, latencies]);
}

pub(super) fn write_key(request: bool, message: &[u8], out: &mut Vec<u8>) {
    let kind = if request { ExtensionKind::KeyRequest } else { ExtensionKind::KeyResponse };
    write_words(kind, message, |word| word, out);
}

pub(super) fn write_stream_id(id: &str, out: &mut Vec<u8>) {
    let bytes = id.as_bytes();
    let bytes = bytes.get(..MAX_TEXT_BYTES).unwrap_or(bytes);
    write_words(ExtensionKind::StreamId, bytes, u32::swap_bytes, out);
}

fn write_words(kind: ExtensionKind, content: &[u8], turn: impl Fn(u32) -> u32, out: &mut Vec<u8>) {
    let content = content.get(..MAX_TEXT_BYTES).unwrap_or(content);
    put(out, &[head(kind, content.len().div_ceil(4))]);
    for part in content.chunks(4) {
        let mut word = [0; 4];
        word.iter_mut().zip(part).for_each(|(to, from)| *to = *from);
        put(out, &[turn(u32::from_be_bytes(word))]);
    }
}

/// An extension's first word.
fn head(kind: ExtensionKind, words: usize) -> u32 {
    (u32::from(kind as u16) << 16) | u32::from(u16::try_from(words).unwrap_or(u16::MAX))
}
