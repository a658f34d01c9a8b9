//! A model test: the assembler and finishing on a disk that loses power at every possible operation.
//!
//! Whatever the moment: no pack with a receipt is missing or changed afterwards, and the recorder, by announcing and
//! uploading what is wanted, still brings every pack to its receipt.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
    sync::{Arc, Mutex},
};

use dashvault_base::{CameraName, ContentHash, DeviceId, PackId, WallMs};
use dashvault_disk::{Disk, OpenMode};
use dashvault_media::{
    Manifest, SealedBy, Segment, SegmentEntry, SegmentSink, Segmenter, SegmenterConfig, SignedManifest,
    SigningKey, trailer,
};
use dashvault_testkit::{
    FakeClock,
    disk::CrashDisk,
    ts::{TsProfile, TsSource},
};
use dashvault_wire::{DeviceToken, PackAnnounce, PackStatus};

use super::{
    camera::{Camera, CameraError, DeviceKeys, Outcome, Standing},
    finish::{Archive, FinishJob, PackIndex},
};
use crate::{
    archive::{
        index::{Committed, IndexError, PackRow, SegmentRow, StoredPack},
        objects::{DirStore, ObjectKey, ObjectStore},
    },
    layout::Layout,
};

/// An index that is as durable as SQLite says it is: what was committed stays.
#[derive(Debug, Clone, Default)]
pub(crate) struct MemoryIndex {
    rows: Arc<Mutex<BTreeMap<ObjectKey, StoredPack>>>,
}

impl PackIndex for MemoryIndex {
    fn pack(&self, key: &ObjectKey) -> Result<Option<PackRow>, IndexError> {
        Ok(self.rows.lock().unwrap().get(key).map(|stored| stored.row.clone()))
    }

    fn commit(&self, pack: &StoredPack) -> Result<Committed, IndexError> {
        let mut rows = self.rows.lock().unwrap();
        match rows.get_mut(&pack.row.key) {
            Some(known) => {
                if known.row.manifest == pack.row.manifest {
                    known.row.missing_since = None;
                }
                Ok(Committed::Known(Box::new(known.row.clone())))
            }
            None => {
                rows.insert(pack.row.key.clone(), pack.clone());
                Ok(Committed::New)
            }
        }
    }

    fn mark_missing(&self, key: &ObjectKey, noticed: WallMs) -> Result<bool, IndexError> {
        let mut rows = self.rows.lock().unwrap();
        let held = rows.get_mut(key).filter(|stored| stored.row.missing_since.is_none());
        Ok(held.map(|stored| stored.row.missing_since = Some(noticed)).is_some())
    }

    fn segments_of_pack(&self, key: &ObjectKey) -> Result<Vec<SegmentRow>, IndexError> {
        Ok(self.rows.lock().unwrap().get(key).map_or_else(Vec::new, |stored| stored.segments.clone()))
    }

    fn segments_of_recording(&self, key: &ObjectKey) -> Result<Vec<SegmentRow>, IndexError> {
        let rows = self.rows.lock().unwrap();
        let same = rows.iter().filter(|(of, stored)| {
            of.pack.recording == key.pack.recording && stored.row.missing_since.is_none()
        });
        Ok(same.flat_map(|(_, stored)| stored.segments.clone()).collect())
    }

    fn last_number(&self, key: &ObjectKey) -> Result<Option<u32>, IndexError> {
        let rows = self.rows.lock().unwrap();
        let same = rows.keys().filter(|of| of.pack.recording == key.pack.recording);
        Ok(same.map(|of| of.pack.number).max())
    }

    fn last_plain_manifest(&self, _: &DeviceId, _: &CameraName) -> Result<Option<ContentHash>, IndexError> {
        Ok(self.rows.lock().unwrap().values().next_back().map(|stored| stored.row.manifest))
    }
}

/// An archive on a disk that can crash.
pub(crate) fn archive(disk: &CrashDisk, index: &MemoryIndex) -> Result<Archive, CameraError> {
    let disk: Arc<dyn Disk> = Arc::new(disk.clone());
    let objects: Arc<dyn ObjectStore> = Arc::new(DirStore::open(disk.clone(), "/data/objects".into())?);
    Ok(Archive { disk, objects, index: Arc::new(index.clone()), clock: Arc::new(FakeClock::default()) })
}

