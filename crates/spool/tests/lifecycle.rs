//! A spool in daily use: packs move from `open` to `pending` to `stored`, are read while they do, and give way.

#![allow(clippy::unwrap_used)]

mod support;

use std::sync::Arc;

use dashvault_base::{ContentHash, LossCause, RecordingId, WallMs};
use dashvault_disk::{Disk, OsDisk};
use dashvault_spool::{
    Folder, LossReport, OnFull, SegmentOutcome, Spool, SpoolConfig, SpoolError, SpoolErrorKind, SpoolStatus,
};
use dashvault_testkit::disk::CrashDisk;
use support::*;

#[test]
fn a_pack_is_the_cameras_bytes_and_a_trailer_and_moves_on_with_its_receipt() {
    let (disk, footage, front) = (CrashDisk::new(), Footage::seconds(4, 1), camera("front"));
    let (spool, report) = open(&disk, SpoolConfig::default()).unwrap();
    assert!(report.is_clean() && report.cameras.is_empty());
    let mut writer = spool.camera(&front).unwrap();
    let sealed = write_pack(&mut writer, &footage, pack(0), 0, 3).unwrap();
    assert_eq!(folder_of(&disk, &front, pack(0)), [Folder::Pending]);
    let path = layout().pack(&front, Folder::Pending, pack(0));
    let report = verify(&disk, &path, pack(0));
    assert_eq!((report.signed, report.file_len), (sealed.signed.clone(), sealed.bytes));
    let body: Vec<u8> = footage.segments[..3].iter().flat_map(|(_, bytes)| bytes.clone()).collect();
    assert!(read(&disk, &path).starts_with(&body) && report.body_len == body.len() as u64);
    receipt(&spool, &front, &sealed).unwrap();
    receipt(&spool, &front, &sealed).unwrap();
    assert_eq!(folder_of(&disk, &front, pack(0)), [Folder::Stored]);
    assert_eq!(read(&disk, &layout().receipt(&front, pack(0))), b"receipt");
    assert_eq!(disk.files().len(), 4, "lock, reserve, pack, receipt: {:?}", disk.files());
}

#[test]
fn a_pack_that_the_vault_has_lost_is_pending_again_and_whole_wherever_the_power_fails() {
    let (start, footage, front) = (CrashDisk::new(), Footage::seconds(4, 1), camera("front"));
    let (spool, _) = open(&start, SpoolConfig::default()).unwrap();
    let mut writer = spool.camera(&front).unwrap();
    let sealed = write_pack(&mut writer, &footage, pack(0), 0, 3).unwrap();
    assert_eq!(spool.take_back(&front, pack(0)).unwrap(), None, "it is not stored");
    receipt(&spool, &front, &sealed).unwrap();
    drop((writer, spool));
    start.restart(0);
    let whole = start.fork();
    let take_back = |disk: &CrashDisk| -> Result<_, SpoolError> {
        open(disk, SpoolConfig::default())?.0.take_back(&front, pack(0))
    };
    assert_eq!(take_back(&whole).unwrap().unwrap().folder, Folder::Pending);
    let operations = whole.operations() - start.operations();
    for point in 1..=operations {
        for seed in 0..4 {
            let disk = start.fork();
            disk.crash_at(point);
            let _ = take_back(&disk);
            disk.restart(seed);
            let (spool, _) = open(&disk, SpoolConfig::default()).unwrap();
            let folders = folder_of(&disk, &front, pack(0));
            assert!(matches!(folders[..], [Folder::Stored | Folder::Pending]), "point {point}: {folders:?}");
            verify(&disk, &layout().pack(&front, folders[0], pack(0)), pack(0));
            // It is told again, and gets its receipt again.
            spool.take_back(&front, pack(0)).unwrap();
            assert_eq!(folder_of(&disk, &front, pack(0)), [Folder::Pending]);
            receipt(&spool, &front, &sealed).unwrap();
            assert_eq!(folder_of(&disk, &front, pack(0)), [Folder::Stored]);
        }
    }
}

