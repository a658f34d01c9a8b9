//! What the vehicle recorded against what the vault holds, byte by byte.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};
use dashvault_media::read_manifest;

/// The outcome, pack by pack.
#[derive(Debug, Default)]
pub struct Comparison {
    /// Packs on the vehicle, sealed, with or without a receipt.
    pub packs: usize,
    /// Of these, the ones whose object in the vault is the same file.
    pub identical: usize,
    /// The ones whose object differs or is missing.
    pub differing: Vec<PathBuf>,
    /// Bytes of footage in them, without trailers.
    pub footage_bytes: u64,
    /// Objects of the device that no pack on the vehicle matches by name.
    pub foreign: Vec<PathBuf>,
}

impl Comparison {
    /// Whether there is something, and all of it is the same on both sides.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        self.packs > 0 && self.identical == self.packs && self.foreign.is_empty()
    }
}

/// Compares a spool with a vault's data folder.
///
/// # Errors
/// When a folder or a file cannot be read.
pub fn compare(spool: &Path, data: &Path, device: &str) -> Result<Comparison> {
    let mut comparison = Comparison::default();
    let mut objects: BTreeMap<PathBuf, ()> =
        files_below(&data.join("objects").join(device))?.into_iter().map(|p| (p, ())).collect();
    for (camera, pack) in sealed_packs(spool)? {
        let name = pack.file_name().and_then(|name| name.to_str()).context("a pack has a name")?;
        let recording = name.split('_').next().unwrap_or_default();
        let object = data.join("objects").join(device).join(&camera).join(recording).join(name);
        objects.remove(&object);
        comparison.packs += 1;
        comparison.footage_bytes += body_len(&pack)?;
        let same = object.is_file() && fs::read(&object)? == fs::read(&pack)?;
        if same { comparison.identical += 1 } else { comparison.differing.push(pack) }
    }
    comparison.foreign = objects.into_keys().collect();
    Ok(comparison)
}

/// For each camera and recording of a spool, the bodies of its sealed packs, one after the other.
///
/// # Errors
/// When a pack cannot be read or has no trailer.
pub fn concatenations(spool: &Path) -> Result<BTreeMap<(String, String), Vec<u8>>> {
    let mut bodies: BTreeMap<(String, String), Vec<u8>> = BTreeMap::new();
    let mut packs = sealed_packs(spool)?;
    packs.sort_by_key(|(camera, path)| (camera.clone(), path.file_name().map(ToOwned::to_owned)));
    for (camera, pack) in packs {
        let name = pack.file_name().and_then(|name| name.to_str()).context("a pack has a name")?;
        let recording = name.split('_').next().unwrap_or_default().to_owned();
        let mut bytes = fs::read(&pack)?;
        bytes.truncate(usize::try_from(body_len(&pack)?)?);
        bodies.entry((camera, recording)).or_default().extend_from_slice(&bytes);
    }
    Ok(bodies)
}

/// The sealed packs of a spool with their cameras.
///
/// # Errors
/// When a folder cannot be listed.
pub fn sealed_packs(spool: &Path) -> Result<Vec<(String, PathBuf)>> {
    let mut packs = Vec::new();
    for camera in fs::read_dir(spool).with_context(|| format!("list {}", spool.display()))? {
        let camera = camera?;
        for folder in ["pending", "stored"] {
            for path in files_below(&camera.path().join(folder))? {
                if path.extension().is_some_and(|extension| extension == "ts") {
                    packs.push((camera.file_name().to_string_lossy().into_owned(), path));
                }
            }
        }
    }
    Ok(packs)
}

/// Every file below a folder; none where there is no such folder.
///
/// # Errors
/// When a folder cannot be listed.
pub fn files_below(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    if !folder.is_dir() {
        return Ok(files);
    }
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() { files.extend(files_below(&path)?) } else { files.push(path) }
    }
    files.sort();
    Ok(files)
}

fn body_len(pack: &Path) -> Result<u64> {
    let mut file = File::open(pack)?;
    let signed = read_manifest(&mut file).with_context(|| pack.display().to_string())?;
    Ok(signed.with_context(|| format!("{} is not sealed", pack.display()))?.manifest().body_len())
}
