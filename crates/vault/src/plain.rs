//! Archiving a publisher that never announces anything (ffmpeg, OBS, the Python client): the vault cuts, seals and
//! signs the packs itself, and says honestly where the network lost something.
//!
//! An open pack is `plain/<device>/<camera>/<pack>@<start wall>.ts`. Each segment is synced when it ends, so a crash
//! costs the open segment. At start [`recover`] cuts what is there, drops the torn tail and seals it.
//!
//! Driven by one store thread for each camera. Making packs durable is [`crate::assembler::finish`]'s.

use std::{collections::HashMap, path::PathBuf, sync::Arc};

use dashvault_base::{CameraName, ContentHash, DeviceId, LossCause, PackId, RecordingId, WallMs};
use dashvault_disk::{DiskError, DiskFile, OpenMode};
use dashvault_media::{
    Manifest, ManifestError, PackCutter, PackLimits, SealedBy, Segment, SegmentEntry, Segmenter,
    SegmenterConfig, SegmenterError, SignedManifest, SigningKey,
};
use dashvault_wire::LossNotice;

use crate::{
    archive::{
        index::{How, IndexError},
        objects::ObjectKey,
    },
    arriving::ArrivingPack,
    assembler::{
        finish::{Archive, FinishJob},
        scratch::{Collector, Found},
    },
    layout::Layout,
    timeline::{Contents, Entry, Held, PackRuns, SegmentTiming, Stage, WallRange},
};

mod recover;

pub(crate) use recover::recover;

/// Payload bytes of a lost SRT packet, as every TS sender fills them.
const PACKET_PAYLOAD_BYTES: u64 = 1316;

/// The plain recordings of one camera.
pub(crate) struct PlainCamera {
    archive: Archive,
    layout: Layout,
    key: Arc<SigningKey>,
    limits: PackLimits,
    device: DeviceId,
    camera: CameraName,
    sessions: HashMap<u64, PlainSession>,
    /// The next pack's number, for recordings seen in this run.
    numbers: HashMap<RecordingId, u32>,
    /// Hash of this camera's last manifest.
    previous: ContentHash,
}

/// What says when a stream was recorded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Timing {
    /// The vault's clock, as it comes in.
    Arrival,
    /// Its own durations from this moment on: it was recorded before, and is imported.
    Media(WallMs),
}

/// One publisher's stream.
struct PlainSession {
    recording: RecordingId,
    timing: Timing,
    /// How long its ended segments last.
    ended_90k: u64,
    segmenter: Segmenter,
    cutter: PackCutter,
    pack: Option<OpenPack>,
    lost_packets: u64,
    /// Bytes that the segmenter gave out are not in the file: what it says from now on is of no use.
    spoilt: bool,
}

/// The pack that is being written.
struct OpenPack {
    id: PackId,
    file: Arc<dyn DiskFile>,
    path: PathBuf,
    start_wall: WallMs,
    entries: Vec<SegmentEntry>,
    /// Bytes of ended segments.
    ended: u64,
    written: u64,
    /// Wall time of the open segment's first byte.
    segment_wall: WallMs,
    /// Segments that were noted for the timeline.
    told: usize,
}

/// What a step brought about.
#[derive(Debug, Default)]
pub(crate) struct PlainOutcome {
    /// Packs that are to be made durable.
    pub(crate) complete: Vec<FinishJob>,
    /// Losses to be noted.
    pub(crate) losses: Vec<LossNotice>,
    /// Segments and their bytes.
    pub(crate) segments: Vec<u64>,
}

