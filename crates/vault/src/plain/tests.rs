//! What `plain` promises, case by case.

use std::{collections::BTreeMap, path::Path};

use dashvault_media::{VerifyOptions, verify_pack};
use dashvault_testkit::disk::CrashDisk;

use super::*;
use crate::assembler::{
    finish::FinishError,
    model::{MemoryIndex, archive, footage},
};

fn layout() -> Layout {
    Layout::new(Path::new("/data"))
}

fn key() -> Arc<SigningKey> {
    Arc::new(SigningKey::from_seed([9; 32]))
}

fn recording() -> RecordingId {
    "20261122-101500".parse().unwrap()
}

fn load(archive: &Archive) -> PlainCamera {
    let limits = PackLimits { target_90k: 3 * 90_000, ..PackLimits::default() };
    let (device, camera) = ("bus".parse().unwrap(), "main".parse().unwrap());
    PlainCamera::load(archive.clone(), layout(), key(), limits, device, camera).unwrap()
}

/// Streams all of it; gives how many bytes of ended segments were synced before the disk failed.
fn stream(archive: &Archive, bytes: &[u8]) -> (u64, Result<(), PlainError>) {
    let limits = PackLimits { target_90k: 3 * 90_000, ..PackLimits::default() };
    let (device, camera) = ("bus".parse().unwrap(), "main".parse().unwrap());
    let mut synced = 0;
    let run = || -> Result<(), PlainError> {
        let mut plain = PlainCamera::load(archive.clone(), layout(), key(), limits, device, camera)?;
        let mut outcome = PlainOutcome::default();
        plain.begin(1, recording(), Timing::Arrival, &mut outcome)?;
        for piece in bytes.chunks(1316) {
            let fed = plain.data(1, piece, &mut outcome);
            synced += outcome.segments.drain(..).sum::<u64>();
            for job in outcome.complete.drain(..) {
                // What cannot be made durable now stays open, and counts as such.
                let _ = archive.finish(&job);
            }
            fed?;
        }
        plain.end(1, &mut outcome)?;
        synced += outcome.segments.drain(..).sum::<u64>();
        for job in outcome.complete.drain(..) {
            let _ = archive.finish(&job);
        }
        Ok(())
    };
    let result = run();
    (synced, result)
}

/// The bodies of all objects, one after the other.
fn stored(archive: &Archive) -> Vec<u8> {
    let mut found = BTreeMap::new();
    archive
        .objects
        .walk(&mut |recording| {
            for (pack, _) in recording.objects {
                let (device, camera) = (recording.device.clone(), recording.camera.clone());
                found.insert(pack.number, ObjectKey { device, camera, pack });
            }
        })
        .unwrap();
    let mut all: Vec<u8> = Vec::new();
    let mut previous = ContentHash::ZERO;
    for key in found.values() {
        let object = archive.objects.open(key).unwrap();
        let mut bytes = vec![0; object.len() as usize];
        assert_eq!(object.read_at(&mut bytes, 0).unwrap(), bytes.len());
        let options = VerifyOptions { previous: Some(previous), ..VerifyOptions::default() };
        let report = verify_pack(&mut std::io::Cursor::new(&bytes), &options).unwrap();
        previous = report.manifest_hash;
        bytes.truncate(report.body_len as usize);
        all.extend(bytes);
    }
    all
}

fn body() -> Vec<u8> {
    footage(4, 7).into_iter().flat_map(|(_, bytes)| bytes).collect()
}

#[test]
fn a_plain_stream_becomes_a_chain_of_signed_packs() {
    let (disk, index) = (CrashDisk::new(), MemoryIndex::default());
    let archive = archive(&disk, &index).unwrap();
    let bytes = body();
    let (synced, result) = stream(&archive, &bytes);
    result.unwrap();
    assert_eq!(synced, bytes.len() as u64);
    assert!(stored(&archive) == bytes);
    assert_eq!(archive.disk.list(&layout().plain_root().join("bus/main")).unwrap(), []);
}

#[test]
fn at_every_crash_point_the_ended_segments_survive() {
    let operations = {
        let disk = CrashDisk::new();
        let archive = archive(&disk, &MemoryIndex::default()).unwrap();
        let _ = stream(&archive, &body());
        disk.operations()
    };
    for crash_at in 1..=operations {
        for seed in 0..3 {
            let (disk, index) = (CrashDisk::new(), MemoryIndex::default());
            disk.crash_at(crash_at);
            let Ok(before) = archive(&disk, &index) else { continue };
            let (synced, _) = stream(&before, &body());
            disk.restart(seed);
            let archive = archive(&disk, &index).unwrap();
            let known = archive.adopt_all_for_test();
            let recovered = recover(&archive, &layout(), &key()).unwrap();
            assert_eq!(recovered.failed, 0, "crash at {crash_at}, seed {seed}, {known} adopted");
            let kept = stored(&archive);
            let place = format!("crash at {crash_at}, seed {seed}, {synced} synced, {} kept", kept.len());
            assert!(body().starts_with(&kept), "{place}: other bytes");
            assert!(kept.len() as u64 >= synced, "{place}: ended segments are lost");
            // A publisher that comes back goes on behind them.
            let mut plain = load(&archive);
            plain.begin(2, recording(), Timing::Arrival, &mut PlainOutcome::default()).unwrap();
        }
    }
}

