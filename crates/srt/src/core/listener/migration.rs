//! Peers whose address changes: a modem that comes back, a NAT that forgets.
//!
//! A datagram for a connection from another address is not believed; it makes the connection ask that address alone:
//! with a full ACK whose number is a keyed hash of the connection and the address. The ACKACK with that number, from
//! there, proves that somebody who receives there knows the connection. Each move makes it another number: an answer
//! from the time before proves nothing, whoever repeats it. A connection that is not encrypted moves only
//! when its old address has been silent since, or for a while, so that nobody can take it from a peer that is there.
//!
//! What does not belong here: what the datagrams mean to an open connection.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use super::table::{Entry, State};
use super::{GONE_FOR, Listener, ListenerEvent, MOST_GONE};
use crate::core::packet::{Body, Packet};
use crate::core::seq::SocketId;

/// A connection asks no more often, whomever.
const ASK_PAUSE: Duration = Duration::from_millis(50);
/// A clear connection's old address has said nothing for so long, whoever else was asked meanwhile.
const SILENCE: Duration = Duration::from_millis(200);

/// The address that was asked last.
#[derive(Clone, Copy)]
pub(super) struct Asked {
    address: SocketAddr,
    first: Instant,
    last: Instant,
}

impl Listener {
    /// Takes a datagram for a connection that comes from where its peer is not.
    pub(super) fn take_from_elsewhere(
        &mut self,
        now: Instant,
        id: SocketId,
        from: SocketAddr,
        datagram: &mut [u8],
    ) {
        let Some(Entry::Open(open)) = self.table.get_mut(id) else { return };
        let number = self.jar.challenge(id, open.connection.moves(), from);
        let answered = match Packet::parse(datagram) {
            Ok(Packet::Control(control)) => control.body == Body::AckAck { number },
            Ok(Packet::Data(_)) | Err(_) => false,
        };
        if !self.settings.migration {
            self.counters.stray += 1;
        } else if answered {
            self.prove(now, id, from);
        } else {
            self.ask(now, id, from, number, datagram);
        }
    }

    fn prove(&mut self, now: Instant, id: SocketId, from: SocketAddr) {
        let Some(Entry::Open(open)) = self.table.get_mut(id) else { return };
        let before = open.connection.peer();
        let heard = open.connection.heard();
        let since_asked = open.asked.is_some_and(|asked| asked.address == from && heard <= asked.first);
        if !open.connection.is_encrypted() && !since_asked && now < heard + SILENCE {
            self.counters.stray += 1;
            return;
        }
        open.connection.move_to(now, from);
        let caller = self.table.caller(id);
        self.table.moved(id, from);
        // A handshake of its that was long on its way must not look like a new caller's.
        if self.table.count(State::Gone) < MOST_GONE
            && let (Some(caller), Some(ghost)) = (caller, self.free_id())
        {
            self.table.insert(ghost, caller, Entry::Gone);
            self.table.schedule(ghost, now + GONE_FOR);
        }
        self.table.make_dirty(id);
        self.counters.moves += 1;
        self.events.push_back(ListenerEvent::Moved { id, from: before, to: from });
    }

    fn ask(&mut self, now: Instant, id: SocketId, from: SocketAddr, number: u32, datagram: &mut [u8]) {
        self.counters.stray += 1;
        let Some(Entry::Open(open)) = self.table.get_mut(id) else { return };
        let is_data = crate::core::packet::is_data(datagram);
        if open.connection.over().is_some() || (is_data && !open.connection.is_plausible(datagram)) {
            return;
        }
        if open.asked.is_some_and(|asked| now < asked.last + ASK_PAUSE) {
            return;
        }
        let before =
            open.asked.filter(|asked| asked.address == from && open.connection.heard() <= asked.first);
        let first = before.map_or(now, |asked| asked.first);
        open.asked = Some(Asked { address: from, first, last: now });
        let ack = open.connection.challenge(now, number);
        self.counters.challenges += 1;
        self.reply(from, |bytes| bytes.extend_from_slice(&ack));
    }
}
