//! Cookies and address challenges: keyed hashes that prove that somebody receives at an address, without state.
//!
//! Invariant: nobody without the key can make one for an address at which he does not receive.

use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use crate::core::connection::Random;
use crate::core::seq::SocketId;

/// A cookie is valid in the epoch that it was made in and in the next.
const EPOCH: Duration = Duration::from_secs(60);

pub(crate) struct CookieJar {
    key: [u8; 32],
    began: Instant,
}

impl CookieJar {
    pub(crate) fn new(now: Instant, random: &mut Random) -> Self {
        let mut key = [0; 32];
        random(&mut key);
        Self { key, began: now }
    }

    /// The cookie of a peer, never 0.
    pub(crate) fn cookie(&self, now: Instant, peer: SocketAddr) -> u32 {
        self.cookie_of(self.epoch(now), peer)
    }

    pub(crate) fn is_valid(&self, now: Instant, peer: SocketAddr, cookie: u32) -> bool {
        let epoch = self.epoch(now);
        cookie == self.cookie_of(epoch, peer)
            || epoch.checked_sub(1).is_some_and(|before| cookie == self.cookie_of(before, peer))
    }

    /// The ACK number that proves that a connection's peer receives at an address, once: after the next of its `moves`
    /// it is another. The highest bit keeps it apart from the numbers of acknowledgements.
    pub(crate) fn challenge(&self, id: SocketId, moves: u64, peer: SocketAddr) -> u32 {
        self.hash(b'a', u64::from(id.0) << 32 | moves & 0xFFFF_FFFF, peer) | 1 << 31
    }

    fn epoch(&self, now: Instant) -> u64 {
        now.saturating_duration_since(self.began).as_secs() / EPOCH.as_secs()
    }

    fn cookie_of(&self, epoch: u64, peer: SocketAddr) -> u32 {
        self.hash(b'c', epoch, peer).max(1)
    }

    fn hash(&self, purpose: u8, number: u64, peer: SocketAddr) -> u32 {
        let ip = match peer.ip() {
            IpAddr::V4(ip) => ip.to_ipv6_mapped(),
            IpAddr::V6(ip) => ip,
        };
        let mut input = [0; 27];
        input[0] = purpose;
        input[1..9].copy_from_slice(&number.to_be_bytes());
        input[9..25].copy_from_slice(&ip.octets());
        input[25..].copy_from_slice(&peer.port().to_be_bytes());
        let hash = blake3::keyed_hash(&self.key, &input);
        let [a, b, c, d, ..] = *hash.as_bytes();
        u32::from_be_bytes([a, b, c, d])
    }
}
