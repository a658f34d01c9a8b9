//! What `assembly` promises, case by case.

use dashvault_base::{Pts, Ticks90k, WallMs};
use dashvault_media::{Manifest, SealedBy, SigningKey};
use proptest::prelude::*;

use super::*;

fn content(index: usize, len: usize) -> Vec<u8> {
    (0..len).map(|at| (at * 7 + index * 31) as u8).collect()
}

fn notice_of(bytes: &[u8]) -> SegmentNotice {
    let len = u32::try_from(bytes.len()).unwrap();
    SegmentNotice { len, hash: ContentHash::of(bytes), pts: Some(Pts(0)), dur: Ticks90k(1), at: 0 }
}

fn segments(lens: &[usize]) -> Vec<Vec<u8>> {
    lens.iter().enumerate().map(|(index, packets)| content(index, packets * 188)).collect()
}

fn notices(segments: &[Vec<u8>]) -> Vec<SegmentNotice> {
    segments.iter().map(|bytes| notice_of(bytes)).collect()
}

fn announced(segments: &[Vec<u8>]) -> Assembly {
    let mut assembly = Assembly::default();
    assembly.announce(0, &notices(segments));
    assembly
}

fn sealed(segments: &[Vec<u8>]) -> Seal {
    let entry = |bytes: &Vec<u8>| SegmentEntry {
        len: u32::try_from(bytes.len()).unwrap(),
        hash: ContentHash::of(bytes),
        start_pts: None,
        duration: Ticks90k(1),
        wall_offset_ms: 0,
        keyframe: true,
        damaged: false,
    };
    let manifest = Manifest {
        device: "bus".parse().unwrap(),
        camera: "front".parse().unwrap(),
        pack: "20261122-101500_00000".parse().unwrap(),
        sealed_by: SealedBy::Device,
        start_wall: WallMs(0),
        start_mono_ms: 0,
        boot_id: [0; 16],
        previous: ContentHash::ZERO,
        segments: segments.iter().map(entry).collect(),
    };
    Seal(SignedManifest::sign(manifest, &SigningKey::from_seed([1; 32])).unwrap())
}

const UPLOAD: How = How::Backfilled;

#[test]
fn what_is_announced_is_wanted_until_it_is_verified() {
    let data = segments(&[2, 3, 1]);
    let mut assembly = announced(&data);
    assert_eq!(assembly.wants(), [ByteRange::new(0, 6 * 188)]);
    assert_eq!(assembly.wrote(2 * 188, &data[1], UPLOAD), [Verdict::Verified(1)]);
    assert_eq!(assembly.wants(), [ByteRange::new(0, 2 * 188), ByteRange::new(5 * 188, 6 * 188)]);
    assert!(!assembly.is_complete());
}

#[test]
fn a_partial_prefix_is_completed_and_not_sent_again() {
    let data = segments(&[10]);
    let mut assembly = announced(&data);
    assert_eq!(assembly.wrote(0, &data[0][..700], How::Live), []);
    assert_eq!(assembly.wants(), [ByteRange::new(700, 1880)]);
    assert_eq!(assembly.open_segment(0).unwrap().prefix, 700);
    assert_eq!(assembly.wrote(700, &data[0][700..], UPLOAD), [Verdict::Verified(0)]);
    assert_eq!((assembly.wants(), assembly.how(0)), (vec![], UPLOAD));
}

#[test]
fn wrong_bytes_fall_back_to_missing_and_leave_others_alone() {
    let data = segments(&[2, 2]);
    let mut assembly = announced(&data);
    let mut wrong = data.concat();
    wrong[5] ^= 1;
    assert_eq!(assembly.wrote(0, &wrong, UPLOAD), [Verdict::Mismatch(0), Verdict::Verified(1)]);
    assert_eq!(assembly.wants(), [ByteRange::new(0, 376)]);
    assert!(assembly.open_segment(0).unwrap().distrusted);
    assert_eq!(assembly.wrote(0, &data[0], UPLOAD), [Verdict::Verified(0)]);
}

#[test]
fn verified_bytes_are_never_written_again() {
    let data = segments(&[2, 2, 2]);
    let mut assembly = announced(&data);
    assembly.wrote(376, &data[1], UPLOAD);
    let whole = ByteRange::new(100, 1128);
    assert_eq!(assembly.writable(whole), [ByteRange::new(100, 376), ByteRange::new(752, 1128)]);
    assert_eq!(assembly.writable(ByteRange::new(1128, 5000)), []);
}

