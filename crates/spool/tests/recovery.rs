//! What recovery makes of particular left-overs: a torn trailer, an empty pack, an unfinished segment, foreign files.

#![allow(clippy::unwrap_used)]

mod support;

use dashvault_base::{CameraName, LossCause};
use dashvault_disk::Disk;
use dashvault_media::{SealedBy, SegmentEntry};
use dashvault_spool::{CameraRecovery, Folder, OnFull, SegmentOutcome, SpoolConfig};
use dashvault_testkit::{
    disk::CrashDisk,
    ts::{TsProfile, TsSource, WRAP_90K},
};
use support::*;

fn front() -> CameraName {
    camera("front")
}

/// A killed recorder's disk: pack 0 sealed, pack 1 with `segments` ended and then `tail` bytes.
fn killed(footage: &Footage, segments: usize, tail: &[u8]) -> CrashDisk {
    let disk = CrashDisk::new();
    let (spool, _) = open(&disk, SpoolConfig::default()).unwrap();
    let mut writer = spool.camera(&front()).unwrap();
    write_pack(&mut writer, footage, pack(0), 0, 2).unwrap();
    writer.start_pack(start(pack(1))).unwrap();
    for index in 2..2 + segments {
        write_segment(&mut writer, footage, 2, index).unwrap();
    }
    writer.append(tail).unwrap();
    disk.kill();
    disk
}

fn recover(disk: &CrashDisk) -> CameraRecovery {
    let (_, mut report) = open(disk, SpoolConfig::default()).unwrap();
    report.cameras.remove(&front()).unwrap()
}

fn segments(disk: &CrashDisk, folder: Folder, number: u32) -> Vec<SegmentEntry> {
    let path = layout().pack(&front(), folder, pack(number));
    verify(disk, &path, pack(number)).signed.into_manifest().segments
}

#[test]
fn a_whole_unfinished_segment_is_kept_as_the_last_one() {
    let footage = Footage::seconds(8, 1);
    let disk = killed(&footage, 2, &footage.segments[4].1);
    let report = recover(&disk);
    assert_eq!((report.sealed[0].segments, report.sealed[0].unannounced), (3, 1));
    let kept = segments(&disk, Folder::Pending, 1);
    assert_eq!(kept[..2], [footage.entry(2, 2), footage.entry(2, 3)]);
    let (expected, last) = (footage.entry(2, 4), kept[2]);
    assert_eq!((last.hash, last.start_pts, last.wall_offset_ms), (expected.hash, expected.start_pts, 2000));
    assert!(last.damaged && last.keyframe, "it may be cut short");
}

#[test]
fn a_torn_packet_is_dropped_and_a_tail_without_a_keyframe_too() {
    let footage = Footage::seconds(8, 2);
    let whole = &footage.segments[4].1;
    let disk = killed(&footage, 2, &whole[..whole.len() - 100]);
    assert_eq!(recover(&disk).sealed[0].segments, 3);
    let kept: u32 = segments(&disk, Folder::Pending, 1)[2].len;
    assert!(kept as usize <= whole.len() - 188 && kept as usize >= whole.len() - 188 * 4, "{kept}");
    // PAT and PMT alone: whether a keyframe follows, nobody knows.
    let disk = killed(&footage, 2, &whole[..2 * 188]);
    let report = recover(&disk);
    assert_eq!((report.sealed[0].segments, report.sealed[0].dropped_bytes), (2, 2 * 188));
    assert_eq!(segments(&disk, Folder::Pending, 1), [footage.entry(2, 2), footage.entry(2, 3)]);
}

