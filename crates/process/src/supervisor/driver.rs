//! The thread of a supervisor: does what the machine says and tells it what happened.
//!
//! Belongs here: the process, the clock, the channels. Not here: any decision (`machine`).
//!
//! Invariant: the thread waits in one place only, for the child's end, a wish of the owner, or the machine's deadline.

use std::error::Error;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::{broadcast, mpsc, watch};

use super::events::{Event, Phase, Status, Stopped};
use super::heartbeat::Heartbeat;
use super::machine::{Action, Input, Machine};
use super::stderr::StderrReader;
use super::{SharedTail, Spec, Started, Wishes};
use crate::blocking::{block_until, small_thread};
use crate::child::Child;
use crate::command::{SpawnError, Stream};
use crate::exit::Exit;
use crate::tail::Tail;

/// Events a subscriber may be behind.
const EVENTS: usize = 64;
/// How long the rest of standard error is waited for once the process has ended.
const STDERR_AFTER_EXIT: Duration = Duration::from_millis(500);

pub(super) type OnStart = Box<dyn FnMut(Started) + Send>;

/// Keeps one process running; lives on its own thread.
pub(super) struct Driver {
    spec: Spec,
    machine: Machine,
    on_start: OnStart,
    run: Option<Run>,
    wishes: watch::Receiver<Wishes>,
    /// The restarts that were done or did not apply.
    restarts_seen: u64,
    stop_seen: bool,
    status: watch::Sender<Status>,
    events: broadcast::Sender<Event>,
    stopped: watch::Sender<Option<Stopped>>,
    tail: SharedTail,
}

/// The owner's ends of the driver's channels.
pub(super) struct Ends {
    pub(super) wishes: watch::Sender<Wishes>,
    pub(super) status: watch::Receiver<Status>,
    pub(super) stopped: watch::Receiver<Option<Stopped>>,
    pub(super) events: broadcast::WeakSender<Event>,
    pub(super) first_events: broadcast::Receiver<Event>,
    pub(super) tail: SharedTail,
}

/// One run of the process.
struct Run {
    child: Child,
    since: Instant,
    heartbeat: Heartbeat,
    tail: Arc<Mutex<Tail>>,
    /// Closed when standard error has been read to its end.
    stderr_open: mpsc::Receiver<()>,
}

/// What the driver waits for.
enum Woken {
    Exited(Exit),
    Wish,
    Deadline,
}

impl Driver {
    pub(super) fn new(mut spec: Spec, on_start: OnStart) -> (Self, Ends) {
        spec.command.stderr.get_or_insert(Stream::Piped);
        if spec.stop.needs_stdin() {
            spec.command.stdin.get_or_insert(Stream::Piped);
        }
        let seed = spec.seed.unwrap_or_else(|| fastrand::u64(..));
        let machine = Machine::new(&spec, seed);
        let (wishes_tx, wishes) = watch::channel(Wishes::default());
        let (status, status_rx) = watch::channel(Status {
            phase: Phase::Starting,
            pid: None,
            runs: 0,
            stalls: 0,
            last_exit: None,
            progress: None,
        });
        let (stopped, stopped_rx) = watch::channel(None);
        let (events, first_events) = broadcast::channel(EVENTS);
        let tail = SharedTail::new(Mutex::new(Arc::new(Mutex::new(Tail::new(spec.tail)))));
        let ends = Ends {
            wishes: wishes_tx,
            status: status_rx,
            stopped: stopped_rx,
            events: events.downgrade(),
            first_events,
            tail: Arc::clone(&tail),
        };
        let driver = Self {
            spec,
            machine,
            on_start,
            run: None,
            wishes,
            restarts_seen: 0,
            stop_seen: false,
            status,
            events,
            stopped,
            tail,
        };
        (driver, ends)
    }

    /// Runs until the machine is finished.
    pub(super) fn drive(mut self) {
        loop {
            while let Some(action) = self.machine.poll_action() {
                self.perform(action);
            }
            let phase = self.machine.phase();
            self.status.send_modify(|status| status.phase = phase);
            if phase == Phase::Stopped {
                return;
            }
            match self.sleep() {
                Woken::Exited(exit) => self.exited(exit),
                Woken::Wish => self.take_wishes(),
                Woken::Deadline => {}
            }
            let now = Instant::now();
            if let Some(last) = self.run.as_ref().and_then(|run| run.heartbeat.last()) {
                self.machine.handle(now, Input::Heard(last));
            }
            self.machine.handle(now, Input::Timer);
        }
    }

    fn sleep(&mut self) -> Woken {
        let deadline = self.machine.deadline();
        let child = self.run.as_ref().map(|run| run.child.handle());
        let exited = async {
            match &child {
                Some(child) => child.wait().await,
                None => std::future::pending().await,
            }
        };
        let wishes = &mut self.wishes;
        let stop_seen = self.stop_seen;
        let wished = async {
            // Once the owner is gone and its stop is under way, there is nothing more to be told.
            if wishes.changed().await.is_err() && stop_seen {
                std::future::pending::<()>().await;
            }
        };
        let woken = block_until(deadline, async {
            tokio::select! {
                biased;
                exit = exited => Woken::Exited(exit),
                () = wished => Woken::Wish,
            }
        });
        woken.unwrap_or(Woken::Deadline)
    }

