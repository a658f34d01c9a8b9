//! Numbered payloads: made, sent, and checked where they arrive.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use bytes::Bytes;
use dashvault_srt::{Caller, CallerConfig, CloseReason, Connection, Delivery, Listener, ListenerConfig};

pub(crate) const PAYLOAD: usize = 1316;
pub(crate) const PATIENCE: Duration = Duration::from_secs(15);

pub(crate) fn local() -> SocketAddr {
    "127.0.0.1:0".parse().unwrap()
}

pub(crate) async fn listen(config: ListenerConfig) -> Listener {
    Listener::bind(ListenerConfig { addr: local(), ..config }).await.unwrap()
}

/// The payload with a number: the number, the microseconds since `start`, then a pattern.
pub(crate) fn payload(number: u64, start: Instant) -> Bytes {
    let mut bytes = vec![number as u8; PAYLOAD];
    bytes[..8].copy_from_slice(&number.to_be_bytes());
    bytes[8..16].copy_from_slice(&(start.elapsed().as_micros() as u64).to_be_bytes());
    bytes.into()
}

/// Connects and accepts.
pub(crate) async fn pair(
    listener: &mut Listener,
    via: SocketAddr,
    config: CallerConfig,
) -> (Caller, Connection) {
    let accept = async { listener.next().await.unwrap().accept().await.unwrap() };
    let (caller, connection) = tokio::join!(Caller::connect(via, config), accept);
    (caller.unwrap(), connection)
}

/// Sends `count` numbered payloads at `per_second`, in bursts of 1 ms.
pub(crate) async fn send_paced(caller: &Caller, count: u64, per_second: u64, start: Instant) {
    let began = Instant::now();
    for number in 0..count {
        let due = began + Duration::from_micros(number * 1_000_000 / per_second);
        if due > Instant::now() + Duration::from_millis(1) {
            tokio::time::sleep_until(due.into()).await;
        }
        caller.send(payload(number, start)).await.unwrap();
    }
}

/// Everything a connection delivered.
#[derive(Debug, Default)]
pub(crate) struct Received {
    pub(crate) numbers: Vec<u64>,
    pub(crate) lost: u64,
    /// Time from `send` to `recv` of each payload.
    pub(crate) delays: Vec<Duration>,
    pub(crate) closed: Option<CloseReason>,
}

impl Received {
    /// The delay that this share of the payloads stayed under.
    pub(crate) fn delay(&self, share: f64) -> Duration {
        let mut sorted = self.delays.clone();
        sorted.sort_unstable();
        sorted[((sorted.len() - 1) as f64 * share) as usize]
    }

    pub(crate) fn assert_complete(&self, count: u64) {
        assert_eq!(self.lost, 0);
        assert!(
            self.numbers.iter().copied().eq(0..count),
            "{} of {count} payloads, in order?",
            self.numbers.len()
        );
    }
}

/// Takes everything until the connection ends.
pub(crate) async fn receive_all(connection: &mut Connection, start: Instant) -> Received {
    let mut received = Received::default();
    let mut rest = Vec::new();
    loop {
        let delivery = tokio::time::timeout(PATIENCE, connection.recv()).await.expect("a delivery in time");
        match delivery {
            Some(Delivery::Data(run)) => {
                rest.extend_from_slice(&run);
                let whole = rest.len() / PAYLOAD * PAYLOAD;
                for bytes in rest[..whole].chunks(PAYLOAD) {
                    received.numbers.push(u64::from_be_bytes(bytes[..8].try_into().unwrap()));
                    let sent = Duration::from_micros(u64::from_be_bytes(bytes[8..16].try_into().unwrap()));
                    received.delays.push(start.elapsed().saturating_sub(sent));
                }
                rest.drain(..whole);
            }
            Some(Delivery::Lost { packets }) => received.lost += packets,
            Some(Delivery::Closed(reason)) => received.closed = Some(reason),
            None => return received,
        }
    }
}
