//! A running process: poll, wait, signal, stop.
//!
//! Belongs here: the handle and its waiter thread. Not here: how it is made (`spawner`, `platform`), capturing its
//! output (`communicate`), or keeping it alive (`supervisor`).
//!
//! Invariants:
//! 1. The waiter thread reaps the process whatever happens to the handles: no zombie.
//! 2. Signalling and reaping take the same lock, so a reaped process is never signalled.
//! 3. Dropping a [`Child`] kills it (and its group), unless it is [`Lifetime::Independent`] or was detached.

use std::io::{self, Write};
use std::process::{ChildStderr, ChildStdin, ChildStdout};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::watch;

use crate::blocking::{block_on, block_until, off_thread, small_thread};
use crate::command::Lifetime;
use crate::exit::Exit;
use crate::platform::{self, OsChild, Signal, Spawned};
use crate::stop::{Climb, Step, StopAction, StopLadder};

/// A running process. Dropping it kills it, unless it is independent.
#[derive(Debug)]
pub struct Child {
    /// Our end of the child's standard input, where it is piped. Dropping it closes it.
    pub stdin: Option<ChildStdin>,
    /// Our end of the child's standard output, where it is piped.
    pub stdout: Option<ChildStdout>,
    /// Our end of the child's standard error, where it is piped.
    pub stderr: Option<ChildStderr>,
    handle: ChildHandle,
    kill_on_drop: bool,
}

/// A handle to wait for and signal a process from elsewhere; cheap to clone, and owns nothing.
#[derive(Clone, Debug)]
pub struct ChildHandle {
    pid: u32,
    os: Arc<Mutex<Option<OsChild>>>,
    exit: watch::Receiver<Option<Exit>>,
}

/// A signal that was not delivered.
#[derive(Debug, thiserror::Error)]
pub enum SignalError {
    /// The process has ended already.
    #[error("process {pid} has ended")]
    Ended {
        /// The process id it had.
        pid: u32,
    },
    /// The system refused, or the platform has no such signal.
    #[error("cannot send {signal:?} to process {pid}")]
    Refused {
        /// The process.
        pid: u32,
        /// The signal.
        signal: Signal,
        /// What the system said.
        source: io::Error,
    },
}

impl Child {
    /// Starts the waiter thread of a process just made.
    pub(crate) fn adopt(spawned: Spawned, lifetime: Lifetime) -> io::Result<Self> {
        let Spawned { os, stdin, stdout, stderr } = spawned;
        let pid = os.id();
        let os = Arc::new(Mutex::new(Some(os)));
        let (ended, exit) = watch::channel(None);
        let waited = Arc::clone(&os);
        let waiter = small_thread(format!("wait-{pid}"), move || wait_and_reap(&waited, &ended));
        if let Err(error) = waiter {
            if let Some(mut os) = lock(&os).take() {
                let _ = os.signal(Signal::Kill);
                let _ = os.reap();
            }
            return Err(error);
        }
        let handle = ChildHandle { pid, os, exit };
        Ok(Self { stdin, stdout, stderr, handle, kill_on_drop: lifetime != Lifetime::Independent })
    }

    /// Returns the process id, which is also the id of its group where it leads one.
    pub fn pid(&self) -> u32 {
        self.handle.pid
    }

    /// Returns a handle to wait for and signal it from elsewhere.
    pub fn handle(&self) -> ChildHandle {
        self.handle.clone()
    }

    /// Returns how it ended, or `None` while it runs. Never waits.
    pub fn poll(&self) -> Option<Exit> {
        self.handle.poll()
    }

    /// Waits for its end. Does not read its pipes: see [`communicate`](Self::communicate).
    ///
    /// # Cancel safety
    /// Cancel safe.
    pub async fn wait(&self) -> Exit {
        self.handle.wait().await
    }

    /// Waits for its end on this thread.
    pub fn wait_blocking(&self) -> Exit {
        self.handle.wait_blocking()
    }

    /// Waits for its end on this thread, for `patience` at most.
    pub fn wait_for(&self, patience: Duration) -> Option<Exit> {
        self.handle.wait_for(patience)
    }

    /// Signals it and its group.
    ///
    /// # Errors
    /// When it has ended, or the system refuses.
    pub fn signal(&self, signal: Signal) -> Result<(), SignalError> {
        self.handle.signal(signal)
    }

