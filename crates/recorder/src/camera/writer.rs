//! The thread that writes one camera's packs.
//!
//! Belongs here: segments into packs, packs into the spool, and both into the book. Not here: how files are made
//! durable (`dashvault-spool`).
//!
//! Invariants: the book hears of a segment only after it is durable; a segment that does not come to the disk is counted
//! as a loss with its cause; a disk that fails ends the pack, never the recording.

use std::sync::Arc;
use std::time::Instant;

use dashvault_base::{LossCause, PackId, RecordingId, WallMs};
use dashvault_media::{PackCutter, PackLimits, Segment, SegmentEntry};
use dashvault_spool::{CameraSpool, LossReport, PackStart, SealedPack, SegmentOutcome, SpoolError};
use dashvault_wire::SegmentNotice;

use super::downtime::{Ended, MAX_GROWING_LOSS_MS};
use super::queue::{Began, Item, Queue};
use crate::backfill::{PackKey, SealedFact, SegmentFact};
use crate::boot::Boot;
use crate::shared::Shared;

/// Writes one camera.
pub(super) struct Writer {
    shared: Arc<Shared>,
    index: usize,
    boot: Boot,
    spool: Option<CameraSpool>,
    limits: PackLimits,
    recording: Option<Recording>,
    growing: Option<Ended>,
}

struct Recording {
    id: RecordingId,
    next_pack: u32,
    cutter: PackCutter,
    pack: Option<OpenPack>,
    /// When the open segment began.
    segment: Option<Began>,
    /// The disk refused part of the open segment.
    spoilt: bool,
}

#[derive(Clone, Copy)]
struct OpenPack {
    id: PackId,
    began: Began,
}

impl Writer {
    pub(super) fn new(shared: Arc<Shared>, index: usize, boot: Boot) -> Self {
        let target_90k = u64::from(shared.config.pack_seconds) * 90_000;
        let limits = PackLimits { target_90k, ..PackLimits::default() };
        Self { shared, index, boot, spool: None, limits, recording: None, growing: None }
    }

    /// Writes until the queue ends.
    pub(super) fn run(mut self, queue: &Queue) {
        self.open_spool();
        while let Some(item) = queue.pop() {
            self.take(item);
        }
        self.end();
    }

    /// Opens the camera's part of the spool, where it is not open: the disk may have come back.
    fn open_spool(&mut self) {
        if self.spool.is_some() {
            return;
        }
        let camera = &self.shared.cameras[self.index].name;
        match self.shared.spool.camera(camera) {
            Ok(spool) => self.spool = Some(spool),
            Err(error) => {
                tracing::error!(%camera, error = %with_sources(&error), "camera's part of the spool cannot be written");
            }
        }
    }

    fn take(&mut self, item: Item) {
        match item {
            Item::Begin(id) => {
                self.end();
                let cutter = PackCutter::new(self.limits);
                self.recording =
                    Some(Recording { id, next_pack: 0, cutter, pack: None, segment: None, spoilt: false });
            }
            Item::Open(began) => self.open(began),
            Item::Bytes(bytes) => self.append(&bytes),
            Item::Close { segment, number, whole } => self.close(&segment, number, whole),
            Item::End => self.end(),
            Item::Lost(ended) => self.lost(&ended),
        }
    }

    fn open(&mut self, began: Began) {
        self.open_spool();
        let Some(recording) = &mut self.recording else { return };
        recording.segment = Some(began);
        recording.spoilt = false;
        let Some(spool) = &mut self.spool else { return };
        if recording.pack.is_some() {
            return;
        }
        let id = PackId { recording: recording.id, number: recording.next_pack };
        recording.next_pack += 1;
        let start = PackStart {
            pack: id,
            start_wall: began.wall,
            start_mono_ms: self.boot.ms_at(began.at),
            boot_id: self.boot.id,
        };
        match spool.start_pack(start) {
            Ok(()) => recording.pack = Some(OpenPack { id, began }),
            Err(error) => self.failed(&error),
        }
    }

    fn append(&mut self, bytes: &[u8]) {
        let (Some(recording), Some(spool)) = (&mut self.recording, &mut self.spool) else { return };
        if recording.pack.is_none() || recording.spoilt {
            return;
        }
        if let Err(error) = spool.append(bytes) {
            self.failed(&error);
        }
    }

