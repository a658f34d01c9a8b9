//! Packs that were recorded without a token, or under another device, are brought by a recorder that has one: signed
//! again, with the same footage, in an unbroken chain; also if the power fails at any operation of it.

#![allow(clippy::unwrap_used)]

mod support;

use std::{collections::BTreeMap, sync::Arc};

use dashvault_base::{CameraName, ContentHash, DeviceId};
use dashvault_disk::{Disk, DiskReader, OpenMode};
use dashvault_media::{Manifest, PublicKey, SealedBy, SigningKey, VerifyOptions, verify_pack};
use dashvault_spool::{Folder, RecoveryReport, Spool, SpoolConfig, SpoolError};
use dashvault_testkit::disk::CrashDisk;

use support::{Footage, camera, everything, layout, pack, packs_on, read, receipt, root, write_segment};

const PER_PACK: usize = 2;

/// Who opens a spool.
#[derive(Clone, Copy)]
struct Owner {
    device: &'static str,
    seed: u8,
}

/// The recorder without a token, the device it becomes, and a third one.
const NOBODY: Owner = Owner { device: "recorder", seed: 1 };
const BUS: Owner = Owner { device: "bus", seed: 2 };
const TRAM: Owner = Owner { device: "tram-of-the-other-depot", seed: 3 };

impl Owner {
    fn key(self) -> SigningKey {
        SigningKey::from_seed([self.seed; 32])
    }

    fn id(self) -> DeviceId {
        self.device.parse().unwrap()
    }

    fn open(self, disk: &CrashDisk) -> Result<(Spool, RecoveryReport), SpoolError> {
        Spool::open(Arc::new(disk.clone()), root(), self.id(), self.key(), SpoolConfig::default())
    }

    fn adopt(self, disk: &CrashDisk, from: &[Self]) -> Result<(Spool, RecoveryReport), SpoolError> {
        let from: Vec<DeviceId> = from.iter().map(|owner| owner.id()).collect();
        let disk = Arc::new(disk.clone());
        Spool::open_adopting(disk, root(), self.id(), self.key(), SpoolConfig::default(), &from)
    }
}

/// A camera's day without a token: pack 0 is stored, 1 and 2 are pending, 3 was open when the recorder was killed.
fn day(owner: Owner) -> (CrashDisk, Footage) {
    let (disk, footage) = (CrashDisk::new(), Footage::seconds(8, 11));
    disk.create_dir_all(root()).unwrap();
    let (spool, _) = owner.open(&disk).unwrap();
    let front = camera("front");
    let mut writer = spool.camera(&front).unwrap();
    for number in 0..4 {
        let first = number as usize * PER_PACK;
        writer.start_pack(support::start(pack(number))).unwrap();
        (first..first + PER_PACK).for_each(|index| {
            write_segment(&mut writer, &footage, first, index).unwrap();
        });
        if number < 3 {
            let sealed = writer.seal().unwrap().unwrap();
            if number == 0 {
                receipt(&spool, &front, &sealed).unwrap();
            }
        }
    }
    disk.kill();
    (disk, footage)
}

fn manifests(disk: &CrashDisk) -> BTreeMap<u32, (Folder, PublicKey, Manifest)> {
    let mut all = BTreeMap::new();
    for found in packs_on(disk) {
        let file = disk.open(&found.path, OpenMode::Read).unwrap();
        let options = VerifyOptions { pack: Some(found.pack), ..VerifyOptions::default() };
        let report = verify_pack(&mut DiskReader::new(file), &options).unwrap();
        let key = report.signed.public_key();
        let twice = all.insert(found.pack.number, (found.folder, key, report.signed.into_manifest()));
        assert!(twice.is_none(), "pack {} is in two folders", found.pack);
    }
    all
}

