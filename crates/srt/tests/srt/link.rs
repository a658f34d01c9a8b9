//! A UDP relay that loses, repeats, reorders and delays by a seed.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use tokio::net::UdpSocket;

/// What a link does to each datagram, in both directions.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Faults {
    pub(crate) loss: f64,
    pub(crate) duplicate: f64,
    /// Share of datagrams that come up to 10 ms late.
    pub(crate) reorder: f64,
    pub(crate) delay: Duration,
    /// Of what comes back, the datagram of this number (from 1) is lost.
    pub(crate) lost_answer: u64,
}

/// Datagrams and bytes that entered the link, by direction.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    pub(crate) up_bytes: AtomicU64,
    pub(crate) down_bytes: AtomicU64,
    pub(crate) down_packets: AtomicU64,
    pub(crate) up_packets: AtomicU64,
    pub(crate) cut: AtomicBool,
    /// Clients so far, and of these the first so many that nothing passes of.
    clients: AtomicUsize,
    swallowed: AtomicUsize,
}

impl Counters {
    fn swallows(&self, client: usize) -> bool {
        client < self.swallowed.load(Ordering::Relaxed)
    }
}

/// A running relay.
pub(crate) struct Link {
    pub(crate) addr: SocketAddr,
    pub(crate) counters: Arc<Counters>,
}

impl Link {
    pub(crate) async fn new(target: SocketAddr, faults: Faults, seed: u64) -> Self {
        println!("link seed {seed}: {faults:?}");
        let front = Arc::new(UdpSocket::bind("127.0.0.1:0").await.unwrap());
        let addr = front.local_addr().unwrap();
        let counters = Arc::new(Counters::default());
        tokio::spawn(up(front, target, faults, seed, Arc::clone(&counters)));
        Self { addr, counters }
    }

    /// Waits until the link has taken nothing for a while.
    pub(crate) async fn drained(&self) {
        let count = || self.counters.up_packets.load(Ordering::Relaxed);
        let mut before = count() + 1;
        while before != count() {
            before = count();
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// From now on nothing passes of the clients that were here so far: a router that has forgotten them.
    pub(crate) fn swallow(&self) {
        self.counters.swallowed.store(self.counters.clients.load(Ordering::Relaxed), Ordering::Relaxed);
    }

    pub(crate) fn cut(&self, cut: bool) {
        self.counters.cut.store(cut, Ordering::Relaxed);
    }
}

async fn up(front: Arc<UdpSocket>, target: SocketAddr, faults: Faults, seed: u64, counters: Arc<Counters>) {
    let mut backs: HashMap<SocketAddr, (usize, Arc<UdpSocket>)> = HashMap::new();
    let mut rng = fastrand::Rng::with_seed(seed);
    let mut buffer = [0; 2048];
    loop {
        let Ok((length, from)) = front.recv_from(&mut buffer).await else { continue };
        if let Entry::Vacant(entry) = backs.entry(from) {
            let back = Arc::new(UdpSocket::bind("127.0.0.1:0").await.unwrap());
            let client = (counters.clients.fetch_add(1, Ordering::Relaxed), from);
            let ends = (Arc::clone(&front), Arc::clone(&back));
            tokio::spawn(down(ends, client, faults, seed + 1, Arc::clone(&counters)));
            entry.insert((client.0, back));
        }
        counters.up_bytes.fetch_add(length as u64, Ordering::Relaxed);
        counters.up_packets.fetch_add(1, Ordering::Relaxed);
        let (client, back) = &backs[&from];
        if !counters.swallows(*client) {
            forward(&mut rng, faults, &counters, back, target, &buffer[..length]);
        }
    }
}

async fn down(
    (front, back): (Arc<UdpSocket>, Arc<UdpSocket>),
    (client, address): (usize, SocketAddr),
    faults: Faults,
    seed: u64,
    counters: Arc<Counters>,
) {
    let mut rng = fastrand::Rng::with_seed(seed);
    let mut buffer = [0; 2048];
    loop {
        let Ok((length, _)) = back.recv_from(&mut buffer).await else { continue };
        counters.down_bytes.fetch_add(length as u64, Ordering::Relaxed);
        let before = counters.down_packets.fetch_add(1, Ordering::Relaxed);
        if before + 1 != faults.lost_answer && !counters.swallows(client) {
            forward(&mut rng, faults, &counters, &front, address, &buffer[..length]);
        }
    }
}

fn forward(
    rng: &mut fastrand::Rng,
    faults: Faults,
    counters: &Counters,
    socket: &Arc<UdpSocket>,
    to: SocketAddr,
    datagram: &[u8],
) {
    if counters.cut.load(Ordering::Relaxed) {
        return;
    }
    let copies = usize::from(rng.f64() >= faults.loss) * if rng.f64() < faults.duplicate { 2 } else { 1 };
    for _ in 0..copies {
        let late = if rng.f64() < faults.reorder {
            Duration::from_micros(rng.u64(500..10_000))
        } else {
            Duration::ZERO
        };
        let delay = faults.delay + late;
        if delay.is_zero() {
            let _ = socket.try_send_to(datagram, to);
            continue;
        }
        let (socket, datagram) = (Arc::clone(socket), datagram.to_vec());
        tokio::spawn(async move {
            tokio::time::sleep(delay).await;
            let _ = socket.try_send_to(&datagram, to);
        });
    }
}
