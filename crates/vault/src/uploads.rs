//! Uploads that are known: which bytes of which pack each one brings, and how far it has come.
//!
//! Belongs here: the table, the record files, and whose turn it is to write. Does not: HTTP, and the pack's bytes.
//! A record is `uploads/<id>`: the offset in 8 bytes, then what the upload is as JSON. The offset is written after
//! each piece and not synced: it survives the death of the process; after a power cut hashes decide.

use std::{
    collections::HashMap,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicI64, AtomicU64, Ordering},
    },
};

use dashvault_base::{CameraName, DeviceId, PackId, WallMs};
use dashvault_disk::{Disk, DiskError, DiskFile, OpenMode};
use dashvault_wire::ByteRange;
use serde::{Deserialize, Serialize};

use crate::archive::objects::ObjectKey;

mod turns;

pub(crate) use turns::{Turn, Turns};

const MAX_RECORD_BYTES: u64 = 4096;
/// Finished uploads of a device that are remembered, so that HEAD can say so.
const MAX_REMEMBERED: usize = 512;

/// What an upload brings.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct UploadTarget {
    pub(crate) device: DeviceId,
    pub(crate) camera: CameraName,
    pub(crate) pack: PackId,
    /// Where in the pack its first byte belongs.
    pub(crate) start: u64,
    /// How many bytes it brings.
    pub(crate) length: u64,
}

/// One upload.
#[derive(Debug)]
pub(crate) struct Upload {
    pub(crate) id: String,
    pub(crate) target: UploadTarget,
    offset: AtomicU64,
    touched: AtomicI64,
    turns: Turns,
    record: Arc<dyn DiskFile>,
    path: PathBuf,
}

/// The device feeds too many uploads at a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{max} uploads are being fed; finish or delete one first")]
pub(crate) struct TooManyUploads {
    pub(crate) max: usize,
}

impl Upload {
    /// Creates the record of a new upload; its folder exists.
    pub(crate) fn create(
        disk: &dyn Disk,
        folder: &Path,
        id: String,
        target: UploadTarget,
        now: WallMs,
    ) -> Result<Self, DiskError> {
        let path = folder.join(&id);
        let record = disk.open(&path, OpenMode::CreateNew)?;
        let mut bytes = 0u64.to_be_bytes().to_vec();
        bytes.extend(serde_json::to_vec(&target).unwrap_or_default());
        record.write_all_at(&bytes, 0)?;
        Ok(Self::new(id, target, 0, now, record, path))
    }

    /// Reads a record; `None` when it is none (torn by a power cut).
    fn load(disk: &dyn Disk, path: PathBuf, id: String, now: WallMs) -> Result<Option<Self>, DiskError> {
        let bytes = match disk.read(&path, MAX_RECORD_BYTES) {
            Ok(bytes) => bytes,
            Err(error) if error.is_not_found() => return Ok(None),
            Err(error) => return Err(error),
        };
        let Some((offset, json)) = bytes.split_first_chunk::<8>() else { return Ok(None) };
        let Ok(target) = serde_json::from_slice::<UploadTarget>(json) else { return Ok(None) };
        let offset = u64::from_be_bytes(*offset).min(target.length);
        let record = disk.open(&path, OpenMode::Write)?;
        Ok(Some(Self::new(id, target, offset, now, record, path)))
    }

    fn new(
        id: String,
        target: UploadTarget,
        offset: u64,
        now: WallMs,
        record: Arc<dyn DiskFile>,
        path: PathBuf,
    ) -> Self {
        Self {
            id,
            target,
            offset: AtomicU64::new(offset),
            touched: AtomicI64::new(now.0),
            turns: Turns::default(),
            record,
            path,
        }
    }

    /// How many bytes have come, in order.
    pub(crate) fn offset(&self) -> u64 {
        self.offset.load(Ordering::Acquire)
    }

    pub(crate) fn is_finished(&self) -> bool {
        self.offset() == self.target.length
    }

    /// Moves the offset. Only the camera's store thread calls this.
    pub(crate) fn set_offset(&self, offset: u64, now: WallMs) -> Result<(), DiskError> {
        self.record.write_all_at(&offset.to_be_bytes(), 0)?;
        self.touched.store(now.0, Ordering::Release);
        self.offset.store(offset, Ordering::Release);
        Ok(())
    }

    /// When the last byte came.
    pub(crate) fn touched(&self) -> WallMs {
        WallMs(self.touched.load(Ordering::Acquire))
    }

