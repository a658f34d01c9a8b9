//! The named scenarios: a table of what a network, a peer or an attacker does, and what must come of it.
//!
//! Belongs here: data. Each line is a test that is played with several seeds.

mod attacks;
mod handshakes;
mod hardship;
mod secrets;
mod wraps;

use std::time::Duration;

use crate::application::{Phase, Sizes, Stream};
use crate::network::link::{Loss, Path};
use crate::proof::prove;
use crate::scenario::{Expects, Lost, Mode, Scenario};

/// Makes a test of each scenario.
macro_rules! scenarios {
    ($($name:ident: $scenario:expr;)*) => {
        $(#[test]
        fn $name() {
            prove(&$scenario);
        })*
    };
}
use scenarios;

const fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

/// Like this, but with this much lost at most.
fn losing(lost: Lost, scenario: Scenario) -> Scenario {
    Scenario { expects: Expects { lost, ..scenario.expects }, ..scenario }
}

/// Like this, and as much back from the listener.
fn both_ways(scenario: Scenario) -> Scenario {
    Scenario { downstream: scenario.upstream.clone(), ..scenario }
}

fn reordered(share: f64) -> Path {
    Path { reorder: share, ..Path::clean(30) }
}

fn jittery(disorderly: bool) -> Path {
    Path { jitter: ms(50), disorderly, ..Path::clean(30) }
}

/// Bursts that lose `bad` of everything for 30 datagrams or so, each 500 or so.
fn bursty(bad: f64) -> Path {
    Path { loss: Loss::Burst { enter: 0.002, leave: 0.033, bad }, ..Path::clean(30) }
}

/// Bursts of this many payloads, each so long.
fn bursts(payloads: u64, burst: u64, every_ms: u64) -> Stream {
    let phase = Phase { payloads, every: ms(every_ms), burst };
    Stream { sizes: Sizes::Fixed(1273), phases: vec![phase] }
}

/// Loses nearly 15 %, and what is sent at once comes in any order: there is no room for what was only late.
fn lossy_and_shuffled() -> Scenario {
    let up = Path { jitter: ms(57), disorderly: true, ..Path::lossy(17, 0.1477) };
    Scenario { latency: ms(8_474), upstream: bursts(1_995, 32, 63), up, ..Scenario::plain() }
}

/// Few bursts, out of order, and a path back that loses what is said about them.
fn sparse_bursts() -> Scenario {
    let up = Path { jitter: ms(36), disorderly: true, duplicate: 0.03, ..Path::clean(60) };
    let down = Path { delay: ms(95), ..bursty(0.73) };
    Scenario { latency: ms(8_000), upstream: bursts(1_500, 20, 92), up, down, ..Scenario::plain() }
}

/// Frames: many payloads at once, 25 times a second.
fn frames() -> Stream {
    let phase = Phase { payloads: 4_000, every: ms(40), burst: 16 };
    Stream { sizes: Sizes::Varied(1316), phases: vec![phase] }
}

scenarios! {
    a_clean_stream_arrives_whole: Scenario::plain();
    a_clean_stream_arrives_whole_both_ways: both_ways(Scenario::plain());
    frames_of_odd_sizes_arrive_whole: Scenario { upstream: frames(), ..Scenario::lossy(0.02) };
    the_largest_payloads_arrive_whole:
        Scenario { upstream: Stream { sizes: Sizes::Fixed(1456), ..frames() }, ..Scenario::lossy(0.02) };
    five_percent_loss_both_ways_loses_nothing: Scenario::lossy(0.05);
    fifteen_percent_loss_both_ways_loses_nothing: Scenario::lossy(0.15);
    thirty_percent_loss_both_ways_loses_nothing: Scenario { overhead_percent: 100, ..Scenario::lossy(0.3) };
    five_percent_loss_both_ways_of_two_streams_loses_nothing: both_ways(Scenario::lossy(0.05));
    bursts_lose_nothing: Scenario::over(bursty(0.8));
    nearly_whole_bursts_lose_nothing: Scenario::over(bursty(0.95));
    reordering_loses_nothing: Scenario::over(reordered(0.05));
    heavy_reordering_loses_nothing: Scenario::over(Path { reorder_by: ms(35), ..reordered(0.3) });
    bursts_in_any_order_under_loss_lose_nothing: lossy_and_shuffled();
    sparse_bursts_in_any_order_lose_nothing: sparse_bursts();
    duplicates_are_delivered_once: Scenario::over(Path { duplicate: 0.2, ..Path::clean(30) });
    jitter_loses_nothing: Scenario::over(jittery(false));
    jitter_that_reorders_loses_nothing: Scenario::over(jittery(true));
    everything_at_once_loses_nothing: both_ways(Scenario::over(Path {
        loss: Loss::Even(0.1), reorder: 0.05, duplicate: 0.05, ..jittery(true)
    }));
    long_paths_lose_nothing: Scenario::over(Path::lossy(400, 0.05));
    timers_without_slack_end_as_well:
        Scenario { slack: Duration::ZERO, wake_gap: Duration::ZERO, ..Scenario::lossy(0.05) };
    lazy_drivers_lose_nothing: Scenario { slack: ms(20), wake_gap: ms(20), ..Scenario::lossy(0.05) };

    played_on_time_a_clean_stream_arrives_whole: Scenario::plain().tsbpd();
    played_on_time_both_ways: both_ways(Scenario::plain()).tsbpd();
    played_on_time_with_time_enough_five_percent_loss_loses_nothing:
        Scenario { latency: ms(1_500), ..Scenario::lossy(0.05).tsbpd() };
    played_on_time_what_comes_late_is_reported:
        losing(Lost::Some(0.08), Scenario { latency: ms(80), ..Scenario::lossy(0.15).tsbpd() });
    played_on_time_nothing_is_given_up_without_leave: Scenario {
        mode: Mode::Tsbpd { drop_too_late: false }, ..Scenario::lossy(0.1).tsbpd()
    };
    played_on_time_jitter_loses_nothing: Scenario::over(jittery(true)).tsbpd();
}
