//! `GET /api/v1/storage`: how much of what is held, and what is free.

use std::{collections::BTreeMap, sync::Arc};

use axum::{Json, extract::State};
use dashvault_base::{CameraName, DeviceId, WallMs};
use serde::Serialize;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{access::Viewer, problem::Refusal};
use crate::core::Core;

pub(super) fn routes() -> OpenApiRouter<Arc<Core>> {
    OpenApiRouter::new().routes(routes!(storage))
}

#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(super) struct Storage {
    /// Free on the disk, where the system says.
    free_bytes: Option<u64>,
    /// Below this uploads are refused.
    reserve_bytes: u64,
    /// Of the cameras that the caller may see.
    packs: u64,
    bytes: u64,
    /// Live bytes that no recorder has claimed yet.
    live_bytes: u64,
    /// Deleted packs whose objects are still to be removed.
    removing_packs: u64,
    cameras: Vec<Camera>,
}

#[derive(Debug, Serialize, utoipa::ToSchema)]
struct Camera {
    #[schema(value_type = String)]
    device: DeviceId,
    #[schema(value_type = String)]
    camera: CameraName,
    packs: u64,
    bytes: u64,
    locked_packs: u64,
    locked_bytes: u64,
    live_bytes: u64,
    /// When the oldest footage begins.
    #[schema(value_type = Option<i64>)]
    oldest: Option<WallMs>,
    /// When the newest ends.
    #[schema(value_type = Option<i64>)]
    newest: Option<WallMs>,
}

/// Bytes by device and camera, and free space.
#[utoipa::path(
    get,
    path = "/api/v1/storage",
    tag = "retention",
    responses((status = 200, body = Storage)),
    extensions(("x-role" = json!("viewer"))),
)]
pub(super) async fn storage(
    State(core): State<Arc<Core>>,
    Viewer(caller): Viewer,
) -> Result<Json<Storage>, Refusal> {
    let mut cameras: BTreeMap<(DeviceId, CameraName), Camera> = BTreeMap::new();
    for usage in core.index.usage().await? {
        let camera = Camera {
            device: usage.device.clone(),
            camera: usage.camera.clone(),
            packs: usage.packs,
            bytes: usage.bytes,
            locked_packs: usage.locked_packs,
            locked_bytes: usage.locked_bytes,
            live_bytes: 0,
            oldest: Some(usage.oldest),
            newest: Some(usage.newest),
        };
        cameras.insert((usage.device, usage.camera), camera);
    }
    for file in core.reads.live_files(core.disk.clone(), core.layout()).await? {
        let (device, camera) = (file.track.device, file.track.camera);
        let of = cameras.entry((device.clone(), camera.clone()));
        of.or_insert_with(|| Camera::without_packs(device, camera)).live_bytes += file.bytes;
    }
    let cameras: Vec<Camera> =
        cameras.into_values().filter(|camera| caller.may_see(&camera.device)).collect();
    let sum = |of: fn(&Camera) -> u64| cameras.iter().map(of).sum();
    let (packs, bytes, live_bytes) =
        (sum(|camera| camera.packs), sum(|camera| camera.bytes), sum(|camera| camera.live_bytes));
    let free_bytes = core.reads.free_bytes(core.disk.clone(), core.config.data.clone()).await?;
    let reserve_bytes = core.config.limits.reserve_bytes;
    let removing_packs = core.index.count_to_remove().await?;
    Ok(Json(Storage { free_bytes, reserve_bytes, packs, bytes, live_bytes, removing_packs, cameras }))
}

impl Camera {
    fn without_packs(device: DeviceId, camera: CameraName) -> Self {
        let (packs, bytes, locked_packs, locked_bytes, live_bytes) = (0, 0, 0, 0, 0);
        let (oldest, newest) = (None, None);
        Self { device, camera, packs, bytes, locked_packs, locked_bytes, live_bytes, oldest, newest }
    }
}
