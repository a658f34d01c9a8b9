//! [`Pace`]: how far frames are apart, and what follows for the length of parts.
//!
//! Invariant: within a run the target only rises, and only for frames that are further apart than it.

use dashvault_base::Ticks90k;

use super::PART_TARGET;

/// Distances that are remembered; the middle one counts.
const REMEMBERED: usize = 8;
/// Between frames whose rate is not known yet.
const LONGEST_STEP: i64 = 180_000;
/// About as long as parts should be, where frames do not fit [`PART_TARGET`].
const WANTED: i64 = 27_000;
const USUAL_FRAME: i64 = 3000;

/// See the module.
#[derive(Debug)]
pub(super) struct Pace {
    steps: [i64; REMEMBERED],
    known: usize,
    next: usize,
    /// Decided for this run.
    target: Option<i64>,
    /// Of the last part.
    shown: Ticks90k,
}

impl Default for Pace {
    fn default() -> Self {
        Self { steps: [0; REMEMBERED], known: 0, next: 0, target: None, shown: PART_TARGET }
    }
}

impl Pace {
    /// How long parts last at most.
    pub(super) const fn target(&self) -> Ticks90k {
        self.shown
    }

    /// A run begins: frames may come at another rate.
    pub(super) const fn new_run(&mut self) {
        self.known = 0;
        self.next = 0;
        self.target = None;
    }

    /// Whether frames so far apart do not belong together: time is missing between them, or it jumped.
    pub(super) fn is_break(&self, step: i64) -> bool {
        let most = match self.usual() {
            Some(usual) => (2 * usual).max(self.target.unwrap_or(PART_TARGET.0.into())),
            None => LONGEST_STEP,
        };
        step < 0 || step > most
    }

    /// Two frames of a run were so far apart.
    pub(super) fn step(&mut self, step: i64) {
        if let Some(slot) = self.steps.get_mut(self.next) {
            *slot = step;
        }
        self.next = (self.next + 1) % REMEMBERED;
        self.known = (self.known + 1).min(REMEMBERED);
    }

    /// The most a part may last that lasts `passed` up to the frame that begins now; `None` while that is open.
    pub(super) fn decide(&mut self, passed: i64) -> Option<i64> {
        let usual = self.usual().unwrap_or(USUAL_FRAME);
        let most = i64::from(PART_TARGET.0);
        if self.target.is_none() && (passed >= least_of(most) || passed + usual > most) {
            self.target = Some(fitting(usual));
        }
        self.target
    }

    /// A part could not be shorter than this.
    pub(super) fn raise(&mut self, to: i64) -> i64 {
        let target = self.target.unwrap_or(0).max(to);
        self.target = Some(target);
        target
    }

    /// How long the last part lasts whose last frame began at `last`, within what a part may last.
    pub(super) fn last_part(&self, start: i64, last: i64) -> i64 {
        last - start + self.usual().unwrap_or(USUAL_FRAME)
    }

    /// A part goes out: its length, which is made to keep the target where an estimate does not.
    pub(super) fn part(&mut self, duration: i64) -> Ticks90k {
        let usual = self.usual().unwrap_or(USUAL_FRAME);
        let target = *self.target.get_or_insert_with(|| fitting(usual));
        self.shown = ticks(target);
        ticks(duration.clamp(1, target))
    }

    fn usual(&self) -> Option<i64> {
        let mut sorted = self.steps;
        let known = sorted.get_mut(..self.known)?;
        known.sort_unstable();
        known.get(known.len() / 2).copied()
    }
}

/// The least that a part lasts which does not end its segment: 85 % (§4.4.3.7), and a tick for rounding.
pub(super) const fn least_of(target: i64) -> i64 {
    target * 85 / 100 + 1
}

/// The usual target where whole frames fit it, else one that they do.
fn fitting(frame: i64) -> i64 {
    let most = i64::from(PART_TARGET.0);
    let frame = frame.max(1);
    let whole = most / frame * frame;
    if whole >= least_of(most) {
        return most;
    }
    let frames = ((WANTED + frame / 2) / frame).max(1);
    frames * frame * 108 / 100
}

fn ticks(value: i64) -> Ticks90k {
    Ticks90k(u32::try_from(value.max(0)).unwrap_or(u32::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn usual_frame_rates_share_one_target() {
        for rate in [60, 50, 30, 25, 24, 20, 15, 12, 10] {
            assert_eq!(fitting(90_000 / rate), i64::from(PART_TARGET.0), "{rate}");
        }
    }

    #[test]
    fn odd_frame_rates_get_a_target_that_whole_frames_keep() {
        for frame in (100..200_000).step_by(37) {
            let target = fitting(frame);
            let frames = target / frame;
            assert!(frames >= 1 && frames * frame >= least_of(target), "{frame}: {target}");
            assert!(target <= 40_000.max(frame * 11 / 10), "{frame}: {target}");
        }
    }

    #[test]
    fn a_frame_that_comes_late_is_a_break_only_where_frames_usually_do_not() {
        let mut pace = Pace::default();
        assert!(!pace.is_break(90_000));
        (0..5).for_each(|_| pace.step(3000));
        assert!(pace.is_break(90_000) && pace.is_break(-1) && !pace.is_break(20_000));
        let mut slow = Pace::default();
        slow.step(90_000);
        assert!(!slow.is_break(100_000));
    }
}
