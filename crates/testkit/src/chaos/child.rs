//! A child process that ends with its owner; signals go to its own pid and to no other.

use std::{
    io,
    process::{Child, Command, ExitStatus},
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process, test_kill_process};

/// A child that is killed, and waited for, when this is dropped.
#[derive(Debug)]
pub struct ChildGuard {
    name: String,
    child: Child,
}

impl ChildGuard {
    /// Starts `command`; `name` appears in messages.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn spawn(name: impl Into<String>, command: &mut Command) -> io::Result<Self> {
        Ok(Self::new(name, command.spawn()?))
    }

    /// Takes over a child that runs already.
    #[must_use]
    pub fn new(name: impl Into<String>, child: Child) -> Self {
        Self { name: name.into(), child }
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its process id.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// The child itself, for its pipes.
    pub const fn child(&mut self) -> &mut Child {
        &mut self.child
    }

    /// Whether it still runs.
    ///
    /// # Errors
    /// When the system does not say.
    pub fn is_running(&mut self) -> io::Result<bool> {
        Ok(self.child.try_wait()?.is_none())
    }

    /// Sends SIGINT, unless it has ended.
    ///
    /// # Errors
    /// When the signal cannot be sent.
    pub fn interrupt(&mut self) -> io::Result<()> {
        self.signal(Signal::INT)
    }

    /// Sends SIGTERM, unless it has ended.
    ///
    /// # Errors
    /// When the signal cannot be sent.
    pub fn terminate(&mut self) -> io::Result<()> {
        self.signal(Signal::TERM)
    }

    /// Sends SIGSTOP: it stands still until [`Self::thaw`].
    ///
    /// # Errors
    /// When the signal cannot be sent.
    pub fn freeze(&mut self) -> io::Result<()> {
        self.signal(Signal::STOP)
    }

    /// Sends SIGCONT.
    ///
    /// # Errors
    /// When the signal cannot be sent.
    pub fn thaw(&mut self) -> io::Result<()> {
        self.signal(Signal::CONT)
    }

    /// Kills it (SIGKILL) and waits for its end.
    ///
    /// # Errors
    /// When it cannot be killed or waited for.
    pub fn kill(&mut self) -> io::Result<ExitStatus> {
        self.child.kill()?;
        self.child.wait()
    }

    /// Waits for its own end.
    ///
    /// # Errors
    /// `TimedOut` after `limit`; it goes on running then.
    pub fn wait(&mut self, limit: Duration) -> io::Result<ExitStatus> {
        let started = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait()? {
                return Ok(status);
            }
            if started.elapsed() >= limit {
                let what = format!("{} (pid {}) still runs after {limit:?}", self.name, self.id());
                return Err(io::Error::new(io::ErrorKind::TimedOut, what));
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Sends SIGINT and waits for its end.
    ///
    /// # Errors
    /// `TimedOut` after `limit`.
    pub fn stop(&mut self, limit: Duration) -> io::Result<ExitStatus> {
        self.interrupt()?;
        self.wait(limit)
    }

    fn signal(&mut self, signal: Signal) -> io::Result<()> {
        // As long as it has not been waited for, its pid cannot be another's.
        if self.child.try_wait()?.is_none() {
            kill_process(Pid::from_child(&self.child), signal)?;
        }
        Ok(())
    }
}

impl Drop for ChildGuard {
    fn drop(&mut self) {
        // It may have ended already; nothing else can fail here that a test could mend.
        let _ = self.kill();
    }
}

/// Whether a process of this id exists; a zombie that nobody has waited for counts as ended.
#[must_use]
pub fn is_running(pid: u32) -> bool {
    let Some(id) = i32::try_from(pid).ok().and_then(Pid::from_raw) else { return false };
    let exists = match test_kill_process(id) {
        Ok(()) | Err(rustix::io::Errno::PERM) => true,
        Err(_) => false,
    };
    exists && !is_zombie(pid)
}

/// Known from /proc alone; elsewhere nothing is.
fn is_zombie(pid: u32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    // The name in parentheses may hold anything; the state follows the last one.
    stat.rsplit_once(") ").is_some_and(|(_, rest)| rest.starts_with(['Z', 'X']))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sleeper() -> ChildGuard {
        ChildGuard::spawn("sleeper", Command::new("sleep").arg("1000")).unwrap()
    }

    #[test]
    fn a_dropped_guard_takes_its_child_along() {
        let guard = sleeper();
        let pid = guard.id();
        assert!(is_running(pid));
        drop(guard);
        assert!(!is_running(pid));
    }

    #[test]
    fn an_interrupted_child_ends_by_its_signal() {
        use std::os::unix::process::ExitStatusExt;
        let mut guard = sleeper();
        let timeout = guard.wait(Duration::ZERO).unwrap_err();
        assert_eq!(timeout.kind(), io::ErrorKind::TimedOut);
        assert_eq!(guard.stop(Duration::from_secs(10)).unwrap().signal(), Some(2));
        guard.interrupt().unwrap();
        assert!(!guard.is_running().unwrap());
    }
}
