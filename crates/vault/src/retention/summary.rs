//! What the rules would delete, counted: for the preview over HTTP and for `dashvault retention`.

use std::{
    collections::BTreeMap,
    fmt::{self, Write as _},
    path::Path,
};

use dashvault_base::{CameraName, Clock, DeviceId, SystemClock, WallMs};
use dashvault_disk::{Disk, DiskError, OsDisk};
use serde::Serialize;

use super::{
    plan::{Held, plan},
    rules::Policy,
};
use crate::{
    archive::index::{CameraUsage, Index, IndexError},
    layout::Layout,
};

/// What rules would delete now.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub(crate) struct Summary {
    /// All together.
    pub(crate) packs: u64,
    /// Their bytes.
    pub(crate) bytes: u64,
    /// By the rule that takes them: `age`, `bytes`, `vault-bytes`, `free-space`.
    pub(crate) by_rule: BTreeMap<&'static str, Count>,
    /// By camera.
    pub(crate) cameras: Vec<OfCamera>,
    /// What they would take if nothing were locked.
    pub(crate) kept_by_lock: Count,
    /// Bounds that locks make unreachable, with the bytes that are too many.
    pub(crate) unmet: Vec<Unmet>,
}

/// Packs and their bytes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub(crate) struct Count {
    pub(crate) packs: u64,
    pub(crate) bytes: u64,
}

/// What goes of one camera.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub(crate) struct OfCamera {
    #[schema(value_type = String)]
    pub(crate) device: DeviceId,
    #[schema(value_type = String)]
    pub(crate) camera: CameraName,
    pub(crate) packs: u64,
    pub(crate) bytes: u64,
    /// When the oldest of it begins.
    #[schema(value_type = i64)]
    pub(crate) from: WallMs,
    /// When the newest of it ends.
    #[schema(value_type = i64)]
    pub(crate) to: WallMs,
}

/// A bound that cannot be met.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub(crate) struct Unmet {
    pub(crate) rule: &'static str,
    pub(crate) bytes: u64,
}

impl Count {
    fn add(&mut self, bytes: u64) {
        self.packs += 1;
        self.bytes += bytes;
    }
}

/// Counts what `policy` takes of `held`.
pub(crate) fn summarize(policy: &Policy, now: WallMs, free_bytes: Option<u64>, held: Vec<Held>) -> Summary {
    let planned = plan(policy, now, free_bytes, &held);
    let mut summary = Summary::default();
    let mut cameras: BTreeMap<(DeviceId, CameraName), OfCamera> = BTreeMap::new();
    for (index, reason) in &planned.doomed {
        let Some(pack) = held.get(*index) else { continue };
        summary.packs += 1;
        summary.bytes += pack.bytes;
        summary.by_rule.entry(reason.name()).or_default().add(pack.bytes);
        let (from, to) = pack.range;
        let (device, camera) = (pack.key.device.clone(), pack.key.camera.clone());
        let name = (device.clone(), camera.clone());
        let of = cameras.entry(name).or_insert(OfCamera { device, camera, packs: 0, bytes: 0, from, to });
        of.packs += 1;
        of.bytes += pack.bytes;
        of.from = of.from.min(from);
        of.to = of.to.max(to);
    }
    summary.cameras = cameras.into_values().collect();
    summary.unmet =
        planned.unmet.iter().map(|(rule, bytes)| Unmet { rule: rule.name(), bytes: *bytes }).collect();
    let locked: Vec<bool> = held.iter().map(|pack| pack.locked).collect();
    if locked.contains(&true) {
        let unlocked: Vec<Held> = held.into_iter().map(|pack| Held { locked: false, ..pack }).collect();
        let all = plan(policy, now, free_bytes, &unlocked).doomed;
        for (index, _) in all.iter().filter(|(index, _)| locked.get(*index) == Some(&true)) {
            summary.kept_by_lock.add(unlocked.get(*index).map_or(0, |pack| pack.bytes));
        }
    }
    summary
}

/// The rules of a vault's data folder, what it holds, and what the rules would delete.
#[derive(Debug, Serialize)]
pub struct RetentionReport {
    #[serde(flatten)]
    policy: Policy,
    usage: Vec<UsageLine>,
    #[serde(skip_serializing_if = "Option::is_none")]
    would_delete: Option<Summary>,
}

