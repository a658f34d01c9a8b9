//! What is cut in two at the edge of a run: frames whose beginning or end is not there, and audio beyond the video.
//!
//! Belongs here: finding the PES packets of a segment, and which of them go. Does not: timestamps.
//!
//! Why: a player appends what it finds to the frame it has, and a frame without its end does not decode. Audio that
//! plays outside of its segments would lie over the next run's, or make a clip longer than its pictures.

use dashvault_base::Pts;

use super::{Setting, blank, packets};
use crate::{
    PACKET_BYTES, Pid,
    ts::{pes::PesHeader, pts::Unwrapper},
};

/// PIDs below this one are tables by definition.
const FIRST_ELEMENTARY: u16 = 0x20;
/// Audio may play past the end by less than any codec's frame: the next run's first frame still comes later.
const TOLERANCE_90K: i64 = 1500;
/// An audio PES packet is not longer than this many bytes to look for frames in.
const MOST_AUDIO_BYTES: usize = 64 * 1024;

/// One PES packet of a segment.
struct Unit {
    pid: Pid,
    packets: Vec<usize>,
    /// The front of its bytes; all of them for audio.
    bytes: Vec<u8>,
    received: usize,
    /// It starts within the segment, and is no table.
    media: bool,
    begun: bool,
}

/// Blanks what `setting` says has no place at an edge.
pub(super) fn blank_edges(segment: &mut [u8], setting: &Setting) {
    let units = units(segment);
    let end = setting.start.0.saturating_add(setting.duration.0.into());
    let mut gone: Vec<usize> = Vec::new();
    for (index, unit) in units.iter().enumerate() {
        let is_last_of_pid = units.iter().skip(index + 1).all(|later| later.pid != unit.pid);
        let beheaded = setting.first && !unit.begun && unit.pid.number() >= FIRST_ELEMENTARY;
        let torn = setting.last && is_last_of_pid && unit.is_incomplete();
        let early =
            setting.first && unit.plays(setting.start).is_some_and(|(from, _)| from < setting.start.0);
        let late = setting.last
            && unit.plays(setting.start).is_some_and(|(from, to)| from >= end || to > end + TOLERANCE_90K);
        if beheaded || torn || early || late {
            gone.extend(&unit.packets);
        }
    }
    for number in gone {
        blank(segment.get_mut(number * PACKET_BYTES..(number + 1) * PACKET_BYTES).unwrap_or_default());
    }
}

/// The PES packets and table sections of a segment, in order of their first packets.
fn units(segment: &[u8]) -> Vec<Unit> {
    let mut units: Vec<Unit> = Vec::new();
    let mut open: Vec<(Pid, usize)> = Vec::new();
    for (number, packet) in packets(segment) {
        let pid = packet.pid();
        if pid == Pid::NULL || !packet.has_payload() {
            continue;
        }
        let payload = packet.payload();
        let known = open.iter().position(|(of, _)| *of == pid);
        if packet.unit_start() || known.is_none() {
            let begun = packet.unit_start();
            let media = begun && payload.starts_with(&[0, 0, 1]);
            units.push(Unit { pid, packets: Vec::new(), bytes: Vec::new(), received: 0, media, begun });
            match known {
                Some(place) => open[place].1 = units.len() - 1,
                None => open.push((pid, units.len() - 1)),
            }
        }
        let current = open.iter().find(|(of, _)| *of == pid).and_then(|(_, index)| units.get_mut(*index));
        if let Some(unit) = current {
            unit.packets.push(number);
            unit.received += payload.len();
            let limit = if unit.is_audio_so_far() { MOST_AUDIO_BYTES } else { 32 };
            let room = limit.saturating_sub(unit.bytes.len()).min(payload.len());
            unit.bytes.extend_from_slice(&payload[..room]);
        }
    }
    units
}

impl Unit {
    fn header(&self) -> Option<PesHeader> {
        PesHeader::parse(&self.bytes).ok().filter(|_| self.media)
    }

    /// By its stream id, which is the fourth byte; private stream 1 carries audio here (AC-3, Opus).
    fn is_audio_so_far(&self) -> bool {
        self.media && self.bytes.get(3).is_none_or(|id| matches!(id, 0xC0..=0xDF | 0xBD))
    }

    /// Whether it says how long it is, and is not.
    fn is_incomplete(&self) -> bool {
        let Some([_, _, _, _, high, low]) = self.bytes.first_chunk().filter(|_| self.media) else {
            return false;
        };
        let declared = usize::from(u16::from_be_bytes([*high, *low]));
        declared != 0 && self.received < declared + 6
    }

    /// From when to when audio plays, unwrapped near `near`.
    fn plays(&self, near: Pts) -> Option<(i64, i64)> {
        if !self.is_audio_so_far() {
            return None;
        }
        let header = self.header()?;
        let from = Unwrapper::near(near).unwrap(header.pts?).0;
        let frames = self.bytes.get(header.header_bytes..).unwrap_or_default();
        Some((from, from.saturating_add(adts_90k(frames))))
    }
}

/// How long the whole ADTS frames in `bytes` play (ISO/IEC 13818-7 §6.2); 0 for anything else.
fn adts_90k(mut bytes: &[u8]) -> i64 {
    const RATES: [i64; 13] =
        [96_000, 88_200, 64_000, 48_000, 44_100, 32_000, 24_000, 22_050, 16_000, 12_000, 11_025, 8000, 7350];
    let mut ticks = 0;
    while let Some(&[sync, id, rate, b3, b4, b5, blocks]) = bytes.first_chunk::<7>() {
        let rate = RATES.get(usize::from(rate >> 2 & 0x0F));
        let (0xFF, 0xF0, Some(rate)) = (sync, id & 0xF6, rate) else { break };
        let len = usize::from(b3 & 3) << 11 | usize::from(b4) << 3 | usize::from(b5 >> 5);
        ticks += 1024 * 90_000 * (1 + i64::from(blocks & 3)) / rate;
        match bytes.get(len.max(7)..) {
            Some(rest) => bytes = rest,
            None => break,
        }
    }
    ticks
}