/// Why a plain stream cannot be archived any further.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PlainError {
    #[error(transparent)]
    Disk(#[from] DiskError),
    #[error(transparent)]
    Index(#[from] IndexError),
    #[error("stream is no transport stream")]
    Stream(#[from] SegmenterError),
    #[error("pack cannot be signed")]
    Manifest(#[from] ManifestError),
    #[error("session is not open")]
    NoSession,
}

impl PlainCamera {
    pub(crate) fn load(
        archive: Archive,
        layout: Layout,
        key: Arc<SigningKey>,
        limits: PackLimits,
        device: DeviceId,
        camera: CameraName,
    ) -> Result<Self, PlainError> {
        archive.disk.create_dir_all(&layout.plain(&device, &camera))?;
        let previous = archive.index.last_plain_manifest(&device, &camera)?.unwrap_or(ContentHash::ZERO);
        let (sessions, numbers) = (HashMap::new(), HashMap::new());
        Ok(Self { archive, layout, key, limits, device, camera, sessions, numbers, previous })
    }

    /// A stream begins; one of the same recording that is still open ends first.
    pub(crate) fn begin(
        &mut self,
        session: u64,
        recording: RecordingId,
        timing: Timing,
        outcome: &mut PlainOutcome,
    ) -> Result<(), PlainError> {
        let before: Vec<u64> =
            self.sessions.iter().filter(|(_, open)| open.recording == recording).map(|(id, _)| *id).collect();
        for id in before {
            self.end(id, outcome)?;
        }
        if !self.numbers.contains_key(&recording) {
            let next = self.next_number(recording)?;
            self.numbers.insert(recording, next);
        }
        let open = PlainSession {
            recording,
            timing,
            ended_90k: 0,
            segmenter: Segmenter::new(SegmenterConfig::default()),
            cutter: PackCutter::new(self.limits),
            pack: None,
            lost_packets: 0,
            spoilt: false,
        };
        self.sessions.insert(session, open);
        Ok(())
    }

    /// The next bytes of a stream.
    pub(crate) fn data(
        &mut self,
        session: u64,
        bytes: &[u8],
        outcome: &mut PlainOutcome,
    ) -> Result<(), PlainError> {
        let open = self.sessions.get_mut(&session).ok_or(PlainError::NoSession)?;
        let mut found = Collector::default();
        // What it gave out before it refused is part of its open segment, so that is written all the same.
        let pushed = open.segmenter.push(bytes, &mut found);
        self.take(session, found.0, outcome)?;
        Ok(pushed?)
    }

    /// Packets are lost for good.
    pub(crate) fn lost(&mut self, session: u64, packets: u64) {
        if let Some(open) = self.sessions.get_mut(&session) {
            open.segmenter.gap();
            open.lost_packets += packets;
        }
    }

    /// A stream has ended: its pack is sealed. After a failed write only the segments that are whole are in it.
    pub(crate) fn end(&mut self, session: u64, outcome: &mut PlainOutcome) -> Result<(), PlainError> {
        let Some(open) = self.sessions.get_mut(&session) else { return Ok(()) };
        let mut found = Collector::default();
        if !open.spoilt {
            open.segmenter.finish(&mut found);
        }
        let taken = self.take(session, found.0, outcome);
        self.drop_tail(session, outcome);
        let sealed = self.seal(session, outcome);
        self.sessions.remove(&session);
        taken.and(sealed)
    }

    /// Streams that are open now.
    pub(crate) fn sessions(&self) -> Vec<u64> {
        self.sessions.keys().copied().collect()
    }

    /// The open packs that have grown since this was called last.
    pub(crate) fn take_told(&mut self) -> Vec<PackRuns> {
        let grown = self.sessions.values_mut().filter_map(|session| {
            let (how, pack) = (session.timing.how(), session.pack.as_mut()?);
            let news = pack.entries.len() > pack.told;
            pack.told = pack.entries.len();
            let (recording, number) = (pack.id.recording, pack.id.number);
            news.then(|| PackRuns::of(recording, number, Stage::Arriving, &pack.contents(how)))
        });
        grown.collect()
    }

    /// The open packs that have something here within `range`.
    pub(crate) fn arriving(&self, range: WallRange) -> Vec<ArrivingPack> {
        let packs = self.sessions.values().filter_map(|session| {
            let pack = session.pack.as_ref()?;
            let contents = pack.contents(session.timing.how());
            Some(ArrivingPack { id: pack.id, contents, file: pack.file.clone() })
        });
        packs.filter(|pack| pack.contents.is_here_within(range)).collect()
    }

    fn take(
        &mut self,
        session: u64,
        found: Vec<Found>,
        outcome: &mut PlainOutcome,
    ) -> Result<(), PlainError> {
        for found in found {
            let taken = match found {
                Found::Bytes(bytes) => self.append(session, &bytes),
                Found::Closed(segment) => self.end_segment(session, &segment, outcome),
            };
            if let (Err(_), Some(open)) = (&taken, self.sessions.get_mut(&session)) {
                open.spoilt = true;
            }
            taken?;
        }
        Ok(())
    }

    /// After a failed write: the open segment is lost, as far as it had come.
    fn drop_tail(&mut self, session: u64, outcome: &mut PlainOutcome) {
        let Some(open) = self.sessions.get_mut(&session).filter(|open| open.spoilt) else { return };
        let Some(pack) = open.pack.as_mut().filter(|pack| pack.written > pack.ended) else { return };
        let now = self.archive.clock.wall();
        let lost_ms = u64::try_from(now.0.saturating_sub(pack.segment_wall.0)).unwrap_or(0);
        let bytes = pack.written - pack.ended;
        pack.written = pack.ended;
        outcome.losses.push(loss(&self.device, &self.camera, pack, LossCause::DiskFull, lost_ms, bytes));
    }

    fn append(&mut self, session: u64, bytes: &[u8]) -> Result<(), PlainError> {
        let open = self.sessions.get(&session).ok_or(PlainError::NoSession)?;
        let recording = open.recording;
        let now = match open.timing {
            Timing::Arrival => self.archive.clock.wall(),
            Timing::Media(start) => start.plus_ms(i64::try_from(open.ended_90k / 90).unwrap_or(i64::MAX)),
        };
        let fresh = self.sessions.get(&session).is_none_or(|open| open.pack.is_none());
        let begun = if fresh { Some(self.begin_pack(recording, now)?) } else { None };
        let open = self.sessions.get_mut(&session).ok_or(PlainError::NoSession)?;
        let pack = match begun {
            Some(pack) => open.pack.insert(pack),
            None => open.pack.as_mut().ok_or(PlainError::NoSession)?,
        };
        if pack.written == pack.ended {
            pack.segment_wall = now;
        }
        pack.file.write_all_at(bytes, pack.written)?;
        pack.written += bytes.len() as u64;
        Ok(())
    }

    fn begin_pack(&mut self, recording: RecordingId, now: WallMs) -> Result<OpenPack, PlainError> {
        let number = self.numbers.entry(recording).or_insert(0);
        let id = PackId { recording, number: *number };
        *number += 1;
        let folder = self.layout.plain(&self.device, &self.camera);
        let path = folder.join(format!("{id}@{}.ts", now.0));
        let file = self.archive.disk.open(&path, OpenMode::CreateNew)?;
        self.archive.disk.sync_dir(&folder)?;
        let (entries, start_wall, segment_wall) = (Vec::new(), now, now);
        Ok(OpenPack { id, file, path, start_wall, entries, ended: 0, written: 0, segment_wall, told: 0 })
    }

    fn end_segment(
        &mut self,
        session: u64,
        segment: &Segment,
        outcome: &mut PlainOutcome,
    ) -> Result<(), PlainError> {
        let open = self.sessions.get_mut(&session).ok_or(PlainError::NoSession)?;
        open.ended_90k += u64::from(segment.duration.0);
        let Some(pack) = open.pack.as_mut() else { return Ok(()) };
        if pack.written - pack.ended != u64::from(segment.len) {
            pack.written = pack.ended;
            let (lost_ms, bytes) = (milliseconds(segment), segment.len.into());
            outcome.losses.push(loss(&self.device, &self.camera, pack, LossCause::DiskFull, lost_ms, bytes));
            return Ok(());
        }
        pack.file.sync_data()?;
        let offset = pack.segment_wall.0.saturating_sub(pack.start_wall.0);
        let lost = std::mem::take(&mut open.lost_packets);
        if lost > 0 {
            // The whole segment counts: how much of it can be shown is not known.
            let (lost_ms, bytes) = (milliseconds(segment), lost.saturating_mul(PACKET_PAYLOAD_BYTES));
            outcome.losses.push(loss(&self.device, &self.camera, pack, LossCause::Network, lost_ms, bytes));
        }
        pack.entries.push(SegmentEntry::new(segment, u32::try_from(offset).unwrap_or(0)));
        pack.ended = pack.written;
        outcome.segments.push(segment.len.into());
        if open.cutter.closed(segment) {
            self.seal(session, outcome)?;
        }
        Ok(())
    }

    fn seal(&mut self, session: u64, outcome: &mut PlainOutcome) -> Result<(), PlainError> {
        let Some(open) = self.sessions.get_mut(&session) else { return Ok(()) };
        let how = open.timing.how();
        let Some(pack) = open.pack.take() else { return Ok(()) };
        if pack.entries.is_empty() {
            self.archive.disk.remove_durably(&pack.path)?;
            return Ok(());
        }
        let manifest = Manifest {
            device: self.device.clone(),
            camera: self.camera.clone(),
            pack: pack.id,
            sealed_by: SealedBy::Vault,
            start_wall: pack.start_wall,
            start_mono_ms: 0,
            boot_id: [0; 16],
            previous: self.previous,
            segments: pack.entries,
        };
        let job = job(manifest, pack.path, how, &self.key)?;
        self.previous = job.signed.manifest().hash();
        outcome.complete.push(job);
        Ok(())
    }

    /// Goes on after the packs that are stored or still lie here.
    fn next_number(&self, recording: RecordingId) -> Result<u32, PlainError> {
        let any = PackId { recording, number: 0 };
        let key = ObjectKey { device: self.device.clone(), camera: self.camera.clone(), pack: any };
        let stored = self.archive.index.last_number(&key)?;
        let entries = self.archive.disk.list(&self.layout.plain(&self.device, &self.camera))?;
        let open = entries.iter().filter_map(|entry| recover::parse_name(&entry.name));
        let here = open.map(|(pack, _)| pack).filter(|pack| pack.recording == recording);
        let last = here.map(|pack| pack.number).chain(stored).max();
        Ok(last.map_or(0, |last| last.saturating_add(1)))
    }
}

impl Timing {
    /// How what it times has come.
    const fn how(self) -> How {
        match self {
            Self::Arrival => How::Plain,
            Self::Media(_) => How::Backfilled,
        }
    }
}

impl OpenPack {
    /// What it contains so far, which came so.
    fn contents(&self, how: How) -> Contents {
        let entries = self.entries.iter().map(|entry| Entry {
            bytes: entry.len,
            timing: SegmentTiming {
                wall: self.start_wall.plus_ms(entry.wall_offset_ms.into()),
                pts: entry.start_pts,
                duration: entry.duration,
            },
            held: Held::of(how, entry.damaged, true),
            keyframe: entry.keyframe,
        });
        Contents(entries.collect())
    }
}

fn job(manifest: Manifest, from: PathBuf, how: How, key: &SigningKey) -> Result<FinishJob, ManifestError> {
    let (device, camera, pack) = (manifest.device.clone(), manifest.camera.clone(), manifest.pack);
    let how = vec![how; manifest.segments.len()];
    let signed = SignedManifest::sign(manifest, key)?;
    Ok(FinishJob { key: ObjectKey { device, camera, pack }, from, signed, how, in_doubt: false })
}

fn milliseconds(segment: &Segment) -> u64 {
    segment.duration.to_duration().as_millis().try_into().unwrap_or(u64::MAX)
}

/// What is missing of the pack's open segment, or all of it.
fn loss(
    device: &DeviceId,
    camera: &CameraName,
    pack: &OpenPack,
    cause: LossCause,
    lost_ms: u64,
    bytes: u64,
) -> LossNotice {
    let position = pack.entries.len();
    let name = format!("{cause} {device}/{camera}/{}/{position}", pack.id);
    let from = pack.segment_wall;
    LossNotice {
        id: ContentHash::of(name.as_bytes()).to_string(),
        camera: camera.clone(),
        recording: Some(pack.id.recording),
        from,
        to: from.plus_ms(i64::try_from(lost_ms).unwrap_or(i64::MAX)),
        lost_ms,
        bytes,
        cause,
    }
}

#[cfg(test)]
mod tests;
