//! Loss lists: single numbers, and pairs of which the first has its top bit set.
//!
//! A list is bounded by its datagram (at most 364 words); a malformed or absurdly long range ends it, so that what was
//! said before still counts.
//!
//! draft-sharabayko-srt-01 §3.2.5, appendix A.

use super::MAX_PAYLOAD_BYTES;
use super::words::put;
use crate::core::seq::{Seq, SeqRange};

/// The longest range a peer may report; no flow window comes near it.
pub const MAX_LOSS_RANGE: u32 = 1 << 20;

const RANGE: u32 = 1 << 31;
const MAX_WORDS: usize = MAX_PAYLOAD_BYTES / 4;

/// The packets a NAK reports as missing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LossList<'a>(&'a [[u8; 4]]);

impl<'a> LossList<'a> {
    pub(super) fn new(cif: &'a [u8]) -> Self {
        let words = cif.as_chunks::<4>().0;
        Self(words.get(..MAX_WORDS).unwrap_or(words))
    }

    /// The ranges as reported: not sorted, perhaps overlapping, each at most [`MAX_LOSS_RANGE`] long.
    pub fn ranges(&self) -> impl Iterator<Item = SeqRange> + use<'a> {
        let mut words = self.0.iter().map(|bytes| u32::from_be_bytes(*bytes));
        let next = move || {
            let first = words.next()?;
            if first & RANGE == 0 {
                return Some(SeqRange::single(Seq::new(first)));
            }
            let last = words.next().filter(|last| last & RANGE == 0)?;
            SeqRange::new(Seq::new(first), Seq::new(last)).filter(|range| range.len() <= MAX_LOSS_RANGE)
        };
        std::iter::from_fn(next).fuse()
    }
}

/// How many of the leading `ranges` fit into one NAK.
pub fn nak_fits(ranges: &[SeqRange]) -> usize {
    let mut left = MAX_WORDS;
    let fits = |range: &&SeqRange| {
        let rest = left.checked_sub(if range.len() == 1 { 1 } else { 2 });
        left = rest.unwrap_or(0);
        rest.is_some()
    };
    ranges.iter().take_while(fits).count()
}

/// Appends a list.
pub(super) fn write(ranges: &[SeqRange], out: &mut Vec<u8>) {
    for range in ranges {
        if range.len() == 1 {
            put(out, &[range.first.raw()]);
        } else {
            put(out, &[range.first.raw() | RANGE, range.last.raw()]);
        }
    }
}
