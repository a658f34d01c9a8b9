//! What `verify` promises, case by case.

use std::{collections::BTreeSet, fs, path::Path};

use dashvault_base::{ContentHash, PackId, Pts, Ticks90k, WallMs};
use dashvault_media::{Manifest, SealedBy, SegmentEntry, SignedManifest, SigningKey, trailer};
use tempfile::TempDir;

use super::{vault::Expired, *};
use crate::packs::State;

const SEGMENT_PACKETS: [usize; 4] = [3, 1, 5, 2];

/// A pack's body of four segments that differ from pack to pack.
fn body(number: u32) -> Vec<Vec<u8>> {
    let byte = |segment: usize, at: usize| (number as usize * 31 + segment * 7 + at) as u8;
    let segment = |(index, packets): (usize, &usize)| (0..packets * 188).map(|at| byte(index, at)).collect();
    SEGMENT_PACKETS.iter().enumerate().map(segment).collect()
}

fn manifest(number: u32, previous: ContentHash) -> Manifest {
    let entry = |bytes: Vec<u8>| SegmentEntry {
        len: u32::try_from(bytes.len()).unwrap(),
        hash: ContentHash::of(&bytes),
        start_pts: Some(Pts(0)),
        duration: Ticks90k(90_000),
        wall_offset_ms: 0,
        keyframe: true,
        damaged: false,
    };
    Manifest {
        device: "bus-7".parse().unwrap(),
        camera: "front".parse().unwrap(),
        pack: pack(number),
        sealed_by: SealedBy::Device,
        start_wall: WallMs(0),
        start_mono_ms: 0,
        boot_id: [0; 16],
        previous,
        segments: body(number).into_iter().map(entry).collect(),
    }
}

fn pack(number: u32) -> PackId {
    PackId { recording: "20261122-101500".parse().unwrap(), number }
}

fn file_bytes(manifest: Manifest) -> Vec<u8> {
    let mut bytes = body(manifest.pack.number).concat();
    let key = SigningKey::from_seed([1; 32]);
    bytes.extend(trailer(&SignedManifest::sign(manifest, &key).unwrap()));
    bytes
}

fn write(spool: &Path, folder: &str, number: u32, bytes: &[u8]) -> PathBuf {
    let folder = spool.join("front").join(folder);
    fs::create_dir_all(&folder).unwrap();
    let path = folder.join(pack(number).file_name());
    fs::write(&path, bytes).unwrap();
    path
}

/// A spool with three sealed packs in a chain: two pending, one stored.
fn spool() -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("recorder.lock"), "").unwrap();
    let mut previous = ContentHash::ZERO;
    for number in 0..3 {
        let manifest = manifest(number, previous);
        previous = manifest.hash();
        write(dir.path(), if number == 0 { "stored" } else { "pending" }, number, &file_bytes(manifest));
    }
    dir
}

fn report(spool: &TempDir) -> Report {
    let places = Places { spool: Some(spool.path().to_owned()), data: None, bundle: None };
    verify(&places, &mut Progress::silent()).unwrap()
}

#[test]
fn sound_spool_is_sound_and_its_footage_is_counted() {
    let report = report(&spool());
    assert!(report.ok && report.notes.is_empty(), "{report}");
    assert_eq!((report.packs, report.packs_sound, report.packs_sealed_on_vehicle), (3, 3, 3));
    assert_eq!(report.footage_bytes, 3 * 11 * 188);
    assert_eq!(report.footage_seconds, 12.0);
}

#[test]
fn one_flipped_bit_is_found_with_its_segment() {
    let starts: Vec<usize> =
        (0..4).map(|index| SEGMENT_PACKETS[..index].iter().sum::<usize>() * 188).collect();
    for (segment, start) in starts.iter().enumerate() {
        for (offset, bit) in [(0, 0), (1, 7), (187, 3)] {
            let dir = spool();
            let path = dir.path().join("front/pending").join(pack(1).file_name());
            flip(&path, start + offset, bit);
            let report = report(&dir);
            assert!(!report.ok);
            let [finding] = report.wrong.as_slice() else { panic!("{report}") };
            assert_eq!(finding.pack, Some(pack(1)));
            assert_eq!(finding.segment, Some(u32::try_from(segment).unwrap()));
            let end = start + SEGMENT_PACKETS[segment] * 188;
            assert_eq!((finding.start, finding.end), (Some(*start as u64), Some(end as u64)));
            assert_eq!(report.packs_sound, 2);
        }
    }
}

