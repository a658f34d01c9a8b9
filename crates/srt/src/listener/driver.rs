//! Moves datagrams, commands and time between the socket, the consumers and the engine; decides nothing.
//!
//! One task a listener. It takes everything that has arrived at each wake-up, and runs the timers at most every
//! [`TICK`]. It never waits for a consumer.
//!
//! Invariant: the task ends when the [`Listener`](crate::Listener) is dropped, and tells every peer.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::net::UdpSocket;
use tokio::sync::{mpsc, oneshot};

use super::engine::{Accepted, Announced, Engine};
use super::{ListenerStats, Request};
use crate::connection::Connection;
use crate::{AcceptError, CloseReason, RejectReason};

/// Timers run at most this often, so that their packets gather.
const TICK: Duration = Duration::from_millis(20);
/// Datagrams taken in a row before the timers and commands get their turn.
const BATCH: usize = 256;
/// Larger than any datagram that SRT sends.
const DATAGRAM_BYTES: usize = 2048;

/// What an application asks of the driver.
#[derive(Debug)]
pub(crate) enum Command {
    Accept { id: u32, answer: oneshot::Sender<Result<Connection, AcceptError>> },
    Reject { id: u32, reason: RejectReason },
    Close { id: u32 },
}

pub(super) struct Driver {
    pub(super) socket: UdpSocket,
    pub(super) engine: Engine,
    pub(super) commands: mpsc::Receiver<Command>,
    pub(super) commands_back: mpsc::Sender<Command>,
    pub(super) requests: mpsc::Sender<Request>,
    pub(super) stats: Arc<Mutex<ListenerStats>>,
}

impl Driver {
    /// Runs until `stop` is dropped.
    pub(super) async fn run(mut self, mut stop: oneshot::Receiver<()>) {
        let mut buffer = vec![0; DATAGRAM_BYTES];
        let mut last_tick = Instant::now();
        loop {
            let wake = self.engine.next_wake().map(|at| at.max(last_tick + TICK));
            tokio::select! {
                _ = &mut stop => break,
                ready = self.socket.readable() => {
                    if ready.is_ok() {
                        self.receive(&mut buffer);
                    }
                }
                Some(command) = self.commands.recv() => self.command(command),
                () = sleep_until(wake) => {}
            }
            let now = Instant::now();
            if now >= last_tick + TICK {
                last_tick = now;
                self.engine.tick(now);
            }
            self.announce(now);
            // Before the peers learn of it.
            self.publish();
            self.send().await;
        }
        self.engine.close_all(Instant::now(), CloseReason::Stopped);
        self.send().await;
        self.publish();
    }

    fn receive(&mut self, buffer: &mut [u8]) {
        for _ in 0..BATCH {
            match self.socket.try_recv_from(buffer) {
                Ok((length, from)) => {
                    let datagram = buffer.get(..length).unwrap_or_default();
                    self.engine.handle_datagram(Instant::now(), from, datagram);
                }
                Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => return,
                // Some systems report an earlier send's ICMP error here: it concerns one peer, who will time out.
                Err(error) => tracing::debug!(%error, "SRT socket receive"),
            }
        }
    }

    /// Sends what is ready; what the socket does not take now counts as lost on the way.
    async fn send(&mut self) {
        while let Some((to, datagram)) = self.engine.poll_transmit() {
            if let Err(error) = self.socket.send_to(&datagram, to).await {
                tracing::debug!(%to, %error, "SRT socket send");
            }
        }
    }

    fn command(&mut self, command: Command) {
        let now = Instant::now();
        match command {
            Command::Accept { id, answer } => {
                let result = self.engine.accept(now, id).map(|accepted| self.connection(id, accepted));
                // An application that no longer waits drops the connection, which closes it.
                let _ = answer.send(result);
            }
            Command::Reject { id, reason } => self.engine.reject(now, id, reason),
            Command::Close { id } => self.engine.close(now, id, CloseReason::Local),
        }
    }

    fn connection(&self, id: u32, accepted: Accepted) -> Connection {
        Connection {
            id,
            peer: accepted.peer,
            stream_id: accepted.stream_id,
            encrypted: accepted.encrypted,
            latency: accepted.latency,
            queue: accepted.queue,
            commands: self.commands_back.clone(),
        }
    }

    fn announce(&mut self, now: Instant) {
        while let Some(announced) = self.engine.poll_request() {
            let Announced { id, peer, stream_id, encrypted } = announced;
            let request =
                Request { id, peer, stream_id, encrypted, commands: Some(self.commands_back.clone()) };
            if let Err(refused) = self.requests.try_send(request) {
                refused.into_inner().forget();
                self.engine.reject(now, id, RejectReason::Overload);
            }
        }
    }

    fn publish(&self) {
        *self.stats.lock().unwrap_or_else(PoisonError::into_inner) = self.engine.stats();
    }
}

/// Sleeps until `at`, or for ever.
async fn sleep_until(at: Option<Instant>) {
    match at {
        Some(at) => tokio::time::sleep_until(at.into()).await,
        None => std::future::pending().await,
    }
}
