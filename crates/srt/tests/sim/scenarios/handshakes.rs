//! Connecting: over long and lossy paths, with each datagram lost, and to nobody.

use super::{ms, prove, scenarios};
use crate::application::Stream;
use crate::network::link::Path;
use crate::scenario::{Encryption, Ends, Expects, Scenario};

/// A short stream, for it is the beginning and the end that count.
fn brief() -> Scenario {
    Scenario { upstream: Stream::steady(100, 10_000), ..Scenario::plain() }
}

fn dropping(up: &[u64], down: &[u64]) -> Scenario {
    let path = |drops: &[u64]| Path { drops: drops.to_vec(), ..Path::clean(30) };
    Scenario { up: path(up), down: path(down), ..brief() }
}

fn far(loss: f64) -> Scenario {
    Scenario {
        up: Path::lossy(400, loss),
        down: Path::lossy(400, loss),
        connect_timeout: ms(20_000),
        latency: ms(15_000),
        ..brief()
    }
}

scenarios! {
    a_path_of_800_ms_connects: far(0.0);
    a_slow_decision_connects: Scenario { decides_after: ms(1_000), ..brief() };
    a_slow_decision_over_a_long_path_connects: Scenario { decides_after: ms(1_500), ..far(0.1) };
    a_listener_that_never_answers_ends_the_attempt: Scenario {
        down: Path { holes: vec![(ms(0), ms(60_000))], ..Path::clean(30) },
        expects: Expects { ends: Ends::Unconnected, ..brief().expects },
        ..brief()
    };
    duplicated_handshakes_make_one_connection: Scenario {
        up: Path { duplicate: 1.0, ..Path::clean(30) },
        down: Path { duplicate: 1.0, ..Path::clean(30) },
        ..brief()
    };
}

#[test]
fn each_datagram_of_the_handshake_may_be_lost() {
    for nth in 0..6 {
        prove(&dropping(&[nth], &[]));
        prove(&dropping(&[], &[nth]));
        prove(&dropping(&[nth], &[nth]));
        prove(&dropping(&[nth, nth + 1], &[nth]));
    }
}

#[test]
fn each_datagram_of_an_encrypted_handshake_may_be_lost() {
    for nth in 0..4 {
        let encryption = Some(Encryption { bits: 128, gcm: false, refresh: None });
        prove(&Scenario { encryption, ..dropping(&[nth], &[]) });
        prove(&Scenario { encryption, ..dropping(&[], &[nth]) });
    }
}

#[test]
fn a_hundred_of_a_hundred_connect_at_800_ms_and_20_percent_loss() {
    for seed in (100..200).step_by(3) {
        // Three seeds each.
        prove(&Scenario { seed, ..far(0.2) });
    }
}
