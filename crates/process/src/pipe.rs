//! The pipes of a child: their capacity, and reading them asynchronously.
//!
//! A [`Child`](crate::Child) hands out the standard library's own [`ChildStdout`] and friends: blocking readers with a
//! raw descriptor underneath. Belongs here: what one may want to do with them besides. Not here: capturing
//! (`communicate`).

use std::io;
use std::process::{ChildStderr, ChildStdin, ChildStdout};

use crate::platform;

/// Enlarges the pipe to `bytes`, or as far as the system allows; returns its capacity.
///
/// # Errors
/// `Unsupported` where pipes have no chosen size (everything but Linux).
#[cfg(unix)]
pub fn enlarge(pipe: &impl std::os::fd::AsFd, bytes: usize) -> io::Result<usize> {
    platform::enlarge_pipe(pipe.as_fd(), bytes)
}

/// Makes writes to `stdin` fail with `WouldBlock` rather than wait when the pipe is full.
///
/// # Errors
/// When the descriptor refuses.
pub fn never_block(stdin: &ChildStdin) -> io::Result<()> {
    platform::never_block(stdin)
}

/// Turns the blocking reader into an asynchronous one.
///
/// # Errors
/// When the descriptor cannot be registered.
///
/// # Panics
/// Outside a tokio runtime with its I/O driver enabled.
pub fn stdout_into_async(stdout: ChildStdout) -> io::Result<tokio::process::ChildStdout> {
    tokio::process::ChildStdout::from_std(stdout)
}

/// Turns the blocking reader into an asynchronous one.
///
/// # Errors
/// When the descriptor cannot be registered.
///
/// # Panics
/// Outside a tokio runtime with its I/O driver enabled.
pub fn stderr_into_async(stderr: ChildStderr) -> io::Result<tokio::process::ChildStderr> {
    tokio::process::ChildStderr::from_std(stderr)
}

/// Turns the blocking writer into an asynchronous one.
///
/// # Errors
/// When the descriptor cannot be registered.
///
/// # Panics
/// Outside a tokio runtime with its I/O driver enabled.
pub fn stdin_into_async(stdin: ChildStdin) -> io::Result<tokio::process::ChildStdin> {
    tokio::process::ChildStdin::from_std(stdin)
}
