//! A lossy network in a thread: datagrams are delayed and some are lost, both ways, by a seed.
//!
//! It serves any number of callers, each by a socket of its own towards the listener, and it writes down what the callers
//! sent, so that loss can be counted against the truth.
//!
//! What does not belong here: comparing; that is `truth`'s.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use crate::wire::Data;

/// How a [`Relay`] spoils a connection.
#[derive(Clone, Copy)]
pub(crate) struct Link {
    /// The share of datagrams that is lost, each way.
    pub(crate) loss: f64,
    /// Half of the round trip.
    pub(crate) delay: Duration,
    pub(crate) seed: u64,
}

/// A relay that runs; stopped when dropped.
pub(crate) struct Relay {
    addr: SocketAddr,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<Result<Seen>>>,
}

/// What a relay saw on the way to the listener.
#[derive(Default)]
pub(crate) struct Seen {
    /// Data packets by their place in the stream, when they first came by.
    pub(crate) sent: BTreeMap<u32, (Instant, Vec<u8>)>,
    /// Payload bytes of data packets that were thrown away, copies included.
    pub(crate) lost_bytes: u64,
    /// Payload bytes of data packets that had come by before.
    pub(crate) repeated_bytes: u64,
    first_seq: Option<u32>,
}

impl Relay {
    /// Starts a relay to `target`.
    pub(crate) fn start(target: SocketAddr, link: Link) -> Result<Self> {
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
        socket.set_nonblocking(true)?;
        let (addr, stop) = (socket.local_addr()?, Arc::new(AtomicBool::new(false)));
        let stopped = Arc::clone(&stop);
        let mut network = Network {
            socket,
            target,
            link,
            rng: fastrand::Rng::with_seed(link.seed),
            clients: Vec::new(),
            by_addr: HashMap::new(),
            flying: VecDeque::new(),
            seen: Seen::default(),
        };
        let thread = std::thread::Builder::new().name("relay".into()).spawn(move || {
            while !stopped.load(Ordering::Relaxed) {
                network.turn()?;
            }
            Ok(network.seen)
        })?;
        Ok(Self { addr, stop, thread: Some(thread) })
    }

    /// Where callers connect to.
    pub(crate) fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Ends it and takes what it saw.
    pub(crate) fn stop(mut self) -> Result<Seen> {
        self.stop.store(true, Ordering::Relaxed);
        let thread = self.thread.take().context("the relay has been stopped")?;
        thread.join().map_err(|_| anyhow::anyhow!("the relay panicked"))?
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

struct Network {
    socket: UdpSocket,
    target: SocketAddr,
    link: Link,
    rng: fastrand::Rng,
    clients: Vec<Client>,
    by_addr: HashMap<SocketAddr, usize>,
    /// In the order of arrival, which is that of departure.
    flying: VecDeque<Flying>,
    seen: Seen,
}

struct Client {
    addr: SocketAddr,
    upstream: UdpSocket,
}

struct Flying {
    lands: Instant,
    client: usize,
    up: bool,
    datagram: Vec<u8>,
}

impl Network {
    /// Waits for the next datagram or landing, a little at most, and does what there is to do.
    fn turn(&mut self) -> Result<()> {
        let next = self.flying.front().map(|flying| flying.lands);
        let longest = Duration::from_millis(20);
        let wait = next.map_or(longest, |at| at.saturating_duration_since(Instant::now())).min(longest);
        let timeout = Timespec { tv_sec: 0, tv_nsec: i64::from(wait.subsec_nanos()) };
        let sockets = std::iter::once(&self.socket).chain(self.clients.iter().map(|client| &client.upstream));
        let mut ready: Vec<PollFd<'_>> = sockets.map(|socket| PollFd::new(socket, PollFlags::IN)).collect();
        poll(&mut ready, Some(&timeout))?;
        let ready: Vec<bool> = ready.iter().map(|fd| !fd.revents().is_empty()).collect();
        if ready.first() == Some(&true) {
            self.take_from_callers()?;
        }
        for (client, _) in ready.iter().skip(1).enumerate().filter(|(_, ready)| **ready) {
            self.take_from_listener(client);
        }
        self.land();
        Ok(())
    }

    fn take_from_callers(&mut self) -> Result<()> {
        let mut buffer = [0; 2048];
        while let Ok((length, from)) = self.socket.recv_from(&mut buffer) {
            let client = match self.by_addr.get(&from) {
                Some(client) => *client,
                None => self.welcome(from)?,
            };
            self.fly(client, true, buffer.get(..length).unwrap_or_default());
        }
        Ok(())
    }

    fn take_from_listener(&mut self, client: usize) {
        let mut buffer = [0; 2048];
        loop {
            let Some(Ok(length)) = self.clients.get(client).map(|client| client.upstream.recv(&mut buffer))
            else {
                return;
            };
            self.fly(client, false, buffer.get(..length).unwrap_or_default());
        }
    }

    fn welcome(&mut self, addr: SocketAddr) -> Result<usize> {
        let upstream = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
        upstream.set_nonblocking(true)?;
        upstream.connect(self.target)?;
        self.by_addr.insert(addr, self.clients.len());
        self.clients.push(Client { addr, upstream });
        Ok(self.clients.len() - 1)
    }

    fn fly(&mut self, client: usize, up: bool, datagram: &[u8]) {
        let now = Instant::now();
        let lost = self.rng.f64() < self.link.loss;
        if up && let Some(data) = Data::read(datagram) {
            self.seen.note(now, &data, lost);
        }
        if !lost {
            self.flying.push_back(Flying {
                lands: now + self.link.delay,
                client,
                up,
                datagram: datagram.to_vec(),
            });
        }
    }

    fn land(&mut self) {
        let now = Instant::now();
        while self.flying.front().is_some_and(|flying| flying.lands <= now) {
            let Some(flying) = self.flying.pop_front() else { return };
            let Some(client) = self.clients.get(flying.client) else { continue };
            // A peer that is gone takes nothing more.
            let _ = if flying.up {
                client.upstream.send(&flying.datagram)
            } else {
                self.socket.send_to(&flying.datagram, client.addr)
            };
        }
    }
}

impl Seen {
    fn note(&mut self, now: Instant, data: &Data<'_>, lost: bool) {
        let bytes = data.payload.len() as u64;
        if lost {
            self.lost_bytes += bytes;
        }
        let first = *self.first_seq.get_or_insert(data.seq);
        let place = data.seq.wrapping_sub(first) & 0x7fff_ffff;
        match self.sent.entry(place) {
            std::collections::btree_map::Entry::Occupied(_) => self.repeated_bytes += bytes,
            std::collections::btree_map::Entry::Vacant(free) => {
                free.insert((now, data.payload.to_vec()));
            }
        }
    }
}