#[test]
fn an_announcement_with_a_hole_is_taken_up_to_the_hole() {
    let data = notices(&segments(&[1, 1, 1]));
    let mut assembly = Assembly::default();
    assert_eq!(assembly.announce(1, &data[1..]), 0);
    assert_eq!(assembly.known(), 0);
    assembly.announce(0, &data[..2]);
    assert_eq!(assembly.announce(1, &data[1..]), 2);
    assert_eq!(assembly.known(), 3);
}

#[test]
fn another_segment_at_a_known_place_replaces_it_and_what_follows() {
    let data = segments(&[2, 2, 2]);
    let mut assembly = announced(&data);
    assembly.wrote(0, &data.concat(), UPLOAD);
    let other = content(9, 188);
    assert_eq!(assembly.announce(1, &[notice_of(&other)]), 1);
    assert_eq!(assembly.known(), 2);
    assert_eq!(assembly.wants(), [ByteRange::new(376, 564)]);
}

#[test]
fn a_pack_is_complete_with_its_manifest_and_every_byte() {
    let data = segments(&[2, 3]);
    let mut assembly = announced(&data[..1]);
    assembly.wrote(0, &data[0], UPLOAD);
    assert_eq!(assembly.close(sealed(&data)), Ok(1));
    assert!(!assembly.is_complete());
    assert_eq!(assembly.wants(), [ByteRange::new(376, 940)]);
    assembly.wrote(376, &data[1], UPLOAD);
    assert!(assembly.is_complete());
}

#[test]
fn the_manifest_has_the_last_word_over_announcements() {
    let data = segments(&[2, 3]);
    let mut assembly = announced(&segments(&[2, 3, 4]));
    assembly.wrote(0, &data[0], UPLOAD);
    assert_eq!(assembly.close(sealed(&data)), Ok(3));
    assert_eq!((assembly.known(), assembly.body_len()), (2, 940));
    assembly.announce(0, &notices(&segments(&[7])));
    assert_eq!(assembly.known(), 2);
    assert_eq!(assembly.close(sealed(&[])), Err(SealError::Empty));
}

#[test]
fn bytes_taken_back_are_wanted_again() {
    let data = segments(&[2, 2]);
    let mut assembly = announced(&data);
    assembly.wrote(0, &data.concat()[..500], UPLOAD);
    assembly.drop_unverified(ByteRange::new(0, 500));
    assert_eq!(assembly.wants(), [ByteRange::new(376, 752)]);
    assert_eq!(assembly.wrote(376, &data[1], UPLOAD), [Verdict::Verified(1)]);
}

#[test]
fn bytes_of_an_earlier_run_are_read_back_before_they_count() {
    let data = segments(&[2, 2]);
    let mut assembly = announced(&data);
    assert_eq!(assembly.assume_held(ByteRange::new(0, 500)), [Verdict::ReadBack(0)]);
    assert_eq!(assembly.judge(0, ContentHash::of(b"torn"), UPLOAD), Verdict::Mismatch(0));
    assert_eq!(assembly.wants(), [ByteRange::new(0, 376), ByteRange::new(500, 752)]);
    assert_eq!(assembly.wrote(500, &data[1][124..], UPLOAD), [Verdict::ReadBack(1)]);
}

proptest! {
    /// Whatever the order, overlap and size of the pieces, the assembly ends complete exactly when every byte came,
    /// and asks for what did not.
    #[test]
    fn pieces_in_any_order_complete_the_pack(
        lens in prop::collection::vec(1usize..6, 1..6),
        pieces in prop::collection::vec((0usize..6000, 1usize..900), 0..60),
    ) {
        let data = segments(&lens);
        let body = data.concat();
        let mut assembly = announced(&data);
        assembly.close(sealed(&data)).unwrap();
        let mut file = vec![0u8; body.len()];
        let mut came = RangeSet::new();
        for (start, len) in pieces {
            let range = ByteRange::new(start as u64, ((start + len).min(body.len())) as u64);
            for part in assembly.writable(range) {
                let (from, until) = (part.start as usize, part.end as usize);
                file[from..until].copy_from_slice(&body[from..until]);
                for verdict in assembly.wrote(part.start, &body[from..until], UPLOAD) {
                    let last = match verdict {
                        Verdict::ReadBack(index) => {
                            let range = assembly.open_segment(index).unwrap().range;
                            let bytes = &file[range.start as usize..range.end as usize];
                            assembly.judge(index, ContentHash::of(bytes), UPLOAD)
                        }
                        other => other,
                    };
                    prop_assert!(matches!(last, Verdict::Verified(_)), "{last:?}");
                }
            }
            came.insert(range);
        }
        let missing = came.missing(ByteRange::new(0, body.len() as u64));
        prop_assert_eq!(assembly.wants(), missing.clone());
        prop_assert_eq!(assembly.is_complete(), missing.is_empty());
        prop_assert!(assembly.hashers.len() <= MAX_HASHERS);
    }
}
