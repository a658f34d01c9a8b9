//! What a supervisor tells: events as they come, and how things are.
//!
//! Belongs here: the values and the subscription. Not here: who sends them (`driver`, `stderr`).
//!
//! Invariant: a slow subscriber never holds up the supervisor; it loses the oldest events and is told how many.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::broadcast;
use tokio::sync::broadcast::error::RecvError;

use crate::blocking::{block_on, block_until};
use crate::command::SpawnErrorKind;
use crate::exit::Exit;
use crate::progress::Progress;

/// Something that happened to a supervised process.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    /// It runs.
    Started {
        /// Counts the starts, from 1.
        run: u64,
        /// The process.
        pid: u32,
    },
    /// It could not be started.
    SpawnFailed {
        /// Why, with its cause.
        error: String,
        /// Whether trying again can help.
        kind: SpawnErrorKind,
    },
    /// ffmpeg told its progress.
    Progress(Progress),
    /// It gave no sign of life and is being stopped.
    Stalled {
        /// How long it was silent.
        idle: Duration,
    },
    /// It has ended.
    Exited {
        /// How.
        exit: Exit,
        /// How long it ran.
        uptime: Duration,
        /// The last lines of its standard error.
        tail: Arc<[String]>,
    },
    /// It will be started again.
    Restarting {
        /// After this time.
        after: Duration,
        /// Failures since the last healthy time.
        failures: u32,
    },
    /// Supervision has ended; nothing follows.
    Stopped(Stopped),
}

/// Why supervision ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stopped {
    /// The stop was asked for.
    Asked {
        /// How the process ended; `None` where none was running.
        exit: Option<Exit>,
        /// Whether it ended of its own will: see [`Exit::clean_after_stop`].
        clean: bool,
    },
    /// It ended, and the policy does not start it again.
    Ended(Exit),
    /// It failed too often, or could not be started and the policy does not try again.
    GaveUp {
        /// Failures in a row.
        failures: u32,
    },
    /// It survived SIGKILL: stuck in the kernel, most often in a driver.
    Abandoned,
    /// The supervisor's own thread panicked (in `on_start`); the process was killed.
    Panicked,
}

impl Stopped {
    /// Returns whether the process did all it was meant to do.
    pub fn clean(self) -> bool {
        match self {
            Self::Asked { clean, .. } => clean,
            Self::Ended(exit) => exit.success(),
            Self::GaveUp { .. } | Self::Abandoned | Self::Panicked => false,
        }
    }
}

/// How a supervised process is.
#[derive(Clone, Debug, PartialEq)]
pub struct Status {
    /// What it is doing.
    pub phase: Phase,
    /// The process, where one runs.
    pub pid: Option<u32>,
    /// Starts so far.
    pub runs: u64,
    /// Stalls so far.
    pub stalls: u64,
    /// How the last run ended.
    pub last_exit: Option<Exit>,
    /// The last progress of this run.
    pub progress: Option<Progress>,
}

/// What a supervised process is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// It is being started.
    Starting,
    /// It runs.
    Running,
    /// It is being stopped.
    Stopping,
    /// It waits to be started again.
    Waiting,
    /// Supervision has ended.
    Stopped,
}

/// A subscription to the events of a supervisor.
#[derive(Debug)]
pub struct Events {
    receiver: Option<broadcast::Receiver<Event>>,
    missed: u64,
}

impl Events {
    pub(super) fn new(receiver: broadcast::Receiver<Event>) -> Self {
        Self { receiver: Some(receiver), missed: 0 }
    }

    pub(super) fn ended() -> Self {
        Self { receiver: None, missed: 0 }
    }

    /// Waits for the next event; `None` after [`Event::Stopped`].
    ///
    /// # Cancel safety
    /// Cancel safe: no event is lost.
    pub async fn next(&mut self) -> Option<Event> {
        loop {
            match self.receiver.as_mut()?.recv().await {
                Ok(event) => {
                    if matches!(event, Event::Stopped(_)) {
                        self.receiver = None;
                    }
                    return Some(event);
                }
                Err(RecvError::Lagged(missed)) => self.missed += missed,
                Err(RecvError::Closed) => self.receiver = None,
            }
        }
    }

    /// As [`next`](Self::next), on this thread.
    pub fn next_blocking(&mut self) -> Option<Event> {
        block_on(self.next())
    }

    /// As [`next`](Self::next), on this thread, for `patience` at most; `None` then too.
    pub fn next_for(&mut self, patience: Duration) -> Option<Event> {
        block_until(Some(Instant::now() + patience), self.next()).flatten()
    }

    /// Returns how many events this subscriber was too slow for.
    pub fn missed(&self) -> u64 {
        self.missed
    }
}
