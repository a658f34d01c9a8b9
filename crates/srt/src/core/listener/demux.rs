//! Datagrams to their connections.

use std::net::SocketAddr;
use std::time::Instant;

use super::table::Entry;
use super::{Listener, Nowhere, Sinks, sink_of};
use crate::core::packet::{Body, Packet, destination, is_data};

impl Listener {
    /// Takes a datagram.
    pub fn handle_datagram(
        &mut self,
        now: Instant,
        from: SocketAddr,
        datagram: &mut [u8],
        sinks: &mut dyn Sinks,
    ) {
        self.counters.received_bytes += datagram.len() as u64;
        let Some(id) = destination(datagram) else {
            self.counters.malformed += 1;
            return;
        };
        if !is_data(datagram) && self.is_handshake(now, from, datagram) {
            return;
        }
        match self.table.get_mut(id) {
            Some(Entry::Open(open)) if open.connection.peer() == from => {
                open.connection.handle_datagram(now, datagram, sink_of(sinks, id, &mut Nowhere));
                self.settle(now, id);
            }
            Some(Entry::Open(_)) => self.take_from_elsewhere(now, id, from, datagram),
            // A caller may send before it knows that it was let in.
            Some(Entry::Waiting(_) | Entry::Refused(_) | Entry::Gone) => {}
            None => self.counters.stray += 1,
        }
    }

    /// Takes handshakes and what is no packet; they are for nobody's connection.
    fn is_handshake(&mut self, now: Instant, from: SocketAddr, datagram: &[u8]) -> bool {
        match Packet::parse(datagram) {
            Ok(Packet::Control(control)) => {
                let Body::Handshake(handshake) = &control.body else { return false };
                self.handshake(now, from, control.stamp, handshake);
                true
            }
            Ok(Packet::Data(_)) => false,
            Err(_) => {
                self.counters.malformed += 1;
                true
            }
        }
    }
}
