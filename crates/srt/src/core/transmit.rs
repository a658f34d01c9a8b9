//! A batch of outgoing datagrams, back to back in one buffer, so that a driver can hand runs of one size and one peer
//! to the kernel in a single call.
//!
//! Cleared, it keeps its memory: steady state allocates nothing.
//!
//! What does not belong here: pacing (the sender's), sockets (the driver's).

use std::net::SocketAddr;

/// Where one datagram of a batch goes, and its size.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Datagram {
    /// The peer.
    pub to: SocketAddr,
    /// Its bytes.
    pub len: usize,
}

/// Datagrams to send, in order.
#[derive(Clone, Debug, Default)]
pub struct Transmits {
    bytes: Vec<u8>,
    datagrams: Vec<Datagram>,
}

impl Transmits {
    /// An empty batch, without memory of its own yet.
    pub const fn new() -> Self {
        Self { bytes: Vec::new(), datagrams: Vec::new() }
    }

    /// Appends a copy of `datagram`; an empty one is ignored.
    pub fn push(&mut self, to: SocketAddr, datagram: &[u8]) {
        self.push_with(to, |bytes| bytes.extend_from_slice(datagram));
    }

    /// Appends what `write` appends to the buffer. It must not touch what is there already: the buffer holds all
    /// datagrams before this one. Where it appends nothing, no datagram comes of it.
    pub fn push_with(&mut self, to: SocketAddr, write: impl FnOnce(&mut Vec<u8>)) {
        let before = self.bytes.len();
        write(&mut self.bytes);
        debug_assert!(self.bytes.len() >= before, "a writer only appends");
        let len = self.bytes.len().saturating_sub(before);
        if len > 0 {
            self.datagrams.push(Datagram { to, len });
        }
    }

    /// How many datagrams there are.
    pub fn len(&self) -> usize {
        self.datagrams.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.datagrams.is_empty()
    }

    /// Forgets all datagrams, keeps the memory.
    pub fn clear(&mut self) {
        self.bytes.clear();
        self.datagrams.clear();
    }

    /// The bytes of all datagrams together.
    pub fn total_bytes(&self) -> usize {
        self.bytes.len()
    }

    /// The datagrams in order, each with its peer.
    pub fn iter(&self) -> impl Iterator<Item = (SocketAddr, &[u8])> {
        let mut rest = self.bytes.as_slice();
        self.datagrams.iter().map_while(move |datagram| {
            let (bytes, after) = rest.split_at_checked(datagram.len)?;
            rest = after;
            Some((datagram.to, bytes))
        })
    }

    /// All datagrams' bytes, back to back.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Peers and sizes, in the order of [`Transmits::bytes`].
    pub fn sizes(&self) -> &[Datagram] {
        &self.datagrams
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn datagrams_come_out_as_they_went_in() {
        let (a, b) = (SocketAddr::from(([127, 0, 0, 1], 1)), SocketAddr::from(([127, 0, 0, 1], 2)));
        let mut batch = Transmits::new();
        batch.push(a, b"one");
        batch.push_with(b, |out| out.extend_from_slice(b"three"));
        batch.push(a, b"");
        assert_eq!(batch.iter().collect::<Vec<_>>(), [(a, b"one".as_slice()), (b, b"three".as_slice())]);
        assert_eq!((batch.len(), batch.total_bytes(), batch.bytes()), (2, 8, b"onethree".as_slice()));
        assert_eq!(batch.sizes(), [Datagram { to: a, len: 3 }, Datagram { to: b, len: 5 }]);
    }

    #[test]
    fn a_cleared_batch_is_empty_and_keeps_its_memory() {
        let mut batch = Transmits::new();
        batch.push(SocketAddr::from(([127, 0, 0, 1], 1)), &[0; 1000]);
        let capacity = batch.bytes.capacity();
        batch.clear();
        assert!(batch.is_empty());
        assert_eq!(batch.iter().count(), 0);
        assert_eq!(batch.bytes.capacity(), capacity);
    }
}
