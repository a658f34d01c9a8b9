//! What lies in a spool, seen from outside: for `dashvault status` and `dashvault verify`, with or without a recorder.
//!
//! Takes no lock and changes nothing. While a recorder runs, packs may move on between two looks.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use dashvault_base::{CameraName, LossCause, PackId};
use dashvault_disk::{Disk, EntryKind};
use serde::Serialize;

use crate::{Folder, Loss, SpoolError, SpoolLayout, layout::Named};

/// One pack as it lies on disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PackOnDisk {
    /// The camera.
    pub camera: CameraName,
    /// The pack.
    pub pack: PackId,
    /// Its state.
    pub folder: Folder,
    /// Its file.
    pub path: PathBuf,
    /// The file's length.
    pub bytes: u64,
}

/// A spool at a glance.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct SpoolStatus {
    /// By camera.
    pub cameras: BTreeMap<CameraName, CameraStatus>,
}

/// One camera's part of a spool.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct CameraStatus {
    /// Packs that are (or after a crash were) being written.
    pub open: FolderStatus,
    /// Packs that the vault has not confirmed.
    pub pending: FolderStatus,
    /// Packs that the vault has.
    pub stored: FolderStatus,
    /// How many packs events keep.
    pub locked: u64,
    /// How many losses the vault has not acknowledged.
    pub losses: u64,
    /// Their length in milliseconds by cause.
    pub lost_ms: BTreeMap<LossCause, u64>,
}

/// The packs in one folder.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct FolderStatus {
    /// How many.
    pub packs: u64,
    /// Their bytes.
    pub bytes: u64,
    /// The first recorded.
    pub oldest: Option<PackId>,
    /// The last recorded.
    pub newest: Option<PackId>,
}

/// Every pack of the spool at `root`, by camera and in the order they were recorded; a pack that is in two folders is
/// listed twice. No packs where there is no spool.
///
/// # Errors
/// The disk fails.
pub fn scan_packs(disk: &dyn Disk, root: &Path) -> Result<Vec<PackOnDisk>, SpoolError> {
    let layout = SpoolLayout::new(root);
    let mut packs = Vec::new();
    for camera in cameras(disk, &layout)? {
        for folder in Folder::ALL {
            for (name, bytes) in files(disk, &layout.folder(&camera, folder))? {
                if let Named::Pack(pack) = Named::parse(&name) {
                    let path = layout.pack(&camera, folder, pack);
                    packs.push(PackOnDisk { camera: camera.clone(), pack, folder, path, bytes });
                }
            }
        }
    }
    packs.sort_by(|a, b| (&a.camera, a.pack, a.folder).cmp(&(&b.camera, b.pack, b.folder)));
    Ok(packs)
}

impl SpoolStatus {
    /// Looks at the spool at `root`.
    ///
    /// # Errors
    /// The disk fails.
    pub fn scan(disk: &dyn Disk, root: &Path) -> Result<Self, SpoolError> {
        let layout = SpoolLayout::new(root);
        let mut status = Self::default();
        for pack in scan_packs(disk, root)? {
            status.cameras.entry(pack.camera.clone()).or_default().folder(pack.folder).add(&pack);
        }
        for camera in cameras(disk, &layout)? {
            let markers = files(disk, &layout.locked(&camera))?;
            let locked = markers.iter().filter(|(name, _)| name.parse::<PackId>().is_ok()).count() as u64;
            let losses = losses(disk, &layout, &camera)?;
            let of_camera = status.cameras.entry(camera).or_default();
            of_camera.locked = locked;
            of_camera.losses = losses.len() as u64;
            for loss in losses {
                *of_camera.lost_ms.entry(loss.cause).or_default() += loss.lost_ms;
            }
        }
        Ok(status)
    }
}

impl CameraStatus {
    fn folder(&mut self, folder: Folder) -> &mut FolderStatus {
        match folder {
            Folder::Open => &mut self.open,
            Folder::Pending => &mut self.pending,
            Folder::Stored => &mut self.stored,
        }
    }
}

impl FolderStatus {
    fn add(&mut self, pack: &PackOnDisk) {
        self.packs += 1;
        self.bytes = self.bytes.saturating_add(pack.bytes);
        self.oldest = Some(self.oldest.map_or(pack.pack, |oldest| oldest.min(pack.pack)));
        self.newest = self.newest.max(Some(pack.pack));
    }
}

fn cameras(disk: &dyn Disk, layout: &SpoolLayout) -> Result<Vec<CameraName>, SpoolError> {
    let entries = match disk.list(layout.root()) {
        Err(error) if error.is_not_found() => return Ok(Vec::new()),
        result => result?,
    };
    let dirs = entries.into_iter().filter(|entry| entry.kind == EntryKind::Dir);
    let mut cameras = Vec::new();
    for camera in dirs.filter_map(|entry| entry.name.parse::<CameraName>().ok()) {
        for folder in Folder::ALL {
            if disk.exists(&layout.folder(&camera, folder))? {
                cameras.push(camera);
                break;
            }
        }
    }
    Ok(cameras)
}

/// The plain files of a folder; none where there is no folder.
fn files(disk: &dyn Disk, dir: &Path) -> Result<Vec<(String, u64)>, SpoolError> {
    let entries = match disk.list(dir) {
        Err(error) if error.is_not_found() => return Ok(Vec::new()),
        result => result?,
    };
    let files = entries.into_iter().filter(|entry| entry.kind == EntryKind::File);
    Ok(files.map(|entry| (entry.name, entry.len)).collect())
}

fn losses(disk: &dyn Disk, layout: &SpoolLayout, camera: &CameraName) -> Result<Vec<Loss>, SpoolError> {
    let mut losses = Vec::new();
    for (name, _) in files(disk, &layout.losses(camera))? {
        let Some(id) = name.strip_suffix(".json") else { continue };
        match Loss::read(disk, layout, camera, id) {
            Ok(loss) => losses.extend(loss),
            // Acknowledged meanwhile.
            Err(error) if error.is_not_found() => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(losses)
}
