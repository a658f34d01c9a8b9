//! Packs: what is written is read, and one flipped bit anywhere is found.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod stream;

use std::io::Cursor;

use dashvault_base::{ContentHash, PackId, Pts, Ticks90k, WallMs};
use dashvault_media::{
    BodyVerifier, ClosedBy, MAX_SEGMENTS_PER_PACK, MAX_TRAILER_BYTES, Manifest, ManifestError, PACKET_BYTES,
    PackCutter, PackError, PackLimits, PublicKey, SealedBy, Segment, SegmentEntry, SignedManifest,
    SigningKey, TrailerError, VerifyOptions, audit_pack, parse_trailer, read_manifest, trailer, trailer_len,
    verify_pack,
};
use proptest::prelude::*;
use stream::{Kept, Plan, segments, stream};

fn key() -> SigningKey {
    SigningKey::from_seed([7; 32])
}

fn manifest(entries: Vec<SegmentEntry>) -> Manifest {
    Manifest {
        device: "0b7e4f5e-3a52-4c1c-9d6e-2f2a5f0c9a11".parse().unwrap(),
        camera: "front".parse().unwrap(),
        pack: "20261122-101500_00003".parse().unwrap(),
        sealed_by: SealedBy::Device,
        start_wall: WallMs(1_795_342_500_123),
        start_mono_ms: 987_654,
        boot_id: [0xB0; 16],
        previous: ContentHash::of(b"the pack before"),
        segments: entries,
    }
}

fn entries(kept: &Kept) -> Vec<SegmentEntry> {
    (0u32..).zip(&kept.segments).map(|(index, segment)| SegmentEntry::new(segment, index * 1000)).collect()
}

/// A small sound pack, and the length of its body.
fn pack() -> (Vec<u8>, usize) {
    let kept = segments(&stream(&Plan { frames: 9, gop: 3, frame_bytes: 100, ..Plan::default() }));
    let signed = SignedManifest::sign(manifest(entries(&kept)), &key()).unwrap();
    let mut pack = kept.bytes;
    let body = pack.len();
    pack.extend(trailer(&signed));
    (pack, body)
}

fn verify(pack: &[u8]) -> Result<(), PackError> {
    verify_pack(&mut Cursor::new(pack), &VerifyOptions::default()).map(|_| ())
}

#[test]
fn a_sound_pack_is_verified_and_read_back() {
    let (pack, body) = pack();
    let report = verify_pack(&mut Cursor::new(&pack), &VerifyOptions::default()).unwrap();
    assert_eq!((report.body_len, report.file_len), (body as u64, pack.len() as u64));
    assert_eq!(report.manifest_hash, report.signed.manifest().hash());
    assert_eq!(report.signed.public_key(), key().public_key());
    assert_eq!(read_manifest(&mut Cursor::new(&pack)).unwrap(), Some(report.signed.clone()));
    assert_eq!(parse_trailer(&pack).unwrap(), report.signed);
    assert_eq!(parse_trailer(&pack[body..]).unwrap(), report.signed);
    let manifest = report.signed.manifest();
    assert_eq!(manifest.offset_of(1), u64::from(manifest.segments[0].len));
    assert_eq!(manifest.offset_of(3), body as u64);
    assert_eq!(manifest.offset_of(99), body as u64);
}

#[test]
fn one_flipped_bit_anywhere_is_found_and_placed() {
    let (mut pack, body) = pack();
    let sound = audit_pack(&mut Cursor::new(&pack)).unwrap();
    let manifest = sound.report.signed.manifest().clone();
    for bit in 0..pack.len() * 8 {
        pack[bit / 8] ^= 1 << (bit % 8);
        let at = (bit / 8) as u64;
        match verify(&pack).unwrap_err() {
            PackError::Segment(bad) => {
                assert!((bad.start..bad.end).contains(&at), "bit {bit} was placed at {bad:?}");
                assert_eq!(bad.start, manifest.offset_of(bad.index as usize));
            }
            PackError::Trailer { start, .. } => {
                assert!(at >= body as u64 && start <= at, "bit {bit}: {start}")
            }
            other => panic!("bit {bit}: {other}"),
        }
        pack[bit / 8] ^= 1 << (bit % 8);
    }
    verify(&pack).unwrap();
}

