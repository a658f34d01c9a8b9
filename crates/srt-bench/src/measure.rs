//! The measurements, one file each; this one runs those that are asked for and has what they share.
//!
//! What does not belong here: what the goals are; each measurement holds its own.

mod connect;
mod flood;
mod footage;
mod hold;
mod many;
mod memory;
mod receive;
mod sender;
mod single;

use std::net::SocketAddrV4;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use crate::options::Options;
use crate::part::Load;
use crate::process::Part;
use crate::receiver::{Kind, Receivers};
use crate::report;

/// Until a load runs evenly.
const WARM_UP: Duration = Duration::from_secs(2);

/// Runs what is asked for and prints the table.
pub(crate) fn run(options: &Options) -> Result<()> {
    let receivers = Receivers::new(options.libsrt)?;
    let mut rows = Vec::new();
    if !options.json {
        println!("{}", report::heading());
    }
    for &name in &options.names {
        let measured = match name {
            "receive" => receive::run(&receivers, options),
            "memory" => memory::run(&receivers),
            "many" => many::run(&receivers, options),
            "single" => single::run(&receivers),
            "hold" => hold::run(&receivers),
            "sender" => sender::run(&receivers),
            "connect" => connect::run(&receivers),
            _ => flood::run(&receivers),
        };
        let measured = measured.with_context(|| format!("measuring {name}"))?;
        if !options.json {
            for row in &measured {
                println!("{}", row.line());
            }
        }
        rows.extend(measured);
    }
    if options.json {
        println!("{}", report::json(&rows));
    }
    Ok(())
}

/// A receiver under a load, both in processes of their own.
struct Bench {
    receiver: Part,
    at: SocketAddrV4,
    generator: Part,
}

impl Bench {
    /// Starts both and connects all streams, which are silent until [`go`](Self::go).
    fn start(receivers: &Receivers, kind: Kind, streams: usize, bits_per_second: u64) -> Result<Self> {
        let (receiver, at) = receivers.start(kind)?;
        let generator = generate(at, streams, bits_per_second, kind == Kind::Sink)?;
        Ok(Self { receiver, at, generator })
    }

    /// Lets the streams stream, and waits until they do so evenly.
    fn go(&mut self) -> Result<()> {
        self.generator.ask("go")?;
        std::thread::sleep(WARM_UP);
        Ok(())
    }

    /// What the receiver takes and costs in this time.
    fn measure(&mut self, length: Duration) -> Result<Taken> {
        let (began, cpu, bytes) = (Instant::now(), self.receiver.cpu()?, self.receiver.ask("?")?.of("bytes"));
        let packets = self.generator.ask("?")?.of("packets");
        std::thread::sleep(length);
        Ok(Taken {
            cpu: self.receiver.cpu()?.saturating_sub(cpu),
            bytes: self.receiver.ask("?")?.of("bytes").saturating_sub(bytes),
            sent_packets: self.generator.ask("?")?.of("packets").saturating_sub(packets),
            length: began.elapsed(),
        })
    }
}

struct Taken {
    cpu: Duration,
    bytes: u64,
    sent_packets: u64,
    length: Duration,
}

/// Starts a generator; it has connected when this returns.
fn generate(to: SocketAddrV4, streams: usize, bits_per_second: u64, raw: bool) -> Result<Part> {
    Part::own(&Load { to, streams, bits_per_second, raw }.arguments())
}

/// For measurements that drive our crate from this process.
fn runtime() -> Result<tokio::runtime::Runtime> {
    Ok(tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?)
}

/// The middle one.
fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}
