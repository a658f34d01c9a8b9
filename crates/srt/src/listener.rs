//! The listening side: one UDP port, any number of publishers, each accepted or refused by the application.
//!
//! What does not belong here: who may publish (the application answers each [`Request`] in its own time), and what is
//! in the stream.
//!
//! Rooms: `driver` moves datagrams and time; `engine` is the listener without a socket (its
//! `admission` lets callers in); `peer` one connection in it;
//! `feedback` what is acknowledged and asked for; `outlet` the way to the consumer.

mod driver;
mod engine;
mod feedback;
mod outlet;
mod peer;
mod shown;

use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::net::UdpSocket;
use tokio::sync::{mpsc, oneshot};

pub(crate) use driver::Command;

use crate::socket;
use crate::{Connection, Passphrase, RejectReason};
use driver::Driver;
use engine::Engine;

/// How a [`Listener`] behaves.
#[derive(Debug, Clone)]
pub struct ListenerConfig {
    /// Where to listen (default `0.0.0.0:8890`).
    pub addr: SocketAddr,
    /// How long a gap is held at most; a caller that asks for more gets more (default 3 s).
    pub latency: Duration,
    /// Connections and waiting requests at a time (default 256).
    pub max_connections: usize,
    /// A connection that sends nothing for this long is closed (default 5 s).
    pub peer_idle: Duration,
    /// Payload bytes that may wait for one consumer; beyond it the connection is closed (default 16 MiB).
    pub max_queued_bytes: usize,
    /// The secret that encrypting callers must have, with a key length of their choice (AES-128 or AES-256).
    pub passphrase: Option<Passphrase>,
    /// With a passphrase: also take callers that do not encrypt.
    pub allow_plaintext: bool,
    /// Full acknowledgements go out at most this often (default 100 ms).
    pub ack_interval: Duration,
}

impl Default for ListenerConfig {
    fn default() -> Self {
        Self {
            addr: SocketAddr::from(([0, 0, 0, 0], 8890)),
            latency: Duration::from_secs(3),
            max_connections: 256,
            peer_idle: Duration::from_secs(5),
            max_queued_bytes: 16 << 20,
            passphrase: None,
            allow_plaintext: false,
            ack_interval: Duration::from_millis(100),
        }
    }
}

/// One UDP port that takes publishers; dropping it ends all its connections.
#[derive(Debug)]
pub struct Listener {
    addr: SocketAddr,
    requests: mpsc::Receiver<Request>,
    stats: Arc<Mutex<ListenerStats>>,
    /// Dropped with the listener, which stops the driver.
    _stop: oneshot::Sender<()>,
}

impl Listener {
    /// Binds the port and starts the driver task on the current tokio runtime.
    ///
    /// # Errors
    /// The socket's.
    pub async fn bind(config: ListenerConfig) -> io::Result<Self> {
        let socket = UdpSocket::bind(config.addr).await?;
        socket::enlarge_buffers(&socket);
        let addr = socket.local_addr()?;
        let stats = Arc::new(Mutex::default());
        let (requests_in, requests) = mpsc::channel(config.max_connections.max(1));
        // Each connection has at most an answer and a close under way.
        let (commands_back, commands) = mpsc::channel(config.max_connections.max(1) * 2);
        let (stop_in, stop) = oneshot::channel();
        let driver = Driver {
            socket,
            engine: Engine::new(config, Instant::now()),
            commands,
            commands_back,
            requests: requests_in,
            stats: Arc::clone(&stats),
        };
        tokio::spawn(driver.run(stop));
        Ok(Self { addr, requests, stats, _stop: stop_in })
    }

    /// The bound address.
    pub fn local_addr(&self) -> SocketAddr {
        self.addr
    }

    /// The next caller that wants to publish; `None` when the driver has stopped.
    ///
    /// # Cancel safety
    /// No request is lost when the future is dropped.
    pub async fn next(&mut self) -> Option<Request> {
        self.requests.recv().await
    }

