//! Which packs the rules take: of a snapshot for a preview, and how many of the oldest in one step of the keeper.
//!
//! Pure; `now` and what is free come in. Invariants: a locked pack is never taken; what is taken for its bytes is the
//! oldest that is not locked, and no more of it than the bound asks for.

use std::{collections::BTreeMap, fmt};

use dashvault_base::{CameraName, DeviceId, WallMs};

use super::rules::Policy;
use crate::archive::objects::ObjectKey;

/// A pack that may be taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Held {
    pub(crate) key: ObjectKey,
    /// What deleting it sets free; 0 where its object is missing.
    pub(crate) bytes: u64,
    /// Wall time it covers, by the device.
    pub(crate) range: (WallMs, WallMs),
    /// When it was recorded, but not after it was stored.
    pub(crate) recorded: WallMs,
    pub(crate) stored_at: WallMs,
    pub(crate) locked: bool,
}

/// Why a pack is deleted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Reason {
    /// It is older than its rule allows.
    Age,
    /// Its camera has more bytes than its rule allows.
    Bytes,
    /// The vault has more bytes than it may.
    VaultBytes,
    /// The disk has less free space than it shall.
    FreeSpace,
    /// An administrator deleted it.
    Hand,
}

impl Reason {
    pub(crate) const ALL: [Self; 5] = [Self::Age, Self::Bytes, Self::VaultBytes, Self::FreeSpace, Self::Hand];

    /// Its name in metrics and JSON.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Age => "age",
            Self::Bytes => "bytes",
            Self::VaultBytes => "vault-bytes",
            Self::FreeSpace => "free-space",
            Self::Hand => "hand",
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// What the rules would do.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Plan {
    /// Positions in the snapshot, with the reason, in the order of deletion.
    pub(crate) doomed: Vec<(usize, Reason)>,
    /// Bounds that cannot be met, since what is left is locked; with the bytes that are too many.
    pub(crate) unmet: Vec<(Reason, u64)>,
}

/// What the rules take of `held`. `free_bytes` is what the disk has free, where that is known.
pub(crate) fn plan(policy: &Policy, now: WallMs, free_bytes: Option<u64>, held: &[Held]) -> Plan {
    let mut order: Vec<usize> = (0..held.len()).collect();
    order.sort_by(|a, b| age_order(&held[*a]).cmp(&age_order(&held[*b])));
    let mut taking = Taking { held, taken: vec![false; held.len()], plan: Plan::default() };
    let mut cameras: BTreeMap<(&DeviceId, &CameraName), Vec<usize>> = BTreeMap::new();
    for index in &order {
        let key = &held[*index].key;
        cameras.entry((&key.device, &key.camera)).or_default().push(*index);
    }
    for ((device, camera), packs) in &cameras {
        let bounds = policy.bounds(device, camera);
        if let Some(max) = bounds.max_age_ms {
            let cutoff = cutoff(now, max);
            let old = packs.iter().filter(|index| held[**index].stored_at <= cutoff);
            old.for_each(|index| taking.take(*index, Reason::Age));
        }
        if let Some(max) = bounds.max_bytes {
            let total = taking.bytes_of(packs);
            taking.take_oldest(packs, total.saturating_sub(max), Reason::Bytes);
        }
    }
    if let Some(max) = policy.vault.max_bytes {
        let total = taking.bytes_of(&order);
        taking.take_oldest(&order, total.saturating_sub(max), Reason::VaultBytes);
    }
    if let (Some(min), Some(free)) = (policy.vault.min_free_bytes, free_bytes) {
        let freed: u64 = taking.plan.doomed.iter().map(|(index, _)| held[*index].bytes).sum();
        taking.take_oldest(&order, min.saturating_sub(free.saturating_add(freed)), Reason::FreeSpace);
    }
    taking.plan
}

/// What was stored at this time or before is older than `max_age_ms`.
pub(crate) fn cutoff(now: WallMs, max_age_ms: u64) -> WallMs {
    now.plus_ms(i64::try_from(max_age_ms).unwrap_or(i64::MAX).saturating_neg())
}

/// How many of the oldest, given by their bytes, have to go so that at least `excess` bytes do.
pub(crate) fn how_many(oldest: impl IntoIterator<Item = u64>, excess: u64) -> usize {
    let mut left = excess;
    let needed = oldest.into_iter().take_while(|bytes| {
        let goes_on = left > 0;
        left = left.saturating_sub(*bytes);
        goes_on
    });
    needed.count()
}

fn age_order(held: &Held) -> (WallMs, &ObjectKey) {
    (held.recorded, &held.key)
}

struct Taking<'a> {
    held: &'a [Held],
    taken: Vec<bool>,
    plan: Plan,
}

impl Taking<'_> {
    fn take(&mut self, index: usize, reason: Reason) {
        if !self.held[index].locked && !self.taken[index] {
            self.taken[index] = true;
            self.plan.doomed.push((index, reason));
        }
    }

    fn bytes_of(&self, packs: &[usize]) -> u64 {
        packs.iter().filter(|index| !self.taken[**index]).map(|index| self.held[*index].bytes).sum()
    }

    fn take_oldest(&mut self, order: &[usize], excess: u64, reason: Reason) {
        let free = |index: &&usize| {
            let held = &self.held[**index];
            !held.locked && held.bytes > 0 && !self.taken[**index]
        };
        let oldest: Vec<usize> = order.iter().filter(free).copied().collect();
        let count = how_many(oldest.iter().map(|index| self.held[*index].bytes), excess);
        let freed: u64 = oldest.iter().take(count).map(|index| self.held[*index].bytes).sum();
        oldest.iter().take(count).for_each(|index| self.take(*index, reason));
        if freed < excess {
            self.plan.unmet.push((reason, excess - freed));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_more_than_the_excess_asks_for_is_taken() {
        assert_eq!(how_many([10, 10, 10], 0), 0);
        assert_eq!(how_many([10, 10, 10], 1), 1);
        assert_eq!(how_many([10, 10, 10], 10), 1);
        assert_eq!(how_many([10, 10, 10], 11), 2);
        assert_eq!(how_many([10, 10, 10], 99), 3);
    }

    #[test]
    fn an_age_beyond_all_time_takes_nothing() {
        assert_eq!(cutoff(WallMs(5), u64::MAX).0, 5 - i64::MAX);
    }
}
