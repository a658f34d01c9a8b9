//! The model test: power fails, or the recorder is killed, at each possible operation of a day's work and of the
//! recovery after it; whatever the disk makes of what was not synced, every promise holds.
//!
//! Promises: a segment called durable is in its pack, with its hash, times and place; a sealed pack is pending or
//! stored, with its manifest; a pack without a receipt goes only when a loss says so; a locked pack stays; a reported
//! loss is listed. And always: every pack verifies and holds only what the camera gave, nothing is left in `open`,
//! the chain is unbroken, and recovery has nothing to do when it is run again.

#![allow(clippy::unwrap_used)]

mod support;

use std::collections::{BTreeMap, BTreeSet};

use dashvault_base::{CameraName, ContentHash, LossCause, PackId};
use dashvault_media::{Manifest, SegmentEntry};
use dashvault_spool::{Folder, LossReport, OnFull, SegmentOutcome, Spool, SpoolConfig, SpoolError};
use dashvault_testkit::disk::CrashDisk;
use support::*;

const SEGMENTS_PER_PACK: usize = 3;

/// What the spool has promised so far, and what it was asked to do (which may or may not have happened).
#[derive(Debug, Default)]
struct Promises {
    durable: Vec<(CameraName, PackId, SegmentEntry, u32)>,
    sealed: BTreeMap<(CameraName, PackId), ContentHash>,
    receipts_given: BTreeSet<(CameraName, PackId)>,
    stored: BTreeSet<(CameraName, PackId)>,
    locked: BTreeSet<(CameraName, PackId)>,
    losses: BTreeSet<String>,
    acks_given: BTreeSet<String>,
}

struct Model {
    footage: Footage,
    config: SpoolConfig,
}

impl Model {
    fn new(on_full: OnFull) -> Self {
        let footage = Footage::seconds(19, 11);
        let pack_bytes: usize =
            footage.segments[..SEGMENTS_PER_PACK].iter().map(|(_, bytes)| bytes.len()).sum();
        // Room for three packs and a bit.
        let quota_bytes = Some((pack_bytes as u64 + 752) * 7 / 2);
        Self { footage, config: SpoolConfig { quota_bytes, reserve_free_bytes: 0, on_full } }
    }

    /// A day's work; ends early when the disk fails. Promises are noted as they are made.
    fn work(&self, disk: &CrashDisk, promises: &mut Promises) -> Result<(), SpoolError> {
        let (spool, _) = open(disk, self.config)?;
        let front = camera("front");
        let mut writer = spool.camera(&front)?;
        for number in 0..6u32 {
            let first = number as usize * SEGMENTS_PER_PACK;
            writer.start_pack(start(pack(number)))?;
            for index in first..first + SEGMENTS_PER_PACK {
                let outcome = write_segment(&mut writer, &self.footage, first, index)?;
                if let SegmentOutcome::Durable { index: place, .. } = outcome {
                    let entry = self.footage.entry(first, index);
                    promises.durable.push((front.clone(), pack(number), entry, place));
                }
            }
            let Some(sealed) = writer.seal()? else { continue };
            let id = (front.clone(), sealed.pack);
            promises.sealed.insert(id.clone(), sealed.signed.manifest().hash());
            match number {
                0 => {
                    promises.receipts_given.insert(id.clone());
                    receipt(&spool, &front, &sealed)?;
                    promises.stored.insert(id);
                }
                1 => {
                    spool.lock(&front, sealed.pack, b"button")?;
                    promises.locked.insert(id);
                }
                2 => self.report_losses(&spool, promises)?,
                _ => {}
            }
            spool.enforce_quota()?;
        }
        Ok(())
    }

