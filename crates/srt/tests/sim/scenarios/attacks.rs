//! Attackers beside and on the path.

use std::time::Duration;

use super::{both_ways, ms, prove, scenarios};
use crate::hostile::Hostile;
use crate::network::link::Path;
use crate::scenario::{Encryption, Ends, Exact, Expects, Lost, Rebind, Scenario};

const OFTEN: Duration = Duration::from_micros(900);

fn under(hostile: Hostile, scenario: Scenario) -> Scenario {
    Scenario { hostile, ..scenario }
}

fn encrypted(gcm: bool, scenario: Scenario) -> Scenario {
    Scenario { encryption: Some(Encryption { bits: 128, gcm, refresh: Some(1_000) }), ..scenario }
}

/// The attacker can write into the stream: all that is asked is that it ends, without a panic, in bounded memory.
fn survived(scenario: Scenario) -> Scenario {
    Scenario {
        expects: Expects { ends: Ends::Somehow, lost: Lost::Anything, exact: Exact::Survives },
        ..scenario
    }
}

fn corrupting() -> Scenario {
    Scenario::over(Path { corrupt: 0.05, ..Path::lossy(30, 0.02) })
}

scenarios! {
    strangers_change_nothing: under(Hostile::Strangers(OFTEN), Scenario::plain());
    strangers_change_nothing_under_loss: under(Hostile::Strangers(OFTEN), both_ways(Scenario::lossy(0.1)));
    strangers_change_nothing_of_an_encrypted_stream: under(Hostile::Strangers(OFTEN), encrypted(false, Scenario::plain()));
    liars_change_nothing: under(Hostile::Liars(OFTEN), Scenario::plain());
    liars_change_nothing_under_loss: under(Hostile::Liars(OFTEN), both_ways(Scenario::lossy(0.1)));
    liars_change_nothing_of_a_connect_over_a_long_path:
        Scenario { connect_timeout: ms(20_000), latency: ms(15_000), ..under(Hostile::Liars(OFTEN), Scenario::over(Path::lossy(400, 0.1))) };
    liars_change_nothing_of_a_move: Scenario {
        rebinds: vec![Rebind { at: ms(4_000), known: false, only_port: false }],
        ..under(Hostile::Liars(OFTEN), Scenario::plain())
    };
    replays_change_nothing: under(Hostile::Replays(OFTEN), Scenario::plain());
    replays_change_nothing_under_loss: under(Hostile::Replays(OFTEN), both_ways(Scenario::lossy(0.05)));
    replays_change_nothing_of_an_encrypted_stream: under(Hostile::Replays(OFTEN), encrypted(true, Scenario::lossy(0.05)));
    replays_from_where_a_caller_was_do_not_bring_it_back: Scenario {
        rebinds: [4_000, 5_500, 5_800].map(|at| Rebind { at: ms(at), known: false, only_port: false }).to_vec(),
        ..under(Hostile::Replays(OFTEN), encrypted(false, Scenario::plain()))
    };
    mutations_are_survived: survived(under(Hostile::Mutations(OFTEN), both_ways(Scenario::lossy(0.02))));
    mutations_are_survived_when_played_on_time: survived(under(Hostile::Mutations(OFTEN), both_ways(Scenario::plain()).tsbpd()));
    mutations_of_an_encrypted_stream_are_survived:
        survived(under(Hostile::Mutations(OFTEN), encrypted(false, both_ways(Scenario::plain()))));
    corruption_is_survived: survived(both_ways(corrupting()));
    corruption_is_survived_when_played_on_time: survived(both_ways(corrupting()).tsbpd());
    corruption_of_an_authenticated_stream_is_survived: survived(encrypted(true, both_ways(corrupting())));
}

#[test]
fn a_hundred_thousand_forgeries_in_a_second_change_nothing() {
    let hostile = Hostile::Strangers(Duration::from_micros(100));
    prove(&Scenario { socket_datagrams: 20_000, ..under(hostile, Scenario::plain()) });
}
