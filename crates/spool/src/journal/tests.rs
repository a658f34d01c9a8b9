//! A journal is read back as written, and never believed beyond its last sound record.

use super::*;

fn start() -> PackStart {
    let pack = "20261122-101500_00003".parse().unwrap();
    PackStart { pack, start_wall: WallMs(1_795_342_500_123), start_mono_ms: 77, boot_id: [9; 16] }
}

fn journal(segments: u8) -> Journal {
    let entry = |n: u8| SegmentEntry {
        len: 188 * (u32::from(n) + 1),
        hash: ContentHash::of(&[n]),
        start_pts: (n % 3 != 2).then_some(Pts(i64::from(n) * 90_000 - 5)),
        duration: Ticks90k(90_000),
        wall_offset_ms: u32::from(n) * 1000,
        keyframe: n.is_multiple_of(2),
        damaged: n % 5 == 1,
    };
    Journal { start: start(), previous: ContentHash::of(b"p"), segments: (0..segments).map(entry).collect() }
}

#[test]
fn a_journal_round_trips_with_and_without_room_for_more() {
    let journal = journal(12);
    let mut bytes = journal.encode();
    assert_eq!(Journal::decode(&bytes, start().pack).as_ref(), Some(&journal));
    bytes.resize(PREALLOCATED_BYTES, 0);
    assert_eq!(Journal::decode(&bytes, start().pack), Some(journal));
}

#[test]
fn records_count_up_to_the_first_that_is_not_sound() {
    let whole = journal(6);
    let bytes = whole.encode();
    for byte in HEADER_BYTES..bytes.len() {
        let mut bad = bytes.clone();
        bad[byte] ^= 0x10;
        let read = Journal::decode(&bad, start().pack).unwrap();
        let sound = (byte - HEADER_BYTES) / RECORD_BYTES;
        assert_eq!(read.segments, whole.segments[..sound], "byte {byte}");
    }
    let torn = Journal::decode(&bytes[..bytes.len() - 1], start().pack).unwrap();
    assert_eq!(torn.segments, whole.segments[..5]);
}

#[test]
fn a_header_with_any_bit_wrong_or_of_another_pack_is_no_journal() {
    let bytes = journal(1).encode();
    for byte in 0..HEADER_BYTES {
        let mut bad = bytes.clone();
        bad[byte] ^= 1;
        assert_eq!(Journal::decode(&bad, start().pack), None, "byte {byte}");
    }
    assert_eq!(Journal::decode(&bytes, "20261122-101500_00004".parse().unwrap()), None);
    assert_eq!(Journal::decode(&bytes[..100], start().pack), None);
}

#[test]
fn a_record_of_another_journal_is_not_believed() {
    let (mut bytes, mut other) = (journal(2).encode(), journal(3));
    other.previous = ContentHash::ZERO;
    bytes.extend_from_slice(&other.encode()[HEADER_BYTES + 2 * RECORD_BYTES..]);
    assert_eq!(Journal::decode(&bytes, start().pack).unwrap().segments.len(), 2);
}

proptest::proptest! {
    #[test]
    fn hostile_bytes_never_panic_and_never_become_segments(
        records in 0u8..6,
        cut in 0usize..2000,
        noise in proptest::collection::vec((0usize..2000, proptest::num::u8::ANY), 0..20),
    ) {
        let whole = journal(records);
        let mut bytes = whole.encode();
        for (at, byte) in noise {
            if let Some(old) = bytes.get_mut(at) {
                *old = byte;
            }
        }
        bytes.truncate(cut);
        if let Some(read) = Journal::decode(&bytes, start().pack) {
            proptest::prop_assert_eq!((read.start, read.previous), (whole.start, whole.previous));
            proptest::prop_assert!(whole.segments.starts_with(&read.segments));
        }
    }

    #[test]
    fn random_bytes_are_no_journal(bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..2000)) {
        proptest::prop_assert_eq!(Journal::decode(&bytes, start().pack), None);
    }
}
