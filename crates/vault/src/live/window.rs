//! [`Window`]: a track's newest segments, those that the playlist lists and those behind it that players may still read.
//!
//! Invariants: numbers rise; the first listed number never falls; bytes are bounded by [`WATCHED_BYTES`] (but for the
//! least that a playlist must have), without viewers by [`IDLE_BYTES`] and the open segment.

use std::collections::VecDeque;

use bytes::Bytes;
use dashvault_base::{Ticks90k, WallMs};

use super::TARGET_DURATION_S;

const SECOND: u64 = 90_000;
/// What the playlist of a watched camera lists; as much again is kept behind it.
const WATCHED: u64 = 20 * SECOND;
/// Listed and kept, together.
pub(super) const WATCHED_BYTES: usize = 32 << 20;
/// A playlist is never cut below three target durations (§6.2.2) once somebody watches.
const LEAST: u64 = 3 * SECOND * TARGET_DURATION_S as u64;
/// What is kept before the open segment while nobody watches.
const IDLE: u64 = 2 * SECOND;
/// And how many bytes of it.
const IDLE_BYTES: usize = 8 << 20;

/// One part.
#[derive(Debug, Clone)]
pub(crate) struct Part {
    pub(crate) bytes: Bytes,
    pub(crate) duration: Ticks90k,
    pub(crate) independent: bool,
}

/// One segment.
#[derive(Debug, Clone)]
pub(super) struct Segment {
    pub(super) number: u64,
    pub(super) parts: Vec<Part>,
    /// Of its parts together.
    pub(super) duration: Ticks90k,
    pub(super) wall: Option<WallMs>,
    pub(super) discontinuity: bool,
    /// Discontinuities up to it, its own too.
    pub(super) discontinuities: u64,
    pub(super) ended: bool,
    /// There are no bytes of it.
    pub(super) gap: bool,
    /// What its parts keep.
    pub(super) target: Ticks90k,
}

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Window {
    segments: VecDeque<Segment>,
    first_listed: u64,
    bytes: usize,
}

impl Window {
    pub(super) const fn bytes(&self) -> usize {
        self.bytes
    }

    /// What the playlist lists; the open segment last.
    pub(super) fn listed(&self) -> impl DoubleEndedIterator<Item = &Segment> + Clone {
        let from = self.segments.partition_point(|segment| segment.number < self.first_listed);
        self.segments.range(from..)
    }

    pub(super) fn find(&self, number: u64) -> Option<&Segment> {
        let at = self.segments.binary_search_by_key(&number, |segment| segment.number).ok()?;
        self.segments.get(at)
    }

    pub(super) fn last(&self) -> Option<&Segment> {
        self.segments.back()
    }

    pub(super) fn open(&mut self) -> Option<&mut Segment> {
        self.segments.back_mut().filter(|segment| !segment.ended)
    }

    pub(super) fn push(&mut self, segment: Segment) {
        self.segments.push_back(segment);
    }

    /// Adds to the open segment.
    pub(super) fn part(&mut self, part: Part) {
        self.bytes += part.bytes.len();
        if let Some(open) = self.open() {
            open.duration = Ticks90k(open.duration.0.saturating_add(part.duration.0));
            open.parts.push(part);
        }
    }

    /// Lets go of what is neither listed nor kept any longer.
    pub(super) fn prune(&mut self, watched: bool) {
        if watched {
            self.unlist(|left, bytes| left >= WATCHED || (left >= LEAST && bytes > WATCHED_BYTES / 2));
            self.drop_while(|behind, bytes| behind > WATCHED || bytes > WATCHED_BYTES);
        } else {
            self.unlist(|left, bytes| left >= IDLE || bytes > IDLE_BYTES);
            self.drop_while(|_, _| true);
        }
    }

    /// Frees everything: the camera is not live, and nobody watches.
    pub(super) fn clear(&mut self) {
        if let Some(last) = self.segments.back() {
            self.first_listed = self.first_listed.max(last.number + 1);
        }
        self.segments = VecDeque::new();
        self.bytes = 0;
    }

    /// Takes segments out of the playlist while what would be left, in time that has ended and bytes, is enough.
    fn unlist(&mut self, enough: impl Fn(u64, usize) -> bool) {
        let mut left: u64 = self.listed().filter(|one| one.ended).map(|one| u64::from(one.duration.0)).sum();
        let mut bytes: usize = self.listed().map(bytes_of).sum();
        loop {
            let Some(first) = self.listed().next().filter(|first| first.ended) else { return };
            left = left.saturating_sub(first.duration.0.into());
            if !enough(left, bytes) {
                return;
            }
            bytes = bytes.saturating_sub(bytes_of(first));
            self.first_listed = first.number + 1;
        }
    }

    /// Drops segments from behind the playlist while the time or the bytes kept are too many.
    fn drop_while(&mut self, too_many: impl Fn(u64, usize) -> bool) {
        let unlisted = |one: &&Segment| one.number < self.first_listed;
        let mut behind: u64 =
            self.segments.iter().filter(unlisted).map(|one| u64::from(one.duration.0)).sum();
        while let Some(first) = self.segments.front().filter(|one| one.number < self.first_listed) {
            if !too_many(behind, self.bytes) {
                return;
            }
            behind = behind.saturating_sub(first.duration.0.into());
            self.bytes = self.bytes.saturating_sub(bytes_of(first));
            self.segments.pop_front();
        }
    }
}

fn bytes_of(segment: &Segment) -> usize {
    segment.parts.iter().map(|part| part.bytes.len()).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filled(seconds: u64, bytes: usize) -> Window {
        let mut window = Window::default();
        for number in 0..seconds {
            let target = Ticks90k(90_000);
            window.push(Segment {
                number,
                parts: Vec::new(),
                duration: Ticks90k(0),
                wall: None,
                discontinuity: false,
                discontinuities: 0,
                ended: false,
                gap: false,
                target,
            });
            window.part(Part { bytes: vec![0; bytes].into(), duration: Ticks90k(90_000), independent: true });
            if number + 1 < seconds {
                window.open().unwrap().ended = true;
            }
        }
        window
    }

    #[test]
    fn a_watched_camera_lists_twenty_seconds_and_keeps_twenty_more() {
        let mut window = filled(100, 1000);
        window.prune(true);
        assert_eq!(window.listed().filter(|one| one.ended).count(), 20);
        assert_eq!(window.find(60).map(|one| one.number), Some(60));
        assert!(window.find(58).is_none() && window.bytes() == 41_000);
    }

    #[test]
    fn bytes_are_bounded_but_three_target_durations_stay() {
        let mut window = filled(100, 4 << 20);
        window.prune(true);
        assert_eq!(window.listed().filter(|one| one.ended).count(), 6);
        assert!(window.bytes() <= WATCHED_BYTES, "{}", window.bytes());
    }

    #[test]
    fn an_idle_camera_keeps_two_seconds_before_the_open_segment() {
        let mut window = filled(100, 1000);
        window.prune(false);
        let numbers: Vec<_> = window.listed().map(|one| one.number).collect();
        assert_eq!((numbers, window.bytes()), (vec![97, 98, 99], 3000));
        window.clear();
        assert_eq!((window.listed().count(), window.bytes()), (0, 0));
    }

    #[test]
    fn the_first_listed_number_never_falls() {
        let mut window = filled(30, 1000);
        window.prune(false);
        let idle = window.listed().next().unwrap().number;
        window.prune(true);
        assert_eq!(window.listed().next().unwrap().number, idle);
    }
}