#[test]
fn every_bad_segment_is_told_not_only_the_first() {
    let (mut pack, _) = pack();
    let manifest = parse_trailer(&pack).unwrap().into_manifest();
    for index in [0, 2] {
        pack[usize::try_from(manifest.offset_of(index)).unwrap() + 3] ^= 0x80;
    }
    let audit = audit_pack(&mut Cursor::new(&pack)).unwrap();
    let bad: Vec<(u32, u64, u64)> = audit.bad.iter().map(|bad| (bad.index, bad.start, bad.end)).collect();
    let place = |index: usize| (index as u32, manifest.offset_of(index), manifest.offset_of(index + 1));
    assert_eq!(bad, [place(0), place(2)]);
}

#[test]
fn missing_and_added_bytes_are_found() {
    let (pack, body) = pack();
    let error = |bytes: &[u8]| verify(bytes).unwrap_err();
    assert!(matches!(error(&pack[PACKET_BYTES..]), PackError::BodyLength { .. }));
    assert!(matches!(error(&[&pack[..PACKET_BYTES], &pack].concat()), PackError::BodyLength { .. }));
    assert!(matches!(error(&pack[1..]), PackError::TornPacket { .. }));
    assert!(matches!(error(&pack[..pack.len() - 10]), PackError::TornPacket { .. }));
    let more = [&pack[..], &pack[..PACKET_BYTES]].concat();
    assert!(matches!(error(&more), PackError::Trailer { source: TrailerError::Missing, .. }));
    let no_first_trailer_packet = [&pack[..body], &pack[body + PACKET_BYTES..]].concat();
    assert!(matches!(error(&no_first_trailer_packet), PackError::Trailer { .. }));
    assert!(matches!(error(&pack[body + PACKET_BYTES..]), PackError::Trailer { .. }));
    assert!(matches!(error(&[]), PackError::Trailer { source: TrailerError::Missing, .. }));
}

#[test]
fn a_pack_without_trailer_is_open_and_half_a_magic_is_damage() {
    let (pack, body) = pack();
    assert_eq!(read_manifest(&mut Cursor::new(&pack[..body])).unwrap(), None);
    assert_eq!(read_manifest(&mut Cursor::new(&[])).unwrap(), None);
    let last: [u8; PACKET_BYTES] = *pack.last_chunk().unwrap();
    assert_eq!(trailer_len(&last), Ok(Some((pack.len() - body) as u32)));
    // One of the magics, the packet's header, and the stuffing.
    for at in [4, 187, 0, 3, 54, 179] {
        let mut broken = last;
        broken[at] ^= 1;
        assert_eq!(trailer_len(&broken), Err(TrailerError::LastPacket), "byte {at}");
    }
}

#[test]
fn the_trailer_is_null_packets_that_players_skip() {
    let (pack, body) = pack();
    for packet in pack[body..].as_chunks::<PACKET_BYTES>().0 {
        assert_eq!(packet[..4], [0x47, 0x1F, 0xFF, 0x10]);
    }
}

#[test]
fn what_the_caller_knows_must_match() {
    let (pack, _) = pack();
    let check = |options: VerifyOptions| verify_pack(&mut Cursor::new(&pack), &options);
    let manifest = parse_trailer(&pack).unwrap().into_manifest();
    check(VerifyOptions {
        public_key: Some(key().public_key()),
        pack: Some(manifest.pack),
        previous: Some(manifest.previous),
    })
    .unwrap();
    let other_key =
        VerifyOptions { public_key: Some(PublicKey::from_bytes([1; 32])), ..VerifyOptions::default() };
    assert!(matches!(check(other_key), Err(PackError::OtherKey { .. })));
    let next = PackId { number: 4, ..manifest.pack };
    let other_pack = VerifyOptions { pack: Some(next), ..VerifyOptions::default() };
    assert!(matches!(check(other_pack), Err(PackError::OtherPack { .. })));
    let other_chain = VerifyOptions { previous: Some(ContentHash::ZERO), ..VerifyOptions::default() };
    assert!(matches!(check(other_chain), Err(PackError::BrokenChain { .. })));
}

#[test]
fn a_manifest_that_somebody_changed_and_resealed_has_no_valid_signature() {
    let (pack, _) = pack();
    let signed = parse_trailer(&pack).unwrap();
    let mut lie = signed.manifest().clone();
    lie.start_wall = lie.start_wall.plus_ms(1);
    let resealed = trailer(&SignedManifest::from_parts(lie, signed.public_key(), *signed.signature()));
    assert!(matches!(parse_trailer(&resealed), Err(TrailerError::Signature(_))));
}

