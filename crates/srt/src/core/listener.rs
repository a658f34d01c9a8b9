//! The listening side without its socket: any number of connections behind one port, each let in by the application.
//!
//! ```text
//! nothing -- conclusion, valid cookie  --> waiting   Requested
//! waiting -- accept                    --> open      (the caller is told, and again when it asks again)
//! waiting -- reject                    --> refused   (the same)
//! waiting -- no answer in time         --> refused   Withdrawn
//! open    -- see `connection`          --> gone      Closed
//! refused, gone -- a while             --> nothing
//! ```
//! What does not belong here: who may publish, key derivation (the application's thread), queues of payloads.
//!
//! Invariants: nothing is kept for an address that has not proved itself by its cookie; every table is bounded; a
//! datagram costs its own connection's work only.
//!
//! Rooms: `settings` what is configured and counted, `table` the entries and their timers, `admission` handshakes,
//! `allowance` how often, `demux` datagrams to connections, `migration` addresses that change.

mod admission;
mod allowance;
mod demux;
mod migration;
mod settings;
mod table;

pub use settings::{
    AcceptFailure, EncryptionPolicy, ListenerCounters, ListenerEvent, ListenerSettings, Opened, Pending,
    Refusal, Sinks, Worker,
};

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use super::connection::{ConnectionReport, Random, SendError};
use super::handshake::cookie::CookieJar;
use super::receive::Sink;
use super::seq::{SeqRange, SocketId};
use super::transmit::Transmits;
use crate::{CloseReason, RejectCode};
use allowance::Allowance;
use table::{Entry, State, Table};

/// Datagrams that one poll writes, about.
const MOST_TRANSMITS: usize = 1024;
/// And of one connection, before the others have their turn.
const MOST_OF_ONE: usize = 64;
/// A closed connection is remembered for so long: longer than a handshake is repeated.
const GONE_FOR: Duration = Duration::from_secs(6);
/// So many closed connections are remembered; of more, a belated handshake would be a new request.
const MOST_GONE: usize = 4096;
/// Refusals of our own that are told, a second; all are counted.
const REFUSALS_PER_S: u32 = 5;
/// Answers to strangers that wait at most; further ones are not given, and counted.
const MOST_REPLIES: usize = 4096;

/// The listening side of many connections.
pub struct Listener {
    settings: ListenerSettings,
    random: Random,
    jar: CookieJar,
    inductions: Allowance,
    refusals: Allowance,
    /// Refusals since the last one that was told.
    untold_refusals: u64,
    began: Instant,
    table: Table,
    events: VecDeque<ListenerEvent>,
    /// Answers to handshakes, and challenges.
    replies: Transmits,
    ranges: Vec<SeqRange>,
    scratch: Vec<u8>,
    counters: ListenerCounters,
}

impl Listener {
    /// A listener without connections.
    pub fn new(settings: ListenerSettings, now: Instant, mut random: Random) -> Self {
        let jar = CookieJar::new(now, &mut random);
        let inductions = Allowance::new(settings.inductions_per_s, now);
        Self {
            settings,
            random,
            jar,
            inductions,
            refusals: Allowance::new(REFUSALS_PER_S, now),
            untold_refusals: 0,
            began: now,
            table: Table::default(),
            events: VecDeque::new(),
            replies: Transmits::new(),
            ranges: Vec::new(),
            scratch: Vec::new(),
            counters: ListenerCounters::default(),
        }
    }

    /// Does what is due.
    pub fn handle_timeout(&mut self, now: Instant, sinks: &mut dyn Sinks) {
        while let Some(id) = self.table.due(now) {
            match self.table.get_mut(id) {
                Some(Entry::Open(open)) => {
                    open.connection.handle_timeout(now, sink_of(sinks, id, &mut Nowhere));
                    self.settle(now, id);
                }
                Some(Entry::Waiting(_)) => self.withdraw(now, id),
                Some(Entry::Refused(_) | Entry::Gone) | None => self.table.remove(id),
            }
        }
    }

    /// Appends what is to be sent, about a thousand datagrams at most. Call it after a batch of datagrams, and after
    /// every other call that takes `now`.
    pub fn poll_transmit(&mut self, now: Instant, out: &mut Transmits) {
        let before = out.total_bytes();
        for (to, datagram) in self.replies.iter() {
            out.push(to, datagram);
        }
        self.replies.clear();
        for _ in 0..self.table.dirty() {
            if out.len() >= MOST_TRANSMITS {
                break;
            }
            let Some(id) = self.table.next_dirty() else { break };
            let Some(Entry::Open(open)) = self.table.get_mut(id) else { continue };
            open.connection.poll_transmit(now, out, MOST_OF_ONE, &mut self.ranges);
            match open.connection.next_timeout() {
                // At once, where it has more to say than it may at a time.
                Some(at) => self.table.schedule(id, at),
                None => self.bury(now, id),
            }
        }
        self.counters.sent_bytes += (out.total_bytes() - before) as u64;
    }

