//! Looking at processes from outside, through `/proc`, and waiting for what is seen there.

use std::time::{Duration, Instant};

/// Far more than anything here takes on a busy machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// Waits until `condition` holds.
pub(crate) fn eventually(what: &str, mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !condition() {
        assert!(Instant::now() < deadline, "waited {PATIENCE:?} in vain: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Returns whether the process does nothing any more: gone, or a zombie of somebody else's.
pub(crate) fn is_dead(pid: u32) -> bool {
    state(pid).is_none_or(|state| state == 'Z' || state == 'X')
}

/// Returns whether nothing is left of the process, not even a zombie.
pub(crate) fn is_gone(pid: u32) -> bool {
    state(pid).is_none()
}

/// The state letter of `proc_pid_stat(5)`.
fn state(pid: u32) -> Option<char> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name before it may contain anything, a bracket too.
    stat.rsplit_once(") ")?.1.chars().next()
}

/// Kills a process that a test leaves behind on purpose.
pub(crate) fn kill(pid: u32) {
    let pid = rustix::process::Pid::from_raw(i32::try_from(pid).unwrap()).unwrap();
    let _ = rustix::process::kill_process(pid, rustix::process::Signal::KILL);
}
