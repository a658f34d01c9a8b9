//! A flood of spoofed handshakes from many addresses: memory must stay flat, and a real stream unharmed.

use std::net::{Ipv4Addr, SocketAddrV4, UdpSocket};
use std::time::{Duration, Instant};

use anyhow::Result;
use dashvault_srt::{Caller, CallerConfig};

use super::{Bench, runtime};
use crate::process::socket_drops;
use crate::receiver::{Kind, Receivers};
use crate::report::{Goal, Row};
use crate::sys::{Inbox, Outbox};
use crate::wire::{self, PAYLOAD_BYTES};

const DATAGRAMS: usize = 100_000;
/// Source ports; each has any number of source addresses.
const PORTS: usize = 64;
/// Datagrams sent at a time, and then a millisecond's rest.
const BURST: usize = 20;
const BITS_PER_SECOND: u64 = 4_000_000;
/// "Flat" allows for what an allocator does.
const GOAL_KB: f64 = 1024.0;
/// Callers that try to connect while it floods.
const CALLERS: u64 = 5;

pub(super) fn run(receivers: &Receivers) -> Result<Vec<Row>> {
    let mut bench = Bench::start(receivers, Kind::Dashvault, 1, BITS_PER_SECOND)?;
    bench.go()?;
    let (rss, cpu) = (bench.receiver.rss_kb()?, bench.receiver.cpu()?);
    let (at, began) = (bench.at, Instant::now());
    let flooding = std::thread::spawn(move || flood(at));
    let let_in = runtime()?.block_on(connect(at));
    let answered = flooding.join().map_err(|_| anyhow::anyhow!("the flood panicked"))??;
    let (length, cpu) = (began.elapsed(), bench.receiver.cpu()?.saturating_sub(cpu));
    let peak = bench.receiver.rss_kb()?;
    std::thread::sleep(Duration::from_secs(1));
    bench.generator.ask("stop")?;
    std::thread::sleep(Duration::from_secs(4));
    let (sent, got) = (bench.generator.ask("?")?, bench.receiver.ask("?")?);
    let sent_bytes = sent.of("packets") * PAYLOAD_BYTES as u64;
    let missing = sent_bytes.saturating_sub(got.of("bytes")) / PAYLOAD_BYTES as u64;
    let growth = peak.saturating_sub(rss) as f64;
    Ok(vec![
        Row::new("flood", "growth of the listener's memory", Goal::AtMost(GOAL_KB), growth, "kB").note(format!(
            "{rss} kB before; 100,000 in {:.1} s, {answered} answered, {:.1} us of processor each, {} socket drops",
            length.as_secs_f64(),
            cpu.as_secs_f64() * 1e6 / DATAGRAMS as f64,
            socket_drops(at.port())?
        )),
        Row::new("flood", "packets missing of the stream beside it", Goal::AtMost(0.0), missing as f64, "packets")
            .note(format!("of {}, {} NAKs", sent.of("packets"), sent.of("naks"))),
        Row::new("flood", "its connection, and no other", Goal::AtMost(0.0), sent.of("closed") as f64, "closed")
            .note(format!("{} connections accepted, of which {let_in} real ones in the flood", got.of("connections"))),
        Row::new("flood", "real callers let in during it", Goal::None, let_in as f64, "of 5"),
    ])
}

/// Inductions and conclusions by turns, each from another address; returns how many answers came.
fn flood(to: SocketAddrV4) -> Result<usize> {
    let sockets: Vec<UdpSocket> =
        (0..PORTS).map(|_| UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0))).collect::<Result<_, _>>()?;
    let (mut outbox, mut inbox, mut rng) = (Outbox::default(), Inbox::new(), fastrand::Rng::with_seed(1));
    let (mut sent, mut answered) = (0, 0);
    for socket in sockets.iter().cycle() {
        if sent >= DATAGRAMS {
            break;
        }
        for turn in 0..BURST {
            let (id, isn, cookie) = (rng.u32(1..), rng.u32(..) >> 1, rng.u32(..));
            let handshake = match turn % 2 {
                0 => wire::induction(0, id, isn),
                _ => wire::conclusion(0, id, isn, cookie, 120),
            };
            // 127.32.0.0 to 127.95.255.255: apart from the generator's.
            outbox.push(Ipv4Addr::from(0x7f20_0000 + rng.u32(0..0x0040_0000)), &handshake, false);
        }
        outbox.flush(socket, to, &[]);
        sent += BURST;
        answered += inbox.take(socket)?;
        std::thread::sleep(Duration::from_millis(1));
    }
    Ok(answered)
}

/// Real callers meanwhile; returns how many were let in.
async fn connect(to: SocketAddrV4) -> u64 {
    let mut let_in = 0;
    for _ in 0..CALLERS {
        let config = CallerConfig { connect_timeout: Duration::from_secs(1), ..CallerConfig::default() };
        let_in += u64::from(Caller::connect(to.into(), config).await.is_ok());
    }
    let_in
}
