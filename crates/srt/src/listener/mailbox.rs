//! How others talk to a worker: bounded queues, and a wake-up.
//!
//! Full: an accept waits for room; what cannot wait is told so, and the worker finds out by itself; a datagram counts
//! as lost on the way.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::sync::{mpsc, oneshot};

use crate::core::SocketId;
use crate::core::crypto::ReceiveKeys;
use crate::sys::{self, Waiter, Waker};
use crate::{AcceptError, Connection, RejectCode};

/// Datagrams of other workers that may wait.
const FORWARDED: usize = 1024;

/// What an application asks of a worker.
pub(crate) enum Command {
    Accept {
        id: SocketId,
        stream_id: Arc<str>,
        keys: Option<Box<ReceiveKeys>>,
        answer: oneshot::Sender<Result<Connection, AcceptError>>,
    },
    Reject {
        id: SocketId,
        code: RejectCode,
    },
    Close {
        id: SocketId,
    },
    Send {
        id: SocketId,
    },
}

/// A datagram that came to another worker.
pub(crate) type Forwarded = (SocketAddr, Vec<u8>);

/// The side that puts in.
#[derive(Clone)]
pub(crate) struct Mailbox {
    commands: mpsc::Sender<Command>,
    forwarded: mpsc::Sender<Forwarded>,
    stopped: Arc<AtomicBool>,
    waker: Waker,
}

/// The side that takes out: the worker.
pub(super) struct Letters {
    pub(super) commands: mpsc::Receiver<Command>,
    pub(super) forwarded: mpsc::Receiver<Forwarded>,
    pub(super) stopped: Arc<AtomicBool>,
    pub(super) waiter: Waiter,
}

/// # Errors
/// The system's, when it has no descriptor left.
pub(super) fn open(max_connections: usize) -> io::Result<(Mailbox, Letters)> {
    // Each connection has at most an answer, a close and something to send under way.
    let (commands_in, commands) = mpsc::channel(max_connections.max(1).saturating_mul(3));
    let (forwarded_in, forwarded) = mpsc::channel(FORWARDED);
    let (waiter, waker) = sys::waiter()?;
    let stopped = Arc::new(AtomicBool::new(false));
    let mailbox =
        Mailbox { commands: commands_in, forwarded: forwarded_in, stopped: Arc::clone(&stopped), waker };
    Ok((mailbox, Letters { commands, forwarded, stopped, waiter }))
}

impl Mailbox {
    /// Waits for room; false when the worker has stopped.
    pub(super) async fn give(&self, command: Command) -> bool {
        let given = self.commands.send(command).await.is_ok();
        self.waker.wake();
        given
    }

    /// False when there is no room, or nobody who would take it.
    pub(crate) fn try_give(&self, command: Command) -> bool {
        let given = self.commands.try_send(command).is_ok();
        self.waker.wake();
        given
    }

    pub(super) fn forward(&self, from: SocketAddr, datagram: &[u8]) -> bool {
        let given = self.forwarded.try_send((from, datagram.to_vec())).is_ok();
        self.waker.wake();
        given
    }
}

impl fmt::Debug for Mailbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Mailbox")
    }
}

/// Stops the workers when it is dropped.
#[derive(Debug)]
pub(super) struct Stop(pub(super) Vec<Mailbox>);

impl Drop for Stop {
    fn drop(&mut self) {
        for mailbox in &self.0 {
            mailbox.stopped.store(true, Ordering::Release);
            mailbox.waker.wake();
        }
    }
}
