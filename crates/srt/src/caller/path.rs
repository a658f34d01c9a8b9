//! A caller's socket, and the next one when its address is gone.
//!
//! A modem that comes back has another address: what is sent from the old one goes nowhere. So when sending fails for
//! that reason, or nothing was heard for a while, the system is asked for a fresh socket to the peer; when it gives that
//! another address than the one in use, the caller goes on with it.
//!
//! What does not belong here: how the peer learns of it (the protocol's).

use std::io;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

use crate::sys::{self, Outlet, Watched};

/// Nothing heard for so long although data is under way: the address may be gone.
const SILENCE: Duration = Duration::from_millis(400);
/// The system is asked at most this often.
const PAUSE: Duration = Duration::from_millis(250);

pub(super) struct Path {
    pub(super) socket: Watched,
    pub(super) outlet: Outlet,
    peer: SocketAddr,
    configured: Option<SocketAddr>,
    local: IpAddr,
    tried: Option<Instant>,
}

impl Path {
    /// # Errors
    /// The system's, when there is no way to the peer.
    pub(super) fn new(peer: SocketAddr, configured: Option<SocketAddr>) -> io::Result<Self> {
        let socket = sys::connect(peer, configured)?;
        let local = socket.local_addr()?.ip();
        let outlet = Outlet::new(&socket, true);
        Ok(Self { socket: Watched::new(socket)?, outlet, peer, configured, local, tried: None })
    }

    /// Whether it is time to ask for another address.
    pub(super) fn is_suspect(&self, now: Instant, silence: Duration) -> bool {
        silence >= SILENCE && self.may_try(now)
    }

    /// Whether enough time has passed since the system was asked.
    pub(super) fn may_try(&self, now: Instant) -> bool {
        self.tried.is_none_or(|tried| now >= tried + PAUSE)
    }

    /// Goes on from another address if the system now has another one for us.
    pub(super) fn renew(&mut self, now: Instant) -> bool {
        self.tried = Some(now);
        if self.configured.is_some_and(|configured| !configured.ip().is_unspecified()) {
            return false;
        }
        match self.fresh() {
            Ok(None) => false,
            Ok(Some((socket, outlet, local))) => {
                tracing::info!(peer = %self.peer, from = %self.local, to = %local, "SRT caller has moved");
                (self.socket, self.outlet, self.local) = (socket, outlet, local);
                true
            }
            Err(error) => {
                tracing::debug!(%error, "no other way to the SRT peer");
                false
            }
        }
    }

    fn fresh(&self) -> io::Result<Option<(Watched, Outlet, IpAddr)>> {
        // A configured port is still taken by the socket in use.
        let socket: UdpSocket = sys::connect(self.peer, None)?;
        let local = socket.local_addr()?.ip();
        if local == self.local {
            return Ok(None);
        }
        let outlet = Outlet::new(&socket, true);
        Ok(Some((Watched::new(socket)?, outlet, local)))
    }
}
