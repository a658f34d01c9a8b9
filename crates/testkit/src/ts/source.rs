//! Writes a stream picture by picture and notes where its segments begin.

use fastrand::Rng;

use super::{
    AUDIO_PID, VIDEO_PID,
    packet::{self, Start},
    picture::{self, Filler, Part},
    profile::{TsProfile, VideoCodec, WRAP_90K},
    psi::Tables,
};

/// A keyframe is about this many times as large as another picture.
const KEYFRAME_WEIGHT: u64 = 5;
/// 1,024 samples at 48 kHz, in 90 kHz ticks.
const AUDIO_FRAME_TICKS: u64 = 1920;
/// An AAC frame at 128 kbit/s, with its ADTS header.
const AUDIO_FRAME_BYTES: usize = 341;
/// The clock runs so far ahead of decoding, as ffmpeg's muxer has it.
const PCR_LEAD_90K: u64 = 63_000;

/// What a segmenter must find: from one keyframe (with the tables directly before it) to the next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ExpectedSegment {
    /// Its first byte in the stream.
    pub offset: u64,
    /// Its length in bytes: up to the next, or so far.
    pub len: u64,
    /// Its first picture's PTS in 90 kHz ticks, counted on beyond 33 bits.
    pub start_pts: i64,
    /// Its pictures' time in 90 kHz ticks.
    pub duration_90k: u32,
    /// How many pictures.
    pub frames: u32,
}

/// A finished stream and the truth about it.
#[derive(Debug, Clone)]
pub struct TsStream {
    /// Whole packets.
    pub bytes: Vec<u8>,
    /// Its segments; they cover it without a gap. For audio alone there is one.
    pub segments: Vec<ExpectedSegment>,
}

impl TsStream {
    /// The bytes of one segment.
    ///
    /// # Panics
    /// When there is no such segment.
    #[must_use]
    pub fn segment(&self, index: usize) -> &[u8] {
        let ExpectedSegment { offset, len, .. } = self.segments[index];
        let start = usize::try_from(offset).expect("the stream is in memory");
        &self.bytes[start..start + usize::try_from(len).expect("the stream is in memory")]
    }
}

/// An endless synthetic stream.
#[derive(Debug, Clone)]
pub struct TsSource {
    profile: TsProfile,
    rng: Rng,
    filler: Filler,
    tables: Tables,
    video_counter: u8,
    audio_counter: u8,
    /// Pictures written; audio frames where there is no video.
    frames: u64,
    /// Presentation time of the next picture in coding order, without the delay for reordering.
    clock_90k: i64,
    audio_90k: i64,
    discontinuity: bool,
    written: u64,
    /// Where the run of tables begins that ends here.
    tables_from: Option<u64>,
    segments: Vec<ExpectedSegment>,
    access_unit: Vec<u8>,
}

impl TsSource {
    /// A stream of this profile; the same for the same seed.
    #[must_use]
    pub fn new(profile: TsProfile, seed: u64) -> Self {
        let mut rng = Rng::with_seed(seed);
        let clock_90k = i64::try_from(profile.start_pts % WRAP_90K).expect("33 bits");
        Self {
            filler: Filler::new(&mut rng),
            tables: Tables::of(&profile),
            rng,
            video_counter: 0,
            audio_counter: 0,
            frames: 0,
            clock_90k,
            audio_90k: clock_90k,
            discontinuity: false,
            written: 0,
            tables_from: None,
            segments: Vec::new(),
            access_unit: Vec::new(),
            profile,
        }
    }

    /// A stream of `seconds` and the truth about it.
    #[must_use]
    pub fn stream(profile: TsProfile, seed: u64, seconds: u32) -> TsStream {
        let mut source = Self::new(profile, seed);
        let mut bytes = Vec::new();
        source.seconds(seconds, &mut bytes);
        TsStream { bytes, segments: source.segments }
    }

    /// Appends `seconds` of the stream.
    pub fn seconds(&mut self, seconds: u32, out: &mut Vec<u8>) {
        let end = self.clock_90k + i64::from(seconds) * 90_000;
        while self.clock_90k < end {
            self.frame(out);
        }
    }

    /// Appends one group of pictures (audio alone: as many audio frames).
    pub fn gop(&mut self, out: &mut Vec<u8>) {
        self.frame(out);
        while self.place_in_gop() != 0 {
            self.frame(out);
        }
    }

