//! Stand-ins for what only Linux has, on macOS and the BSDs.
//!
//! Belongs here: the same functions as in `linux`. There is no parent-death signal here, so `unix` starts a keeper for
//! each child instead; between the fork of a child and the start of its keeper (some milliseconds) a SIGKILL of this
//! program leaves the child alive.

use std::io;
use std::os::fd::BorrowedFd;
use std::process::Command as StdCommand;

use rustix::process::Pid;

/// Whether the kernel ends a child with its parent.
pub(super) const KERNEL_ENDS_CHILDREN: bool = false;

/// Does nothing: the keeper does it.
pub(super) fn die_with_parent(_command: &mut StdCommand) {}

/// Always says no: the group has no time after its leader here.
pub(super) fn others_in_group(_group: Pid) -> bool {
    false
}

/// Leaves the pipe as it is: 16 to 64 KiB, grown by the kernel on demand.
pub(crate) fn enlarge_pipe(_pipe: BorrowedFd<'_>, _bytes: usize) -> io::Result<usize> {
    Err(io::ErrorKind::Unsupported.into())
}
