//! Processes on Unix: groups, signals, reaping, and the keeper that ends a group with this program.
//!
//! Belongs here: what all Unix systems share. What only Linux has is in `linux`, its stand-ins in `other`.
//!
//! Invariants:
//! 1. A pid or group id is used only while the leader is running or a zombie, so it cannot have been recycled.
//! 2. The keeper is ended before the leader is reaped, so it can never kill a recycled group.
//! 3. A group that was asked to end has up to [`AFTER_LEADER`] to do so after its leader has; then, and at once in a
//!    group that was not asked, what is left is killed.

use std::io;
use std::os::fd::AsFd;
use std::os::unix::process::CommandExt;
use std::process::{Child, ChildStdin, Command as StdCommand, ExitStatus, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use rustix::process::{
    Pid, WaitId, WaitIdOptions, kill_process, kill_process_group, setpriority_pgrp, setpriority_process,
    waitid,
};

#[cfg(target_os = "linux")]
use super::linux as os;
#[cfg(not(target_os = "linux"))]
use super::other as os;
use super::{Signal, Spawned};
use crate::command::{Command, Lifetime, Stream};

pub(crate) use os::enlarge_pipe;

/// A process that is not reaped yet.
pub(crate) struct OsChild {
    child: Child,
    pid: Pid,
    group: bool,
    keeper: Option<Keeper>,
    /// A signal that can be caught was sent: the others in the group may be cleaning up.
    asked: AtomicBool,
}

/// How long the others in a group that was asked to end may outlive their leader.
const AFTER_LEADER: Duration = Duration::from_secs(5);
/// The least share of the processors.
const NICEST: i32 = 19;
/// The longest pause between two looks at them.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// Makes the process. Called on the spawner thread only.
pub(crate) fn spawn(command: &Command) -> io::Result<Spawned> {
    let mut std = std_command(command);
    if command.leads_group() {
        std.process_group(0);
    }
    if command.lifetime != Lifetime::Independent {
        os::die_with_parent(&mut std);
    }
    let mut child = std.spawn()?;
    let (stdin, stdout, stderr) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
    let pid = Pid::from_child(&child);
    let group = command.leads_group();
    if command.low_priority {
        // A process that keeps its usual share works as well.
        let _ = match group {
            true => setpriority_pgrp(Some(pid), NICEST),
            false => setpriority_process(Some(pid), NICEST),
        };
    }
    let mut os = OsChild { child, pid, group, keeper: None, asked: AtomicBool::new(false) };
    if keeper_needed(command) {
        match Keeper::start(pid) {
            Ok(keeper) => os.keeper = Some(keeper),
            Err(error) => {
                let _ = os.signal(Signal::Kill);
                let _ = os.reap();
                return Err(error);
            }
        }
    }
    if let (Some(bytes), Some(pipe)) = (command.stdout_pipe_bytes, &stdout) {
        // A smaller pipe works too, only with more wake-ups.
        let _ = enlarge_pipe(pipe.as_fd(), bytes);
    }
    Ok(Spawned { os, stdin, stdout, stderr })
}

/// Blocks until the process has ended, and its group where that was asked to, without reaping it.
pub(crate) fn await_exit(os: &Mutex<Option<OsChild>>) {
    let Some(pid) = with(os, |os| os.pid) else { return };
    let options = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT;
    while let Err(rustix::io::Errno::INTR) = waitid(WaitId::Pid(pid), options) {}

    let ended = Instant::now();
    let mut pause = Duration::from_millis(2);
    let asked = |os: &OsChild| os.group && os.asked.load(Ordering::Relaxed);
    while with(os, asked) == Some(true) && ended.elapsed() < AFTER_LEADER && os::others_in_group(pid) {
        std::thread::sleep(pause);
        pause = (pause * 2).min(LOOK_EVERY);
    }
}

/// Looks at the process under its lock, which is not held any longer: signals go on while its end is waited for.
fn with<T>(os: &Mutex<Option<OsChild>>, look: impl FnOnce(&OsChild) -> T) -> Option<T> {
    os.lock().unwrap_or_else(PoisonError::into_inner).as_ref().map(look)
}

/// Makes writes to `stdin` fail rather than wait when the pipe is full.
pub(crate) fn never_block(stdin: &ChildStdin) -> io::Result<()> {
    let flags = rustix::fs::fcntl_getfl(stdin)?;
    rustix::fs::fcntl_setfl(stdin, flags | rustix::fs::OFlags::NONBLOCK)?;
    Ok(())
}

impl OsChild {
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Signals the process, or its whole group where it leads one.
    pub(crate) fn signal(&self, signal: Signal) -> io::Result<()> {
        match signal {
            Signal::Interrupt | Signal::Terminate | Signal::Hangup => {
                self.asked.store(true, Ordering::Relaxed)
            }
            Signal::Kill => self.asked.store(false, Ordering::Relaxed),
            Signal::User1 | Signal::User2 | Signal::Pause | Signal::Continue => {}
        }
        let signal = number(signal);
        if self.group { kill_process_group(self.pid, signal) } else { kill_process(self.pid, signal) }?;
        Ok(())
    }

    /// Kills what is left of the group and takes the status; to be called once [`await_exit`] has returned.
    pub(crate) fn reap(&mut self) -> io::Result<ExitStatus> {
        if let Some(keeper) = self.keeper.take() {
            keeper.dismiss();
        }
        if self.group {
            // The leader is a zombie still, so the group id is its own; an empty group is no error to us.
            let _ = kill_process_group(self.pid, rustix::process::Signal::KILL);
        }
        self.child.wait()
    }
}

fn keeper_needed(command: &Command) -> bool {
    match command.lifetime {
        Lifetime::GroupWithProgram => true,
        Lifetime::WithProgram => !os::KERNEL_ENDS_CHILDREN && command.leads_group(),
        Lifetime::Independent => false,
    }
}

/// A shell that waits on a pipe from this program and kills the group when the pipe breaks.
///
/// It is in a group of its own, so the signals to the child's group do not reach it.
struct Keeper {
    shell: Child,
}

impl Keeper {
    const SCRIPT: &str = r#"trap '' INT TERM HUP; read -r _; kill -s KILL -- "-$1""#;

    fn start(group: Pid) -> io::Result<Self> {
        let shell = StdCommand::new("/bin/sh")
            .args(["-c", Self::SCRIPT, "keeper"])
            .arg(group.as_raw_nonzero().to_string())
            .env_clear()
            .current_dir("/")
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .process_group(0)
            .spawn()?;
        Ok(Self { shell })
    }

    /// Ends the keeper without letting it act: it is killed while its pipe is whole.
    fn dismiss(mut self) {
        let _ = self.shell.kill();
        let _ = self.shell.wait();
    }
}

fn std_command(command: &Command) -> StdCommand {
    let mut std = StdCommand::new(&command.program);
    std.args(&command.args);
    if command.clear_env {
        std.env_clear();
    }
    for (key, value) in &command.env {
        match value {
            Some(value) => std.env(key, value),
            None => std.env_remove(key),
        };
    }
    if let Some(directory) = &command.directory {
        std.current_dir(directory);
    }
    std.stdin(stdio(command.stdin.unwrap_or(Stream::Null)));
    std.stdout(stdio(command.stdout.unwrap_or(Stream::Inherit)));
    std.stderr(stdio(command.stderr.unwrap_or(Stream::Inherit)));
    std
}

fn stdio(stream: Stream) -> Stdio {
    match stream {
        Stream::Inherit => Stdio::inherit(),
        Stream::Null => Stdio::null(),
        Stream::Piped => Stdio::piped(),
    }
}

fn number(signal: Signal) -> rustix::process::Signal {
    use rustix::process::Signal as Os;
    match signal {
        Signal::Interrupt => Os::INT,
        Signal::Terminate => Os::TERM,
        Signal::Kill => Os::KILL,
        Signal::Hangup => Os::HUP,
        Signal::User1 => Os::USR1,
        Signal::User2 => Os::USR2,
        Signal::Pause => Os::STOP,
        Signal::Continue => Os::CONT,
    }
}
