//! Helpers that end with the program: started, and never joined.
//!
//! Belongs here: threads and processes whose end nobody waits for. Not here: work with a result (`job`), nor processes
//! that must be running again when they fail (`supervisor`).
//!
//! Invariant: a daemon never keeps the program from ending, and never outlives it. A daemon *thread* ends with the
//! process, in the middle of whatever it does, so it must not hold what has to be finished. A daemon *process* is
//! killed with its group when this program ends, however it ends: it has [`Lifetime::GroupWithProgram`].

use std::io;
use std::sync::Arc;
use std::thread::{Builder, JoinHandle};

use crate::child::Child;
use crate::command::{Command, Lifetime, SpawnError};
use crate::exit::Exit;
use crate::job::panic_message;
use crate::token::{StopSource, StopToken};

/// A helper in the background. Dropping it leaves it running until the program ends.
#[derive(Debug)]
pub struct Daemon {
    name: String,
    kind: Kind,
}

#[derive(Debug)]
enum Kind {
    Thread { stop: Arc<StopSource>, thread: JoinHandle<()> },
    Process { child: Option<Child> },
}

impl Daemon {
    /// Starts a daemon thread. Its token is stopped by [`stop`](Self::stop) only. A panic in it is logged.
    ///
    /// # Errors
    /// When the thread cannot be made.
    pub fn thread(
        name: impl Into<String>,
        work: impl FnOnce(StopToken) + Send + 'static,
    ) -> io::Result<Self> {
        let name = name.into();
        let (stop, token) = StopSource::new();
        // The thread holds its own source too, so that dropping the handle does not stop it.
        let stop = Arc::new(stop);
        let (told, held) = (name.clone(), Arc::clone(&stop));
        let body = move || {
            let _held = held;
            if let Err(panic) = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| work(token))) {
                tracing::error!(daemon = told, message = panic_message(&*panic), "daemon thread panicked");
            }
        };
        let thread = Builder::new().name(name.clone()).spawn(body)?;
        Ok(Self { name, kind: Kind::Thread { stop, thread } })
    }

    /// Starts a daemon process, which is killed with its group when this program ends.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn process(name: impl Into<String>, command: &Command) -> Result<Self, SpawnError> {
        let child = command.clone().lifetime(Lifetime::GroupWithProgram).spawn()?;
        Ok(Self { name: name.into(), kind: Kind::Process { child: Some(child) } })
    }

    /// Returns the name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Returns the process id of a daemon process.
    pub fn pid(&self) -> Option<u32> {
        match &self.kind {
            Kind::Thread { .. } => None,
            Kind::Process { child } => child.as_ref().map(Child::pid),
        }
    }

    /// Returns whether it runs.
    pub fn is_running(&self) -> bool {
        match &self.kind {
            Kind::Thread { thread, .. } => !thread.is_finished(),
            Kind::Process { child } => child.as_ref().is_some_and(|child| child.poll().is_none()),
        }
    }

    /// Returns how a daemon process ended, or `None` while it runs.
    pub fn exit(&self) -> Option<Exit> {
        match &self.kind {
            Kind::Thread { .. } => None,
            Kind::Process { child } => child.as_ref().and_then(Child::poll),
        }
    }

    /// Ends it now: a thread is asked, a process is killed. Does not wait.
    pub fn stop(&self) {
        match &self.kind {
            Kind::Thread { stop, .. } => stop.stop(),
            Kind::Process { child } => child.iter().for_each(|child| child.handle().kill()),
        }
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        if let Kind::Process { child } = &mut self.kind {
            // Dropping the child would kill it.
            drop(child.take().map(Child::detach));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dropping_a_daemon_thread_leaves_it_running() {
        let (go, wait) = std::sync::mpsc::channel::<()>();
        let (say, heard) = std::sync::mpsc::channel();
        let daemon = Daemon::thread("helper", move |stop| {
            wait.recv().unwrap();
            say.send(stop.is_stopped()).unwrap();
        })
        .unwrap();
        drop(daemon);
        go.send(()).unwrap();
        assert!(!heard.recv().unwrap(), "nobody asked it to stop");
    }
}