    /// Appends one picture with the audio before it (audio alone: one audio frame).
    pub fn frame(&mut self, out: &mut Vec<u8>) {
        let before = out.len();
        match self.profile.codec {
            Some(codec) => {
                while self.profile.audio && self.audio_90k <= self.clock_90k {
                    self.audio_frame(out);
                }
                self.picture(codec, out, before);
            }
            None => {
                self.periodic_tables(out, before);
                self.audio_frame(out);
                self.clock_90k = self.audio_90k;
            }
        }
        if self
            .profile
            .null_every_frames
            .is_some_and(|every| self.frames.is_multiple_of(u64::from(every.max(1))))
        {
            packet::null(out);
            self.tables_from = None;
        }
        self.frames += 1;
        self.written += (out.len() - before) as u64;
        if let Some(open) = self.segments.last_mut() {
            open.len = self.written - open.offset;
        }
    }

    /// Moves all later timestamps by `ticks` of 90 kHz, without a word (no discontinuity indicator).
    pub fn jump_pts(&mut self, ticks: i64) {
        self.clock_90k += ticks;
        self.audio_90k += ticks;
    }

    /// Goes on as a newly started encoder would: continuity counters and timestamps begin again, with a keyframe.
    /// `announced`: the first packet of each stream carries the discontinuity indicator.
    pub fn restart(&mut self, announced: bool) {
        let clock_90k = i64::try_from(self.profile.start_pts % WRAP_90K).expect("33 bits");
        (self.clock_90k, self.audio_90k) = (clock_90k, clock_90k);
        (self.video_counter, self.audio_counter) = (0, 0);
        self.tables = Tables::of(&self.profile);
        self.frames = 0;
        self.discontinuity = announced;
    }

    /// Bytes so far.
    #[must_use]
    pub const fn written(&self) -> u64 {
        self.written
    }

    /// The truth so far; the last segment is still open.
    #[must_use]
    pub fn segments(&self) -> &[ExpectedSegment] {
        &self.segments
    }

    /// The next `bytes` of the stream as a reader, for programs that take one; memory stays small.
    #[must_use]
    pub const fn reader(self, bytes: u64) -> TsReader {
        TsReader { source: self, left: bytes, buffer: Vec::new(), at: 0 }
    }

    fn place_in_gop(&self) -> u64 {
        self.frames % u64::from(self.profile.gop.max(1))
    }

    fn picture(&mut self, codec: VideoCodec, out: &mut Vec<u8>, before: usize) {
        let key = self.place_in_gop() == 0;
        if key && self.profile.psi_each_keyframe {
            self.write_tables(out, before);
        } else {
            self.periodic_tables(out, before);
        }
        let (pts, dts) = self.stamps();
        let ticks = u32::try_from(self.profile.frame_ticks()).expect("at most 90,000");
        if key {
            let here = self.written + (out.len() - before) as u64;
            // The stream's first segment begins with its first byte, whatever that is.
            let offset = if self.segments.is_empty() { 0 } else { self.tables_from.unwrap_or(here) };
            if let Some(last) = self.segments.last_mut() {
                last.len = offset - last.offset;
            }
            self.segments.push(ExpectedSegment {
                offset,
                len: 0,
                start_pts: pts,
                duration_90k: 0,
                frames: 0,
            });
        }
        if let Some(open) = self.segments.last_mut() {
            open.duration_90k += ticks;
            open.frames += 1;
        }
        let part = match (key, self.profile.b_frames && self.place_in_gop().is_multiple_of(2)) {
            (true, _) => Part::Key { first: self.frames == 0 },
            (false, true) => Part::Between,
            (false, false) => Part::Reference,
        };
        let len = self.picture_len(key);
        let mut unit = std::mem::take(&mut self.access_unit);
        unit.clear();
        packet::pes_header(&mut unit, 0xe0, None, wrapped(pts), wrapped(dts));
        picture::write(&mut unit, codec, &self.profile, part, len, &mut self.filler);
        let start = Start {
            random_access: key && self.profile.rai,
            pcr: Some(wrapped(dts).wrapping_sub(PCR_LEAD_90K)),
            discontinuity: std::mem::take(&mut self.discontinuity),
        };
        packet::pes(out, VIDEO_PID, &mut self.video_counter, start, &unit);
        self.access_unit = unit;
        self.tables_from = None;
        self.clock_90k += i64::from(ticks);
    }

