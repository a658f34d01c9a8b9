//! When to ask for what is missing.
//!
//! A gap is asked for when it is older than the reorder wait, and then again and again, each gap on its own clock.
//! Two queues in order of time do it: gaps never asked for, by when they were seen, and runs asked for, by when.
//! What has come meanwhile is found out when a run is due: it costs one look a packet, however many gaps there are.
//!
//! Invariants: runs are disjoint; a run asked for goes to the end of its queue, so that none starves; runs behind the
//! head are dropped.
//!
//! draft-sharabayko-srt-01 §3.2.5, §4.8.2.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use super::window::{Slot, Window};
use crate::core::seq::{Seq, SeqRange};

/// The most ranges of one report (four datagrams); more follow in the next.
const MOST_RANGES: usize = 720;

#[derive(Debug, Clone, Copy)]
struct Run {
    range: SeqRange,
    /// When it was seen, or asked for last.
    at: Instant,
}

/// See the module's documentation.
#[derive(Debug, Default)]
pub(super) struct NakSchedule {
    fresh: VecDeque<Run>,
    asked: VecDeque<Run>,
}

impl NakSchedule {
    /// A gap showed.
    pub(super) fn gap(&mut self, now: Instant, range: SeqRange) {
        self.fresh.push_back(Run { range, at: now });
    }

    /// The head moved.
    pub(super) fn settle(&mut self, window: &Window) {
        if window.is_empty() {
            self.fresh.clear();
            self.asked.clear();
            return;
        }
        for queue in [&mut self.fresh, &mut self.asked] {
            while queue.front().is_some_and(|run| run.range.last.is_before(window.head())) {
                queue.pop_front();
            }
        }
    }

    /// Appends what is to be asked for now.
    pub(super) fn poll(
        &mut self,
        now: Instant,
        wait: Duration,
        again: Duration,
        window: &Window,
        ranges: &mut Vec<SeqRange>,
    ) {
        let most = ranges.len() + MOST_RANGES;
        // What is asked for now goes behind those.
        for _ in 0..self.asked.len() {
            if ranges.len() >= most || self.asked.front().is_none_or(|run| now < run.at + again) {
                break;
            }
            if let Some(run) = self.asked.pop_front() {
                self.ask(now, run.range, window, ranges);
            }
        }
        while ranges.len() < most && self.fresh.front().is_some_and(|run| run.at + wait <= now) {
            if let Some(run) = self.fresh.pop_front() {
                self.ask(now, run.range, window, ranges);
            }
        }
    }

    pub(super) fn next_due(&self, wait: Duration, again: Duration) -> Option<Instant> {
        let fresh = self.fresh.front().map(|run| run.at + wait);
        let asked = self.asked.front().map(|run| run.at + again);
        fresh.into_iter().chain(asked).min()
    }

    /// A period with nothing held is over.
    pub(super) fn trim(&mut self) {
        if self.fresh.is_empty() && self.asked.is_empty() {
            *self = Self::default();
        }
    }

    #[cfg(test)]
    pub(super) fn runs(&self) -> usize {
        self.fresh.len() + self.asked.len()
    }

    fn ask(&mut self, now: Instant, range: SeqRange, window: &Window, ranges: &mut Vec<SeqRange>) {
        let head = window.head();
        let Ok(end) = usize::try_from(range.last.offset_from(head)) else {
            return;
        };
        let mut index = usize::try_from(range.first.offset_from(head)).unwrap_or(0);
        while index <= end {
            let missing = (index..=end).take_while(|at| is_missing(window, *at)).count();
            if missing > 0 {
                let run = run_at(head, index, missing);
                self.asked.push_back(Run { range: run, at: now });
                join(ranges, run);
            }
            // The one that ended the run is not missing.
            index += missing + 1;
        }
    }
}

fn is_missing(window: &Window, index: usize) -> bool {
    matches!(window.slot(index), Some(Slot::Missing { .. }))
}

fn run_at(head: Seq, index: usize, packets: usize) -> SeqRange {
    let place = |at: usize| head.plus(u32::try_from(at).unwrap_or(0));
    SeqRange { first: place(index), last: place(index + packets - 1) }
}

fn join(ranges: &mut Vec<SeqRange>, run: SeqRange) {
    match ranges.last_mut() {
        Some(before) if before.last.plus(1) == run.first => before.last = run.last,
        _ => ranges.push(run),
    }
}