#[test]
fn what_is_dropped_of_the_tail_is_counted_as_lost_to_the_power_cut() {
    let footage = Footage::seconds(8, 3);
    let picture_only = &footage.segments[4].1[3 * 188 * 3..];
    let disk = killed(&footage, 2, &picture_only[..picture_only.len() / 188 * 188]);
    let (spool, report) = open(&disk, SpoolConfig::default()).unwrap();
    let sealed = &report.cameras[&front()].sealed[0];
    assert_eq!((sealed.segments, sealed.unannounced), (2, 0));
    let [loss] = &spool.losses()[..] else { panic!("one loss") };
    assert_eq!((loss.cause, loss.bytes), (LossCause::PowerCut, sealed.dropped_bytes));
    assert!((50..1000).contains(&loss.lost_ms), "{loss:?}");
    assert_eq!(loss.from, start(pack(1)).start_wall.plus_ms(2000));
}

#[test]
fn a_torn_trailer_is_written_again_and_nothing_is_lost() {
    let footage = Footage::seconds(8, 4);
    let sealed = {
        let disk = killed(&footage, 3, &[]);
        recover(&disk);
        read(&disk, &layout().pack(&front(), Folder::Pending, pack(1)))
    };
    let body: usize = footage.segments[2..5].iter().map(|(_, bytes)| bytes.len()).sum();
    for torn in body..=sealed.len() {
        let disk = killed(&footage, 3, &sealed[body..torn]);
        let (spool, report) = open(&disk, SpoolConfig::default()).unwrap();
        let recovered = &report.cameras[&front()].sealed[0];
        assert_eq!((recovered.segments, recovered.unannounced, recovered.dropped_bytes), (3, 0, 0), "{torn}");
        assert_eq!(read(&disk, &layout().pack(&front(), Folder::Pending, pack(1))), sealed, "{torn}");
        assert_eq!(spool.losses(), []);
    }
}

#[test]
fn an_open_pack_without_a_segment_is_deleted() {
    let footage = Footage::seconds(8, 5);
    for tail in [&[][..], &footage.segments[2].1[..188]] {
        let disk = killed(&footage, 0, tail);
        let report = recover(&disk);
        assert_eq!((report.emptied, report.sealed.len()), (vec![pack(1)], 0));
        assert_eq!(folder_of(&disk, &front(), pack(1)), []);
        assert!(!disk.exists(&layout().journal(&front(), pack(1))).unwrap());
    }
}

#[test]
fn without_its_journal_a_pack_is_cut_anew_and_takes_its_times_from_the_pack_before() {
    let footage = Footage::seconds(8, 6);
    let disk = killed(&footage, 3, &[]);
    disk.remove_durably(&layout().journal(&front(), pack(1))).unwrap();
    let (_, report) = open(&disk, SpoolConfig::default()).unwrap();
    assert_eq!(report.cameras[&front()].sealed[0].segments, 3);
    let path = layout().pack(&front(), Folder::Pending, pack(1));
    let manifest = verify(&disk, &path, pack(1)).signed.into_manifest();
    assert_eq!(manifest.sealed_by, SealedBy::Recovery);
    assert_eq!(
        (manifest.start_wall, manifest.start_mono_ms),
        (start(pack(0)).start_wall.plus_ms(2000), 7000)
    );
    let before = verify(&disk, &layout().pack(&front(), Folder::Pending, pack(0)), pack(0));
    assert_eq!(manifest.previous, before.manifest_hash);
    let hashes: Vec<_> = manifest.segments.iter().map(|entry| entry.hash).collect();
    let expected: Vec<_> = footage.segments[2..5].iter().map(|(segment, _)| segment.hash).collect();
    assert_eq!(hashes, expected);
}

#[test]
fn a_pack_in_two_folders_is_settled_on_the_later_one() {
    let footage = Footage::seconds(8, 7);
    let disk = killed(&footage, 1, &[]);
    let pending = read(&disk, &layout().pack(&front(), Folder::Pending, pack(0)));
    write_file(&disk, &layout().pack(&front(), Folder::Stored, pack(0)), &pending);
    write_file(&disk, &layout().pack(&front(), Folder::Open, pack(0)), &pending[..188]);
    let mut report = recover(&disk);
    report.duplicates.dedup();
    assert_eq!(report.duplicates, [pack(0)]);
    assert_eq!(folder_of(&disk, &front(), pack(0)), [Folder::Stored]);
    assert_eq!(segments(&disk, Folder::Stored, 0).len(), 2);
}

