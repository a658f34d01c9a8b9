//! Who is killed when.

use std::{fmt, time::Duration};

use fastrand::Rng;

/// One moment of a plan: all of `targets` die at once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kill<T> {
    /// Since the plan's start.
    pub at: Duration,
    /// Who dies; never empty, each at most once.
    pub targets: Vec<T>,
}

/// A seeded schedule of kills, in the order of their times.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KillPlan<T> {
    /// The seed it was made from; printed with it.
    pub seed: u64,
    /// The moments.
    pub kills: Vec<Kill<T>>,
}

impl<T: Clone> KillPlan<T> {
    /// Plans for `duration`: one to four moments, each a whole number of milliseconds; mostly one target, now and
    /// then several at once. Every target dies at some time where there are at most as many as moments.
    #[must_use]
    pub fn random(seed: u64, duration: Duration, targets: &[T]) -> Self {
        let mut rng = Rng::with_seed(seed);
        if targets.is_empty() {
            return Self { seed, kills: Vec::new() };
        }
        let longest_ms = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
        let mut moments_ms: Vec<u64> = (0..rng.usize(1..=4)).map(|_| rng.u64(0..=longest_ms)).collect();
        moments_ms.sort_unstable();
        let mut turn: Vec<usize> = Vec::new();
        let mut kill = |at_ms| {
            let others = if rng.u8(0..3) == 0 { rng.usize(0..targets.len()) } else { 0 };
            let mut chosen = Vec::new();
            while chosen.len() <= others {
                if turn.is_empty() {
                    turn = (0..targets.len()).collect();
                    rng.shuffle(&mut turn);
                }
                let next = turn.pop().expect("filled above, and targets is not empty");
                if !chosen.contains(&next) {
                    chosen.push(next);
                }
            }
            let targets = chosen.into_iter().map(|index| targets[index].clone()).collect();
            Kill { at: Duration::from_millis(at_ms), targets }
        };
        Self { seed, kills: moments_ms.into_iter().map(&mut kill).collect() }
    }
}

impl<T: fmt::Debug> fmt::Display for KillPlan<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "seed {}:", self.seed)?;
        self.kills.iter().try_for_each(|kill| write!(f, " {:?} at {:?};", kill.targets, kill.at))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plans_are_repeatable_ordered_and_within_their_time() {
        let duration = Duration::from_secs(10);
        let targets = ["recorder", "vault", "ffmpeg"];
        let mut several = 0;
        for seed in 0..200 {
            let plan = KillPlan::random(seed, duration, &targets);
            assert_eq!(plan, KillPlan::random(seed, duration, &targets));
            assert!(!plan.kills.is_empty() && plan.kills.is_sorted_by_key(|kill| kill.at), "{plan}");
            for kill in &plan.kills {
                let mut unique = kill.targets.clone();
                unique.sort_unstable();
                unique.dedup();
                assert!(
                    kill.at <= duration && !unique.is_empty() && unique.len() == kill.targets.len(),
                    "{plan}"
                );
                several += usize::from(unique.len() > 1);
            }
            let met =
                targets.iter().filter(|target| plan.kills.iter().any(|kill| kill.targets.contains(target)));
            assert!(met.count() >= plan.kills.len().min(targets.len()), "{plan}");
        }
        assert!(several > 20, "only {several} moments with several targets");
        assert!(KillPlan::random(1, duration, &[] as &[u8]).kills.is_empty());
    }
}