/// What holds once `owner` has everything.
fn check(disk: &CrashDisk, footage: &Footage, owner: Owner, first_owner: Owner, context: &str) {
    let all = manifests(disk);
    assert_eq!(all.len(), 4, "{context}");
    let mut previous = ContentHash::ZERO;
    for (number, (folder, key, manifest)) in &all {
        let whose = if *number == 0 { first_owner } else { owner };
        let expected = if *number == 0 { Folder::Stored } else { Folder::Pending };
        assert_eq!((*folder, *key), (expected, whose.key().public_key()), "{context}: {number}");
        assert_eq!(manifest.device, whose.id(), "{context}: {number}");
        assert_eq!(manifest.previous, previous, "{context}: chain is broken at {number}");
        let sealed_by = if *number == 3 { SealedBy::Recovery } else { SealedBy::Device };
        assert_eq!(manifest.sealed_by, sealed_by, "{context}: {number}");
        assert_eq!(manifest.start_wall, support::start(pack(*number)).start_wall, "{context}: {number}");
        let file = read(disk, &layout().pack(&camera("front"), *folder, pack(*number)));
        let first = *number as usize * PER_PACK;
        let len = usize::try_from(manifest.body_len()).unwrap();
        assert_eq!(manifest.segments.len(), PER_PACK, "{context}: {number}");
        assert!(footage.bytes_from(first).starts_with(&file[..len]), "{context}: {number} is other footage");
        previous = manifest.hash();
    }
    let scraps = disk.files().into_iter().filter(|path| {
        let name = path.file_name().unwrap().to_string_lossy();
        name.contains("tmp~") || name == "relinked"
    });
    assert_eq!(scraps.count(), 0, "{context}");
}

fn one(report: &RecoveryReport) -> &dashvault_spool::CameraRecovery {
    &report.cameras[&camera("front")]
}

#[test]
fn packs_recorded_without_a_token_are_signed_again_and_the_rest_is_left_alone() {
    let (disk, footage) = day(NOBODY);
    let stored = read(&disk, &layout().pack(&camera("front"), Folder::Stored, pack(0)));
    let (spool, report) = BUS.adopt(&disk, &[NOBODY]).unwrap();
    assert_eq!((&one(&report).adopted, one(&report).sealed.len()), (&vec![pack(1), pack(2)], 1));
    for info in spool.packs(Folder::Pending) {
        let len = disk.len(&layout().pack(&info.camera, Folder::Pending, info.pack)).unwrap();
        assert_eq!(info.bytes, len, "the shelf knows the new length");
    }
    check(&disk, &footage, BUS, NOBODY, "adopted");
    assert_eq!(read(&disk, &layout().pack(&camera("front"), Folder::Stored, pack(0))), stored);
    // The next pack goes on in the chain.
    let mut writer = spool.camera(&camera("front")).unwrap();
    let next = support::write_pack(&mut writer, &footage, pack(4), 6, 8).unwrap();
    assert_eq!(next.signed.manifest().previous, manifests(&disk)[&3].2.hash());
    drop((writer, spool));
    let before = everything(&disk);
    let (_spool, report) = BUS.adopt(&disk, &[NOBODY]).unwrap();
    assert!(report.is_clean(), "{report:?}");
    assert_eq!(everything(&disk), before, "there is nothing to adopt twice");
}

#[test]
fn the_same_device_with_another_token_keeps_every_manifest() {
    let (disk, footage) = day(NOBODY);
    let hashes = |disk: &CrashDisk| -> Vec<_> {
        manifests(disk).values().filter(|(_, _, it)| it.pack.number < 3).map(|(_, _, it)| it.hash()).collect()
    };
    let owner = Owner { seed: 9, ..NOBODY };
    NOBODY.open(&disk).map(drop).unwrap();
    let before = hashes(&disk);
    owner.adopt(&disk, &[]).map(drop).unwrap();
    check(&disk, &footage, owner, NOBODY, "signed again");
    assert_eq!(hashes(&disk), before);
}

#[test]
fn packs_of_a_device_that_is_not_named_are_left_alone_and_counted() {
    let (disk, _) = day(TRAM);
    let (_spool, report) = BUS.adopt(&disk, &[NOBODY]).unwrap();
    assert_eq!(one(&report).of_others, BTreeMap::from([(TRAM.id(), 2)]));
    assert_eq!(one(&report).adopted, []);
    assert_eq!(manifests(&disk)[&1].2.device, TRAM.id());
}

#[test]
fn a_recorder_without_a_token_signs_nothing_again() {
    let (disk, _) = day(BUS);
    NOBODY.open(&disk).map(drop).unwrap();
    assert_eq!(manifests(&disk)[&1].1, BUS.key().public_key());
}

#[test]
fn a_pack_that_is_not_what_was_signed_is_not_vouched_for() {
    let (disk, _) = day(NOBODY);
    let path = layout().pack(&camera("front"), Folder::Pending, pack(1));
    let mut bytes = read(&disk, &path);
    bytes[400] ^= 1;
    support::write_file(&disk, &path, &bytes);
    let (_spool, report) = BUS.adopt(&disk, &[NOBODY]).unwrap();
    assert_eq!((&one(&report).adopted, &one(&report).unadopted), (&vec![pack(2)], &vec![pack(1)]));
    assert_eq!(read(&disk, &path), bytes);
}