#[derive(Default)]
struct Cut {
    open: Vec<u8>,
    done: Vec<(Segment, Vec<u8>)>,
}

impl SegmentSink for Cut {
    fn bytes(&mut self, run: &[u8]) {
        self.open.extend_from_slice(run);
    }

    fn closed(&mut self, segment: Segment) {
        self.done.push((segment, std::mem::take(&mut self.open)));
    }
}

/// A small stream, cut.
pub(crate) fn footage(seed: u64, seconds: u32) -> Vec<(Segment, Vec<u8>)> {
    let profile = TsProfile { bitrate: 60_000, fps: 10, gop: 10, audio: false, ..TsProfile::default() };
    let stream = TsSource::stream(profile, seed, seconds);
    let mut cut = Cut::default();
    let mut segmenter = Segmenter::new(SegmenterConfig::default());
    segmenter.push(&stream.bytes, &mut cut).unwrap();
    segmenter.finish(&mut cut);
    cut.done
}

struct Pack {
    manifest: Manifest,
    body: Vec<u8>,
    trailer: Vec<u8>,
}

/// The vehicle: what it recorded, and which receipts it has.
struct Vehicle {
    token: DeviceToken,
    packs: Vec<Pack>,
    receipts: BTreeSet<PackId>,
}

impl Vehicle {
    fn new() -> Self {
        let token = DeviceToken::from_random([5; 32]);
        let key = SigningKey::from_seed(token.signing_seed());
        let pack = |(number, segments): (u32, &[(Segment, Vec<u8>)])| {
            let manifest = Manifest {
                device: "bus".parse().unwrap(),
                camera: "front".parse().unwrap(),
                pack: PackId { recording: "20261122-101500".parse().unwrap(), number },
                sealed_by: SealedBy::Device,
                start_wall: WallMs(0),
                start_mono_ms: 0,
                boot_id: [0; 16],
                previous: ContentHash::ZERO,
                segments: segments.iter().map(|(segment, _)| SegmentEntry::new(segment, 0)).collect(),
            };
            let signed = SignedManifest::sign(manifest.clone(), &key).unwrap();
            let body = segments.iter().flat_map(|(_, bytes)| bytes.clone()).collect();
            Pack { manifest, body, trailer: trailer(&signed) }
        };
        let segments = footage(3, 6);
        let packs = (0..).zip(segments.chunks(3)).map(pack).collect();
        Self { token, packs, receipts: BTreeSet::new() }
    }

    fn keys(&self) -> DeviceKeys {
        DeviceKeys {
            public_key: SigningKey::from_seed(self.token.signing_seed()).public_key(),
            live_key: self.token.live_key(),
        }
    }

    fn announcement(pack: &Pack, sealed: bool) -> PackAnnounce {
        let notice = |entry: &SegmentEntry| dashvault_wire::SegmentNotice {
            len: entry.len,
            hash: entry.hash,
            pts: entry.start_pts,
            dur: entry.duration,
            at: 0,
        };
        PackAnnounce {
            camera: pack.manifest.camera.clone(),
            pack: pack.manifest.pack,
            start_wall: pack.manifest.start_wall,
            first: 0,
            segments: pack.manifest.segments.iter().map(notice).collect(),
            trailer: sealed.then(|| pack.trailer.clone()),
        }
    }

    /// The first day: one pack comes live, the other half live, half uploaded.
    fn first_day(&mut self, disk: &CrashDisk, index: &MemoryIndex) -> Result<(), CameraError> {
        let archive = archive(disk, index)?;
        let mut camera = load(&archive)?;
        let mut outcome = Outcome::default();
        let recording = self.packs[0].manifest.pack.recording;
        camera.live_begin(1, recording)?;
        for piece in self.packs[0].body.chunks(4000) {
            camera.live_data(1, piece, &mut outcome)?;
        }
        self.announce(&archive, &mut camera, 0, true)?;
        let second = self.packs[1].body.clone();
        camera.live_data(1, &second[..second.len() / 2], &mut outcome)?;
        for job in std::mem::take(&mut outcome.complete) {
            self.finish(&archive, &mut camera, job)?;
        }
        camera.live_end(1, &mut outcome)?;
        self.announce(&archive, &mut camera, 1, false)?;
        self.catch_up(&archive, &mut camera)
    }

