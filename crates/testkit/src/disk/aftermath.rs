//! What a power cut leaves of the un-synced names and bytes; a seed decides.
//!
//! Names: either a prefix of all changes in the order they were made (one journal, as ext4), or for each folder a
//! prefix of its own (nothing orders folders against each other). Bytes of one file: all, none, the first so many,
//! or sector by sector the old, the new, or zeros (allocated, never written), with any length in between.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use fastrand::Rng;

use super::names::{Names, Tree, parent};

const SECTOR: usize = 512;

/// The names that survive.
pub(super) fn names(mut names: Names, rng: &mut Rng) -> Tree {
    let chosen = if rng.bool() {
        let kept = rng.usize(..=names.pending.len());
        names.pending.iter().take(kept).map(|change| change.number).collect()
    } else {
        let mut folders: BTreeMap<PathBuf, Vec<u64>> = BTreeMap::new();
        for change in &names.pending {
            folders.entry(parent(&change.path).to_owned()).or_default().push(change.number);
        }
        let kept = folders.into_values().flat_map(|mut numbers| {
            numbers.truncate(rng.usize(..=numbers.len()));
            numbers
        });
        kept.collect()
    };
    names.commit(chosen);
    // A name in a folder that did not survive cannot be reached.
    let mut survivors = Tree::new();
    for (path, node) in names.durable {
        let above = parent(&path);
        if above == path || is_root(above) || survivors.contains_key(above) {
            survivors.insert(path, node);
        }
    }
    survivors
}

/// Whether `path` exists without being created.
pub(super) fn is_root(path: &Path) -> bool {
    parent(path) == path || path.as_os_str().is_empty()
}

/// The bytes that survive of a file with these durable and these live bytes.
pub(super) fn bytes(durable: &[u8], live: &[u8], rng: &mut Rng) -> Vec<u8> {
    if durable == live {
        return durable.to_vec();
    }
    match rng.u8(..8) {
        0 => durable.to_vec(),
        1 => live.to_vec(),
        2..=4 => torn(durable, live, rng),
        _ => patchwork(durable, live, rng),
    }
}

/// The live bytes up to some byte, from there the durable ones.
fn torn(durable: &[u8], live: &[u8], rng: &mut Rng) -> Vec<u8> {
    let same = durable.iter().zip(live).take_while(|(a, b)| a == b).count();
    let at = rng.usize(same..=live.len().max(same));
    let rest = durable.get(at..).unwrap_or_default();
    [&live[..at], rest].concat()
}

/// Each sector old, new, or zero; the length old, new, or between.
fn patchwork(durable: &[u8], live: &[u8], rng: &mut Rng) -> Vec<u8> {
    let (short, long) = (durable.len().min(live.len()), durable.len().max(live.len()));
    let len = match rng.u8(..3) {
        0 => live.len(),
        1 => rng.usize(short..=long),
        _ => short + (rng.usize(short..=long) - short) / SECTOR * SECTOR,
    };
    let mut left = vec![0; len];
    for (index, sector) in left.chunks_mut(SECTOR).enumerate() {
        let source = if rng.bool() { durable } else { live };
        let source = source.get(index * SECTOR..).unwrap_or_default();
        let shared = source.len().min(sector.len());
        sector[..shared].copy_from_slice(&source[..shared]);
    }
    left
}