    /// PTS and DTS. Without B pictures they are the same. With them the display order is I B P B P …: the place
    /// is one later for references and one earlier for those between, and everything is shown a picture later.
    fn stamps(&self) -> (i64, i64) {
        let ticks = i64::try_from(self.profile.frame_ticks()).expect("at most 90,000");
        let place = self.place_in_gop();
        let last = place + 1 == u64::from(self.profile.gop.max(1));
        let shift = match (self.profile.b_frames, place) {
            (false, _) => 0,
            (true, 0) => 1,
            (true, place) if place.is_multiple_of(2) => 0,
            // The last one has nothing after it that could be shown before it.
            (true, _) => {
                if last {
                    1
                } else {
                    2
                }
            }
        };
        (self.clock_90k + shift * ticks, self.clock_90k)
    }

    fn picture_len(&mut self, key: bool) -> usize {
        let gop = u64::from(self.profile.gop.max(1));
        let gop_bytes = self.profile.bitrate / 8 * gop / u64::from(self.profile.fps.max(1));
        let weight = if key { KEYFRAME_WEIGHT } else { 1 };
        let usual = gop_bytes * weight / (gop - 1 + KEYFRAME_WEIGHT);
        let len = self.rng.u64(usual * 3 / 4..=usual * 5 / 4);
        usize::try_from(len).unwrap_or(usize::MAX).max(16)
    }

    fn audio_frame(&mut self, out: &mut Vec<u8>) {
        // Without video the first one begins the only segment.
        if self.profile.codec.is_none() {
            let ticks = u32::try_from(AUDIO_FRAME_TICKS).expect("a small constant");
            if self.segments.is_empty() {
                let start_pts = self.audio_90k;
                self.segments.push(ExpectedSegment {
                    offset: 0,
                    len: 0,
                    start_pts,
                    duration_90k: 0,
                    frames: 0,
                });
            }
            if let Some(only) = self.segments.last_mut() {
                only.duration_90k = only.duration_90k.saturating_add(ticks);
                only.frames += 1;
            }
        }
        let mut unit = std::mem::take(&mut self.access_unit);
        unit.clear();
        let pts = wrapped(self.audio_90k);
        packet::pes_header(&mut unit, 0xc0, Some(AUDIO_FRAME_BYTES), pts, pts);
        unit.extend_from_slice(&adts_header());
        self.filler.write(&mut unit, AUDIO_FRAME_BYTES - 7);
        let pcr = self.profile.codec.is_none().then(|| pts.wrapping_sub(PCR_LEAD_90K));
        let start = Start { random_access: true, pcr, discontinuity: false };
        packet::pes(out, AUDIO_PID, &mut self.audio_counter, start, &unit);
        self.access_unit = unit;
        self.tables_from = None;
        self.audio_90k += i64::try_from(AUDIO_FRAME_TICKS).expect("a small constant");
    }

    /// The tables where nothing else has brought them: with the first picture, and as often as asked for.
    fn periodic_tables(&mut self, out: &mut Vec<u8>, before: usize) {
        let asked = self
            .profile
            .psi_every_frames
            .is_some_and(|every| self.frames.is_multiple_of(u64::from(every.max(1))));
        if self.frames == 0 || asked {
            self.write_tables(out, before);
        }
    }

    fn write_tables(&mut self, out: &mut Vec<u8>, before: usize) {
        let here = self.written + (out.len() - before) as u64;
        self.tables_from.get_or_insert(here);
        self.tables.write(out);
    }
}

/// MPEG-4 AAC-LC, 48 kHz, stereo, without CRC (ISO/IEC 14496-3 §1.A.2.2).
const fn adts_header() -> [u8; 7] {
    let len = AUDIO_FRAME_BYTES;
    [0xff, 0xf1, 0x4c, 0x80 | (len >> 11) as u8, (len >> 3) as u8, ((len & 7) << 5) as u8 | 0x1f, 0xfc]
}

fn wrapped(ticks: i64) -> u64 {
    let wrap = i64::try_from(WRAP_90K).expect("33 bits");
    u64::try_from(ticks.rem_euclid(wrap)).expect("the remainder is not negative")
}

/// A part of a stream as [`std::io::Read`].
#[derive(Debug)]
pub struct TsReader {
    source: TsSource,
    left: u64,
    buffer: Vec<u8>,
    at: usize,
}

impl std::io::Read for TsReader {
    fn read(&mut self, into: &mut [u8]) -> std::io::Result<usize> {
        if self.at == self.buffer.len() {
            self.buffer.clear();
            self.at = 0;
            self.source.frame(&mut self.buffer);
        }
        let left = usize::try_from(self.left).unwrap_or(usize::MAX);
        let len = into.len().min(self.buffer.len() - self.at).min(left);
        into[..len].copy_from_slice(&self.buffer[self.at..self.at + len]);
        self.at += len;
        self.left -= len as u64;
        Ok(len)
    }
}

#[cfg(test)]
mod tests;