#[test]
fn readers_see_only_durable_segments_and_go_on_through_sealing_and_eviction() {
    let (disk, footage, front) = (CrashDisk::new(), Footage::seconds(8, 2), camera("front"));
    let config = SpoolConfig { quota_bytes: Some(1), ..SpoolConfig::default() };
    let (spool, _) = open(&disk, config).unwrap();
    let mut writer = spool.camera(&front).unwrap();
    writer.start_pack(start(pack(0))).unwrap();
    write_segment(&mut writer, &footage, 0, 0).unwrap();
    writer.append(&footage.segments[1].1).unwrap();
    let reader = spool.reader(&front, pack(0)).unwrap();
    let first = &footage.segments[0].1;
    let mut bytes = vec![0; first.len() + 1];
    assert_eq!(reader.readable_bytes(), first.len() as u64);
    assert_eq!(reader.read_at(&mut bytes, 0).unwrap(), first.len());
    assert!(reader.read_exact_at(&mut bytes, 0).is_err());
    assert!(matches!(spool.manifest(&front, pack(0)), Err(SpoolError::WrongState { .. })));
    writer.end_segment(&footage.entry(0, 1)).unwrap();
    let sealed = writer.seal().unwrap().unwrap();
    assert_eq!(reader.readable_bytes(), sealed.bytes);
    assert_eq!(spool.manifest(&front, pack(0)).unwrap(), sealed.signed);
    receipt(&spool, &front, &sealed).unwrap();
    write_pack(&mut writer, &footage, pack(1), 2, 4).unwrap();
    spool.enforce_quota().unwrap();
    assert!(spool.pack(&front, pack(0)).is_none());
    reader.read_exact_at(&mut bytes, 0).unwrap();
    assert!(bytes.starts_with(first));
    assert!(matches!(spool.reader(&front, pack(0)), Err(SpoolError::NoSuchPack { .. })));
}

#[test]
fn a_receipt_for_other_content_moves_nothing() {
    let (disk, footage, front) = (CrashDisk::new(), Footage::seconds(4, 3), camera("front"));
    let (spool, _) = open(&disk, SpoolConfig::default()).unwrap();
    let mut writer = spool.camera(&front).unwrap();
    let sealed = write_pack(&mut writer, &footage, pack(0), 0, 2).unwrap();
    writer.start_pack(start(pack(1))).unwrap();
    let hash = sealed.signed.manifest().hash();
    let try_it = |pack, hash, bytes| spool.mark_stored(&front, pack, hash, bytes, b"r").unwrap_err().kind();
    assert_eq!(try_it(pack(0), ContentHash::ZERO, sealed.bytes), SpoolErrorKind::Stale);
    assert_eq!(try_it(pack(0), hash, sealed.bytes + 1), SpoolErrorKind::Stale);
    assert_eq!(try_it(pack(1), hash, sealed.bytes), SpoolErrorKind::Stale);
    assert_eq!(try_it(pack(2), hash, sealed.bytes), SpoolErrorKind::Stale);
    assert_eq!(folder_of(&disk, &front, pack(0)), [Folder::Pending]);
}

#[test]
fn packs_are_chained_over_restarts_recordings_and_evictions() {
    let (disk, footage, front) = (CrashDisk::new(), Footage::seconds(10, 4), camera("front"));
    let config = SpoolConfig { quota_bytes: Some(1), ..SpoolConfig::default() };
    let mut previous = ContentHash::ZERO;
    for number in 0..4u32 {
        let (spool, _) = open(&disk, config).unwrap();
        let mut writer = spool.camera(&front).unwrap();
        let recording = spool.next_recording_id(&front, WALL.plus_ms(i64::from(number) * 60_000)).unwrap();
        let id = dashvault_base::PackId { recording, number: 0 };
        let sealed = write_pack(&mut writer, &footage, id, 0, 1).unwrap();
        assert_eq!(sealed.signed.manifest().previous, previous);
        previous = sealed.signed.manifest().hash();
        receipt(&spool, &front, &sealed).unwrap();
        spool.enforce_quota().unwrap();
        assert_eq!(packs_on(&disk).len(), 1, "the chain's end stays");
    }
}

