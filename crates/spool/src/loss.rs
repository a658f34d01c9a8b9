//! Footage that will never exist: counted, kept until the vault acknowledges, with its cause.
//!
//! A loss is written to its file as soon as it is known, into room taken in advance where the disk is full; where that
//! is used up, it stays in memory and is tried again. A loss that still grows is not listed, so that what is announced never changes.

use std::collections::BTreeMap;

use dashvault_base::{CameraName, LossCause, PackId, RecordingId, WallMs};
use dashvault_disk::{Disk, DiskError, OpenMode};
use serde::{Deserialize, Serialize};

use crate::SpoolLayout;

/// The longest loss file that is read.
const MAX_LOSS_BYTES: u64 = 16 << 10;

/// Room for one loss: a filesystem block.
const RESERVE_BYTES: usize = 4096;

/// Takes room for one loss in advance, where there is some: a pack without a receipt shall go only after its loss is
/// durable, also when it goes since nothing else fits.
pub(crate) fn keep_reserve(
    disk: &dyn Disk,
    layout: &SpoolLayout,
    camera: &CameraName,
) -> Result<(), DiskError> {
    let path = layout.loss_reserve(camera);
    match disk.len(&path) {
        Ok(len) if len == RESERVE_BYTES as u64 => return Ok(()),
        Err(error) if !error.is_not_found() => return Err(error),
        _ => {}
    }
    match disk.write_atomic(&path, &[0; RESERVE_BYTES]) {
        Err(error) if !error.is_full() => Err(error),
        _ => Ok(()),
    }
}

/// What is known of a loss when it is reported.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LossReport {
    /// The camera.
    pub camera: CameraName,
    /// The recording it is missing from, where there was one.
    pub recording: Option<RecordingId>,
    /// When it begins, by the device's wall clock.
    pub from: WallMs,
    /// When it ends.
    pub to: WallMs,
    /// How much footage is missing, in milliseconds.
    pub lost_ms: u64,
    /// How many bytes were dropped or deleted; 0 where unknown.
    pub bytes: u64,
    /// Why.
    pub cause: LossCause,
}

/// A loss with its name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Loss {
    /// Names it for ever, so that telling it twice counts once: at most 64 of `A-Z a-z 0-9 _ -`.
    pub id: String,
    /// The camera.
    pub camera: CameraName,
    /// The recording it is missing from, where there was one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recording: Option<RecordingId>,
    /// The pack that was deleted without a receipt, where it was one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub evicted: Option<PackId>,
    /// When it begins, by the device's wall clock.
    pub from: WallMs,
    /// When it ends; not before it begins.
    pub to: WallMs,
    /// How much footage is missing, in milliseconds.
    pub lost_ms: u64,
    /// How many bytes were dropped or deleted; 0 where unknown.
    pub bytes: u64,
    /// Why.
    pub cause: LossCause,
}

impl Loss {
    /// Gives a report its name; `taken` tells names that are in use.
    fn named(report: LossReport, evicted: Option<PackId>, taken: impl Fn(&str) -> bool) -> Self {
        let LossReport { camera, recording, from, to, lost_ms, bytes, cause } = report;
        let stem = match (evicted, recording) {
            (Some(pack), _) => format!("{pack}-evicted"),
            (None, Some(recording)) => format!("{recording}-{}-{cause}", from.0),
            (None, None) => format!("{}-{cause}", from.0),
        };
        let names = (0u32..).map(|n| if n == 0 { stem.clone() } else { format!("{stem}-{n}") });
        let id = names.into_iter().find(|name| !taken(name)).unwrap_or(stem);
        Self { id, camera, recording, evicted, from, to: to.max(from), lost_ms, bytes, cause }
    }

    /// Adds what follows without a break.
    fn extend(&mut self, to: WallMs, lost_ms: u64, bytes: u64) {
        self.to = self.to.max(to);
        self.lost_ms = self.lost_ms.saturating_add(lost_ms);
        self.bytes = self.bytes.saturating_add(bytes);
    }

