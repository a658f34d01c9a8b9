//! UDP segmentation offload on Linux, by `quinn-udp`: a run of datagrams of one size in one call.
//!
//! What does not belong here: what happens to a run that is refused (`outlet`).

use std::io;
use std::net::{Ipv4Addr, SocketAddr};

use quinn_udp::{Transmit, UdpSocketState};
use rustix::io::Errno;

use super::socket::Socket;

/// A run is one UDP payload to the kernel.
const RUN_BYTES: usize = 60_000;

pub(super) struct Offload {
    peer: SocketAddr,
    /// `None` when the kernel refused.
    state: Option<UdpSocketState>,
    /// Datagrams in a run at most.
    pub(super) segments: usize,
    run: Vec<u8>,
}

impl Offload {
    pub(super) fn new(peer: SocketAddr) -> Self {
        let state = ask_kernel().inspect_err(|error| tracing::debug!(%error, "no UDP offload")).ok();
        let segments = state.as_ref().map_or(1, UdpSocketState::max_gso_segments);
        Self { peer, state, segments, run: Vec::new() }
    }

    pub(super) fn segments(&self) -> usize {
        self.segments
    }

    /// Sends a run that [`run_length`] has measured.
    pub(super) async fn send(&mut self, socket: &Socket, run: &[Vec<u8>]) -> io::Result<()> {
        let Some(state) = &self.state else { return Err(Errno::OPNOTSUPP.into()) };
        self.run.clear();
        run.iter().for_each(|datagram| self.run.extend_from_slice(datagram));
        let transmit = Transmit {
            destination: self.peer,
            ecn: None,
            contents: &self.run,
            segment_size: run.first().map(Vec::len),
            src_ip: None,
        };
        socket.when_writable(|socket| state.try_send(socket.into(), &transmit)).await
    }

    pub(super) fn give_up(&mut self, error: &io::Error) {
        tracing::debug!(%error, "UDP offload refused, datagrams are sent one by one");
        (self.state, self.segments) = (None, 1);
    }
}

/// What the kernel can do. A socket of its own is asked: the crate sets options on it (no fragmentation, receive
/// offload, time stamps) that a caller must not have, as a path may be narrower than our datagrams.
fn ask_kernel() -> io::Result<UdpSocketState> {
    let socket = std::net::UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
    UdpSocketState::new((&socket).into())
}

/// Whether an error says that this run cannot be offloaded: no support in the kernel (EINVAL, EOPNOTSUPP) or the
/// driver (EIO), or a path that is narrower than a datagram (EMSGSIZE; earlier EINVAL).
pub(super) fn is_refusal(error: &io::Error) -> bool {
    let errno = Errno::from_io_error(error);
    matches!(errno, Some(Errno::INVAL | Errno::IO | Errno::MSGSIZE | Errno::OPNOTSUPP))
}

/// How many of the first datagrams can go together: of one size, but the last may be shorter.
pub(super) fn run_length(datagrams: &[Vec<u8>], segments: usize) -> usize {
    let size = datagrams.first().map_or(0, Vec::len);
    let most = segments.min(RUN_BYTES.checked_div(size).unwrap_or(1)).max(1);
    let equal = datagrams.iter().take(most).take_while(|datagram| datagram.len() == size).count();
    let ends = equal < most && datagrams.get(equal).is_some_and(|last| !last.is_empty() && last.len() < size);
    equal + usize::from(ends)
}
