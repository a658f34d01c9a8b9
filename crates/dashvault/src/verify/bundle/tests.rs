//! Bundles as the vault writes them, and with one bit changed anywhere.

use std::{fs, path::Path};

use dashvault_base::{PackId, Pts, Ticks90k, WallMs};
use dashvault_media::{Manifest, SegmentEntry, SignedManifest, SigningKey, trailer};
use dashvault_wire::evidence::{
    REPORT_HTML, Stretch, html, seal,
    zip::{Crc, Entry, directory, local_header},
};

use super::*;
use crate::verify::{Places, verify};

fn device_key() -> SigningKey {
    SigningKey::from_seed([1; 32])
}

fn vault_key() -> SigningKey {
    SigningKey::from_seed([2; 32])
}

/// One pack of two segments, and the hash of its manifest.
fn pack(number: u32, previous: ContentHash) -> (Vec<u8>, PackEntry) {
    let id = PackId { recording: "20261122-101500".parse().unwrap(), number };
    let segments: Vec<Vec<u8>> = (1..3u8).map(|n| vec![n + number as u8; 188 * usize::from(n)]).collect();
    let entry = |bytes: &Vec<u8>| SegmentEntry {
        len: u32::try_from(bytes.len()).unwrap(),
        hash: ContentHash::of(bytes),
        start_pts: Some(Pts(0)),
        duration: Ticks90k(90_000),
        wall_offset_ms: 0,
        keyframe: true,
        damaged: false,
    };
    let manifest = Manifest {
        device: "bus".parse().unwrap(),
        camera: "front".parse().unwrap(),
        pack: id,
        sealed_by: SealedBy::Device,
        start_wall: WallMs(0),
        start_mono_ms: 0,
        boot_id: [0; 16],
        previous,
        segments: segments.iter().map(entry).collect(),
    };
    let signed = SignedManifest::sign(manifest.clone(), &device_key()).unwrap();
    let about = PackEntry {
        file: format!("{PACKS}{}", id.file_name()),
        manifest: manifest.hash(),
        previous,
        sealed_by: "device".to_owned(),
        signed_by: device_key().public_key().to_string(),
        start: WallMs(0),
        duration_ms: 2000,
        segments: 2,
        stored_at: WallMs(0),
    };
    ([segments.concat(), trailer(&signed)].concat(), about)
}

/// The files of a bundle of two packs; `change` may lie in the report before it is signed.
fn files(change: impl FnOnce(&mut Evidence)) -> Vec<(String, Vec<u8>)> {
    let (first, first_entry) = pack(0, ContentHash::ZERO);
    let (second, second_entry) = pack(1, first_entry.manifest);
    let mut files = vec![
        (first_entry.file.clone(), first),
        (second_entry.file.clone(), second),
        ("clip.mp4".to_owned(), b"moving pictures".to_vec()),
    ];
    let mut report = Evidence {
        format: FORMAT.to_owned(),
        device: "bus".to_owned(),
        camera: "front".to_owned(),
        device_key: Some(device_key().public_key().to_string()),
        vault_key: vault_key().public_key().to_string(),
        made_at: WallMs(0),
        made_by: "eve".to_owned(),
        title: String::new(),
        note: String::new(),
        asked: Stretch { from: WallMs(0), to: WallMs(4000) },
        shown: Vec::new(),
        missing: Vec::new(),
        shown_ms: 4000,
        damaged_segments: 0,
        clip: "clip.mp4".to_owned(),
        files: Vec::new(),
        packs: vec![first_entry, second_entry],
    };
    files.push((REPORT_HTML.to_owned(), html(&report).into_bytes()));
    report.files = files
        .iter()
        .map(|(name, bytes)| FileEntry {
            name: name.clone(),
            bytes: bytes.len() as u64,
            blake3: ContentHash::of(bytes),
        })
        .collect();
    change(&mut report);
    let json = serde_json::to_vec(&report).unwrap();
    let sealed = seal(&json, &vault_key()).into_bytes();
    files.extend([(REPORT.to_owned(), json), (SIGNATURE.to_owned(), sealed)]);
    files
}

fn zipped(files: &[(String, Vec<u8>)]) -> Vec<u8> {
    let mut out = Vec::new();
    let mut entries = Vec::new();
    for (name, bytes) in files {
        let mut crc = Crc::new();
        crc.push(bytes);
        let entry = Entry { name: name.clone(), bytes: bytes.len() as u64, crc: crc.value() };
        out.extend(local_header(&entry));
        out.extend_from_slice(bytes);
        entries.push(entry);
    }
    out.extend(directory(&entries));
    out
}