    fn report_losses(&self, spool: &Spool, promises: &mut Promises) -> Result<(), SpoolError> {
        let report = |from_ms| LossReport {
            camera: camera("front"),
            recording: Some(pack(0).recording),
            from: WALL.plus_ms(from_ms),
            to: WALL.plus_ms(from_ms + 500),
            lost_ms: 500,
            bytes: 0,
            cause: LossCause::Camera,
        };
        for from_ms in [0, 9000] {
            promises.losses.insert(spool.record_loss(report(from_ms))?);
        }
        let acknowledged = promises.losses.first().cloned().unwrap();
        promises.acks_given.insert(acknowledged.clone());
        spool.ack_loss(&camera("front"), &acknowledged)
    }

    fn check(&self, disk: &CrashDisk, spool: &Spool, promises: &Promises, context: &str) {
        let mut manifests: BTreeMap<(CameraName, PackId), Manifest> = BTreeMap::new();
        for on_disk in packs_on(disk) {
            assert_ne!(on_disk.folder, Folder::Open, "{context}: {on_disk:?}");
            let manifest = verify(disk, &on_disk.path, on_disk.pack).signed.into_manifest();
            let first = on_disk.pack.number as usize * SEGMENTS_PER_PACK;
            let (body, truth) = (read(disk, &on_disk.path), self.footage.bytes_from(first));
            let body = &body[..usize::try_from(manifest.body_len()).unwrap()];
            assert!(truth.starts_with(body), "{context}: {on_disk:?} holds what no camera gave");
            let known = spool.pack(&on_disk.camera, on_disk.pack).unwrap();
            assert_eq!((known.folder, known.bytes), (on_disk.folder, on_disk.bytes), "{context}");
            let twice = manifests.insert((on_disk.camera, on_disk.pack), manifest);
            assert!(twice.is_none(), "{context}: a pack in two folders");
        }
        let losses = spool.losses();
        let may_be_gone = |id: &(CameraName, PackId)| {
            let evicted = losses.iter().any(|loss| loss.camera == id.0 && loss.evicted == Some(id.1));
            promises.receipts_given.contains(id) || evicted
        };
        for (camera, pack) in manifests.keys() {
            let lost = losses.iter().any(|loss| loss.camera == *camera && loss.evicted == Some(*pack));
            assert!(!lost, "{context}: {pack} is here and lost");
        }
        for (camera, pack, entry, place) in &promises.durable {
            let id = (camera.clone(), *pack);
            match manifests.get(&id) {
                Some(manifest) => {
                    let found = manifest.segments.get(*place as usize);
                    assert_eq!(found, Some(entry), "{context}: {pack} segment {place}");
                    assert_eq!((manifest.start_wall, manifest.boot_id), (start(*pack).start_wall, [3; 16]));
                }
                None => assert!(may_be_gone(&id), "{context}: durable {pack} is gone"),
            }
        }
        for (id, hash) in &promises.sealed {
            if let Some(manifest) = manifests.get(id) {
                assert_eq!(manifest.hash(), *hash, "{context}: {} was sealed otherwise", id.1);
            }
        }
        for id in &promises.stored {
            assert!(spool.pack(&id.0, id.1).is_none_or(|pack| pack.folder == Folder::Stored), "{context}");
        }
        for id in &promises.locked {
            assert!(spool.pack(&id.0, id.1).is_some_and(|pack| pack.locked), "{context}: {} unlocked", id.1);
        }
        let listed: BTreeSet<String> = losses.into_iter().map(|loss| loss.id).collect();
        for id in promises.losses.difference(&promises.acks_given) {
            assert!(listed.contains(id), "{context}: loss {id} forgotten");
        }
        for ((_, manifest), (id, next)) in manifests.iter().zip(manifests.iter().skip(1)) {
            if next.pack.number == manifest.pack.number + 1 {
                assert_eq!(next.previous, manifest.hash(), "{context}: chain broken at {}", id.1);
            }
        }
        if let Some((id, first)) = manifests.first_key_value().filter(|(id, _)| id.1.number == 0) {
            assert_eq!(first.previous, ContentHash::ZERO, "{context}: {}", id.1);
        }
    }