    /// Announces and uploads until every pack has its receipt.
    fn catch_up(&mut self, archive: &Archive, camera: &mut Camera) -> Result<(), CameraError> {
        for _ in 0..4 {
            for number in 0..self.packs.len() {
                let wants = self.announce(archive, camera, number, true)?;
                let id = self.packs[number].manifest.pack;
                let body = self.packs[number].body.clone();
                for want in wants {
                    let mut outcome = Outcome::default();
                    let bytes = &body[want.start as usize..want.end as usize];
                    for (at, piece) in bytes.chunks(3000).enumerate() {
                        camera.write(id, want.start + at as u64 * 3000, piece, &mut outcome)?;
                    }
                    for job in outcome.complete {
                        self.finish(archive, camera, job)?;
                    }
                }
            }
        }
        Ok(())
    }

    fn announce(
        &mut self,
        archive: &Archive,
        camera: &mut Camera,
        number: usize,
        sealed: bool,
    ) -> Result<Vec<dashvault_wire::ByteRange>, CameraError> {
        let announcement = Self::announcement(&self.packs[number], sealed);
        let mut outcome = Outcome::default();
        let standing = camera.announce(&announcement, &self.keys(), &[], &mut outcome)?;
        for job in outcome.complete {
            self.finish(archive, camera, job)?;
        }
        match standing {
            Standing::Says(PackStatus::Assembling { want, .. }) => Ok(want),
            Standing::Says(PackStatus::Stored { receipt }) => {
                let Pack { manifest, body, trailer } = &self.packs[number];
                let Manifest { device, camera, pack, .. } = manifest;
                let bytes = (body.len() + trailer.len()) as u64;
                receipt.check(&self.token.live_key(), device, camera, *pack, manifest.hash(), bytes).unwrap();
                self.receipts.insert(*pack);
                Ok(Vec::new())
            }
            Standing::Says(refused) => panic!("{refused:?}"),
            Standing::Finishing { .. } => Ok(Vec::new()),
        }
    }

    fn finish(&mut self, archive: &Archive, camera: &mut Camera, job: FinishJob) -> Result<(), CameraError> {
        let row = match archive.finish(&job) {
            Ok(row) => row,
            Err(error) => {
                camera.not_stored(job.key.pack, &error)?;
                return Err(error.into());
            }
        };
        self.receipts.insert(row.key.pack);
        camera.stored(row.key.pack)
    }

    /// Every pack with a receipt is in the archive, as the vehicle has it.
    fn check_receipts(&self, disk: &CrashDisk) {
        for pack in self.packs.iter().filter(|pack| self.receipts.contains(&pack.manifest.pack)) {
            let Manifest { device, camera, pack: id, .. } = &pack.manifest;
            let path = format!("/data/objects/{device}/{camera}/{}/{}", id.recording, id.file_name());
            let file = disk.open(Path::new(&path), OpenMode::Read).expect("a receipted pack is there");
            let mut stored = vec![0; file.len().unwrap() as usize];
            file.read_exact_at(&mut stored, 0).unwrap();
            assert!(stored == [pack.body.clone(), pack.trailer.clone()].concat(), "{id} is another file");
        }
    }
}

fn load(archive: &Archive) -> Result<Camera, CameraError> {
    let layout = Layout::new(Path::new("/data"));
    Camera::load(archive.clone(), layout, "bus".parse().unwrap(), "front".parse().unwrap())
}

