//! Breaks streams on purpose; seeded, and tells what it did.

use std::ops::Range;

use fastrand::Rng;

use super::PACKET_BYTES;

/// Leaves out each packet with the probability `share`; the indices of those that are gone.
#[must_use]
pub fn drop_packets(stream: &[u8], share: f64, seed: u64) -> (Vec<u8>, Vec<usize>) {
    let mut rng = Rng::with_seed(seed);
    let (mut kept, mut dropped) = (Vec::with_capacity(stream.len()), Vec::new());
    for (index, packet) in stream.chunks(PACKET_BYTES).enumerate() {
        if rng.f64() < share {
            dropped.push(index);
        } else {
            kept.extend_from_slice(packet);
        }
    }
    (kept, dropped)
}

/// Leaves out a run of packets.
#[must_use]
pub fn drop_run(stream: &[u8], packets: Range<usize>) -> Vec<u8> {
    let chunks = stream.chunks(PACKET_BYTES).enumerate();
    chunks.filter(|(index, _)| !packets.contains(index)).flat_map(|(_, packet)| packet).copied().collect()
}

/// Leaves out every packet of these PIDs: PAT and PMT, for a stream that nothing is known about.
#[must_use]
pub fn without_pids(stream: &[u8], pids: &[u16]) -> Vec<u8> {
    let (packets, _) = stream.as_chunks::<PACKET_BYTES>();
    let pid = |packet: &[u8; PACKET_BYTES]| u16::from_be_bytes([packet[1] & 0x1f, packet[2]]);
    packets.iter().filter(|packet| !pids.contains(&pid(packet))).flatten().copied().collect()
}

/// Puts `len` bytes of noise before byte `at`.
#[must_use]
pub fn insert_garbage(stream: &[u8], at: usize, len: usize, seed: u64) -> Vec<u8> {
    let mut garbage = vec![0; len];
    Rng::with_seed(seed).fill(&mut garbage);
    let (head, tail) = stream.split_at(at.min(stream.len()));
    [head, &garbage, tail].concat()
}

/// Puts noise of 1 to `longest` bytes between packets, at `places` of them; the total length of the noise.
#[must_use]
pub fn scatter_garbage(stream: &[u8], places: usize, longest: usize, seed: u64) -> (Vec<u8>, usize) {
    let mut rng = Rng::with_seed(seed);
    let packets = stream.len() / PACKET_BYTES;
    let mut before: Vec<usize> = (0..places).map(|_| rng.usize(0..=packets)).collect();
    before.sort_unstable();
    let mut dirty = Vec::with_capacity(stream.len() + places * longest);
    let mut from = 0;
    for place in before {
        dirty.extend_from_slice(&stream[from..place * PACKET_BYTES]);
        from = place * PACKET_BYTES;
        let len = rng.usize(1..=longest.max(1));
        dirty.extend(std::iter::repeat_with(|| rng.u8(..)).take(len));
    }
    dirty.extend_from_slice(&stream[from..]);
    let noise = dirty.len() - stream.len();
    (dirty, noise)
}

/// Flips `count` different bits; their positions, in bits from the start, in order.
pub fn flip_bits(stream: &mut [u8], count: usize, seed: u64) -> Vec<usize> {
    let mut rng = Rng::with_seed(seed);
    let mut flipped = std::collections::BTreeSet::new();
    while flipped.len() < count.min(stream.len() * 8) {
        let bit = rng.usize(0..stream.len() * 8);
        if flipped.insert(bit) {
            stream[bit / 8] ^= 0x80 >> (bit % 8);
        }
    }
    flipped.into_iter().collect()
}

/// The same packets in 192-byte form, each behind its four bytes of arrival time (Blu-ray, some cameras).
#[must_use]
pub fn to_m2ts(stream: &[u8]) -> Vec<u8> {
    let (packets, _) = stream.as_chunks::<PACKET_BYTES>();
    let stamped = |(index, packet): (usize, &[u8; PACKET_BYTES])| {
        // 27 MHz, 30 bits; a packet each 0.1 ms.
        let arrival = (index as u32).wrapping_mul(2700) & 0x3fff_ffff;
        [&arrival.to_be_bytes()[..], packet].concat()
    };
    packets.iter().enumerate().flat_map(stamped).collect()
}

/// The stream in pieces of 1 to `longest` bytes.
pub fn pieces(stream: &[u8], longest: usize, seed: u64) -> impl Iterator<Item = &[u8]> {
    let mut rng = Rng::with_seed(seed);
    let mut rest = stream;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let (piece, later) = rest.split_at(rng.usize(1..=longest.max(1)).min(rest.len()));
        rest = later;
        Some(piece)
    })
}

#[cfg(test)]
mod tests {
    use super::{super::*, *};

    fn stream() -> Vec<u8> {
        TsSource::stream(TsProfile::default(), 1, 1).bytes
    }

    #[test]
    fn what_is_taken_away_or_added_is_what_is_said() {
        let stream = stream();
        let packets = stream.len() / PACKET_BYTES;
        let (kept, dropped) = drop_packets(&stream, 0.1, 1);
        assert_eq!(kept.len() / PACKET_BYTES + dropped.len(), packets);
        assert!(!dropped.is_empty());
        assert_eq!(
            drop_run(&stream, 3..7),
            [&stream[..3 * PACKET_BYTES], &stream[7 * PACKET_BYTES..]].concat()
        );
        assert_eq!(insert_garbage(&stream, 100, 50, 1).len(), stream.len() + 50);
        let (dirty, noise) = scatter_garbage(&stream, 10, 400, 1);
        assert!(noise >= 10 && dirty.len() == stream.len() + noise);
        assert!(without_pids(&stream, &[PAT_PID, PMT_PID]).len() < stream.len());
        assert_eq!(pieces(&stream, 1500, 1).collect::<Vec<_>>().concat(), stream);
    }

    #[test]
    fn flipped_bits_flip_back() {
        let stream = stream();
        let mut flipped = stream.clone();
        let bits = flip_bits(&mut flipped, 20, 7);
        assert_eq!(bits.len(), 20);
        assert_ne!(flipped, stream);
        flip_bits(&mut flipped, 20, 7);
        assert_eq!(flipped, stream);
    }

    #[test]
    fn the_m2ts_form_has_a_sync_byte_every_192_bytes() {
        let stream = stream();
        let m2ts = to_m2ts(&stream);
        assert_eq!(m2ts.len() / 192, stream.len() / PACKET_BYTES);
        assert!(m2ts.chunks(192).all(|packet| packet[4] == 0x47 && packet[0] & 0xc0 == 0));
    }
}
