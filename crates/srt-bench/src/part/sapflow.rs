//! The interim crate by itself, in its simplest form: one thread, one socket, one datagram at a time.

use std::io::ErrorKind;
use std::net::{Ipv4Addr, UdpSocket};
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use anyhow::Result;
use sapflow_srt::{Config, Event, Listener};

use super::{enlarge, received, say};

/// Timers run at most this often.
const TICK: Duration = Duration::from_millis(2);

pub(super) fn run() -> Result<()> {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
    enlarge(&socket);
    socket.set_read_timeout(Some(TICK))?;
    say(&format!("ready {}", socket.local_addr()?.port()));
    received().answer();
    let config = Config { max_connections: 4096, handshakes_per_second: 100_000, ..Config::default() };
    let mut listener = Listener::new(config, Instant::now());
    let mut buffer = [0; 2048];
    let mut ticked = Instant::now();
    loop {
        match socket.recv_from(&mut buffer) {
            Ok((length, from)) => {
                listener.handle_datagram(Instant::now(), from, buffer.get(..length).unwrap_or_default());
            }
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {}
            Err(error) => return Err(error.into()),
        }
        let now = Instant::now();
        if now >= ticked + TICK {
            ticked = now;
            listener.handle_timeout(now);
        }
        drain(&mut listener, &socket, now);
    }
}

fn drain(listener: &mut Listener, socket: &UdpSocket, now: Instant) {
    let received = received();
    while let Some(event) = listener.poll_event() {
        match event {
            Event::Connect { id, .. } => {
                listener.accept(id, now);
                received.connections.fetch_add(1, Ordering::Relaxed);
            }
            Event::Data { payload, .. } => {
                received.bytes.fetch_add(payload.len() as u64, Ordering::Relaxed);
            }
            Event::Closed { .. } => {
                received.closed.fetch_add(1, Ordering::Relaxed);
            }
        }
    }
    while let Some((to, datagram)) = listener.poll_transmit() {
        // What the socket does not take is lost on the way.
        let _ = socket.send_to(&datagram, to);
    }
}
