//! Telling the peer what was dropped.
//!
//! What lies between the peer's acknowledgement and the first packet that is still there was dropped: one range says it
//! all. It is told when packets are dropped, again when the peer asks for one of them, and a few times more as long as
//! nothing follows from it, because it may get lost as anything else.

use std::time::{Duration, Instant};

use crate::core::seq::SeqRange;

/// The least time between two requests.
const PAUSE: Duration = Duration::from_millis(20);
/// Repetitions nobody asked for.
const REPEATS: u32 = 5;
/// The longest pause between them.
const REPEAT_MOST: Duration = Duration::from_secs(1);

/// A DROPREQ to send.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DropOut {
    /// The message number; 0 stands for all messages of the range.
    pub message: u32,
    /// What never comes.
    pub range: SeqRange,
}

/// When to tell.
#[derive(Debug, Default)]
pub(super) struct DropNotice {
    pending: bool,
    told: Option<Instant>,
    repeats: u32,
}

impl DropNotice {
    /// Something was dropped just now.
    pub(super) fn dropped(&mut self) {
        self.pending = true;
        self.repeats = 0;
    }

    /// The peer asks for something dropped.
    pub(super) fn asked(&mut self, now: Instant, answer_time: Duration) {
        if self.told.is_none_or(|told| now >= told + answer_time) {
            self.pending = true;
        }
    }

    /// The peer knows.
    pub(super) fn settled(&mut self) {
        *self = Self { told: self.told, ..Self::default() };
    }

    pub(super) fn told(&mut self, now: Instant) {
        // What is told because of something new does not count as a repetition.
        self.repeats += u32::from(!self.pending);
        self.pending = false;
        self.told = Some(now);
    }

    /// When to tell, if the peer does not know; `first` if that is at once.
    pub(super) fn due(&self, first: Instant, repeat_wait: Duration) -> Option<Instant> {
        match self.told {
            None => self.pending.then_some(first),
            Some(told) if self.pending => Some(told + PAUSE),
            Some(told) => {
                let wait = repeat_wait.saturating_mul(1 << self.repeats).min(REPEAT_MOST.max(repeat_wait));
                (self.repeats < REPEATS).then(|| told + wait)
            }
        }
    }

    /// Whether it was told as often as is sensible.
    pub(super) fn is_exhausted(&self) -> bool {
        !self.pending && self.repeats >= REPEATS
    }
}
