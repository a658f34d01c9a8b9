//! What is stored and lost, as JSON lists.

use std::sync::Arc;

use axum::{
    Json,
    extract::{Path, Query, State},
    http::HeaderMap,
};
use dashvault_base::{CameraName, ContentHash, DeviceId, PackId, RecordingId, WallMs};
use serde::{Deserialize, Serialize};

use super::problem::Refusal;
use crate::{
    archive::index::{LossRow, PackRow, sealer_name},
    auth,
    core::Core,
};

const DEFAULT_LIMIT: u32 = 1000;
const MAX_LIMIT: u32 = 10_000;

/// Which part of a list.
#[derive(Debug, Deserialize)]
pub(super) struct Page {
    after: Option<String>,
    limit: Option<u32>,
}

#[derive(Debug, Serialize)]
pub(super) struct Packs {
    packs: Vec<Pack>,
    /// What to give as `after` for the rest.
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<PackId>,
}

#[derive(Debug, Serialize)]
struct Pack {
    pack: PackId,
    recording: RecordingId,
    number: u32,
    bytes: u64,
    start_wall: WallMs,
    duration_ms: u64,
    segments: u32,
    sealed_by: &'static str,
    manifest: ContentHash,
    stored_at: WallMs,
    /// When it was noticed that its object is gone.
    #[serde(skip_serializing_if = "Option::is_none")]
    missing_since: Option<WallMs>,
    url: String,
}

#[derive(Debug, Serialize)]
pub(super) struct Cameras {
    cameras: Vec<CameraName>,
}

#[derive(Debug, Serialize)]
pub(super) struct Losses {
    losses: Vec<LossRow>,
}

pub(super) async fn packs(
    State(core): State<Arc<Core>>,
    Path((device, camera)): Path<(String, String)>,
    Query(page): Query<Page>,
    headers: HeaderMap,
) -> Result<Json<Packs>, Refusal> {
    let device = readable(&core, &headers, &device).await?;
    let camera: CameraName = camera.parse().map_err(|_| Refusal::not_found("camera"))?;
    let after = page.after.map(|text| text.parse::<PackId>()).transpose();
    let after = after.map_err(|error| Refusal::malformed(error.to_string()))?;
    let limit = page.limit.unwrap_or(DEFAULT_LIMIT).clamp(1, MAX_LIMIT);
    let rows = core.index.packs_of_camera(&device, &camera, after, limit).await?;
    let full = u32::try_from(rows.len()).is_ok_and(|count| count == limit);
    let next = rows.last().filter(|_| full).map(|row| row.key.pack);
    Ok(Json(Packs { packs: rows.into_iter().map(Pack::from).collect(), next }))
}

pub(super) async fn cameras(
    State(core): State<Arc<Core>>,
    Path(device): Path<String>,
    headers: HeaderMap,
) -> Result<Json<Cameras>, Refusal> {
    let device = readable(&core, &headers, &device).await?;
    Ok(Json(Cameras { cameras: core.index.cameras(&device).await? }))
}

pub(super) async fn losses(
    State(core): State<Arc<Core>>,
    Path(device): Path<String>,
    headers: HeaderMap,
) -> Result<Json<Losses>, Refusal> {
    let device = readable(&core, &headers, &device).await?;
    Ok(Json(Losses { losses: core.index.losses(&device).await? }))
}

async fn readable(core: &Core, headers: &HeaderMap, device: &str) -> Result<DeviceId, Refusal> {
    let (admin, anyone) = (core.config.admin_token.as_deref(), core.config.allow_anonymous);
    let reader = auth::reader(&core.index, headers, admin, anyone).await?;
    let device: DeviceId = device.parse().map_err(|_| Refusal::not_found("device"))?;
    if reader.may_read(&device) { Ok(device) } else { Err(Refusal::not_found("device")) }
}

impl From<PackRow> for Pack {
    fn from(row: PackRow) -> Self {
        Self {
            url: format!("/objects/{}", row.key),
            pack: row.key.pack,
            recording: row.key.pack.recording,
            number: row.key.pack.number,
            bytes: row.bytes,
            start_wall: row.start_wall,
            duration_ms: row.duration_90k / 90,
            segments: row.segments,
            sealed_by: sealer_name(row.sealed_by),
            manifest: row.manifest,
            stored_at: row.stored_at,
            missing_since: row.missing_since,
        }
    }
}