#[test]
fn a_resealed_checksum_does_not_hide_a_byte_that_nobody_reads() {
    let (pack, body) = pack();
    let content_packets = (pack.len() - body) / PACKET_BYTES - 1;
    // The last stuffing byte of the manifest, and the counter of the first null packet.
    for at in [content_packets * PACKET_BYTES - 1, 3] {
        let mut bytes = pack[body..].to_vec();
        bytes[at] ^= 1;
        let checksum_at = content_packets * PACKET_BYTES + 22;
        let checksum = ContentHash::of(&bytes[..checksum_at]);
        bytes[checksum_at..checksum_at + 32].copy_from_slice(checksum.as_bytes());
        assert_eq!(parse_trailer(&bytes), Err(TrailerError::NotCanonical { offset: at }));
    }
}

#[test]
fn a_newer_version_is_refused_as_such() {
    let (pack, body) = pack();
    let mut last: [u8; PACKET_BYTES] = *pack.last_chunk().unwrap();
    last[13] = 2;
    assert_eq!(trailer_len(&last), Err(TrailerError::NewerVersion { version: 2 }));
    let mut encoded = parse_trailer(&pack[body..]).unwrap().manifest().encode();
    encoded[5] = 2;
    assert_eq!(Manifest::decode(&encoded), Err(ManifestError::NewerVersion { version: 2 }));
}

#[test]
fn a_manifest_beyond_its_limits_is_not_signed_and_not_read() {
    let entry = SegmentEntry {
        len: 188,
        hash: ContentHash::ZERO,
        start_pts: Some(Pts(-5)),
        duration: Ticks90k(1),
        wall_offset_ms: 0,
        keyframe: true,
        damaged: false,
    };
    let most = manifest(vec![entry; MAX_SEGMENTS_PER_PACK]);
    let signed = SignedManifest::sign(most, &key()).unwrap();
    let longest = trailer(&signed);
    assert!(longest.len() <= MAX_TRAILER_BYTES);
    assert_eq!(parse_trailer(&longest).unwrap(), signed);
    let too_many = manifest(vec![entry; MAX_SEGMENTS_PER_PACK + 1]);
    assert_eq!(
        Manifest::decode(&too_many.encode()),
        Err(ManifestError::TooManySegments { count: MAX_SEGMENTS_PER_PACK + 1 })
    );
    assert!(SignedManifest::sign(too_many, &key()).is_err());
    for len in [0, 187, 189] {
        let odd = manifest(vec![entry, SegmentEntry { len, ..entry }]);
        assert_eq!(Manifest::decode(&odd.encode()), Err(ManifestError::SegmentLength { index: 1, len }));
        assert!(SignedManifest::sign(odd, &key()).is_err());
    }
}

#[test]
fn keys_have_a_text_form_and_a_fingerprint_and_hide_the_secret() {
    let public = key().public_key();
    assert_eq!(public.to_string().parse(), Ok(public));
    assert_eq!(public.fingerprint().len(), 39);
    assert!(public.fingerprint().split(':').all(|group| group.len() == 4));
    assert!("00".parse::<PublicKey>().is_err());
    assert!(!format!("{:?}", key()).contains("07070707"));
}

#[test]
fn a_pack_ends_at_the_first_keyframe_after_its_limit() {
    let segment = |seconds: u32, len: u32, closed_by: ClosedBy| Segment {
        len,
        hash: ContentHash::ZERO,
        start_pts: None,
        duration: Ticks90k(seconds * 90_000),
        keyframe: true,
        damaged: false,
        closed_by,
    };
    let ends = |limits: PackLimits, all: &[Segment]| -> Vec<usize> {
        let mut cutter = PackCutter::new(limits);
        all.iter().enumerate().filter(|(_, segment)| cutter.closed(segment)).map(|(index, _)| index).collect()
    };
    let defaults = PackLimits::default();
    assert_eq!(ends(defaults, &vec![segment(1, 188, ClosedBy::Keyframe); 200]), [59, 119, 179]);
    assert_eq!(ends(defaults, &vec![segment(1, 188, ClosedBy::Size); 200]), [119]);
    assert_eq!(ends(defaults, &vec![segment(0, 16 << 20, ClosedBy::Keyframe); 40]), [15, 31]);
    assert_eq!(ends(defaults, &vec![segment(0, 188, ClosedBy::Size); 5000]), [4095]);
    assert_eq!(ends(defaults, &[segment(1, 188, ClosedBy::End)]), [0]);
}

