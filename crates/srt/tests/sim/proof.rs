//! Plays a scenario between the core's ends and demands that nothing is wrong.

use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::core_ends::{CallerEnd, ListenerEnd};
use crate::oracle::judge;
use crate::run::{Outcome, run};
use crate::scenario::Scenario;

/// Seeds that each named scenario is played with.
const SEEDS: u64 = 3;

/// Plays a scenario, whatever comes of it.
pub(crate) fn play(scenario: &Scenario) -> Outcome {
    run(scenario, CallerEnd::new(scenario), ListenerEnd::new(scenario))
}

/// Everything that is wrong with a scenario; a panic is a fault as any other.
pub(crate) fn faults(scenario: &Scenario) -> Vec<String> {
    match catch_unwind(AssertUnwindSafe(|| judge(scenario, &play(scenario)))) {
        Ok(faults) => faults,
        Err(panic) => {
            let text = panic.downcast_ref::<String>().cloned();
            let text = text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()));
            vec![format!("panic: {}", text.unwrap_or_default())]
        }
    }
}

/// Plays a scenario with several seeds.
///
/// # Panics
/// When something is wrong: with the seed, the faults and the scenario.
pub(crate) fn prove(scenario: &Scenario) {
    for seed in scenario.seed..scenario.seed + SEEDS {
        let scenario = Scenario { seed, ..scenario.clone() };
        let faults = faults(&scenario);
        assert!(faults.is_empty(), "seed {seed}: {faults:#?}\n{scenario:#?}");
    }
}
