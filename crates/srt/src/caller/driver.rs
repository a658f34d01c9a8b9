//! Moves datagrams and time between a caller's socket and its session; decides nothing.
//!
//! One task a caller. It ends with the session, and tells it through the `closed` channel.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::net::UdpSocket;
use tokio::sync::watch;

use super::Shared;
use super::session::{Ended, Session};
use crate::socket::is_refused;

const DATAGRAM_BYTES: usize = 2048;
/// The timer's resolution: no wake-up is sooner, however much is due.
pub(super) const PAUSE: Duration = Duration::from_millis(1);
/// Datagrams taken in a row before something is sent.
const BATCH: usize = 256;

pub(super) struct Driver {
    pub(super) socket: UdpSocket,
    pub(super) shared: Arc<Shared>,
    pub(super) closed: watch::Sender<Option<Ended>>,
}

impl Driver {
    /// Runs until the session has ended.
    pub(super) async fn run(self) {
        let mut buffer = vec![0; DATAGRAM_BYTES];
        let mut out = Vec::new();
        let ended = loop {
            let wake = self.step(&mut out);
            self.send(&mut out).await;
            if let Some(ended) = self.shared.session().ended() {
                break ended;
            }
            // What was due has been sent; a timer that is due again at once waits for the clock's resolution.
            let wake = wake.unwrap_or_else(|| Instant::now() + Duration::from_secs(1));
            tokio::select! {
                ready = self.socket.readable() => {
                    if ready.is_ok() {
                        self.receive(&mut buffer);
                    }
                }
                () = self.shared.wake.notified() => {}
                () = tokio::time::sleep_until(wake.into()) => {}
            }
        };
        self.closed.send_replace(Some(ended));
        self.shared.room.notify_waiters();
    }

    /// Runs the session's timers; says when to come again.
    fn step(&self, out: &mut Vec<Vec<u8>>) -> Option<Instant> {
        let now = Instant::now();
        let mut session = self.shared.session();
        if session.lingered(now) {
            session.stop(now);
        }
        session.transmit(now, out);
        let wake = session.next_wake(now).map(|at| at.max(now + PAUSE));
        session.wakes_at = wake;
        wake
    }

    fn receive(&self, buffer: &mut [u8]) {
        for _ in 0..BATCH {
            match self.socket.try_recv(buffer) {
                Ok(length) => {
                    let datagram = buffer.get_mut(..length).unwrap_or_default();
                    self.shared.session().receive(Instant::now(), datagram);
                }
                Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => break,
                Err(error) => return self.failed(&error),
            }
        }
        // Acknowledgements made room.
        self.shared.room.notify_waiters();
    }

    /// Sends what is ready. An error other than "refused" counts as loss: the link may come back within the idle time.
    async fn send(&self, out: &mut Vec<Vec<u8>>) {
        for datagram in out.drain(..) {
            if let Err(error) = self.socket.send(&datagram).await {
                self.failed(&error);
            }
        }
    }

    fn failed(&self, error: &std::io::Error) {
        let mut session: std::sync::MutexGuard<'_, Session> = self.shared.session();
        if is_refused(error) {
            session.refused(Instant::now());
        } else {
            tracing::debug!(%error, "SRT socket");
        }
    }
}
