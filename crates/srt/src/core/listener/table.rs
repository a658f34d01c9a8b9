//! The entries of a listener: by id, by their caller, by when they have something to do.
//!
//! Invariants: each entry has at most one valid timer (stale ones are skipped when they come up) and is in the list of
//! those with something to send at most once.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap, VecDeque};
use std::hash::{BuildHasherDefault, Hasher};
use std::net::SocketAddr;
use std::time::Instant;

use super::migration::Asked;
use crate::RejectCode;
use crate::core::connection::Connection;
use crate::core::handshake::answer::Acceptance;
use crate::core::handshake::conclusion::Conclusion;
use crate::core::seq::{Seq, SocketId};

/// One caller, in one of its states.
pub(super) enum Entry {
    Waiting(Box<Waiting>),
    Open(Box<Open>),
    Refused(Box<Refused>),
    /// It was open: what it said before its end may still arrive, and is nobody's wish.
    Gone,
}

/// What an [`Entry`] is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    Waiting,
    Open,
    Refused,
    Gone,
}

impl Entry {
    const fn state(&self) -> State {
        match self {
            Self::Waiting(_) => State::Waiting,
            Self::Open(_) => State::Open,
            Self::Refused(_) => State::Refused,
            Self::Gone => State::Gone,
        }
    }
}

/// It has asked; the application has not answered.
pub(super) struct Waiting {
    pub(super) peer: SocketAddr,
    pub(super) cookie: u32,
    pub(super) conclusion: Conclusion,
    /// What our stamp 0 means to it.
    pub(super) began: Instant,
    /// What the caller's stamp 0 means.
    pub(super) peer_began: Instant,
}

pub(super) struct Open {
    pub(super) connection: Connection,
    pub(super) acceptance: Acceptance,
    pub(super) cookie: u32,
    /// When another address was last asked to prove itself.
    pub(super) asked: Option<Asked>,
    /// Its end has been told.
    pub(super) told: bool,
}

/// It was refused, and hears so again when it asks again.
pub(super) struct Refused {
    pub(super) code: RejectCode,
    pub(super) initial_seq: Seq,
}

struct Row {
    entry: Entry,
    /// Its address and socket id, by which a repeated handshake finds it.
    caller: (SocketAddr, SocketId),
    timer: Option<Instant>,
    dirty: bool,
}

/// Hashes our own ids, which are random already.
#[derive(Default)]
struct IdHasher(u64);

impl Hasher for IdHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|byte| self.write_u32(u32::from(*byte)));
    }

    fn write_u32(&mut self, word: u32) {
        self.0 = (self.0 ^ u64::from(word)).wrapping_mul(0x9E37_79B9_7F4A_7C15).rotate_left(32);
    }
}

#[derive(Default)]
pub(super) struct Table {
    rows: HashMap<SocketId, Row, BuildHasherDefault<IdHasher>>,
    callers: HashMap<SocketAddr, Vec<(SocketId, SocketId)>>,
    timers: BinaryHeap<Reverse<(Instant, u32)>>,
    dirty: VecDeque<SocketId>,
    /// Entries in each state.
    counts: [usize; 4],
}

impl Table {
    pub(super) fn get(&self, id: SocketId) -> Option<&Entry> {
        self.rows.get(&id).map(|row| &row.entry)
    }

    pub(super) fn get_mut(&mut self, id: SocketId) -> Option<&mut Entry> {
        self.rows.get_mut(&id).map(|row| &mut row.entry)
    }

    /// The address and socket id that an entry is for.
    pub(super) fn caller(&self, id: SocketId) -> Option<(SocketAddr, SocketId)> {
        self.rows.get(&id).map(|row| row.caller)
    }

    pub(super) fn contains(&self, id: SocketId) -> bool {
        self.rows.contains_key(&id)
    }

    /// How many there are in a state.
    pub(super) fn count(&self, state: State) -> usize {
        self.counts.get(state as usize).copied().unwrap_or(0)
    }

    pub(super) fn ids(&self) -> Vec<SocketId> {
        self.rows.keys().copied().collect()
    }

    /// The entry of a caller.
    pub(super) fn find(&self, caller: (SocketAddr, SocketId)) -> Option<SocketId> {
        let there = self.callers.get(&caller.0)?;
        there.iter().find(|(socket, _)| *socket == caller.1).map(|(_, id)| *id)
    }

