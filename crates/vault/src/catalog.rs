//! What the vault holds, read from a data folder with or without a server on it.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::Arc,
};

use dashvault_base::{CameraName, ContentHash, DeviceId, PackId, WallMs};
use dashvault_disk::OsDisk;

use crate::{
    archive::{
        index::{Index, IndexError},
        objects::{DirStore, ObjectError, ObjectKey, ObjectStore},
    },
    layout::Layout,
};

/// One object, as the store and the index know it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObjectInfo {
    /// The device.
    pub device: DeviceId,
    /// The camera.
    pub camera: CameraName,
    /// The pack.
    pub pack: PackId,
    /// The file.
    pub path: PathBuf,
    /// Its length in bytes; `None` when the index knows it but the file is missing.
    pub bytes: Option<u64>,
    /// What the index says; `None` when the file is there but not indexed.
    pub indexed: Option<IndexedObject>,
}

/// The index's entry of an object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IndexedObject {
    /// The hash of the pack's manifest.
    pub manifest: ContentHash,
    /// The object's length in bytes.
    pub bytes: u64,
    /// How many segments it has.
    pub segments: u32,
    /// When it was stored.
    pub stored_at: WallMs,
    /// When the vault noticed that the object is gone, or is not what was stored.
    pub missing_since: Option<WallMs>,
    /// When retention, or an administrator, deleted it: then the object is gone on purpose, and the entry is the proof
    /// that it was stored.
    pub expired_at: Option<WallMs>,
}

/// Why the catalog cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum CatalogError {
    /// The folder cannot be read.
    #[error(transparent)]
    Objects(#[from] ObjectError),
    /// The index cannot be read.
    #[error(transparent)]
    Index(#[from] IndexError),
    /// The folder is not there.
    #[error("{} is no vault's data folder", .0.display())]
    NoVault(PathBuf),
}

/// All objects of the vault in `data`, in order of device, camera and pack: the union of files and index.
///
/// Reads only folders and the index, so it blocks for a moment; no object is opened.
///
/// # Errors
/// [`CatalogError`] when either cannot be read.
pub async fn list_objects(data: &Path) -> Result<Vec<ObjectInfo>, CatalogError> {
    let layout = Layout::new(data);
    if !layout.index().exists() && !layout.objects().exists() {
        return Err(CatalogError::NoVault(data.to_owned()));
    }
    let store = DirStore::open(Arc::new(OsDisk), layout.objects()).map_err(ObjectError::from)?;
    let index = Index::open(&layout.index()).await?;
    let rows = index.all_packs().await;
    index.close().await;
    let mut found = BTreeMap::new();
    for row in rows? {
        let indexed = IndexedObject {
            manifest: row.manifest,
            bytes: row.bytes,
            segments: row.segments,
            stored_at: row.stored_at,
            missing_since: row.missing_since,
            expired_at: row.expired_at,
        };
        found.insert(row.key, (None, Some(indexed)));
    }
    store.walk(&mut |recording| {
        for (pack, bytes) in recording.objects {
            let key = ObjectKey { device: recording.device.clone(), camera: recording.camera.clone(), pack };
            found.entry(key).or_insert((None, None)).0 = Some(bytes);
        }
    })?;
    let info = |(key, (bytes, indexed)): (ObjectKey, _)| {
        let path = store.path(&key);
        ObjectInfo { device: key.device, camera: key.camera, pack: key.pack, path, bytes, indexed }
    };
    Ok(found.into_iter().map(info).collect())
}
