//! [`ObjectStore`]: where finished packs live, under keys that never change their content.
//!
//! Belongs here: the trait, keys, errors. Does not: what is in an object, or which ones the index knows.
//! Blocking; called on the store's own threads. A folder is one backend, an S3 bucket fits behind the same trait:
//! nothing here asks for conditional writes, renames or appends, and keys are unique by name.

use std::{fmt, path::Path, sync::Arc};

use dashvault_base::{CameraName, DeviceId, PackId, RecordingId};
use dashvault_disk::DiskError;

#[cfg(test)]
pub(crate) mod conformance;
mod dir;

pub use dir::DirStore;

/// One pack's object: `<device>/<camera>/<recording>/<recording>_<NNNNN>.ts`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ObjectKey {
    /// The device.
    pub device: DeviceId,
    /// The camera.
    pub camera: CameraName,
    /// The pack.
    pub pack: PackId,
}

impl fmt::Display for ObjectKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { device, camera, pack } = self;
        write!(f, "{device}/{camera}/{}/{}", pack.recording, pack.file_name())
    }
}

/// The objects of one recording, by number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordingObjects {
    /// The device.
    pub device: DeviceId,
    /// The camera.
    pub camera: CameraName,
    /// The recording.
    pub recording: RecordingId,
    /// Pack and length in bytes of each object, in order of their numbers.
    pub objects: Vec<(PackId, u64)>,
}

/// A store of immutable objects.
pub trait ObjectStore: fmt::Debug + Send + Sync + 'static {
    /// Moves the file at `from` into the store. Returns after content and name are durable; `from` is gone then.
    ///
    /// # Errors
    /// [`ObjectError::Exists`] when the key is taken: nothing is changed. Any other: the object may or may not be
    /// there, and `from` is still there unless the object is.
    fn put_file_durable(&self, key: &ObjectKey, from: &Path) -> Result<(), ObjectError>;

    /// Returns after content and name of an object that is there are durable, whoever put it. A put that was
    /// interrupted leaves one that can be read and may be gone after a power cut.
    ///
    /// # Errors
    /// [`ObjectError::NotFound`], or when the backend fails.
    fn sync(&self, key: &ObjectKey) -> Result<(), ObjectError>;

    /// Opens an object for reading by position.
    ///
    /// # Errors
    /// [`ObjectError::NotFound`].
    fn open(&self, key: &ObjectKey) -> Result<Arc<dyn ObjectReader>, ObjectError>;

    /// An object's length in bytes; `None` when there is none.
    ///
    /// # Errors
    /// When the backend fails.
    fn stat(&self, key: &ObjectKey) -> Result<Option<u64>, ObjectError>;

    /// Shows every recording that has objects, in order of device, camera and recording. What is not named like an
    /// object is left out.
    ///
    /// # Errors
    /// When the backend fails.
    fn walk(&self, visit: &mut dyn FnMut(RecordingObjects)) -> Result<(), ObjectError>;

    /// Removes an object, durably; one that is not there is no error.
    ///
    /// # Errors
    /// When the backend fails.
    fn delete(&self, key: &ObjectKey) -> Result<(), ObjectError>;
}

/// An open object.
pub trait ObjectReader: fmt::Debug + Send + Sync {
    /// Its length in bytes.
    fn len(&self) -> u64;

    /// Whether it has no bytes.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Reads at `offset`; gives how many bytes, 0 only at the end.
    ///
    /// # Errors
    /// When the backend fails.
    fn read_at(&self, into: &mut [u8], offset: u64) -> Result<usize, ObjectError>;
}

/// Why an object operation failed.
#[derive(Debug, thiserror::Error)]
pub enum ObjectError {
    /// The key is taken.
    #[error("object {0} exists already")]
    Exists(ObjectKey),
    /// There is no such object.
    #[error("there is no object {0}")]
    NotFound(ObjectKey),
    /// It has fewer bytes than the index says.
    #[error("object {0} ends too early")]
    Short(ObjectKey),
    /// The folder's disk failed.
    #[error("object store's disk failed")]
    Disk(#[from] DiskError),
}

impl ObjectError {
    /// Whether there is no room left.
    #[must_use]
    pub fn is_full(&self) -> bool {
        matches!(self, Self::Disk(error) if error.is_full())
    }
}

/// `Read + Seek` over an object, for the pack verifier.
#[derive(Debug)]
pub(crate) struct SeekingReader {
    object: Arc<dyn ObjectReader>,
    position: u64,
}

impl SeekingReader {
    pub(crate) fn new(object: Arc<dyn ObjectReader>) -> Self {
        Self { object, position: 0 }
    }
}

impl std::io::Read for SeekingReader {
    fn read(&mut self, into: &mut [u8]) -> std::io::Result<usize> {
        let read = self.object.read_at(into, self.position).map_err(std::io::Error::other)?;
        self.position += read as u64;
        Ok(read)
    }
}

impl std::io::Seek for SeekingReader {
    fn seek(&mut self, to: std::io::SeekFrom) -> std::io::Result<u64> {
        let target = match to {
            std::io::SeekFrom::Start(offset) => Some(offset),
            std::io::SeekFrom::Current(delta) => self.position.checked_add_signed(delta),
            std::io::SeekFrom::End(delta) => self.object.len().checked_add_signed(delta),
        };
        self.position = target.ok_or(std::io::ErrorKind::InvalidInput)?;
        Ok(self.position)
    }
}
