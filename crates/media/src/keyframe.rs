//! Whether an access unit is a point to start decoding, by the types of its NAL units.
//!
//! Belongs here: H.264 (ITU-T H.264 §7.4.1, Annex B) and H.265 (ITU-T H.265 §7.4.2.2, Annex B). Does not: packets; the
//! random-access indicator of a packet is weighed by the segmenter.
//! Invariant: the answer depends only on the bytes since the access unit's start, not on how they are split.

use crate::ts::psi::VideoCodec;

/// What the bytes so far say of an access unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decision {
    /// Decoding can start here.
    Keyframe,
    /// It cannot.
    Other,
    /// No NAL unit so far decides.
    Undecided,
}

/// Looks through the front of one access unit.
#[derive(Debug, Clone, Copy)]
pub struct AccessUnitScanner {
    codec: VideoCodec,
    /// The last three bytes, to find 00 00 01 across pieces.
    last_bytes: u32,
    decision: Decision,
}

impl AccessUnitScanner {
    /// A scanner at an access unit's first byte. A codec whose NAL units are not known never has keyframes.
    #[must_use]
    pub const fn new(codec: VideoCodec) -> Self {
        let decision = match codec {
            VideoCodec::H264 | VideoCodec::H265 => Decision::Undecided,
            VideoCodec::Other(_) => Decision::Other,
        };
        Self { codec, last_bytes: 0x00FF_FFFF, decision }
    }

    /// Takes the next bytes; the first decision stands.
    pub fn push(&mut self, bytes: &[u8]) -> Decision {
        for byte in bytes {
            if self.decision != Decision::Undecided {
                break;
            }
            if self.last_bytes == 1 {
                self.decision = decide(self.codec, *byte);
            }
            self.last_bytes = (self.last_bytes << 8 | u32::from(*byte)) & 0x00FF_FFFF;
        }
        self.decision
    }
}

/// What a NAL unit's first byte says.
const fn decide(codec: VideoCodec, first: u8) -> Decision {
    match codec {
        VideoCodec::H264 => match first & 0x1F {
            // IDR slice, sequence parameter set.
            5 | 7 => Decision::Keyframe,
            // Other slices and slice partitions.
            1..=4 | 19..=21 => Decision::Other,
            _ => Decision::Undecided,
        },
        VideoCodec::H265 => match first >> 1 & 0x3F {
            // BLA, IDR, CRA and reserved random access pictures; sequence parameter set.
            16..=23 | 33 => Decision::Keyframe,
            0..=15 | 24..=31 => Decision::Other,
            _ => Decision::Undecided,
        },
        VideoCodec::Other(_) => Decision::Other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn decision(codec: VideoCodec, bytes: &[u8]) -> Decision {
        AccessUnitScanner::new(codec).push(bytes)
    }

    #[test]
    fn h264_idr_and_sps_are_keyframes_and_slices_are_not() {
        let unit = |nal: u8| decision(VideoCodec::H264, &[0, 0, 0, 1, 9, 0xF0, 0, 0, 1, nal, 0x88]);
        assert_eq!(unit(0x65), Decision::Keyframe);
        assert_eq!(unit(0x67), Decision::Keyframe);
        assert_eq!(unit(0x41), Decision::Other);
        assert_eq!(unit(0x06), Decision::Undecided);
    }

    #[test]
    fn h265_irap_and_sps_are_keyframes_and_trailing_pictures_are_not() {
        let unit =
            |kind: u8| decision(VideoCodec::H265, &[0, 0, 0, 1, 35 << 1, 1, 0x50, 0, 0, 1, kind << 1, 1]);
        for kind in [16, 17, 18, 19, 20, 21, 33] {
            assert_eq!(unit(kind), Decision::Keyframe, "{kind}");
        }
        for kind in [0, 1, 8, 9] {
            assert_eq!(unit(kind), Decision::Other, "{kind}");
        }
        assert_eq!(unit(39), Decision::Undecided);
    }

    proptest! {
        #[test]
        fn the_split_does_not_matter(
            bytes in prop::collection::vec(prop_oneof![Just(0u8), Just(1), Just(0x65), Just(0x41), Just(0x42), any::<u8>()], 0..200),
            split in 0..200usize,
            codec in prop_oneof![Just(VideoCodec::H264), Just(VideoCodec::H265)],
        ) {
            let (front, back) = bytes.split_at(split.min(bytes.len()));
            let mut scanner = AccessUnitScanner::new(codec);
            scanner.push(front);
            prop_assert_eq!(scanner.push(back), decision(codec, &bytes));
        }
    }
}
