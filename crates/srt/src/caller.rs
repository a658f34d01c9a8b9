//! The sending side: one publisher's connection to a listener.
//!
//! What does not belong here: reconnecting (a new [`Caller`] is a new connection) and what to do with payloads that
//! find no room; the application decides both.
//!
//! Rooms: `session` is the caller without its socket, `driver` moves its datagrams, `path` is its socket and the next
//! one when its address is gone, `timer` the one timer; `config`, `error` and `stats` are what they say.

mod config;
mod driver;
mod error;
mod path;
mod session;
mod stats;
mod timer;

pub use config::CallerConfig;
pub use error::{ConnectError, SendError};
pub use stats::SendStats;

use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use tokio::sync::{Notify, watch};

use crate::queue::DeliveryQueue;
use crate::{CloseReason, Delivery, LostRange, SrtUrl, core, sys};
use driver::Driver;
use path::Path;
use session::{Ended, Session};

/// A connection that publishes; dropping it closes it at once.
#[derive(Debug)]
pub struct Caller {
    peer: SocketAddr,
    latency: Duration,
    shared: Arc<Shared>,
    closed: watch::Receiver<Option<Ended>>,
}

/// What a caller shares with its driver.
struct Shared {
    session: Mutex<Session>,
    inbox: Arc<DeliveryQueue>,
    /// Somebody has asked for what the listener sends.
    reads: AtomicBool,
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
        let settings = config.settings()?;
        let path = Path::new(peer, config.local).map_err(|source| io_error(peer, source))?;
        let begin = move || core::Caller::new(&settings, peer, Instant::now(), sys::random());
        let protocol = if config.encryption.is_some() {
            // Deriving a key takes some 2 ms.
            tokio::task::spawn_blocking(begin).await.map_err(|error| io_error(peer, error.into()))?
        } else {
            begin()
        };
        let inbox = Arc::new(DeliveryQueue::new(config.max_queued_bytes));
        let session = Session::new(protocol, Arc::clone(&inbox), Instant::now());
        let shared = Arc::new(Shared {
            session: Mutex::new(session),
            inbox,
            reads: AtomicBool::new(false),
            wake: Notify::new(),
            room: Notify::new(),
        });
        let (closed_in, closed) = watch::channel(None);
        // Made before the handshake, so that a dropped future stops the driver too.
        let mut caller = Self { peer, latency: config.latency, shared: Arc::clone(&shared), closed };
        tokio::spawn(Driver { path, shared, closed: closed_in }.run());
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
        // A driver that comes anyway within the timer's resolution comes soon enough.
        let soon = now + timer::PAUSE;
        let wake = session.wakes_at.is_none_or(|at| at > soon);
        if wake {
            session.wakes_at = Some(now);
        }
        drop(session);
        if wake {
            self.shared.wake.notify_one();
        }
        Ok(())
    }

    /// The next of what the listener sends; `None` after [`Delivery::Closed`] was taken.
    ///
    /// Who never calls this need not care: what a listener sends nevertheless is thrown away beyond a bound.
    ///
    /// # Cancel safety
    /// Nothing is lost when the future is dropped.
    pub async fn recv(&self) -> Option<Delivery> {
        self.shared.reads.store(true, Ordering::Relaxed);
        self.shared.inbox.take().await
    }

    /// Which packets the [`Delivery::Lost`] that was taken last is about.
    pub fn lost_range(&self) -> Option<LostRange> {
        self.shared.inbox.lost_range()
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
                    (None, Some(latency)) => return Ok(latency),
                    (None, None) => {}
                }
            }
            tokio::select! {
                () = progress => {}
                ended = closed.wait_for(Option::is_some) => {
                    let stopped = Ended::Closed(CloseReason::Stopped);
                    return Err(ended.ok().and_then(|ended| *ended).unwrap_or(stopped));
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

fn io_error(peer: SocketAddr, source: io::Error) -> ConnectError {
    if sys::is_refused(&source) { ConnectError::Refused { peer } } else { ConnectError::Io { peer, source } }
}