#[test]
fn one_flipped_bit_anywhere_in_the_trailer_is_found() {
    let dir = spool();
    let path = dir.path().join("front/pending").join(pack(1).file_name());
    let sound = fs::read(&path).unwrap();
    let body_len = body(1).concat().len();
    for at in (body_len..sound.len()).step_by(13).chain([sound.len() - 1]) {
        flip(&path, at, 5);
        let report = report(&dir);
        let finding = report.wrong.iter().find(|finding| finding.path == path);
        let start = finding.unwrap_or_else(|| panic!("byte {at}: {report}")).start.unwrap();
        assert!(start <= at as u64, "byte {at}: {report}");
        fs::write(&path, &sound).unwrap();
    }
}

fn flip(path: &Path, at: usize, bit: u8) {
    let mut bytes = fs::read(path).unwrap();
    bytes[at] ^= 1 << bit;
    fs::write(path, bytes).unwrap();
}

#[test]
fn torn_pack_is_wrong_from_its_torn_packet_on() {
    let dir = spool();
    let path = dir.path().join("front/pending").join(pack(2).file_name());
    let bytes = fs::read(&path).unwrap();
    fs::write(&path, &bytes[..bytes.len() - 100]).unwrap();
    let report = report(&dir);
    assert_eq!(report.wrong[0].start, Some(bytes.len() as u64 - 188));
}

#[test]
fn open_pack_is_told_as_open_and_not_as_wrong() {
    let dir = spool();
    write(dir.path(), "open", 3, &body(3).concat()[..188 * 4 + 17]);
    let report = report(&dir);
    assert!(report.ok, "{report}");
    assert_eq!((report.packs, report.packs_open), (3, 1));
    assert!(report.to_string().contains("1 still open"));
}

#[test]
fn exchanged_pack_breaks_the_chain() {
    let dir = spool();
    // Properly signed, but recorded as if another pack had come before.
    write(dir.path(), "pending", 2, &file_bytes(manifest(2, ContentHash::of(b"another"))));
    let report = report(&dir);
    assert!(report.wrong[0].problem.contains("chain is broken"), "{report}");
}

#[test]
fn evicted_pack_is_noted_and_not_wrong() {
    let dir = spool();
    fs::remove_file(dir.path().join("front/pending").join(pack(1).file_name())).unwrap();
    let report = report(&dir);
    assert!(report.ok, "{report}");
    assert!(report.notes[0].contains("1 pack before others not here"), "{report}");
}

#[test]
fn pack_under_anothers_name_is_wrong() {
    let dir = spool();
    let from = dir.path().join("front/pending").join(pack(2).file_name());
    fs::rename(&from, from.with_file_name(pack(9).file_name())).unwrap();
    let report = report(&dir);
    assert!(report.wrong[0].problem.contains("is pack front/20261122-101500_00002"), "{report}");
}

#[test]
fn receipt_for_what_the_vault_does_not_have_is_wrong() {
    let dir = spool();
    let mut report = Report::new(true);
    let packs = packs::in_spool(dir.path()).unwrap();
    let audited = audit_all(&packs, &BTreeMap::new(), &mut report, &mut Progress::silent());
    compare::all(&audited, &[], &Expired::default(), &BTreeSet::new(), &mut report);
    assert_eq!(report.packs_on_vehicle_only, 2);
    assert!(report.wrong[0].problem.contains("gave a receipt"), "{report}");
}

/// What a vault knows of packs that it has deleted.
fn expired(packs: &[(u32, ContentHash)]) -> Expired {
    let of = |(number, hash): &(u32, ContentHash)| {
        (("bus-7".parse().unwrap(), "front".parse().unwrap(), pack(*number)), *hash)
    };
    Expired(packs.iter().map(of).collect())
}

