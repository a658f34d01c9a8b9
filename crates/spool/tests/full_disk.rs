//! A disk without room: recording goes on by policy, what is lost is counted, and what was durable stays.

#![allow(clippy::unwrap_used)]

mod support;

use std::io;

use dashvault_base::LossCause;
use dashvault_spool::{Folder, OnFull, SegmentOutcome, SpoolConfig, SpoolErrorKind};
use dashvault_testkit::disk::CrashDisk;
use support::*;

const STOP: SpoolConfig =
    SpoolConfig { quota_bytes: None, reserve_free_bytes: 0, on_full: OnFull::StopRecording };

fn used(disk: &CrashDisk) -> u64 {
    everything(disk).iter().map(|(_, bytes)| bytes.len() as u64).sum()
}

#[test]
fn a_segment_that_does_not_fit_is_dropped_whole_and_the_next_one_follows_it() {
    let (disk, footage, front) = (CrashDisk::new(), Footage::seconds(8, 1), camera("front"));
    let (spool, _) = open(&disk, STOP).unwrap();
    let mut writer = spool.camera(&front).unwrap();
    writer.start_pack(start(pack(0))).unwrap();
    write_segment(&mut writer, &footage, 0, 0).unwrap();
    disk.set_capacity(Some(used(&disk) + 700));
    for index in 1..3 {
        let outcome = write_segment(&mut writer, &footage, 0, index).unwrap();
        assert_eq!(outcome, SegmentOutcome::Dropped { cause: LossCause::DiskFull });
    }
    disk.set_capacity(None);
    let outcome = write_segment(&mut writer, &footage, 0, 3).unwrap();
    let offset = footage.segments[0].1.len() as u64;
    assert_eq!(outcome, SegmentOutcome::Durable { index: 1, offset });
    let sealed = writer.seal().unwrap().unwrap();
    assert_eq!(sealed.signed.manifest().segments, [footage.entry(0, 0), footage.entry(0, 3)]);
    verify(&disk, &layout().pack(&front, Folder::Pending, pack(0)), pack(0));
    let [loss] = &spool.losses()[..] else { panic!("one loss: {:?}", spool.losses()) };
    assert_eq!((loss.cause, loss.lost_ms), (LossCause::DiskFull, 2000));
    assert_eq!((loss.from, loss.to), (WALL.plus_ms(1000), WALL.plus_ms(3000)));
    let dropped: usize = footage.segments[1..3].iter().map(|(_, bytes)| bytes.len()).sum();
    assert_eq!(loss.bytes, dropped as u64);
    spool.enforce_quota().unwrap();
    drop((writer, spool));
    let (spool, report) = open(&disk, STOP).unwrap();
    assert!(report.is_clean() && spool.losses().len() == 1);
}

#[test]
fn a_full_disk_gives_up_what_the_vault_has_before_a_segment_is_dropped() {
    let (disk, footage, front) = (CrashDisk::new(), Footage::seconds(12, 2), camera("front"));
    let (spool, _) = open(&disk, STOP).unwrap();
    let mut writer = spool.camera(&front).unwrap();
    let stored = write_pack(&mut writer, &footage, pack(0), 0, 3).unwrap();
    receipt(&spool, &front, &stored).unwrap();
    write_pack(&mut writer, &footage, pack(1), 3, 4).unwrap();
    writer.start_pack(start(pack(2))).unwrap();
    disk.set_capacity(Some(used(&disk) + 100));
    let outcome = write_segment(&mut writer, &footage, 4, 4).unwrap();
    assert!(matches!(outcome, SegmentOutcome::Durable { .. }), "{outcome:?}");
    assert_eq!(folder_of(&disk, &front, pack(0)), []);
    assert_eq!(folder_of(&disk, &front, pack(1)), [Folder::Pending]);
    assert_eq!(spool.losses(), []);
}

#[test]
fn by_policy_the_oldest_unsent_pack_gives_way_and_is_counted() {
    let (disk, footage, front) = (CrashDisk::new(), Footage::seconds(12, 3), camera("front"));
    let (spool, _) = open(&disk, SpoolConfig::default()).unwrap();
    let mut writer = spool.camera(&front).unwrap();
    for number in 0..2u32 {
        let first = number as usize * 3;
        write_pack(&mut writer, &footage, pack(number), first, first + 3).unwrap();
    }
    writer.start_pack(start(pack(2))).unwrap();
    disk.set_capacity(Some(used(&disk) + 100));
    let outcome = write_segment(&mut writer, &footage, 6, 6).unwrap();
    assert!(matches!(outcome, SegmentOutcome::Durable { .. }), "{outcome:?}");
    let [loss] = &spool.losses()[..] else { panic!("one loss") };
    assert_eq!((loss.evicted, loss.cause, loss.lost_ms), (Some(pack(0)), LossCause::DiskFull, 3000));
    disk.kill();
    assert_eq!(open(&disk, SpoolConfig::default()).unwrap().0.losses().len(), 1, "its file was written");
}

