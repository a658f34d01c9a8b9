//! The lost list: which packets the peer misses, as one bit a packet, oldest first.
//!
//! Marking a packet, taking the oldest, and forgetting what was acknowledged cost O(1) amortised (or a scan of 64
//! packets a step). Packets are named by their place in the stream, which never wraps.

use std::collections::VecDeque;

const BITS: u64 = u64::BITS as u64;

/// A set of packets.
#[derive(Debug, Default)]
pub(super) struct LostList {
    words: VecDeque<u64>,
    /// The number of the first word: packet `n` is in word `n / 64`.
    base: u64,
    /// Nothing is marked before this packet.
    hint: u64,
    count: u64,
}

impl LostList {
    #[cfg(test)]
    pub(super) fn is_empty(&self) -> bool {
        self.count == 0
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> u64 {
        self.count
    }

    /// Marks a packet that was not forgotten; false if it was marked already.
    pub(super) fn mark(&mut self, packet: u64) -> bool {
        if self.count == 0 {
            self.words.clear();
            self.base = packet / BITS;
            self.hint = packet;
        }
        while packet / BITS < self.base {
            self.words.push_front(0);
            self.base -= 1;
        }
        let Ok(place) = usize::try_from(packet / BITS - self.base) else { return false };
        if place >= self.words.len() {
            self.words.resize(place + 1, 0);
        }
        let Some(word) = self.words.get_mut(place) else { return false };
        let bit = 1 << (packet % BITS);
        if *word & bit != 0 {
            return false;
        }
        *word |= bit;
        self.count += 1;
        self.hint = self.hint.min(packet);
        true
    }

    /// The oldest one.
    pub(super) fn first(&self) -> Option<u64> {
        if self.count == 0 {
            return None;
        }
        let mut place = self.hint / BITS;
        let mut mask = u64::MAX << (self.hint % BITS);
        loop {
            let word = self.words.get(usize::try_from(place.checked_sub(self.base)?).ok()?)? & mask;
            if word != 0 {
                return Some(place * BITS + u64::from(word.trailing_zeros()));
            }
            (place, mask) = (place + 1, u64::MAX);
        }
    }

    /// Unmarks the oldest one, which [`first`](Self::first) has told.
    pub(super) fn take(&mut self, packet: u64) {
        let place = (packet / BITS).checked_sub(self.base).and_then(|place| usize::try_from(place).ok());
        if let Some(word) = place.and_then(|place| self.words.get_mut(place)) {
            let bit = 1 << (packet % BITS);
            self.count -= u64::from(*word & bit != 0);
            *word &= !bit;
            self.hint = packet + 1;
        }
    }

    /// Forgets everything before `packet`.
    pub(super) fn forget_before(&mut self, packet: u64) {
        while self.base < packet / BITS
            && let Some(word) = self.words.pop_front()
        {
            self.count -= u64::from(word.count_ones());
            self.base += 1;
        }
        if self.base == packet / BITS
            && let Some(word) = self.words.front_mut()
        {
            let gone = *word & !(u64::MAX << (packet % BITS));
            self.count -= u64::from(gone.count_ones());
            *word &= !gone;
        }
        self.hint = self.hint.max(packet);
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn it_behaves_like_a_set() {
        for seed in 0..40 {
            let mut random = fastrand::Rng::with_seed(seed);
            let (mut list, mut model, mut floor) = (LostList::default(), BTreeSet::new(), 0_u64);
            for _ in 0..3000 {
                match random.u8(0..8) {
                    0 => {
                        floor += random.u64(0..150);
                        list.forget_before(floor);
                        model = model.split_off(&floor);
                    }
                    1..=3 => {
                        if let Some(first) = list.first() {
                            list.take(first);
                            assert_eq!(Some(first), model.pop_first(), "seed {seed}");
                        }
                    }
                    _ => {
                        let packet = floor + random.u64(0..700);
                        assert_eq!(list.mark(packet), model.insert(packet), "seed {seed}");
                    }
                }
                assert_eq!(list.first(), model.first().copied(), "seed {seed}");
                assert_eq!(list.len(), model.len() as u64, "seed {seed}");
                assert_eq!(list.is_empty(), model.is_empty());
            }
        }
    }
}
