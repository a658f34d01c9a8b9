//! Replays every seed of `fuzz/corpus`, then mutates them for a bounded number of rounds from a printed seed.

#![allow(clippy::unwrap_used, reason = "a test fails where it stands")]

use std::{fs, path::PathBuf};

use dashvault_fuzz::{TARGETS, srt_seeds};
use dashvault_testkit::ts::{TsProfile, TsSource};

/// Enough to take a few seconds; `DASHVAULT_FUZZ_ROUNDS` asks for more.
const ROUNDS: usize = 3_000;

fn corpus(name: &str) -> Vec<Vec<u8>> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus").join(name);
    let mut paths: Vec<_> = fs::read_dir(&folder)
        .unwrap_or_else(|error| panic!("{}: {error}", folder.display()))
        .map(|entry| entry.expect("the corpus can be listed").path())
        .collect();
    paths.sort();
    paths.into_iter().map(|path| fs::read(path).expect("a seed can be read")).collect()
}

fn mutated(seed: &[u8], others: &[Vec<u8>], random: &mut fastrand::Rng) -> Vec<u8> {
    let mut input = seed.to_vec();
    for _ in 0..random.usize(1..6) {
        let at = random.usize(0..input.len() + 1);
        match random.u8(0..6) {
            0 if at < input.len() => input[at] ^= 1 << random.u8(0..8),
            1 if at < input.len() => input[at] = random.u8(..),
            2 => input.insert(at, random.u8(..)),
            3 => drop(input.drain(at..(at + random.usize(0..400)).min(input.len()))),
            4 => {
                let other = &others[random.usize(0..others.len())];
                let from = random.usize(0..other.len() + 1);
                input.splice(at..at, other[from..(from + 400).min(other.len())].iter().copied());
            }
            _ => input.truncate(at),
        }
    }
    input
}

#[test]
fn seeds_and_their_mutations_keep_every_promise() {
    let seed =
        std::env::var("DASHVAULT_FUZZ_SEED").ok().and_then(|text| text.parse().ok()).unwrap_or(20_261_122);
    let rounds =
        std::env::var("DASHVAULT_FUZZ_ROUNDS").ok().and_then(|text| text.parse().ok()).unwrap_or(ROUNDS);
    println!("DASHVAULT_FUZZ_SEED={seed}");
    let fresh = srt_seeds();
    for target in TARGETS {
        let mut seeds = corpus(target.name);
        assert!(!seeds.is_empty(), "fuzz/corpus/{} has no seed", target.name);
        if target.name == "segmenter" {
            // A real stream is too large for the repository; the generator makes it.
            let mut stream = TsSource::stream(TsProfile::default(), seed, 2).bytes;
            stream.truncate(60_000);
            seeds.push(stream);
        }
        // Ids and cookies of a recorded conversation are those of the core that spoke it.
        seeds.extend(fresh.iter().filter(|seed| seed.0 == target.name).map(|seed| seed.2.clone()));
        seeds.iter().for_each(|input| (target.run)(input));
        let mut random = fastrand::Rng::with_seed(seed);
        for _ in 0..rounds {
            let base = &seeds[random.usize(0..seeds.len())];
            let input = mutated(base, &seeds, &mut random);
            (target.run)(&input);
        }
    }
}
