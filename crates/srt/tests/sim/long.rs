//! One long run: millions of packets over hours of virtual time, through the wraps of every counter.
//!
//! Belongs here: a single scenario that is too long for [`crate::scenarios`].

use std::time::Duration;

use crate::application::{Phase, Sizes, Stream};
use crate::oracle::judge;
use crate::proof::play;
use crate::scenario::{Encryption, Scenario};

const PACKETS: u64 = 2_000_000;
/// In this time stamps of 32 bits wrap.
const STAMPS_WRAP: Duration = Duration::from_micros(1 << 32);

/// 2 million packets in 3.6 hours: the stamps wrap three times, sequence and message numbers once, and
/// the key changes forty times.
fn long() -> Scenario {
    let phase = Phase { payloads: PACKETS, every: Duration::from_micros(26_000), burst: 4 };
    let upstream = Stream { sizes: Sizes::Varied(64), phases: vec![phase] };
    let encryption = Some(Encryption { bits: 128, gcm: false, refresh: Some(50_000) });
    let mut scenario = Scenario { upstream, encryption, wraps: true, ..Scenario::lossy(0.02) };
    scenario.up.shift_messages = (1 << 26) - 1_000_000;
    scenario
}

#[test]
fn two_million_packets_pass_every_wrap() {
    let scenario = long();
    assert!(scenario.upstream.length() > STAMPS_WRAP * 3);
    let outcome = play(&scenario);
    let faults = judge(&scenario, &outcome);
    assert!(faults.is_empty(), "seed {}: {faults:#?}\n{scenario:#?}", scenario.seed);
    assert_eq!(outcome.listener.consumer.payloads, PACKETS);
    let refreshes = outcome.listener.counters.key_refreshes;
    assert!(refreshes >= 39, "{refreshes}");
    let start = outcome.start.unwrap_or_default();
    assert!(u64::from(start) + PACKETS > 1 << 31, "{start}");
}