    /// Recovers, checks, and recovers once more, which must change nothing.
    fn recover_and_check(&self, disk: &CrashDisk, promises: &Promises, context: &str) {
        let (spool, _) = open(disk, self.config).unwrap_or_else(|error| panic!("{context}: {error:?}"));
        self.check(disk, &spool, promises, context);
        drop(spool);
        let before = everything(disk);
        let (spool, report) = open(disk, self.config).unwrap();
        assert!(report.is_clean(), "{context}: {report:?}");
        assert_eq!(everything(disk), before, "{context}: recovery is not idempotent");
        drop(spool);
    }

    /// How many operations the work has.
    fn operations(&self) -> u64 {
        let disk = CrashDisk::new();
        self.work(&disk, &mut Promises::default()).unwrap();
        disk.operations()
    }

    /// Works until the power fails at operation `point`.
    fn crashed_at(&self, point: u64) -> (CrashDisk, Promises) {
        let (disk, mut promises) = (CrashDisk::new(), Promises::default());
        disk.crash_at(point);
        // Not all failures are the caller's business: a scrap that cannot be removed is swept at the next start.
        let _ = self.work(&disk, &mut promises);
        assert!(disk.is_crashed());
        (disk, promises)
    }
}

#[test]
fn every_promise_outlives_a_power_cut_at_any_operation() {
    for on_full in [OnFull::EvictUnsent, OnFull::StopRecording] {
        let model = Model::new(on_full);
        for point in 1..=model.operations() {
            let (crashed, promises) = model.crashed_at(point);
            for seed in 0..5 {
                let disk = crashed.fork();
                disk.restart(seed);
                model.recover_and_check(&disk, &promises, &format!("{on_full:?} point {point} seed {seed}"));
            }
        }
    }
}

#[test]
fn every_promise_outlives_a_second_power_cut_during_recovery() {
    let model = Model::new(OnFull::EvictUnsent);
    for point in 1..=model.operations() {
        let (crashed, promises) = model.crashed_at(point);
        let once = crashed.fork();
        once.restart(point);
        for again in 1.. {
            let disk = once.fork();
            disk.crash_at(again);
            if open(&disk, model.config).is_ok() && !disk.is_crashed() {
                break;
            }
            disk.restart(point * 1000 + again);
            model.recover_and_check(&disk, &promises, &format!("point {point} again {again}"));
        }
    }
}

#[test]
fn every_promise_outlives_a_kill_at_any_operation() {
    let model = Model::new(OnFull::EvictUnsent);
    for point in 1..=model.operations() {
        let (disk, promises) = model.crashed_at(point);
        disk.kill();
        model.recover_and_check(&disk, &promises, &format!("killed at {point}"));
        // What a kill left in the page cache and recovery went by, a power cut right after it must not take away.
        let (disk, promises) = model.crashed_at(point);
        disk.kill();
        drop(open(&disk, model.config).unwrap());
        disk.restart(point);
        model.recover_and_check(&disk, &promises, &format!("killed at {point}, then power cut"));
    }
}

#[test]
fn the_work_takes_every_path_it_is_meant_to() {
    for on_full in [OnFull::EvictUnsent, OnFull::StopRecording] {
        let (model, disk, mut promises) = (Model::new(on_full), CrashDisk::new(), Promises::default());
        model.work(&disk, &mut promises).unwrap();
        let left = |number| folder_of(&disk, &camera("front"), pack(number));
        assert_eq!(left(0), [], "stored, then evicted");
        assert_eq!(left(1), [Folder::Pending], "locked");
        let (spool, report) = open(&disk, model.config).unwrap();
        assert!(report.is_clean(), "{report:?}");
        let causes: Vec<_> = spool.losses().iter().map(|loss| loss.cause).collect();
        assert!(causes.contains(&LossCause::Camera) && causes.contains(&LossCause::Quota), "{causes:?}");
        let evicted = spool.losses().iter().any(|loss| loss.evicted.is_some());
        assert_eq!(evicted, on_full == OnFull::EvictUnsent);
        assert_eq!(promises.durable.len() < 18, on_full == OnFull::StopRecording);
    }
}
