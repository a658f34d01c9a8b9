//! Keeping a process alive, and ending it politely.
//!
//! ```text
//! Spec ─► Supervisor::spawn ─► driver thread ─► machine (pure: restart, backoff, stall, stop)
//!                                │   ▲ exit, beats, wishes
//!              on_start(Started) ┘   └── child ─ stderr ─► tail, progress ─► events
//! ```
//!
//! Belongs here: what is wanted (`Spec`) and the handle. The decisions are in `machine`, their execution in `driver`,
//! standard error in `stderr`. Not here: what the output is good for; the reader of standard output is the caller's.
//!
//! Invariants: at most one process runs at a time; every `Started` is followed by one `Exited` (unless it survived
//! SIGKILL); `Stopped` is the last event.

mod driver;
mod events;
mod heartbeat;
mod machine;
mod stderr;

use std::io;
use std::process::ChildStdout;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{broadcast, watch};

pub use self::events::{Event, Events, Phase, Status, Stopped};
pub use self::heartbeat::Heartbeat;
use crate::backoff::BackoffConfig;
use crate::blocking::{block_on, small_thread};
use crate::command::{Command, Stream};
use crate::stop::StopLadder;
use crate::tail::{Tail, TailLimits};

/// What is to be kept running, and how.
#[derive(Clone, Debug)]
pub struct Spec {
    /// A name for logs and threads.
    pub name: String,
    /// What to run. Standard error goes to the tail unless the command says otherwise; standard output is handed to
    /// `on_start` where it is [`Stream::Piped`].
    pub command: Command,
    /// When to start it again.
    pub restart: RestartPolicy,
    /// Failures in a row (without a healthy time between) after which it is given up; `None` for never.
    pub give_up_after: Option<u32>,
    /// How long to wait before starting it again.
    pub backoff: BackoffConfig,
    /// The seed of the backoff's jitter; `None` for one by chance.
    pub seed: Option<u64>,
    /// When to take it for stuck; `None` for never.
    pub stall: Option<Stall>,
    /// How to end it.
    pub stop: StopLadder,
    /// How much of its standard error to keep.
    pub tail: TailLimits,
}

/// When an ended process is started again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RestartPolicy {
    /// Never.
    Never,
    /// After a non-zero code, a signal, a stall, or a failed start.
    OnFailure,
    /// Always.
    Always,
}

/// When a process that still runs is taken for stuck, stopped, and started again by the policy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stall {
    /// The longest time without a [`Heartbeat::beat`].
    pub after: Duration,
    /// The same before the first beat: opening a camera takes longer.
    pub first_after: Duration,
    /// Whether ffmpeg's progress, where it advances, counts as a beat. For commands whose output nobody reads here.
    pub progress_counts: bool,
    /// How to end a stuck process.
    pub stop: StopLadder,
}

impl Stall {
    /// Allows `after` without a beat, three times that before the first; then SIGTERM (1 s), SIGKILL.
    pub fn after(after: Duration) -> Self {
        Self { after, first_after: after * 3, progress_counts: false, stop: StopLadder::brisk() }
    }
}

impl Spec {
    /// Keeps `command` running: restarts on failure for ever, no stall watch, SIGINT-SIGTERM-SIGKILL.
    pub fn new(name: impl Into<String>, command: Command) -> Self {
        Self {
            name: name.into(),
            command,
            restart: RestartPolicy::OnFailure,
            give_up_after: None,
            backoff: BackoffConfig::default(),
            seed: None,
            stall: None,
            stop: StopLadder::polite(),
            tail: TailLimits::default(),
        }
    }

    /// Keeps an ffmpeg running whose standard output (a pipe of 1 MiB where allowed) is read here: restarts always,
    /// takes 10 s without bytes for stuck, stops it with `q` first.
    pub fn ffmpeg(name: impl Into<String>, command: Command) -> Self {
        let command = command.stdin(Stream::Piped).stdout(Stream::Piped).stdout_pipe_bytes(1 << 20);
        Self {
            restart: RestartPolicy::Always,
            stall: Some(Stall::after(Duration::from_secs(10))),
            stop: StopLadder::ffmpeg(),
            ..Self::new(name, command)
        }
    }
}

