//! What the protocol costs: control traffic, retransmissions and allocations, each against a bound with some room.
//!
//! Belongs here: measurements of whole runs. What a run must always hold to is in [`crate::oracle`].

use crate::application::Stream;
use crate::network::traffic::{Kind, Traffic, WIRE_OVERHEAD_BYTES};
use crate::proof::play;
use crate::run::Outcome;
use crate::scenario::Scenario;

/// Bytes of a data packet's header.
const HEADER_BYTES: u64 = 16;
const PAYLOADS: u64 = 11_400;

/// 30 s of 4 Mbit/s.
fn stream() -> Stream {
    Stream::steady(PAYLOADS, 2_632)
}

/// The scenario, played to a good end.
fn measured(scenario: &Scenario) -> Outcome {
    let outcome = play(scenario);
    assert!(outcome.drained, "seed {}: not drained", scenario.seed);
    assert_eq!(outcome.listener.consumer.payloads, scenario.upstream.payloads(), "seed {}", scenario.seed);
    for end in [&outcome.caller, &outcome.listener] {
        assert_eq!((end.refused, end.socket_drops), (0, 0), "seed {}", scenario.seed);
    }
    outcome
}

/// UDP payload bytes of everything that is not data.
fn control_bytes(traffic: &Traffic) -> u64 {
    let data = traffic.bytes(Kind::Data) + traffic.bytes(Kind::Again);
    traffic.wire_bytes() - traffic.all_packets() * WIRE_OVERHEAD_BYTES - data
}

#[test]
fn a_clean_held_stream_costs_little_more_than_its_headers() {
    let outcome = measured(&Scenario { upstream: stream(), ..Scenario::plain() });
    assert_eq!(outcome.up.packets(Kind::Again), 0);
    let payload = outcome.caller.accepted_bytes;
    let headers = outcome.up.packets(Kind::Data) * HEADER_BYTES;
    let data = outcome.up.bytes(Kind::Data);
    assert_eq!(data, payload + headers);
    let control = control_bytes(&outcome.up) + control_bytes(&outcome.down);
    let share = control as f64 / payload as f64;
    assert!(share < 0.002, "{control} bytes of control for {payload} of payload");
}

#[test]
fn a_clean_held_stream_needs_few_control_packets() {
    let outcome = measured(&Scenario { upstream: stream(), ..Scenario::plain() });
    let seconds = outcome.stream_seconds();
    let up = outcome.up.control_packets() as f64 / seconds;
    let down = outcome.down.control_packets() as f64 / seconds;
    assert!(up < 12.0, "{up:.1} control packets a second up");
    assert!(down < 12.0, "{down:.1} control packets a second down");
}

#[test]
fn a_clean_stream_wakes_hardly_anyone_for_nothing() {
    let outcome = measured(&Scenario { upstream: stream(), ..Scenario::plain() });
    for (name, end) in [("caller", &outcome.caller), ("listener", &outcome.listener)] {
        let share = end.idle_steps as f64 / end.steps as f64;
        assert!(share < 0.02, "the {name} wakes {} times, {} for nothing", end.steps, end.idle_steps);
    }
}

#[test]
fn a_clean_stream_is_buffered_until_it_is_acknowledged_and_no_longer() {
    let outcome = measured(&Scenario { upstream: stream(), ..Scenario::plain() });
    let bytes_per_s = outcome.caller.accepted_bytes as f64 / outcome.stream_seconds();
    // A round trip of 60 ms and an acknowledgement each 100 ms.
    let buffered = outcome.caller.most_buffered_bytes as f64;
    assert!(buffered < bytes_per_s * 0.2, "{buffered} bytes buffered");
}

#[test]
fn what_is_lost_is_sent_again_once() {
    let (mut again, mut lost) = (0, 0);
    for seed in 1..=5 {
        let outcome = measured(&Scenario { seed, upstream: stream(), ..Scenario::lossy(0.05) });
        again += outcome.up.bytes(Kind::Again);
        lost += outcome.up.lost_data_bytes();
    }
    let ratio = again as f64 / lost as f64;
    assert!(ratio <= 1.15, "{again} bytes sent again, {lost} lost: {ratio:.3}");
}

/// Allocations per packet of the second half of a stream, at the caller and at the listener.
fn allocations_per_packet(scenario: &Scenario) -> (f64, f64) {
    let short = measured(scenario);
    let long = measured(&Scenario { upstream: Stream::steady(2 * PAYLOADS, 2_632), ..scenario.clone() });
    let more = |long: u64, short: u64| long.saturating_sub(short) as f64 / PAYLOADS as f64;
    (
        more(long.caller.counters.allocations, short.caller.counters.allocations),
        more(long.listener.counters.allocations, short.listener.counters.allocations),
    )
}

#[test]
fn a_clean_stream_in_steady_state_hardly_allocates() {
    let (caller, listener) = allocations_per_packet(&Scenario { upstream: stream(), ..Scenario::plain() });
    assert!(caller < 0.005, "{caller:.3} allocations a packet at the caller");
    assert!(listener < 0.005, "{listener:.3} allocations a packet at the listener");
}

#[test]
fn a_lossy_stream_in_steady_state_hardly_allocates() {
    let (caller, listener) =
        allocations_per_packet(&Scenario { upstream: stream(), ..Scenario::lossy(0.05) });
    assert!(caller < 0.01, "{caller:.3} allocations a packet at the caller");
    assert!(listener < 0.05, "{listener:.3} allocations a packet at the listener");
}
