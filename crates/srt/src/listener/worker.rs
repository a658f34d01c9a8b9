//! One thread with one socket: moves datagrams, commands and time between the socket, the consumers and the protocol;
//! decides nothing. What a round has brought about is passed on in `events`.
//!
//! A round takes what has arrived (up to a bound), then commands, then timers; then the consumers are woken, the
//! counters shown, and what the protocol has to send goes out together. It never waits for a consumer.
//!
//! Invariant: the thread ends when the [`Listener`](crate::Listener) is dropped, and tells every peer.

mod events;

use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use tokio::sync::mpsc;
use tracing::debug;

use super::gather::Gather;
use super::mailbox::Letters;
use super::stats::{Board, Extra};
use super::taps::Taps;
use super::{Command, ListenerConfig, Mailbox, Request};
use crate::CloseReason;
use crate::connection::Fate;
use crate::core::packet::destination;
use crate::core::{self, SendError, SocketId, Transmits};
use crate::sys::{self, Inlet, Outlet, Progress};

/// Calls to the socket in one round.
const CALLS: usize = 8;
/// Timers run at most this often, so that their packets gather.
const TICK: Duration = Duration::from_millis(4);
/// Consumers that left unheard are looked for this often.
const SWEEP: Duration = Duration::from_secs(1);
/// How often a full socket is tried again, a moment apart, before the rest counts as lost on the way.
const TRIES: u32 = 8;

/// What a worker begins with.
pub(super) struct Start {
    pub(super) index: usize,
    pub(super) socket: UdpSocket,
    pub(super) letters: Letters,
    /// All workers' mailboxes, its own too.
    pub(super) mailboxes: Vec<Mailbox>,
    pub(super) config: Arc<ListenerConfig>,
    pub(super) requests: mpsc::Sender<Request>,
    pub(super) board: Arc<Board>,
}

pub(super) struct Worker {
    start: Start,
    core: core::Listener,
    taps: Taps,
    inlet: Inlet,
    outlet: Outlet,
    transmits: Transmits,
    gather: Gather,
    /// Connections whose outbox has more than the protocol takes now.
    sending: Vec<SocketId>,
    extra: Extra,
    last_tick: Instant,
    last_sweep: Instant,
    drained: bool,
}

impl Worker {
    pub(super) fn new(start: Start) -> Self {
        let now = Instant::now();
        let settings = start.config.settings(start.index, start.mailboxes.len());
        let buffer = sys::receive_buffer_bytes(&start.socket);
        Self {
            core: core::Listener::new(settings, now, sys::random()),
            taps: Taps::default(),
            inlet: Inlet::for_many(&start.socket),
            outlet: Outlet::new(&start.socket, false),
            transmits: Transmits::new(),
            gather: Gather::new(now, buffer),
            sending: Vec::new(),
            extra: Extra::default(),
            last_tick: now,
            last_sweep: now,
            drained: true,
            start,
        }
    }

    /// Runs until the listener is dropped.
    pub(super) fn run(mut self) {
        while !self.start.letters.stopped.load(Ordering::Acquire) {
            self.rest();
            let now = Instant::now();
            self.receive(now);
            self.obey(now);
            self.tick(now);
            self.settle(now);
        }
        self.core.close_all(Instant::now(), CloseReason::Stopped);
        self.settle(Instant::now());
    }

    /// Sleeps until there is something to do.
    fn rest(&self) {
        if !self.drained {
            return;
        }
        if let Some(nap) = self.gather.nap() {
            return std::thread::sleep(nap);
        }
        let now = Instant::now();
        let due = self.core.next_timeout().map_or(now + SWEEP, |at| at.max(self.last_tick + TICK));
        let due = due.min(self.last_sweep + SWEEP);
        self.start.letters.waiter.wait(&self.start.socket, Some(due.saturating_duration_since(now)));
    }

    fn receive(&mut self, now: Instant) {
        let Self { start, core, taps, inlet, extra, .. } = self;
        let mut each = |from: SocketAddr, datagram: &mut [u8]| match owner(start, datagram) {
            None => core.handle_datagram(now, from, datagram, taps),
            Some(owner) => {
                extra.forwarded_datagrams += 1;
                extra.lost_forwards += u64::from(!owner.forward(from, datagram));
            }
        };
        self.drained = false;
        for _ in 0..CALLS {
            match inlet.take(&start.socket, &mut each) {
                Ok(taken) => {
                    self.gather.took(now, taken.datagrams);
                    if taken.drained {
                        self.drained = true;
                        break;
                    }
                }
                // Some systems report an earlier send's ICMP error here: it concerns one peer, who will time out.
                Err(error) => debug!(%error, "SRT socket receive"),
            }
        }
        self.extra.dropped_datagrams = self.inlet.dropped();
    }

    fn obey(&mut self, now: Instant) {
        while let Ok((from, mut datagram)) = self.start.letters.forwarded.try_recv() {
            self.core.handle_datagram(now, from, &mut datagram, &mut self.taps);
        }
        while let Ok(command) = self.start.letters.commands.try_recv() {
            match command {
                Command::Accept { id, stream_id, keys, answer } => {
                    // An application that no longer waits drops the connection, which closes it.
                    let accepted = self.accept(now, id, stream_id, keys.map(|keys| *keys));
                    self.show();
                    let _ = answer.send(accepted);
                }
                Command::Reject { id, code } => self.core.reject(now, id, code),
                Command::Close { id } => self.core.close(now, id, CloseReason::Local),
                Command::Send { id } => self.sending.push(id),
            }
        }
        self.pump(now);
    }

    fn tick(&mut self, now: Instant) {
        if now >= self.last_sweep + SWEEP {
            self.last_sweep = now;
            self.taps.sweep(&mut self.sending);
        }
        if now >= self.last_tick + TICK && self.core.next_timeout().is_some_and(|at| at <= now) {
            self.last_tick = now;
            self.core.handle_timeout(now, &mut self.taps);
        }
    }

    /// Gives the protocol what consumers want to send, as far as it takes it.
    fn pump(&mut self, now: Instant) {
        let Self { core, taps, sending, .. } = self;
        sending.retain(|id| {
            let Some(tap) = taps.tap(*id) else { return false };
            let sent = tap.shared.outbox.drain(|payload| match core.send(now, *id, payload) {
                Ok(()) => Fate::Sent,
                Err(SendError::Full) => Fate::NoRoom,
                Err(SendError::Closed | SendError::Size) => Fate::Never,
            });
            !sent
        });
    }

    fn send(&mut self) {
        let Self { start, outlet, transmits, .. } = self;
        let mut progress = Progress::default();
        for _ in 0..TRIES {
            let failed = |error: &std::io::Error| debug!(%error, "SRT socket send");
            match outlet.send(&start.socket, transmits, &mut progress, failed) {
                Ok(()) => break,
                Err(_) => std::thread::sleep(Duration::from_micros(250)),
            }
        }
        transmits.clear();
    }

    fn show(&self) {
        self.start.board.show(self.start.index, self.core.stats(), self.extra);
    }

    fn own_mailbox(&self) -> Option<Mailbox> {
        self.start.mailboxes.get(self.start.index).cloned()
    }
}

/// The worker that a datagram is for, when it is another one.
fn owner<'a>(start: &'a Start, datagram: &[u8]) -> Option<&'a Mailbox> {
    let count = start.mailboxes.len();
    if count < 2 {
        return None;
    }
    // A handshake that begins names nobody.
    let id = destination(datagram).filter(|id| id.0 != 0)?;
    let index = id.0 as usize % count;
    if index == start.index { None } else { start.mailboxes.get(index) }
}
