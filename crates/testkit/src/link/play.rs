//! Plays a script on a link, in real time.

use std::time::{Duration, Instant};

use tokio::sync::watch;

use super::{Link, Script, Step, Task};

/// A script in progress; ends with its owner.
#[derive(Debug)]
pub struct Playing {
    started: Instant,
    step: watch::Receiver<Option<usize>>,
    script: Script,
    _task: Task,
}

impl Playing {
    pub(super) fn start(link: Link, script: Script) -> Self {
        let started = Instant::now();
        let (moved, step) = watch::channel(None);
        let steps = script.steps().to_vec();
        let task = Task::spawn(async move {
            for (index, Step { at, conditions, rebind }) in steps.into_iter().enumerate() {
                tokio::time::sleep_until((started + at).into()).await;
                if rebind {
                    link.rebind();
                }
                tracing::debug!(%conditions, ?at, "link changes");
                link.set(conditions);
                moved.send_replace(Some(index));
            }
        });
        Self { started, step, script, _task: task }
    }

    /// The script's start.
    #[must_use]
    pub const fn started(&self) -> Instant {
        self.started
    }

    /// The step of the moment; `None` before the first.
    #[must_use]
    pub fn step(&self) -> Option<&Step> {
        let index = *self.step.borrow();
        index.and_then(|index| self.script.steps().get(index))
    }

    /// Time until the next step; `None` when there is none.
    #[must_use]
    pub fn next_in(&self) -> Option<Duration> {
        let next = self.step.borrow().map_or(0, |index| index + 1);
        let step = self.script.steps().get(next)?;
        Some((self.started + step.at).saturating_duration_since(Instant::now()))
    }

    /// Returns when the last step has begun.
    ///
    /// # Cancel safety
    /// Safe; the script goes on while `self` lives.
    pub async fn finished(&self) {
        let last = self.script.steps().len().checked_sub(1);
        let mut step = self.step.clone();
        // An error means that the task has ended, which it does after the last step.
        let _ = step.wait_for(|step| *step >= last).await;
    }
}
