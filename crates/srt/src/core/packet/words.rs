//! Big-endian 32-bit words, which all of the protocol is made of.

use super::HEADER_BYTES;

/// One of the header's four words. `n` is a constant in every caller, so that this is a single load.
#[inline]
pub(super) fn header_word(header: &[u8; HEADER_BYTES], n: usize) -> u32 {
    debug_assert!(n < 4, "a header has four words");
    header.as_chunks::<4>().0.get(n).map_or(0, |bytes| u32::from_be_bytes(*bytes))
}

/// The first `N` words, or nothing where there are fewer.
#[inline]
pub(super) fn words<const N: usize>(bytes: &[u8]) -> Option<[u32; N]> {
    let found = bytes.as_chunks::<4>().0.first_chunk::<N>()?;
    Some(found.map(u32::from_be_bytes))
}

/// Appends words.
#[inline]
pub(super) fn put(out: &mut Vec<u8>, words: &[u32]) {
    for word in words {
        out.extend_from_slice(&word.to_be_bytes());
    }
}