fn checked_with(path: &Path, device_key: Option<&str>, vault_key: Option<&str>) -> Report {
    let bundle = Bundle {
        path: path.to_owned(),
        device_key: device_key.map(str::to_owned),
        vault_key: vault_key.map(str::to_owned),
    };
    let places = Places { spool: None, data: None, bundle: Some(bundle) };
    verify(&places, &mut Progress::silent()).unwrap()
}

fn checked(folder: &Path, files: &[(String, Vec<u8>)]) -> Report {
    let path = folder.join("bundle.zip");
    fs::write(&path, zipped(files)).unwrap();
    checked_with(&path, None, None)
}

#[test]
fn a_whole_bundle_is_sound_as_a_file_and_as_a_folder() {
    let folder = tempfile::tempdir().unwrap();
    let report = checked(folder.path(), &files(|_| {}));
    assert!(report.ok, "{report}");
    assert_eq!((report.packs, report.packs_sound), (2, 2));
    let unpacked = folder.path().join("unpacked");
    for (name, bytes) in files(|_| {}) {
        let path = unpacked.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }
    assert!(checked_with(&unpacked, None, None).ok);
    fs::write(unpacked.join("added.txt"), "x").unwrap();
    fs::remove_file(unpacked.join("clip.mp4")).unwrap();
    let report = checked_with(&unpacked, None, None).to_string();
    assert!(report.contains("added.txt: is in the bundle, and not in the report"), "{report}");
    assert!(report.contains("clip.mp4: is in the report, and not in the bundle"), "{report}");
}

#[test]
fn one_flipped_bit_anywhere_is_found_and_named() {
    let folder = tempfile::tempdir().unwrap();
    let (bytes, path) = (zipped(&files(|_| {})), folder.path().join("bundle.zip"));
    for at in 0..bytes.len() {
        let mut wrong = bytes.clone();
        wrong[at] ^= 1 << (at % 8);
        fs::write(&path, &wrong).unwrap();
        let report = checked_with(&path, None, None);
        assert!(!report.ok && !report.wrong.is_empty(), "byte {at}");
    }
    let in_pack = local_header(&Entry { name: files(|_| {})[0].0.clone(), bytes: 0, crc: 0 }).len() + 188;
    let mut wrong = bytes;
    wrong[in_pack] ^= 1;
    fs::write(&path, &wrong).unwrap();
    let report = checked_with(&path, None, None);
    assert_eq!(report.wrong.len(), 1, "{report}");
    assert_eq!(
        (report.wrong[0].segment, report.wrong[0].start, report.wrong[0].end),
        (Some(1), Some(188), Some(564))
    );
}

#[test]
fn the_keys_that_somebody_knows_are_held_against_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("bundle.zip");
    fs::write(&path, zipped(&files(|_| {}))).unwrap();
    let (device, vault) = (device_key().public_key(), vault_key().public_key());
    assert!(checked_with(&path, Some(&device.fingerprint()), Some(&vault.to_string())).ok);
    assert!(!checked_with(&path, Some(&vault.fingerprint()), None).ok);
    assert!(!checked_with(&path, None, Some(&device.to_string())).ok);
}

#[test]
fn a_report_that_says_something_else_than_its_packs_is_wrong_even_when_signed() {
    type Lie = fn(&mut Evidence);
    let folder = tempfile::tempdir().unwrap();
    let lies: [(&str, Lie); 6] = [
        ("another device", |report| report.device = "truck".to_owned()),
        ("another device's key", |report| report.device_key = Some(vault_key().public_key().to_string())),
        ("another vault's key", |report| report.vault_key = device_key().public_key().to_string()),
        ("another manifest", |report| report.packs[0].manifest = ContentHash::ZERO),
        ("another signer", |report| report.packs[1].signed_by = vault_key().public_key().to_string()),
        ("a pack that is no file", |report| report.packs[1].file = "packs/x.ts".to_owned()),
    ];
    for (what, lie) in lies {
        assert!(!checked(folder.path(), &files(lie)).ok, "{what}");
    }
    let mut without: Vec<_> = files(|_| {});
    without.remove(0);
    assert!(!checked(folder.path(), &without).ok);
}
