//! What differs between operating systems: making, signalling and reaping a process, and its pipes.
//!
//! Belongs here: the choice of the platform file, and the values they share. Not here: threads, policy, futures.
//!
//! | | Linux | other Unix | Windows |
//! |---|---|---|---|
//! | group | `setpgid` | `setpgid` | job object |
//! | death with the parent | `PR_SET_PDEATHSIG`; for the group: keeper | keeper | job closed by the system |
//! | polite signals | yes | yes | none: [`Signal::Kill`] only |
//! | larger pipe | `F_SETPIPE_SZ` | no | no |

use std::process::{ChildStderr, ChildStdin, ChildStdout};

#[cfg(target_os = "linux")]
mod linux;
#[cfg(all(unix, not(target_os = "linux")))]
mod other;
#[cfg(unix)]
mod unix;
#[cfg(windows)]
mod windows;

#[cfg(unix)]
pub(crate) use unix::{OsChild, await_exit, enlarge_pipe, never_block, spawn};
#[cfg(windows)]
pub(crate) use windows::{OsChild, await_exit, never_block, spawn};

/// A signal to a process and, where it leads one, its group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signal {
    /// SIGINT: what Ctrl-C sends. ffmpeg finishes its file and exits with 255.
    Interrupt,
    /// SIGTERM: please end.
    Terminate,
    /// SIGKILL: cannot be refused. On Windows the job is terminated.
    Kill,
    /// SIGHUP: by custom, read the configuration again.
    Hangup,
    /// SIGUSR1.
    User1,
    /// SIGUSR2.
    User2,
    /// SIGSTOP: stand still.
    Pause,
    /// SIGCONT: go on.
    Continue,
}

/// A process just made, with our ends of its pipes.
pub(crate) struct Spawned {
    pub(crate) os: OsChild,
    pub(crate) stdin: Option<ChildStdin>,
    pub(crate) stdout: Option<ChildStdout>,
    pub(crate) stderr: Option<ChildStderr>,
}