#[test]
fn a_recording_id_is_later_than_any_before_though_the_clock_was_set_back() {
    let (disk, footage, front) = (CrashDisk::new(), Footage::seconds(3, 5), camera("front"));
    let (spool, _) = open(&disk, SpoolConfig::default()).unwrap();
    let mut writer = spool.camera(&front).unwrap();
    assert_eq!(spool.next_recording_id(&front, WALL).unwrap(), pack(0).recording);
    assert_eq!(spool.next_recording_id(&front, WALL).unwrap(), pack(0).recording.next_second());
    write_pack(&mut writer, &footage, pack(0), 0, 1).unwrap();
    drop((writer, spool));
    let (spool, _) = open(&disk, SpoolConfig::default()).unwrap();
    assert_eq!(spool.next_recording_id(&front, WallMs(0)).unwrap(), RecordingId::at(WALL.plus_ms(2000)));
    assert_eq!(spool.next_recording_id(&camera("rear"), WallMs(0)).unwrap(), RecordingId::at(WallMs(0)));
    disk.restart(5);
    let (spool, _) = open(&disk, SpoolConfig::default()).unwrap();
    let id = spool.next_recording_id(&front, WallMs(0)).unwrap();
    assert_eq!(id, RecordingId::at(WALL.plus_ms(3000)), "also when no pack was written");
}

#[test]
fn locked_packs_stay_until_they_are_unlocked_also_over_a_restart() {
    let (disk, footage, front) = (CrashDisk::new(), Footage::seconds(8, 6), camera("front"));
    let config = SpoolConfig { quota_bytes: Some(1), ..SpoolConfig::default() };
    let (spool, _) = open(&disk, config).unwrap();
    let mut writer = spool.camera(&front).unwrap();
    writer.start_pack(start(pack(0))).unwrap();
    spool.lock(&front, pack(0), b"{\"event\":\"button\"}").unwrap();
    write_segment(&mut writer, &footage, 0, 0).unwrap();
    let sealed = writer.seal().unwrap().unwrap();
    receipt(&spool, &front, &sealed).unwrap();
    write_pack(&mut writer, &footage, pack(1), 1, 2).unwrap();
    let report = spool.enforce_quota().unwrap();
    assert!(report.evicted.is_empty() && report.refusing == Some(LossCause::Quota), "{report:?}");
    assert!(spool.lock(&front, pack(7), b"").is_err());
    drop((writer, spool));
    let (spool, _) = open(&disk, config).unwrap();
    assert!(spool.pack(&front, pack(0)).unwrap().locked);
    assert!(spool.enforce_quota().unwrap().evicted.is_empty());
    spool.unlock(&front, pack(0)).unwrap();
    spool.unlock(&front, pack(0)).unwrap();
    assert_eq!(spool.enforce_quota().unwrap().evicted.len(), 1);
    assert_eq!(spool.losses(), [], "the vault has it");
}

#[test]
fn an_unsent_pack_that_gives_way_is_counted_with_its_times_and_cause() {
    let (disk, footage, front) = (CrashDisk::new(), Footage::seconds(8, 7), camera("front"));
    let config = SpoolConfig { quota_bytes: Some(1), ..SpoolConfig::default() };
    let (spool, _) = open(&disk, config).unwrap();
    let mut writer = spool.camera(&front).unwrap();
    let lost = write_pack(&mut writer, &footage, pack(0), 0, 3).unwrap();
    write_pack(&mut writer, &footage, pack(1), 3, 4).unwrap();
    let report = spool.enforce_quota().unwrap();
    assert!(report.evicted.len() == 1 && !report.evicted[0].receipted, "{report:?}");
    let [loss] = &spool.losses()[..] else { panic!("one loss") };
    assert_eq!((loss.evicted, loss.cause, loss.lost_ms), (Some(pack(0)), LossCause::Quota, 3000));
    assert_eq!((loss.from, loss.to, loss.bytes), (WALL, WALL.plus_ms(3000), lost.bytes));
    let id = loss.id.clone();
    drop((writer, spool));
    let (spool, _) = open(&disk, config).unwrap();
    assert_eq!(spool.losses().len(), 1);
    spool.ack_loss(&front, &id).unwrap();
    spool.ack_loss(&front, &id).unwrap();
    drop(spool);
    assert_eq!(open(&disk, config).unwrap().0.losses(), []);
}

