//! A segment's start and duration, from the timestamps of its frames.
//!
//! Belongs here: what a segment says about time. Does not: the cut, which needs only differences of timestamps.
//! Invariant: one wrong timestamp among good ones changes a duration by at most its own frame.

use dashvault_base::{Pts, Ticks90k};

/// A step between neighbouring frames that is longer is a jump of the clock, not a pause.
const LONGEST_STEP_90K: i64 = 10 * 90_000;
/// Thirty frames a second, until two frames have been seen.
const USUAL_FRAME_90K: i64 = 3000;

/// Times of the open segment's frames.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Times {
    pub(super) video: TrackTimes,
    pub(super) audio: TrackTimes,
}

/// Times of one stream's frames.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct TrackTimes {
    first: Option<Pts>,
    last: Pts,
    /// Where the last frame stands, jumps left out; the first one stands at 0.
    position: i64,
    earliest: i64,
    latest: i64,
    steps: u32,
    /// Steps that were too long to believe; each is taken for one frame.
    jumps: u32,
}

impl TrackTimes {
    pub(super) const fn first(&self) -> Option<Pts> {
        self.first
    }

    pub(super) fn add(&mut self, pts: Pts) {
        let step = pts.since(self.last);
        if self.first.is_none() {
            self.first = Some(pts);
        } else if step.unsigned_abs() <= LONGEST_STEP_90K.unsigned_abs() {
            self.position += step;
            self.steps = self.steps.saturating_add(1);
        } else {
            self.jumps = self.jumps.saturating_add(1);
        }
        self.last = pts;
        self.earliest = self.earliest.min(self.position);
        self.latest = self.latest.max(self.position);
    }

    fn frame_90k(&self) -> Option<i64> {
        (self.latest - self.earliest).checked_div(self.steps.into())
    }
}

impl Times {
    /// The first PTS of the video, else of the audio.
    pub(super) fn start(&self) -> Option<Pts> {
        self.video.first.or(self.audio.first)
    }

    /// How long a segment that starts at `start` lasts when the next one starts at `next`, or as its own frames
    /// have it.
    ///
    /// `frame_90k` is the usual length of a frame, kept from segment to segment.
    pub(super) fn duration(
        &self,
        start: Option<Pts>,
        next: Option<Pts>,
        frame_90k: &mut Option<i64>,
    ) -> Ticks90k {
        let Some(start) = start else { return Ticks90k(0) };
        let track = if self.video.first.is_some() { &self.video } else { &self.audio };
        *frame_90k = track.frame_90k().or(*frame_90k);
        // Without PSI at its start, a segment's first frames are not seen as such.
        let unseen = track.first.map_or(0, |first| first.since(start)).clamp(0, LONGEST_STEP_90K);
        let frames = 1 + i64::from(track.jumps);
        let own = unseen + track.latest + frame_90k.unwrap_or(USUAL_FRAME_90K).saturating_mul(frames);
        let to_next = next.map(|next| next.since(start));
        let believed = to_next.filter(|ticks| *ticks > 0 && *ticks <= own.saturating_add(LONGEST_STEP_90K));
        Ticks90k(u32::try_from(believed.unwrap_or(own).max(0)).unwrap_or(u32::MAX))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn times(all: &[i64]) -> Times {
        let mut times = Times::default();
        all.iter().for_each(|pts| times.video.add(Pts(*pts)));
        times
    }

    #[test]
    fn the_next_start_gives_the_duration() {
        assert_eq!(times(&[100, 3100]).duration(Some(Pts(100)), Some(Pts(9100)), &mut None), Ticks90k(9000));
    }

    #[test]
    fn the_last_segment_ends_one_frame_after_its_last_frame() {
        assert_eq!(times(&[0, 9000, 3000, 6000]).duration(Some(Pts(0)), None, &mut None), Ticks90k(12_000));
        assert_eq!(times(&[0]).duration(Some(Pts(0)), None, &mut Some(1500)), Ticks90k(1500));
    }

    #[test]
    fn a_jump_of_the_clock_is_not_a_long_segment() {
        let hour = 3600 * 90_000;
        let jumping = times(&[0, 3000, hour, 9000]);
        assert_eq!(jumping.duration(Some(Pts(0)), Some(Pts(2 * hour)), &mut None), Ticks90k(12_000));
        assert_eq!(times(&[0, 3000]).duration(Some(Pts(0)), Some(Pts(-hour)), &mut None), Ticks90k(6000));
    }
}
