//! A UDP port that leads through the link.
//!
//! Each client's source address is mapped to a socket of its own towards the server, as a NAT does; the server's
//! answers find their way back by it.

use std::{
    collections::HashMap,
    io,
    net::{Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket},
    sync::Arc,
    time::{Duration, Instant},
};

use bytes::Bytes;

use super::{
    Link, Task,
    carrier::{Carrier, Item},
    conditions::Direction,
};

/// Clients at once; the one that was silent for longest makes room for the next.
const MAX_CLIENTS: usize = 1024;
/// A mapping that carried nothing from its client for so long is forgotten.
const IDLE: Duration = Duration::from_secs(120);
/// A burst must not be lost in the proxy's own sockets.
#[cfg(unix)]
const SOCKET_BUFFER_BYTES: usize = 4 << 20;

/// A UDP port on loopback; closes when dropped.
#[derive(Debug)]
pub struct UdpProxy {
    addr: SocketAddr,
    _task: Task,
    _link: Link,
}

impl UdpProxy {
    pub(super) fn open(link: Link, to: SocketAddr) -> io::Result<Self> {
        let front = socket(to)?;
        let addr = front.local_addr()?;
        let inward = tokio::net::UdpSocket::from_std(front.try_clone()?)?;
        let proxy = Front {
            carrier: Arc::clone(link.carrier()),
            to,
            front: Arc::new(front),
            clients: HashMap::new(),
        };
        Ok(Self { addr, _task: Task::spawn(proxy.run(inward)), _link: link })
    }

    /// Where clients send to.
    #[must_use]
    pub const fn addr(&self) -> SocketAddr {
        self.addr
    }
}

struct Front {
    carrier: Arc<Carrier>,
    to: SocketAddr,
    front: Arc<UdpSocket>,
    clients: HashMap<SocketAddr, Mapping>,
}

struct Mapping {
    towards_server: Arc<UdpSocket>,
    last_used: Instant,
    made_at_rebind: u64,
    _answers: Task,
}

impl Front {
    async fn run(mut self, inward: tokio::net::UdpSocket) {
        let mut buffer = vec![0; 65_536];
        loop {
            // An error belongs to an earlier datagram (ICMP) and says nothing about the next.
            let Ok((len, client)) = inward.recv_from(&mut buffer).await else { continue };
            match self.mapping(client) {
                Ok(through) => {
                    let item =
                        Item::Datagram { through, to: None, payload: Bytes::copy_from_slice(&buffer[..len]) };
                    self.carrier.offer_datagram(Direction::ToVault, len, item);
                }
                Err(error) => tracing::warn!(%client, %error, "no socket for a client of the link"),
            }
        }
    }

    fn mapping(&mut self, client: SocketAddr) -> io::Result<Arc<UdpSocket>> {
        let (now, rebinds) = (Instant::now(), self.carrier.rebinds());
        if let Some(mapping) =
            self.clients.get_mut(&client).filter(|mapping| mapping.made_at_rebind == rebinds)
        {
            mapping.last_used = now;
            return Ok(Arc::clone(&mapping.towards_server));
        }
        self.clients.retain(|_, mapping| mapping.made_at_rebind == rebinds && now - mapping.last_used < IDLE);
        if self.clients.len() >= MAX_CLIENTS {
            let oldest =
                self.clients.iter().min_by_key(|(_, mapping)| mapping.last_used).map(|(addr, _)| *addr);
            oldest.map(|addr| self.clients.remove(&addr));
        }
        let towards_server = socket(self.to)?;
        towards_server.connect(self.to)?;
        let answers = tokio::net::UdpSocket::from_std(towards_server.try_clone()?)?;
        let carrying =
            carry_answers(Arc::clone(&self.carrier), answers, Arc::clone(&self.front), client, rebinds);
        let mapping = Mapping {
            towards_server: Arc::new(towards_server),
            last_used: now,
            made_at_rebind: rebinds,
            _answers: Task::spawn(carrying),
        };
        let through = Arc::clone(&mapping.towards_server);
        self.clients.insert(client, mapping);
        Ok(through)
    }
}

async fn carry_answers(
    carrier: Arc<Carrier>,
    answers: tokio::net::UdpSocket,
    front: Arc<UdpSocket>,
    client: SocketAddr,
    rebinds: u64,
) {
    let mut buffer = vec![0; 65_536];
    loop {
        let Ok(len) = answers.recv(&mut buffer).await else { continue };
        if carrier.rebinds() != rebinds {
            return;
        }
        let payload = Bytes::copy_from_slice(&buffer[..len]);
        let item = Item::Datagram { through: Arc::clone(&front), to: Some(client), payload };
        carrier.offer_datagram(Direction::ToVehicle, len, item);
    }
}

/// A non-blocking socket on the loopback address of `to`'s family.
fn socket(to: SocketAddr) -> io::Result<UdpSocket> {
    let socket = match to {
        SocketAddr::V4(_) => UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)),
        SocketAddr::V6(_) => UdpSocket::bind((Ipv6Addr::LOCALHOST, 0)),
    }?;
    socket.set_nonblocking(true)?;
    enlarge_buffers(&socket);
    Ok(socket)
}

/// As far as the system allows; without it a burst may be lost, as on any network.
#[cfg(unix)]
fn enlarge_buffers(socket: &UdpSocket) {
    let _ = rustix::net::sockopt::set_socket_recv_buffer_size(socket, SOCKET_BUFFER_BYTES);
    let _ = rustix::net::sockopt::set_socket_send_buffer_size(socket, SOCKET_BUFFER_BYTES);
}

#[cfg(not(unix))]
const fn enlarge_buffers(_: &UdpSocket) {}
