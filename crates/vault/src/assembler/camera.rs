//! One announced camera: its packs under construction and its live bytes, brought together.
//!
//! Driven by one store thread. Belongs here: which live bytes go into which part, when a pack is complete, when a
//! scratch may go. Does not: how bytes are judged ([`super::assembly`]), how packs become durable
//! ([`super::finish`]), threads.

use std::{collections::HashMap, path::PathBuf};

use dashvault_base::{CameraName, ContentHash, DeviceId, PackId, WallMs};
use dashvault_disk::DiskError;
use dashvault_media::{PublicKey, SegmenterError};
use dashvault_wire::{ByteRange, LiveKey, PackAnnounce, PackStatus};

use super::{
    finish::{Archive, FinishError, FinishJob},
    live_index::{LiveIndex, ScratchId},
    part::{Judged, Part},
    scratch::{LiveSession, Scratch},
};
use crate::{
    archive::{
        index::{How, IndexError},
        objects::{ObjectError, ObjectKey},
    },
    arriving::ArrivingPack,
    layout::Layout,
    timeline::{PackRuns, Stage, WallRange},
};

mod announced;
mod live;

pub(crate) use live::LiveGone;

/// Packs of one camera that are kept in memory; the least recently announced is forgotten (its part stays).
const MAX_PARTS: usize = 256;

/// Announced segments of one camera that are kept in memory, in all its packs.
const MAX_SEGMENTS_IN_MEMORY: usize = 100_000;

/// One camera of one recorder.
pub(crate) struct Camera {
    archive: Archive,
    layout: Layout,
    device: DeviceId,
    camera: CameraName,
    parts: HashMap<PackId, Tracked>,
    /// Handed over to be made durable.
    finishing: HashMap<PackId, Part>,
    /// Announced segments that are not verified yet.
    waiting: HashMap<(u32, ContentHash), (PackId, usize)>,
    live: LiveIndex,
    paths: HashMap<ScratchId, PathBuf>,
    sessions: HashMap<u64, Session>,
    /// Live bytes were held against the index since they last changed.
    is_settled: bool,
    uses: u64,
    /// What was told of packs that are not in memory any more, to be noted.
    told: Vec<PackRuns>,
}

struct Tracked {
    part: Part,
    last_use: u64,
    /// Wall time of its first byte, as it was announced.
    start_wall: WallMs,
    /// What is known of it has changed since it was noted.
    has_news: bool,
}

struct Session {
    live: LiveSession,
    scratch: Scratch,
}

/// What a device is known by.
#[derive(Debug, Clone)]
pub(crate) struct DeviceKeys {
    pub(crate) public_key: PublicKey,
    pub(crate) live_key: LiveKey,
}

/// Where an announced pack stands.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    /// What to answer.
    Says(PackStatus),
    /// Complete, and about to be durable: the answer will soon be a receipt.
    Finishing { known: u32 },
}

/// What a step brought about.
#[derive(Debug, Default)]
pub(crate) struct Outcome {
    /// Packs that are complete now.
    pub(crate) complete: Vec<FinishJob>,
    /// Segments and their bytes that were verified.
    pub(crate) verified: Vec<(How, u64)>,
    /// Segments whose hash was wrong.
    pub(crate) mismatches: u64,
}

