//! What only Linux has: the parent-death signal (`prctl(2)`, `PR_SET_PDEATHSIG`) and pipes of a chosen size (`fcntl(2)`,
//! `F_SETPIPE_SZ`).
//!
//! The only file of the crate with `unsafe`. Invariant: what runs between fork and exec makes system calls only: no
//! allocation, no lock, no panic.
//!
//! Limits: the kernel clears the signal in the children of the child, and when the child executes a set-user-id program.

use std::io;
use std::os::fd::BorrowedFd;
use std::os::unix::process::CommandExt;
use std::process::Command as StdCommand;

use rustix::process::{Pid, Signal, getpid, getppid, set_parent_process_death_signal};

/// Whether the kernel ends a child with its parent.
pub(super) const KERNEL_ENDS_CHILDREN: bool = true;

/// Makes the child die by SIGKILL when the thread that forks it ends.
#[expect(unsafe_code, reason = "pre_exec is the only way to run prctl in the child")]
pub(super) fn die_with_parent(command: &mut StdCommand) {
    let parent = getpid();
    let tie = move || {
        set_parent_process_death_signal(Some(Signal::KILL))?;
        // The parent may have died between fork and prctl: then the signal would never come.
        if getppid() == Some(parent) { Ok(()) } else { Err(io::Error::from_raw_os_error(ESRCH)) }
    };
    // SAFETY: the closure runs in the forked child, where only async-signal-safe calls are sound. It makes two direct
    // system calls (prctl, getppid) through rustix, compares two integers, and builds an io::Error from a raw code,
    // which does not allocate. It captures one integer by value.
    unsafe { command.pre_exec(tie) };
}

/// Returns whether the group has a living member besides its leader (`proc_pid_stat(5)`).
pub(super) fn others_in_group(group: Pid) -> bool {
    let Ok(processes) = std::fs::read_dir("/proc") else { return false };
    processes.flatten().any(|process| {
        let name = process.file_name();
        let Some(pid) = name.to_str().and_then(|name| name.parse::<i32>().ok()) else { return false };
        pid != group.as_raw_nonzero().get() && living_group_of(pid) == Some(group.as_raw_nonzero().get())
    })
}

/// The group of a process that is no zombie.
fn living_group_of(pid: i32) -> Option<i32> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The program's name before may contain anything. Then: state, parent, group.
    let mut fields = stat.rsplit_once(") ")?.1.split(' ');
    let state = fields.next()?;
    let group = fields.nth(1)?.parse().ok()?;
    (!matches!(state, "Z" | "X")).then_some(group)
}

/// `ESRCH`, the same on every Linux architecture.
const ESRCH: i32 = 3;

/// Enlarges the pipe to `bytes`, or to the largest power of two the system allows; returns its capacity.
pub(crate) fn enlarge_pipe(pipe: BorrowedFd<'_>, bytes: usize) -> io::Result<usize> {
    let current = rustix::pipe::fcntl_getpipe_size(pipe)?;
    let mut wanted = bytes;
    while wanted > current {
        match rustix::pipe::fcntl_setpipe_size(pipe, wanted) {
            Ok(_) => return Ok(rustix::pipe::fcntl_getpipe_size(pipe)?),
            Err(rustix::io::Errno::PERM | rustix::io::Errno::NOMEM) => wanted /= 2,
            Err(error) => return Err(error.into()),
        }
    }
    Ok(current)
}
