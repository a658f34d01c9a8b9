//! What runs in a process of its own: the load generator, the receivers and our sender.
//!
//! What does not belong here: measuring them.

mod dashvault;
mod generate;
mod push;
mod sapflow;
mod sink;

pub(crate) use generate::Load;

use std::io::{BufRead, Write};
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::{Result, bail};

/// Runs the named part until its standard input ends.
pub(crate) fn run(arguments: &[String]) -> Result<()> {
    let Some((name, rest)) = arguments.split_first() else { bail!("which part?") };
    match name.as_str() {
        "generate" => generate::run(&Load::read(rest)?),
        "sink" => sink::run(),
        "dashvault" => dashvault::run(),
        "sapflow" => sapflow::run(),
        "push" => push::run(rest),
        other => bail!("there is no part {other:?}"),
    }
}

/// What a receiver counts.
#[derive(Default)]
struct Received {
    bytes: AtomicU64,
    lost: AtomicU64,
    connections: AtomicU64,
    closed: AtomicU64,
}

impl Received {
    /// Answers every line of standard input; when that ends, so does the process.
    fn answer(&'static self) {
        std::thread::spawn(move || {
            for _ in std::io::stdin().lock().lines().map_while(Result::ok) {
                say(&format!(
                    "bytes={} lost={} connections={} closed={}",
                    self.bytes.load(Ordering::Relaxed),
                    self.lost.load(Ordering::Relaxed),
                    self.connections.load(Ordering::Relaxed),
                    self.closed.load(Ordering::Relaxed)
                ));
            }
            std::process::exit(0);
        });
    }
}

/// A line to whoever started this part; when nobody reads it any more, standard input ends too.
fn say(line: &str) {
    let mut out = std::io::stdout().lock();
    let _ = writeln!(out, "{line}").and_then(|()| out.flush());
}

/// The counters of this process.
fn received() -> &'static Received {
    static RECEIVED: Received = Received {
        bytes: AtomicU64::new(0),
        lost: AtomicU64::new(0),
        connections: AtomicU64::new(0),
        closed: AtomicU64::new(0),
    };
    &RECEIVED
}

/// Makes room in a socket for what comes while its reader is away, as far as the system lets us.
fn enlarge(socket: &std::net::UdpSocket) {
    use rustix::net::sockopt;
    const BYTES: usize = 8 << 20;
    if sockopt::set_socket_recv_buffer_size_force(socket, BYTES).is_err() {
        // What the system allows is enough for a look.
        let _ = sockopt::set_socket_recv_buffer_size(socket, BYTES);
    }
}