    fn take_wishes(&mut self) {
        let owner_gone = self.wishes.has_changed().is_err();
        let wishes = *self.wishes.borrow_and_update();
        let now = Instant::now();
        if (wishes.stop || owner_gone) && !self.stop_seen {
            self.stop_seen = true;
            self.machine.handle(now, Input::Stop);
        }
        if wishes.restarts != self.restarts_seen {
            self.restarts_seen = wishes.restarts;
            self.machine.handle(now, Input::Restart);
        }
    }

    fn perform(&mut self, action: Action) {
        match action {
            Action::Spawn => self.spawn(),
            Action::Attempt(action) => {
                tracing::debug!(name = self.spec.name, ?action, "stopping");
                let done = self.run.as_mut().is_none_or(|run| run.child.attempt(&action));
                if !done {
                    self.machine.handle(Instant::now(), Input::AttemptFailed);
                }
            }
            Action::Report(event) => self.report(event),
        }
    }

    fn spawn(&mut self) {
        self.status.send_modify(|status| (status.phase, status.progress) = (Phase::Starting, None));
        match self.spec.command.spawn() {
            Ok(child) => {
                let now = Instant::now();
                self.machine.handle(now, Input::Spawned);
                self.started(child, now);
            }
            Err(error) => {
                self.report(Event::SpawnFailed { kind: error.kind(), error: with_causes(&error) });
                self.machine.handle(Instant::now(), Input::SpawnFailed);
            }
        }
    }

    fn started(&mut self, mut child: Child, now: Instant) {
        let pid = child.pid();
        let heartbeat = Heartbeat::new(now);
        let tail = Arc::new(Mutex::new(Tail::new(self.spec.tail)));
        *self.tail.lock().unwrap_or_else(PoisonError::into_inner) = Arc::clone(&tail);
        let run = self.status.borrow().runs + 1;
        self.status.send_modify(|status| {
            (status.phase, status.pid, status.runs) = (self.machine.phase(), Some(pid), run);
        });
        self.report(Event::Started { run, pid });
        let stderr_open = self.read_stderr(&mut child, &tail, &heartbeat);
        let stdout = child.stdout.take();
        // Kept before the call: if `on_start` panics, the child is dropped with the driver, which kills it.
        self.run = Some(Run { child, since: now, heartbeat: heartbeat.clone(), tail, stderr_open });
        (self.on_start)(Started { run, pid, stdout, heartbeat });
    }

    fn read_stderr(
        &self,
        child: &mut Child,
        tail: &Arc<Mutex<Tail>>,
        heartbeat: &Heartbeat,
    ) -> mpsc::Receiver<()> {
        let (open, stderr_open) = mpsc::channel(1);
        if let Some(pipe) = child.stderr.take() {
            let progress_counts = self.spec.stall.as_ref().is_some_and(|stall| stall.progress_counts);
            let reader = StderrReader {
                tail: Arc::clone(tail),
                limits: self.spec.tail,
                secrets: self.spec.command.secrets.clone(),
                events: self.events.clone(),
                status: self.status.clone(),
                heartbeat: progress_counts.then(|| heartbeat.clone()),
                open,
            };
            let name = format!("stderr-{}", self.spec.name);
            if let Err(error) = small_thread(name, move || reader.read(pipe)) {
                // Without its reader the pipe is closed: the process loses its log, not its work.
                tracing::warn!(name = self.spec.name, %error, "standard error is not read");
            }
        }
        stderr_open
    }

    fn exited(&mut self, exit: Exit) {
        let now = Instant::now();
        if let Some(mut run) = self.run.take() {
            block_until(Some(now + STDERR_AFTER_EXIT), run.stderr_open.recv());
            let lines = run.tail.lock().unwrap_or_else(PoisonError::into_inner).lines();
            let uptime = now.saturating_duration_since(run.since);
            self.status.send_modify(|status| (status.pid, status.last_exit) = (None, Some(exit)));
            self.report(Event::Exited { exit, uptime, tail: lines.into() });
        }
        self.machine.handle(now, Input::Exited(exit));
    }

    /// What nobody asked for is a warning, with the last words of the process.
    fn log(&self, event: &Event) {
        let name = &self.spec.name;
        match event {
            Event::Exited { exit, uptime, tail } if self.status.borrow().phase == Phase::Running => {
                let said = tail.last().map_or("", String::as_str);
                tracing::warn!(name, %exit, ?uptime, said, "supervised process ended");
            }
            Event::Stalled { idle } => tracing::warn!(name, ?idle, "supervised process stalls"),
            Event::SpawnFailed { error, .. } => {
                tracing::warn!(name, %error, "supervised process does not start")
            }
            _ => tracing::debug!(name, ?event, "supervised process"),
        }
    }

    fn report(&self, event: Event) {
        self.log(&event);
        if let Event::Stalled { .. } = event {
            self.status.send_modify(|status| status.stalls += 1);
        }
        let stopped = if let Event::Stopped(how) = event { Some(how) } else { None };
        if stopped.is_some() {
            self.status.send_modify(|status| status.phase = Phase::Stopped);
        }
        // No subscriber is no error.
        let _ = self.events.send(event);
        if stopped.is_some() {
            self.stopped.send_replace(stopped);
        }
    }
}

/// An error with everything that caused it, in one line.
fn with_causes(error: &SpawnError) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}