    /// Writes its file. Returns after it is durable. On a full disk it uses up the reserve of [`keep_reserve`].
    pub(crate) fn write(&self, disk: &dyn Disk, layout: &SpoolLayout) -> Result<(), DiskError> {
        let json = serde_json::to_vec_pretty(self).expect("a loss has no map with keys that are no strings");
        let path = layout.loss(&self.camera, &self.id);
        match disk.write_atomic(&path, &json) {
            Err(error) if error.is_full() && json.len() <= RESERVE_BYTES => {
                let reserve = layout.loss_reserve(&self.camera);
                let file = disk.open(&reserve, OpenMode::Write).map_err(|_| error)?;
                file.write_all_at(&json, 0)?;
                file.set_len(json.len() as u64)?;
                file.sync_data()?;
                disk.rename(&reserve, &path)?;
                disk.sync_dir(&layout.losses(&self.camera))
            }
            result => result,
        }
    }

    /// Reads the loss with this name; `None` where the file is not one of ours.
    pub(crate) fn read(
        disk: &dyn Disk,
        layout: &SpoolLayout,
        camera: &CameraName,
        id: &str,
    ) -> Result<Option<Self>, DiskError> {
        let json = match disk.read(&layout.loss(camera, id), MAX_LOSS_BYTES) {
            Err(error) if error.source.kind() == std::io::ErrorKind::InvalidData => return Ok(None),
            result => result?,
        };
        let loss: Option<Self> = serde_json::from_slice(&json).ok();
        Ok(loss.filter(|loss| loss.id == id && loss.camera == *camera))
    }
}

/// All losses that are not acknowledged.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    losses: BTreeMap<(CameraName, String), Line>,
}

#[derive(Debug)]
struct Line {
    loss: Loss,
    /// It still grows.
    open: bool,
    /// Its file says the same.
    written: bool,
}

impl Ledger {
    /// Takes a loss as it was found on disk.
    pub(crate) fn load(&mut self, loss: Loss) {
        let key = (loss.camera.clone(), loss.id.clone());
        self.losses.insert(key, Line { loss, open: false, written: true });
    }

    /// Takes a new loss, still open.
    pub(crate) fn add(&mut self, report: LossReport, evicted: Option<PackId>) -> Loss {
        let camera = report.camera.clone();
        let loss =
            Loss::named(report, evicted, |id| self.losses.contains_key(&(camera.clone(), id.to_owned())));
        self.losses
            .insert((camera, loss.id.clone()), Line { loss: loss.clone(), open: true, written: false });
        loss
    }

    /// Extends an open loss.
    pub(crate) fn extend(&mut self, camera: &CameraName, id: &str, more: &LossReport) {
        let line = self.losses.get_mut(&(camera.clone(), id.to_owned()));
        if let Some(line) = line.filter(|line| line.open) {
            line.loss.extend(more.to, more.lost_ms, more.bytes);
            line.written = false;
        }
    }

    /// A loss as it is now, where its file does not say so yet.
    pub(crate) fn to_write(&self, camera: &CameraName, id: &str) -> Option<Loss> {
        let line = self.losses.get(&(camera.clone(), id.to_owned()))?;
        (!line.written).then(|| line.loss.clone())
    }

    /// Says that `loss` is in its file.
    pub(crate) fn written(&mut self, loss: &Loss) {
        let line = self.losses.get_mut(&(loss.camera.clone(), loss.id.clone()));
        if let Some(line) = line.filter(|line| line.loss == *loss) {
            line.written = true;
        }
    }

    /// From now on it is listed and does not grow.
    pub(crate) fn close(&mut self, camera: &CameraName, id: &str) {
        if let Some(line) = self.losses.get_mut(&(camera.clone(), id.to_owned())) {
            line.open = false;
        }
    }

    /// Takes one out for good.
    pub(crate) fn remove(&mut self, camera: &CameraName, id: &str) -> bool {
        self.losses.remove(&(camera.clone(), id.to_owned())).is_some()
    }

    /// What may be announced, in the order of cameras and names.
    pub(crate) fn listed(&self) -> Vec<Loss> {
        self.losses.values().filter(|line| !line.open).map(|line| line.loss.clone()).collect()
    }

    /// What still grows; a pack that is being evicted may yet stay, and does not count.
    pub(crate) fn growing(&self) -> Vec<Loss> {
        let growing = self.losses.values().filter(|line| line.open && line.loss.evicted.is_none());
        growing.map(|line| line.loss.clone()).collect()
    }

    /// What no file says yet.
    pub(crate) fn unwritten(&self) -> Vec<Loss> {
        self.losses.values().filter(|line| !line.written).map(|line| line.loss.clone()).collect()
    }
}