#[test]
fn at_every_crash_point_receipts_hold_and_reassembly_finishes() {
    let operations = {
        let (disk, index, mut vehicle) = (CrashDisk::new(), MemoryIndex::default(), Vehicle::new());
        vehicle.first_day(&disk, &index).unwrap();
        assert_eq!(vehicle.receipts.len(), vehicle.packs.len(), "without a crash all is stored");
        vehicle.check_receipts(&disk);
        disk.operations()
    };
    assert!(operations > 30, "the model has too few crash points: {operations}");
    for crash_at in 1..=operations {
        for seed in 0..4 {
            let (disk, index, mut vehicle) = (CrashDisk::new(), MemoryIndex::default(), Vehicle::new());
            // The test disk begins without a root folder; a machine does not.
            disk.create_dir_all(Path::new("/")).unwrap();
            disk.crash_at(crash_at);
            let _ = vehicle.first_day(&disk, &index);
            // Half of the fates are a killed process, half a power cut.
            if seed % 2 == 0 {
                disk.restart(seed)
            } else {
                disk.kill()
            }
            vehicle.check_receipts(&disk);
            let archive = archive(&disk, &index).unwrap();
            let mut camera = load(&archive).unwrap();
            vehicle.catch_up(&archive, &mut camera).unwrap();
            assert_eq!(vehicle.receipts.len(), vehicle.packs.len(), "crash at {crash_at}, seed {seed}");
            vehicle.check_receipts(&disk);
            // What the second run answered for must not rest on what the first one left unsynced.
            drop(camera);
            disk.restart(seed);
            vehicle.check_receipts(&disk);
        }
    }
}

#[test]
fn at_every_crash_point_a_missing_object_comes_back_and_only_then_is_held() {
    // How many operations the first day takes, and how many more the way back.
    let day = |disk: &CrashDisk, index: &MemoryIndex, vehicle: &mut Vehicle| {
        vehicle.first_day(disk, index).unwrap();
        let key = index.rows.lock().unwrap().keys().next().cloned().unwrap();
        disk.remove_durably(Path::new(&format!("/data/objects/{key}"))).unwrap();
        vehicle.receipts.remove(&key.pack);
        key
    };
    let come_back = |disk: &CrashDisk, index: &MemoryIndex, vehicle: &mut Vehicle| {
        let archive = archive(disk, index)?;
        let mut camera = load(&archive)?;
        vehicle.catch_up(&archive, &mut camera)
    };
    let (disk, index, mut vehicle) = (CrashDisk::new(), MemoryIndex::default(), Vehicle::new());
    day(&disk, &index, &mut vehicle);
    let before = disk.operations();
    come_back(&disk, &index, &mut vehicle).unwrap();
    let operations = disk.operations() - before;
    assert!(operations > 5, "too few crash points: {operations}");
    for crash_at in 1..=operations {
        let (disk, index, mut vehicle) = (CrashDisk::new(), MemoryIndex::default(), Vehicle::new());
        disk.create_dir_all(Path::new("/")).unwrap();
        let key = day(&disk, &index, &mut vehicle);
        disk.crash_at(crash_at);
        let _ = come_back(&disk, &index, &mut vehicle);
        disk.restart(crash_at);
        let missing = index.pack(&key).unwrap().expect("it stays known").missing_since.is_some();
        let told = vehicle.receipts.contains(&key.pack);
        assert!(!(missing && told), "a receipt of a missing object, crash at {crash_at}");
        vehicle.check_receipts(&disk);
        come_back(&disk, &index, &mut vehicle).unwrap();
        assert_eq!(vehicle.receipts.len(), vehicle.packs.len(), "crash at {crash_at}");
        assert_eq!(index.pack(&key).unwrap().unwrap().missing_since, None);
        vehicle.check_receipts(&disk);
    }
}

#[test]
fn a_full_disk_fails_the_step_and_nothing_that_is_receipted() {
    let (disk, index, mut vehicle) = (CrashDisk::new(), MemoryIndex::default(), Vehicle::new());
    let all: usize = vehicle.packs.iter().map(|pack| pack.body.len()).sum();
    disk.set_capacity(Some(all as u64));
    let failed = vehicle.first_day(&disk, &index).expect_err("live bytes and parts do not fit together");
    assert!(matches!(&failed, CameraError::Disk(error) if error.is_full()), "{failed:?}");
    vehicle.check_receipts(&disk);
    disk.set_capacity(None);
    let archive = archive(&disk, &index).unwrap();
    let mut camera = load(&archive).unwrap();
    vehicle.catch_up(&archive, &mut camera).unwrap();
    assert_eq!(vehicle.receipts.len(), vehicle.packs.len());
    vehicle.check_receipts(&disk);
}
