//! PAT, PMT and SDT in one packet each (ISO/IEC 13818-1 §2.4.4; ETSI EN 300 468 for the SDT).

use super::{
    AUDIO_PID, OTHER_PMT_PID, PACKET_BYTES, PAT_PID, PMT_PID, SDT_PID, VIDEO_PID, packet,
    profile::{TsProfile, VideoCodec},
};

const PROGRAMME: u16 = 1;
const OTHER_PROGRAMME: u16 = 2;
/// The audio that the other programme's PMT names; nothing is sent on it.
const OTHER_AUDIO_PID: u16 = 0x201;
const AAC_ADTS: u8 = 0x0f;

/// The sections of a profile, ready to be sent again and again.
#[derive(Debug, Clone)]
pub(super) struct Tables {
    /// PID and section, in the order in which they are sent.
    sections: Vec<(u16, Vec<u8>)>,
    counters: Vec<u8>,
}

impl Tables {
    pub(super) fn of(profile: &TsProfile) -> Self {
        let mut sections = Vec::new();
        if profile.sdt {
            sections.push((SDT_PID, sdt()));
        }
        sections.push((PAT_PID, pat(profile.other_programme_first)));
        if profile.other_programme_first {
            sections
                .push((OTHER_PMT_PID, pmt(OTHER_PROGRAMME, OTHER_AUDIO_PID, &[(AAC_ADTS, OTHER_AUDIO_PID)])));
        }
        let video = profile.codec.map(|codec| match codec {
            VideoCodec::H264 => (0x1b, VIDEO_PID),
            VideoCodec::H265 => (0x24, VIDEO_PID),
        });
        let audio = (profile.audio || video.is_none()).then_some((AAC_ADTS, AUDIO_PID));
        let streams: Vec<_> = video.into_iter().chain(audio).collect();
        let pcr_pid = if video.is_some() { VIDEO_PID } else { AUDIO_PID };
        sections.push((PMT_PID, pmt(PROGRAMME, pcr_pid, &streams)));
        Self { counters: vec![0; sections.len()], sections }
    }

    pub(super) fn write(&mut self, out: &mut Vec<u8>) {
        for ((pid, section), counter) in self.sections.iter().zip(&mut self.counters) {
            let start = out.len();
            packet::header(out, *pid, true, counter, 0b01);
            out.push(0); // pointer_field
            out.extend_from_slice(section);
            out.resize(start + PACKET_BYTES, 0xff);
        }
    }
}

fn pat(other_first: bool) -> Vec<u8> {
    let mut programmes = vec![(PROGRAMME, PMT_PID)];
    if other_first {
        programmes.insert(0, (OTHER_PROGRAMME, OTHER_PMT_PID));
    }
    let body =
        programmes.into_iter().flat_map(|(number, pid)| [number.to_be_bytes(), with_ones(pid, 0xe000)]);
    section(0x00, 0xb000, 1, &body.flatten().collect::<Vec<_>>())
}

fn pmt(programme: u16, pcr_pid: u16, streams: &[(u8, u16)]) -> Vec<u8> {
    let mut body = [with_ones(pcr_pid, 0xe000), with_ones(0, 0xf000)].concat();
    for (stream_type, pid) in streams {
        body.push(*stream_type);
        body.extend_from_slice(&with_ones(*pid, 0xe000));
        body.extend_from_slice(&with_ones(0, 0xf000)); // no descriptors
    }
    section(0x02, 0xb000, programme, &body)
}

fn sdt() -> Vec<u8> {
    const SERVICE: &[u8] = b"\x01\x04test\x06stream"; // digital television, provider, name
    let mut body = vec![0xff, 0x01, 0xff]; // original network, reserved
    body.extend_from_slice(&PROGRAMME.to_be_bytes());
    body.push(0xfc);
    let service_len = u16::try_from(SERVICE.len()).expect("a short constant");
    body.extend_from_slice(&with_ones(service_len + 2, 0x8000)); // running
    body.extend_from_slice(&[0x48, SERVICE.len() as u8]);
    body.extend_from_slice(SERVICE);
    section(0x42, 0xf000, 1, &body)
}

/// A long-form section: header, body, CRC.
fn section(table_id: u8, flags: u16, extension: u16, body: &[u8]) -> Vec<u8> {
    let len = u16::try_from(body.len() + 9).expect("sections here fit in one packet");
    let mut section = vec![table_id];
    section.extend_from_slice(&with_ones(len, flags));
    section.extend_from_slice(&extension.to_be_bytes());
    section.extend_from_slice(&[0xc1, 0, 0]); // version 0, current, section 0 of 0
    section.extend_from_slice(body);
    let crc = crc32(&section);
    section.extend_from_slice(&crc.to_be_bytes());
    section
}

const fn with_ones(value: u16, ones: u16) -> [u8; 2] {
    (value | ones).to_be_bytes()
}

/// CRC of ISO/IEC 13818-1 Annex A: polynomial 0x04C11DB7, no reflection, starts with ones.
fn crc32(bytes: &[u8]) -> u32 {
    bytes.iter().fold(u32::MAX, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte) << 24, |crc, _| {
            if crc >> 31 == 1 { crc << 1 ^ 0x04c1_1db7 } else { crc << 1 }
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pat_and_its_crc_are_those_that_ffmpeg_writes() {
        let of_ffmpeg = [0, 0xb0, 0x0d, 0, 1, 0xc1, 0, 0, 0, 1, 0xf0, 0, 0x2a, 0xb1, 0x04, 0xb2];
        assert_eq!(pat(false), of_ffmpeg);
    }
}
