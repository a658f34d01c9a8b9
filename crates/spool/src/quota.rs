//! Loop recording: which packs go when room is needed, and how they go.
//!
//! The order: packs with a receipt, oldest first; then, where the policy says that recording goes on, packs without
//! one, oldest first, each counted as a loss. Never: a locked pack, an open one, and the newest sealed pack of a
//! camera (the next one names it in its manifest, and its name keeps recording ids rising).

use std::collections::BTreeSet;

use dashvault_base::{CameraName, LossCause, PackId, WallMs};
use serde::{Deserialize, Serialize};

use crate::{
    Folder, LossReport, SpoolError,
    loss::keep_reserve,
    shelf::{Shelved, State},
    spool::Inner,
};

/// How much the spool may take, and what gives way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct SpoolConfig {
    /// The most bytes of all packs; `None` for no limit but the disk. Should be several packs for each camera.
    pub quota_bytes: Option<u64>,
    /// Bytes of the disk that are left free.
    pub reserve_free_bytes: u64,
    /// What to do when only packs without a receipt are left.
    pub on_full: OnFull,
}

/// What gives way when everything in the vault already was deleted and there still is no room.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OnFull {
    /// The oldest footage that the vault does not have: recording goes on.
    #[default]
    EvictUnsent,
    /// New footage: what was recorded is kept.
    StopRecording,
}

/// A pack that was deleted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Evicted {
    /// The camera.
    pub camera: CameraName,
    /// The pack.
    pub pack: PackId,
    /// Its bytes.
    pub bytes: u64,
    /// The vault has it. If not, it is a loss.
    pub receipted: bool,
}

/// What [`Spool::enforce_quota`](crate::Spool::enforce_quota) did.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct QuotaReport {
    /// What was deleted.
    pub evicted: Vec<Evicted>,
    /// Bytes over the limits that may not be deleted.
    pub over_bytes: u64,
    /// New segments are dropped, for this cause, until there is room.
    pub refusing: Option<LossCause>,
}

/// One pack that may go.
type Victim = Evicted;

/// The packs to delete, in their order, to get `need` bytes back.
fn plan(state: &State, need: u64, on_full: OnFull, spared: Option<(&CameraName, PackId)>) -> Vec<Victim> {
    let chain_ends = state.chain_ends();
    let mut candidates: Vec<Victim> = state
        .cameras
        .iter()
        .flat_map(|(camera, shelf)| shelf.packs.iter().map(move |(pack, shelved)| (camera, *pack, shelved)))
        .filter(|(camera, pack, shelved)| may_go(shelved, on_full) && spared != Some((*camera, *pack)))
        .map(|(camera, pack, shelved)| Victim {
            camera: camera.clone(),
            pack,
            bytes: shelved.bytes(),
            receipted: shelved.folder == Folder::Stored,
        })
        .filter(|victim| is_no_end(&chain_ends, victim))
        .collect();
    candidates.sort_by(|a, b| {
        b.receipted.cmp(&a.receipted).then(a.pack.cmp(&b.pack)).then_with(|| a.camera.cmp(&b.camera))
    });
    let mut freed = 0u64;
    candidates.retain(|victim| {
        let needed = freed < need;
        freed = freed.saturating_add(victim.bytes);
        needed
    });
    candidates
}

fn may_go(shelved: &Shelved, on_full: OnFull) -> bool {
    let by_state = match shelved.folder {
        Folder::Open => false,
        Folder::Pending => on_full == OnFull::EvictUnsent,
        Folder::Stored => true,
    };
    by_state && !shelved.locked
}

fn is_no_end(chain_ends: &BTreeSet<(CameraName, PackId)>, victim: &Victim) -> bool {
    !chain_ends.contains(&(victim.camera.clone(), victim.pack))
}

/// Bytes over each limit.
struct Excess {
    quota: u64,
    disk: u64,
}

impl Excess {
    fn bytes(&self) -> u64 {
        self.quota.max(self.disk)
    }

    fn cause(&self) -> LossCause {
        if self.disk > self.quota { LossCause::DiskFull } else { LossCause::Quota }
    }
}

impl Inner {
    /// See [`Spool::enforce_quota`](crate::Spool::enforce_quota). The caller holds `moves`.
    pub(crate) fn enforce_quota(&self) -> Result<QuotaReport, SpoolError> {
        let excess = self.excess()?;
        let evicted = self.evict(excess.bytes(), excess.cause(), None)?;
        let freed: u64 = evicted.iter().map(|pack| pack.bytes).sum();
        // Not what is over by now: what was recorded meanwhile is for the next call.
        let over_bytes = excess.bytes().saturating_sub(freed);
        let refusing = (over_bytes > 0).then(|| excess.cause());
        self.state().refusing = refusing;
        Ok(QuotaReport { evicted, over_bytes, refusing })
    }

