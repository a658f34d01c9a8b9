//! The decisions of a supervisor: pure; `now` and what happened come in, what to do goes out.
//!
//! | state \ input | Spawned | SpawnFailed | Exited | Timer | Stop | Restart |
//! |---|---|---|---|---|---|---|
//! | Starting | Running | *failed* | – | – | noted | – |
//! | Running | – | – | *ended* | silent too long: Stopping (stalled) | Stopping (asked) | Stopping (restart) |
//! | Stopping | – | – | asked: Finished; restart: Starting; stalled: *failed* | next rung | asked | – |
//! | Waiting | – | – | – | Starting | Finished | Starting |
//! | Finished | – | – | – | – | – | – |
//!
//! *ended*: by the policy *failed* or Finished. *failed*: by the policy and the count of failures Waiting or Finished.
//!
//! Belongs here: when to start, stop, wait, and give up. Not here: processes, threads, the clock (`driver`).
//!
//! Invariants: between two `Spawn` actions there is an `Exited` or a `SpawnFailed`; once Finished, no action follows.

#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::time::Instant;

use super::{Event, Phase, RestartPolicy, Spec, Stall, Stopped};
use crate::backoff::Backoff;
use crate::exit::Exit;
use crate::stop::{Climb, Step, StopAction, StopLadder};

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Input {
    /// The process asked for runs.
    Spawned,
    /// It could not be started.
    SpawnFailed,
    /// A sign of life at that time.
    Heard(Instant),
    /// The process ended.
    Exited(Exit),
    /// The last [`Action::Attempt`] could not be done.
    AttemptFailed,
    /// The deadline has come, or any moment before.
    Timer,
    /// The owner wants it stopped.
    Stop,
    /// The owner wants it started anew.
    Restart,
}

/// What to do.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Action {
    /// Start the process.
    Spawn,
    /// Climb one rung of the ladder.
    Attempt(StopAction),
    /// Tell the subscribers.
    Report(Event),
}

#[derive(Debug)]
pub(super) struct Machine {
    restart: RestartPolicy,
    give_up_after: Option<u32>,
    stall: Option<Stall>,
    stop: StopLadder,
    backoff: Backoff,
    state: State,
    actions: VecDeque<Action>,
}

#[derive(Debug)]
enum State {
    Starting {
        stop: bool,
    },
    /// `look` is when to look for beats, of which nothing else tells.
    Running {
        heard: Instant,
        first: bool,
        look: Option<Instant>,
    },
    Stopping {
        climb: Climb,
        why: Why,
        until: Option<Instant>,
    },
    Waiting {
        until: Instant,
    },
    Finished,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Why {
    Asked,
    Restart,
    Stalled,
}

impl Machine {
    /// Makes a machine whose first action is to spawn.
    pub(super) fn new(spec: &Spec, seed: u64) -> Self {
        Self {
            restart: spec.restart,
            give_up_after: spec.give_up_after,
            stall: spec.stall.clone(),
            stop: spec.stop.clone(),
            backoff: Backoff::new(spec.backoff, seed),
            state: State::Starting { stop: false },
            actions: VecDeque::from([Action::Spawn]),
        }
    }

    /// Returns the next thing to do.
    pub(super) fn poll_action(&mut self) -> Option<Action> {
        self.actions.pop_front()
    }

    /// Returns when to come back with [`Input::Timer`] if nothing happens before.
    pub(super) fn deadline(&self) -> Option<Instant> {
        match &self.state {
            State::Running { look, .. } => match (self.silent_until(), *look) {
                (Some(until), Some(look)) => Some(until.min(look)),
                (until, _) => until,
            },
            State::Stopping { until, .. } => *until,
            State::Waiting { until } => Some(*until),
            State::Starting { .. } | State::Finished => None,
        }
    }

    /// When the process is taken for stuck if nothing is heard of it before.
    fn silent_until(&self) -> Option<Instant> {
        let (State::Running { heard, first, .. }, Some(stall)) = (&self.state, &self.stall) else {
            return None;
        };
        Some(*heard + if *first { stall.first_after } else { stall.after })
    }

    pub(super) fn phase(&self) -> Phase {
        match self.state {
            State::Starting { .. } => Phase::Starting,
            State::Running { .. } => Phase::Running,
            State::Stopping { .. } => Phase::Stopping,
            State::Waiting { .. } => Phase::Waiting,
            State::Finished => Phase::Stopped,
        }
    }

    /// Takes what happened at `now`.
    pub(super) fn handle(&mut self, now: Instant, input: Input) {
        match input {
            Input::Spawned => self.spawned(now),
            Input::SpawnFailed => self.spawn_failed(now),
            Input::Heard(at) => self.heard(at),
            Input::Exited(exit) => self.exited(now, exit),
            Input::AttemptFailed => self.attempt_failed(now),
            Input::Timer => self.timer(now),
            Input::Stop => self.asked_to_stop(now),
            Input::Restart => self.asked_to_restart(now),
        }
    }

    fn spawned(&mut self, now: Instant) {
        let State::Starting { stop } = self.state else { return };
        self.backoff.started(now);
        let look = self.stall.as_ref().map(|stall| now + stall.after);
        self.state = State::Running { heard: now, first: true, look };
        if stop {
            self.asked_to_stop(now);
        }
    }