    fn close(&mut self, segment: &Segment, number: u64, whole: bool) {
        let Some(recording) = &mut self.recording else { return };
        let began = recording.segment.take();
        let Some(spool) = &mut self.spool else {
            return self.count_lost(segment, began, LossCause::DiskFull);
        };
        let (Some(pack), Some(began), false) = (recording.pack, began, recording.spoilt) else {
            let cause = LossCause::Overflow;
            return self.count_lost(segment, began, cause);
        };
        let wall_offset_ms = offset_ms(pack.began, began);
        // A segment of which bytes are missing is dropped by the spool for its length.
        match spool.end_segment(&entry(segment, wall_offset_ms)) {
            Ok(SegmentOutcome::Durable { offset, .. }) => {
                self.close_loss();
                self.durable(pack, segment, number, wall_offset_ms, offset);
            }
            // The spool has counted it.
            Ok(SegmentOutcome::Dropped { .. }) => {}
            Err(SpoolError::SegmentLength { .. }) if !whole => {
                self.count_lost(segment, Some(began), LossCause::Overflow);
            }
            Err(error) => {
                self.failed(&error);
                self.count_lost(segment, Some(began), LossCause::Overflow);
            }
        }
        let full = self.recording.as_mut().is_some_and(|recording| recording.cutter.closed(segment));
        if full {
            self.seal();
        }
    }

    fn durable(&self, pack: OpenPack, segment: &Segment, number: u64, at: u32, offset: u64) {
        let Segment { len, hash, start_pts: pts, duration: dur, .. } = *segment;
        let fact = SegmentFact { number, notice: SegmentNotice { len, hash, pts, dur, at } };
        self.shared.book().durable(Instant::now(), self.key(pack.id), pack.began.wall, fact, offset);
        self.shared.book_news.notify_one();
    }

    fn seal(&mut self) {
        let (Some(recording), Some(spool)) = (&mut self.recording, &mut self.spool) else { return };
        let Some(pack) = recording.pack.take() else { return };
        match spool.seal() {
            Ok(Some(sealed)) => {
                self.shared.book().sealed(self.key(pack.id), sealed_fact(&sealed));
                self.shared.book_news.notify_one();
            }
            Ok(None) => self.shared.book().gone(self.key(pack.id)),
            // It is sealed later, from its file: see `Spool::enforce_quota`.
            Err(error) => self.failed(&error),
        }
    }

    fn end(&mut self) {
        self.close_loss();
        self.seal();
        self.recording = None;
    }

    /// The disk failed: what is durable of the pack stays for the spool's recovery, and the next segment begins another.
    fn failed(&mut self, error: &SpoolError) {
        tracing::error!(camera = %self.shared.cameras[self.index].name, error = %with_sources(error), "spool failed");
        if let Some(spool) = &mut self.spool {
            spool.abandon();
        }
        if let Some(recording) = &mut self.recording {
            recording.pack = None;
            recording.spoilt = true;
            recording.cutter = PackCutter::new(self.limits);
        }
    }

    /// Losses that follow each other are one.
    fn count_lost(&mut self, segment: &Segment, began: Option<Began>, cause: LossCause) {
        let ms = u64::from(segment.duration.0 / 90);
        let from = began.map_or(WallMs(0), |began| began.wall);
        let to = from.plus_ms(i64::try_from(ms).unwrap_or(i64::MAX));
        if self.growing.as_ref().is_some_and(|loss| loss.lost_ms >= MAX_GROWING_LOSS_MS) {
            self.close_loss();
        }
        let camera = self.shared.cameras[self.index].name.clone();
        let recording = self.recording.as_ref().map(|recording| recording.id);
        let bytes = u64::from(segment.len);
        let report = LossReport { camera, recording, from, to, lost_ms: ms, bytes, cause };
        match &mut self.growing {
            Some(growing) => {
                growing.lost_ms += ms;
                self.shared.spool.extend_loss(&growing.id, &report);
            }
            None => {
                let id = self.shared.spool.begin_loss(report);
                self.growing = Some(Ended { id, lost_ms: ms, cause });
            }
        }
    }

    fn close_loss(&mut self) {
        if let Some(growing) = self.growing.take() {
            self.lost(&growing);
        }
    }

    /// What was counted as a loss is complete.
    fn lost(&self, Ended { id, lost_ms, cause }: &Ended) {
        let camera = &self.shared.cameras[self.index].name;
        tracing::warn!(%camera, %cause, lost_ms, "footage lost");
        self.loss_kept(self.shared.spool.end_loss(camera, id));
    }

    fn loss_kept(&self, kept: Result<(), SpoolError>) {
        if let Err(error) = kept {
            tracing::warn!(error = %with_sources(&error), "loss is counted in memory only");
        }
        self.shared.book_news.notify_one();
    }

    fn key(&self, pack: PackId) -> PackKey {
        PackKey { camera: self.index, pack }
    }
}

pub(crate) fn sealed_fact(sealed: &SealedPack) -> SealedFact {
    SealedFact::of(sealed.signed.manifest(), sealed.bytes)
}

fn entry(segment: &Segment, wall_offset_ms: u32) -> SegmentEntry {
    let Segment { len, hash, start_pts, duration, keyframe, damaged, .. } = *segment;
    SegmentEntry { len, hash, start_pts, duration, wall_offset_ms, keyframe, damaged }
}

fn offset_ms(pack: Began, segment: Began) -> u32 {
    let since = segment.at.saturating_duration_since(pack.at).as_millis();
    u32::try_from(since).unwrap_or(u32::MAX)
}

