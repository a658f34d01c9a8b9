//! A TCP port that leads through the link.
//!
//! Each connection is four small loops: a reader and a writer each way, with the lane between them. A reader takes
//! bytes from its socket only when the lane has room, so the sender feels the link as backpressure.

use std::{
    io,
    net::{Ipv4Addr, Ipv6Addr, SocketAddr},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use bytes::Bytes;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, Interest},
    net::{
        TcpListener, TcpSocket, TcpStream,
        tcp::{ReadHalf, WriteHalf},
    },
    sync::{Notify, mpsc},
    task::JoinSet,
};

use super::{
    Link, Task,
    carrier::{Carrier, Item, Now, StreamItem},
    conditions::{Direction, Mode},
    lane::FlowId,
};

/// Small, so that what a sender has handed to the kernel is not far from what is on the wire.
const RECEIVE_BUFFER_BYTES: u32 = 128 * 1024;
const BACKLOG: u32 = 1024;
/// Connections that wait for the end of a black hole; more are reset.
const MAX_PARKED: usize = 1024;

/// A TCP port on loopback; closes, and resets its connections, when dropped.
#[derive(Debug)]
pub struct TcpProxy {
    addr: SocketAddr,
    _task: Task,
    _link: Link,
}

impl TcpProxy {
    pub(super) fn open(link: Link, to: SocketAddr) -> io::Result<Self> {
        let any = match to {
            SocketAddr::V4(_) => SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            SocketAddr::V6(_) => SocketAddr::from((Ipv6Addr::LOCALHOST, 0)),
        };
        // Bound and never listening: it keeps the port while the listener is closed, and refuses connections.
        let holder = bound(any)?;
        let addr = holder.local_addr()?;
        let listener = Listener::open(addr)?;
        let port = Port { _holder: holder, addr, to, carrier: Arc::clone(link.carrier()) };
        Ok(Self { addr, _task: Task::spawn(port.run(Some(listener))), _link: link })
    }

    /// Where clients connect to.
    #[must_use]
    pub const fn addr(&self) -> SocketAddr {
        self.addr
    }
}

fn bound(addr: SocketAddr) -> io::Result<TcpSocket> {
    let socket = socket_for(addr)?;
    socket.set_reuseaddr(true)?;
    socket.bind(addr)?;
    Ok(socket)
}

fn socket_for(addr: SocketAddr) -> io::Result<TcpSocket> {
    let socket = if addr.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    socket.set_recv_buffer_size(RECEIVE_BUFFER_BYTES)?;
    Ok(socket)
}

struct Port {
    _holder: TcpSocket,
    addr: SocketAddr,
    to: SocketAddr,
    carrier: Arc<Carrier>,
}

impl Port {
    async fn run(self, mut listener: Option<Listener>) {
        let mut modes = self.carrier.mode();
        let mut connections = JoinSet::new();
        // Came during a black hole: served once the link is up.
        let mut parked: Vec<Peer> = Vec::new();
        let mut black_holes_over = 0;
        loop {
            let Now { mode, black_holes } = *modes.borrow_and_update();
            if mode == Mode::Up && black_holes > black_holes_over {
                black_holes_over = black_holes;
                listener.iter().for_each(|open| open.accept_waiting(&mut parked));
                for client in parked.drain(..) {
                    connections.spawn(self.connection().run_if_wanted(client));
                }
            }
            let changed = match (mode, &listener) {
                (Mode::Refuse | Mode::Cut, _) => {
                    listener = None;
                    parked.clear();
                    modes.changed().await
                }
                (Mode::Up | Mode::BlackHole, None) => {
                    listener = self.listen().await;
                    Ok(())
                }
                (Mode::Up | Mode::BlackHole, Some(open)) => tokio::select! {
                    biased;
                    changed = modes.changed() => changed,
                    accepted = open.listener.accept() => {
                        match accepted {
                            Ok((client, _)) if mode == Mode::Up => {
                                connections.spawn(self.connection().run(Peer::new(client)));
                            }
                            Ok((client, _)) if parked.len() < MAX_PARKED => parked.push(Peer::new(client)),
                            _ => {}
                        }
                        Ok(())
                    }
                    Some(_) = connections.join_next() => Ok(()),
                },
            };
            if changed.is_err() {
                return;
            }
        }
    }

    fn connection(&self) -> Connection {
        let (id, reset) = self.carrier.open_flow();
        Connection {
            carrier: Arc::clone(&self.carrier),
            to: self.to,
            id,
            reset,
            opened: Instant::now(),
            delivered_bytes: AtomicU64::new(0),
        }
    }

    async fn listen(&self) -> Option<Listener> {
        let listener = Listener::open(self.addr);
        if let Err(error) = &listener {
            tracing::warn!(addr = %self.addr, %error, "the link cannot listen again yet");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        listener.ok()
    }
}

struct Listener {
    listener: TcpListener,
    /// The same socket, to be asked without waiting for the runtime to hear about it.
    direct: std::net::TcpListener,
}

impl Listener {
    fn open(addr: SocketAddr) -> io::Result<Self> {
        let direct = bound(addr)?.listen(BACKLOG)?.into_std()?;
        Ok(Self { listener: TcpListener::from_std(direct.try_clone()?)?, direct })
    }