    /// Stops it by the ladder and waits for its end; `None` when it survived SIGKILL (stuck in the kernel).
    ///
    /// # Cancel safety
    /// When the future is dropped, the ladder is climbed to its end all the same.
    pub async fn stop(self, ladder: &StopLadder) -> Option<Exit> {
        let ladder = ladder.clone();
        let name = format!("stop-{}", self.pid());
        off_thread(name, move || self.stop_blocking(&ladder)).await.ok().flatten().flatten()
    }

    /// Stops it by the ladder and waits for its end on this thread; `None` when it survived SIGKILL.
    pub fn stop_blocking(mut self, ladder: &StopLadder) -> Option<Exit> {
        let mut climb = Climb::new(ladder.clone());
        loop {
            match climb.step(Instant::now()) {
                Step::Do(action) => {
                    if !self.attempt(&action) {
                        climb.failed();
                    }
                }
                Step::Wait(until) => {
                    if let Some(exit) = block_until(Some(until), self.wait()) {
                        return Some(exit);
                    }
                }
                Step::Survived => return self.poll(),
            }
        }
    }

    /// Does what one rung of a ladder says; returns whether it could be done.
    pub(crate) fn attempt(&mut self, action: &StopAction) -> bool {
        match action {
            // One that has ended already needs no more rungs: its exit is about to be told.
            StopAction::Signal(signal) => {
                matches!(self.signal(*signal), Ok(()) | Err(SignalError::Ended { .. }))
            }
            StopAction::CloseStdin => self.stdin.take().is_some(),
            StopAction::Write(bytes) => self
                .stdin
                .as_mut()
                .is_some_and(|stdin| platform::never_block(stdin).is_ok() && stdin.write_all(bytes).is_ok()),
        }
    }

    /// Lets it run on when this value is dropped. It still dies with the program if its [`Lifetime`] says so.
    pub fn detach(mut self) -> ChildHandle {
        self.kill_on_drop = false;
        self.handle.clone()
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        if self.kill_on_drop {
            self.handle.kill();
        }
    }
}

impl ChildHandle {
    /// Returns the process id.
    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// Returns how it ended, or `None` while it runs. Never waits.
    pub fn poll(&self) -> Option<Exit> {
        *self.exit.borrow()
    }

    /// Waits for its end.
    ///
    /// # Cancel safety
    /// Cancel safe.
    pub async fn wait(&self) -> Exit {
        let mut exit = self.exit.clone();
        let ended = exit.wait_for(Option::is_some).await;
        ended.ok().and_then(|exit| *exit).unwrap_or(Exit::Unknown)
    }

    /// Waits for its end on this thread.
    pub fn wait_blocking(&self) -> Exit {
        block_on(self.wait())
    }

    /// Waits for its end on this thread, for `patience` at most.
    pub fn wait_for(&self, patience: Duration) -> Option<Exit> {
        block_until(Some(Instant::now() + patience), self.wait())
    }

    /// Signals it and its group.
    ///
    /// # Errors
    /// When it has ended, or the system refuses.
    pub fn signal(&self, signal: Signal) -> Result<(), SignalError> {
        match lock(&self.os).as_ref() {
            None => Err(SignalError::Ended { pid: self.pid }),
            Some(os) => {
                os.signal(signal).map_err(|source| SignalError::Refused { pid: self.pid, signal, source })
            }
        }
    }

    /// Kills it and its group; nothing to do where it has ended.
    pub fn kill(&self) {
        let _ = self.signal(Signal::Kill);
    }
}

/// The waiter thread: waits, then reaps under the lock that signalling takes too.
fn wait_and_reap(os: &Mutex<Option<OsChild>>, ended: &watch::Sender<Option<Exit>>) {
    platform::await_exit(os);
    let exit = {
        let mut slot = lock(os);
        let exit = slot.as_mut().map_or(Exit::Unknown, |os| os.reap().map_or(Exit::Unknown, Exit::from));
        *slot = None;
        exit
    };
    ended.send_replace(Some(exit));
}

fn lock(os: &Mutex<Option<OsChild>>) -> MutexGuard<'_, Option<OsChild>> {
    os.lock().unwrap_or_else(PoisonError::into_inner)
}

impl std::fmt::Debug for OsChild {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "OsChild({})", self.id())
    }
}
