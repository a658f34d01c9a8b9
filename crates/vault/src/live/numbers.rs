//! [`Numbers`]: the media and discontinuity sequence numbers that a track may use.
//!
//! Invariant: no number is given that the index has not reserved, none twice, and none below an earlier one.

use crate::archive::index::NumberBlock;

/// Numbers that are reserved at once: about a minute.
pub(super) const BLOCK: u32 = 64;
/// More are reserved when fewer are left: several seconds, also of short segments.
pub(super) const FEW: u64 = 40;

/// See the module.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Numbers {
    next: u64,
    end: u64,
    discontinuity: u64,
    is_known: bool,
}

impl Numbers {
    /// A block that was reserved.
    pub(super) fn add(&mut self, block: NumberBlock) {
        let end = block.sequence.saturating_add(block.count.into());
        if !self.is_known {
            self.discontinuity = block.discontinuity;
        }
        if !self.is_known || block.sequence > self.end {
            self.next = self.next.max(block.sequence);
        }
        self.end = self.end.max(end);
        self.is_known = true;
    }

    pub(super) const fn are_few(self) -> bool {
        self.end.saturating_sub(self.next) < FEW
    }

    pub(super) const fn is_known(self) -> bool {
        self.is_known
    }

    /// The next segment's numbers; `None` while none are reserved.
    pub(super) fn take(&mut self, discontinuity: bool) -> Option<(u64, u64)> {
        if self.next >= self.end {
            return None;
        }
        let number = self.next;
        self.next += 1;
        self.discontinuity += u64::from(discontinuity);
        Some((number, self.discontinuity))
    }

    /// The number that the next segment will have.
    pub(super) const fn next(self) -> u64 {
        self.next
    }

    /// What is not used, and the end of what is reserved.
    pub(super) fn rest(self) -> (NumberBlock, u64) {
        let count = u32::try_from(self.end - self.next).unwrap_or(u32::MAX);
        (NumberBlock { sequence: self.next, count, discontinuity: self.discontinuity }, self.end)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_given_that_is_not_reserved() {
        let mut numbers = Numbers::default();
        assert_eq!(numbers.take(true), None);
        numbers.add(NumberBlock { sequence: 100, count: 2, discontinuity: 7 });
        assert_eq!(numbers.take(true), Some((100, 8)));
        assert_eq!(numbers.take(false), Some((101, 8)));
        assert_eq!(numbers.take(false), None);
        numbers.add(NumberBlock { sequence: 102, count: 1, discontinuity: 9 });
        assert_eq!(numbers.take(false), Some((102, 8)));
        assert!(numbers.are_few());
    }

    #[test]
    fn a_block_that_does_not_continue_is_jumped_to() {
        let mut numbers = Numbers::default();
        numbers.add(NumberBlock { sequence: 10, count: 5, discontinuity: 0 });
        numbers.take(true);
        numbers.add(NumberBlock { sequence: 80, count: 5, discontinuity: 40 });
        assert_eq!(numbers.take(false), Some((80, 1)));
        assert_eq!(numbers.rest().1, 85);
    }
}
