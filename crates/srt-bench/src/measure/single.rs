//! One stream as fast as it goes, over the loopback.

use std::time::{Duration, Instant};

use anyhow::Result;

use super::{Bench, WARM_UP};
use crate::process::{Part, socket_drops};
use crate::receiver::{Kind, Receivers};
use crate::report::{Goal, Row};
use crate::wire::PAYLOAD_BYTES;

const LENGTH: Duration = Duration::from_secs(5);
const GOAL_MBIT: f64 = 1000.0;
/// What the receiver is offered without our sender.
const OFFERED_BITS: u64 = 1_500_000_000;

pub(super) fn run(receivers: &Receivers) -> Result<Vec<Row>> {
    let mut rows = vec![end_to_end(receivers)?];
    for kind in [Kind::Sink, Kind::Dashvault] {
        let mut bench = Bench::start(receivers, kind, 1, OFFERED_BITS)?;
        bench.go()?;
        let taken = bench.measure(LENGTH)?;
        let mbit = |bytes: u64| bytes as f64 * 8.0 / taken.length.as_secs_f64() / 1e6;
        rows.push(
            Row::new(
                "single",
                format!("generator to {}", kind.name()),
                Goal::None,
                mbit(taken.bytes),
                "Mbit/s",
            )
            .note(format!(
                "{:.0} Mbit/s sent, {} socket drops",
                mbit(taken.sent_packets * PAYLOAD_BYTES as u64),
                socket_drops(bench.at.port())?
            )),
        );
    }
    Ok(rows)
}

fn end_to_end(receivers: &Receivers) -> Result<Row> {
    let (mut receiver, at) = receivers.start(Kind::Dashvault)?;
    let mut sender = Part::own(&["push".to_owned(), at.to_string()])?;
    std::thread::sleep(WARM_UP);
    let (began, before, cpu_before) = (Instant::now(), receiver.ask("?")?, (receiver.cpu()?, sender.cpu()?));
    std::thread::sleep(LENGTH);
    let (after, length) = (receiver.ask("?")?, began.elapsed().as_secs_f64());
    let bytes = after.of("bytes").saturating_sub(before.of("bytes"));
    let busy =
        |after: Duration, before: Duration| after.saturating_sub(before).as_secs_f64() * 100.0 / length;
    let (receiver_busy, sender_busy) =
        (busy(receiver.cpu()?, cpu_before.0), busy(sender.cpu()?, cpu_before.1));
    let sent = sender.ask("?")?;
    let mbit = bytes as f64 * 8.0 / length / 1e6;
    let row = Row::new("single", "our caller to our listener", Goal::AtLeast(GOAL_MBIT), mbit, "Mbit/s");
    Ok(row.note(format!(
        "processor: receiver {receiver_busy:.0} %, sender {sender_busy:.0} %; {} packets lost, {} socket drops, {:.2} % \
         retransmitted",
        after.of("lost"),
        socket_drops(at.port())?,
        sent.of("retransmitted") as f64 * 100.0 / sent.of("sent").max(1) as f64
    )))
}