    /// All entries at an address.
    pub(super) fn at(&self, address: SocketAddr) -> impl Iterator<Item = SocketId> + '_ {
        self.callers.get(&address).into_iter().flatten().map(|(_, id)| *id)
    }

    pub(super) fn insert(&mut self, id: SocketId, caller: (SocketAddr, SocketId), entry: Entry) {
        self.entered(entry.state());
        self.callers.entry(caller.0).or_default().push((caller.1, id));
        self.rows.insert(id, Row { entry, caller, timer: None, dirty: false });
    }

    /// Puts an entry in another state.
    pub(super) fn replace(&mut self, id: SocketId, entry: Entry) {
        let Some(row) = self.rows.get_mut(&id) else { return };
        let (before, after) = (row.entry.state(), entry.state());
        row.entry = entry;
        row.timer = None;
        self.left(before);
        self.entered(after);
    }

    pub(super) fn remove(&mut self, id: SocketId) {
        let Some(row) = self.rows.remove(&id) else { return };
        self.left(row.entry.state());
        self.forget_caller(row.caller.0, id);
    }

    /// An entry's peer has another address.
    pub(super) fn moved(&mut self, id: SocketId, to: SocketAddr) {
        let Some(row) = self.rows.get_mut(&id) else { return };
        let before = row.caller;
        let after = (to, before.1);
        row.caller = after;
        self.forget_caller(before.0, id);
        self.callers.entry(after.0).or_default().push((after.1, id));
    }

    /// The entry is looked at again at `at`, or earlier when it had an earlier timer.
    pub(super) fn schedule(&mut self, id: SocketId, at: Instant) {
        let Some(row) = self.rows.get_mut(&id) else { return };
        if row.timer.is_none_or(|set| at < set) {
            row.timer = Some(at);
            self.timers.push(Reverse((at, id.0)));
            self.drop_stale_timers();
        }
    }

    /// The next entry whose timer is over.
    pub(super) fn due(&mut self, now: Instant) -> Option<SocketId> {
        while let Some(Reverse((at, id))) = self.timers.peek().copied() {
            let id = SocketId(id);
            let valid = self.rows.get_mut(&id).filter(|row| row.timer == Some(at));
            if valid.is_some() && at > now {
                return None;
            }
            self.timers.pop();
            if let Some(row) = valid {
                row.timer = None;
                return Some(id);
            }
        }
        None
    }

    /// When the first timer is over; perhaps one that is stale.
    pub(super) fn next_timeout(&self) -> Option<Instant> {
        self.timers.peek().map(|Reverse((at, _))| *at)
    }

    pub(super) fn make_dirty(&mut self, id: SocketId) {
        let Some(row) = self.rows.get_mut(&id) else { return };
        if !std::mem::replace(&mut row.dirty, true) {
            self.dirty.push_back(id);
        }
    }

    /// How many entries have something to send.
    pub(super) fn dirty(&self) -> usize {
        self.dirty.len()
    }

    /// The next entry that has something to send.
    pub(super) fn next_dirty(&mut self) -> Option<SocketId> {
        let id = self.dirty.pop_front()?;
        if let Some(row) = self.rows.get_mut(&id) {
            row.dirty = false;
        }
        Some(id)
    }

    /// Keeps the heap in proportion to the entries, whatever their timers do.
    fn drop_stale_timers(&mut self) {
        if self.timers.len() > 8 * self.rows.len() + 64 {
            let rows = &self.rows;
            let is_valid =
                |at: Instant, id: u32| rows.get(&SocketId(id)).is_some_and(|row| row.timer == Some(at));
            self.timers.retain(|Reverse((at, id))| is_valid(*at, *id));
        }
    }

    #[cfg(test)]
    pub(super) fn sizes(&self) -> (usize, usize) {
        (self.rows.len(), self.timers.len().saturating_sub(self.rows.len()))
    }

    fn entered(&mut self, state: State) {
        if let Some(count) = self.counts.get_mut(state as usize) {
            *count += 1;
        }
    }

    fn left(&mut self, state: State) {
        if let Some(count) = self.counts.get_mut(state as usize) {
            *count = count.saturating_sub(1);
        }
    }

    fn forget_caller(&mut self, address: SocketAddr, id: SocketId) {
        let Some(there) = self.callers.get_mut(&address) else { return };
        there.retain(|(_, there)| *there != id);
        if there.is_empty() {
            self.callers.remove(&address);
        }
    }
}
