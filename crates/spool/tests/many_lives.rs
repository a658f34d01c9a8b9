//! A vehicle's years: two cameras, random work, a disk that fills and empties, and a power cut or a kill at the end of
//! each of many lives on the same disk. Whatever happened, what was promised in any life holds in all later ones.

#![allow(clippy::unwrap_used)]

mod support;

use std::collections::{BTreeMap, BTreeSet};

use dashvault_base::{CameraName, ContentHash, LossCause, PackId, WallMs};
use dashvault_disk::DiskError;
use dashvault_media::SegmentEntry;
use dashvault_spool::{
    CameraSpool, Folder, LossReport, OnFull, PackStart, SegmentOutcome, Spool, SpoolConfig, SpoolError,
};
use dashvault_testkit::disk::CrashDisk;
use fastrand::Rng;
use support::*;

type Id = (CameraName, PackId);

/// All lives together.
struct Vehicle {
    disk: CrashDisk,
    footage: Footage,
    rng: Rng,
    /// The segments that were called durable, by pack, in order.
    durable: BTreeMap<Id, Vec<SegmentEntry>>,
    started: BTreeSet<Id>,
    receipts_given: BTreeSet<Id>,
    stored: BTreeSet<Id>,
    locked: BTreeSet<Id>,
    losses: BTreeSet<String>,
    /// Packs that somebody was told are lost.
    told_lost: BTreeSet<Id>,
    /// A full disk kept a pack open over the start of a later one.
    chain_may_fork: bool,
}

/// One life.
struct Life<'a> {
    vehicle: &'a mut Vehicle,
    spool: Spool,
    cameras: Vec<Camera>,
}

struct Camera {
    name: CameraName,
    writer: CameraSpool,
    next: PackId,
    first: usize,
    segments: usize,
}

/// Errors that a working but full disk may cause are no failure of a life.
fn unless_full(result: Result<(), SpoolError>) -> Result<(), SpoolError> {
    match result {
        Err(SpoolError::Disk(error)) if error.is_full() => Ok(()),
        other => other,
    }
}

impl Vehicle {
    fn new(seed: u64) -> Self {
        Self {
            disk: CrashDisk::new(),
            footage: Footage::seconds(12, 21),
            rng: Rng::with_seed(seed),
            durable: BTreeMap::new(),
            started: BTreeSet::new(),
            receipts_given: BTreeSet::new(),
            stored: BTreeSet::new(),
            locked: BTreeSet::new(),
            losses: BTreeSet::new(),
            told_lost: BTreeSet::new(),
            chain_may_fork: false,
        }
    }

    fn used(&self) -> u64 {
        everything(&self.disk).iter().map(|(_, bytes)| bytes.len() as u64).sum()
    }

    fn live(&mut self, context: &str) {
        let config = SpoolConfig {
            quota_bytes: self.rng.bool().then(|| self.rng.u64(20_000..60_000)),
            reserve_free_bytes: if self.rng.bool() { 0 } else { 3000 },
            on_full: if self.rng.bool() { OnFull::EvictUnsent } else { OnFull::StopRecording },
        };
        let room = self.used() + self.rng.u64(0..30_000);
        self.disk.set_capacity(self.rng.bool().then_some(room));
        self.disk.crash_at(self.rng.u64(1..250));
        let result = match open(&self.disk, config) {
            // A scrap that could not be removed is no error.
            Ok(_) if self.disk.is_crashed() => Ok(()),
            Ok((spool, report)) => {
                self.chain_may_fork |= report.cameras.values().any(|camera| !camera.left_open.is_empty());
                self.check(&spool, context);
                Life::new(self, spool).and_then(|mut life| life.run())
            }
            Err(error) => Err(error),
        };
        let crashed = self.disk.is_crashed();
        if let Err(error) = result {
            let is_full = matches!(&error, SpoolError::Disk(error) if DiskError::is_full(error));
            assert!(crashed || is_full, "{context}: {error:?}");
        }
        if !crashed && self.rng.bool() {
            self.disk.kill();
        } else {
            self.disk.restart(self.rng.u64(..));
        }
    }