#[derive(Debug, Serialize)]
struct UsageLine {
    device: DeviceId,
    camera: CameraName,
    packs: u64,
    bytes: u64,
    locked_packs: u64,
    oldest: WallMs,
    newest: WallMs,
}

/// Why the report cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum RetentionError {
    /// The folder is no vault's.
    #[error("{} is no vault's data folder", .0.display())]
    NoVault(std::path::PathBuf),
    /// The index cannot be read.
    #[error(transparent)]
    Index(#[from] IndexError),
    /// The disk cannot be asked.
    #[error(transparent)]
    Disk(#[from] DiskError),
}

/// Reads the rules of the vault in `data` and, with `dry_run`, what they would delete now. Deletes nothing; a server may
/// run on the folder meanwhile.
///
/// # Errors
/// [`RetentionError`].
pub async fn retention_report(data: &Path, dry_run: bool) -> Result<RetentionReport, RetentionError> {
    let layout = Layout::new(data);
    if !OsDisk.exists(&layout.index())? {
        return Err(RetentionError::NoVault(data.to_owned()));
    }
    let index = Index::open(&layout.index()).await?;
    let read = read(&index, data, dry_run).await;
    index.close().await;
    read
}

async fn read(index: &Index, data: &Path, dry_run: bool) -> Result<RetentionReport, RetentionError> {
    let policy = index.retention().await?.policy;
    let usage = index.usage().await?.into_iter().map(UsageLine::from).collect();
    let would_delete = if dry_run {
        let free = OsDisk.space(data)?.map(|space| space.free_bytes);
        Some(summarize(&policy, SystemClock.wall(), free, index.held_packs().await?))
    } else {
        None
    };
    Ok(RetentionReport { policy, usage, would_delete })
}

impl From<CameraUsage> for UsageLine {
    fn from(usage: CameraUsage) -> Self {
        let CameraUsage { device, camera, packs, bytes, locked_packs, oldest, newest, .. } = usage;
        Self { device, camera, packs, bytes, locked_packs, oldest, newest }
    }
}

impl fmt::Display for RetentionReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut rules = String::new();
        for rule in &self.policy.rules {
            let device = rule.device.as_ref().map_or("*", DeviceId::as_str);
            let camera = rule.camera.as_ref().map_or("*", CameraName::as_str);
            write!(rules, "rule   {device}/{camera}:")?;
            bound(&mut rules, "max_age_ms", rule.max_age_ms)?;
            bound(&mut rules, "max_bytes", rule.max_bytes)?;
            rules.push('\n');
        }
        let mut vault = String::new();
        bound(&mut vault, "max_bytes", self.policy.vault.max_bytes)?;
        bound(&mut vault, "min_free_bytes", self.policy.vault.min_free_bytes)?;
        bound(&mut vault, "live_max_age_ms", self.policy.vault.live_max_age_ms)?;
        if !vault.is_empty() {
            writeln!(rules, "vault {vault}")?;
        }
        f.write_str(if rules.is_empty() { "no rules: nothing is ever deleted\n" } else { &rules })?;
        for camera in &self.usage {
            let UsageLine { device, camera, packs, bytes, locked_packs, oldest, newest } = camera;
            write!(f, "holds  {device}/{camera}: {packs} packs, {bytes} bytes, {oldest} to {newest}")?;
            writeln!(f, ", {locked_packs} locked")?;
        }
        let Some(summary) = &self.would_delete else { return Ok(()) };
        for (rule, count) in &summary.by_rule {
            writeln!(f, "delete {} packs, {} bytes by {rule}", count.packs, count.bytes)?;
        }
        for OfCamera { device, camera, packs, bytes, from, to } in &summary.cameras {
            writeln!(f, "of     {device}/{camera}: {packs} packs, {bytes} bytes, {from} to {to}")?;
        }
        if summary.kept_by_lock.packs > 0 {
            writeln!(f, "kept   {} packs by locked events", summary.kept_by_lock.packs)?;
        }
        for Unmet { rule, bytes } in &summary.unmet {
            writeln!(f, "unmet  {rule}: {bytes} bytes too many, and the rest is locked")?;
        }
        writeln!(f, "dry run: {} packs, {} bytes would be deleted", summary.packs, summary.bytes)
    }
}

fn bound(text: &mut String, name: &str, value: Option<u64>) -> fmt::Result {
    value.map_or(Ok(()), |value| write!(text, " {name} {value}"))
}
