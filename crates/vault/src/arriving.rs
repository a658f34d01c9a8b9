//! Packs that are not complete here yet, as viewers see them: their segments play before the pack is durable.
//!
//! Belongs here: asking the store threads for them, reading their bytes. Does not: how bytes are judged (`assembler`), HTTP.
//!
//! A segment is shown once its hash was found right (an announced pack's) or it has ended (a plain publisher's). It lies
//! in its file where it will lie in the object, so a byte range of a playlist stays true when the pack is stored.

use std::{sync::Arc, time::Duration};

use dashvault_base::{CameraName, ContentHash, DeviceId, PackId, WallMs};
use dashvault_disk::DiskFile;
use dashvault_wire::ByteRange;

use crate::{
    archive::{
        index::{How, IndexError, SegmentRow},
        objects::{ObjectError, ObjectKey, ObjectReader},
    },
    core::Core,
    store::Track,
    thumbnails::Shot,
    timeline::{Contents, Entry, Held, PackRuns, PlaylistPack, Sources, Stage, WallRange},
};

/// A store thread that does not answer within this is busy with its disk: what it has is left out.
const PATIENCE: Duration = Duration::from_millis(500);

/// A pack that is not complete, or not durable.
#[derive(Debug)]
pub(crate) struct ArrivingPack {
    pub(crate) id: PackId,
    pub(crate) contents: Contents,
    pub(crate) file: Arc<dyn DiskFile>,
}

impl ArrivingPack {
    /// Whether all bytes of `range` are those of segments that are here.
    pub(crate) fn has(&self, range: ByteRange) -> bool {
        let (mut start, mut covered) = (0, range.start);
        for entry in &self.contents.0 {
            let end = start + u64::from(entry.bytes);
            if entry.held != Held::OnVehicle && start <= covered && covered < end {
                covered = end;
            }
            start = end;
        }
        !range.is_empty() && covered >= range.end
    }

    fn keyframe_at(&self, device: &DeviceId, camera: &CameraName, at: WallMs) -> Option<Shot> {
        let key = ObjectKey { device: device.clone(), camera: camera.clone(), pack: self.id };
        let mut end = 0;
        let placed = self.contents.0.iter().map(|entry| {
            let start_byte = end;
            end += u64::from(entry.bytes);
            (start_byte, entry)
        });
        let fits = |(_, entry): &(u64, &Entry)| {
            entry.keyframe && entry.held != Held::OnVehicle && entry.timing.wall <= at
        };
        let (start_byte, entry) = placed.filter(fits).last()?;
        let segment = SegmentRow {
            start_byte,
            bytes: entry.bytes,
            // Names the picture as well as its bytes' hash, which is not known of every segment here, would.
            hash: ContentHash::of(format!("{key} {start_byte}").as_bytes()),
            start_pts: entry.timing.pts,
            start_wall: entry.timing.wall,
            duration: entry.timing.duration,
            how: How::Unknown,
            keyframe: true,
            damaged: false,
        };
        let arriving = Some(self.reader(&key));
        Some(Shot { key, segment, arriving })
    }

    /// To read what [`ArrivingPack::has`] says is here.
    pub(crate) fn reader(&self, key: &ObjectKey) -> Arc<dyn ObjectReader> {
        let len = self.contents.0.iter().map(|entry| u64::from(entry.bytes)).sum();
        Arc::new(ArrivingReader { key: key.clone(), file: self.file.clone(), len })
    }
}

impl Core {
    /// The packs of a camera that are not stored and have segments within `range`; none while its store thread is busy.
    pub(crate) async fn arriving(
        &self,
        device: &DeviceId,
        camera: &CameraName,
        range: WallRange,
    ) -> Vec<ArrivingPack> {
        let track = Track { device: device.clone(), camera: camera.clone() };
        let asked = tokio::time::timeout(PATIENCE, self.store.arriving(track, range)).await;
        asked.ok().and_then(Result::ok).unwrap_or_default()
    }

    /// All that is known of a range, for [`crate::timeline::spans`].
    pub(crate) async fn timeline_sources(
        &self,
        device: &DeviceId,
        camera: &CameraName,
        range: WallRange,
    ) -> Result<Sources, IndexError> {
        // The store first: a pack that is committed between the two is in both rather than in neither.
        let arriving = self.arriving(device, camera, range).await;
        let mut sources = self.index.timeline_sources(device, camera, range).await?;
        let runs = |pack: &ArrivingPack| {
            PackRuns::of(pack.id.recording, pack.id.number, Stage::Arriving, &pack.contents)
        };
        let is_older_news = |known: &PackRuns| {
            known.stage == Stage::Arriving
                && arriving
                    .iter()
                    .any(|pack| (pack.id.recording, pack.id.number) == (known.recording, known.number))
        };
        sources.packs.retain(|known| !is_older_news(known));
        sources.packs.extend(arriving.iter().map(runs));
        Ok(sources)
    }

    /// What can be played of a range.
    pub(crate) async fn playable(
        &self,
        device: &DeviceId,
        camera: &CameraName,
        range: WallRange,
    ) -> Result<Vec<PlaylistPack>, IndexError> {
        let arriving = self.arriving(device, camera, range).await;
        let mut packs = self.index.pack_contents(device, camera, range).await?;
        for pack in arriving {
            if packs.iter().all(|stored| stored.key.pack != pack.id) {
                let key = ObjectKey { device: device.clone(), camera: camera.clone(), pack: pack.id };
                packs.push(PlaylistPack { key, contents: pack.contents });
            }
        }
        Ok(packs)
    }

    /// The last keyframe at or before a moment, in a stored pack or in one that arrives.
    pub(crate) async fn keyframe_at(
        &self,
        device: &DeviceId,
        camera: &CameraName,
        at: WallMs,
    ) -> Result<Option<Shot>, IndexError> {
        let arriving = self.arriving(device, camera, WallRange::ALL).await;
        let stored = self.index.keyframe_at(device, camera, at).await?;
        let newest = arriving.iter().filter_map(|pack| pack.keyframe_at(device, camera, at));
        Ok(newest.chain(stored).max_by_key(|shot| shot.segment.start_wall))
    }
}

#[derive(Debug)]
struct ArrivingReader {
    key: ObjectKey,
    file: Arc<dyn DiskFile>,
    len: u64,
}

impl ObjectReader for ArrivingReader {
    fn len(&self) -> u64 {
        self.len
    }

    fn read_at(&self, into: &mut [u8], offset: u64) -> Result<usize, ObjectError> {
        match self.file.read_at(into, offset)? {
            0 if !into.is_empty() && offset < self.len => Err(ObjectError::Short(self.key.clone())),
            read => Ok(read),
        }
    }
}
