//! What the link of the demo goes through: the test kit's seeded script, with each hardship in it.

use std::{ops::RangeInclusive, time::Duration};

use dashvault_testkit::link::{Profile, Script};

/// Below this the phases get too short to be seen.
pub(super) const SHORTEST: Duration = Duration::from_secs(15);
/// The cameras' bitrate together is about three times this.
const THROTTLED_KILOBYTES: RangeInclusive<u64> = 100..=180;
const LOSS_PERCENT: RangeInclusive<u8> = 5..=5;

/// A cut, a black hole, refusals, a throttle below the bitrate, 5 % loss; calm at the end.
pub(super) fn script(seed: u64, total: Duration) -> Script {
    let profile =
        Profile { rate_kilobytes: THROTTLED_KILOBYTES, loss_percent: LOSS_PERCENT, ..Profile::default() };
    Script::random(seed, total, &profile)
}

#[cfg(test)]
mod tests {
    use dashvault_testkit::link::Mode;

    use super::*;

    #[test]
    fn every_seed_brings_every_hardship_even_in_the_shortest_demo() {
        for seed in 0..200 {
            let script = script(seed, SHORTEST);
            let any = |wanted: &dyn Fn(&dashvault_testkit::link::Conditions) -> bool| {
                script.steps().iter().any(|step| wanted(&step.conditions))
            };
            for mode in [Mode::Cut, Mode::BlackHole, Mode::Refuse] {
                assert!(any(&|now| now.mode == mode), "{mode:?} in\n{script}");
            }
            assert!(
                any(&|now| now.to_vault.rate.is_some_and(|rate| rate <= 180_000)),
                "throttle in\n{script}"
            );
            assert!(any(&|now| (now.to_vault.loss - 0.05).abs() < 1e-9), "loss in\n{script}");
        }
    }
}
