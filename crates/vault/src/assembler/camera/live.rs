//! A camera's live bytes: from sessions into scratches, from scratches into the parts that lack them.

use std::{
    path::Path,
    sync::atomic::{AtomicU64, Ordering},
};

use dashvault_base::{PackId, RecordingId, WallMs};
use dashvault_disk::{EntryKind, OpenMode};
use dashvault_media::Segment;
use dashvault_wire::{ByteRange, SegmentNotice};

use super::{Camera, CameraError, Outcome, Session};
use crate::{
    archive::index::How,
    assembler::{
        live_index::ScratchId,
        part::Judged,
        scratch::{self, Found, LiveSession, Scratch},
    },
};

/// No scratch lasts longer than this: 64 MiB at 25 kbit/s.
const LONGEST_SCRATCH_MS: i64 = 6 * 3600 * 1000;
/// How far a vehicle's clock may be off where a lock keeps its footage.
const LOCK_MARGIN_MS: i64 = 2000;

/// What was removed of unclaimed live bytes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct LiveGone {
    pub(crate) files: u64,
    pub(crate) bytes: u64,
}

/// Numbers scratches uniquely within a run.
static SCRATCHES: AtomicU64 = AtomicU64::new(1);

impl Camera {
    /// A recorder's live stream begins.
    pub(crate) fn live_begin(&mut self, session: u64, recording: RecordingId) -> Result<(), CameraError> {
        let folder = self.layout.live_recording(&self.device, &self.camera, recording);
        self.archive.disk.create_dir_all(&folder)?;
        let scratch = self.new_scratch(recording)?;
        self.is_settled = false;
        self.sessions.insert(session, Session { live: LiveSession::new(recording), scratch });
        Ok(())
    }

    /// Bytes of a live stream; gives how many went into segments.
    pub(crate) fn live_data(
        &mut self,
        session: u64,
        bytes: &[u8],
        outcome: &mut Outcome,
    ) -> Result<(), CameraError> {
        let found = self.sessions.get_mut(&session).ok_or(CameraError::NoSession)?.live.push(bytes)?;
        self.live_found(session, found, outcome)
    }

    /// Packets of a live stream are lost for good.
    pub(crate) fn live_gap(&mut self, session: u64) {
        if let Some(session) = self.sessions.get_mut(&session) {
            session.live.gap();
        }
    }

    /// A live stream has ended.
    pub(crate) fn live_end(&mut self, session: u64, outcome: &mut Outcome) -> Result<(), CameraError> {
        let Some(active) = self.sessions.get_mut(&session) else { return Ok(()) };
        let found = active.live.finish();
        let flushed = self.live_found(session, found, outcome);
        if let Some(active) = self.sessions.remove(&session) {
            self.live.end(active.scratch.id);
        }
        self.delete_settled()?;
        flushed
    }

    /// Puts live bytes to the segments that lack them.
    pub(super) fn take_live(&mut self, id: PackId, outcome: &mut Outcome) -> Result<(), CameraError> {
        let Some(tracked) = self.parts.get_mut(&id) else { return Ok(()) };
        let mut all = Judged::default();
        for index in 0..tracked.part.assembly.known() {
            let Some(open) = tracked.part.assembly.open_segment(index) else { continue };
            let SegmentNotice { len, hash, pts, .. } = open.notice;
            self.waiting.insert((len, hash), (id, index));
            let whole = self.live.whole(len, hash);
            let prefix =
                || pts.filter(|_| !open.distrusted).and_then(|pts| self.live.prefix(id.recording, pts));
            let Some(place) = whole.or_else(prefix) else { continue };
            let until = place.range.len().min(len.into());
            if until <= open.prefix {
                continue;
            }
            let Some(path) = self.paths.get(&place.scratch) else { continue };
            let file = self.archive.disk.open(path, OpenMode::Read)?;
            let from = ByteRange::new(place.range.start + open.prefix, place.range.start + until);
            let judged = tracked.part.copy(file.as_ref(), from, open.range.start + open.prefix, How::Live)?;
            all.verified.extend(judged.verified);
            all.mismatched.extend(judged.mismatched);
        }
        self.note(id, &all, How::Live, outcome);
        Ok(())
    }

    fn live_found(
        &mut self,
        session: u64,
        found: Vec<Found>,
        outcome: &mut Outcome,
    ) -> Result<(), CameraError> {
        for found in found {
            let active = self.sessions.get_mut(&session).ok_or(CameraError::NoSession)?;
            match found {
                Found::Bytes(bytes) => active.live.write(&active.scratch, &bytes)?,
                Found::Closed(segment) => self.live_closed(session, &segment, outcome)?,
            }
        }
        if let Some(active) = self.sessions.get(&session) {
            self.live.grew(active.scratch.id, active.live.open());
        }
        Ok(())
    }

    fn live_closed(
        &mut self,
        session: u64,
        segment: &Segment,
        outcome: &mut Outcome,
    ) -> Result<(), CameraError> {
        let active = self.sessions.get_mut(&session).ok_or(CameraError::NoSession)?;
        let closed = active.live.close(segment);
        let scratch = active.scratch.clone();
        let (rotates, recording) = (active.live.rotates(), active.live.recording);
        self.live.closed(scratch.id, closed);
        if let Some((id, index)) = self.waiting.get(&(segment.len, segment.hash)).copied() {
            self.take_closed(id, index, &scratch, closed.range, outcome)?;
        }
        if rotates {
            self.live.end(scratch.id);
            let next = self.new_scratch(recording)?;
            if let Some(active) = self.sessions.get_mut(&session) {
                active.scratch = next;
            }
        }
        Ok(())
    }