    /// Takes the turn; see [`Turns::take`].
    ///
    /// # Cancel safety
    /// The turn is not taken when the future is dropped, but the one before ends all the same.
    pub(crate) async fn take_turn(&self) -> Option<Turn> {
        self.turns.take().await
    }

    /// Whether nobody has the turn.
    fn is_idle(&self) -> bool {
        self.turns.is_idle()
    }

    /// The bytes of the pack that it brought so far.
    pub(crate) fn brought(&self) -> ByteRange {
        ByteRange::new(self.target.start, self.target.start + self.offset())
    }

    /// Deletes its record. A crash may bring the record back; it is harmless.
    pub(crate) fn remove_record(&self, disk: &dyn Disk) -> Result<(), DiskError> {
        match disk.remove(&self.path) {
            Err(error) if !error.is_not_found() => Err(error),
            _ => Ok(()),
        }
    }
}

/// All uploads.
#[derive(Debug, Default)]
pub(crate) struct UploadTable {
    by_id: Mutex<HashMap<String, Arc<Upload>>>,
}

impl UploadTable {
    /// Reads the records that an earlier run left; torn ones are removed.
    pub(crate) fn load(disk: &dyn Disk, folder: &Path, now: WallMs) -> Result<Self, DiskError> {
        disk.create_dir_all(folder)?;
        let table = Self::default();
        for entry in disk.list(folder)? {
            let path = folder.join(&entry.name);
            match Upload::load(disk, path.clone(), entry.name.clone(), now)? {
                Some(upload) => table.insert(Arc::new(upload)),
                None => disk.remove(&path)?,
            }
        }
        Ok(table)
    }

    pub(crate) fn insert(&self, upload: Arc<Upload>) {
        lock(&self.by_id).insert(upload.id.clone(), upload);
    }

    /// An upload of this device; another device's does not exist for it.
    pub(crate) fn find(&self, id: &str, device: &DeviceId) -> Option<Arc<Upload>> {
        lock(&self.by_id).get(id).filter(|upload| upload.target.device == *device).cloned()
    }

    /// Whether the device may begin another one. What has to go for it is given back to be removed: finished ones
    /// that are too many and, at the limit, the unfinished one that nobody has fed for the longest time. What that one
    /// brought stays in its pack; only its offset is forgotten.
    pub(crate) fn admit(&self, device: &DeviceId, max: usize) -> Result<Vec<Arc<Upload>>, TooManyUploads> {
        let mut table = lock(&self.by_id);
        let of_device = table.values().filter(|upload| upload.target.device == *device);
        let (mut finished, unfinished): (Vec<_>, Vec<_>) =
            of_device.cloned().partition(|upload| upload.is_finished());
        let excess = (unfinished.len() + 1).saturating_sub(max);
        let mut idle: Vec<_> = unfinished.into_iter().filter(|upload| upload.is_idle()).collect();
        if excess > idle.len() {
            return Err(TooManyUploads { max });
        }
        idle.sort_by_key(|upload| upload.touched());
        idle.truncate(excess);
        finished.sort_by_key(|upload| upload.touched());
        finished.truncate((finished.len() + 1).saturating_sub(MAX_REMEMBERED));
        finished.append(&mut idle);
        finished.iter().for_each(|upload| drop(table.remove(&upload.id)));
        Ok(finished)
    }

    /// What uploads brought of a pack.
    pub(crate) fn brought(&self, key: &ObjectKey) -> Vec<ByteRange> {
        let table = lock(&self.by_id);
        table.values().filter(|upload| is_of(upload, key)).map(|upload| upload.brought()).collect()
    }

    pub(crate) fn remove(&self, id: &str) -> Option<Arc<Upload>> {
        lock(&self.by_id).remove(id)
    }

    /// Takes out the uploads of a pack that is stored.
    pub(crate) fn remove_pack(&self, key: &ObjectKey) -> Vec<Arc<Upload>> {
        let mut table = lock(&self.by_id);
        let done: Vec<_> = table.values().filter(|upload| is_of(upload, key)).cloned().collect();
        done.iter().for_each(|upload| drop(table.remove(&upload.id)));
        done
    }

