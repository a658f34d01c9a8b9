//! The one thread that forks every child of this program.
//!
//! Linux delivers the parent-death signal when the *thread* that forked ends, not the process: a child forked by a
//! pool thread is killed when the pool retires that thread. So one thread, which lives as long as the program, forks
//! them all.
//!
//! Belongs here: that thread and its queue. Not here: how a process is made (`platform`).
//!
//! Invariant: the thread never ends; its queue's sender lives in a static and a panic in a job is caught.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::OnceLock;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use crate::blocking::small_thread;
use crate::command::Command;
use crate::platform::{self, Spawned};

/// Waiting spawns; the next caller waits for room.
const QUEUE: usize = 64;

struct Request {
    command: Command,
    reply: SyncSender<io::Result<Spawned>>,
}

/// Spawns `command` on the spawner thread and waits for the outcome.
pub(crate) fn spawn(command: Command) -> io::Result<Spawned> {
    let (reply, outcome) = sync_channel(1);
    let gone = || io::Error::other("the spawner thread is gone");
    queue()?.send(Request { command, reply }).map_err(|_| gone())?;
    outcome.recv().map_err(|_| gone())?
}

fn queue() -> io::Result<&'static SyncSender<Request>> {
    static SPAWNER: OnceLock<Result<SyncSender<Request>, io::ErrorKind>> = OnceLock::new();
    SPAWNER.get_or_init(|| start().map_err(|error| error.kind())).as_ref().map_err(|kind| (*kind).into())
}

fn start() -> io::Result<SyncSender<Request>> {
    let (sender, receiver) = sync_channel(QUEUE);
    small_thread("process-spawner".into(), move || serve(&receiver))?;
    Ok(sender)
}

fn serve(requests: &Receiver<Request>) {
    while let Ok(Request { command, reply }) = requests.recv() {
        let outcome = catch_unwind(AssertUnwindSafe(|| platform::spawn(&command)))
            .unwrap_or_else(|_| Err(io::Error::other("spawning panicked")));
        // A caller that stopped waiting drops the outcome, and with it the process.
        let _ = reply.send(outcome);
    }
}
