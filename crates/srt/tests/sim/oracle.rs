//! What is right: the checks that every run must pass, whatever the scenario.
//!
//! Belongs here: comparisons of what the applications, the ends and the wire say of one run. Each fault is one line.

use crate::endpoint::State;
use crate::network::traffic::{Kind, Traffic};
use crate::run::{End, Outcome};
use crate::scenario::{Ends, Exact, Lost, Mode, Scenario};

/// Everything that is wrong with a run; nothing is right.
pub(crate) fn judge(scenario: &Scenario, outcome: &Outcome) -> Vec<String> {
    let mut faults = Faults(Vec::new());
    faults.check(outcome.finished, || {
        format!(
            "not over at {:?}: caller {:?}, listener {:?}",
            outcome.now, outcome.caller.state, outcome.listener.state
        )
    });
    ending(scenario, outcome, &mut faults);
    for (name, end) in [("caller", &outcome.caller), ("listener", &outcome.listener)] {
        memory(scenario, name, end, &mut faults);
    }
    faults.check(outcome.to_strangers <= outcome.from_strangers, || {
        format!("strangers sent {} bytes and got {}", outcome.from_strangers, outcome.to_strangers)
    });
    if scenario.expects.exact == Exact::Yes {
        direction(scenario, "up", outcome.drained, &outcome.caller, &outcome.listener, &mut faults);
        // The caller closes, and wants nothing of what still waits for its time.
        let all_taken = outcome.drained && !matches!(scenario.mode, Mode::Tsbpd { .. });
        direction(scenario, "down", all_taken, &outcome.listener, &outcome.caller, &mut faults);
        wire("up", &outcome.up, &outcome.caller, &mut faults);
        wire("down", &outcome.down, &outcome.listener, &mut faults);
        moves(scenario, outcome, &mut faults);
        faults.check(outcome.listener.counters.connections <= 1, || {
            format!("{} connections were made", outcome.listener.counters.connections)
        });
    }
    faults.0
}

struct Faults(Vec<String>);

impl Faults {
    fn check(&mut self, holds: bool, text: impl FnOnce() -> String) {
        if !holds {
            self.0.push(text());
        }
    }
}

/// It ends as it should.
fn ending(scenario: &Scenario, outcome: &Outcome, faults: &mut Faults) {
    let states = format!("caller {:?}, listener {:?}", outcome.caller.state, outcome.listener.state);
    match scenario.expects.ends {
        Ends::Clean => {
            faults.check(outcome.opened_at.is_some(), || format!("never opened: {states}"));
            faults.check(outcome.drained, || format!("not drained when it closed: {states}"));
            faults.check(outcome.caller.state == State::Closed("Local".into()), || states.clone());
            // Both shutdowns may be lost: then it is the silence that ends it.
            let listener = ["PeerShutdown", "PeerIdle"].map(|reason| State::Closed(reason.into()));
            faults.check(listener.contains(&outcome.listener.state), || states.clone());
        }
        Ends::Somehow => {}
        Ends::Unconnected => {
            faults.check(outcome.opened_at.is_none(), || "was opened".to_owned());
            faults.check(outcome.caller.state.is_closed(), || states.clone());
        }
    }
}

/// What one application sent is what the other received, minus what was reported lost.
fn direction(scenario: &Scenario, name: &str, drained: bool, from: &End, to: &End, faults: &mut Faults) {
    let (sent, received) = (from.accepted, &to.consumer);
    for fault in &received.faults {
        faults.0.push(format!("{name}: {fault}"));
    }
    let accounted = received.payloads + received.lost;
    faults.check(received.next == accounted, || {
        format!("{name}: {accounted} are accounted for, but the next is {}", received.next)
    });
    faults.check(accounted <= sent, || format!("{name}: {accounted} are accounted for, {sent} were sent"));
    // The receiver may never hear of a tail that its sender dropped.
    faults.check(!drained || accounted + from.counters.dropped_packets >= sent, || {
        format!("{name}: drained, but {accounted} of {sent} are accounted for")
    });
    let all = received.lost == 0 && received.payloads == sent;
    faults.check(!all || received.delivered_bytes == from.accepted_bytes, || {
        format!("{name}: {} of {} bytes", received.delivered_bytes, from.accepted_bytes)
    });
    let said = to.counters;
    faults.check(said.lost_packets == received.lost, || {
        format!("{name}: the receiver counts {} lost, reported {}", said.lost_packets, received.lost)
    });
    faults.check(said.delivered_bytes == received.delivered_bytes, || {
        format!(
            "{name}: the receiver counts {} bytes, gave {}",
            said.delivered_bytes, received.delivered_bytes
        )
    });
    let share = received.lost as f64 / sent.max(1) as f64;
    faults.check(sent == 0 || lost_as_expected(scenario.expects.lost, share), || {
        format!("{name}: {} of {sent} lost, expected {:?}", received.lost, scenario.expects.lost)
    });
    // Who never drops and is always heard loses nothing to a receiver that holds.
    let said = from.counters;
    faults.check(scenario.too_late.is_some() || said.dropped_packets == 0, || {
        format!("{name}: {} dropped without a limit", said.dropped_packets)
    });
    let gone = said.acked_packets + said.dropped_packets;
    faults.check(!drained || gone == sent, || {
        format!("{name}: {} acknowledged and {} dropped of {sent}", said.acked_packets, said.dropped_packets)
    });
    if matches!(scenario.mode, Mode::Tsbpd { .. }) && received.payloads > 0 {
        let least = received.least_delay;
        faults.check(least.is_none_or(|least| least + scenario.slack * 2 >= scenario.latency), || {
            format!("{name}: played after {least:?}")
        });
    }
}

fn lost_as_expected(expected: Lost, share: f64) -> bool {
    match expected {
        Lost::Nothing => share == 0.0,
        Lost::Some(most) => share > 0.0 && share <= most,
        Lost::Anything => true,
    }
}

/// What the sender counts is what was on the wire.
fn wire(name: &str, traffic: &Traffic, from: &End, faults: &mut Faults) {
    for (what, wire, said) in [
        ("sent", traffic.packets(Kind::Data), from.counters.sent_packets),
        ("resent", traffic.packets(Kind::Again), from.counters.resent_packets),
    ] {
        faults.check(wire == said, || format!("{name}: {wire} {what} on the wire, the sender counts {said}"));
    }
    faults.check(traffic.packets(Kind::Data) <= from.accepted, || {
        format!("{name}: {} first sendings of {} payloads", traffic.packets(Kind::Data), from.accepted)
    });
}

/// Buffers are bounded, and what the sender buffers is bounded as it was told.
fn memory(scenario: &Scenario, name: &str, end: &End, faults: &mut Faults) {
    faults.check(end.most_held <= u64::from(scenario.window_packets), || {
        format!("{name}: held {}", end.most_held)
    });
    faults.check(end.most_buffered_packets <= u64::from(scenario.max_buffer_packets), || {
        format!("{name}: buffered {} packets", end.most_buffered_packets)
    });
    let most = scenario.most_heap_bytes();
    faults
        .check(end.most_heap <= most, || format!("{name}: {} bytes of heap, {most} allowed", end.most_heap));
}

/// The listener followed the caller as often as it moved.
fn moves(scenario: &Scenario, outcome: &Outcome, faults: &mut Faults) {
    let (most, moves) = (scenario.rebinds.len() as u64, outcome.listener.counters.moves);
    faults.check(moves <= most, || format!("{moves} moves counted, {most} were made"));
    let clean = scenario.expects.ends == Ends::Clean;
    faults.check(!clean || most == 0 || moves > 0, || "the listener never followed the caller".to_owned());
}
