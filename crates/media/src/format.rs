//! What a segment's streams are: codecs, picture size, kind of sound. Two segments of the same format can lie in one MP4.
//!
//! Belongs here: PAT, PMT, parameter sets and ADTS headers at a segment's beginning. Does not: whether formats may be
//! mixed. Invariant: hostile bytes give a format with less in it, never a panic.

use std::fmt;

use crate::{
    PACKET_BYTES, Packet, Pid,
    ts::{
        pes::PesHeader,
        psi::{AudioCodec, StreamInfo, VideoCodec, parse_pat, parse_pmt},
        section::SectionReader,
    },
};

mod bits;
mod sps;

/// A picture's width and height in pixels.
pub type Size = (u32, u32);

/// Bytes of a stream's first frame that are looked at.
const FRAME_BYTES: usize = 64 * 1024;

/// What a segment's streams are.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Format {
    /// The video, where there is one.
    pub video: Option<VideoFormat>,
    /// The sound, where there is some.
    pub audio: Option<AudioFormat>,
}

/// A video stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VideoFormat {
    /// Its codec.
    pub codec: VideoCodec,
    /// Where it is.
    pub pid: Pid,
    /// Its size, where the segment says so.
    pub size: Option<Size>,
}

/// An audio stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AudioFormat {
    /// Its codec.
    pub codec: AudioCodec,
    /// Where it is.
    pub pid: Pid,
    /// Samples a second and channels, where the segment says so (AAC).
    pub sound: Option<(u32, u8)>,
}

impl Format {
    /// The format of a segment, by its beginning.
    #[must_use]
    pub fn of(segment: &[u8]) -> Self {
        let Some(StreamInfo { video, audio, .. }) = streams(segment) else { return Self::default() };
        let video = video.map(|(codec, pid)| VideoFormat {
            codec,
            pid,
            size: sps::size(codec, &first_frame(segment, pid)),
        });
        let audio =
            audio.map(|(codec, pid)| AudioFormat { codec, pid, sound: sound(&first_frame(segment, pid)) });
        Self { video, audio }
    }

    /// Whether the video is H.265.
    #[must_use]
    pub fn is_hevc(&self) -> bool {
        self.video.as_ref().is_some_and(|video| video.codec == VideoCodec::H265)
    }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.video {
            None => f.write_str("no video")?,
            Some(VideoFormat { codec, pid, size }) => {
                match codec {
                    VideoCodec::H264 => f.write_str("H.264")?,
                    VideoCodec::H265 => f.write_str("H.265")?,
                    VideoCodec::Other(kind) => write!(f, "video {kind:#04x}")?,
                }
                if let Some((width, height)) = size {
                    write!(f, " {width}×{height}")?;
                }
                write!(f, " (PID {})", pid.number())?;
            }
        }
        let Some(AudioFormat { codec, pid, sound }) = &self.audio else {
            return f.write_str(" without sound");
        };
        match codec {
            AudioCodec::Aac => f.write_str(" with AAC")?,
            AudioCodec::Other(kind) => write!(f, " with audio {kind:#04x}")?,
            codec => write!(f, " with {codec:?}")?,
        }
        if let Some((rate, channels)) = sound {
            write!(f, " {rate} Hz, {channels} ch")?;
        }
        write!(f, " (PID {})", pid.number())
    }
}

/// The first programme with media.
fn streams(segment: &[u8]) -> Option<StreamInfo> {
    let mut pat = SectionReader::new();
    let mut tables: Vec<(Pid, SectionReader)> = Vec::new();
    let mut found = None;
    for (_, packet) in packets(segment) {
        if packet.pid() == Pid::PAT && tables.is_empty() {
            pat.push(packet, |section| {
                let programs = section.ok().and_then(|section| parse_pat(section).ok().flatten());
                tables.extend(
                    programs.into_iter().flatten().map(|program| (program.pmt, SectionReader::new())),
                );
            });
        } else if let Some((_, reader)) = tables.iter_mut().find(|(pid, _)| *pid == packet.pid()) {
            reader.push(packet, |section| {
                let info = section.ok().and_then(|section| parse_pmt(section).ok().flatten());
                // A programme with video goes before one without.
                let better = info.is_some_and(|info| info.video.is_some() || found.is_none());
                found = if better { info } else { found };
            });
        }
        if found.is_some_and(|info: StreamInfo| info.video.is_some()) {
            break;
        }
    }
    found
}

/// The elementary stream's bytes of a PID's first PES packet, or the beginning of them.
fn first_frame(segment: &[u8], pid: Pid) -> Vec<u8> {
    let mut unit: Vec<u8> = Vec::new();
    for (_, packet) in packets(segment).filter(|(_, packet)| packet.pid() == pid) {
        if packet.unit_start() && !unit.is_empty() {
            break;
        }
        if packet.unit_start() || !unit.is_empty() {
            unit.extend_from_slice(packet.payload());
        }
        if unit.len() >= FRAME_BYTES {
            break;
        }
    }
    let header_bytes = PesHeader::parse(&unit).map_or(unit.len(), |header| header.header_bytes);
    unit.split_off(header_bytes.min(unit.len()))
}

/// Rate and channels of an ADTS frame (ISO/IEC 13818-7 §6.2).
fn sound(frame: &[u8]) -> Option<(u32, u8)> {
    const RATES: [u32; 13] =
        [96_000, 88_200, 64_000, 48_000, 44_100, 32_000, 24_000, 22_050, 16_000, 12_000, 11_025, 8000, 7350];
    let &[0xFF, id, second, third] = frame.first_chunk::<4>()? else { return None };
    let rate = RATES.get(usize::from(second >> 2 & 0x0F)).filter(|_| id & 0xF6 == 0xF0)?;
    Some((*rate, (second & 1) << 2 | third >> 6))
}

fn packets(bytes: &[u8]) -> impl Iterator<Item = (usize, Packet<'_>)> {
    let whole = bytes.as_chunks::<PACKET_BYTES>().0;
    whole.iter().enumerate().filter_map(|(number, bytes)| Some((number, Packet::parse(bytes)?)))
}
