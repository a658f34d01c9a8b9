//! The listening side: one UDP port, any number of publishers, each accepted or refused by the application.
//!
//! What does not belong here: who may publish (the application answers each [`Request`] in its own time), and what is
//! in the stream.
//!
//! Rooms: `worker` is one thread with one socket, `gather` its naps, `taps` its ways to the consumers; `mailbox` is how
//! others talk to it; `request` is a caller that waits for an answer; `config` and `stats` are what they say.
//!
//! Several workers share the port where the system can (Linux): each peer's datagrams come to one of them, and one that
//! gets another's passes it on, as a connection's id says whose it is.

mod config;
mod gather;
mod mailbox;
mod request;
mod shown;
mod stats;
mod taps;
mod worker;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use tokio::sync::mpsc;

pub use config::ListenerConfig;
pub(crate) use mailbox::{Command, Mailbox};
pub use request::{AcceptError, Request};
pub use stats::{ListenerStats, ListenerStatsHandle};

use crate::core::Refusal;
use crate::sys;
use mailbox::Stop;
use stats::Board;
use worker::Worker;

/// One UDP port that takes publishers; dropping it ends all its connections.
#[derive(Debug)]
pub struct Listener {
    addr: SocketAddr,
    requests: mpsc::Receiver<Request>,
    board: Arc<Board>,
    /// Dropped with the listener, which stops the workers.
    _stop: Stop,
}

impl Listener {
    /// Binds the port and starts the workers, each a thread of its own.
    ///
    /// # Errors
    /// The system's, when the address is taken or there is no thread.
    pub async fn bind(config: ListenerConfig) -> io::Result<Self> {
        let sockets = sys::bind_workers(config.addr, config.worker_count())?;
        let addr = sockets.first().map_or(Ok(config.addr), std::net::UdpSocket::local_addr)?;
        let config = Arc::new(config);
        let board = Arc::new(Board::new(sockets.len()));
        let (requests_in, requests) = mpsc::channel(config.max_connections.max(1));
        let mut mailboxes = Vec::new();
        let mut letters = Vec::new();
        for _ in &sockets {
            let (mailbox, letter) = mailbox::open(config.max_connections)?;
            mailboxes.push(mailbox);
            letters.push(letter);
        }
        // Made before the threads, so that an error stops those that run already.
        let stop = Stop(mailboxes.clone());
        for (index, (socket, letters)) in sockets.into_iter().zip(letters).enumerate() {
            let start = worker::Start {
                index,
                socket,
                letters,
                mailboxes: mailboxes.clone(),
                config: Arc::clone(&config),
                requests: requests_in.clone(),
                board: Arc::clone(&board),
            };
            let name = format!("srt-{}-{index}", addr.port());
            std::thread::Builder::new().name(name).spawn(move || Worker::new(start).run())?;
        }
        Ok(Self { addr, requests, board, _stop: stop })
    }

    /// The bound address.
    pub fn local_addr(&self) -> SocketAddr {
        self.addr
    }

    /// The next caller that wants to publish; `None` when the workers have stopped.
    ///
    /// # Cancel safety
    /// No request is lost when the future is dropped.
    pub async fn next(&mut self) -> Option<Request> {
        self.requests.recv().await
    }

    /// Counters so far, as of the last packets.
    pub fn stats(&self) -> ListenerStats {
        self.board.sum()
    }

    /// The last callers that were refused without the application, the newest first: those who asked for what cannot
    /// be, came when a limit was reached, or were not answered in time. At most 32, and of very many at a time some
    /// (each says how many were left out before it); [`ListenerStats`] counts all.
    pub fn refusals(&self) -> Vec<Refusal> {
        self.board.refusals()
    }

    /// A handle that reads the counters wherever it is moved to.
    pub fn stats_handle(&self) -> ListenerStatsHandle {
        ListenerStatsHandle::new(Arc::clone(&self.board))
    }
}
