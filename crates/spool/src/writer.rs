//! [`CameraSpool`]: writes the packs of one camera, segment by segment.
//!
//! ```text
//! start_pack ─► (append* ─► end_segment)* ─► seal ─► start_pack …
//! ```
//! Invariants: a segment that [`CameraSpool::end_segment`] called durable survives any crash; on disk, a pack is its
//! durable segments, then at most the bytes of one that has not ended. A segment that finds no room is dropped whole,
//! counted as a loss, and the next one follows in its place; the pack goes on.

mod open_pack;

use std::sync::Arc;

use dashvault_base::{CameraName, LossCause, PackId, WallMs};
use dashvault_media::{MAX_SEGMENTS_PER_PACK, SegmentEntry, SignedManifest};

use crate::{Folder, LossReport, SpoolError, recovery, shelf::Shelved, spool::Inner};
use open_pack::OpenPack;
pub(crate) use open_pack::rename_again;

/// A loss is closed, and so announced, when it is this long; the next dropped segment starts another.
const MAX_GROWING_LOSS_MS: u64 = 60_000;

/// What is known of a pack when it starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PackStart {
    /// The pack.
    pub pack: PackId,
    /// Wall time of its first segment's start.
    pub start_wall: WallMs,
    /// Monotonic milliseconds since boot at the same moment.
    pub start_mono_ms: u64,
    /// The boot that these count from.
    pub boot_id: [u8; 16],
}

/// What became of an ended segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SegmentOutcome {
    /// It is durable and may be announced.
    Durable {
        /// Its index in the pack.
        index: u32,
        /// Its first byte in the pack's file.
        offset: u64,
    },
    /// There was no room for it. It is counted as a loss, and not in the pack.
    Dropped {
        /// Why there was none.
        cause: LossCause,
    },
}

/// A pack that was sealed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SealedPack {
    /// The pack.
    pub pack: PackId,
    /// Its manifest, as the trailer has it.
    pub signed: SignedManifest,
    /// Length of its file.
    pub bytes: u64,
}

/// The writer of one camera; one at a time, for one thread. Dropped with a pack open, it leaves the pack to
/// [`Spool::enforce_quota`](crate::Spool::enforce_quota), or to the recovery at the next start.
#[derive(Debug)]
pub struct CameraSpool {
    inner: Arc<Inner>,
    camera: CameraName,
    open: Option<OpenPack>,
    growing: Option<GrowingLoss>,
}

/// The loss that the last dropped segment was counted in.
#[derive(Debug)]
struct GrowingLoss {
    id: String,
    cause: LossCause,
    lost_ms: u64,
}

impl CameraSpool {
    pub(crate) fn new(inner: Arc<Inner>, camera: CameraName) -> Self {
        Self { inner, camera, open: None, growing: None }
    }

    /// The camera.
    #[must_use]
    pub fn camera(&self) -> &CameraName {
        &self.camera
    }

    /// The pack being written.
    #[must_use]
    pub fn open_pack(&self) -> Option<PackId> {
        self.open.as_ref().map(|open| open.start.pack)
    }

    /// Starts a pack. Returns after its name is durable. On a full disk it starts without a file, and segments are
    /// dropped until there is room for one.
    ///
    /// # Errors
    /// A pack is open, or there was one of this name, or the disk fails.
    pub fn start_pack(&mut self, start: PackStart) -> Result<(), SpoolError> {
        let (camera, pack) = (self.camera.clone(), start.pack);
        if self.open.is_some() {
            return Err(SpoolError::WrongState { camera, pack, found: "open", expected: "sealed" });
        }
        // This pack names the one before, so that is sealed first, if it was let go of.
        if let Err(error) = recovery::seal_left_over(&self.inner, Some(&camera)) {
            tracing::warn!(%camera, %error, "abandoned pack is not sealed yet");
        }
        let previous = {
            let state = self.inner.state();
            if state.pack(&camera, pack).is_some() {
                return Err(SpoolError::PackExists { camera, pack });
            }
            state.cameras.get(&camera).map(|shelf| shelf.chain).unwrap_or_default()
        };
        let mut open = OpenPack::new(start, previous);
        self.create_files(&mut open)?;
        self.open = Some(open);
        Ok(())
    }