#[test]
fn a_copy_in_stored_with_other_bytes_does_not_cost_the_pending_pack() {
    let footage = Footage::seconds(8, 8);
    let disk = killed(&footage, 1, &[]);
    write_file(&disk, &layout().pack(&front(), Folder::Stored, pack(0)), b"not it");
    assert_eq!(recover(&disk).duplicates, [pack(0)]);
    assert_eq!(folder_of(&disk, &front(), pack(0)), [Folder::Pending]);
}

#[test]
fn foreign_files_are_left_alone_and_scraps_removed() {
    let footage = Footage::seconds(8, 9);
    let disk = killed(&footage, 1, &[]);
    let foreign =
        ["front/pending/holiday.mp4", "front/open/notes.txt", "front/losses/x.json", "front/locked/why"];
    for name in foreign {
        write_file(&disk, &root().join(name), b"mine");
    }
    disk.create_dir_all(&root().join("photos")).unwrap();
    write_file(&disk, &root().join("photos/a.jpg"), b"mine");
    let gone = [
        layout().journal(&front(), pack(5)),
        layout().receipt(&front(), pack(6)),
        layout().marker(&front(), pack(7)),
        root().join("front/pending/.x.tmp~"),
    ];
    for path in &gone {
        write_file(&disk, path, b"scrap");
    }
    let (spool, report) = open(&disk, SpoolConfig::default()).unwrap();
    assert_eq!(report.cameras.keys().collect::<Vec<_>>(), [&front()]);
    assert_eq!(report.cameras[&front()].foreign, 3);
    assert!(foreign.iter().all(|name| read(&disk, &root().join(name)) == b"mine"));
    assert!(gone.iter().all(|path| !disk.exists(path).unwrap()));
    assert_eq!(spool.losses(), []);
}

#[test]
fn a_pending_pack_with_a_broken_trailer_is_cut_anew_from_its_bytes() {
    let footage = Footage::seconds(8, 10);
    let disk = killed(&footage, 1, &[]);
    let path = layout().pack(&front(), Folder::Pending, pack(0));
    let mut bytes = read(&disk, &path);
    let near_end = bytes.len() - 20;
    bytes[near_end] ^= 1;
    write_file(&disk, &path, &bytes);
    let report = recover(&disk);
    assert_eq!(report.unsound, [pack(0)]);
    let hashes: Vec<_> = segments(&disk, Folder::Pending, 0).iter().map(|entry| entry.hash).collect();
    assert_eq!(hashes, [footage.segments[0].0.hash, footage.segments[1].0.hash]);
}

#[test]
fn a_file_that_is_no_pack_though_named_as_one_is_renamed_and_kept() {
    let footage = Footage::seconds(8, 11);
    let disk = killed(&footage, 1, &[]);
    write_file(&disk, &layout().pack(&front(), Folder::Pending, pack(9)), b"my thesis");
    assert_eq!(recover(&disk).unsound, [pack(9)]);
    let kept = root().join("front/open/20261122-101500_00009.ts.unsound");
    assert_eq!(read(&disk, &kept), b"my thesis");
    assert_eq!(recover(&disk).foreign, 1);
}

#[test]
fn a_segment_whose_bytes_rotted_is_kept_and_marked() {
    let footage = Footage::seconds(8, 12);
    let disk = killed(&footage, 3, &[]);
    let path = layout().pack(&front(), Folder::Open, pack(1));
    let mut bytes = read(&disk, &path);
    bytes[300] ^= 0x40;
    write_file(&disk, &path, &bytes);
    assert_eq!(recover(&disk).sealed[0].damaged, [0]);
    let kept = segments(&disk, Folder::Pending, 1);
    assert!(kept[0].damaged && kept[0].hash != footage.segments[2].0.hash);
    assert_eq!(kept[1..], [footage.entry(2, 3), footage.entry(2, 4)]);
}

