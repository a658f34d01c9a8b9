//! Supervised child processes: everything between "run this and wait" and "keep this ffmpeg alive for a year".
//!
//! | word | here |
//! |---|---|
//! | run and wait, with captured output and a timeout | [`Command::run_blocking`], [`Command::run`] |
//! | spawn, poll, wait | [`Command::spawn`], [`Child::poll`], [`Child::wait`] |
//! | communicate | [`Child::communicate_blocking`], [`Child::communicate`] |
//! | start and join | [`Job`], [`Jobs`] |
//! | helpers that end with the program | [`Daemon`] |
//! | a bounded pool of processes | [`Pool`] |
//! | process groups, death with the parent | [`Command::group`], [`Lifetime`] |
//! | restart, backoff, stall watchdog, polite stop | [`Supervisor`] |
//!
//! What belongs here: processes and the threads that serve them. What does not: which command to run. The crate knows
//! ffmpeg's `-progress` text and its exit code after SIGINT, and nothing else of it.
//!
//! # Invariants
//! 1. Every child is forked by one thread that lives as long as the program, because Linux ties "death with the
//!    parent" to the forking *thread*.
//! 2. Every child has one waiter thread, so none is left a zombie, whatever happens to the [`Child`] value.
//! 3. A process is signalled only while it is not yet reaped, so a recycled pid is never hit.
//! 4. When the leader of a group ends, what is left of its group is killed before the leader is reaped: at once, or,
//!    where the group was asked to end, after up to 5 s (Linux).
//! 5. Nothing kept of a child's output grows without a bound.
//!
//! Nothing here needs an async runtime: futures wake from plain threads, and each has a `_blocking` twin.

#![deny(unsafe_code)]
#![cfg_attr(test, allow(clippy::unwrap_used))]

mod backoff;
mod blocking;
mod child;
mod command;
mod communicate;
mod daemon;
mod exit;
mod job;
mod lines;
pub mod pipe;
mod platform;
mod pool;
mod progress;
mod spawner;
mod stop;
mod supervisor;
mod tail;
mod token;

pub use backoff::{Backoff, BackoffConfig};
pub use child::{Child, ChildHandle, SignalError};
pub use command::{Command, Lifetime, SpawnError, SpawnErrorKind, Stream};
pub use communicate::{CommunicateError, Excess, Exchange, Output, RunError};
pub use daemon::Daemon;
pub use exit::Exit;
pub use job::{Job, JobError, Jobs};
pub use platform::Signal;
pub use pool::{Canceller, Pool, PoolConfig, PoolError, SubmitError, Ticket};
pub use progress::{LineMeaning, Progress, ProgressParser};
pub use stop::{Rung, StopAction, StopLadder};
pub use supervisor::{
    Event, Events, Heartbeat, Phase, RestartPolicy, Spec, Stall, Started, Status, Stopped, Supervisor,
};
pub use tail::{Tail, TailLimits};
pub use token::{StopSource, StopToken};

/// The README's examples are compiled as documentation tests.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
