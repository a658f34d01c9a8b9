//! 1,000 connections of 0.4 Mbit/s: nothing may be dropped by the socket.

use anyhow::Result;

use super::{Bench, Taken};
use crate::options::Options;
use crate::process::socket_drops;
use crate::receiver::{Kind, Receivers};
use crate::report::{Goal, Row};
use crate::wire::PAYLOAD_BYTES;

const STREAMS: usize = 1000;
const BITS_PER_SECOND: u64 = 400_000;

pub(super) fn run(receivers: &Receivers, options: &Options) -> Result<Vec<Row>> {
    let mut rows = Vec::new();
    for kind in [Kind::Sink, Kind::Dashvault, Kind::Sapflow] {
        let ours = kind == Kind::Dashvault;
        let mut bench = Bench::start(receivers, kind, STREAMS, BITS_PER_SECOND)?;
        let open = bench.generator.ready();
        bench.go()?;
        let Taken { cpu, bytes, sent_packets, .. } = bench.measure(options.length)?;
        let drops = socket_drops(bench.at.port())?;
        let naks = bench.generator.ask("?")?.of("naks");
        let delivered = bytes as f64 * 100.0 / (sent_packets * PAYLOAD_BYTES as u64) as f64;
        let cost = cpu.as_secs_f64() * 1000.0 * BITS_PER_SECOND as f64 / (bytes as f64 * 8.0);
        let goal = if ours { Goal::AtMost(0.0) } else { Goal::None };
        rows.push(
            Row::new("many", format!("{}, socket drops", kind.name()), goal, drops as f64, "datagrams").note(
                format!(
                    "{cost:.3} ms a stream-second, delivered {delivered:.1} % of what was sent, {naks} NAKs"
                ),
            ),
        );
        if ours {
            let goal = Goal::AtLeast(STREAMS as f64);
            rows.push(Row::new("many", "dashvault-srt, connections", goal, open as f64, "of 1000"));
        }
    }
    Ok(rows)
}
