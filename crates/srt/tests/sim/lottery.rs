//! Scenarios drawn by lot: everything that a scenario can say, mixed as no one would think of.
//!
//! Belongs here: the bounds of each field, what may be expected of what was drawn, and the way from a scenario that
//! fails to the smallest that does.

mod draw;

use std::time::Duration;

use crate::hostile::Hostile;
use crate::network::link::{Loss, Path};
use crate::proof::faults;
use crate::scenario::{Encryption, Ends, Exact, Expects, Lost, Mode, Scenario};
use draw::draw;

/// A test for each share of the seeds, so that they run side by side.
macro_rules! lots {
    ($($name:ident: $seeds:expr;)*) => {
        $(#[test]
        fn $name() {
            prove_all($seeds);
        })*
    };
}

lots! {
    lots_1_to_60_hold: 1..=60;
    lots_61_to_120_hold: 61..=120;
    lots_121_to_180_hold: 121..=180;
    lots_that_failed_once_hold: [87, 536, 1897, 2611, 3183].into_iter();
}

/// More seeds than a run of the tests has time for: `SRT_LOTS=61..1061 cargo test … further_lots -- --ignored`.
#[test]
#[ignore = "takes minutes"]
fn further_lots_hold() {
    let lots = std::env::var("SRT_LOTS").unwrap_or_else(|_| "61..101".to_owned());
    let (first, end) = lots.split_once("..").expect("SRT_LOTS is like 61..1061");
    let seed = |text: &str| text.parse::<u64>().expect("a seed is a number");
    prove_all(seed(first)..seed(end));
}

/// Plays the scenario of each seed.
///
/// # Panics
/// When something is wrong: with each seed, the faults and the smallest scenario that still fails.
fn prove_all(seeds: impl Iterator<Item = u64>) {
    let failures: Vec<_> = seeds.filter_map(failure).collect();
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

fn failure(seed: u64) -> Option<String> {
    let scenario = drawn(seed);
    let first = faults(&scenario);
    if first.is_empty() {
        return None;
    }
    let smallest = shrunk(scenario, |scenario| !faults(scenario).is_empty());
    Some(format!("seed {seed}: {first:#?}\nsmallest: {:#?}\n{smallest:#?}", faults(&smallest)))
}

/// The scenario of a seed, with what may be expected of it.
fn drawn(seed: u64) -> Scenario {
    expecting(draw(seed))
}

/// The scenario, with what may be expected of it: so much only as follows from its fields.
fn expecting(scenario: Scenario) -> Scenario {
    let tampered =
        matches!(scenario.hostile, Hostile::Mutations(_)) || either(&scenario, |path| path.corrupt > 0.0);
    let expects = if tampered {
        Expects { ends: Ends::Somehow, lost: Lost::Anything, exact: Exact::Survives }
    } else {
        let ends = if is_held_back(&scenario) { Ends::Somehow } else { Ends::Clean };
        let lost = if is_easy(&scenario) { Lost::Nothing } else { Lost::Anything };
        Expects { ends, lost, exact: Exact::Yes }
    };
    Scenario { expects, ..scenario }
}

/// Whether copies from the old address may keep the listener from following: without keys it follows nobody while the
/// old address is heard.
fn is_held_back(scenario: &Scenario) -> bool {
    matches!(scenario.hostile, Hostile::Replays(_))
        && !scenario.rebinds.is_empty()
        && scenario.encryption.is_none()
}

/// Whether there is time to send everything again often enough.
fn is_easy(scenario: &Scenario) -> bool {
    scenario.mode == Mode::Hold
        && scenario.too_late.is_none()
        && scenario.latency >= longest_round(scenario) * 12 + Duration::from_secs(2)
        && !either(scenario, |path| !path.holes.is_empty() || path.rate.is_some())
        && !keys_are_reused(scenario)
        && !is_held_back(scenario)
}

/// Whether a key may give way to the next but one while packets under it are still sent again.
fn keys_are_reused(scenario: &Scenario) -> bool {
    let late = longest_round(scenario) * 4 + Duration::from_secs(1);
    scenario.encryption.and_then(|encryption| encryption.refresh).is_some_and(|packets| {
        [&scenario.upstream, &scenario.downstream].into_iter().flat_map(|stream| &stream.phases).any(
            |phase| {
                let rate = phase.burst as f64 / phase.every.as_secs_f64();
                rate * late.as_secs_f64() > f64::from(packets)
            },
        )
    })
}

/// There and back, with everything that delays.
fn longest_round(scenario: &Scenario) -> Duration {
    [&scenario.up, &scenario.down].map(|path| path.delay + path.jitter + path.reorder_by).iter().sum()
}

fn either(scenario: &Scenario, is: impl Fn(&Path) -> bool) -> bool {
    is(&scenario.up) || is(&scenario.down)
}

/// Sets one field to its plain value.
type Reset = fn(&mut Scenario, &Scenario);

macro_rules! resets {
    ($($($field:ident).+;)*) => {
        &[$((|scenario, plain| scenario.$($field).+ = plain.$($field).+.clone()) as Reset),*]
    };
}

const RESETS: &[Reset] = resets! {
    hostile; rebinds; encryption; downstream; up; down; mode; latency; too_late; wraps;
    up.loss; up.holes; up.rate; up.jitter; up.disorderly; up.reorder; up.reorder_by; up.duplicate; up.corrupt;
    up.drops; up.shift_messages; up.delay;
    down.loss; down.holes; down.rate; down.jitter; down.disorderly; down.reorder; down.reorder_by; down.duplicate;
    down.corrupt; down.drops; down.shift_messages; down.delay;
    upstream; upstream.sizes; downstream.sizes; ack_interval; window_packets; wake_gap; slack; socket_datagrams;
    linger; bandwidth_bytes_per_s; max_buffer_packets; overhead_percent; connect_timeout; decides_after;
};

/// Sets one field after the other to its plain value for as long as the scenario still fails.
fn shrunk(scenario: Scenario, fails: impl Fn(&Scenario) -> bool) -> Scenario {
    let plain = Scenario::plain();
    let mut smallest = scenario;
    loop {
        let before = smallest.clone();
        for reset in RESETS {
            let mut candidate = smallest.clone();
            reset(&mut candidate, &plain);
            let candidate = expecting(candidate);
            if candidate != smallest && fails(&candidate) {
                smallest = candidate;
            }
        }
        if smallest == before {
            return smallest;
        }
    }
}

#[test]
fn shrinking_leaves_only_what_fails() {
    let encryption = Some(Encryption { bits: 256, gcm: true, refresh: None });
    let mut scenario = Scenario { encryption, wraps: true, ..drawn(1) };
    scenario.up.loss = Loss::Even(0.07);
    let smallest = shrunk(scenario.clone(), |scenario| {
        scenario.encryption == encryption && scenario.up.loss == Loss::Even(0.07)
    });
    let up = Path { loss: Loss::Even(0.07), ..Path::clean(30) };
    assert_eq!(smallest, expecting(Scenario { seed: scenario.seed, encryption, up, ..Scenario::plain() }));
}

#[test]
fn lots_are_drawn_alike_and_differ() {
    assert_eq!(drawn(7), drawn(7));
    assert_ne!(drawn(7), Scenario { seed: 7, ..drawn(8) });
}

#[test]
fn many_lots_may_lose_nothing() {
    let easy = (1..=60).filter(|seed| drawn(*seed).expects.lost == Lost::Nothing).count();
    assert!((20..=50).contains(&easy), "{easy} of 60");
}