/// Why a camera cannot go on with what it was asked.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CameraError {
    #[error(transparent)]
    Disk(#[from] DiskError),
    #[error(transparent)]
    Index(#[from] IndexError),
    #[error(transparent)]
    Object(#[from] ObjectError),
    #[error(transparent)]
    Finish(#[from] FinishError),
    #[error("live stream is no transport stream")]
    Stream(#[from] SegmenterError),
    /// Not announced here, or stored meanwhile, or forgotten: announce it (again).
    #[error("pack {0} is not being assembled; announce it first")]
    UnknownPack(PackId),
    /// Bytes that no announced segment has.
    #[error("bytes {} to {} are not within the {known} bytes that are announced of pack {pack}", range.start, range.end)]
    OutsidePack { pack: PackId, range: ByteRange, known: u64 },
    /// The session has ended.
    #[error("live session is not open")]
    NoSession,
}

impl Camera {
    /// Takes up what an earlier run left of this camera's live bytes.
    pub(crate) fn load(
        archive: Archive,
        layout: Layout,
        device: DeviceId,
        camera: CameraName,
    ) -> Result<Self, CameraError> {
        archive.disk.create_dir_all(&layout.incoming(&device, &camera))?;
        let mut loaded = Self {
            archive,
            layout,
            device,
            camera,
            parts: HashMap::new(),
            finishing: HashMap::new(),
            waiting: HashMap::new(),
            live: LiveIndex::default(),
            paths: HashMap::new(),
            sessions: HashMap::new(),
            is_settled: false,
            uses: 0,
            told: Vec::new(),
        };
        loaded.load_scratches()?;
        Ok(loaded)
    }

    /// How many bytes of a pack may be uploaded.
    pub(crate) fn announced_bytes(&self, id: PackId) -> Result<u64, CameraError> {
        let tracked = self.parts.get(&id).ok_or(CameraError::UnknownPack(id))?;
        Ok(tracked.part.assembly.body_len())
    }

    /// Writes uploaded bytes of a pack.
    pub(crate) fn write(
        &mut self,
        id: PackId,
        start: u64,
        bytes: &[u8],
        outcome: &mut Outcome,
    ) -> Result<(), CameraError> {
        self.uses += 1;
        let tracked = self.parts.get_mut(&id).ok_or(CameraError::UnknownPack(id))?;
        tracked.last_use = self.uses;
        let range = ByteRange::new(start, start.saturating_add(bytes.len() as u64));
        let known = tracked.part.assembly.body_len();
        if range.end > known {
            return Err(CameraError::OutsidePack { pack: id, range, known });
        }
        let judged = tracked.part.write(start, bytes, How::Backfilled)?;
        self.note(id, &judged, How::Backfilled, outcome);
        self.finish_if_complete(id, outcome);
        Ok(())
    }

    /// Forgets what an upload brought, where it is not verified.
    pub(crate) fn take_back(&mut self, id: PackId, range: ByteRange) {
        if let Some(tracked) = self.parts.get_mut(&id) {
            tracked.part.assembly.drop_unverified(range);
        }
    }

    /// The pack is durable and indexed: live copies of it may go.
    pub(crate) fn stored(&mut self, id: PackId) -> Result<(), CameraError> {
        let part = self.finishing.remove(&id).or_else(|| self.parts.remove(&id).map(|tracked| tracked.part));
        self.is_settled = false;
        let Some(seal) = part.as_ref().and_then(|part| part.assembly.seal()) else { return Ok(()) };
        for entry in &seal.0.manifest().segments {
            self.live.settle(id.recording, entry.hash, entry.start_pts, entry.duration);
        }
        self.delete_settled()
    }

    /// Making the pack durable failed: it is tried again at its next announcement, from nothing where its bytes are
    /// not what was written.
    pub(crate) fn not_stored(&mut self, id: PackId, error: &FinishError) -> Result<(), CameraError> {
        let Some(mut part) = self.finishing.remove(&id) else { return Ok(()) };
        if matches!(error, FinishError::Rotted { .. }) {
            return match self.archive.disk.remove(part.path()) {
                Err(error) if !error.is_not_found() => Err(error.into()),
                _ => Ok(()),
            };
        }
        part.in_doubt |= error.is_in_doubt();
        let start_wall = part.assembly.seal().map_or(WallMs(0), |seal| seal.0.manifest().start_wall);
        self.parts.insert(id, Tracked { part, last_use: self.uses, start_wall, has_news: true });
        Ok(())
    }

    /// What is known now and was not when this was called last, of packs that are not complete here.
    pub(crate) fn take_told(&mut self) -> Vec<PackRuns> {
        let mut told = std::mem::take(&mut self.told);
        for (id, tracked) in &mut self.parts {
            if std::mem::take(&mut tracked.has_news) {
                told.push(tracked.runs(*id));
            }
        }
        told
    }

    /// Its packs that are not stored and have something here within `range`.
    pub(crate) fn arriving(&self, range: WallRange) -> Vec<ArrivingPack> {
        let finishing = self.finishing.iter().map(|(id, part)| (id, part, WallMs(0)));
        let open = self.parts.iter().map(|(id, tracked)| (id, &tracked.part, tracked.start_wall));
        let packs = finishing.chain(open).map(|(id, part, start)| part.arriving(*id, start));
        packs.filter(|pack| pack.contents.is_here_within(range)).collect()
    }

    /// Whether nothing but files is left of it, so that it may be forgotten.
    pub(crate) fn is_idle(&self) -> bool {
        self.parts.is_empty() && self.finishing.is_empty() && self.sessions.is_empty() && self.live.len() == 0
    }

    fn key(&self, pack: PackId) -> ObjectKey {
        ObjectKey { device: self.device.clone(), camera: self.camera.clone(), pack }
    }

    fn open_part(&mut self, announced: &PackAnnounce) -> Result<(), CameraError> {
        self.forget_oldest_beyond_limits(announced.segments.len());
        let path = self.layout.part(&self.device, &self.camera, announced.pack);
        let part = Part::open(self.archive.disk.as_ref(), path)?;
        let start_wall = announced.start_wall;
        let tracked = Tracked { part, last_use: self.uses, start_wall, has_news: true };
        self.parts.insert(announced.pack, tracked);
        Ok(())
    }

    /// Keeps memory bounded. A forgotten pack loses nothing but the time to hash its part again; one in doubt, which
    /// the file does not say, goes last.
    fn forget_oldest_beyond_limits(&mut self, coming: usize) {
        let mut held: usize = self.parts.values().map(|tracked| tracked.part.assembly.known()).sum();
        while self.parts.len() >= MAX_PARTS || held + coming > MAX_SEGMENTS_IN_MEMORY {
            let oldest = self
                .parts
                .iter()
                .min_by_key(|(_, tracked)| (tracked.part.in_doubt, tracked.last_use))
                .map(|(id, _)| *id);
            let Some(id) = oldest else { return };
            let Some(forgotten) = self.parts.remove(&id) else { return };
            held -= forgotten.part.assembly.known();
            if forgotten.has_news {
                self.told.push(forgotten.runs(id));
            }
            self.waiting.retain(|_, (pack, _)| *pack != id);
        }
    }

    fn finish_if_complete(&mut self, id: PackId, outcome: &mut Outcome) -> bool {
        if !self.parts.get(&id).is_some_and(|tracked| tracked.part.assembly.is_complete()) {
            return false;
        }
        let Some(tracked) = self.parts.remove(&id) else { return false };
        self.waiting.retain(|_, (pack, _)| *pack != id);
        let assembly = &tracked.part.assembly;
        if let Some(seal) = assembly.seal() {
            outcome.complete.push(FinishJob {
                key: self.key(id),
                from: tracked.part.path().to_owned(),
                signed: seal.0.clone(),
                how: (0..assembly.known()).map(|index| assembly.how(index)).collect(),
                in_doubt: tracked.part.in_doubt,
            });
        }
        self.finishing.insert(id, tracked.part);
        true
    }

    fn note(&mut self, id: PackId, judged: &Judged, how: How, outcome: &mut Outcome) {
        let tracked = self.parts.get_mut(&id);
        let part = tracked.map(|tracked| {
            tracked.has_news |= !judged.verified.is_empty();
            &tracked.part
        });
        for index in &judged.verified {
            let notice = part.and_then(|part| part.assembly.notice(*index));
            if let Some(notice) = notice {
                self.waiting.remove(&(notice.len, notice.hash));
                outcome.verified.push((how, notice.len.into()));
            }
        }
        for index in &judged.mismatched {
            let (device, camera) = (&self.device, &self.camera);
            tracing::warn!(%device, %camera, pack = %id, segment = index, ?how, "segment's hash is wrong");
        }
        outcome.mismatches += judged.mismatched.len() as u64;
    }
}

impl Tracked {
    fn runs(&self, id: PackId) -> PackRuns {
        let contents = self.part.assembly.contents(self.start_wall);
        PackRuns::of(id.recording, id.number, Stage::Arriving, &contents)
    }
}

fn count(known: usize) -> u32 {
    u32::try_from(known).unwrap_or(u32::MAX)
}
