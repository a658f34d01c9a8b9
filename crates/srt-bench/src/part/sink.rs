//! The floor: a socket, `recvmmsg`, and a sum.

use std::net::{Ipv4Addr, UdpSocket};
use std::sync::atomic::Ordering;

use anyhow::Result;

use super::{enlarge, received, say};
use crate::sys::Inbox;
use crate::wire::HEADER_BYTES;

pub(super) fn run() -> Result<()> {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
    enlarge(&socket);
    say(&format!("ready {}", socket.local_addr()?.port()));
    let received = received();
    received.answer();
    let mut inbox = Inbox::new();
    loop {
        inbox.wait(&socket)?;
        let bytes: usize =
            inbox.datagrams().map(|datagram| datagram.len().saturating_sub(HEADER_BYTES)).sum();
        received.bytes.fetch_add(bytes as u64, Ordering::Relaxed);
    }
}
