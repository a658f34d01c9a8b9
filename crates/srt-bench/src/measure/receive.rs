//! 200 streams of 4 Mbit/s: processor time, beside the bare sink and libsrt.

use std::collections::HashMap;

use anyhow::Result;

use super::{Bench, Taken, median};
use crate::options::Options;
use crate::receiver::{Kind, Receivers};
use crate::report::{Goal, Row};
use crate::wire::PAYLOAD_BYTES;

const STREAMS: usize = 200;
const BITS_PER_SECOND: u64 = 4_000_000;

/// One receiver in one round.
struct Round {
    /// Processor time for each second of a stream that it delivered.
    cpu_ms: f64,
    /// Of the streams' bytes that the generator sent, delivered.
    delivered_percent: f64,
    /// Of the bytes that the rate asks for, sent.
    offered_percent: f64,
    drops: u64,
    connections: u64,
}

pub(super) fn run(receivers: &Receivers, options: &Options) -> Result<Vec<Row>> {
    let mut rounds: HashMap<&str, Vec<Round>> = HashMap::new();
    for _ in 0..options.rounds {
        for kind in receivers.kinds() {
            rounds.entry(kind.name()).or_default().push(round(receivers, kind, options)?);
        }
    }
    let cost = |kind: Kind| {
        median(rounds.get(kind.name()).into_iter().flatten().map(|round| round.cpu_ms).collect())
    };
    let mut rows: Vec<Row> = receivers
        .kinds()
        .map(|kind| {
            let of = |figure: fn(&Round) -> f64| {
                median(rounds.get(kind.name()).into_iter().flatten().map(figure).collect())
            };
            Row::new("receive", kind.name(), Goal::None, cost(kind), "ms/stream-s").note(format!(
                "delivered {:.1} % of what was sent, sent {:.1} % of the rate, {} socket drops, {} connections",
                of(|round| round.delivered_percent),
                of(|round| round.offered_percent),
                of(|round| round.drops as f64),
                of(|round| round.connections as f64)
            ))
        })
        .collect();
    let ours = cost(Kind::Dashvault);
    rows.push(Row::new(
        "receive",
        "dashvault-srt / bare sink",
        Goal::AtMost(1.7),
        ours / cost(Kind::Sink),
        "x",
    ));
    if receivers.has_libsrt() {
        rows.push(Row::new(
            "receive",
            "dashvault-srt / libsrt TSBPD",
            Goal::AtMost(1.0 / 6.0),
            ours / cost(Kind::LibsrtTsbpd),
            "x",
        ));
    }
    Ok(rows)
}

fn round(receivers: &Receivers, kind: Kind, options: &Options) -> Result<Round> {
    let mut bench = Bench::start(receivers, kind, STREAMS, BITS_PER_SECOND)?;
    let connections = bench.generator.ready();
    bench.go()?;
    let Taken { cpu, bytes, sent_packets, length } = bench.measure(options.length)?;
    let drops = crate::process::socket_drops(bench.at.port())?;
    let sent = (sent_packets * PAYLOAD_BYTES as u64) as f64;
    let stream_seconds = bytes as f64 * 8.0 / BITS_PER_SECOND as f64;
    let asked = STREAMS as f64 * length.as_secs_f64() * BITS_PER_SECOND as f64 / 8.0;
    Ok(Round {
        cpu_ms: cpu.as_secs_f64() * 1000.0 / stream_seconds,
        delivered_percent: bytes as f64 * 100.0 / sent,
        offered_percent: sent * 100.0 / asked,
        drops,
        connections,
    })
}
