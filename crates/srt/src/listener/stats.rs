//! What a listener counts, added up over its workers, and the last callers that they refused by themselves.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use crate::core::{ListenerCounters, Refusal};

/// Refusals that are remembered.
const REFUSALS: usize = 32;

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
    /// Callers that wait for the application's answer now.
    pub half_open: u64,
    /// Callers refused because a limit was reached.
    pub overloaded: u64,
    /// Callers that the application did not answer in time.
    pub unanswered: u64,
    /// Connections that were replaced by a new one of the same caller.
    pub replaced: u64,
    /// Connections that followed their peer to a new address.
    pub moves: u64,
    /// Datagrams that the system had no room for, where it says so (Linux).
    pub dropped_datagrams: u64,
    /// Datagrams that came to one worker for another.
    pub forwarded_datagrams: u64,
    /// Of those: lost, as the other had too much to do.
    pub lost_forwards: u64,
}

/// What a worker counts beside the protocol.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Extra {
    pub(super) slow_consumers: u64,
    pub(super) dropped_datagrams: u64,
    pub(super) forwarded_datagrams: u64,
    pub(super) lost_forwards: u64,
    pub(super) overloaded: u64,
}

/// Where the workers show their counters, and whom they refused.
#[derive(Debug)]
pub(super) struct Board {
    places: Vec<Mutex<(ListenerCounters, Extra)>>,
    refusals: Mutex<VecDeque<Refusal>>,
}

impl Board {
    pub(super) fn new(workers: usize) -> Self {
        Self { places: (0..workers).map(|_| Mutex::default()).collect(), refusals: Mutex::default() }
    }

    pub(super) fn show(&self, worker: usize, counters: ListenerCounters, extra: Extra) {
        if let Some(place) = self.places.get(worker) {
            *place.lock().unwrap_or_else(PoisonError::into_inner) = (counters, extra);
        }
    }

    /// Connections and waiting callers of the other workers.
    pub(super) fn others(&self, worker: usize) -> u64 {
        let others = self.places.iter().enumerate().filter(|(index, _)| *index != worker);
        others
            .map(|(_, place)| {
                let (counters, _) = *place.lock().unwrap_or_else(PoisonError::into_inner);
                counters.connections + counters.half_open
            })
            .sum()
    }

    pub(super) fn refused(&self, refusal: Refusal) {
        let mut refusals = self.refusals.lock().unwrap_or_else(PoisonError::into_inner);
        refusals.truncate(REFUSALS - 1);
        refusals.push_front(refusal);
    }

    /// The last ones, the newest first.
    pub(super) fn refusals(&self) -> Vec<Refusal> {
        self.refusals.lock().unwrap_or_else(PoisonError::into_inner).iter().cloned().collect()
    }

    pub(super) fn sum(&self) -> ListenerStats {
        self.places.iter().fold(ListenerStats::default(), |sum, place| {
            let (counters, extra) = *place.lock().unwrap_or_else(PoisonError::into_inner);
            sum.plus(&counters, &extra)
        })
    }
}

impl ListenerStats {
    fn plus(self, counters: &ListenerCounters, extra: &Extra) -> Self {
        Self {
            connections: self.connections + counters.connections,
            accepted: self.accepted + counters.accepted,
            rejected: self.rejected + counters.rejected,
            wrong_passphrase: self.wrong_passphrase + counters.wrong_passphrase,
            unsecure: self.unsecure + counters.unsecure,
            slow_consumers: self.slow_consumers + extra.slow_consumers,
            malformed: self.malformed + counters.malformed,
            stray: self.stray + counters.stray,
            bad_cookies: self.bad_cookies + counters.bad_cookies,
            rate_limited: self.rate_limited + counters.rate_limited,
            received_bytes: self.received_bytes + counters.received_bytes,
            sent_bytes: self.sent_bytes + counters.sent_bytes,
            lost_packets: self.lost_packets + counters.lost_packets,
            half_open: self.half_open + counters.half_open,
            overloaded: self.overloaded + counters.overloaded + extra.overloaded,
            unanswered: self.unanswered + counters.unanswered,
            replaced: self.replaced + counters.replaced,
            moves: self.moves + counters.moves,
            dropped_datagrams: self.dropped_datagrams + extra.dropped_datagrams,
            forwarded_datagrams: self.forwarded_datagrams + extra.forwarded_datagrams,
            lost_forwards: self.lost_forwards + extra.lost_forwards,
        }
    }
}

/// Reads a listener's counters, also when the listener itself is busy elsewhere.
#[derive(Debug, Clone)]
pub struct ListenerStatsHandle(Arc<Board>);

impl ListenerStatsHandle {
    pub(super) fn new(board: Arc<Board>) -> Self {
        Self(board)
    }

    /// Counters so far, as of the last packets.
    pub fn stats(&self) -> ListenerStats {
        self.0.sum()
    }

    /// Callers that were refused without the application, the newest first: see
    /// [`Listener::refusals`](crate::Listener::refusals).
    pub fn refusals(&self) -> Vec<Refusal> {
        self.0.refusals()
    }
}