    fn spawn_failed(&mut self, now: Instant) {
        match self.state {
            State::Starting { stop: true } => self.finish(Stopped::Asked { exit: None, clean: true }),
            State::Starting { stop: false } => self.failed(now, None),
            _ => {}
        }
    }

    fn heard(&mut self, at: Instant) {
        if let State::Running { heard, first, look } = &mut self.state {
            *heard = at.max(*heard);
            *first = false;
            *look = None;
        }
    }

    fn exited(&mut self, now: Instant, exit: Exit) {
        match self.state {
            State::Running { .. } => {
                let again = match self.restart {
                    RestartPolicy::Never => false,
                    RestartPolicy::OnFailure => !exit.success(),
                    RestartPolicy::Always => true,
                };
                if again { self.failed(now, Some(exit)) } else { self.finish(Stopped::Ended(exit)) }
            }
            State::Stopping { why: Why::Asked, .. } => {
                self.finish(Stopped::Asked { exit: Some(exit), clean: exit.clean_after_stop() });
            }
            State::Stopping { why: Why::Restart, .. } => self.start(),
            State::Stopping { why: Why::Stalled, .. } => self.failed(now, Some(exit)),
            State::Starting { .. } | State::Waiting { .. } | State::Finished => {}
        }
    }

    /// One run is over and the policy is asked about the next.
    fn failed(&mut self, now: Instant, exit: Option<Exit>) {
        let after = self.backoff.ended(now);
        let failures = self.backoff.failures();
        match (self.restart, exit) {
            (RestartPolicy::Never, Some(exit)) => return self.finish(Stopped::Ended(exit)),
            (RestartPolicy::Never, None) => return self.finish(Stopped::GaveUp { failures }),
            (RestartPolicy::OnFailure | RestartPolicy::Always, _) => {}
        }
        if self.give_up_after.is_some_and(|most| failures >= most) {
            return self.finish(Stopped::GaveUp { failures });
        }
        self.actions.push_back(Action::Report(Event::Restarting { after, failures }));
        self.state = State::Waiting { until: now + after };
    }

    fn attempt_failed(&mut self, now: Instant) {
        if let State::Stopping { climb, .. } = &mut self.state {
            climb.failed();
            self.climb(now);
        }
    }

    fn timer(&mut self, now: Instant) {
        if self.deadline().is_none_or(|deadline| now < deadline) {
            return;
        }
        let silent = self.silent_until().is_some_and(|until| now >= until);
        match &mut self.state {
            State::Running { look, .. } if !silent => {
                *look = self.stall.as_ref().map(|stall| now + stall.after);
            }
            State::Running { heard, .. } => {
                let idle = now.saturating_duration_since(*heard);
                self.actions.push_back(Action::Report(Event::Stalled { idle }));
                let ladder = self.stall.as_ref().map_or_else(StopLadder::brisk, |stall| stall.stop.clone());
                self.begin_stop(now, Why::Stalled, ladder);
            }
            State::Stopping { .. } => self.climb(now),
            State::Waiting { .. } => self.start(),
            State::Starting { .. } | State::Finished => {}
        }
    }

    fn asked_to_stop(&mut self, now: Instant) {
        match &mut self.state {
            State::Starting { stop } => *stop = true,
            State::Running { .. } => self.begin_stop(now, Why::Asked, self.stop.clone()),
            State::Stopping { why, until, .. } => {
                *why = Why::Asked;
                if until.is_none() {
                    // It has survived SIGKILL already.
                    self.finish(Stopped::Abandoned);
                }
            }
            State::Waiting { .. } => self.finish(Stopped::Asked { exit: None, clean: true }),
            State::Finished => {}
        }
    }

    fn asked_to_restart(&mut self, now: Instant) {
        match self.state {
            State::Running { .. } => self.begin_stop(now, Why::Restart, self.stop.clone()),
            State::Waiting { .. } => self.start(),
            State::Starting { .. } | State::Stopping { .. } | State::Finished => {}
        }
    }

    fn begin_stop(&mut self, now: Instant, why: Why, ladder: StopLadder) {
        self.state = State::Stopping { climb: Climb::new(ladder), why, until: None };
        self.climb(now);
    }

    /// Does what the ladder says at `now`.
    fn climb(&mut self, now: Instant) {
        let State::Stopping { climb, why, until } = &mut self.state else { return };
        loop {
            match climb.step(now) {
                Step::Do(action) => self.actions.push_back(Action::Attempt(action)),
                Step::Wait(deadline) => {
                    *until = Some(deadline);
                    return;
                }
                Step::Survived => {
                    *until = None;
                    if *why == Why::Asked {
                        self.finish(Stopped::Abandoned);
                    }
                    return;
                }
            }
        }
    }

    fn start(&mut self) {
        self.state = State::Starting { stop: false };
        self.actions.push_back(Action::Spawn);
    }

    fn finish(&mut self, how: Stopped) {
        self.state = State::Finished;
        self.actions.push_back(Action::Report(Event::Stopped(how)));
    }
}