    /// Writes bytes of the segment that has not ended yet. Nothing is durable before [`CameraSpool::end_segment`].
    ///
    /// # Errors
    /// No pack is open, or the disk fails other than by being full: [`CameraSpool::abandon`] the pack then.
    pub fn append(&mut self, bytes: &[u8]) -> Result<(), SpoolError> {
        let mut open = self.take_open()?;
        let result = self.append_to(&mut open, bytes);
        self.open = Some(open);
        result
    }

    /// Ends the segment that was appended. Returns after its bytes and its line in the journal are durable, or after
    /// it was dropped and counted.
    ///
    /// # Errors
    /// No pack is open, it is full, or `entry` has another length than was appended (the segment is dropped
    /// uncounted); or the disk fails other than by being full: [`CameraSpool::abandon`] the pack then.
    pub fn end_segment(&mut self, entry: &SegmentEntry) -> Result<SegmentOutcome, SpoolError> {
        let mut open = self.take_open()?;
        let result = self.end_segment_of(&mut open, entry);
        self.open = Some(open);
        result
    }

    /// Seals the open pack: signs its manifest, appends it as the trailer, moves the pack to `pending`. Returns after
    /// all of that is durable; `None` when the pack had no segment and was deleted. Bytes after the last ended
    /// segment are dropped.
    ///
    /// # Errors
    /// No pack is open, or the disk fails or is full: the pack stays open, and this may be called again.
    pub fn seal(&mut self) -> Result<Option<SealedPack>, SpoolError> {
        let mut open = self.take_open()?;
        self.close_loss();
        if open.segments.is_empty() {
            open.delete(&self.inner, &self.camera);
            self.forget(open.start.pack);
            return Ok(None);
        }
        match open.seal(&self.inner, &self.camera) {
            Ok(sealed) => Ok(Some(sealed)),
            Err(error) => {
                self.open = Some(open);
                Err(error)
            }
        }
    }

    /// Lets go of the open pack. What is durable of it is sealed when the disk lets it be: before the next pack
    /// starts, by [`Spool::enforce_quota`](crate::Spool::enforce_quota), or at the next start. For a disk that fails.
    pub fn abandon(&mut self) {
        if let Some(open) = &self.open {
            // The caller counts what has not ended, so it must not be found again.
            open.truncate();
        }
        self.let_go();
    }

    fn let_go(&mut self) {
        if let Some(open) = self.open.take() {
            let pack = open.start.pack;
            let mut state = self.inner.state();
            if state.pack(&self.camera, pack).is_some_and(|shelved| shelved.folder == Folder::Open) {
                state.left_open.push((self.camera.clone(), pack));
            }
        }
        self.close_loss();
    }

    fn take_open(&mut self) -> Result<OpenPack, SpoolError> {
        self.open.take().ok_or_else(|| SpoolError::NoOpenPack { camera: self.camera.clone() })
    }

    fn create_files(&self, open: &mut OpenPack) -> Result<(), SpoolError> {
        match self.with_room(4096, || open.create(&self.inner, &self.camera)) {
            Ok(()) => {}
            Err(error) if error.is_full() => return Ok(()),
            Err(error) => return Err(error),
        }
        let shelved = Shelved { folder: Folder::Open, locked: false, readable: Arc::clone(&open.readable) };
        let mut state = self.inner.state();
        state.cameras.entry(self.camera.clone()).or_default().packs.insert(open.start.pack, shelved);
        Ok(())
    }

    fn append_to(&self, open: &mut OpenPack, bytes: &[u8]) -> Result<(), SpoolError> {
        if open.given == 0 {
            open.dropping = self.inner.state().refusing;
            if open.dropping.is_none() && !open.has_files() {
                self.create_files(open)?;
            }
        }
        let offset = open.body_len.saturating_add(open.given);
        open.given = open.given.saturating_add(bytes.len() as u64);
        if open.dropping.is_some() {
            return Ok(());
        }
        match self.with_room(bytes.len() as u64, || open.write(bytes, offset)) {
            Err(error) if error.is_full() => {
                // Gives back at once what was taken: others may need it.
                open.truncate();
                open.dropping = Some(LossCause::DiskFull);
                Ok(())
            }
            result => result,
        }
    }

