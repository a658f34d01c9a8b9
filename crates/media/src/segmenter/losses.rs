//! Which of two neighbouring segments a loss belongs to.
//!
//! Belongs here: places of losses in the open segment, in packets. Does not: finding them.

/// The first and the last place of each kind of loss in the open segment.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Losses {
    /// Bytes were missing, or garbage, before the packet with this index.
    gaps: Option<(u64, u64)>,
    /// The packet with this index does not follow its PID's packet before.
    jumps: Option<(u64, u64)>,
}

impl Losses {
    pub(super) fn gap_before(&mut self, index: u64) {
        extend(&mut self.gaps, index);
    }

    pub(super) fn jump_at(&mut self, index: u64) {
        extend(&mut self.jumps, index);
    }

    pub(super) const fn any(&self) -> bool {
        self.gaps.is_some() || self.jumps.is_some()
    }

    /// Splits at a cut before packet `at`, whose keyframe starts in packet `unit_at`: whether the segment before is
    /// damaged, and the losses of the segment behind.
    ///
    /// A jump up to the keyframe's first packet tells of packets that came before the cut. A gap just at the cut
    /// may have taken from both sides, so both are damaged.
    pub(super) fn split(self, at: u64, unit_at: u64) -> (bool, Self) {
        let before = |places: Option<(u64, u64)>, up_to: u64| places.is_some_and(|(first, _)| first <= up_to);
        let behind = |places: Option<(u64, u64)>, from: u64| {
            places.filter(|(_, last)| *last >= from).map(|(first, last)| (first.max(from) - at, last - at))
        };
        let damaged = before(self.gaps, at) || before(self.jumps, unit_at);
        (damaged, Self { gaps: behind(self.gaps, at), jumps: behind(self.jumps, unit_at + 1) })
    }
}

fn extend(places: &mut Option<(u64, u64)>, index: u64) {
    *places = Some(places.map_or((index, index), |(first, _)| (first, index)));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gap_at_the_cut_damages_both_sides_and_elsewhere_one() {
        for (gap, expected) in [(9, (true, false)), (10, (true, true)), (11, (false, true))] {
            let mut losses = Losses::default();
            losses.gap_before(gap);
            let (before, behind) = losses.split(10, 12);
            assert_eq!((before, behind.any()), expected, "gap before {gap}");
        }
    }

    #[test]
    fn a_jump_up_to_the_keyframe_is_a_loss_before_the_cut() {
        for (jump, expected) in [(10, (true, false)), (12, (true, false)), (13, (false, true))] {
            let mut losses = Losses::default();
            losses.jump_at(jump);
            let (before, behind) = losses.split(10, 12);
            assert_eq!((before, behind.any()), expected, "jump at {jump}");
        }
    }
}
