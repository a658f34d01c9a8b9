//! Cuts PES packets into transport packets (ISO/IEC 13818-1 §2.4.3).

use super::{NULL_PID, PACKET_BYTES, profile::WRAP_90K};

/// What the first packet of a PES carries in its adaptation field.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Start {
    pub(super) random_access: bool,
    /// 90 kHz ticks.
    pub(super) pcr: Option<u64>,
    pub(super) discontinuity: bool,
}

/// The four bytes of a packet's header; `control`: 1 is payload, 3 is adaptation field and payload.
pub(super) fn header(out: &mut Vec<u8>, pid: u16, starts_unit: bool, counter: &mut u8, control: u8) {
    let [high, low] = pid.to_be_bytes();
    out.extend_from_slice(&[0x47, u8::from(starts_unit) << 6 | high, low, control << 4 | *counter]);
    *counter = (*counter + 1) & 0x0f;
}

pub(super) fn null(out: &mut Vec<u8>) {
    let start = out.len();
    // The continuity counter of null packets means nothing.
    header(out, NULL_PID, false, &mut 0, 0b01);
    out.resize(start + PACKET_BYTES, 0xff);
}

/// Writes a whole PES packet (its header included) on `pid`.
pub(super) fn pes(out: &mut Vec<u8>, pid: u16, counter: &mut u8, start: Start, mut pes: &[u8]) {
    let mut fields = Some(start);
    while !pes.is_empty() {
        let first = fields.is_some();
        let adaptation = adaptation_field(fields.take().unwrap_or_default(), pes.len());
        header(out, pid, first, counter, if adaptation.is_empty() { 0b01 } else { 0b11 });
        out.extend_from_slice(&adaptation);
        let (now, later) = pes.split_at(PACKET_BYTES - 4 - adaptation.len());
        out.extend_from_slice(now);
        pes = later;
    }
}

/// The adaptation field with its stuffing, so that the rest of the packet is full.
fn adaptation_field(start: Start, payload_left: usize) -> Field {
    let mut field = Field::default();
    if start.random_access || start.discontinuity || start.pcr.is_some() {
        let flags = u8::from(start.discontinuity) << 7 | u8::from(start.random_access) << 6;
        field.push(&[0, flags | u8::from(start.pcr.is_some()) << 4]);
        if let Some(pcr) = start.pcr {
            // 33 bits of base, six reserved ones, nine bits of extension (0).
            let [_, _, bytes @ ..] = ((pcr % WRAP_90K) << 15 | 0x7e00).to_be_bytes();
            field.push(&bytes);
        }
    }
    let room = PACKET_BYTES - 4 - field.len;
    if payload_left < room {
        let stuffing = room - payload_left;
        match (field.len, stuffing) {
            (0, 1) => field.push(&[0]),
            (0, _) => {
                field.push(&[0, 0]);
                field.stuff(stuffing - 2);
            }
            _ => field.stuff(stuffing),
        }
    }
    if let Some(length) = field.bytes[..field.len].first_mut() {
        *length = u8::try_from(field.len - 1).expect("a field is at most 184 bytes");
    }
    field
}

/// At most a packet's worth of bytes, without an allocation.
struct Field {
    bytes: [u8; PACKET_BYTES],
    len: usize,
}

impl Default for Field {
    fn default() -> Self {
        Self { bytes: [0xff; PACKET_BYTES], len: 0 }
    }
}

impl Field {
    fn push(&mut self, bytes: &[u8]) {
        self.bytes[self.len..self.len + bytes.len()].copy_from_slice(bytes);
        self.len += bytes.len();
    }

    /// Stuffing is ones, which is what the field is made of.
    const fn stuff(&mut self, count: usize) {
        self.len += count;
    }
}

impl std::ops::Deref for Field {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.bytes[..self.len]
    }
}

/// A PES header with a PTS, and a DTS where it differs (§2.4.3.7).
pub(super) fn pes_header(out: &mut Vec<u8>, stream_id: u8, payload_len: Option<usize>, pts: u64, dts: u64) {
    let stamps: usize = if pts == dts { 5 } else { 10 };
    // 0 stands for "until the next one", which is allowed for video.
    let len = payload_len.map_or(0, |len| u16::try_from(len + 3 + stamps).expect("an audio frame is small"));
    out.extend_from_slice(&[0, 0, 1, stream_id]);
    out.extend_from_slice(&len.to_be_bytes());
    out.extend_from_slice(&[0x84, if pts == dts { 0x80 } else { 0xc0 }, stamps as u8]);
    if pts == dts {
        out.extend_from_slice(&stamp(0b0010, pts));
    } else {
        out.extend_from_slice(&stamp(0b0011, pts));
        out.extend_from_slice(&stamp(0b0001, dts));
    }
}

/// Four bits of prefix, then 33 bits in three parts, each followed by a one.
fn stamp(prefix: u64, ticks: u64) -> [u8; 5] {
    let ticks = ticks % WRAP_90K;
    let spread = prefix << 36
        | (ticks >> 30) << 33
        | 1 << 32
        | (ticks >> 15 & 0x7fff) << 17
        | 1 << 16
        | (ticks & 0x7fff) << 1
        | 1;
    let [_, _, _, bytes @ ..] = spread.to_be_bytes();
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_length_of_payload_fills_whole_packets() {
        for len in 1..800 {
            let mut out = Vec::new();
            let mut counter = 3;
            let payload = vec![0xab; len];
            let start = Start { random_access: true, pcr: Some(WRAP_90K + 5), discontinuity: false };
            pes(&mut out, 0x100, &mut counter, start, &payload);
            let (packets, rest) = out.as_chunks::<PACKET_BYTES>();
            assert!(rest.is_empty(), "{len}");
            let carried: usize = packets
                .iter()
                .map(|packet| if packet[3] >> 4 & 3 == 3 { 183 - usize::from(packet[4]) } else { 184 })
                .sum();
            assert_eq!(carried, len);
            assert_eq!(packets[0][4..12], [packets[0][4], 0x50, 0, 0, 0, 2, 0xfe, 0], "{len}");
        }
    }

    #[test]
    fn a_timestamp_is_written_as_the_standard_says() {
        assert_eq!(stamp(0b0010, 126_000), [0x21, 0x00, 0x07, 0xd8, 0x61]);
        assert_eq!(stamp(0b0010, WRAP_90K - 1), [0x2f, 0xff, 0xff, 0xff, 0xff]);
    }
}