    fn end_segment_of(
        &mut self,
        open: &mut OpenPack,
        entry: &SegmentEntry,
    ) -> Result<SegmentOutcome, SpoolError> {
        let (given, dropping) = (std::mem::take(&mut open.given), open.dropping.take());
        let (pack, index) = (open.start.pack, open.segments.len());
        let refused = if given != u64::from(entry.len) {
            Some(SpoolError::SegmentLength { pack, index, said: entry.len.into(), given })
        } else {
            (index >= MAX_SEGMENTS_PER_PACK).then_some(SpoolError::PackFull { pack })
        };
        if let Some(error) = refused {
            open.truncate();
            return Err(error);
        }
        let dropping = match dropping {
            Some(cause) => Some(cause),
            None => match self.make_durable(open, entry) {
                Ok(()) => None,
                Err(error) if error.is_full() => Some(LossCause::DiskFull),
                Err(error) => return Err(error),
            },
        };
        if let Some(cause) = dropping {
            open.truncate();
            self.count_dropped(open, entry, cause);
            return Ok(SegmentOutcome::Dropped { cause });
        }
        let offset = open.take_in(entry);
        self.close_loss();
        Ok(SegmentOutcome::Durable { index: u32::try_from(index).unwrap_or(u32::MAX), offset })
    }

    /// First the bytes, then the line that says so. A sync that found no room is not tried again: what it was to
    /// sync may be gone, and a second one would not say so.
    fn make_durable(&self, open: &mut OpenPack, entry: &SegmentEntry) -> Result<(), SpoolError> {
        open.sync()?;
        self.with_room(4096, || open.write_journal(entry))
    }

    /// Runs `act`; where the disk is full, makes room for `bytes` and runs it once more.
    fn with_room(
        &self,
        bytes: u64,
        mut act: impl FnMut() -> Result<(), SpoolError>,
    ) -> Result<(), SpoolError> {
        self.inner.with_room(bytes, &mut act)
    }

    fn count_dropped(&mut self, open: &OpenPack, entry: &SegmentEntry, cause: LossCause) {
        let from = open.start.start_wall.plus_ms(entry.wall_offset_ms.into());
        let lost_ms = u64::from(entry.duration.0 / 90);
        let report = LossReport {
            camera: self.camera.clone(),
            recording: Some(open.start.pack.recording),
            from,
            to: from.plus_ms((entry.duration.0 / 90).into()),
            lost_ms,
            bytes: entry.len.into(),
            cause,
        };
        if self.growing.as_ref().is_some_and(|it| it.cause != cause || it.lost_ms >= MAX_GROWING_LOSS_MS) {
            self.close_loss();
        }
        let growing = match &mut self.growing {
            Some(growing) => {
                growing.lost_ms = growing.lost_ms.saturating_add(lost_ms);
                self.inner.state().losses.extend(&self.camera, &growing.id, &report);
                growing
            }
            None => {
                let id = self.inner.state().losses.add(report, None).id;
                self.growing.insert(GrowingLoss { id, cause, lost_ms })
            }
        };
        tracing::warn!(camera = %self.camera, pack = %open.start.pack, %cause, "segment dropped");
        if let Err(error) = self.inner.write_loss(&self.camera, &growing.id) {
            tracing::warn!(camera = %self.camera, %error, "loss is counted in memory only");
        }
    }

    fn close_loss(&mut self) {
        if let Some(growing) = self.growing.take() {
            self.inner.state().losses.close(&self.camera, &growing.id);
        }
    }

    fn forget(&self, pack: PackId) {
        if let Some(shelf) = self.inner.state().cameras.get_mut(&self.camera) {
            shelf.packs.remove(&pack);
        }
    }
}

impl Drop for CameraSpool {
    fn drop(&mut self) {
        self.let_go();
        if let Some(shelf) = self.inner.state().cameras.get_mut(&self.camera) {
            shelf.taken = false;
        }
    }
}

impl Inner {
    /// Runs `act`; where the disk is full, makes room for `bytes` and runs it once more. The caller must not hold
    /// `moves`.
    pub(crate) fn with_room<T>(
        &self,
        bytes: u64,
        act: &mut impl FnMut() -> Result<T, SpoolError>,
    ) -> Result<T, SpoolError> {
        match act() {
            Err(error) if error.is_full() && self.make_room(bytes)? > 0 => act(),
            result => result,
        }
    }
}
