//! Objects as plain files in a folder of the data disk.
//!
//! A put is: sync the file's data, rename it to its key, sync the new folder, the old one, and those above the new one.
//! A key that exists is
//! never replaced; the data folder's lock makes the check and the rename one step.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use dashvault_base::{CameraName, DeviceId, PackId};
use dashvault_disk::{Disk, DiskError, DiskFile, Entry, EntryKind, OpenMode};

use super::{ObjectError, ObjectKey, ObjectReader, ObjectStore, RecordingObjects};

/// Objects below one folder, on the same filesystem as the files that are put.
#[derive(Debug)]
pub struct DirStore {
    disk: Arc<dyn Disk>,
    root: PathBuf,
}

impl DirStore {
    /// A store in `root`, which is created where missing.
    ///
    /// # Errors
    /// When the folder cannot be made.
    pub fn open(disk: Arc<dyn Disk>, root: PathBuf) -> Result<Self, DiskError> {
        disk.create_dir_all(&root)?;
        if let Some(data) = root.parent() {
            disk.sync_dir(data)?;
            // Folders above the data folder may be closed to us; then their names are the operator's care.
            data.ancestors().skip(1).for_each(|above| drop(disk.sync_dir(above)));
        }
        Ok(Self { disk, root })
    }

    /// The file of an object.
    #[must_use]
    pub fn path(&self, key: &ObjectKey) -> PathBuf {
        self.root.join(key.to_string())
    }

    /// Makes the names in `folder` durable, and its own and those above it.
    fn sync_folders(&self, folder: &Path) -> Result<(), ObjectError> {
        for folder in folder.ancestors().take_while(|folder| folder.starts_with(&self.root)) {
            self.disk.sync_dir(folder)?;
        }
        Ok(())
    }

    fn folders(&self, dir: &Path) -> Result<Vec<String>, DiskError> {
        let entries = self.disk.list(dir)?;
        Ok(entries.into_iter().filter(|entry| entry.kind == EntryKind::Dir).map(|entry| entry.name).collect())
    }
}

impl ObjectStore for DirStore {
    fn put_file_durable(&self, key: &ObjectKey, from: &Path) -> Result<(), ObjectError> {
        let to = self.path(key);
        if self.disk.exists(&to)? {
            return Err(ObjectError::Exists(key.clone()));
        }
        self.disk.open(from, OpenMode::Write)?.sync_data()?;
        if let Some(folder) = to.parent() {
            self.disk.create_dir_all(folder)?;
        }
        self.disk.rename_durably(from, &to)?;
        // A killed run may have made the folders above and not lived to sync their names.
        to.parent().and_then(Path::parent).map_or(Ok(()), |above| self.sync_folders(above))
    }

    fn sync(&self, key: &ObjectKey) -> Result<(), ObjectError> {
        let path = self.path(key);
        match self.disk.open(&path, OpenMode::Write) {
            Err(error) if error.is_not_found() => return Err(ObjectError::NotFound(key.clone())),
            opened => opened?.sync_data()?,
        }
        path.parent().map_or(Ok(()), |folder| self.sync_folders(folder))
    }

    fn open(&self, key: &ObjectKey) -> Result<Arc<dyn ObjectReader>, ObjectError> {
        let file = match self.disk.open(&self.path(key), OpenMode::Read) {
            Err(error) if error.is_not_found() => return Err(ObjectError::NotFound(key.clone())),
            opened => opened?,
        };
        let len = file.len()?;
        Ok(Arc::new(FileReader { file, len }))
    }

    fn stat(&self, key: &ObjectKey) -> Result<Option<u64>, ObjectError> {
        match self.disk.len(&self.path(key)) {
            Err(error) if error.is_not_found() => Ok(None),
            len => Ok(Some(len?)),
        }
    }

    fn walk(&self, visit: &mut dyn FnMut(RecordingObjects)) -> Result<(), ObjectError> {
        for device in self.folders(&self.root)? {
            let Ok(device_id) = device.parse::<DeviceId>() else { continue };
            let device_dir = self.root.join(&device);
            for camera in self.folders(&device_dir)? {
                let Ok(camera_name) = camera.parse::<CameraName>() else { continue };
                let camera_dir = device_dir.join(&camera);
                for recording in self.folders(&camera_dir)? {
                    let Ok(id) = recording.parse() else { continue };
                    let entries = self.disk.list(&camera_dir.join(&recording))?;
                    let mut objects: Vec<_> = entries.iter().filter_map(object).collect();
                    objects.retain(|(pack, _)| pack.recording == id);
                    objects.sort_unstable();
                    let (device, camera) = (device_id.clone(), camera_name.clone());
                    visit(RecordingObjects { device, camera, recording: id, objects });
                }
            }
        }
        Ok(())
    }

    fn delete(&self, key: &ObjectKey) -> Result<(), ObjectError> {
        let path = self.path(key);
        // Also what is not there any more is made durably so: an earlier removal may not have been.
        match self.disk.remove_durably(&path) {
            Err(error) if error.is_not_found() => {}
            removed => removed?,
        }
        // Fails while there are others in it; its name may come back after a power cut, empty.
        path.parent().into_iter().for_each(|folder| drop(self.disk.remove_dir(folder)));
        Ok(())
    }
}

fn object(entry: &Entry) -> Option<(PackId, u64)> {
    let pack = entry.name.strip_suffix(".ts").filter(|_| entry.kind == EntryKind::File)?;
    Some((pack.parse().ok()?, entry.len))
}

#[derive(Debug)]
struct FileReader {
    file: Arc<dyn DiskFile>,
    len: u64,
}

impl ObjectReader for FileReader {
    fn len(&self) -> u64 {
        self.len
    }

    fn read_at(&self, into: &mut [u8], offset: u64) -> Result<usize, ObjectError> {
        Ok(self.file.read_at(into, offset)?)
    }
}

#[cfg(test)]
mod tests {
    use dashvault_disk::OsDisk;

    use super::*;
    use crate::archive::objects::conformance;

    #[test]
    fn folder_conforms() {
        let scratch = tempfile::tempdir().unwrap();
        let store = DirStore::open(Arc::new(OsDisk), scratch.path().join("objects")).unwrap();
        conformance::passes(&store, scratch.path());
    }

    #[test]
    fn foreign_names_are_left_out_of_a_walk() {
        let scratch = tempfile::tempdir().unwrap();
        let root = scratch.path().join("objects");
        let store = DirStore::open(Arc::new(OsDisk), root.clone()).unwrap();
        let folder = root.join("bus/main/20261122-101500");
        std::fs::create_dir_all(&folder).unwrap();
        for name in ["notes.txt", "20261122-101500_00000.ts~", "20261122-101501_00000.ts"] {
            std::fs::write(folder.join(name), "x").unwrap();
        }
        std::fs::create_dir_all(root.join("lost+found/x/y")).unwrap();
        let mut seen = Vec::new();
        store.walk(&mut |found| seen.push(found)).unwrap();
        assert_eq!(seen.len(), 1);
        assert_eq!(seen[0].objects, []);
    }
}
