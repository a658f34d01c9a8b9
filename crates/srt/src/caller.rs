//! The sending side: one publisher's connection to a listener.
//!
//! What does not belong here: reconnecting (a new [`Caller`] is a new connection) and what to do with payloads that
//! find no room; the application decides both.
//!
//! Rooms: `session` is the caller without its socket, `driver` moves its datagrams, `outlet` sends them, `pacer` holds
//! the rate, `tail` finds what was lost last.

mod driver;
mod error;
mod outlet;
mod pacer;
mod session;
mod stats;
mod tail;

pub use error::{ConnectError, SendError};
pub use stats::SendStats;

use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use tokio::net::UdpSocket;
use tokio::sync::{Notify, watch};

use crate::{CloseReason, Encryption, SrtUrl, socket};
use driver::Driver;
use outlet::Outlet;
use session::{Ended, Session};

/// How a [`Caller`] connects and sends.
#[derive(Debug, Clone)]
pub struct CallerConfig {
    /// What is asked for; at most 512 bytes.
    pub stream_id: String,
    /// The latency asked for, 1 ms to 65 s (default 1 s): how long the listener may hold a gap.
    pub latency: Duration,
    /// Encrypt with this.
    pub encryption: Option<Encryption>,
    /// Give up connecting after this (default 3 s).
    pub connect_timeout: Duration,
    /// Repeat an unanswered handshake packet after this (default 150 ms).
    pub handshake_retry: Duration,
    /// The connection is dead when nothing came for this long (default 5 s).
    pub peer_idle: Duration,
    /// Ceiling for everything sent, in bytes a second (default 12.5 MB/s). It is a ceiling, not an estimate: on a
    /// slower link, bursts fill the modem's queue, so set it to what the link can do.
    pub bandwidth_bytes_per_second: u64,
    /// Payload bytes queued or unacknowledged at most (default 8 MiB, up to 64 MiB).
    pub max_buffer_bytes: usize,
    /// Send from this address.
    pub local: Option<SocketAddr>,
}

impl Default for CallerConfig {
    fn default() -> Self {
        Self {
            stream_id: String::new(),
            latency: Duration::from_secs(1),
            encryption: None,
            connect_timeout: Duration::from_secs(3),
            handshake_retry: Duration::from_millis(150),
            peer_idle: Duration::from_secs(5),
            bandwidth_bytes_per_second: 12_500_000,
            max_buffer_bytes: 8 << 20,
            local: None,
        }
    }
}

/// A connection that publishes; dropping it closes it at once.
#[derive(Debug)]
pub struct Caller {
    peer: SocketAddr,
    latency: Duration,
    shared: Arc<Shared>,
    closed: watch::Receiver<Option<Ended>>,
}

/// What a caller shares with its driver.
pub(crate) struct Shared {
    session: Mutex<Session>,
    /// Wakes the driver.
    wake: Notify,
    /// Wakes senders that wait for room.
    room: Notify,
}

impl Shared {
    fn session(&self) -> MutexGuard<'_, Session> {
        self.session.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Shared")
    }
}

impl Caller {
    /// Connects to a listener; the driver task runs on the current tokio runtime.
    ///
    /// # Errors
    /// [`ConnectError`], at the latest after the configured timeout.
    ///
    /// # Cancel safety
    /// A dropped future ends the attempt.
    pub async fn connect(peer: SocketAddr, config: CallerConfig) -> Result<Self, ConnectError> {
        let session = Session::new(peer, &config, Instant::now())?;
        let socket = open(peer, config.local).await.map_err(|source| io_error(peer, source))?;
        socket::enlarge_buffers(&socket);
        let shared =
            Arc::new(Shared { session: Mutex::new(session), wake: Notify::new(), room: Notify::new() });
        let (closed_in, closed) = watch::channel(None);
        // Made before the handshake, so that a dropped future stops the driver too.
        let mut caller = Self { peer, latency: config.latency, shared: Arc::clone(&shared), closed };
        let outlet = Outlet::new(socket, peer).map_err(|source| io_error(peer, source))?;
        tokio::spawn(Driver { outlet, shared, closed: closed_in }.run());
        caller.latency = caller.opened().await.map_err(|ended| ended.connect_error(peer, &config))?;
        Ok(caller)
    }

    /// Resolves an address and connects to the first host that answers. Stream id, encryption and latency of the
    /// address take the place of those in `config`.
    ///
    /// # Errors
    /// [`ConnectError`] of the last attempt.
    pub async fn connect_url(url: &SrtUrl, config: CallerConfig) -> Result<Self, ConnectError> {
        let config = url.apply(config);
        let resolve_error = |source| ConnectError::Resolve { host: url.host.clone(), source };
        let mut last = resolve_error(io::ErrorKind::NotFound.into());
        for peer in url.resolve().await.map_err(resolve_error)? {
            match Self::connect(peer, config.clone()).await {
                Ok(caller) => return Ok(caller),
                Err(error) => last = error,
            }
        }
        Err(last)
    }