/// A process that was just started, as told to `on_start`.
#[derive(Debug)]
pub struct Started {
    /// Counts the starts, from 1.
    pub run: u64,
    /// The process, and its group.
    pub pid: u32,
    /// Its standard output where that is piped: a blocking reader with a raw descriptor; see [`pipe`](crate::pipe) for
    /// an asynchronous one. It ends when the process does. Dropping it makes the process's writes fail.
    pub stdout: Option<ChildStdout>,
    /// To be told of every read, or the stall watch takes the process for stuck.
    pub heartbeat: Heartbeat,
}

/// A supervised process. Dropping it asks for the stop and does not wait.
#[derive(Debug)]
pub struct Supervisor {
    name: String,
    wishes: watch::Sender<Wishes>,
    status: watch::Receiver<Status>,
    stopped: watch::Receiver<Option<Stopped>>,
    first_events: Mutex<Option<Events>>,
    events: broadcast::WeakSender<Event>,
    tail: SharedTail,
}

/// What the owner wants.
#[derive(Clone, Copy, Debug, Default)]
struct Wishes {
    stop: bool,
    restarts: u64,
}

/// The tail of the run there is, or of the last one.
type SharedTail = Arc<Mutex<Arc<Mutex<Tail>>>>;

impl Supervisor {
    /// Starts the process and its supervision, on a thread of its own.
    ///
    /// `on_start` is called on that thread after every (re)start; it should hand the reader to another thread and
    /// return soon, since nothing is watched meanwhile.
    ///
    /// # Errors
    /// When the thread cannot be made. That the process cannot be started is an event, and tried again by the policy.
    pub fn spawn(spec: Spec, on_start: impl FnMut(Started) + Send + 'static) -> io::Result<Self> {
        let name = spec.name.clone();
        let (driver, ends) = driver::Driver::new(spec, Box::new(on_start));
        small_thread(format!("watch-{name}"), move || driver.drive())?;
        let driver::Ends { wishes, status, stopped, events, first_events, tail } = ends;
        let first_events = Mutex::new(Some(Events::new(first_events)));
        Ok(Self { name, wishes, status, stopped, first_events, events, tail })
    }

    /// Returns the name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Subscribes to the events: the first subscriber from the start, later ones from now on.
    ///
    /// The channel holds 64 events; a subscriber that falls behind loses the oldest, and
    /// [`Events::missed`] counts them.
    pub fn events(&self) -> Events {
        let mut first = self.first_events.lock().unwrap_or_else(PoisonError::into_inner);
        first.take().unwrap_or_else(|| match self.events.upgrade() {
            Some(events) => Events::new(events.subscribe()),
            None => Events::ended(),
        })
    }

    /// Returns how things are.
    pub fn status(&self) -> Status {
        self.status.borrow().clone()
    }

    /// Returns the last lines of standard error, of this run or, between runs, the last.
    pub fn tail(&self) -> Vec<String> {
        let current = Arc::clone(&self.tail.lock().unwrap_or_else(PoisonError::into_inner));
        let tail = current.lock().unwrap_or_else(PoisonError::into_inner);
        tail.lines()
    }

    /// Asks for the stop and does not wait. To stop several at once, ask them all, then [`wait`](Self::wait).
    pub fn ask_stop(&self) {
        self.wishes.send_modify(|wishes| wishes.stop = true);
    }

    /// Stops the process and starts it anew, without a delay; between runs, ends the wait.
    pub fn restart(&self) {
        self.wishes.send_modify(|wishes| wishes.restarts += 1);
    }

    /// Asks for the stop and waits for it: at most as long as the ladder takes.
    ///
    /// # Cancel safety
    /// Cancel safe: the stop goes on.
    pub async fn stop(&self) -> Stopped {
        self.ask_stop();
        self.wait().await
    }

    /// As [`stop`](Self::stop), on this thread.
    pub fn stop_blocking(&self) -> Stopped {
        block_on(self.stop())
    }

    /// Waits until supervision ends, by a stop or by the policy.
    ///
    /// # Cancel safety
    /// Cancel safe.
    pub async fn wait(&self) -> Stopped {
        let mut stopped = self.stopped.clone();
        let outcome = stopped.wait_for(Option::is_some).await;
        outcome.ok().and_then(|stopped| *stopped).unwrap_or(Stopped::Panicked)
    }

    /// As [`wait`](Self::wait), on this thread.
    pub fn wait_blocking(&self) -> Stopped {
        block_on(self.wait())
    }
}

impl Drop for Supervisor {
    fn drop(&mut self) {
        self.ask_stop();
    }
}
