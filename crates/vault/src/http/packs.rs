//! What is stored and lost, as JSON lists.

use std::sync::Arc;

use axum::{
    Json,
    extract::{Path, Query, State},
};
use dashvault_base::{CameraName, ContentHash, PackId, RecordingId, WallMs};
use serde::Serialize;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{access::Viewer, page::Page, problem::Refusal};
use crate::{
    archive::index::{LossRow, PackRow, sealer_name},
    core::Core,
};

pub(super) fn routes() -> OpenApiRouter<Arc<Core>> {
    OpenApiRouter::new().routes(routes!(packs)).routes(routes!(cameras)).routes(routes!(losses))
}

#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(super) struct Packs {
    packs: Vec<Pack>,
    /// What to give as `after` for the rest.
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<String>,
}

#[derive(Debug, Serialize, utoipa::ToSchema)]
struct Pack {
    #[schema(value_type = String)]
    pack: PackId,
    #[schema(value_type = String)]
    recording: RecordingId,
    number: u32,
    bytes: u64,
    #[schema(value_type = i64)]
    start_wall: WallMs,
    duration_ms: u64,
    segments: u32,
    sealed_by: &'static str,
    #[schema(value_type = String)]
    manifest: ContentHash,
    #[schema(value_type = i64)]
    stored_at: WallMs,
    /// When it was noticed that its object is gone.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<i64>)]
    missing_since: Option<WallMs>,
    url: String,
}

#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(super) struct Cameras {
    #[schema(value_type = Vec<String>)]
    cameras: Vec<CameraName>,
}

#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(super) struct Losses {
    #[schema(value_type = Vec<Object>)]
    losses: Vec<LossRow>,
}

/// The stored packs of a camera, by name.
#[utoipa::path(
    get,
    path = "/api/v1/devices/{device}/cameras/{camera}/packs",
    tag = "footage",
    params(("device" = String, Path, description = "Device id"), ("camera" = String, Path, description = "Camera name"), Page),
    responses((status = 200, body = Packs), (status = 404, description = "No such device or camera")),
    extensions(("x-role" = json!("viewer"))),
)]
pub(super) async fn packs(
    State(core): State<Arc<Core>>,
    Viewer(caller): Viewer,
    Path((device, camera)): Path<(String, String)>,
    Query(page): Query<Page>,
) -> Result<Json<Packs>, Refusal> {
    let (device, camera) = caller.camera(&device, &camera)?;
    let after = page.after.as_ref().map(|text| text.parse::<PackId>()).transpose();
    let after = after.map_err(|error| Refusal::malformed(error.to_string()))?;
    let rows = core.index.packs_of_camera(&device, &camera, after, page.fetch()).await?;
    let (rows, next) = page.cut(rows, |row| row.key.pack.to_string());
    Ok(Json(Packs { packs: rows.into_iter().map(Pack::from).collect(), next }))
}

/// The cameras of a device.
#[utoipa::path(
    get,
    path = "/api/v1/devices/{device}/cameras",
    tag = "footage",
    params(("device" = String, Path, description = "Device id")),
    responses((status = 200, body = Cameras), (status = 404, description = "No such device or camera")),
    extensions(("x-role" = json!("viewer"))),
)]
pub(super) async fn cameras(
    State(core): State<Arc<Core>>,
    Viewer(caller): Viewer,
    Path(device): Path<String>,
) -> Result<Json<Cameras>, Refusal> {
    let device = caller.device(&device)?;
    Ok(Json(Cameras { cameras: core.index.cameras(&device).await? }))
}

/// Footage of a device that does not exist, with its causes.
#[utoipa::path(
    get,
    path = "/api/v1/devices/{device}/losses",
    tag = "footage",
    params(("device" = String, Path, description = "Device id")),
    responses((status = 200, body = Losses), (status = 404, description = "No such device or camera")),
    extensions(("x-role" = json!("viewer"))),
)]
pub(super) async fn losses(
    State(core): State<Arc<Core>>,
    Viewer(caller): Viewer,
    Path(device): Path<String>,
) -> Result<Json<Losses>, Refusal> {
    let device = caller.device(&device)?;
    Ok(Json(Losses { losses: core.index.losses(&device).await? }))
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
