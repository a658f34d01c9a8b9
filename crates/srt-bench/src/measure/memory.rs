//! What a quiet connection costs in memory: a thousand of them, and the difference of the resident set.

use std::time::Duration;

use anyhow::{Result, ensure};

use super::Bench;
use crate::receiver::{Kind, Receivers};
use crate::report::{Goal, Row};

const CONNECTIONS: usize = 1000;
/// Enough of libsrt's, which has a thread for each.
const LIBSRT_CONNECTIONS: usize = 200;
/// Until what a handshake needed is free again.
const SETTLE: Duration = Duration::from_secs(5);
const GOAL_KB: f64 = 16.0;
/// A little traffic, to see whether a connection grows quiet again.
const BITS_PER_SECOND: u64 = 400_000;

pub(super) fn run(receivers: &Receivers) -> Result<Vec<Row>> {
    let mut rows = Vec::new();
    for kind in receivers.kinds().filter(|kind| *kind != Kind::Sink) {
        let count = if kind.is_libsrt() { LIBSRT_CONNECTIONS } else { CONNECTIONS };
        let goal = if kind == Kind::Dashvault { Goal::AtMost(GOAL_KB) } else { Goal::None };
        let empty = {
            let (receiver, _at) = receivers.start(kind)?;
            std::thread::sleep(Duration::from_millis(500));
            receiver.rss_kb()?
        };
        let mut bench = Bench::start(receivers, kind, count, BITS_PER_SECOND)?;
        let open = bench.generator.ready();
        ensure!(open > 0, "{} lets nobody in", kind.name());
        std::thread::sleep(SETTLE);
        let each = |rss: u64| rss.saturating_sub(empty) as f64 / open as f64;
        let quiet = each(bench.receiver.rss_kb()?);
        bench.go()?;
        bench.generator.ask("stop")?;
        std::thread::sleep(SETTLE);
        let again = each(bench.receiver.rss_kb()?);
        rows.push(
            Row::new("memory", format!("{}, a quiet connection", kind.name()), goal, quiet, "kB")
                .note(format!("{open} of {count} connections; {again:.1} kB when quiet again after traffic")),
        );
    }
    Ok(rows)
}
