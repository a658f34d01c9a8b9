//! Seeded bad weather: outages of each kind, throttled and lossy phases, calm ones in between, calm at the end.

use std::{ops::RangeInclusive, time::Duration};

use fastrand::Rng;

use super::{
    super::conditions::{Conditions, Mode, Way},
    Script, Step,
};

/// What a random script may do.
#[derive(Debug, Clone, PartialEq)]
pub struct Profile {
    /// How long a bad phase lasts.
    pub bad: RangeInclusive<Duration>,
    /// How long a calm phase lasts.
    pub calm: RangeInclusive<Duration>,
    /// The kinds of outage; each comes up before one is repeated.
    pub outages: Vec<Mode>,
    /// Rate of a throttled phase towards the vault, in kB/s (towards the vehicle: four times as much).
    pub rate_kilobytes: RangeInclusive<u64>,
    /// Loss of a lossy phase, in percent.
    pub loss_percent: RangeInclusive<u8>,
    /// One-way delay of every phase that is not calm, in ms; jitter is up to half of it.
    pub delay_ms: RangeInclusive<u64>,
    /// Share of outages after which the vehicle has another source address, 0 to 1.
    pub rebind: f64,
    /// The link is calm for at least this long at the end.
    pub settle: Duration,
}

impl Default for Profile {
    /// A drive through town: bad and calm phases of a few seconds.
    fn default() -> Self {
        let seconds = |from: f64, to: f64| Duration::from_secs_f64(from)..=Duration::from_secs_f64(to);
        Self {
            bad: seconds(2.0, 6.0),
            calm: seconds(2.0, 5.0),
            outages: Mode::OUTAGES.to_vec(),
            rate_kilobytes: 100..=600,
            loss_percent: 2..=8,
            delay_ms: 10..=60,
            rebind: 0.5,
            settle: Duration::from_secs(3),
        }
    }
}

#[derive(Clone, Copy)]
enum Phase {
    Outage(Mode),
    Throttled,
    Lossy,
}

impl Script {
    /// A script of `total` length: the same for the same seed. Where the time allows it, every kind of outage, a
    /// throttled and a lossy phase occur; phases are shortened where it is tight. It begins and ends with a calm link.
    #[must_use]
    pub fn random(seed: u64, total: Duration, profile: &Profile) -> Self {
        let mut rng = Rng::with_seed(seed);
        let end = total.saturating_sub(profile.settle);
        let mut phases = shuffled_round(&mut rng, profile);
        let scale = tightness(end, profile, phases.len());
        let mut steps = vec![calm(Duration::ZERO, false)];
        let mut at = between(&mut rng, &profile.calm, scale);
        loop {
            let Some(phase) = phases.pop() else {
                phases = shuffled_round(&mut rng, profile);
                continue;
            };
            let until = at + between(&mut rng, &profile.bad, scale);
            if until > end {
                return Self::new(steps);
            }
            let rebind = matches!(phase, Phase::Outage(_)) && rng.f64() < profile.rebind;
            steps.push(Step { at, conditions: bad(&mut rng, phase, profile), rebind: false });
            steps.push(calm(until, rebind));
            at = until + between(&mut rng, &profile.calm, scale);
        }
    }
}

fn shuffled_round(rng: &mut Rng, profile: &Profile) -> Vec<Phase> {
    let mut phases = vec![Phase::Throttled, Phase::Lossy];
    phases.extend(profile.outages.iter().copied().map(Phase::Outage));
    rng.shuffle(&mut phases);
    phases
}

/// At most 1; less when a whole round of phases at their longest would not fit before `end`.
fn tightness(end: Duration, profile: &Profile, phases: usize) -> f64 {
    let longest = (*profile.bad.end() + *profile.calm.end()).as_secs_f64()
        * f64::from(u32::try_from(phases).unwrap_or(1));
    // Times are rounded to 10 ms, by up to 5 ms each way; 1 % leaves room for that.
    (end.as_secs_f64() * 0.99 / longest.max(0.001)).min(1.0)
}

fn between(rng: &mut Rng, range: &RangeInclusive<Duration>, scale: f64) -> Duration {
    let (from, to) = (range.start().as_secs_f64(), range.end().as_secs_f64());
    let seconds = (from + (to - from) * rng.f64()) * scale;
    // Whole hundredths, so that the printed script is the script; never nothing, so that it comes to an end.
    Duration::from_millis(((seconds * 100.0) as u64).max(1) * 10)
}

fn calm(at: Duration, rebind: bool) -> Step {
    Step { at, conditions: Conditions::perfect(), rebind }
}

fn bad(rng: &mut Rng, phase: Phase, profile: &Profile) -> Conditions {
    let delay_ms = rng.u64(profile.delay_ms.clone());
    let way = Way {
        delay: Duration::from_millis(delay_ms),
        jitter: Duration::from_millis(delay_ms / 2),
        ..Way::PERFECT
    };
    match phase {
        Phase::Outage(mode) => Conditions::down(mode),
        Phase::Throttled => {
            let rate = rng.u64(profile.rate_kilobytes.clone()) * 1000;
            let mut conditions = Conditions::both_ways(way);
            conditions.to_vault.rate = Some(rate);
            conditions.to_vehicle.rate = Some(rate * 4);
            conditions
        }
        Phase::Lossy => {
            let loss = f64::from(rng.u8(profile.loss_percent.clone())) / 100.0;
            Conditions::both_ways(Way { loss, reorder: 0.02, duplicate: 0.01, ..way })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_seed_has_each_kind_of_phase_and_ends_calm() {
        for (seed, seconds) in (0..200u64).flat_map(|seed| [(seed, 10), (seed, 30), (seed, 600)]) {
            let total = Duration::from_secs(seconds);
            let script = Script::random(seed, total, &Profile::default());
            let said = format!("seed {seed}, {seconds} s:\n{script}");
            let any = |wanted: &dyn Fn(&Conditions) -> bool| {
                script.steps().iter().any(|step| wanted(&step.conditions))
            };
            for mode in Mode::OUTAGES {
                assert!(any(&|conditions| conditions.mode == mode), "{mode:?} in {said}");
            }
            assert!(any(&|conditions| conditions.to_vault.rate.is_some()), "{said}");
            assert!(any(&|conditions| conditions.to_vault.loss > 0.0), "{said}");
            assert_eq!(
                script.steps().last().map(|step| &step.conditions),
                Some(&Conditions::perfect()),
                "{said}"
            );
            assert!(script.last_change() + Profile::default().settle <= total, "{said}");
            assert_eq!(said.split_once('\n').unwrap().1.parse(), Ok(script.clone()), "{said}");
        }
    }

    #[test]
    fn the_same_seed_is_the_same_script() {
        let script = |seed| Script::random(seed, Duration::from_secs(60), &Profile::default());
        assert_eq!(script(3), script(3));
        assert_ne!(script(3), script(4));
    }

    #[test]
    fn no_time_at_all_is_a_calm_link() {
        assert_eq!(Script::random(1, Duration::ZERO, &Profile::default()).steps().len(), 1);
    }
}
