//! Opens UDP sockets, and knows what their errors mean.

use std::io;
use std::net::{SocketAddr, UdpSocket};

/// What a keyframe burst of many streams needs while a thread is busy.
#[cfg(unix)]
const BUFFER_BYTES: usize = 8 << 20;

/// As many sockets at one address as asked for, where the system shares a port among several; else one. Each peer's
/// datagrams come to one of them.
///
/// # Errors
/// The system's.
#[cfg(target_os = "linux")]
pub(crate) fn bind_workers(addr: SocketAddr, count: usize) -> io::Result<Vec<UdpSocket>> {
    if count < 2 {
        return Ok(vec![bind(addr)?]);
    }
    if addr.port() != 0 {
        // A socket that shares its port would share it with another program's, too.
        drop(UdpSocket::bind(addr)?);
    }
    let first = bind_shared(addr)?;
    let addr = first.local_addr()?;
    let mut sockets = vec![first];
    for _ in 1..count {
        sockets.push(bind_shared(addr)?);
    }
    Ok(sockets)
}

#[cfg(not(target_os = "linux"))]
pub(crate) fn bind_workers(addr: SocketAddr, _count: usize) -> io::Result<Vec<UdpSocket>> {
    Ok(vec![bind(addr)?])
}

#[cfg(target_os = "linux")]
fn bind_shared(addr: SocketAddr) -> io::Result<UdpSocket> {
    use rustix::net::{AddressFamily, SocketFlags, SocketType, bind, socket_with, sockopt};
    let family = if addr.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = socket_with(family, SocketType::DGRAM, flags, None)?;
    sockopt::set_socket_reuseport(&socket, true)?;
    bind(&socket, &addr)?;
    let socket = UdpSocket::from(socket);
    enlarge_buffers(&socket);
    Ok(socket)
}

fn bind(addr: SocketAddr) -> io::Result<UdpSocket> {
    let socket = UdpSocket::bind(addr)?;
    socket.set_nonblocking(true)?;
    enlarge_buffers(&socket);
    Ok(socket)
}

/// A socket that takes and sends datagrams of one peer only, so that its ICMP errors reach us.
///
/// # Errors
/// The system's.
pub(crate) fn connect(peer: SocketAddr, local: Option<SocketAddr>) -> io::Result<UdpSocket> {
    let any = if peer.is_ipv4() { SocketAddr::from(([0; 4], 0)) } else { SocketAddr::from(([0_u16; 8], 0)) };
    let socket = bind(local.unwrap_or(any))?;
    socket.connect(peer)?;
    Ok(socket)
}

/// Enlarges the socket's buffers as far as the system lets us; SRT repairs what a smaller one loses.
#[cfg(unix)]
fn enlarge_buffers(socket: &UdpSocket) {
    use rustix::net::sockopt;
    // The forced variant passes the system's limit where we are privileged.
    #[cfg(target_os = "linux")]
    let forced = sockopt::set_socket_recv_buffer_size_force(socket, BUFFER_BYTES).is_ok();
    #[cfg(not(target_os = "linux"))]
    let forced = false;
    if !forced && let Err(error) = sockopt::set_socket_recv_buffer_size(socket, BUFFER_BYTES) {
        tracing::debug!(%error, "SRT socket keeps its receive buffer size");
    }
    if let Err(error) = sockopt::set_socket_send_buffer_size(socket, BUFFER_BYTES / 4) {
        tracing::debug!(%error, "SRT socket keeps its send buffer size");
    }
}

/// Other systems grow their buffers by themselves.
#[cfg(not(unix))]
fn enlarge_buffers(_socket: &UdpSocket) {}

/// What the socket's receive buffer takes, with the system's own overhead for each datagram.
pub(crate) fn receive_buffer_bytes(socket: &UdpSocket) -> usize {
    #[cfg(unix)]
    let bytes = rustix::net::sockopt::socket_recv_buffer_size(socket).unwrap_or(0);
    #[cfg(not(unix))]
    let (bytes, _) = (0, socket);
    bytes
}

/// Whether an error says that nobody listens at the peer's port (ICMP port unreachable).
pub(crate) fn is_refused(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::ConnectionRefused | io::ErrorKind::ConnectionReset)
}

/// Whether an error says that our own address or the way from it is gone.
pub(crate) fn is_gone(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::AddrNotAvailable
            | io::ErrorKind::NetworkUnreachable
            | io::ErrorKind::HostUnreachable
            | io::ErrorKind::NetworkDown
            | io::ErrorKind::InvalidInput
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn workers_share_a_port_that_nobody_else_gets() {
        let sockets = bind_workers(SocketAddr::from(([127, 0, 0, 1], 0)), 3).unwrap();
        let addr = sockets[0].local_addr().unwrap();
        assert!(sockets.iter().all(|socket| socket.local_addr().unwrap() == addr));
        assert!(bind_workers(addr, 2).is_err());
        assert!(bind_workers(addr, 1).is_err());
        drop(sockets);
        assert!(bind_workers(addr, 2).is_ok());
    }
}