    /// Queues one payload of at most [`TS_PAYLOAD_BYTES`](crate::TS_PAYLOAD_BYTES), waiting for room.
    ///
    /// # Errors
    /// [`SendError::Closed`] or [`SendError::Size`].
    ///
    /// # Cancel safety
    /// The payload is queued when the future is ready; a dropped future has queued nothing.
    pub async fn send(&self, payload: Bytes) -> Result<(), SendError> {
        loop {
            let room = self.shared.room.notified();
            tokio::pin!(room);
            // Listens before it tries, so that room made in between is not missed.
            room.as_mut().enable();
            match self.try_send(&payload) {
                Err(SendError::Full) => room.await,
                done => return done,
            }
        }
    }

    /// Queues one payload if there is room now.
    ///
    /// # Errors
    /// [`SendError`]; [`SendError::Full`] when there is no room.
    pub fn try_send(&self, payload: &[u8]) -> Result<(), SendError> {
        let now = Instant::now();
        let mut session = self.shared.session();
        session.send(now, payload)?;
        let due = session.next_wake(now);
        // A wake-up that comes anyway within the timer's resolution is soon enough.
        let wake = due.is_some_and(|due| session.wakes_at.is_none_or(|at| due + driver::PAUSE < at));
        if wake {
            session.wakes_at = due;
        }
        drop(session);
        if wake {
            self.shared.wake.notify_one();
        }
        Ok(())
    }

    /// Changes the ceiling for everything sent, in bytes a second.
    pub fn set_bandwidth(&self, bytes_per_second: u64) {
        self.shared.session().set_rate(bytes_per_second);
        self.shared.wake.notify_one();
    }

    /// Counters and estimates now.
    pub fn stats(&self) -> SendStats {
        self.shared.session().stats(Instant::now())
    }

    /// The negotiated latency: the larger of ours and the listener's.
    pub fn latency(&self) -> Duration {
        self.latency
    }

    /// The listener's address.
    pub fn peer(&self) -> SocketAddr {
        self.peer
    }

    /// Waits for the end of the connection.
    ///
    /// # Cancel safety
    /// May be dropped and called again.
    pub async fn closed(&self) -> CloseReason {
        let mut closed = self.closed.clone();
        match closed.wait_for(Option::is_some).await {
            Ok(ended) => ended.map_or(CloseReason::Stopped, Ended::reason),
            Err(_) => CloseReason::Stopped,
        }
    }

    /// Waits until everything is acknowledged, for `linger` at most, then closes. Returns the last counters: nothing
    /// is missing when `acked_bytes` is `accepted_bytes`.
    pub async fn close(self, linger: Duration) -> SendStats {
        self.linger(linger);
        self.closed().await;
        self.stats()
    }

    fn linger(&self, linger: Duration) {
        self.shared.session().linger_until = Some(Instant::now() + linger);
        self.shared.wake.notify_one();
    }

    /// Waits for the handshake.
    async fn opened(&self) -> Result<Duration, Ended> {
        let mut closed = self.closed.clone();
        loop {
            let progress = self.shared.room.notified();
            tokio::pin!(progress);
            progress.as_mut().enable();
            {
                let session = self.shared.session();
                match (session.ended(), session.opened()) {
                    (Some(ended), _) => return Err(ended),
                    (None, Some(opened)) => return Ok(opened.latency),
                    (None, None) => {}
                }
            }
            tokio::select! {
                () = progress => {}
                ended = closed.wait_for(Option::is_some) => {
                    return Err(ended.ok().and_then(|ended| *ended).unwrap_or(Ended::Refused));
                }
            }
        }
    }
}

impl Drop for Caller {
    fn drop(&mut self) {
        self.linger(Duration::ZERO);
    }
}

/// A socket that takes and sends datagrams of one peer only, so that its ICMP errors reach us.
async fn open(peer: SocketAddr, local: Option<SocketAddr>) -> io::Result<UdpSocket> {
    let any = if peer.is_ipv4() { SocketAddr::from(([0; 4], 0)) } else { SocketAddr::from(([0_u16; 8], 0)) };
    let socket = UdpSocket::bind(local.unwrap_or(any)).await?;
    socket.connect(peer).await?;
    Ok(socket)
}

fn io_error(peer: SocketAddr, source: io::Error) -> ConnectError {
    if socket::is_refused(&source) {
        ConnectError::Refused { peer }
    } else {
        ConnectError::Io { peer, source }
    }
}