    /// A live segment that had been announced before it ended here.
    fn take_closed(
        &mut self,
        id: PackId,
        index: usize,
        scratch: &Scratch,
        place: ByteRange,
        outcome: &mut Outcome,
    ) -> Result<(), CameraError> {
        let Some(tracked) = self.parts.get_mut(&id) else { return Ok(()) };
        let Some(open) = tracked.part.assembly.open_segment(index) else { return Ok(()) };
        // Held bytes may have another source; the whole segment is written over them.
        let judged = tracked.part.copy(scratch.file.as_ref(), place, open.range.start, How::Live)?;
        self.note(id, &judged, How::Live, outcome);
        self.finish_if_complete(id, outcome);
        Ok(())
    }

    fn new_scratch(&mut self, recording: RecordingId) -> Result<Scratch, CameraError> {
        let id = ScratchId(SCRATCHES.fetch_add(1, Ordering::Relaxed));
        let folder = self.layout.live_recording(&self.device, &self.camera, recording);
        let path = folder.join(format!("{}-{}.ts", self.archive.clock.wall().0, id.0));
        let scratch = scratch::create(self.archive.disk.as_ref(), id, path)?;
        self.live.begin(id, recording);
        self.paths.insert(id, scratch.path.clone());
        Ok(scratch)
    }

    pub(super) fn load_scratches(&mut self) -> Result<(), CameraError> {
        let disk = self.archive.disk.clone();
        let root = self.layout.live(&self.device, &self.camera);
        let folders = match disk.list(&root) {
            Err(error) if error.is_not_found() => return Ok(()),
            folders => folders?,
        };
        for folder in folders {
            let Ok(recording) = folder.name.parse() else { continue };
            for file in disk.list(&root.join(&folder.name))? {
                if file.kind != EntryKind::File {
                    continue;
                }
                let id = ScratchId(SCRATCHES.fetch_add(1, Ordering::Relaxed));
                let path = root.join(&folder.name).join(&file.name);
                let (scratch, segments) = match scratch::rescan(disk.as_ref(), id, &path) {
                    Ok(found) => found,
                    Err(error) => {
                        tracing::error!(path = %path.display(), %error, "live bytes cannot be read; they stay");
                        continue;
                    }
                };
                self.live.begin(id, recording);
                segments.into_iter().for_each(|segment| self.live.closed(id, segment));
                self.live.end(id);
                self.paths.insert(id, scratch.path);
            }
        }
        self.settle_stored()
    }

    /// Removes live bytes that only ended after what they are of was stored; what is not stored stays.
    pub(crate) fn settle_stored(&mut self) -> Result<(), CameraError> {
        for recording in self.live.recordings() {
            let any = self.key(PackId { recording, number: 0 });
            for segment in self.archive.index.segments_of_recording(&any)? {
                self.live.settle(recording, segment.hash, segment.start_pts, segment.duration);
            }
        }
        self.is_settled = true;
        self.delete_settled()
    }

    /// As [`Self::settle_stored`], once after all has become quiet.
    pub(crate) fn settle_when_quiet(&mut self) -> Result<(), CameraError> {
        let busy = !(self.parts.is_empty() && self.finishing.is_empty() && self.sessions.is_empty());
        if busy || self.is_settled || self.live.len() == 0 { Ok(()) } else { self.settle_stored() }
    }

    /// Removes scratches that were begun at `cutoff` or before and are not written any more, though nobody claimed
    /// them; what `locked` ranges may need stays. Durable on return.
    pub(crate) fn expire_live(
        &mut self,
        cutoff: WallMs,
        locked: &[(WallMs, WallMs)],
    ) -> Result<LiveGone, CameraError> {
        let begun = |path: &Path| scratch::begun(path.file_name()?.to_str()?);
        let is_kept = |begun: WallMs| {
            let last = begun.plus_ms(LONGEST_SCRATCH_MS);
            locked.iter().any(|(from, to)| *from < last && *to > begun.plus_ms(-LOCK_MARGIN_MS))
        };
        let old = self
            .paths
            .iter()
            .filter(|(_, path)| begun(path).is_some_and(|begun| begun <= cutoff && !is_kept(begun)));
        let old: Vec<_> = old.map(|(id, path)| (*id, path.clone())).collect();
        let mut gone = LiveGone::default();
        for (id, path) in old {
            let Some(recording) = self.live.forget(id) else { continue };
            self.paths.remove(&id);
            gone.bytes += self.archive.disk.len(&path)?;
            gone.files += 1;
            self.archive.disk.remove_durably(&path)?;
            let folder = self.layout.live_recording(&self.device, &self.camera, recording);
            let _ = self.archive.disk.remove_dir(&folder);
        }
        Ok(gone)
    }

    pub(super) fn delete_settled(&mut self) -> Result<(), CameraError> {
        while let Some((id, recording)) = self.live.take_settled() {
            let Some(path) = self.paths.remove(&id) else { continue };
            match self.archive.disk.remove(&path) {
                Err(error) if !error.is_not_found() => return Err(error.into()),
                _ => {}
            }
            // Fails while there are others in it.
            let folder = self.layout.live_recording(&self.device, &self.camera, recording);
            let busy = self.sessions.values().any(|session| session.live.recording == recording);
            if !busy {
                let _ = self.archive.disk.remove_dir(&folder);
            }
        }
        Ok(())
    }
}
