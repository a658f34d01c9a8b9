//! The polite stop: ask, ask louder, and in the end do not ask.
//!
//! Belongs here: the ladder as a value, and the pure climb over it. Not here: doing what a rung says (`child`,
//! `supervisor`).
//!
//! Invariants: rungs are climbed in order; a rung that cannot be done is left at once; each rung has its own time.

use std::time::{Duration, Instant};

use crate::platform::Signal;

/// What to try, in order, and how long to wait for the process to end after each.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StopLadder {
    rungs: Vec<Rung>,
}

/// One attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rung {
    /// What is done.
    pub action: StopAction,
    /// How long the process has to end after it.
    pub patience: Duration,
}

/// What one rung does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StopAction {
    /// Writes these bytes to standard input; the rung is skipped where that is no pipe or is full.
    Write(Vec<u8>),
    /// Closes standard input; the rung is skipped where that is no pipe.
    CloseStdin,
    /// Signals the process and its group; the rung is skipped where the platform lacks the signal.
    Signal(Signal),
}

impl StopLadder {
    /// Makes a ladder of these rungs. A rung with SIGKILL is added at the end where there is none.
    pub fn new(rungs: impl IntoIterator<Item = (StopAction, Duration)>) -> Self {
        const AFTER_KILL: Duration = Duration::from_secs(5);
        let mut rungs: Vec<Rung> =
            rungs.into_iter().map(|(action, patience)| Rung { action, patience }).collect();
        let kill = StopAction::Signal(Signal::Kill);
        if rungs.last().is_none_or(|last| last.action != kill) {
            rungs.push(Rung { action: kill, patience: AFTER_KILL });
        }
        Self { rungs }
    }

    /// For ffmpeg: `q` on standard input (3 s), SIGINT (3 s), SIGTERM (2 s), SIGKILL.
    pub fn ffmpeg() -> Self {
        Self::new([
            (StopAction::Write(b"q".to_vec()), Duration::from_secs(3)),
            (StopAction::Signal(Signal::Interrupt), Duration::from_secs(3)),
            (StopAction::Signal(Signal::Terminate), Duration::from_secs(2)),
        ])
    }

    /// For any program: SIGINT (2 s), SIGTERM (2 s), SIGKILL.
    pub fn polite() -> Self {
        Self::new([
            (StopAction::Signal(Signal::Interrupt), Duration::from_secs(2)),
            (StopAction::Signal(Signal::Terminate), Duration::from_secs(2)),
        ])
    }

    /// For a program that is stuck anyway: SIGTERM (1 s), SIGKILL.
    pub fn brisk() -> Self {
        Self::new([(StopAction::Signal(Signal::Terminate), Duration::from_secs(1))])
    }

    /// SIGKILL at once.
    pub fn kill() -> Self {
        Self::new([])
    }

    /// Returns the rungs, of which the last is SIGKILL.
    pub fn rungs(&self) -> &[Rung] {
        &self.rungs
    }

    /// Returns whether a rung needs the child's standard input.
    pub fn needs_stdin(&self) -> bool {
        self.rungs.iter().any(|rung| !matches!(rung.action, StopAction::Signal(_)))
    }
}

/// One climb over a ladder.
#[derive(Debug)]
pub(crate) struct Climb {
    ladder: StopLadder,
    next: usize,
    until: Option<Instant>,
}

/// What a climb says now.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// Do this, then ask again (and say so if it could not be done).
    Do(StopAction),
    /// Wait until then for the process to end.
    Wait(Instant),
    /// The process survived even the last rung's time.
    Survived,
}

impl Climb {
    pub(crate) fn new(ladder: StopLadder) -> Self {
        Self { ladder, next: 0, until: None }
    }

    /// Returns what to do at `now`.
    pub(crate) fn step(&mut self, now: Instant) -> Step {
        if let Some(until) = self.until.filter(|until| now < *until) {
            return Step::Wait(until);
        }
        let Some(rung) = self.ladder.rungs.get(self.next) else {
            return Step::Survived;
        };
        self.next += 1;
        self.until = Some(now + rung.patience);
        Step::Do(rung.action.clone())
    }

    /// Says that the last action could not be done: its time is not waited for.
    pub(crate) fn failed(&mut self) {
        self.until = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn each_rung_has_its_own_time_and_the_kill_comes_last() {
        let mut climb = Climb::new(StopLadder::ffmpeg());
        let start = Instant::now();
        assert_eq!(climb.step(start), Step::Do(StopAction::Write(b"q".to_vec())));
        assert_eq!(climb.step(start), Step::Wait(start + 3 * SECOND));
        assert_eq!(climb.step(start + 3 * SECOND), Step::Do(StopAction::Signal(Signal::Interrupt)));
        assert_eq!(climb.step(start + 6 * SECOND), Step::Do(StopAction::Signal(Signal::Terminate)));
        assert_eq!(climb.step(start + 7 * SECOND), Step::Wait(start + 8 * SECOND));
        assert_eq!(climb.step(start + 8 * SECOND), Step::Do(StopAction::Signal(Signal::Kill)));
        assert_eq!(climb.step(start + 20 * SECOND), Step::Survived);
    }

    #[test]
    fn a_rung_that_cannot_be_done_is_left_at_once() {
        let mut climb = Climb::new(StopLadder::ffmpeg());
        let now = Instant::now();
        assert_eq!(climb.step(now), Step::Do(StopAction::Write(b"q".to_vec())));
        climb.failed();
        assert_eq!(climb.step(now), Step::Do(StopAction::Signal(Signal::Interrupt)));
    }

    #[test]
    fn every_ladder_ends_with_a_kill() {
        assert_eq!(StopLadder::kill().rungs().len(), 1);
        assert_eq!(StopLadder::new([(StopAction::Signal(Signal::Kill), SECOND)]).rungs().len(), 1);
    }
}