#[test]
fn a_pack_starts_without_a_file_and_gets_one_when_there_is_room() {
    let (disk, footage, front) = (CrashDisk::new(), Footage::seconds(8, 4), camera("front"));
    let (spool, _) = open(&disk, STOP).unwrap();
    let mut writer = spool.camera(&front).unwrap();
    disk.set_capacity(Some(0));
    writer.start_pack(start(pack(0))).unwrap();
    let outcome = write_segment(&mut writer, &footage, 0, 0).unwrap();
    assert_eq!(outcome, SegmentOutcome::Dropped { cause: LossCause::DiskFull });
    let [loss, lock] = &disk.files()[..] else { panic!("scraps: {:?}", disk.files()) };
    assert_eq!((loss.parent().unwrap(), lock), (&*layout().losses(&front), &layout().lock_file()));
    disk.set_capacity(None);
    assert!(matches!(write_segment(&mut writer, &footage, 0, 1).unwrap(), SegmentOutcome::Durable { .. }));
    assert_eq!(writer.seal().unwrap().unwrap().signed.manifest().segments, [footage.entry(0, 1)]);
    disk.set_capacity(Some(0));
    writer.start_pack(start(pack(1))).unwrap();
    write_segment(&mut writer, &footage, 2, 2).unwrap();
    assert_eq!(writer.seal().unwrap(), None);
    assert_eq!(spool.losses().len(), 2);
    disk.set_capacity(None);
    spool.enforce_quota().unwrap();
    disk.kill();
    assert_eq!(open(&disk, STOP).unwrap().0.losses().len(), 2, "written once there was room");
}

#[test]
fn sealing_without_room_can_be_tried_again_and_recovery_waits_for_room_too() {
    let (disk, footage, front) = (CrashDisk::new(), Footage::seconds(8, 5), camera("front"));
    let (spool, _) = open(&disk, STOP).unwrap();
    let mut writer = spool.camera(&front).unwrap();
    writer.start_pack(start(pack(0))).unwrap();
    write_segment(&mut writer, &footage, 0, 0).unwrap();
    disk.set_capacity(Some(used(&disk)));
    assert_eq!(writer.seal().unwrap_err().kind(), SpoolErrorKind::Full);
    assert_eq!(writer.open_pack(), Some(pack(0)));
    disk.kill();
    disk.set_capacity(Some(used(&disk)));
    let (spool, report) = open(&disk, STOP).unwrap();
    assert_eq!(report.cameras[&front].left_open, [pack(0)]);
    spool.enforce_quota().unwrap();
    assert_eq!(folder_of(&disk, &front, pack(0)), [Folder::Open]);
    disk.set_capacity(None);
    spool.enforce_quota().unwrap();
    assert_eq!(folder_of(&disk, &front, pack(0)), [Folder::Pending]);
    verify(&disk, &layout().pack(&front, Folder::Pending, pack(0)), pack(0));
    assert_eq!(spool.packs(Folder::Pending).len(), 1);
}

#[test]
fn the_reserve_is_left_free_and_without_it_new_segments_are_refused() {
    let (disk, footage, front) = (CrashDisk::new(), Footage::seconds(12, 6), camera("front"));
    let config = SpoolConfig { reserve_free_bytes: 10_000, ..STOP };
    let (spool, _) = open(&disk, config).unwrap();
    let mut writer = spool.camera(&front).unwrap();
    let stored = write_pack(&mut writer, &footage, pack(0), 0, 3).unwrap();
    write_pack(&mut writer, &footage, pack(1), 3, 4).unwrap();
    disk.set_capacity(Some(used(&disk) + 10_000 - 1));
    assert_eq!(spool.enforce_quota().unwrap().refusing, Some(LossCause::DiskFull));
    receipt(&spool, &front, &stored).unwrap();
    let report = spool.enforce_quota().unwrap();
    assert_eq!((report.evicted.len(), report.refusing), (1, None));
}

#[test]
fn a_full_disk_at_any_operation_loses_at_most_a_counted_segment() {
    let (footage, front) = (Footage::seconds(8, 7), camera("front"));
    for kind in [io::ErrorKind::StorageFull, io::ErrorKind::QuotaExceeded] {
        for point in 1.. {
            let disk = CrashDisk::new();
            let (spool, _) = open(&disk, STOP).unwrap();
            let mut writer = spool.camera(&front).unwrap();
            let before = disk.operations();
            disk.fail_at(point, kind);
            writer.start_pack(start(pack(0))).unwrap();
            let mut durable = Vec::new();
            for index in 0..3 {
                if let SegmentOutcome::Durable { .. } =
                    write_segment(&mut writer, &footage, 0, index).unwrap()
                {
                    durable.push(footage.entry(0, index));
                }
            }
            let sealed = writer.seal().or_else(|_| writer.seal()).unwrap().unwrap();
            let done = disk.operations() - before < point;
            assert_eq!(sealed.signed.manifest().segments, durable, "point {point}");
            verify(&disk, &layout().pack(&front, Folder::Pending, pack(0)), pack(0));
            let lost: u64 = spool.losses().iter().map(|loss| loss.lost_ms).sum();
            assert_eq!(lost, (3 - durable.len() as u64) * 1000, "point {point}");
            if done {
                assert_eq!(durable.len(), 3);
                break;
            }
        }
    }
}
