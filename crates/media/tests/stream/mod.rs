//! A small transport stream writer, and sinks that keep what they get.
//!
//! Belongs here: well-formed streams whose every property a test chooses. Does not: damage, which tests do themselves.

#![allow(dead_code, unreachable_pub, clippy::unwrap_used, reason = "each test uses a part of it")]

use dashvault_base::ContentHash;
use dashvault_media::{PACKET_BYTES, Segment, SegmentSink, Segmenter, SegmenterConfig, SegmenterError};

pub const VIDEO_PID: u16 = 0x100;
pub const AUDIO_PID: u16 = 0x101;
pub const PMT_PID: u16 = 0x1000;
const FRAME_90K: u64 = 3000;

/// What a stream is like.
#[derive(Debug, Clone)]
pub struct Plan {
    pub frames: u64,
    pub gop: u64,
    pub frame_bytes: usize,
    pub hevc: bool,
    /// Sets the random-access indicator on keyframes.
    pub random_access: bool,
    /// Puts PAT and PMT before each keyframe.
    pub psi_at_keyframes: bool,
    /// Puts PAT and PMT before each frame whose number is a multiple of this.
    pub psi_every: Option<u64>,
    /// Puts no PSI anywhere.
    pub no_psi: bool,
    pub audio: bool,
    pub video: bool,
    pub sdt: bool,
    pub first_pts: u64,
    /// Bytes of a SEI before the first slice, so that the deciding NAL unit lies in a later packet.
    pub sei_bytes: usize,
    /// Leaves the SPS away, so that the slice decides.
    pub no_sps: bool,
    /// Puts a second program before this one in the PAT, with audio only.
    pub second_program: bool,
}

impl Default for Plan {
    fn default() -> Self {
        Self {
            frames: 90,
            gop: 10,
            frame_bytes: 900,
            hevc: false,
            random_access: true,
            psi_at_keyframes: true,
            psi_every: None,
            no_psi: false,
            audio: true,
            video: true,
            sdt: true,
            first_pts: 126_000,
            sei_bytes: 0,
            no_sps: false,
            second_program: false,
        }
    }
}

/// The stream of a plan.
pub fn stream(plan: &Plan) -> Vec<u8> {
    let mut writer = Writer::default();
    for frame in 0..plan.frames {
        let key = frame % plan.gop == 0;
        let psi = (plan.psi_at_keyframes && key) || plan.psi_every.is_some_and(|every| frame % every == 0);
        if psi && !plan.no_psi {
            writer.psi(plan);
        }
        let pts = plan.first_pts + frame * FRAME_90K;
        if plan.video {
            let unit = access_unit(plan, key, frame);
            writer.pes(VIDEO_PID, 0xE0, pts, plan.random_access && key, &unit);
        }
        if plan.audio {
            writer.pes(AUDIO_PID, 0xC0, pts, !plan.video, &payload(200, frame + 7));
        }
    }
    writer.out
}

fn payload(bytes: usize, seed: u64) -> Vec<u8> {
    // No zeros: no start codes by chance.
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    (0..bytes)
        .map(|_| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            (state >> 32) as u8 | 1
        })
        .collect()
}

fn access_unit(plan: &Plan, key: bool, frame: u64) -> Vec<u8> {
    let nal = |kind: u8| -> Vec<u8> {
        if plan.hevc { vec![0, 0, 0, 1, kind << 1, 1] } else { vec![0, 0, 0, 1, kind] }
    };
    let (aud, sei, sps, idr, slice) = if plan.hevc { (35, 39, 33, 19, 1) } else { (9, 6, 7, 5, 1) };
    let mut unit = nal(aud);
    if plan.sei_bytes > 0 {
        unit.extend(nal(sei));
        unit.extend(payload(plan.sei_bytes, frame));
    }
    if key && !plan.no_sps {
        unit.extend(nal(sps));
        unit.extend(payload(20, 3));
    }
    unit.extend(nal(if key { idr } else { slice }));
    unit.extend(payload(plan.frame_bytes * if key { 4 } else { 1 }, frame));
    unit
}

/// Writes packets with running continuity counters.
#[derive(Default)]
pub struct Writer {
    pub out: Vec<u8>,
    counters: std::collections::HashMap<u16, u8>,
}

impl Writer {
    pub fn psi(&mut self, plan: &Plan) {
        if plan.sdt {
            self.section(0x11, &[0x42, 0xF0, 0x11, 0, 1, 0xC1, 0, 0, 0xFF, 1, 0xFF, 0, 0, 0, 0, 0, 0]);
        }
        let mut programs = vec![(1, PMT_PID)];
        if plan.second_program {
            programs.insert(0, (9, PMT_PID + 1));
        }
        let entries: Vec<u8> = programs
            .iter()
            .flat_map(|(number, pid): &(u16, u16)| [0, *number as u8, 0xE0 | (pid >> 8) as u8, *pid as u8])
            .collect();
        self.table(0, 0, 1, &entries);
        if plan.second_program {
            self.pmt(PMT_PID + 1, 9, &[(0x0F, 0x200)]);
        }
        let mut streams = Vec::new();
        if plan.video {
            streams.push((if plan.hevc { 0x24 } else { 0x1B }, VIDEO_PID));
        }
        if plan.audio {
            streams.push((0x0F, AUDIO_PID));
        }
        self.pmt(PMT_PID, 1, &streams);
    }

