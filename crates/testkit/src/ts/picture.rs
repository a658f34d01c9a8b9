//! The bytes of one picture: real parameter sets and NAL headers, then filler.
//!
//! Filler has no zero byte, so it needs no emulation prevention; it does hold 0x47 (the sync byte), as real
//! pictures do.

use fastrand::Rng;

use super::profile::{Keyframes, TsProfile, VideoCodec};

const FILLER_BYTES: usize = 256 * 1024;

/// Parameter sets of x264 for 1280×720.
const H264_SPS: &[u8] =
    b"\x67\x64\x00\x1f\xac\xb4\x02\x80\x2d\xd8\x08\x80\x00\x00\x03\x00\x80\x00\x00\x1e\x47\x8c\x19\x50";
const H264_PPS: &[u8] = b"\x68\xef\x0f\xcb";
const H264_AUD: &[u8] = b"\x09\xf0";
const H264_SEI: &[u8] = b"\x06\x05"; // user data unregistered
const H264_IDR: &[u8] = b"\x65\x88\x84"; // slice of type I
const H264_INTRA: &[u8] = b"\x41\x88\x84"; // slice of type I that is no IDR
const H264_P: &[u8] = b"\x41\x9a\x26";
const H264_B: &[u8] = b"\x01\x9e\x45"; // not used for reference

/// Parameter sets of x265 for 1280×720.
const H265_VPS: &[u8] =
    b"\x40\x01\x0c\x01\xff\xff\x01\x60\x00\x00\x03\x00\x90\x00\x00\x03\x00\x00\x03\x00\x5d\x95\x98\x09";
const H265_SPS: &[u8] = b"\x42\x01\x01\x01\x60\x00\x00\x03\x00\x90\x00\x00\x03\x00\x00\x03\x00\x5d\xa0\x02\x80\x80\x2d\x16\x59\x59\xa4\x93\x2b\xc0\x5a\x02\x00\x00\x03\x00\x02\x00\x00\x03\x00\x3c\x10";
const H265_PPS: &[u8] = b"\x44\x01\xc1\x72\xb4\x62\x40";
const H265_AUD: &[u8] = b"\x46\x01\x50";
const H265_SEI: &[u8] = b"\x4e\x01\x05";
const H265_IDR: &[u8] = b"\x26\x01\xaf"; // IDR_W_RADL
const H265_CRA: &[u8] = b"\x2a\x01\xaf";
const H265_TRAIL: &[u8] = b"\x02\x01\xd0";
const H265_TRAIL_N: &[u8] = b"\x00\x01\xe0"; // not used for reference

/// The part of a picture in its group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    /// The keyframe; `first` of the whole stream.
    Key {
        first: bool,
    },
    Reference,
    Between,
}

/// A supply of filler.
#[derive(Debug, Clone)]
pub(super) struct Filler {
    pool: Vec<u8>,
    at: usize,
}

impl Filler {
    pub(super) fn new(rng: &mut Rng) -> Self {
        let mut pool = vec![0; FILLER_BYTES];
        rng.fill(&mut pool);
        pool.iter_mut().filter(|byte| **byte == 0).for_each(|byte| *byte = 0x47);
        Self { pool, at: 0 }
    }

    pub(super) fn write(&mut self, out: &mut Vec<u8>, mut len: usize) {
        while len > 0 {
            let run = len.min(self.pool.len() - self.at);
            out.extend_from_slice(&self.pool[self.at..self.at + run]);
            // An odd step at the end of the pool, so that a long stream does not repeat packet by packet.
            self.at =
                if self.at + run == self.pool.len() { (self.at + 7919) % 65_521 } else { self.at + run };
            len -= run;
        }
    }
}

/// Appends one access unit with about `len` bytes of picture.
pub(super) fn write(
    out: &mut Vec<u8>,
    codec: VideoCodec,
    profile: &TsProfile,
    part: Part,
    len: usize,
    filler: &mut Filler,
) {
    let h264 = codec == VideoCodec::H264;
    if profile.aud {
        nal(out, if h264 { H264_AUD } else { H265_AUD });
    }
    if matches!(part, Part::Key { first } if first || profile.keyframes != Keyframes::BareIdr) {
        let sets: &[&[u8]] = if h264 { &[H264_SPS, H264_PPS] } else { &[H265_VPS, H265_SPS, H265_PPS] };
        sets.iter().for_each(|set| nal(out, set));
    }
    if profile.sei_bytes > 0 {
        nal(out, if h264 { H264_SEI } else { H265_SEI });
        filler.write(out, profile.sei_bytes);
        out.push(0x80);
    }
    // Three bytes of start code are enough within an access unit; parsers have to know both.
    out.extend_from_slice(&[0, 0, 1]);
    out.extend_from_slice(slice(h264, part, profile.keyframes));
    filler.write(out, len);
}

fn nal(out: &mut Vec<u8>, bytes: &[u8]) {
    out.extend_from_slice(&[0, 0, 0, 1]);
    out.extend_from_slice(bytes);
}

const fn slice(h264: bool, part: Part, keyframes: Keyframes) -> &'static [u8] {
    match (h264, part, keyframes) {
        (true, Part::Key { .. }, Keyframes::Open) => H264_INTRA,
        (true, Part::Key { .. }, _) => H264_IDR,
        (true, Part::Reference, _) => H264_P,
        (true, Part::Between, _) => H264_B,
        (false, Part::Key { .. }, Keyframes::Open) => H265_CRA,
        (false, Part::Key { .. }, _) => H265_IDR,
        (false, Part::Reference, _) => H265_TRAIL,
        (false, Part::Between, _) => H265_TRAIL_N,
    }
}
