//! Byte ranges of a pack's file, and sets of them.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// The bytes from `start` up to, not including, `end`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(from = "(u64, u64)", into = "(u64, u64)")]
pub struct ByteRange {
    /// The first byte.
    pub start: u64,
    /// One past the last byte.
    pub end: u64,
}

impl ByteRange {
    /// A range; an `end` before `start` makes it empty.
    #[must_use]
    pub const fn new(start: u64, end: u64) -> Self {
        Self { start, end: if end < start { start } else { end } }
    }

    /// Its length in bytes.
    #[must_use]
    pub const fn len(self) -> u64 {
        self.end.saturating_sub(self.start)
    }

    /// Whether it holds no byte.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.end <= self.start
    }

    /// The part that lies within `other`; empty where they do not meet.
    #[must_use]
    pub fn intersection(self, other: Self) -> Self {
        Self::new(self.start.max(other.start), self.end.min(other.end))
    }
}

impl From<(u64, u64)> for ByteRange {
    fn from((start, end): (u64, u64)) -> Self {
        Self::new(start, end)
    }
}

impl From<ByteRange> for (u64, u64) {
    fn from(range: ByteRange) -> Self {
        (range.start, range.end)
    }
}

/// A set of bytes, kept as disjoint, non-touching ranges.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RangeSet {
    end_by_start: BTreeMap<u64, u64>,
}

impl RangeSet {
    /// The empty set.
    #[must_use]
    pub const fn new() -> Self {
        Self { end_by_start: BTreeMap::new() }
    }

    /// Adds every byte of `range`.
    pub fn insert(&mut self, range: ByteRange) {
        if range.is_empty() {
            return;
        }
        let (mut start, mut end) = (range.start, range.end);
        // Swallow every range that touches the new one.
        while let Some((&other_start, &other_end)) = self.end_by_start.range(..=end).next_back() {
            if other_end < start {
                break;
            }
            self.end_by_start.remove(&other_start);
            start = start.min(other_start);
            end = end.max(other_end);
        }
        self.end_by_start.insert(start, end);
    }

    /// Takes out every byte of `range`.
    pub fn remove(&mut self, range: ByteRange) {
        if range.is_empty() {
            return;
        }
        while let Some((&start, &end)) = self.end_by_start.range(..range.end).next_back() {
            if end <= range.start {
                break;
            }
            self.end_by_start.remove(&start);
            if range.end < end {
                self.end_by_start.insert(range.end, end);
            }
            if start < range.start {
                self.end_by_start.insert(start, range.start);
            }
        }
    }

    /// Whether every byte of `range` is in the set.
    #[must_use]
    pub fn contains(&self, range: ByteRange) -> bool {
        range.is_empty()
            || self.end_by_start.range(..=range.start).next_back().is_some_and(|(_, &end)| range.end <= end)
    }

    /// The bytes of `within` that are not in the set, in order.
    #[must_use]
    pub fn missing(&self, within: ByteRange) -> Vec<ByteRange> {
        let mut missing = Vec::new();
        let mut at = within.start;
        for range in self.iter() {
            let held = range.intersection(within);
            if held.is_empty() {
                continue;
            }
            if at < held.start {
                missing.push(ByteRange::new(at, held.start));
            }
            at = held.end;
        }
        if at < within.end {
            missing.push(ByteRange::new(at, within.end));
        }
        missing
    }

    /// The ranges, in order.
    pub fn iter(&self) -> impl Iterator<Item = ByteRange> + '_ {
        self.end_by_start.iter().map(|(&start, &end)| ByteRange { start, end })
    }

    /// How many bytes the set holds.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.iter().map(ByteRange::len).sum()
    }

    /// Whether it holds no byte.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.end_by_start.is_empty()
    }
}

impl FromIterator<ByteRange> for RangeSet {
    fn from_iter<I: IntoIterator<Item = ByteRange>>(ranges: I) -> Self {
        let mut set = Self::new();
        ranges.into_iter().for_each(|range| set.insert(range));
        set
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const SPACE: usize = 64;

    fn range() -> impl Strategy<Value = ByteRange> {
        (0..SPACE as u64, 0..SPACE as u64).prop_map(|(a, b)| ByteRange::new(a.min(b), a.max(b)))
    }

    proptest! {
        #[test]
        fn behaves_as_a_bitmap_does(steps in prop::collection::vec((any::<bool>(), range()), 0..40), asked in range()) {
            let mut set = RangeSet::new();
            let mut bitmap = [false; SPACE];
            for (add, range) in steps {
                if add { set.insert(range) } else { set.remove(range) }
                bitmap[range.start as usize..range.end as usize].fill(add);
            }
            prop_assert_eq!(set.len(), bitmap.iter().filter(|bit| **bit).count() as u64);
            let slice = &bitmap[asked.start as usize..asked.end as usize];
            prop_assert_eq!(set.contains(asked), slice.iter().all(|bit| *bit));
            let missing: u64 = set.missing(asked).into_iter().map(ByteRange::len).sum();
            prop_assert_eq!(missing, slice.iter().filter(|bit| !**bit).count() as u64);
            let ranges: Vec<_> = set.iter().collect();
            prop_assert!(ranges.windows(2).all(|pair| pair[0].end < pair[1].start), "{:?}", ranges);
        }
    }
}