    pub fn pmt(&mut self, pid: u16, program: u16, streams: &[(u8, u16)]) {
        let mut body = vec![0xE1, 0x00, 0xF0, 0x00];
        for (kind, pid) in streams {
            body.extend([*kind, 0xE0 | (pid >> 8) as u8, *pid as u8, 0xF0, 0]);
        }
        self.table(pid, 2, program, &body);
    }

    fn table(&mut self, pid: u16, id: u8, extension: u16, body: &[u8]) {
        let len = 5 + body.len() + 4;
        let mut section = vec![id, 0xB0 | (len >> 8) as u8, len as u8];
        section.extend(extension.to_be_bytes());
        section.extend([0xC1, 0, 0]);
        section.extend(body);
        section.extend(crc32(&section).to_be_bytes());
        self.section(pid, &section);
    }

    /// Sections over as many packets as they need.
    pub fn section(&mut self, pid: u16, section: &[u8]) {
        let mut bytes = vec![0];
        bytes.extend(section);
        for (index, part) in bytes.chunks(184).enumerate() {
            let mut payload = part.to_vec();
            payload.resize(184, 0xFF);
            self.packet(pid, index == 0, None, &payload);
        }
    }

    pub fn pes(&mut self, pid: u16, stream_id: u8, pts: u64, random_access: bool, unit: &[u8]) {
        let mut bytes = vec![0, 0, 1, stream_id, 0, 0, 0x80, 0x80, 5];
        bytes.extend(pts_bytes(pts));
        bytes.extend(unit);
        let mut rest = bytes.as_slice();
        let mut first = true;
        while !rest.is_empty() {
            let room = if first && random_access { 182 } else { 184 };
            let (now, later) = rest.split_at(rest.len().min(room));
            let adaptation = if first && random_access {
                Some(vec![0x40; 1])
            } else if now.len() < 184 {
                Some(Vec::new())
            } else {
                None
            };
            self.packet(pid, first, adaptation, now);
            rest = later;
            first = false;
        }
    }

    pub fn packet(&mut self, pid: u16, start: bool, adaptation: Option<Vec<u8>>, payload: &[u8]) {
        let counter = self.counters.entry(pid).or_insert(0);
        let control = if adaptation.is_some() { 0x30 } else { 0x10 };
        let begin = self.out.len();
        self.out.extend([0x47, u8::from(start) << 6 | (pid >> 8) as u8, pid as u8, control | *counter]);
        *counter = (*counter + 1) % 16;
        if let Some(mut field) = adaptation {
            let len = 183 - payload.len();
            if len > 0 && field.is_empty() {
                field.push(0);
            }
            field.resize(len, 0xFF);
            self.out.push(len as u8);
            self.out.extend(field);
        }
        self.out.extend(payload);
        assert_eq!(self.out.len() - begin, PACKET_BYTES);
    }
}

fn pts_bytes(pts: u64) -> [u8; 5] {
    let pts = pts % (1 << 33);
    [
        0x21 | (pts >> 29) as u8 & 0x0E,
        (pts >> 22) as u8,
        (pts >> 14) as u8 | 1,
        (pts >> 7) as u8,
        (pts << 1) as u8 | 1,
    ]
}

pub fn crc32(bytes: &[u8]) -> u32 {
    bytes.iter().fold(u32::MAX, |mut crc, byte| {
        crc ^= u32::from(*byte) << 24;
        for _ in 0..8 {
            crc = if crc & 0x8000_0000 == 0 { crc << 1 } else { crc << 1 ^ 0x04C1_1DB7 };
        }
        crc
    })
}

/// Keeps everything.
#[derive(Default, Debug, PartialEq, Eq, Clone)]
pub struct Kept {
    pub bytes: Vec<u8>,
    pub segments: Vec<Segment>,
    open: Vec<u8>,
}

impl SegmentSink for Kept {
    fn bytes(&mut self, run: &[u8]) {
        assert!(!run.is_empty() && run.len().is_multiple_of(PACKET_BYTES), "runs are whole packets");
        self.bytes.extend_from_slice(run);
        self.open.extend_from_slice(run);
    }

    fn closed(&mut self, segment: Segment) {
        assert_eq!(segment.len as usize, self.open.len());
        assert_eq!(segment.hash, ContentHash::of(&self.open));
        self.open.clear();
        self.segments.push(segment);
    }
}

impl Kept {
    /// Where each segment starts in the sink's bytes.
    pub fn starts(&self) -> Vec<usize> {
        let mut end = 0;
        let lengths = self.segments.iter().map(|segment| segment.len as usize);
        lengths
            .map(|len| {
                end += len;
                end - len
            })
            .collect()
    }

    pub fn hashes(&self) -> Vec<ContentHash> {
        self.segments.iter().map(|segment| segment.hash).collect()
    }
}

/// Segments of the input, fed in pieces of these lengths, again and again.
pub fn try_segments(
    input: &[u8],
    splits: &[usize],
    config: SegmenterConfig,
) -> Result<(Kept, Segmenter), SegmenterError> {
    let mut kept = Kept::default();
    let mut segmenter = Segmenter::new(config);
    let mut rest = input;
    let mut lengths = splits.iter().cycle();
    while !rest.is_empty() {
        let len = lengths.next().copied().unwrap_or(rest.len()).clamp(1, rest.len());
        let (now, later) = rest.split_at(len);
        segmenter.push(now, &mut kept)?;
        rest = later;
    }
    segmenter.finish(&mut kept);
    assert_eq!(segmenter.open_len(), 0);
    Ok((kept, segmenter))
}

pub fn segments(input: &[u8]) -> Kept {
    try_segments(input, &[input.len()], SegmenterConfig::default()).expect("a transport stream").0
}
