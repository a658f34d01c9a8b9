//! Tests of the simulator itself: the network does what it is told, and the oracles see each fault.

use std::time::Duration;

use crate::application::Stream;
use crate::fake::{Fake, Flaw};
use crate::network::link::{Link, Loss, Path, Rate};
use crate::network::{CALLER, Network, Side, traffic};
use crate::oracle::judge;
use crate::run::{Outcome, run};
use crate::scenario::Scenario;

fn fakes(scenario: &Scenario, flaw: Flaw) -> Outcome {
    run(scenario, Fake::new(Side::Caller, flaw), Fake::new(Side::Listener, flaw))
}

fn short() -> Scenario {
    Scenario { upstream: Stream::steady(40, 20_000), ..Scenario::plain() }
}

#[test]
fn a_right_protocol_passes_the_oracles_over_a_bad_network() {
    let mut path = Path::lossy(30, 0.1);
    (path.duplicate, path.reorder) = (0.1, 0.1);
    path.jitter = Duration::from_millis(20);
    for seed in 0..20 {
        let scenario = Scenario { seed, up: path.clone(), down: path.clone(), ..short() };
        let faults = judge(&scenario, &fakes(&scenario, Flaw::None));
        assert!(faults.is_empty(), "seed {seed}: {faults:#?}");
    }
}

#[test]
fn each_flaw_is_seen() {
    for (flaw, word) in [
        (Flaw::DeliversTwice, "was delivered where"),
        (Flaw::SkipsInSilence, "was delivered where"),
        (Flaw::SwapsOrder, "was delivered where"),
        (Flaw::ChangesBytes, "with other bytes"),
        (Flaw::CountsLossTwice, "the receiver counts 1 lost"),
        (Flaw::HoldsTooMuch, "held 9000"),
        (Flaw::NeverEnds, "not over"),
        (Flaw::DropsInSilence, "are accounted for"),
    ] {
        let mut scenario = short();
        if flaw == Flaw::NeverEnds {
            scenario.up.holes.push((Duration::from_millis(500), Duration::from_secs(600)));
        }
        let faults = judge(&scenario, &fakes(&scenario, flaw));
        assert!(faults.iter().any(|fault| fault.contains(word)), "{flaw:?}: {faults:?}");
    }
}

#[test]
fn the_same_seed_gives_the_same_run() {
    let scenario = Scenario { up: Path::lossy(30, 0.2), ..short() };
    let [first, second] = [fakes(&scenario, Flaw::None), fakes(&scenario, Flaw::None)];
    assert_eq!(format!("{first:?}"), format!("{second:?}"));
}

/// Sends datagrams 1 ms apart and gives the arrivals.
fn arrivals(path: Path, count: u64) -> Vec<Option<Duration>> {
    let (mut link, mut rng) = (Link::new(path), fastrand::Rng::with_seed(7));
    (0..count).map(|nth| link.carry(Duration::from_millis(nth), &[0; 1000], &mut rng).arrivals[0]).collect()
}

#[test]
fn loss_is_as_asked_and_comes_in_bursts_if_asked() {
    let lost = |path| arrivals(path, 100_000).into_iter().map(|at| at.is_none()).collect::<Vec<_>>();
    let runs = |lost: &[bool]| lost.windows(2).filter(|pair| pair[0] && !pair[1]).count();
    let even = lost(Path::lossy(10, 0.05));
    let burst = lost(Path { loss: Loss::Burst { enter: 0.01, leave: 0.1, bad: 0.5 }, ..Path::clean(10) });
    let count = |lost: &[bool]| lost.iter().filter(|lost| **lost).count();
    assert!((4_500..5_500).contains(&count(&even)), "{}", count(&even));
    assert!((3_500..5_500).contains(&count(&burst)), "{}", count(&burst));
    assert!(runs(&burst) * 10 < runs(&even) * 8);
}

#[test]
fn a_bottleneck_delays_and_then_drops() {
    let rate = Some(Rate { bytes_per_s: 514_000, queue_bytes: 10_280 });
    let arrived = arrivals(Path { rate, ..Path::clean(10) }, 1_000);
    let count = arrived.iter().flatten().count();
    assert!((500..=515).contains(&count), "{count}");
    let last = arrived.iter().enumerate().rev().find_map(|(nth, at)| Some((nth as u64, (*at)?)));
    assert!(last.is_some_and(|(nth, at)| at > Duration::from_millis(nth + 10 + 18)), "{last:?}");
}

#[test]
fn what_goes_to_an_address_that_was_left_is_lost() {
    let mut network = Network::new(Path::clean(1), Path::clean(1), 1);
    network.send(Duration::ZERO, Side::Listener, CALLER, b"old");
    network.rebind(([198, 51, 100, 9], 40_001).into());
    network.send(Duration::ZERO, Side::Listener, network.caller(), b"new");
    let taken = network.take(Duration::from_secs(1)).map(|flight| flight.bytes);
    assert_eq!(taken.as_deref(), Some(b"new".as_slice()));
    assert!(network.take(Duration::from_secs(1)).is_none());
}

#[test]
fn shifted_message_numbers_wrap_past_zero() {
    let mut data = [0_u8; 16];
    data[4..8].copy_from_slice(&(0xe000_0000_u32 | 5).to_be_bytes());
    traffic::shift_message(&mut data, (1 << 26) - 5);
    assert_eq!(data[4..8], (0xe000_0000_u32 | 1).to_be_bytes());
}