#[test]
fn receipt_for_what_the_vault_has_deleted_on_purpose_is_good() {
    let dir = spool();
    let packs = packs::in_spool(dir.path()).unwrap();
    let mut report = Report::new(true);
    let audited = audit_all(&packs, &BTreeMap::new(), &mut report, &mut Progress::silent());
    let deleted = expired(&[(0, manifest(0, ContentHash::ZERO).hash())]);
    compare::all(&audited, &[], &deleted, &BTreeSet::new(), &mut report);
    assert!(report.wrong.is_empty(), "{report}");
    let other = expired(&[(0, ContentHash::of(b"another"))]);
    compare::all(&audited, &[], &other, &BTreeSet::new(), &mut report);
    assert!(report.wrong[0].problem.contains("gave a receipt"), "another pack of its name proves nothing");
}

#[test]
fn chain_goes_over_packs_that_are_deleted_on_purpose() {
    let dir = spool();
    let first = manifest(0, ContentHash::ZERO).hash();
    let second = manifest(1, first).hash();
    fs::remove_file(dir.path().join("front/pending").join(pack(1).file_name())).unwrap();
    let packs = packs::in_spool(dir.path()).unwrap();
    let check = |deleted: &Expired| {
        let mut report = Report::new(false);
        let audited = audit_all(&packs, &BTreeMap::new(), &mut report, &mut Progress::silent());
        chain::check(Place::Vault, &audited, deleted, &mut report);
        report
    };
    let known = check(&expired(&[(1, second)]));
    assert!(known.wrong.is_empty() && known.notes.is_empty(), "{known}");
    assert_eq!(check(&Expired::default()).notes.len(), 1, "a hole that nobody explains is noted");
    let exchanged = check(&expired(&[(1, ContentHash::of(b"another"))]));
    assert!(exchanged.wrong[0].problem.contains("chain is broken"), "{exchanged}");
}

#[test]
fn difference_between_vehicle_and_vault_is_named_to_the_byte() {
    let (ours, theirs) = (spool(), spool());
    let path = theirs.path().join("front/pending").join(pack(1).file_name());
    flip(&path, 4 * 188 + 5, 0);
    let mut report = Report::new(true);
    let packs = packs::in_spool(ours.path()).unwrap();
    let audited = audit_all(&packs, &BTreeMap::new(), &mut report, &mut Progress::silent());
    let as_objects = packs::in_spool(theirs.path()).unwrap().into_iter().map(|found| Found {
        place: Place::Vault,
        state: State::Stored,
        device: Some("bus-7".parse().unwrap()),
        ..found
    });
    let as_objects: Vec<_> = as_objects.collect();
    compare::all(&audited, &as_objects, &Expired::default(), &BTreeSet::new(), &mut report);
    assert_eq!(report.packs_identical, 2);
    let finding = &report.wrong[0];
    assert_eq!((finding.segment, finding.start), (Some(2), Some(4 * 188 + 5)), "{finding}");

    let (mut report, rotten) = (Report::new(true), BTreeSet::from([audited[1].found.path.clone()]));
    compare::all(&audited, &as_objects, &Expired::default(), &rotten, &mut report);
    assert!(report.wrong.is_empty() && report.notes[0].contains("the vault's copy is sound"), "{report}");
}

#[test]
fn key_that_is_not_the_devices_is_wrong() {
    let dir = spool();
    let mut report = Report::new(false);
    let packs = packs::in_spool(dir.path()).unwrap();
    let keys = BTreeMap::from([("bus-7".to_owned(), "another".to_owned())]);
    audit_all(&packs, &keys, &mut report, &mut Progress::silent());
    assert_eq!(report.wrong.len(), 3);
    assert!(report.wrong[0].problem.contains("bus-7 has key another"), "{}", report.wrong[0]);
}

#[test]
fn place_that_is_not_there_is_an_error_and_not_an_empty_report() {
    let places = Places { spool: Some("/nowhere".into()), data: None, bundle: None };
    assert!(verify(&places, &mut Progress::silent()).is_err());
    let dir = tempfile::tempdir().unwrap();
    let places = Places { spool: Some(dir.path().to_owned()), data: None, bundle: None };
    assert!(verify(&places, &mut Progress::silent()).unwrap_err().to_string().contains("is no spool"));
    let places = Places { spool: None, data: None, bundle: None };
    assert!(verify(&places, &mut Progress::silent()).is_err());
}
