//! Where everything lies in a spool: paths from names, and names from paths.

use std::path::{Path, PathBuf};

use dashvault_base::{CameraName, PackId};
use serde::{Deserialize, Serialize};

/// The state of a pack, told by the folder it is in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Folder {
    /// Being written.
    Open,
    /// Sealed; the vault has not confirmed it.
    Pending,
    /// Sealed and durable in the vault.
    Stored,
}

impl Folder {
    /// All, in the order in which a pack passes them.
    pub const ALL: [Self; 3] = [Self::Open, Self::Pending, Self::Stored];

    /// The folder's name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Pending => "pending",
            Self::Stored => "stored",
        }
    }
}

/// The paths of a spool.
#[derive(Debug, Clone)]
pub struct SpoolLayout {
    root: PathBuf,
}

impl SpoolLayout {
    /// The spool at `root`.
    #[must_use]
    pub fn new(root: &Path) -> Self {
        Self { root: root.to_owned() }
    }

    /// The spool's folder.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The file whose lock the one recorder holds.
    #[must_use]
    pub fn lock_file(&self) -> PathBuf {
        self.root.join("recorder.lock")
    }

    /// A camera's folder.
    #[must_use]
    pub fn camera(&self, camera: &CameraName) -> PathBuf {
        self.root.join(camera.as_str())
    }

    /// A camera's folder of packs in one state.
    #[must_use]
    pub fn folder(&self, camera: &CameraName, folder: Folder) -> PathBuf {
        self.camera(camera).join(folder.name())
    }

    /// A pack's file.
    #[must_use]
    pub fn pack(&self, camera: &CameraName, folder: Folder, pack: PackId) -> PathBuf {
        self.folder(camera, folder).join(pack.file_name())
    }

    /// The journal of an open pack.
    #[must_use]
    pub fn journal(&self, camera: &CameraName, pack: PackId) -> PathBuf {
        self.folder(camera, Folder::Open).join(format!("{pack}{JOURNAL}"))
    }

    /// The receipt of a stored pack.
    #[must_use]
    pub fn receipt(&self, camera: &CameraName, pack: PackId) -> PathBuf {
        self.folder(camera, Folder::Stored).join(format!("{pack}{RECEIPT}"))
    }

    /// The folder of lock markers.
    #[must_use]
    pub fn locked(&self, camera: &CameraName) -> PathBuf {
        self.camera(camera).join("locked")
    }

    /// The marker that locks a pack.
    #[must_use]
    pub fn marker(&self, camera: &CameraName, pack: PackId) -> PathBuf {
        self.locked(camera).join(pack.to_string())
    }

    /// The folder of losses.
    #[must_use]
    pub fn losses(&self, camera: &CameraName) -> PathBuf {
        self.camera(camera).join("losses")
    }

    /// One loss.
    #[must_use]
    pub fn loss(&self, camera: &CameraName, id: &str) -> PathBuf {
        self.losses(camera).join(format!("{id}{LOSS}"))
    }

    /// The folder of events that the vault has not acknowledged.
    #[must_use]
    pub fn events(&self, camera: &CameraName) -> PathBuf {
        self.camera(camera).join("events")
    }

    /// One event.
    #[must_use]
    pub fn event(&self, camera: &CameraName, id: &str) -> PathBuf {
        self.events(camera).join(format!("{id}{LOSS}"))
    }

    /// Room for one loss, taken in advance for when the disk is full.
    #[must_use]
    pub fn loss_reserve(&self, camera: &CameraName) -> PathBuf {
        self.losses(camera).join(LOSS_RESERVE)
    }

    /// The file that names the last recording that was started.
    #[must_use]
    pub fn last_recording(&self, camera: &CameraName) -> PathBuf {
        self.camera(camera).join("last-recording")
    }

    /// The note of new manifest hashes, while packs are adopted.
    #[must_use]
    pub fn relinked(&self, camera: &CameraName) -> PathBuf {
        self.camera(camera).join("relinked")
    }

    /// The copy that is to replace a pending pack; a left-over is removed at the next start.
    pub(crate) fn pack_beside(&self, camera: &CameraName, pack: PackId) -> PathBuf {
        self.folder(camera, Folder::Pending).join(format!(".{}.tmp~", pack.file_name()))
    }

    /// Every folder of a camera.
    #[must_use]
    pub fn folders(&self, camera: &CameraName) -> Vec<PathBuf> {
        let packs = Folder::ALL.into_iter().map(|folder| self.folder(camera, folder));
        packs.chain([self.locked(camera), self.losses(camera)]).collect()
    }
}

const PACK: &str = ".ts";
const JOURNAL: &str = ".journal";
const RECEIPT: &str = ".receipt";
/// Losses and events.
const LOSS: &str = ".json";
pub(crate) const LOSS_RESERVE: &str = ".reserve";

/// What a name in a spool's folder stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Named {
    Pack(PackId),
    Journal(PackId),
    Receipt(PackId),
    Foreign,
}

impl Named {
    /// Reads a name in a folder of packs.
    pub(crate) fn parse(name: &str) -> Self {
        let ending = |ending| name.strip_suffix(ending).and_then(|stem| stem.parse::<PackId>().ok());
        ending(PACK)
            .map(Self::Pack)
            .or_else(|| ending(JOURNAL).map(Self::Journal))
            .or_else(|| ending(RECEIPT).map(Self::Receipt))
            .unwrap_or(Self::Foreign)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_exact_names_are_ours() {
        let pack: PackId = "20261122-101500_00003".parse().unwrap();
        assert_eq!(Named::parse("20261122-101500_00003.ts"), Named::Pack(pack));
        assert_eq!(Named::parse("20261122-101500_00003.journal"), Named::Journal(pack));
        assert_eq!(Named::parse("20261122-101500_00003.receipt"), Named::Receipt(pack));
        for name in ["20261122-101500_3.ts", "20261122-101500_00003.TS", "holiday.ts", "a.ts.ts", ".ts", ""] {
            assert_eq!(Named::parse(name), Named::Foreign, "{name}");
        }
    }
}
