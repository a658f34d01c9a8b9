//! Moves datagrams and time between a caller's socket and its session; decides nothing but which of its own addresses
//! it sends from.
//!
//! One task a caller. It ends with the session, and tells it through the `closed` channel.

use std::future::poll_fn;
use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use tokio::sync::watch;

use super::Shared;
use super::path::Path;
use super::session::Ended;
use super::timer::Timer;
use crate::core::Transmits;
use crate::sys::{Inlet, Progress, is_gone, is_refused};

/// What a full socket is given to drain.
const FULL: Duration = Duration::from_millis(2);
/// Calls to the socket in a row before something is sent.
const CALLS: usize = 32;

pub(super) struct Driver {
    pub(super) path: Path,
    pub(super) shared: Arc<Shared>,
    pub(super) closed: watch::Sender<Option<Ended>>,
}

impl Driver {
    /// Runs until the session has ended.
    pub(super) async fn run(mut self) {
        let mut inlet = Inlet::for_one();
        let mut out = Transmits::new();
        let mut timer = Timer::new(Instant::now());
        let ended = loop {
            self.step(&mut out, &mut timer);
            // The handshake may be over; acknowledgements made room.
            self.shared.room.notify_waiters();
            self.send(&mut out).await;
            if let Some(ended) = self.shared.session().ended() {
                break ended;
            }
            tokio::select! {
                ready = self.path.socket.readable() => {
                    if ready.is_ok() {
                        self.receive(&mut inlet);
                    }
                }
                () = self.shared.wake.notified() => {}
                () = poll_fn(|cx| timer.poll(cx)) => {}
            }
        };
        self.shared.inbox.close(ended.reason());
        self.closed.send_replace(Some(ended));
        self.shared.room.notify_waiters();
    }

    /// Runs the session's timers; sees to it that the driver comes again in time.
    fn step(&mut self, out: &mut Transmits, timer: &mut Timer) {
        let now = Instant::now();
        let reads = self.shared.reads.load(Ordering::Relaxed);
        let mut session = self.shared.session();
        if session.unanswered(now).is_some_and(|silence| self.path.is_suspect(now, silence)) {
            // Also when our own address is the same, a router on the way may show another one to the peer.
            let renewed = self.path.renew(now);
            session.moved(now, renewed);
        }
        session.step(now, reads, out);
        // A handshake's repetitions are not late: over a bad link each counts.
        let may_be_late = session.opened().is_some();
        session.wakes_at = Some(timer.set(now, session.next_timeout(), may_be_late));
    }

    /// Sends all of `out`; what fails counts as lost on the way.
    async fn send(&mut self, out: &mut Transmits) {
        let mut progress = Progress::default();
        let mut gone = false;
        let shared = &self.shared;
        let mut failed = |error: &io::Error| {
            gone |= is_gone(error);
            note(shared, error);
        };
        while self.path.outlet.send(self.path.socket.socket(), out, &mut progress, &mut failed).is_err() {
            tokio::time::sleep(FULL).await;
        }
        out.clear();
        if gone {
            let now = Instant::now();
            if self.path.may_try(now) && self.path.renew(now) {
                self.shared.session().moved(now, true);
                self.shared.wake.notify_one();
            }
        }
    }

    fn receive(&self, inlet: &mut Inlet) {
        let now = Instant::now();
        for _ in 0..CALLS {
            let mut session = self.shared.session();
            let taken = self.path.socket.take(inlet, |from, datagram| session.receive(now, from, datagram));
            drop(session);
            match taken {
                Ok(taken) if taken.drained => break,
                Ok(_) => {}
                Err(error) => note(&self.shared, &error),
            }
        }
    }
}

/// An error other than "refused" counts as loss: the link may come back within the idle time.
fn note(shared: &Shared, error: &io::Error) {
    if is_refused(error) {
        shared.session().refused(Instant::now());
    } else {
        tracing::debug!(%error, "SRT socket");
    }
}