/// The error with its causes, on one line.
pub(crate) fn with_sources(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text += &format!(": {cause}");
        source = cause.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use bytes::Bytes;
    use dashvault_base::{ContentHash, Pts, Ticks90k};
    use dashvault_disk::OsDisk;
    use dashvault_media::{ClosedBy, SigningKey};
    use dashvault_spool::{Folder, Spool, SpoolConfig};

    use super::*;
    use crate::config::RecorderConfig;
    use crate::governor::Governor;

    const LEN: usize = 188 * 4;

    /// One segment as the reader would queue it; of one that is not whole, the second half is missing.
    fn segment(queue: &Queue, number: u64, whole: bool) {
        let bytes = vec![u8::try_from(number).unwrap(); LEN];
        let began = Began { wall: WallMs(1000 * i64::try_from(number).unwrap()), at: Instant::now() };
        queue.push(Item::Open(began));
        let queued = if whole { &bytes[..] } else { &bytes[..LEN / 2] };
        assert!(queue.push_bytes(Bytes::copy_from_slice(queued), Duration::ZERO));
        let segment = Segment {
            len: u32::try_from(LEN).unwrap(),
            hash: ContentHash::of(&bytes),
            start_pts: Some(Pts(0)),
            duration: Ticks90k(90_000),
            keyframe: true,
            damaged: false,
            closed_by: ClosedBy::Keyframe,
        };
        queue.push(Item::Close { segment, number, whole });
    }

    fn write(segments: &[bool]) -> (tempfile::TempDir, Arc<Shared>) {
        let (folder, shared) = shared();
        let queue = Queue::new(1 << 20);
        queue.push(Item::Begin("20260101-120000".parse().unwrap()));
        segments.iter().zip(0..).for_each(|(whole, number)| segment(&queue, number, *whole));
        queue.push(Item::End);
        queue.close();
        Writer::new(Arc::clone(&shared), 0, Boot::read()).run(&queue);
        (folder, shared)
    }

    fn shared() -> (tempfile::TempDir, Arc<Shared>) {
        let folder = tempfile::tempdir().unwrap();
        let config =
            RecorderConfig { cameras: vec!["front=test".parse().unwrap()], ..RecorderConfig::default() };
        let key = SigningKey::from_seed([1; 32]);
        let opened =
            Spool::open(Arc::new(OsDisk), folder.path(), config.device.clone(), key, SpoolConfig::default());
        let governor = Governor::new(Instant::now(), 0, None);
        let shared = Arc::new(Shared::new(config, opened.unwrap().0, governor));
        (folder, shared)
    }

    #[test]
    fn loss_that_still_grows_shows_at_once_and_counts_once_when_it_has_ended() {
        let (_folder, shared) = shared();
        let (queue, name) = (Queue::new(1 << 20), "front".parse().unwrap());
        let mut writer = Writer::new(Arc::clone(&shared), 0, Boot::read());
        let shown = || shared.lost_ms(&name).get(&LossCause::Overflow).copied();
        queue.push(Item::Begin("20260101-120000".parse().unwrap()));
        for (number, expected) in [(0, 1000), (1, 2000)] {
            segment(&queue, number, false);
            (0..3 + usize::from(number == 0)).for_each(|_| writer.take(queue.pop().unwrap()));
            assert_eq!(shown(), Some(expected));
            assert_eq!(shared.losses().len(), 0, "it is not announced while it grows");
        }
        writer.take(Item::End);
        // Nobody but the last snapshot looks after the end.
        assert_eq!(shown(), Some(2000));
        assert_eq!(shared.losses().len(), 1);
    }

    #[test]
    fn segment_that_found_no_room_in_the_queue_is_lost_whole_and_the_others_are_kept() {
        let (_folder, shared) = write(&[true, false, false, true]);
        let packs = shared.spool.packs(Folder::Pending);
        assert_eq!(packs.len(), 1);
        let signed = shared.spool.manifest(&packs[0].camera, packs[0].pack).unwrap();
        let hashes: Vec<_> = signed.manifest().segments.iter().map(|segment| segment.hash).collect();
        assert_eq!(hashes, [ContentHash::of(&[0; LEN]), ContentHash::of(&[3; LEN])]);
        let losses = shared.losses();
        assert_eq!(losses.len(), 1, "losses that follow each other are one");
        assert_eq!((losses[0].cause, losses[0].lost_ms), (LossCause::Overflow, 2000));
        assert_eq!((losses[0].from, losses[0].to), (WallMs(1000), WallMs(3000)));
    }

    #[test]
    fn book_knows_what_is_durable_and_what_is_sealed() {
        let (_folder, shared) = write(&[true, true, false]);
        let book = shared.book();
        assert_eq!((book.tally(0).captured.segments, book.backlog(0).pending), (2, 1));
        let pack = PackId { recording: "20260101-120000".parse().unwrap(), number: 0 };
        assert_eq!(book.sealed_fact(PackKey { camera: 0, pack }).unwrap().segments, 2);
    }
}