    fn check(&self, spool: &Spool, context: &str) {
        let mut hashes: BTreeMap<Id, (ContentHash, ContentHash)> = BTreeMap::new();
        let losses = spool.losses();
        let evicted = |id: &Id| losses.iter().any(|loss| loss.camera == id.0 && loss.evicted == Some(id.1));
        let mut present = BTreeSet::new();
        for on_disk in packs_on(&self.disk) {
            let id = (on_disk.camera.clone(), on_disk.pack);
            assert!(!evicted(&id), "{context}: {id:?} is here and lost");
            assert!(!self.told_lost.contains(&id), "{context}: {id:?} came back");
            assert!(present.insert(id.clone()), "{context}: {id:?} is here twice");
            if on_disk.folder == Folder::Open {
                assert!(self.chain_may_fork, "{context}: {id:?} left open");
                continue;
            }
            let report = verify(&self.disk, &on_disk.path, on_disk.pack);
            let manifest = report.signed.manifest();
            hashes.insert(id.clone(), (manifest.hash(), manifest.previous));
            let promised = self.durable.get(&id).map_or(&[][..], Vec::as_slice);
            assert!(manifest.segments.starts_with(promised), "{context}: {id:?} lacks a durable segment");
            let bytes = read(&self.disk, &on_disk.path);
            for (index, entry) in manifest.segments.iter().enumerate().skip(promised.len()) {
                let start = usize::try_from(manifest.offset_of(index)).unwrap();
                let found = &bytes[start..start + entry.len as usize];
                let given = self.footage.segments.iter().any(|(_, given)| given.starts_with(found));
                assert!(given, "{context}: {id:?} segment {index} is what no camera gave");
            }
            assert_eq!(on_disk.bytes, spool.pack(&id.0, id.1).unwrap().bytes, "{context}");
            let in_stored = on_disk.folder == Folder::Stored;
            assert!(in_stored || !self.stored.contains(&id), "{context}: {id:?} is pending again");
            assert!(!in_stored || self.receipts_given.contains(&id), "{context}: {id:?} has no receipt");
        }
        for id in self.durable.keys().filter(|id| !present.contains(id)) {
            assert!(self.receipts_given.contains(id) || evicted(id), "{context}: {id:?} is gone");
        }
        for id in &self.locked {
            assert!(spool.pack(&id.0, id.1).is_some_and(|pack| pack.locked), "{context}: {id:?} unlocked");
        }
        for id in &self.losses {
            assert!(losses.iter().any(|loss| loss.id == *id), "{context}: loss {id} forgotten");
        }
        self.check_chain(&hashes, context);
    }

    fn check_chain(&self, hashes: &BTreeMap<Id, (ContentHash, ContentHash)>, context: &str) {
        for (id, (_, previous)) in hashes.iter().filter(|_| !self.chain_may_fork) {
            let before = self.started.range(..id.clone()).next_back().filter(|before| before.0 == id.0);
            if let Some((hash, _)) = before.and_then(|before| hashes.get(before)) {
                assert_eq!(previous, hash, "{context}: chain broken before {id:?}");
            }
        }
    }
}

impl<'a> Life<'a> {
    fn new(vehicle: &'a mut Vehicle, spool: Spool) -> Result<Self, SpoolError> {
        let mut cameras = Vec::new();
        for name in ["front", "rear"] {
            let (name, writer) = (camera(name), spool.camera(&camera(name))?);
            // Clocks jump.
            let wall = WALL.plus_ms(vehicle.rng.i64(-100_000..100_000));
            let next = PackId { recording: spool.next_recording_id(&name, wall)?, number: 0 };
            assert!(vehicle.durable.keys().all(|id| id.0 != name || id.1.recording != next.recording));
            cameras.push(Camera { name, writer, next, first: 0, segments: 0 });
        }
        Ok(Self { vehicle, spool, cameras })
    }

    fn run(&mut self) -> Result<(), SpoolError> {
        for _ in 0..self.vehicle.rng.usize(1..120) {
            if self.vehicle.disk.is_crashed() {
                break;
            }
            let told = self.spool.losses().into_iter().filter_map(|loss| Some((loss.camera, loss.evicted?)));
            self.vehicle.told_lost.extend(told);
            match self.vehicle.rng.u8(..16) {
                0..9 => self.record()?,
                9 => self.fill_or_empty(),
                10 => unless_full(self.spool.enforce_quota().map(drop))?,
                11 => self.lose()?,
                12 => self.lock()?,
                _ => self.receive()?,
            }
        }
        Ok(())
    }