#[test]
fn the_times_of_a_tail_go_on_where_the_clock_wraps() {
    let profile = TsProfile {
        fps: 5,
        gop: 5,
        bitrate: 24_000,
        audio: false,
        start_pts: WRAP_90K - 150_000,
        ..TsProfile::default()
    };
    let footage = Footage::cut(&TsSource::stream(profile, 13, 8).bytes);
    // Segment 2 starts before 33 bits are full, segment 4 after.
    let disk = killed(&footage, 2, &footage.segments[4].1);
    recover(&disk);
    let kept = segments(&disk, Folder::Pending, 1);
    assert_eq!(kept[2].start_pts, footage.entry(2, 4).start_pts);
}

#[test]
fn a_pack_of_a_newer_version_is_not_touched() {
    let footage = Footage::seconds(8, 14);
    let disk = killed(&footage, 1, &[]);
    let path = layout().pack(&front(), Folder::Pending, pack(0));
    let mut bytes = read(&disk, &path);
    let version_at = bytes.len() - 188 + 13;
    bytes[version_at] = 9;
    write_file(&disk, &path, &bytes);
    assert_eq!(recover(&disk).unsound, []);
    assert_eq!(read(&disk, &path), bytes);
}

#[test]
fn whatever_the_stream_is_like_announced_segments_stay_and_the_tail_goes_on_from_them() {
    for seed in 0..30 {
        let profile = TsProfile { bitrate: 100_000, ..TsProfile::random(seed) };
        let mut rng = fastrand::Rng::with_seed(seed);
        let footage = Footage::cut(&TsSource::stream(profile.clone(), seed, 24).bytes);
        if footage.segments.len() < 6 {
            continue;
        }
        let next = &footage.segments[4].1;
        for cut in [next.len(), rng.usize(..next.len()), rng.usize(..next.len()), 188] {
            let disk = killed(&footage, 2, &next[..cut]);
            let sealed = recover(&disk).sealed.remove(0);
            let kept = segments(&disk, Folder::Pending, 1);
            assert_eq!(
                kept[..2],
                [footage.entry(2, 2), footage.entry(2, 3)],
                "seed {seed} cut {cut}: {profile:?}"
            );
            assert_eq!(kept.len(), 2 + sealed.unannounced);
            assert!(kept.len() <= 3, "seed {seed} cut {cut}");
            if cut == next.len() {
                let (last, expected) = (kept[2], footage.entry(2, 4));
                assert_eq!(
                    (last.hash, last.start_pts),
                    (expected.hash, expected.start_pts),
                    "seed {seed}: {profile:?}"
                );
            }
        }
    }
}

#[test]
fn a_journal_line_of_a_dropped_segment_does_not_claim_the_bytes_of_the_next() {
    let (disk, footage) = (CrashDisk::new(), Footage::seconds(8, 15));
    let config = SpoolConfig { on_full: OnFull::StopRecording, ..SpoolConfig::default() };
    let (spool, _) = open(&disk, config).unwrap();
    let mut writer = spool.camera(&front()).unwrap();
    writer.start_pack(start(pack(0))).unwrap();
    write_segment(&mut writer, &footage, 0, 0).unwrap();
    // Two writes of bytes, their sync, the line's write; then the line's sync finds no room.
    disk.fail_at(5, std::io::ErrorKind::StorageFull);
    let outcome = write_segment(&mut writer, &footage, 0, 1).unwrap();
    assert_eq!(outcome, SegmentOutcome::Dropped { cause: LossCause::DiskFull });
    writer.append(&footage.segments[2].1).unwrap();
    writer.append(&footage.segments[3].1).unwrap();
    disk.kill();
    let report = recover(&disk);
    assert_eq!((&report.sealed[0].damaged[..], report.sealed[0].unannounced > 0), (&[][..], true));
    let kept = segments(&disk, Folder::Pending, 0);
    assert_eq!((kept[0], kept[1].hash), (footage.entry(0, 0), footage.segments[2].0.hash));
}
