//! [`WallMap`]: from a recording's media time to wall time.
//!
//! Belongs here: which observation to believe. Does not: where observations come from.
//!
//! An observation says at which wall time the frame with a PTS was seen. Whoever saw it may have seen it late (a vehicle
//! reads its encoder's pipe up to 150 ms late), never early; so the smallest `wall - pts` is believed, and it may rise by
//! 200 ppm, as clocks run apart. An observation that is later by more than [`STEP_MS`] says that a clock was set.
//! Whoever maps the same recording by the same observations gets the same times, to about a frame.

use dashvault_base::{Pts, WallMs};

const WRAP_90K: i64 = 1 << 33;
/// Later than this is not late.
pub const STEP_MS: i64 = 2000;
/// Parts per million.
const DRIFT_PPM: i64 = 200;

/// One recording's clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct WallMap {
    /// A PTS, and its wall time in 90 kHz ticks since 1970.
    anchor: Option<(Pts, i64)>,
}

impl WallMap {
    /// Takes an observation. Timestamps may be of any epoch: they are compared modulo 2^33.
    pub fn observe(&mut self, pts: Pts, wall: WallMs) {
        let observed = wall.0.saturating_mul(90);
        let Some((anchor, known)) = self.anchor else {
            self.anchor = Some((pts, observed));
            return;
        };
        let passed = short_way(pts, anchor);
        let expected = known.saturating_add(passed);
        let late = observed.saturating_sub(expected);
        let believed = if (0..=STEP_MS * 90).contains(&late) {
            expected + late.min(passed.max(0) * DRIFT_PPM / 1_000_000)
        } else {
            observed
        };
        self.anchor = Some((pts, believed));
    }

    /// The wall time of a frame; `None` before the first observation.
    #[must_use]
    pub fn wall_of(&self, pts: Pts) -> Option<WallMs> {
        let (anchor, known) = self.anchor?;
        Some(WallMs(known.saturating_add(short_way(pts, anchor)).div_euclid(90)))
    }
}

/// Ticks between two timestamps that are less than 13 hours apart, whatever their epochs.
const fn short_way(to: Pts, from: Pts) -> i64 {
    let ahead = to.since(from).rem_euclid(WRAP_90K);
    if ahead >= WRAP_90K / 2 { ahead - WRAP_90K } else { ahead }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_earliest_observation_is_believed() {
        let mut map = WallMap::default();
        assert_eq!(map.wall_of(Pts(0)), None);
        map.observe(Pts(0), WallMs(10_140));
        map.observe(Pts(90_000), WallMs(11_020));
        map.observe(Pts(180_000), WallMs(12_149));
        assert_eq!(map.wall_of(Pts(180_000)), Some(WallMs(12_020)));
        assert_eq!(map.wall_of(Pts(0)), Some(WallMs(10_020)));
    }

    #[test]
    fn another_epoch_is_the_same_time() {
        let mut map = WallMap::default();
        map.observe(Pts(5), WallMs(1000));
        assert_eq!(map.wall_of(Pts(5 + WRAP_90K)), Some(WallMs(1000)));
        assert_eq!(map.wall_of(Pts(5 + 90_000 - 3 * WRAP_90K)), Some(WallMs(2000)));
    }

    #[test]
    fn a_clock_that_was_set_is_followed() {
        let mut map = WallMap::default();
        map.observe(Pts(0), WallMs(0));
        map.observe(Pts(90_000), WallMs(3_600_000));
        assert_eq!(map.wall_of(Pts(90_000)), Some(WallMs(3_600_000)));
        map.observe(Pts(180_000), WallMs(2000));
        assert_eq!(map.wall_of(Pts(180_000)), Some(WallMs(2000)));
    }

    #[test]
    fn a_clock_that_runs_slow_is_followed() {
        let mut map = WallMap::default();
        // A day at 100 ppm: 8.6 s apart at its end.
        for second in 0..86_400 {
            map.observe(Pts(second * 90_000), WallMs(second * 1000 + second / 10));
        }
        let end = map.wall_of(Pts(86_400 * 90_000)).unwrap();
        assert!((end.0 - 86_408_640).abs() <= 2, "{end:?}");
    }

    proptest! {
        #[test]
        fn lateness_does_not_matter_after_a_while(late in prop::collection::vec(0..150i64, 60..120), first in 0..i64::MAX / 2) {
            let mut map = WallMap::default();
            for (second, late) in (0i64..).zip(&late) {
                map.observe(Pts(first % WRAP_90K + second * 90_000), WallMs(second * 1000 + late));
            }
            let least = late.iter().min().unwrap();
            let second = late.len() as i64 - 1;
            let mapped = map.wall_of(Pts(first % WRAP_90K + second * 90_000)).unwrap().0 - second * 1000;
            prop_assert!(mapped >= *least && mapped <= least + 1 + late.len() as i64 / 5, "{mapped} {least}");
        }
    }
}
