//! UDP sockets: buffer sizes and what their errors mean.
//!
//! What does not belong here: anything of SRT.

use std::io;

use tokio::net::UdpSocket;

/// What a keyframe burst of many streams needs while the driver is busy.
#[cfg(unix)]
const BUFFER_BYTES: usize = 8 << 20;

/// Enlarges the socket's buffers as far as the system lets us; SRT repairs what a smaller one loses.
#[cfg(unix)]
pub(crate) fn enlarge_buffers(socket: &UdpSocket) {
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
pub(crate) fn enlarge_buffers(_socket: &UdpSocket) {}

/// Whether an error says that nobody listens at the peer's port (ICMP port unreachable).
pub(crate) fn is_refused(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::ConnectionRefused | io::ErrorKind::ConnectionReset)
}