    /// When to call [`handle_timeout`](Self::handle_timeout) and [`poll_transmit`](Self::poll_transmit).
    pub fn next_timeout(&self) -> Option<Instant> {
        if self.table.dirty() > 0 || !self.replies.is_empty() {
            Some(self.began)
        } else {
            self.table.next_timeout()
        }
    }

    /// What happened, in order.
    pub fn poll_event(&mut self) -> Option<ListenerEvent> {
        self.events.pop_front()
    }

    /// Ends a connection with this reason, or refuses who waits.
    pub fn close(&mut self, now: Instant, id: SocketId, reason: CloseReason) {
        match self.table.get_mut(id) {
            Some(Entry::Open(open)) => {
                open.connection.end(now, reason, None);
                self.settle(now, id);
            }
            Some(Entry::Waiting(_)) => self.reject(now, id, RejectCode(1007)),
            Some(Entry::Refused(_) | Entry::Gone) | None => {}
        }
    }

    /// Ends all, and refuses all who wait.
    pub fn close_all(&mut self, now: Instant, reason: CloseReason) {
        for id in self.table.ids() {
            self.close(now, id, reason);
        }
    }

    /// Queues a payload to a connection's peer.
    ///
    /// # Errors
    /// [`SendError`].
    pub fn send(&mut self, now: Instant, id: SocketId, payload: &[u8]) -> Result<(), SendError> {
        let Some(Entry::Open(open)) = self.table.get_mut(id) else { return Err(SendError::Closed) };
        open.connection.send(now, payload)?;
        self.table.make_dirty(id);
        Ok(())
    }

    /// How many packets a connection's consumer still takes.
    pub fn set_room(&mut self, id: SocketId, packets: u32) {
        if let Some(Entry::Open(open)) = self.table.get_mut(id) {
            open.connection.set_room(packets);
            self.table.make_dirty(id);
        }
    }

    /// Sets the ceiling for everything sent to a peer.
    pub fn set_bandwidth(&mut self, id: SocketId, bytes_per_s: u64) {
        if let Some(Entry::Open(open)) = self.table.get_mut(id) {
            open.connection.set_bandwidth(bytes_per_s);
            self.table.make_dirty(id);
        }
    }

    /// Whether all that was sent to a peer is acknowledged.
    pub fn is_drained(&self, id: SocketId) -> bool {
        match self.table.get(id) {
            Some(Entry::Open(open)) => open.connection.is_drained(),
            _ => true,
        }
    }

    /// A connection's counters, while it is open.
    pub fn connection_stats(&self, now: Instant, id: SocketId) -> Option<ConnectionReport> {
        match self.table.get(id) {
            Some(Entry::Open(open)) => Some(open.connection.report(now)),
            _ => None,
        }
    }

    /// Counters.
    pub fn stats(&self) -> ListenerCounters {
        ListenerCounters {
            connections: self.table.count(State::Open) as u64,
            half_open: self.table.count(State::Waiting) as u64,
            ..self.counters
        }
    }

    /// A connection is over and has said so. Its handshake may still be repeated by what was on its way.
    fn bury(&mut self, now: Instant, id: SocketId) {
        if self.table.count(State::Gone) >= MOST_GONE {
            return self.table.remove(id);
        }
        self.table.replace(id, Entry::Gone);
        self.table.schedule(id, now + GONE_FOR);
    }

    /// Entries of any kind, and timers beyond one for each. For tests.
    #[cfg(test)]
    pub(in crate::core) fn entries(&self) -> (usize, usize) {
        self.table.sizes()
    }

    /// Tells of the end of a connection, once, and sees to what it has to send.
    fn settle(&mut self, now: Instant, id: SocketId) {
        let Some(Entry::Open(open)) = self.table.get_mut(id) else { return };
        if let Some(reason) = open.connection.over()
            && !std::mem::replace(&mut open.told, true)
        {
            let stats = open.connection.report(now);
            self.counters.lost_packets += stats.receiver.lost_packets;
            self.events.push_back(ListenerEvent::Closed { id, reason, stats: Box::new(stats) });
        }
        self.table.make_dirty(id);
    }

    fn reply(&mut self, to: SocketAddr, write: impl FnOnce(&mut Vec<u8>)) {
        if self.replies.len() < MOST_REPLIES {
            self.replies.push_with(to, write);
        } else {
            self.counters.discarded_transmits += 1;
        }
    }
}

impl std::fmt::Debug for Listener {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Listener({:?})", self.stats())
    }
}

/// Takes what nobody wants any more.
struct Nowhere;

impl Sink for Nowhere {
    fn data(&mut self, _payload: &[u8]) {}
    fn lost(&mut self, _range: SeqRange) {}
}

fn sink_of<'a>(sinks: &'a mut dyn Sinks, id: SocketId, nowhere: &'a mut Nowhere) -> &'a mut dyn Sink {
    match sinks.sink(id) {
        Some(sink) => sink,
        None => nowhere,
    }
}