#[test]
fn a_lost_packet_damages_one_segment_and_is_noted() {
    let (disk, index) = (CrashDisk::new(), MemoryIndex::default());
    let archive = archive(&disk, &index).unwrap();
    let mut plain = load(&archive);
    let mut outcome = PlainOutcome::default();
    plain.begin(1, recording(), Timing::Arrival, &mut outcome).unwrap();
    let segments = footage(5, 4);
    let (first, second) = (&segments[0].1, &segments[1].1);
    plain.data(1, first, &mut outcome).unwrap();
    plain.data(1, &second[..188 * 20], &mut outcome).unwrap();
    plain.lost(1, 1);
    plain.data(1, &second[188 * 27..], &mut outcome).unwrap();
    plain.data(1, &segments[2].1, &mut outcome).unwrap();
    plain.end(1, &mut outcome).unwrap();
    assert_eq!(outcome.losses.len(), 1);
    let loss = &outcome.losses[0];
    assert_eq!((loss.cause, loss.bytes, loss.lost_ms), (LossCause::Network, 1316, 1000));
    let manifest = outcome.complete[0].signed.manifest();
    let damaged: Vec<_> = manifest.segments.iter().map(|segment| segment.damaged).collect();
    assert_eq!(damaged, [false, true, false]);
}

#[test]
fn after_a_full_disk_every_pack_that_is_signed_verifies() {
    let bytes = body();
    for room in (0..6).map(|part| bytes.len() as u64 * part / 6 + 1000) {
        let (disk, index) = (CrashDisk::new(), MemoryIndex::default());
        let archive = archive(&disk, &index).unwrap();
        let mut plain = load(&archive);
        let mut outcome = PlainOutcome::default();
        plain.begin(1, recording(), Timing::Arrival, &mut outcome).unwrap();
        disk.set_capacity(Some(room));
        let failed = bytes.chunks(1316).find_map(|piece| plain.data(1, piece, &mut outcome).err());
        assert!(failed.is_some(), "{room} bytes are too few");
        disk.set_capacity(None);
        let _ = plain.end(1, &mut outcome);
        outcome.complete.iter().for_each(|job| drop(archive.finish(job).unwrap()));
        let kept = stored(&archive);
        assert_eq!(kept.len() as u64, outcome.segments.iter().sum::<u64>(), "room for {room}");
        assert!(bytes.starts_with(&kept), "room for {room}");
        let lost = outcome.losses.iter().filter(|loss| loss.cause == LossCause::DiskFull).count();
        assert!(lost <= 1, "room for {room}: {lost} losses");
    }
}

#[test]
fn after_a_failed_sync_the_bytes_are_checked_and_written_again() {
    let (disk, index) = (CrashDisk::new(), MemoryIndex::default());
    let archive = archive(&disk, &index).unwrap();
    let mut plain = load(&archive);
    let mut outcome = PlainOutcome::default();
    plain.begin(1, recording(), Timing::Arrival, &mut outcome).unwrap();
    plain.data(1, &body(), &mut outcome).unwrap();
    plain.end(1, &mut outcome).unwrap();
    let job = FinishJob { in_doubt: true, ..outcome.complete.remove(0) };
    // The first sync comes after: cut, write the body again, write the trailer.
    disk.fail_at(4, std::io::ErrorKind::Other);
    let failed = archive.finish(&job).unwrap_err();
    assert!(failed.is_in_doubt(), "{failed:?}");

    let file = archive.disk.open(&job.from, OpenMode::Write).unwrap();
    let mut byte = [0];
    file.read_exact_at(&mut byte, 1000).unwrap();
    file.write_all_at(&[!byte[0]], 1000).unwrap();
    let rotted = archive.finish(&job).unwrap_err();
    assert!(matches!(rotted, FinishError::Rotted { segment: 0, .. }), "{rotted:?}");
    assert_eq!(archive.objects.stat(&job.key).unwrap(), None);

    file.write_all_at(&byte, 1000).unwrap();
    archive.finish(&job).unwrap();
    assert!(body().starts_with(&stored(&archive)));
}
