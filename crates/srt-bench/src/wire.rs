//! As much of SRT's wire as the load generator and the relay need: a caller's packets, and a look at others'.
//!
//! What does not belong here: state and timing. It is written apart from our crate on purpose, so that the measure does
//! not share the measured one's mistakes. Protocol: draft-sharabayko-srt-01 §3.

/// Bytes of every SRT header.
pub(crate) const HEADER_BYTES: usize = 16;
/// Seven TS packets.
pub(crate) const PAYLOAD_BYTES: usize = 7 * 188;
/// Payload bytes of seven empty TS packets.
pub(crate) fn null_payload() -> Vec<u8> {
    let mut packet = [0xff; 188];
    packet[..4].copy_from_slice(&[0x47, 0x1f, 0xff, 0x10]);
    packet.repeat(7)
}

const KEEPALIVE: u32 = 0x8001_0000;
const ACKACK: u32 = 0x8006_0000;
const DROP_REQUEST: u32 = 0x8007_0000;
const HANDSHAKE: u32 = 0x8000_0000;
const SOLO: u32 = 0b11 << 30;
const CONCLUSION: u32 = 0xffff_ffff;
/// TSBPD both ways, too-late drop, periodic NAK, retransmit flag; and AES as libsrt always says.
const HELLO_FLAGS: u32 = 0x3f;
const VERSION: u32 = 0x01_05_01;
/// "bench", in words that are turned round.
const STREAM_ID: [u8; 8] = *b"cneb\0\0\0h";

/// The head of a data packet.
pub(crate) fn data(seq: u32, message: u32, stamp_us: u32, to: u32) -> [u8; HEADER_BYTES] {
    header(seq & 0x7fff_ffff, SOLO | (message & 0x03ff_ffff), stamp_us, to)
}

pub(crate) fn keepalive(stamp_us: u32, to: u32) -> [u8; HEADER_BYTES] {
    header(KEEPALIVE, 0, stamp_us, to)
}

pub(crate) fn ackack(number: u32, stamp_us: u32, to: u32) -> [u8; HEADER_BYTES] {
    header(ACKACK, number, stamp_us, to)
}

/// Tells the peer not to wait for these.
pub(crate) fn drop_request(first: u32, last: u32, stamp_us: u32, to: u32) -> Vec<u8> {
    words(&header(DROP_REQUEST, 0, stamp_us, to), &[first, last])
}

/// The first packet of a handshake.
pub(crate) fn induction(stamp_us: u32, socket: u32, isn: u32) -> Vec<u8> {
    handshake(stamp_us, 4, 2, isn, 1, socket, 0)
}

/// The second, with what the listener's answer to the first brought.
pub(crate) fn conclusion(stamp_us: u32, socket: u32, isn: u32, cookie: u32, latency_ms: u16) -> Vec<u8> {
    let mut packet = handshake(stamp_us, 5, 1 | 4, isn, CONCLUSION, socket, cookie);
    let latency = u32::from(latency_ms);
    packet = words(&packet, &[(1 << 16) | 3, VERSION, HELLO_FLAGS, (latency << 16) | latency, (5 << 16) | 2]);
    packet.extend_from_slice(&STREAM_ID);
    packet
}

fn handshake(
    stamp_us: u32,
    version: u32,
    field: u32,
    isn: u32,
    kind: u32,
    socket: u32,
    cookie: u32,
) -> Vec<u8> {
    let head = header(HANDSHAKE, 0, stamp_us, 0);
    let localhost = u32::from_be_bytes([1, 0, 0, 127]);
    words(&head, &[version, field, isn, 1500, 8192, kind, socket, cookie, localhost, 0, 0, 0])
}

fn header(first: u32, second: u32, stamp_us: u32, to: u32) -> [u8; HEADER_BYTES] {
    let mut header = [0; HEADER_BYTES];
    for (bytes, word) in header.chunks_exact_mut(4).zip([first, second, stamp_us, to]) {
        bytes.copy_from_slice(&word.to_be_bytes());
    }
    header
}

fn words(head: &[u8], words: &[u32]) -> Vec<u8> {
    head.iter().copied().chain(words.iter().flat_map(|word| word.to_be_bytes())).collect()
}

/// The big-endian word at byte `at`; zero where there is none.
pub(crate) fn word(datagram: &[u8], at: usize) -> u32 {
    datagram.get(at..at + 4).and_then(|bytes| bytes.try_into().ok()).map_or(0, u32::from_be_bytes)
}

/// What a listener says to its caller.
pub(crate) enum Answer {
    /// The listener's cookie.
    Cookie(u32),
    /// The listener's socket id: the connection stands.
    Open(u32),
    Rejected,
    /// A full acknowledgement, by its number.
    Ack(u32),
    /// Ranges that are asked for again, first and last.
    Nak(Vec<(u32, u32)>),
    Shutdown,
    Other,
}

impl Answer {
    pub(crate) fn read(datagram: &[u8]) -> Self {
        match word(datagram, 0) >> 16 {
            0x8000 => match word(datagram, 36) {
                1 => Self::Cookie(word(datagram, 44)),
                CONCLUSION => Self::Open(word(datagram, 40)),
                _ => Self::Rejected,
            },
            0x8002 if datagram.len() > HEADER_BYTES + 4 => Self::Ack(word(datagram, 4)),
            0x8003 => Self::Nak(ranges(datagram)),
            0x8005 => Self::Shutdown,
            _ => Self::Other,
        }
    }
}

fn ranges(nak: &[u8]) -> Vec<(u32, u32)> {
    let mut ranges = Vec::new();
    let mut words = nak.get(HEADER_BYTES..).unwrap_or_default().chunks_exact(4).map(|bytes| word(bytes, 0));
    while let Some(first) = words.next() {
        let last = if first >> 31 == 1 { words.next().unwrap_or(first) } else { first };
        ranges.push((first & 0x7fff_ffff, last & 0x7fff_ffff));
    }
    ranges
}

/// A data packet as a relay sees it.
pub(crate) struct Data<'a> {
    pub(crate) seq: u32,
    pub(crate) payload: &'a [u8],
}

impl<'a> Data<'a> {
    pub(crate) fn read(datagram: &'a [u8]) -> Option<Self> {
        let payload = datagram.get(HEADER_BYTES..)?;
        let seq = word(datagram, 0);
        (seq >> 31 == 0).then_some(Self { seq, payload })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_nak_is_read_as_ranges() {
        let nak = words(&header(0x8003_0000, 0, 0, 1), &[0x8000_0005, 9, 12]);
        assert!(matches!(Answer::read(&nak), Answer::Nak(ranges) if ranges == [(5, 9), (12, 12)]));
    }

    #[test]
    fn a_conclusion_is_told_from_an_induction() {
        assert!(matches!(Answer::read(&conclusion(0, 7, 1, 2, 120)), Answer::Open(7)));
        assert!(matches!(Answer::read(&induction(0, 7, 1)), Answer::Cookie(0)));
        assert_eq!(conclusion(0, 7, 1, 2, 120).len(), 92);
    }

    #[test]
    fn data_is_told_from_control() {
        assert_eq!(Data::read(&data(77, 1, 2, 3)).map(|data| data.seq), Some(77));
        assert!(Data::read(&keepalive(0, 1)).is_none());
    }
}
