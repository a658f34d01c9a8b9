//! Ports on loopback that nobody uses at the moment.
//!
//! They lie below the range from which the kernel takes source ports, and one process is never given the same one
//! twice; another process could still take one before it is used.

use std::{
    collections::HashSet,
    net::{Ipv4Addr, TcpListener, UdpSocket},
    sync::{Mutex, PoisonError},
};

const RANGE: std::ops::Range<u16> = 18_000..32_000;

/// A port that is free for UDP and TCP alike.
///
/// # Panics
/// When none is found.
#[must_use]
pub fn free_port() -> u16 {
    find(|port| udp_is_free(port) && tcp_is_free(port))
}

/// A free UDP port.
///
/// # Panics
/// When none is found.
#[must_use]
pub fn free_udp_port() -> u16 {
    find(udp_is_free)
}

/// A free TCP port.
///
/// # Panics
/// When none is found.
#[must_use]
pub fn free_tcp_port() -> u16 {
    find(tcp_is_free)
}

fn udp_is_free(port: u16) -> bool {
    UdpSocket::bind((Ipv4Addr::LOCALHOST, port)).is_ok()
}

fn tcp_is_free(port: u16) -> bool {
    TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok()
}

fn find(is_free: impl Fn(u16) -> bool) -> u16 {
    static GIVEN: Mutex<Option<HashSet<u16>>> = Mutex::new(None);
    let mut given = GIVEN.lock().unwrap_or_else(PoisonError::into_inner);
    let given = given.get_or_insert_default();
    // Not seeded on purpose: test processes that run side by side must not try the same ports.
    let mut tries = std::iter::repeat_with(|| fastrand::u16(RANGE)).take(10_000);
    tries.find(|port| is_free(*port) && given.insert(*port)).expect("some port on loopback is free")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_is_given_once_and_can_be_bound() {
        let ports: HashSet<u16> = (0..50).map(|_| free_port()).collect();
        assert_eq!(ports.len(), 50);
        let port = free_port();
        assert!(
            UdpSocket::bind(("127.0.0.1", port)).is_ok() && TcpListener::bind(("127.0.0.1", port)).is_ok()
        );
    }
}
