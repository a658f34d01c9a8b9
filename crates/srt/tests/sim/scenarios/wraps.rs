//! Counters that wrap: sequence numbers, message numbers, timestamps.

use std::time::Duration;

use super::{both_ways, losing, ms, prove, scenarios};
use crate::application::{Phase, Sizes, Stream};
use crate::network::link::Path;
use crate::proof::play;
use crate::scenario::{Encryption, Lost, Scenario};

fn wrapping(scenario: Scenario) -> Scenario {
    Scenario { wraps: true, ..scenario }
}

/// Message numbers reach the last one in mid-stream.
fn shifted(scenario: Scenario) -> Scenario {
    let mut scenario = scenario;
    scenario.up.shift_messages = (1 << 26) - 2_000;
    scenario
}

/// One payload a second for 71 minutes, and then 4 Mbit/s over the moment when the stamps wrap.
fn hour_long() -> Scenario {
    let phase = |payloads, every_us| Phase { payloads, every: Duration::from_micros(every_us), burst: 1 };
    let phases = vec![phase(4_290, 1_000_000), phase(3_800, 2_632)];
    Scenario { upstream: Stream { sizes: Sizes::Fixed(1316), phases }, ..Scenario::lossy(0.05) }
}

scenarios! {
    sequence_numbers_wrap: wrapping(Scenario::plain());
    sequence_numbers_wrap_under_loss: wrapping(both_ways(Scenario::lossy(0.15)));
    sequence_numbers_wrap_when_played_on_time: wrapping(losing(Lost::Anything, Scenario::lossy(0.05).tsbpd()));
    sequence_numbers_wrap_encrypted: Scenario {
        encryption: Some(Encryption { bits: 128, gcm: false, refresh: Some(1_000) }),
        ..wrapping(Scenario::lossy(0.05))
    };
    sequence_numbers_wrap_when_the_first_are_lost: Scenario {
        up: Path { holes: vec![(ms(150), ms(400))], ..Path::clean(30) }, ..wrapping(Scenario::plain())
    };
    message_numbers_wrap: shifted(Scenario::lossy(0.05));
    message_numbers_wrap_with_drops: shifted(losing(Lost::Some(0.35), Scenario {
        too_late: Some(ms(500)),
        up: Path { holes: vec![(ms(3_000), ms(6_000))], ..Path::clean(30) },
        ..Scenario::plain()
    }));
    stamps_wrap: hour_long();
    stamps_wrap_when_played_on_time: Scenario { latency: ms(1_000), ..hour_long().tsbpd() };
}

#[test]
fn a_caller_that_shall_wrap_does() {
    let outcome = play(&wrapping(Scenario::plain()));
    let start = outcome.start.unwrap_or_default();
    assert!(start > (1 << 31) - 2_000, "{start}");
}