    fn record(&mut self) -> Result<(), SpoolError> {
        let Vehicle { rng, footage, durable, started, .. } = &mut *self.vehicle;
        let camera = &mut self.cameras[rng.usize(..2)];
        let Some(pack) = camera.writer.open_pack() else {
            let pack = camera.next;
            camera.next.number += 1;
            (camera.first, camera.segments) = (rng.usize(..footage.segments.len() - 4), 0);
            started.insert((camera.name.clone(), pack));
            let start_wall = WallMs(pack.recording.start().0 + i64::from(pack.number) * 4000);
            return camera.writer.start_pack(PackStart {
                pack,
                start_wall,
                start_mono_ms: 1,
                boot_id: [1; 16],
            });
        };
        if camera.segments < 4 && rng.u8(..6) > 0 {
            let index = camera.first + camera.segments;
            camera.segments += 1;
            let outcome = write_segment(&mut camera.writer, footage, camera.first, index)?;
            if let SegmentOutcome::Durable { index: place, .. } = outcome {
                let of_pack = durable.entry((camera.name.clone(), pack)).or_default();
                assert_eq!(of_pack.len(), place as usize);
                of_pack.push(footage.entry(camera.first, index));
            }
            return Ok(());
        }
        match camera.writer.seal() {
            Ok(sealed) => {
                let segments =
                    sealed.map(|sealed| sealed.signed.into_manifest().segments).unwrap_or_default();
                let id = (camera.name.clone(), pack);
                assert_eq!(segments, durable.get(&id).cloned().unwrap_or_default());
                Ok(())
            }
            Err(error) => unless_full(Err(error)),
        }
    }

    fn fill_or_empty(&mut self) {
        let room = self.vehicle.used() + self.vehicle.rng.u64(0..12_000);
        let capacity = (self.vehicle.rng.u8(..3) > 0).then_some(room);
        self.vehicle.disk.set_capacity(capacity);
    }

    fn lose(&mut self) -> Result<(), SpoolError> {
        let from = WALL.plus_ms(self.vehicle.rng.i64(..1_000_000));
        let to = from.plus_ms(700);
        let (camera, cause) = (camera("front"), LossCause::Camera);
        let report = LossReport { camera, recording: None, from, to, lost_ms: 700, bytes: 0, cause };
        let id = self.spool.record_loss(report)?;
        // On a full disk it is in memory until the janitor comes.
        if self.spool.enforce_quota().is_ok() && self.written(&id) {
            self.vehicle.losses.insert(id);
        }
        let acknowledged = self.vehicle.losses.iter().next().cloned().filter(|_| self.vehicle.rng.bool());
        if let Some(id) = acknowledged {
            self.vehicle.losses.remove(&id);
            self.spool.ack_loss(&camera_front(), &id)?;
        }
        Ok(())
    }

    fn written(&self, id: &str) -> bool {
        !self.vehicle.disk.is_crashed()
            && self.vehicle.disk.files().contains(&layout().loss(&camera_front(), id))
    }

    fn lock(&mut self) -> Result<(), SpoolError> {
        let packs = self.spool.packs(Folder::Pending);
        let Some(pack) = self.vehicle.rng.choice(&packs) else { return Ok(()) };
        let id = (pack.camera.clone(), pack.pack);
        if self.vehicle.locked.len() > 2 {
            let id = self.vehicle.locked.pop_first().unwrap();
            return self.spool.unlock(&id.0, id.1);
        }
        match self.spool.lock(&id.0, id.1, b"event") {
            Ok(()) => {
                self.vehicle.locked.insert(id);
                Ok(())
            }
            Err(error) => unless_full(Err(error)),
        }
    }

    fn receive(&mut self) -> Result<(), SpoolError> {
        let packs = self.spool.packs(Folder::Pending);
        let Some(pack) = self.vehicle.rng.choice(&packs) else { return Ok(()) };
        let id = (pack.camera.clone(), pack.pack);
        let hash = self.spool.manifest(&id.0, id.1)?.manifest().hash();
        self.vehicle.receipts_given.insert(id.clone());
        self.spool.mark_stored(&id.0, id.1, hash, pack.bytes, b"receipt")?;
        self.vehicle.stored.insert(id);
        Ok(())
    }
}

fn camera_front() -> CameraName {
    camera("front")
}

#[test]
fn what_was_promised_in_any_life_holds_in_all_later_ones() {
    for seed in 0..40 {
        let mut vehicle = Vehicle::new(seed);
        for life in 0..20 {
            vehicle.live(&format!("seed {seed} life {life}"));
        }
        vehicle.disk.set_capacity(None);
        let (spool, _) = open(&vehicle.disk, SpoolConfig::default()).unwrap();
        vehicle.chain_may_fork |= !spool.packs(Folder::Open).is_empty();
        vehicle.check(&spool, &format!("seed {seed}, at last"));
        assert!(vehicle.durable.len() > 10, "seed {seed} did nothing");
    }
}
