//! Pack files as an operator's commands see them: which there are in a spool, and where one lies.
//!
//! What belongs here: listing, while a recorder may be at work. What is in a pack is `dashvault-media`'s,
//! keeping them the spool's.

use std::{
    fmt,
    fs::File,
    io,
    path::{Path, PathBuf},
};

use dashvault_base::{CameraName, DeviceId, PackId};
use dashvault_spool::{Folder, SpoolLayout};
use serde::Serialize;

use crate::failure::{Failure, OrNext};

/// Where a pack lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Place {
    /// In the spool.
    Vehicle,
    /// In the vault's data folder.
    Vault,
    /// In an evidence bundle.
    Bundle,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Vehicle => "vehicle",
            Self::Vault => "vault",
            Self::Bundle => "bundle",
        })
    }
}

/// How far a pack has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum State {
    /// Being recorded: it has no trailer yet.
    Open,
    /// Sealed, no receipt.
    Pending,
    /// Sealed, with a receipt; or an object in the vault.
    Stored,
}

/// One pack file.
#[derive(Debug, Clone)]
pub(crate) struct Found {
    pub(crate) place: Place,
    pub(crate) state: State,
    pub(crate) path: PathBuf,
    /// In the spool only the manifest names it.
    pub(crate) device: Option<DeviceId>,
    pub(crate) camera: CameraName,
    pub(crate) pack: PackId,
    pub(crate) bytes: u64,
}

impl Found {
    /// Opens it where it is now: a recorder may have moved it since.
    pub(crate) fn open(&self) -> io::Result<File> {
        match File::open(&self.path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound && self.may_move() => {
                File::open(self.moved_to().ok_or(error)?)
            }
            opened => opened,
        }
    }

    /// Whether a recorder at work may move or delete it.
    pub(crate) fn may_move(&self) -> bool {
        self.place == Place::Vehicle
    }

    fn moved_to(&self) -> Option<PathBuf> {
        let stored = self.path.parent()?.parent()?.join(Folder::Stored.name());
        Some(stored.join(self.path.file_name()?))
    }
}

/// The packs of a spool, in order of camera and pack.
///
/// # Errors
/// A [`Failure`] when the folder is not there or cannot be read.
pub(crate) fn in_spool(spool: &Path) -> Result<Vec<Found>, Failure> {
    let layout = SpoolLayout::new(spool);
    let mut found = Vec::new();
    let cameras = names_in(spool).or_next(
        format_args!("read the spool {}", spool.display()),
        "check --spool: it is the folder that `dashvault record --spool` was given",
    )?;
    for camera in cameras.iter().filter_map(|name| name.parse::<CameraName>().ok()) {
        for (folder, state) in
            [(Folder::Open, State::Open), (Folder::Pending, State::Pending), (Folder::Stored, State::Stored)]
        {
            found.extend(in_folder(&layout.folder(&camera, folder), &camera, state)?);
        }
    }
    found.sort_by(|a, b| (&a.camera, a.pack).cmp(&(&b.camera, b.pack)));
    // Sealed between two listings: seen in both folders, it is one pack, where it came to.
    found.dedup_by(|next, kept| {
        let same = next.camera == kept.camera && next.pack == kept.pack;
        if same && (next.state as u8) > (kept.state as u8) {
            std::mem::swap(next, kept);
        }
        same
    });
    Ok(found)
}

/// Whether a recorder holds the spool; `None` where that cannot be told (no lock file, or it cannot be read).
///
/// Its lock is only looked at, shared and for a moment, so that asking neither makes a file nor needs to write.
#[cfg(feature = "recorder")]
pub(crate) fn is_held(spool: &Path) -> Option<bool> {
    let file = File::open(SpoolLayout::new(spool).lock_file()).ok()?;
    match file.try_lock_shared() {
        Ok(()) => Some(false),
        Err(std::fs::TryLockError::WouldBlock) => Some(true),
        Err(std::fs::TryLockError::Error(_)) => None,
    }
}

/// The packs of a folder that has been a recorder's spool.
///
/// # Errors
/// As [`in_spool`], and when no recorder has ever opened it: a mistyped folder must not count as a sound one.
pub(crate) fn in_used_spool(spool: &Path) -> Result<Vec<Found>, Failure> {
    if spool.is_dir() && !SpoolLayout::new(spool).lock_file().exists() {
        return Err(Failure::here(format_args!("{} is no spool: it has no recorder.lock", spool.display()))
            .next("check --spool: it is the folder that `dashvault record --spool` was given"));
    }
    in_spool(spool)
}

fn in_folder(folder: &Path, camera: &CameraName, state: State) -> Result<Vec<Found>, Failure> {
    let names = match names_in(folder) {
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
            Vec::new()
        }
        names => names.or_next(format_args!("read {}", folder.display()), "check its permissions")?,
    };
    let packs =
        names.iter().filter_map(|name| Some((name, name.strip_suffix(".ts")?.parse::<PackId>().ok()?)));
    Ok(packs
        .map(|(name, pack)| {
            let path = folder.join(name);
            let bytes = path.metadata().map_or(0, |meta| meta.len());
            Found { place: Place::Vehicle, state, path, device: None, camera: camera.clone(), pack, bytes }
        })
        .collect())
}

fn names_in(folder: &Path) -> io::Result<Vec<String>> {
    let entries = std::fs::read_dir(folder)?;
    entries.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned())).collect()
}
