//! What programs and streams there are: PAT and PMT (ISO/IEC 13818-1 §2.4.4.3, §2.4.4.8).
//!
//! Belongs here: tables from sections whose CRC was checked. Does not: putting sections together.
//! Invariant: at most [`MAX_PROGRAMS`] programs and one video and audio stream of each are kept.

use super::Pid;

/// The most programs that are kept of a PAT; further ones are ignored.
pub const MAX_PROGRAMS: usize = 32;

const PAT_TABLE: u8 = 0;
const PMT_TABLE: u8 = 2;

/// A video stream's codec.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum VideoCodec {
    /// H.264 / AVC.
    H264,
    /// H.265 / HEVC.
    H265,
    /// Another one, by its `stream_type`.
    Other(u8),
}

/// An audio stream's codec.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum AudioCodec {
    /// AAC in ADTS or LATM.
    Aac,
    /// MPEG-1 or MPEG-2 audio.
    Mpeg,
    /// AC-3.
    Ac3,
    /// Enhanced AC-3.
    Eac3,
    /// Opus.
    Opus,
    /// Another one, by its `stream_type`.
    Other(u8),
}

/// The program that is cut by, as the PMT has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StreamInfo {
    /// Its `program_number`.
    pub program: u16,
    /// Its first video stream.
    pub video: Option<(VideoCodec, Pid)>,
    /// Its first audio stream.
    pub audio: Option<(AudioCodec, Pid)>,
}

/// A section is no table of this kind, or lies about its lengths.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TableError {
    /// Another table id.
    #[error("table id {id:#04x} where {expected:#04x} should be")]
    TableId {
        /// What it is.
        id: u8,
        /// What it should be.
        expected: u8,
    },
    /// It ends too early.
    #[error("the table ends too early")]
    Truncated,
}

/// One program of a PAT.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Program {
    /// Its number, never 0.
    pub number: u16,
    /// Where its PMT is.
    pub pmt: Pid,
}

/// Reads a PAT section without its CRC; `None` where it is not yet in force.
///
/// # Errors
/// It is no PAT or too short.
pub fn parse_pat(section: &[u8]) -> Result<Option<impl Iterator<Item = Program> + '_>, TableError> {
    let Some((_, body)) = table(section, PAT_TABLE)? else { return Ok(None) };
    let programs =
        body.as_chunks::<4>().0.iter().map(|[number_high, number_low, pid_high, pid_low]| Program {
            number: u16::from_be_bytes([*number_high, *number_low]),
            pmt: Pid::from_bytes(*pid_high, *pid_low),
        });
    // Program 0 names the network information table.
    Ok(Some(programs.filter(|program| program.number != 0).take(MAX_PROGRAMS)))
}

/// Reads a PMT section without its CRC; `None` where it is not yet in force.
///
/// # Errors
/// It is no PMT or too short.
pub fn parse_pmt(section: &[u8]) -> Result<Option<StreamInfo>, TableError> {
    let Some((program, body)) = table(section, PMT_TABLE)? else { return Ok(None) };
    let ([_, _, info_high, info_low], rest) = body.split_first_chunk().ok_or(TableError::Truncated)?;
    let mut streams = rest.get(length_12([*info_high, *info_low])..).ok_or(TableError::Truncated)?;
    let mut info = StreamInfo { program, video: None, audio: None };
    while let Some(([kind, pid_high, pid_low, len_high, len_low], rest)) = streams.split_first_chunk() {
        let (descriptors, next) =
            rest.split_at_checked(length_12([*len_high, *len_low])).ok_or(TableError::Truncated)?;
        let pid = Pid::from_bytes(*pid_high, *pid_low);
        match media(*kind, descriptors) {
            Some(Media::Video(codec)) => info.video = info.video.or(Some((codec, pid))),
            Some(Media::Audio(codec)) => info.audio = info.audio.or(Some((codec, pid))),
            None => {}
        }
        streams = next;
    }
    Ok(Some(info))
}

/// The id behind the header and the table's own bytes; `None` for a table that is only announced.
fn table(section: &[u8], expected: u8) -> Result<Option<(u16, &[u8])>, TableError> {
    let (header, body) = section.split_first_chunk::<8>().ok_or(TableError::Truncated)?;
    let [id, _, _, id_high, id_low, version, _, _] = *header;
    if id != expected {
        return Err(TableError::TableId { id, expected });
    }
    let in_force = version & 1 != 0;
    Ok(in_force.then_some((u16::from_be_bytes([id_high, id_low]), body)))
}

fn length_12([high, low]: [u8; 2]) -> usize {
    u16::from_be_bytes([high & 0x0F, low]).into()
}

enum Media {
    Video(VideoCodec),
    Audio(AudioCodec),
}

/// By `stream_type` (table 2-34, and ATSC's 0x81 and 0x87); private data (0x06) by its descriptors.
fn media(kind: u8, descriptors: &[u8]) -> Option<Media> {
    Some(match kind {
        0x1B => Media::Video(VideoCodec::H264),
        0x24 => Media::Video(VideoCodec::H265),
        0x01 | 0x02 | 0x10 | 0x21 | 0x33 | 0x42 | 0xD1 | 0xEA => Media::Video(VideoCodec::Other(kind)),
        0x0F | 0x11 => Media::Audio(AudioCodec::Aac),
        0x03 | 0x04 => Media::Audio(AudioCodec::Mpeg),
        0x81 => Media::Audio(AudioCodec::Ac3),
        0x87 => Media::Audio(AudioCodec::Eac3),
        0x1C | 0x82 | 0x83 | 0x85 | 0x86 => Media::Audio(AudioCodec::Other(kind)),
        0x06 => return private_media(descriptors),
        _ => return None,
    })
}

/// By registration descriptor (0x05) or DVB's for AC-3 (0x6A) and E-AC-3 (0x7A).
fn private_media(mut descriptors: &[u8]) -> Option<Media> {
    while let Some(([tag, len], rest)) = descriptors.split_first_chunk() {
        let (content, next) = rest.split_at_checked(usize::from(*len))?;
        match (*tag, content.first_chunk()) {
            (0x05, Some(b"HEVC")) => return Some(Media::Video(VideoCodec::H265)),
            (0x05, Some(b"Opus")) => return Some(Media::Audio(AudioCodec::Opus)),
            (0x05, Some(b"AC-3")) | (0x6A, _) => return Some(Media::Audio(AudioCodec::Ac3)),
            (0x05, Some(b"EAC3")) | (0x7A, _) => return Some(Media::Audio(AudioCodec::Eac3)),
            _ => descriptors = next,
        }
    }
    None
}
