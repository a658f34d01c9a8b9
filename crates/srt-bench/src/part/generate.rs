//! The load: N publishers of one rate, each from an address of its own, by one socket and one thread.
//!
//! It is a caller with the least that keeps a listener content: a handshake, data, ACKACK, keepalives, and a drop request
//! for what is asked for again (it keeps nothing to repeat; on a loopback, what is lost was lost in the receiver's
//! socket). It catches up slowly when it was late, so that a busy machine makes no burst that no network makes.

mod publisher;

use std::net::{Ipv4Addr, SocketAddrV4, UdpSocket};
use std::sync::mpsc::{Receiver, TryRecvError, channel};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use super::{enlarge, say};
use crate::sys::{Inbox, Outbox};
use crate::wire::{self, PAYLOAD_BYTES};
use publisher::{Counts, Publisher};

/// Datagrams gather for this long.
const TICK: Duration = Duration::from_millis(1);
/// New handshakes begin this far apart.
const RAMP: Duration = Duration::from_millis(5);
/// It sends at most this many times its rate to catch up.
const CATCH_UP: f64 = 2.0;
/// It does not catch up with more than this.
const FORGET: Duration = Duration::from_millis(100);
/// A listener that takes no more publishers for this long takes none.
const CONNECT_PATIENCE: Duration = Duration::from_secs(15);

/// What is asked of the generator.
pub(crate) struct Load {
    pub(crate) to: SocketAddrV4,
    pub(crate) streams: usize,
    /// Payload bits a second of each stream.
    pub(crate) bits_per_second: u64,
    /// Send at once, without a handshake.
    pub(crate) raw: bool,
}

impl Load {
    /// As [`Load::read`] takes it.
    pub(crate) fn arguments(&self) -> Vec<String> {
        let Self { to, streams, bits_per_second, raw } = self;
        vec![
            "generate".into(),
            to.to_string(),
            streams.to_string(),
            bits_per_second.to_string(),
            raw.to_string(),
        ]
    }

    pub(super) fn read(arguments: &[String]) -> Result<Self> {
        let [to, streams, bits_per_second, raw] = arguments else {
            anyhow::bail!("generate ADDR STREAMS BITS_PER_SECOND RAW");
        };
        Ok(Self {
            to: to.parse()?,
            streams: streams.parse()?,
            bits_per_second: bits_per_second.parse()?,
            raw: raw.parse()?,
        })
    }
}

pub(super) fn run(load: &Load) -> Result<()> {
    let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).context("the generator's socket")?;
    enlarge(&socket);
    let began = Instant::now();
    let publishers = (0..load.streams).map(|index| Publisher::new(index, load.raw)).collect();
    let mut generator = Generator {
        load,
        socket,
        inbox: Inbox::new(),
        outbox: Outbox::default(),
        payload: wire::null_payload(),
        publishers,
        counts: Counts::default(),
        began,
        next: 0,
    };
    generator.connect()?;
    say(&format!("ready {}", generator.open()));
    generator.stream(&commands())
}

struct Generator<'a> {
    load: &'a Load,
    socket: UdpSocket,
    inbox: Inbox,
    outbox: Outbox,
    payload: Vec<u8>,
    publishers: Vec<Publisher>,
    counts: Counts,
    began: Instant,
    /// Whose turn it is.
    next: usize,
}

impl Generator<'_> {
    /// Until everybody is let in, or nobody more is.
    fn connect(&mut self) -> Result<()> {
        let (mut progress, mut open) = (Instant::now(), 0);
        while open < self.load.streams && progress.elapsed() < CONNECT_PATIENCE {
            let begun = self.began.elapsed().as_nanos() / RAMP.as_nanos();
            self.control(usize::try_from(begun)?.saturating_add(1))?;
            std::thread::sleep(TICK);
            let now_open = self.open();
            if now_open > open {
                (open, progress) = (now_open, Instant::now());
            }
        }
        Ok(())
    }

    /// Streams while it is told to, until nobody asks any more.
    fn stream(&mut self, commands: &Receiver<String>) -> Result<()> {
        let packets_per_second =
            self.load.bits_per_second as f64 * self.load.streams as f64 / (PAYLOAD_BYTES * 8) as f64;
        let (mut streaming, mut owed, mut ticked) = (false, 0.0_f64, Instant::now());
        loop {
            match commands.try_recv() {
                Ok(command) => {
                    streaming = match command.as_str() {
                        "go" => true,
                        "stop" => false,
                        _ => streaming,
                    };
                    say(&self.counts.line(self.open()));
                }
                Err(TryRecvError::Empty) => {}
                Err(TryRecvError::Disconnected) => return Ok(()),
            }
            self.control(usize::MAX)?;
            let now = Instant::now();
            if streaming {
                let tick = packets_per_second * TICK.as_secs_f64();
                owed += packets_per_second * (now - ticked).as_secs_f64();
                let forgotten = (owed - packets_per_second * FORGET.as_secs_f64()).max(0.0).floor();
                owed -= forgotten;
                self.counts.forgotten += forgotten as u64;
                let most = (tick * CATCH_UP).max(1.0);
                let due = owed.min(most).floor();
                owed -= due;
                self.send(due as usize);
            }
            ticked = now;
            std::thread::sleep(TICK.saturating_sub(now.elapsed()));
        }
    }

    /// The next packets, each of another publisher.
    fn send(&mut self, packets: usize) {
        let stamp_us = self.stamp_us();
        for _ in 0..packets {
            let count = self.publishers.len();
            let Some(publisher) = self.publishers.get_mut(self.next) else { return };
            self.next = (self.next + 1) % count;
            if let Some(head) = publisher.data(stamp_us) {
                self.outbox.push(publisher.addr(), &head, true);
                self.counts.packets += 1;
            }
        }
        self.outbox.flush(&self.socket, self.load.to, &self.payload);
    }

    /// Reads what the listener says, and says what is due, for the first `begun` publishers.
    fn control(&mut self, begun: usize) -> Result<()> {
        let stamp_us = self.stamp_us();
        while self.inbox.take(&self.socket)? > 0 {
            for datagram in self.inbox.datagrams() {
                let index = Publisher::index_of(wire::word(datagram, 12));
                if let Some(publisher) = index.and_then(|index| self.publishers.get_mut(index)) {
                    publisher.hear(datagram, stamp_us, &mut self.counts, &mut self.outbox);
                }
            }
        }
        let now = Instant::now();
        for publisher in self.publishers.iter_mut().take(begun) {
            publisher.speak(now, stamp_us, &mut self.outbox);
        }
        self.outbox.flush(&self.socket, self.load.to, &self.payload);
        Ok(())
    }

    fn open(&self) -> usize {
        self.publishers.iter().filter(|publisher| publisher.is_open()).count()
    }

    fn stamp_us(&self) -> u32 {
        // Stamps wrap.
        self.began.elapsed().as_micros() as u32
    }
}

/// Lines of standard input.
fn commands() -> Receiver<String> {
    let (lines_in, lines) = channel();
    std::thread::spawn(move || {
        for line in std::io::stdin().lines().map_while(Result::ok) {
            if lines_in.send(line).is_err() {
                return;
            }
        }
    });
    lines
}