    /// Deletes what may be deleted until `bytes` are free that were not; tells how many are. For a full disk.
    pub(crate) fn make_room(&self, bytes: u64) -> Result<u64, SpoolError> {
        let _moves = self.moves();
        self.make_room_for(bytes, None)
    }

    /// As [`Inner::make_room`], but never deletes `spared`. The caller holds `moves`.
    pub(crate) fn make_room_for(
        &self,
        bytes: u64,
        spared: Option<(&CameraName, PackId)>,
    ) -> Result<u64, SpoolError> {
        let evicted = self.evict(bytes, LossCause::DiskFull, spared)?;
        Ok(evicted.iter().map(|pack| pack.bytes).sum())
    }

    fn excess(&self) -> Result<Excess, SpoolError> {
        let used = self.state().used_bytes();
        let quota = self.config.quota_bytes.map_or(0, |quota| used.saturating_sub(quota));
        let space = self.disk.space(self.layout.root())?;
        let reserve = self.config.reserve_free_bytes;
        let disk = space.map_or(0, |space| reserve.saturating_sub(space.free_bytes));
        Ok(Excess { quota, disk })
    }

    fn evict(
        &self,
        need: u64,
        cause: LossCause,
        spared: Option<(&CameraName, PackId)>,
    ) -> Result<Vec<Evicted>, SpoolError> {
        if need == 0 {
            return Ok(Vec::new());
        }
        let victims = plan(&self.state(), need, self.config.on_full, spared);
        for victim in &victims {
            if victim.receipted {
                self.delete_stored(victim)?;
            } else {
                self.delete_unsent(victim, cause)?;
            }
        }
        Ok(victims)
    }

    fn delete_stored(&self, victim: &Victim) -> Result<(), SpoolError> {
        self.delete(victim, Folder::Stored)?;
        // A receipt alone is swept at the next start.
        match self.disk.remove(&self.layout.receipt(&victim.camera, victim.pack)) {
            Err(error) if !error.is_not_found() => Err(error.into()),
            _ => Ok(()),
        }
    }

    /// The loss is durable before the pack goes, and is told to nobody before the pack is gone for good.
    fn delete_unsent(&self, victim: &Victim, cause: LossCause) -> Result<(), SpoolError> {
        let report = self.loss_of(victim, cause);
        let loss = self.state().losses.add(report, Some(victim.pack));
        // Where not even this fits, and the room kept for it is used up, deleting goes first.
        self.write_loss(&loss.camera, &loss.id)?;
        self.delete(victim, Folder::Pending)?;
        self.state().losses.close(&loss.camera, &loss.id);
        self.write_loss(&loss.camera, &loss.id)?;
        Ok(keep_reserve(&*self.disk, &self.layout, &victim.camera)?)
    }

    fn delete(&self, victim: &Victim, folder: Folder) -> Result<(), SpoolError> {
        self.disk.remove_durably(&self.layout.pack(&victim.camera, folder, victim.pack))?;
        if let Some(shelf) = self.state().cameras.get_mut(&victim.camera) {
            shelf.packs.remove(&victim.pack);
        }
        tracing::info!(camera = %victim.camera, pack = %victim.pack, folder = folder.name(), "pack evicted");
        Ok(())
    }

    fn loss_of(&self, victim: &Victim, cause: LossCause) -> LossReport {
        // A pack whose trailer cannot be read is lost all the same; how long it was is not known then.
        let manifest = self.manifest(&victim.camera, victim.pack).ok();
        let manifest = manifest.as_ref().map(|signed| signed.manifest());
        let from = manifest.map_or(victim.pack.recording.start(), |manifest| manifest.start_wall);
        let lost_ms = manifest.map_or(0, |manifest| manifest.duration_90k() / 90);
        let last = manifest.and_then(|manifest| manifest.segments.last());
        let end_ms = last.map_or(0, |last| i64::from(last.wall_offset_ms) + i64::from(last.duration.0 / 90));
        LossReport {
            camera: victim.camera.clone(),
            recording: Some(victim.pack.recording),
            from,
            to: WallMs(from.0.saturating_add(end_ms)),
            lost_ms,
            bytes: victim.bytes,
            cause,
        }
    }
}

#[cfg(test)]
mod tests;