#[test]
fn where_recording_is_to_stop_segments_are_dropped_until_a_receipt_makes_room() {
    let (disk, footage, front) = (CrashDisk::new(), Footage::seconds(8, 8), camera("front"));
    let config =
        SpoolConfig { quota_bytes: Some(1), on_full: OnFull::StopRecording, ..SpoolConfig::default() };
    let (spool, _) = open(&disk, config).unwrap();
    let mut writer = spool.camera(&front).unwrap();
    let kept = write_pack(&mut writer, &footage, pack(0), 0, 1).unwrap();
    assert_eq!(spool.enforce_quota().unwrap().refusing, Some(LossCause::Quota));
    writer.start_pack(start(pack(1))).unwrap();
    for index in 1..3 {
        let outcome = write_segment(&mut writer, &footage, 1, index).unwrap();
        assert_eq!(outcome, SegmentOutcome::Dropped { cause: LossCause::Quota });
    }
    assert_eq!(spool.losses(), [], "it still grows");
    assert_eq!(writer.seal().unwrap(), None);
    let [loss] = &spool.losses()[..] else { panic!("one loss") };
    assert_eq!((loss.lost_ms, loss.cause), (2000, LossCause::Quota));
    assert_eq!(folder_of(&disk, &front, kept.pack), [Folder::Pending]);
    assert_eq!(folder_of(&disk, &front, pack(1)), []);
}

#[test]
fn losses_of_the_same_moment_have_names_of_their_own_that_an_announcement_may_carry() {
    let disk = CrashDisk::new();
    let (spool, _) = open(&disk, SpoolConfig::default()).unwrap();
    drop(spool.camera(&camera("front")).unwrap());
    let report = |cause| LossReport {
        camera: camera("front"),
        recording: None,
        from: WALL,
        to: WALL.plus_ms(-5),
        lost_ms: 10,
        bytes: 0,
        cause,
    };
    for cause in [LossCause::Camera, LossCause::Camera, LossCause::Overflow] {
        spool.record_loss(report(cause)).unwrap();
    }
    let losses = spool.losses();
    assert_eq!(losses.len(), 3);
    for loss in &losses {
        assert!(loss.id.len() <= 64 && loss.id.parse::<dashvault_base::DeviceId>().is_ok(), "{}", loss.id);
        assert!(loss.to >= loss.from);
    }
}

#[test]
fn a_spool_has_one_recorder_and_a_camera_one_writer() {
    let disk = CrashDisk::new();
    let (spool, _) = open(&disk, SpoolConfig::default()).unwrap();
    assert!(matches!(open(&disk, SpoolConfig::default()), Err(SpoolError::InUse { .. })));
    let writer = spool.camera(&camera("front")).unwrap();
    assert!(matches!(spool.camera(&camera("front")), Err(SpoolError::CameraTaken { .. })));
    drop(writer);
    spool.camera(&camera("front")).unwrap();
    drop(spool);
    open(&disk, SpoolConfig::default()).unwrap();
}

