//! Moves datagrams and time between a caller's socket and its session; decides nothing.
//!
//! One task a caller. It ends with the session, and tells it through the `closed` channel.
//!
//! Its timer is pushed back with each frame, which costs nothing while frames come.

use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::watch;
use tokio::time::Sleep;

use super::Shared;
use super::outlet::Outlet;
use super::session::Ended;
use crate::socket::is_refused;

const DATAGRAM_BYTES: usize = 2048;
/// The timer's resolution: no wake-up is sooner, however much is due.
pub(super) const PAUSE: Duration = Duration::from_millis(2);
/// Datagrams taken in a row before something is sent.
const BATCH: usize = 256;
/// The longest sleep. A timer that is pushed back with each frame costs nothing; one that is far away and must come
/// nearer wakes the runtime through the system.
const IDLE: Duration = Duration::from_millis(150);

pub(super) struct Driver {
    pub(super) outlet: Outlet,
    pub(super) shared: Arc<Shared>,
    pub(super) closed: watch::Sender<Option<Ended>>,
}

impl Driver {
    /// Runs until the session has ended.
    pub(super) async fn run(mut self) {
        let mut buffer = vec![0; DATAGRAM_BYTES];
        let mut out = Vec::new();
        let timer = tokio::time::sleep(Duration::ZERO);
        tokio::pin!(timer);
        let ended = loop {
            self.step(&mut out, timer.as_mut());
            let shared = &self.shared;
            self.outlet.send(&mut out, |error| failed(shared, error)).await;
            if let Some(ended) = self.shared.session().ended() {
                break ended;
            }
            tokio::select! {
                ready = self.outlet.socket.readable() => {
                    if ready.is_ok() {
                        self.receive(&mut buffer);
                    }
                }
                () = self.shared.wake.notified() => {}
                () = timer.as_mut() => {}
            }
        };
        self.closed.send_replace(Some(ended));
        self.shared.room.notify_waiters();
    }

    /// Runs the session's timers; sees to it that the driver comes again in time.
    fn step(&self, out: &mut Vec<Vec<u8>>, timer: Pin<&mut Sleep>) {
        let now = Instant::now();
        let mut session = self.shared.session();
        if session.lingered(now) {
            session.stop(now);
        }
        session.transmit(now, out);
        // What was due has been sent; a timer that is due again at once waits for the clock's resolution.
        let wake = session.next_wake(now).map_or(now + IDLE, |at| at.clamp(now + PAUSE, now + IDLE));
        session.wakes_at = Some(wake);
        timer.reset(wake.into());
    }

    fn receive(&self, buffer: &mut [u8]) {
        for _ in 0..BATCH {
            match self.outlet.socket.try_recv(buffer) {
                Ok(length) => {
                    let datagram = buffer.get_mut(..length).unwrap_or_default();
                    self.shared.session().receive(Instant::now(), datagram);
                }
                Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => break,
                Err(error) => return failed(&self.shared, &error),
            }
        }
        // Acknowledgements made room.
        self.shared.room.notify_waiters();
    }
}

/// An error other than "refused" counts as loss: the link may come back within the idle time.
fn failed(shared: &Shared, error: &std::io::Error) {
    if is_refused(error) {
        shared.session().refused(Instant::now());
    } else {
        tracing::debug!(%error, "SRT socket");
    }
}