    /// Counters so far, up to 20 ms old.
    pub fn stats(&self) -> ListenerStats {
        *self.stats.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A handle that reads the counters wherever it is moved to.
    pub fn stats_handle(&self) -> ListenerStatsHandle {
        ListenerStatsHandle(Arc::clone(&self.stats))
    }
}

/// Reads a listener's counters, also when the listener itself is busy elsewhere.
#[derive(Debug, Clone)]
pub struct ListenerStatsHandle(Arc<Mutex<ListenerStats>>);

impl ListenerStatsHandle {
    /// Counters so far, up to 20 ms old.
    pub fn stats(&self) -> ListenerStats {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A caller that waits for an answer (3 s at most); dropped without one, it is refused with
/// [`RejectReason::Unavailable`].
#[derive(Debug)]
pub struct Request {
    id: u32,
    peer: SocketAddr,
    stream_id: Arc<str>,
    encrypted: bool,
    /// `None` once answered.
    commands: Option<mpsc::Sender<Command>>,
}

impl Request {
    /// The caller's address.
    pub fn peer(&self) -> SocketAddr {
        self.peer
    }

    /// What it asks for, untrusted; empty when it said nothing.
    pub fn stream_id(&self) -> &str {
        &self.stream_id
    }

    /// Whether it wants to encrypt (the passphrase is checked by [`accept`](Self::accept)).
    pub fn encrypted(&self) -> bool {
        self.encrypted
    }

    /// Takes the caller.
    ///
    /// # Errors
    /// [`AcceptError`]; the caller has been told already.
    ///
    /// # Cancel safety
    /// When the future is dropped, the caller is refused or its connection closed.
    pub async fn accept(mut self) -> Result<Connection, AcceptError> {
        let commands = self.commands.take().ok_or(AcceptError::Gone)?;
        let (answer, answered) = oneshot::channel();
        commands.send(Command::Accept { id: self.id, answer }).await.map_err(|_| AcceptError::Gone)?;
        answered.await.unwrap_or(Err(AcceptError::Gone))
    }

    /// Refuses the caller.
    pub fn reject(mut self, reason: RejectReason) {
        self.answer_no(reason);
    }

    fn answer_no(&mut self, reason: RejectReason) {
        if let Some(commands) = self.commands.take() {
            // A full queue means that the request times out instead: the caller is not let in either way.
            let _ = commands.try_send(Command::Reject { id: self.id, reason });
        }
    }

    /// The driver has answered itself.
    fn forget(mut self) {
        self.commands = None;
    }
}

impl Drop for Request {
    fn drop(&mut self) {
        self.answer_no(RejectReason::Unavailable);
    }
}

/// Why an accepted request did not become a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AcceptError {
    /// The caller's passphrase is not ours.
    #[error("the caller's passphrase is wrong")]
    WrongPassphrase,
    /// The caller did not wait, or the listener has stopped.
    #[error("the caller is gone")]
    Gone,
}

/// Counters of a listener.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ListenerStats {
    /// Connections now, without waiting requests.
    pub connections: u64,
    /// Connections accepted so far.
    pub accepted: u64,
    /// Callers refused, for any reason.
    pub rejected: u64,
    /// Of those: wrong passphrase.
    pub wrong_passphrase: u64,
    /// Of those: only one side had a passphrase.
    pub unsecure: u64,
    /// Connections closed because their consumer was too slow.
    pub slow_consumers: u64,
    /// Datagrams that are not SRT.
    pub malformed: u64,
    /// Datagrams for no connection.
    pub stray: u64,
    /// Handshakes with a wrong or old cookie.
    pub bad_cookies: u64,
    /// Handshakes ignored because too many came.
    pub rate_limited: u64,
    /// UDP payload bytes received.
    pub received_bytes: u64,
    /// UDP payload bytes sent.
    pub sent_bytes: u64,
    /// Packets given up on connections that have ended.
    pub lost_packets: u64,
}