#[test]
fn without_room_for_a_copy_the_packs_stay_and_are_adopted_at_a_later_start() {
    let (disk, footage) = day(NOBODY);
    NOBODY.open(&disk).map(drop).unwrap();
    let used: u64 = disk.files().iter().map(|path| disk.len(path).unwrap()).sum();
    disk.set_capacity(Some(used + 4096));
    let (spool, report) = BUS.adopt(&disk, &[NOBODY]).unwrap();
    assert_eq!(one(&report).unadopted.len(), 3, "{report:?}");
    assert_eq!(manifests(&disk).len(), 4);
    drop(spool);
    disk.set_capacity(None);
    BUS.adopt(&disk, &[NOBODY]).map(drop).unwrap();
    check(&disk, &footage, BUS, NOBODY, "with room");
}

/// Runs `work` on what `start` gives, with the power failing, or the process killed, at each operation; `then` goes on.
fn at_every_crash(
    start: &CrashDisk,
    work: impl Fn(&CrashDisk) -> Result<(), SpoolError>,
    then: impl Fn(&CrashDisk, &str),
) {
    let whole = start.fork();
    work(&whole).unwrap();
    let operations = whole.operations() - start.operations();
    assert!(operations > 20, "too few crash points: {operations}");
    for point in 1..=operations {
        for seed in 0..4 {
            let disk = start.fork();
            disk.crash_at(point);
            let _ = work(&disk);
            assert!(disk.is_crashed());
            if seed == 0 {
                disk.kill()
            } else {
                disk.restart(seed)
            }
            then(&disk, &format!("point {point} seed {seed}"));
        }
    }
}

fn settled(owner: Owner) -> (CrashDisk, Footage) {
    let (disk, footage) = day(owner);
    disk.restart(0);
    (disk, footage)
}

#[test]
fn a_power_cut_at_any_operation_leaves_every_pack_whole_and_the_next_start_adopts_the_rest() {
    let (start, footage) = settled(NOBODY);
    at_every_crash(
        &start,
        |disk| BUS.adopt(disk, &[NOBODY]).map(drop),
        |disk, context| {
            // Whatever the moment, pending packs verify as they are; then the next start goes on.
            let again = disk.fork();
            NOBODY.open(&again).map(drop).unwrap();
            assert_eq!(manifests(&again).len(), 4, "{context}");
            BUS.adopt(disk, &[NOBODY]).map(drop).unwrap();
            check(disk, &footage, BUS, NOBODY, context);
            let before = everything(disk);
            let (_, report) = BUS.adopt(disk, &[NOBODY]).unwrap();
            assert!(report.is_clean(), "{context}: {report:?}");
            assert_eq!(everything(disk), before, "{context}: not idempotent");
        },
    );
}

#[test]
fn a_second_power_cut_while_the_rest_is_adopted_changes_nothing_of_that() {
    let (start, footage) = settled(NOBODY);
    at_every_crash(
        &start,
        |disk| BUS.adopt(disk, &[NOBODY]).map(drop),
        |once, context| {
            for again in 1.. {
                let disk = once.fork();
                disk.crash_at(again);
                if BUS.adopt(&disk, &[NOBODY]).is_ok() && !disk.is_crashed() {
                    break;
                }
                disk.restart(again);
                BUS.adopt(&disk, &[NOBODY]).map(drop).unwrap();
                check(&disk, &footage, BUS, NOBODY, &format!("{context} again {again}"));
            }
        },
    );
}

#[test]
fn another_device_may_take_over_after_an_adoption_was_cut_short() {
    let (start, footage) = settled(NOBODY);
    at_every_crash(
        &start,
        |disk| BUS.adopt(disk, &[NOBODY]).map(drop),
        |disk, context| {
            TRAM.adopt(disk, &[NOBODY, BUS]).map(drop).unwrap();
            check(disk, &footage, TRAM, NOBODY, context);
        },
    );
}

#[test]
fn every_camera_is_adopted_on_its_own() {
    let (disk, _) = day(NOBODY);
    let rear: CameraName = camera("rear");
    let (spool, _) = NOBODY.open(&disk).unwrap();
    let mut writer = spool.camera(&rear).unwrap();
    support::write_pack(&mut writer, &Footage::seconds(2, 12), pack(0), 0, 2).unwrap();
    drop((writer, spool));
    let (spool, report) = BUS.adopt(&disk, &[NOBODY]).unwrap();
    assert_eq!(report.cameras[&rear].adopted, [pack(0)]);
    assert_eq!(spool.manifest(&rear, pack(0)).unwrap().manifest().previous, ContentHash::ZERO);
}
