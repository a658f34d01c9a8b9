//! Networks that fail for a while, that are too slow, or that give the caller another address.

use std::time::Duration;

use super::{losing, ms, prove, scenarios};
use crate::application::{Phase, Sizes, Stream};
use crate::network::link::{Path, Rate};
use crate::scenario::{Ends, Expects, Lost, Rebind, Scenario};

/// Nothing arrives, either way, for so long.
fn hole(length_ms: u64) -> Path {
    Path { holes: vec![(ms(3_000), ms(3_000 + length_ms))], ..Path::clean(30) }
}

/// Each 800 ms nothing arrives for 300 ms.
fn flapping() -> Path {
    let holes = (1..20).map(|nth| (ms(nth * 800), ms(nth * 800 + 300))).collect();
    Path { holes, ..Path::lossy(30, 0.02) }
}

/// A bottleneck of so many Mbit/s with a queue of 200 ms.
fn slow(mbit: u64) -> Path {
    let bytes_per_s = mbit * 125_000;
    Path { rate: Some(Rate { bytes_per_s, queue_bytes: bytes_per_s / 5 }), ..Path::clean(30) }
}

/// 4 Mbit/s, twice as much for two seconds, and less again.
fn swelling() -> Stream {
    let phase = |payloads, every_us| Phase { payloads, every: Duration::from_micros(every_us), burst: 1 };
    Stream {
        sizes: Sizes::Fixed(1316),
        phases: vec![phase(1_000, 2_632), phase(1_500, 1_316), phase(1_000, 5_264)],
    }
}

fn rebind(at_ms: u64, known: bool, only_port: bool) -> Rebind {
    Rebind { at: ms(at_ms), known, only_port }
}

fn rebound(rebinds: &[Rebind]) -> Scenario {
    Scenario { rebinds: rebinds.to_vec(), ..Scenario::plain() }
}

fn somehow(scenario: Scenario) -> Scenario {
    Scenario {
        expects: Expects { ends: Ends::Somehow, lost: Lost::Anything, ..scenario.expects },
        ..scenario
    }
}

/// What is older than a second is dropped by the sender.
fn impatient(scenario: Scenario) -> Scenario {
    Scenario { too_late: Some(ms(1_000)), ..scenario }
}

scenarios! {
    a_hole_of_one_second_loses_nothing: Scenario::over(hole(1_000));
    a_hole_of_four_seconds_loses_nothing: Scenario { latency: ms(15_000), ..Scenario::over(hole(4_000)) };
    a_hole_of_ten_seconds_ends_the_connection: somehow(Scenario::over(hole(10_000)));
    a_hole_upwards_only_loses_nothing: Scenario { up: hole(2_000), overhead_percent: 100, ..Scenario::plain() };
    a_hole_downwards_only_loses_nothing: Scenario { down: hole(2_000), ..Scenario::plain() };
    a_hole_of_four_seconds_costs_the_impatient_three:
        losing(Lost::Some(0.35), impatient(Scenario::over(hole(4_000))));
    a_flapping_path_loses_nothing:
        Scenario { latency: ms(15_000), overhead_percent: 100, ..Scenario::over(flapping()) };
    a_flapping_path_ends_when_played_on_time: losing(Lost::Some(0.6), impatient(Scenario::over(flapping()).tsbpd()));

    a_path_just_fast_enough_loses_nothing: Scenario { latency: ms(15_000), ..Scenario { up: slow(5), ..Scenario::plain() } };
    a_path_too_slow_delays_but_loses_nothing: Scenario {
        up: slow(3), latency: ms(60_000), linger: ms(60_000), bandwidth_bytes_per_s: 350_000, ..Scenario::plain()
    };
    a_path_too_slow_loses_what_is_too_late: losing(Lost::Some(0.6), impatient(Scenario {
        up: slow(3), bandwidth_bytes_per_s: 350_000, ..Scenario::plain()
    }));
    a_path_too_slow_for_a_sender_that_does_not_know_ends: somehow(impatient(Scenario { up: slow(2), ..Scenario::plain() }));
    a_swelling_stream_over_a_bottleneck_loses_nothing:
        Scenario { up: slow(10), upstream: swelling(), latency: ms(15_000), ..Scenario::plain() };

    a_listener_follows_a_caller_that_knows_of_its_move: rebound(&[rebind(4_000, true, false)]);
    a_listener_follows_a_caller_that_does_not_know: rebound(&[rebind(4_000, false, false)]);
    a_listener_follows_to_another_port: rebound(&[rebind(4_000, false, true)]);
    a_listener_follows_again_and_again: rebound(&[
        rebind(2_000, false, true), rebind(3_000, true, false), rebind(5_000, false, false), rebind(5_200, false, true),
    ]);
    a_listener_follows_over_a_lossy_path:
        Scenario { rebinds: vec![rebind(4_000, false, false)], ..Scenario::lossy(0.15) };
    a_listener_follows_out_of_a_hole:
        Scenario { rebinds: vec![rebind(3_500, true, false)], latency: ms(15_000), ..Scenario::over(hole(3_000)) };
}
