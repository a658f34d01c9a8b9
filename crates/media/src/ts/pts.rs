//! Timestamps: 33 bits on the wire, unwrapped to 64 inside (ISO/IEC 13818-1 §2.4.3.7).
//!
//! Invariant: the unwrapped difference of two neighbours is their wire difference modulo 2^33, taken the short way
//! round; so a difference within a segment does not depend on what came before the segment.

use dashvault_base::Pts;

const WRAP: i64 = 1 << 33;

/// The 33-bit timestamp in a PES header's five bytes; `None` where a marker bit is missing.
#[must_use]
pub const fn parse(bytes: [u8; 5]) -> Option<u64> {
    let [a, b, c, d, e] = bytes;
    if a & c & e & 1 == 0 {
        return None;
    }
    let high = (a as u64 >> 1) & 0x07;
    let middle = (b as u64) << 7 | c as u64 >> 1;
    let low = (d as u64) << 7 | e as u64 >> 1;
    Some(high << 30 | middle << 15 | low)
}

/// Continues timestamps over the wrap after 26.5 hours, forwards and backwards.
#[derive(Debug, Clone, Copy, Default)]
pub struct Unwrapper {
    last: Option<i64>,
}

impl Unwrapper {
    /// An unwrapper whose first value will be the one nearest to `pts`.
    #[must_use]
    pub const fn near(pts: Pts) -> Self {
        Self { last: Some(pts.0) }
    }

    /// The value nearest to the one before that has these 33 bits; the first one is taken as it is.
    pub fn unwrap(&mut self, wire: u64) -> Pts {
        let wire = i64::try_from(wire & (WRAP.unsigned_abs() - 1)).unwrap_or(0);
        let value = self.last.map_or(wire, |last| {
            let ahead = wire.wrapping_sub(last).rem_euclid(WRAP);
            let step = if ahead >= WRAP / 2 { ahead - WRAP } else { ahead };
            last.wrapping_add(step)
        });
        self.last = Some(value);
        Pts(value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_wrap_is_crossed_in_both_directions() {
        let mut unwrapper = Unwrapper::default();
        let top = WRAP.unsigned_abs();
        assert_eq!(unwrapper.unwrap(top - 10), Pts(WRAP - 10));
        assert_eq!(unwrapper.unwrap(5), Pts(WRAP + 5));
        assert_eq!(unwrapper.unwrap(top - 1), Pts(WRAP - 1));
        let mut from_zero = Unwrapper::default();
        assert_eq!(from_zero.unwrap(3), Pts(3));
        assert_eq!(from_zero.unwrap(top - 3), Pts(-3));
    }

    #[test]
    fn the_epoch_is_that_of_the_time_it_starts_near() {
        assert_eq!(Unwrapper::near(Pts(3 * WRAP - 10)).unwrap(5), Pts(3 * WRAP + 5));
    }

    fn encoded(pts: u64) -> [u8; 5] {
        let low = |value: u64| value.to_be_bytes()[7];
        [0x21 | low(pts >> 29) & 0x0E, low(pts >> 22), low(pts >> 14) | 1, low(pts >> 7), low(pts << 1) | 1]
    }

    proptest! {
        #[test]
        fn every_timestamp_is_read_as_written(pts in 0..1u64 << 33) {
            prop_assert_eq!(parse(encoded(pts)), Some(pts));
        }

        #[test]
        fn any_sequence_keeps_its_low_bits_and_never_jumps_half_round(all in prop::collection::vec(any::<u64>(), 1..50)) {
            let mut unwrapper = Unwrapper::default();
            let mut last: Option<Pts> = None;
            for wire in all {
                let pts = unwrapper.unwrap(wire);
                prop_assert_eq!(pts.0.rem_euclid(WRAP).unsigned_abs(), wire % WRAP.unsigned_abs());
                if let Some(last) = last {
                    prop_assert!(pts.since(last).abs() <= WRAP / 2);
                }
                last = Some(pts);
            }
        }
    }
}
