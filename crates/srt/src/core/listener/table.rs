//! The entries of a listener: by id, by their caller, by when they have something to do.
//!
//! Invariants: each entry has at most one valid timer (stale ones are skipped when they come up) and is in the list of
//! those with something to send at most once.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap, VecDeque};
use std::net::SocketAddr;
use std::time::Instant;

use super::migration::Migration;
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

/// It has asked; the application has not answered.
pub(super) struct Waiting {
    pub(super) peer: SocketAddr,
    pub(super) cookie: u32,
    pub(super) conclusion: Conclusion,
    /// What the caller's stamp 0 means.
    pub(super) peer_began: Instant,
}

pub(super) struct Open {
    pub(super) connection: Connection,
    pub(super) acceptance: Acceptance,
    pub(super) cookie: u32,
    pub(super) migration: Option<Box<Migration>>,
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

#[derive(Default)]
pub(super) struct Table {
    rows: HashMap<SocketId, Row>,
    callers: HashMap<SocketAddr, Vec<(SocketId, SocketId)>>,
    timers: BinaryHeap<Reverse<(Instant, u32)>>,
    dirty: VecDeque<SocketId>,
    open: usize,
    gone: usize,
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

    pub(super) fn open(&self) -> usize {
        self.open
    }

    pub(super) fn half_open(&self) -> usize {
        self.rows.len() - self.open - self.gone
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
        self.open += usize::from(matches!(entry, Entry::Open(_)));
        self.callers.entry(caller.0).or_default().push((caller.1, id));
        self.rows.insert(id, Row { entry, caller, timer: None, dirty: false });
    }

    /// Puts an entry in another state.
    pub(super) fn replace(&mut self, id: SocketId, entry: Entry) {
        let Some(row) = self.rows.get_mut(&id) else { return };
        let is_open = usize::from(matches!(entry, Entry::Open(_)));
        let was_open = usize::from(matches!(row.entry, Entry::Open(_)));
        self.open = self.open + is_open - was_open;
        self.gone += usize::from(matches!(entry, Entry::Gone));
        row.entry = entry;
        row.timer = None;
    }

    pub(super) fn remove(&mut self, id: SocketId) {
        let Some(row) = self.rows.remove(&id) else { return };
        self.open -= usize::from(matches!(row.entry, Entry::Open(_)));
        self.gone -= usize::from(matches!(row.entry, Entry::Gone));
        self.forget_caller(row.caller);
    }

    /// How many were open lately.
    pub(super) fn gone(&self) -> usize {
        self.gone
    }

    /// An entry's peer has another address.
    pub(super) fn moved(&mut self, id: SocketId, to: SocketAddr) {
        let Some(row) = self.rows.get_mut(&id) else { return };
        let before = row.caller;
        let after = (to, before.1);
        row.caller = after;
        self.forget_caller(before);
        self.callers.entry(after.0).or_default().push((after.1, id));
    }

    /// The entry is looked at again at `at`, or earlier when it had an earlier timer.
    pub(super) fn schedule(&mut self, id: SocketId, at: Instant) {
        let Some(row) = self.rows.get_mut(&id) else { return };
        if row.timer.is_none_or(|set| at < set) {
            row.timer = Some(at);
            self.timers.push(Reverse((at, id.0)));
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

    fn forget_caller(&mut self, (address, socket): (SocketAddr, SocketId)) {
        let Some(there) = self.callers.get_mut(&address) else { return };
        there.retain(|(caller, _)| *caller != socket);
        if there.is_empty() {
            self.callers.remove(&address);
        }
    }
}