#[test]
fn a_caller_that_breaks_the_order_is_told_and_harms_nothing() {
    let (disk, footage, front) = (CrashDisk::new(), Footage::seconds(5, 9), camera("front"));
    let (spool, _) = open(&disk, SpoolConfig::default()).unwrap();
    let mut writer = spool.camera(&front).unwrap();
    assert!(matches!(writer.append(b""), Err(SpoolError::NoOpenPack { .. })));
    assert!(matches!(writer.seal(), Err(SpoolError::NoOpenPack { .. })));
    writer.start_pack(start(pack(0))).unwrap();
    assert!(matches!(writer.start_pack(start(pack(1))), Err(SpoolError::WrongState { .. })));
    writer.append(&footage.segments[0].1[188..]).unwrap();
    let wrong = writer.end_segment(&footage.entry(0, 0)).unwrap_err();
    assert_eq!(wrong.kind(), SpoolErrorKind::Caller);
    write_segment(&mut writer, &footage, 0, 0).unwrap();
    writer.append(&footage.segments[1].1).unwrap();
    let sealed = writer.seal().unwrap().unwrap();
    assert_eq!(sealed.signed.manifest().segments.len(), 1);
    verify(&disk, &layout().pack(&front, Folder::Pending, pack(0)), pack(0));
    assert!(matches!(writer.start_pack(start(pack(0))), Err(SpoolError::PackExists { .. })));
}

#[test]
fn the_status_counts_what_is_there_without_a_recorder() {
    let (disk, footage, front) = (CrashDisk::new(), Footage::seconds(8, 10), camera("front"));
    assert_eq!(SpoolStatus::scan(&disk, root()).unwrap(), SpoolStatus::default());
    let (spool, _) = open(&disk, SpoolConfig::default()).unwrap();
    let mut writer = spool.camera(&front).unwrap();
    let first = write_pack(&mut writer, &footage, pack(0), 0, 1).unwrap();
    let second = write_pack(&mut writer, &footage, pack(1), 1, 2).unwrap();
    receipt(&spool, &front, &first).unwrap();
    spool.lock(&front, pack(1), b"").unwrap();
    writer.start_pack(start(pack(2))).unwrap();
    write_segment(&mut writer, &footage, 2, 2).unwrap();
    let status = SpoolStatus::scan(&disk, root()).unwrap();
    let of_front = &status.cameras[&front];
    assert_eq!((of_front.stored.packs, of_front.stored.bytes), (1, first.bytes));
    assert_eq!((of_front.pending.oldest, of_front.pending.newest), (Some(pack(1)), Some(pack(1))));
    assert_eq!((of_front.pending.bytes, of_front.locked, of_front.open.packs), (second.bytes, 1, 1));
    assert_eq!(spool.used_bytes(), of_front.stored.bytes + of_front.pending.bytes + of_front.open.bytes);
    serde_json::to_string(&status).unwrap();
}

#[test]
fn it_works_on_the_real_disk_and_serves_several_threads() {
    let dir = tempfile::tempdir().unwrap();
    let footage = Arc::new(Footage::seconds(6, 12));
    let config = SpoolConfig { quota_bytes: Some(120_000), ..SpoolConfig::default() };
    let (spool, _) =
        Spool::open(Arc::new(OsDisk), dir.path(), "bus".parse().unwrap(), key(), config).unwrap();
    let writers = ["front", "rear"].map(|name| {
        let (spool, footage, name) = (spool.clone(), footage.clone(), camera(name));
        std::thread::spawn(move || {
            let mut writer = spool.camera(&name).unwrap();
            for number in 0..12 {
                write_pack(&mut writer, &footage, pack(number), 0, 3).unwrap();
            }
        })
    });
    while !writers.iter().all(std::thread::JoinHandle::is_finished) {
        for pending in spool.packs(Folder::Pending) {
            // It may be evicted meanwhile.
            let Ok(signed) = spool.manifest(&pending.camera, pending.pack) else { continue };
            let hash = signed.manifest().hash();
            let _ = spool.mark_stored(&pending.camera, pending.pack, hash, pending.bytes, b"r");
        }
        spool.enforce_quota().unwrap();
    }
    writers.into_iter().for_each(|writer| writer.join().unwrap());
    let known = spool.packs(Folder::Pending).len() + spool.packs(Folder::Stored).len();
    drop(spool);
    let (spool, report) =
        Spool::open(Arc::new(OsDisk), dir.path(), "bus".parse().unwrap(), key(), config).unwrap();
    assert!(report.is_clean(), "{report:?}");
    assert_eq!(spool.packs(Folder::Pending).len() + spool.packs(Folder::Stored).len(), known);
    assert!(OsDisk.exists(&spool.layout().lock_file()).unwrap());
}
