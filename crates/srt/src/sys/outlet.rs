//! Sends a batch with as few calls as the system allows.
//!
//! On Linux, a run of datagrams of one size to one peer is one message (UDP GSO, Linux 4.18), which passes the network
//! stack once, and many messages go by one call. Where the kernel or a driver refuses runs, and on other systems, each
//! datagram is sent by itself.
//!
//! What does not belong here: when and what to send; what an error means to a connection.

use std::io;
use std::net::UdpSocket;

use crate::core::transmit::{Datagram, Transmits};
#[cfg(target_os = "linux")]
use crate::sys::linux::{RUNS, Run, send, splits_runs};

/// A run is one UDP payload to the kernel.
#[cfg(target_os = "linux")]
const RUN_BYTES: usize = 60_000;
/// What every kernel with GSO takes in one run.
#[cfg(target_os = "linux")]
const RUN_DATAGRAMS: usize = 64;

/// The way out of one socket.
#[derive(Debug)]
pub(crate) struct Outlet {
    /// The socket knows its peer.
    connected: bool,
    /// Datagrams in a run at most; 1 where the system knows no runs.
    segments: usize,
}

/// How far a batch has been sent.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Progress {
    datagrams: usize,
    bytes: usize,
}

impl Outlet {
    /// The way out of `socket`; connected means to its only peer.
    #[cfg(target_os = "linux")]
    pub(crate) fn new(socket: &UdpSocket, connected: bool) -> Self {
        Self { connected, segments: if splits_runs(socket) { RUN_DATAGRAMS } else { 1 } }
    }

    #[cfg(not(target_os = "linux"))]
    pub(crate) fn new(_socket: &UdpSocket, connected: bool) -> Self {
        Self { connected, segments: 1 }
    }

    /// Sends what `progress` says is left, without waiting, and tells `failed` of each error but "no room now": what
    /// failed counts as lost on the way.
    ///
    /// # Errors
    /// [`io::ErrorKind::WouldBlock`]: the rest is left.
    pub(crate) fn send(
        &mut self,
        socket: &UdpSocket,
        batch: &Transmits,
        progress: &mut Progress,
        mut failed: impl FnMut(&io::Error),
    ) -> io::Result<()> {
        while let Some(rest) = batch.sizes().get(progress.datagrams..).filter(|rest| !rest.is_empty()) {
            match self.send_some(socket, batch.bytes(), rest, progress) {
                Ok(()) => {}
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if is_full(&error) => return Err(io::ErrorKind::WouldBlock.into()),
                Err(error) if self.segments > 1 && is_refusal(&error) => {
                    tracing::debug!(%error, "UDP GSO refused, datagrams are sent one by one");
                    self.segments = 1;
                }
                Err(error) => {
                    failed(&error);
                    // With a run, all of it would meet the same end.
                    self.skip(rest, progress);
                }
            }
        }
        Ok(())
    }

    #[cfg(target_os = "linux")]
    fn send_some(
        &self,
        socket: &UdpSocket,
        bytes: &[u8],
        rest: &[Datagram],
        progress: &mut Progress,
    ) -> io::Result<()> {
        let mut runs = [Run::default(); RUNS];
        let count = self.plan(rest, progress.bytes, &mut runs);
        let runs = runs.get(..count).unwrap_or_default();
        let sent = send(socket, bytes, runs)?;
        for run in runs.iter().take(sent) {
            progress.datagrams += run.datagrams;
            progress.bytes += run.len;
        }
        Ok(())
    }

    #[cfg(not(target_os = "linux"))]
    fn send_some(
        &self,
        socket: &UdpSocket,
        bytes: &[u8],
        rest: &[Datagram],
        progress: &mut Progress,
    ) -> io::Result<()> {
        let Some(next) = rest.first() else { return Ok(()) };
        let contents = bytes.get(progress.bytes..).and_then(|rest| rest.get(..next.len)).unwrap_or_default();
        if self.connected {
            socket.send(contents)?
        } else {
            socket.send_to(contents, next.to)?
        };
        progress.datagrams += 1;
        progress.bytes += next.len;
        Ok(())
    }

    /// Passes over the first run.
    #[cfg(target_os = "linux")]
    fn skip(&self, rest: &[Datagram], progress: &mut Progress) {
        let count = run_length(rest, self.segments).max(1);
        progress.datagrams += count;
        progress.bytes += rest.iter().take(count).map(|datagram| datagram.len).sum::<usize>();
    }

    #[cfg(not(target_os = "linux"))]
    fn skip(&self, rest: &[Datagram], progress: &mut Progress) {
        progress.datagrams += 1;
        progress.bytes += rest.first().map_or(0, |datagram| datagram.len);
    }

    /// Puts the first datagrams into runs.
    #[cfg(target_os = "linux")]
    fn plan(&self, mut rest: &[Datagram], mut at: usize, runs: &mut [Run]) -> usize {
        let mut count = 0;
        for run in runs {
            let Some(first) = rest.first() else { break };
            let datagrams = run_length(rest, self.segments).max(1);
            let (these, after) = rest.split_at(datagrams.min(rest.len()));
            let len = these.iter().map(|datagram| datagram.len).sum();
            let segment = if datagrams > 1 { u16::try_from(first.len).unwrap_or(0) } else { 0 };
            let to = if self.connected { None } else { Some(first.to) };
            *run = Run { to, at, len, segment, datagrams };
            at += len;
            rest = after;
            count += 1;
        }
        count
    }
}

/// How many of the first datagrams can go together: to one peer, of one size, but the last may be shorter.
#[cfg(target_os = "linux")]
fn run_length(datagrams: &[Datagram], segments: usize) -> usize {
    let Some(first) = datagrams.first() else { return 0 };
    let most = segments.min(RUN_BYTES.checked_div(first.len).unwrap_or(1)).max(1);
    let equal = datagrams.iter().take(most).take_while(|datagram| *datagram == first).count();
    let ends =
        equal < most && datagrams.get(equal).is_some_and(|last| last.to == first.to && last.len < first.len);
    equal + usize::from(ends)
}

/// No room in the socket's buffer or the interface's queue.
fn is_full(error: &io::Error) -> bool {
    #[cfg(unix)]
    let queue_full = rustix::io::Errno::from_io_error(error) == Some(rustix::io::Errno::NOBUFS);
    #[cfg(not(unix))]
    let queue_full = false;
    queue_full || error.kind() == io::ErrorKind::WouldBlock
}

/// Whether an error says that runs cannot be sent: no support in the kernel (EINVAL, EOPNOTSUPP) or the driver (EIO),
/// or a path that is narrower than a datagram (EMSGSIZE; earlier EINVAL).
#[cfg(target_os = "linux")]
fn is_refusal(error: &io::Error) -> bool {
    use rustix::io::Errno;
    let errno = Errno::from_io_error(error);
    matches!(errno, Some(Errno::INVAL | Errno::IO | Errno::MSGSIZE | Errno::OPNOTSUPP))
}

#[cfg(not(target_os = "linux"))]
fn is_refusal(_error: &io::Error) -> bool {
    false
}

#[cfg(all(test, target_os = "linux"))]
mod tests;