fn any_entry() -> impl Strategy<Value = SegmentEntry> {
    let times = (prop::option::of(any::<i64>()), any::<u32>(), any::<u32>());
    (1..90_000u32, any::<[u8; 32]>(), times, any::<bool>(), any::<bool>()).prop_map(
        |(packets, hash, (pts, duration, wall_offset_ms), keyframe, damaged)| SegmentEntry {
            len: packets * 188,
            hash: ContentHash::from_bytes(hash),
            start_pts: pts.map(Pts),
            duration: Ticks90k(duration),
            wall_offset_ms,
            keyframe,
            damaged,
        },
    )
}

fn any_manifest() -> impl Strategy<Value = Manifest> {
    let names = ("[A-Za-z0-9_-]{1,64}", "[A-Za-z0-9_-]{1,32}");
    let sealed = prop_oneof![Just(SealedBy::Device), Just(SealedBy::Recovery), Just(SealedBy::Vault)];
    let times = (0..4_000_000_000_000i64, any::<u32>(), any::<i64>(), any::<u64>());
    let rest = (any::<[u8; 16]>(), any::<[u8; 32]>(), prop::collection::vec(any_entry(), 0..40));
    (names, sealed, times, rest).prop_map(
        |((device, camera), sealed_by, (recording, number, wall, mono), (boot_id, previous, segments))| {
            Manifest {
                device: device.parse().unwrap(),
                camera: camera.parse().unwrap(),
                pack: PackId { recording: dashvault_base::RecordingId::at(WallMs(recording)), number },
                sealed_by,
                start_wall: WallMs(wall),
                start_mono_ms: mono,
                boot_id,
                previous: ContentHash::from_bytes(previous),
                segments,
            }
        },
    )
}

proptest! {
    #[test]
    fn every_manifest_is_read_as_written(manifest in any_manifest()) {
        let encoded = manifest.encode();
        prop_assert_eq!(Manifest::decode(&encoded), Ok(manifest.clone()));
        for cut in [0, 5, encoded.len() / 2, encoded.len() - 1] {
            prop_assert!(Manifest::decode(&encoded[..cut]).is_err());
        }
        let longer = [&encoded[..], &[0]].concat();
        prop_assert_eq!(Manifest::decode(&longer), Err(ManifestError::Overlong { offset: encoded.len() }));
    }

    #[test]
    fn a_changed_byte_of_a_manifest_is_another_manifest_or_none(manifest in any_manifest(), at: prop::sample::Index, xor in 1..=255u8) {
        let mut encoded = manifest.encode();
        let at = at.index(encoded.len());
        encoded[at] ^= xor;
        if let Ok(other) = Manifest::decode(&encoded) {
            prop_assert_eq!(other.encode(), encoded);
            prop_assert_ne!(other.hash(), manifest.hash());
            prop_assert_ne!(other, manifest);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn every_trailer_is_read_as_written_and_any_flipped_bit_is_found(
        manifest in any_manifest(), at: prop::sample::Index, bit in 0..8u8,
    ) {
        let signed = SignedManifest::sign(manifest, &key()).unwrap();
        let mut bytes = trailer(&signed);
        prop_assert_eq!(parse_trailer(&bytes), Ok(signed));
        let at = at.index(bytes.len());
        bytes[at] ^= 1 << bit;
        prop_assert!(parse_trailer(&bytes).is_err());
    }

    #[test]
    fn a_body_in_any_pieces_is_judged_the_same(pieces in prop::collection::vec(1..3000usize, 1..10), flip: prop::sample::Index) {
        let (mut pack, body) = pack();
        let manifest = parse_trailer(&pack).unwrap().into_manifest();
        let at = flip.index(body);
        pack[at] ^= 4;
        let mut verifier = BodyVerifier::new(&manifest);
        let mut rest = &pack[..body];
        for piece in pieces.iter().cycle() {
            let (now, later) = rest.split_at(rest.len().min(*piece));
            verifier.push(now);
            rest = later;
            if rest.is_empty() {
                break;
            }
        }
        let bad = verifier.finish();
        prop_assert_eq!(bad.len(), 1);
        prop_assert!((bad[0].start..bad[0].end).contains(&(at as u64)));
    }
}