    /// Takes out the uploads that nothing came for since `before`.
    pub(crate) fn expire(&self, before: WallMs) -> Vec<Arc<Upload>> {
        let mut table = lock(&self.by_id);
        let old: Vec<_> = table.values().filter(|upload| upload.touched() < before).cloned().collect();
        old.iter().for_each(|upload| drop(table.remove(&upload.id)));
        old
    }
}

fn is_of(upload: &Upload, key: &ObjectKey) -> bool {
    let target = &upload.target;
    (&target.device, &target.camera, target.pack) == (&key.device, &key.camera, key.pack)
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use dashvault_disk::OsDisk;

    use super::*;

    fn target(device: &str) -> UploadTarget {
        UploadTarget {
            device: device.parse().unwrap(),
            camera: "front".parse().unwrap(),
            pack: "20261122-101500_00003".parse().unwrap(),
            start: 188,
            length: 1000,
        }
    }

    fn key(device: &str) -> ObjectKey {
        let UploadTarget { device, camera, pack, .. } = target(device);
        ObjectKey { device, camera, pack }
    }

    fn upload(folder: &Path, id: &str, device: &str) -> Arc<Upload> {
        Arc::new(Upload::create(&OsDisk, folder, id.into(), target(device), WallMs(1)).unwrap())
    }

    #[test]
    fn an_upload_survives_the_process_with_its_offset() {
        let folder = tempfile::tempdir().unwrap();
        let first = upload(folder.path(), "a", "bus");
        first.set_offset(500, WallMs(2)).unwrap();
        std::fs::write(folder.path().join("torn"), [0; 5]).unwrap();
        let table = UploadTable::load(&OsDisk, folder.path(), WallMs(9)).unwrap();
        let again = table.find("a", &"bus".parse().unwrap()).unwrap();
        assert_eq!((again.offset(), &again.target), (500, &target("bus")));
        assert_eq!(table.brought(&key("bus")), [ByteRange::new(188, 688)]);
        assert!(!folder.path().join("torn").exists());
    }

    #[test]
    fn another_devices_upload_does_not_exist() {
        let folder = tempfile::tempdir().unwrap();
        let table = UploadTable::default();
        table.insert(upload(folder.path(), "a", "bus"));
        assert!(table.find("a", &"truck".parse().unwrap()).is_none());
        assert!(table.remove_pack(&key("truck")).is_empty());
        assert_eq!(table.remove_pack(&key("bus")).len(), 1);
    }

    #[tokio::test]
    async fn uploads_that_are_fed_are_limited_and_the_longest_idle_one_makes_room() {
        let folder = tempfile::tempdir().unwrap();
        let table = UploadTable::default();
        let (one, two) = (upload(folder.path(), "a", "bus"), upload(folder.path(), "b", "bus"));
        table.insert(one.clone());
        table.insert(two.clone());
        let device = "bus".parse().unwrap();
        let turns = (one.take_turn().await, two.take_turn().await);
        assert_eq!(table.admit(&device, 2).unwrap_err(), TooManyUploads { max: 2 });
        assert!(table.admit(&"truck".parse().unwrap(), 2).is_ok());
        drop(turns);
        one.set_offset(500, WallMs(3)).unwrap();
        let recycled = table.admit(&device, 2).unwrap();
        assert_eq!(recycled.iter().map(|upload| upload.id.as_str()).collect::<Vec<_>>(), ["b"]);
        assert!(table.find("b", &device).is_none() && table.find("a", &device).is_some());
        one.set_offset(1000, WallMs(4)).unwrap();
        table.insert(upload(folder.path(), "c", "bus"));
        assert!(table.admit(&device, 2).unwrap().is_empty(), "finished ones do not count");
    }

    #[tokio::test]
    async fn the_newest_connection_gets_the_turn_once_the_one_before_is_done() {
        let folder = tempfile::tempdir().unwrap();
        let upload = upload(folder.path(), "a", "bus");
        let first = upload.take_turn().await.unwrap();
        let mut second = std::pin::pin!(upload.take_turn());
        let pending = tokio::select! {
            biased;
            _ = second.as_mut() => false,
            () = std::future::ready(()) => true,
        };
        assert!(pending && first.over.is_cancelled());
        let mut third = std::pin::pin!(upload.take_turn());
        let still_pending = tokio::select! {
            biased;
            _ = third.as_mut() => false,
            () = std::future::ready(()) => true,
        };
        assert!(still_pending);
        drop(first);
        assert!(second.await.is_none(), "a yet newer one wants it");
        assert!(third.await.is_some());
    }
}