    /// Takes whoever is in the accept queue.
    fn accept_waiting(&self, parked: &mut Vec<Peer>) {
        while let Ok((client, _)) = self.direct.accept() {
            let stream = client.set_nonblocking(true).and_then(|()| TcpStream::from_std(client));
            parked.extend(stream.map(Peer::new).ok().filter(|_| parked.len() < MAX_PARKED));
        }
    }
}

/// One side's socket; resets its connection when dropped, unless both sides had finished.
struct Peer {
    stream: TcpStream,
    finished: bool,
}

impl Peer {
    fn new(stream: TcpStream) -> Self {
        // Without it small requests wait for acknowledgements; nothing else depends on it.
        let _ = stream.set_nodelay(true);
        Self { stream, finished: false }
    }

    /// Whether a client that was never served has closed its side: its request would never have left it.
    async fn gave_up(&self) -> bool {
        // The runtime has heard of all that has happened by now once it has slept.
        tokio::time::sleep(Duration::from_millis(2)).await;
        let nothing_yet = std::future::ready(());
        tokio::select! {
            biased;
            ready = self.stream.ready(Interest::READABLE) => ready.is_ok_and(|ready| ready.is_read_closed()),
            () = nothing_yet => false,
        }
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        if !self.finished {
            let _ = self.stream.set_zero_linger();
        }
    }
}

/// The connection ends otherwise than by both sides closing it.
struct Broken;

impl From<io::Error> for Broken {
    fn from(_: io::Error) -> Self {
        Self
    }
}

struct Connection {
    carrier: Arc<Carrier>,
    to: SocketAddr,
    id: FlowId,
    reset: Arc<Notify>,
    opened: Instant,
    delivered_bytes: AtomicU64,
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.carrier.close_flow(self.id);
    }
}

impl Connection {
    async fn run_if_wanted(self, client: Peer) {
        if !client.gave_up().await {
            self.run(client).await;
        }
    }

    async fn run(self, mut client: Peer) {
        tokio::select! {
            biased;
            () = self.reset.notified() => {}
            () = self.outlived() => {}
            _ = self.serve(&mut client) => {}
        }
    }

    async fn serve(&self, client: &mut Peer) -> Result<(), Broken> {
        // The handshake's way there and back.
        tokio::time::sleep(self.carrier.conditions().round_trip()).await;
        let mut server = Peer::new(socket_for(self.to)?.connect(self.to).await?);
        let (mut from_client, mut to_client) = client.stream.split();
        let (mut from_server, mut to_server) = server.stream.split();
        tokio::try_join!(
            self.carry(Direction::ToVault, &mut from_client, &mut to_server),
            self.carry(Direction::ToVehicle, &mut from_server, &mut to_client),
        )?;
        client.finished = true;
        server.finished = true;
        Ok(())
    }

    async fn carry(
        &self,
        direction: Direction,
        from: &mut ReadHalf<'_>,
        to: &mut WriteHalf<'_>,
    ) -> Result<(), Broken> {
        // Holds no more than the lane's window for this flow.
        let (into, arrivals) = mpsc::unbounded_channel();
        tokio::try_join!(self.send(direction, from, into), self.receive(direction, arrivals, to))?;
        Ok(())
    }

    async fn send(
        &self,
        direction: Direction,
        from: &mut ReadHalf<'_>,
        into: mpsc::UnboundedSender<StreamItem>,
    ) -> Result<(), Broken> {
        let mut buffer = vec![0; 16 * 1024];
        loop {
            let room = tokio::select! {
                room = self.carrier.stream_room(direction, self.id) => room.min(buffer.len()),
                () = self.spoken_in_refusal(from) => return Err(Broken),
            };
            let len = from.read(&mut buffer[..room]).await?;
            if self.carrier.mode().borrow().mode == Mode::Refuse {
                return Err(Broken);
            }
            let data = match len {
                0 => StreamItem::End,
                _ => StreamItem::Data(Bytes::copy_from_slice(&buffer[..len])),
            };
            self.carrier.offer_stream(direction, self.id, len, Item::Stream { into: into.clone(), data });
            if len == 0 {
                return Ok(());
            }
        }
    }

    /// Returns when this side speaks while the link refuses: no room is given then, so nothing would be read.
    async fn spoken_in_refusal(&self, from: &ReadHalf<'_>) {
        let mut modes = self.carrier.mode();
        loop {
            let refusing = modes.borrow_and_update().mode == Mode::Refuse;
            tokio::select! {
                biased;
                changed = modes.changed() => if changed.is_err() { return },
                _ = from.ready(Interest::READABLE), if refusing => return,
            }
        }
    }

    async fn receive(
        &self,
        direction: Direction,
        mut arrivals: mpsc::UnboundedReceiver<StreamItem>,
        to: &mut WriteHalf<'_>,
    ) -> Result<(), Broken> {
        while let Some(StreamItem::Data(data)) = arrivals.recv().await {
            to.write_all(&data).await?;
            self.carrier.landed(direction, self.id, data.len());
            let delivered =
                self.delivered_bytes.fetch_add(data.len() as u64, Ordering::Relaxed) + data.len() as u64;
            if self.carrier.conditions().tcp_dies_after_bytes.is_some_and(|most| delivered >= most) {
                return Err(Broken);
            }
        }
        to.shutdown().await?;
        Ok(())
    }

    /// Returns once the connection is older than connections may become now.
    async fn outlived(&self) {
        let mut changes = self.carrier.changes();
        loop {
            changes.borrow_and_update();
            let end = self.carrier.conditions().tcp_dies_after.map(|life| self.opened + life);
            let expiry = async {
                match end {
                    Some(end) => tokio::time::sleep_until(end.into()).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = expiry => return,
                _ = changes.changed() => {}
            }
        }
    }
}
