//! Where things lie in the data folder. See `docs/design/vault.md` for what each folder promises.

use std::path::{Path, PathBuf};

use dashvault_base::{CameraName, DeviceId, PackId, RecordingId};
use dashvault_disk::{Disk, DiskError, Operation, OsDisk};

/// The paths of one data folder.
#[derive(Debug, Clone)]
pub(crate) struct Layout {
    root: PathBuf,
}

impl Layout {
    pub(crate) fn new(data: &Path) -> Self {
        Self { root: data.to_owned() }
    }

    /// Creates the folder where it is missing; a new one is its owner's alone, since the index holds live keys.
    pub(crate) fn create_root(&self) -> Result<(), DiskError> {
        if OsDisk.exists(&self.root)? {
            return Ok(());
        }
        OsDisk.create_dir_all(&self.root)?;
        #[cfg(unix)]
        {
            use std::{fs, os::unix::fs::PermissionsExt};
            let private = fs::set_permissions(&self.root, fs::Permissions::from_mode(0o700));
            private.map_err(|source| DiskError::new(Operation::CreateDir, &self.root, source))?;
        }
        Ok(())
    }

    /// Held by the one process that serves the folder.
    pub(crate) fn lock(&self) -> PathBuf {
        self.root.join("vault.lock")
    }

    /// The seed of the vault's own signing key.
    pub(crate) fn key(&self) -> PathBuf {
        self.root.join("vault.key")
    }

    /// The code that makes the first administrator; gone once there is one.
    pub(crate) fn setup_code(&self) -> PathBuf {
        self.root.join("setup.code")
    }

    pub(crate) fn index(&self) -> PathBuf {
        self.root.join("index.sqlite")
    }

    pub(crate) fn objects(&self) -> PathBuf {
        self.root.join("objects")
    }

    /// Finished clips, and those that are being made.
    pub(crate) fn clips(&self) -> PathBuf {
        self.root.join("clips")
    }

    /// A cache of pictures.
    pub(crate) fn thumbnails(&self) -> PathBuf {
        self.root.join("thumbnails")
    }

    pub(crate) fn uploads(&self) -> PathBuf {
        self.root.join("uploads")
    }

    /// Parts of announced packs of one camera.
    pub(crate) fn incoming(&self, device: &DeviceId, camera: &CameraName) -> PathBuf {
        self.root.join("incoming").join(device.as_str()).join(camera.as_str())
    }

    pub(crate) fn part(&self, device: &DeviceId, camera: &CameraName, pack: PackId) -> PathBuf {
        self.incoming(device, camera).join(format!("{pack}.part"))
    }

    /// Foreign footage that is not packs yet.
    pub(crate) fn imports(&self) -> PathBuf {
        self.root.join("imports")
    }

    pub(crate) fn live_root(&self) -> PathBuf {
        self.root.join("live")
    }

    /// Scratches of one camera: a folder for each recording.
    pub(crate) fn live(&self, device: &DeviceId, camera: &CameraName) -> PathBuf {
        self.live_root().join(device.as_str()).join(camera.as_str())
    }

    pub(crate) fn live_recording(
        &self,
        device: &DeviceId,
        camera: &CameraName,
        recording: RecordingId,
    ) -> PathBuf {
        self.live(device, camera).join(recording.to_string())
    }

    /// Open packs of plain publishers.
    pub(crate) fn plain_root(&self) -> PathBuf {
        self.root.join("plain")
    }

    pub(crate) fn plain(&self, device: &DeviceId, camera: &CameraName) -> PathBuf {
        self.plain_root().join(device.as_str()).join(camera.as_str())
    }
}
