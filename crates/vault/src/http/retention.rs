//! `/api/v1/retention`: the rules, and what they would delete. `DELETE …/footage`: by hand.

use std::sync::Arc;

use axum::{
    Json,
    body::Body,
    extract::{Path, Query, State},
};
use dashvault_base::WallMs;
use serde::{Deserialize, Serialize};
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{
    access::{Act, Admin, Viewer},
    body,
    json::JsonBody,
    problem::Refusal,
    time::Range,
};
use crate::{
    core::Core,
    retention::{
        Policy, Summary,
        keeper::{STEP, mark},
        plan::Reason,
        rules::{Rule, RuleError, VaultBounds},
        summarize,
    },
};

/// The longest body of rules.
const MAX_BODY_BYTES: usize = 256 * 1024;

pub(super) fn routes() -> OpenApiRouter<Arc<Core>> {
    OpenApiRouter::new().routes(routes!(show, set)).routes(routes!(preview)).routes(routes!(delete_footage))
}

/// The rules in force.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(super) struct Rules {
    /// For cameras, devices, and all; the most specific one applies whole.
    rules: Vec<Rule>,
    /// For the vault as a whole.
    vault: VaultBounds,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<i64>)]
    updated_at: Option<WallMs>,
    #[serde(skip_serializing_if = "Option::is_none")]
    updated_by: Option<String>,
}

/// What deleting by hand did.
#[derive(Debug, Default, Serialize, utoipa::ToSchema)]
pub(super) struct Deleted {
    packs: u64,
    bytes: u64,
    /// Packs in the range that locked events keep.
    kept_locked: u64,
    /// Packs that are only partly in the range.
    kept_partly_within: u64,
}

/// What the vault deletes by itself.
#[utoipa::path(
    get,
    path = "/api/v1/retention",
    tag = "retention",
    responses((status = 200, body = Rules)),
    extensions(("x-role" = json!("viewer"))),
)]
pub(super) async fn show(State(core): State<Arc<Core>>, _caller: Viewer) -> Result<Json<Rules>, Refusal> {
    rules(&core).await.map(Json)
}

/// Puts these rules in the place of all there are. They are heeded at once.
#[utoipa::path(
    put,
    path = "/api/v1/retention",
    tag = "retention",
    request_body = Policy,
    responses((status = 200, body = Rules), (status = 400, description = "These rules cannot be carried out")),
    extensions(("x-role" = json!("admin"))),
)]
pub(super) async fn set(
    State(core): State<Arc<Core>>,
    Admin(caller): Admin,
    JsonBody(policy): JsonBody<Policy>,
) -> Result<Json<Rules>, Refusal> {
    policy.check()?;
    core.index.set_retention(&policy, &caller.name, core.clock.wall()).await?;
    let detail = serde_json::to_string(&policy).unwrap_or_default();
    core.audit(&caller, Act { action: "set-retention", detail, ..Act::default() });
    core.memory.keeper.notify_one();
    rules(&core).await.map(Json)
}

/// What the rules in force, or those in the body, would delete now. Deletes nothing.
#[utoipa::path(
    post,
    path = "/api/v1/retention/preview",
    tag = "retention",
    request_body(content = Option<Policy>, description = "Rules to try; without a body those in force"),
    responses((status = 200, body = Summary), (status = 400, description = "These rules cannot be carried out")),
    extensions(("x-role" = json!("admin"))),
)]
pub(super) async fn preview(
    State(core): State<Arc<Core>>,
    _caller: Admin,
    body: Body,
) -> Result<Json<Summary>, Refusal> {
    let bytes = body::collect(body, MAX_BODY_BYTES, core.config.limits.body_timeout).await?;
    let policy = if bytes.is_empty() {
        core.index.retention().await?.policy
    } else {
        let read = serde_json::from_slice::<Policy>(&bytes);
        read.map_err(|error| Refusal::malformed(error.to_string()))?
    };
    policy.check()?;
    let free = core.reads.free_bytes(core.disk.clone(), core.config.data.clone()).await?;
    let held = core.index.held_packs().await?;
    let now = core.clock.wall();
    let counted = tokio::task::spawn_blocking(move || summarize(&policy, now, free, held)).await;
    counted.map(Json).map_err(|_| Refusal::malformed("the preview was stopped"))
}

/// Which footage.
#[derive(Debug, Deserialize)]
pub(super) struct Place {
    device: String,
    camera: String,
}

/// Deletes the packs that lie wholly in the range and that no locked event keeps.
#[utoipa::path(
    delete,
    path = "/api/v1/devices/{device}/cameras/{camera}/footage",
    tag = "retention",
    params(
        ("device" = String, Path, description = "Device id"),
        ("camera" = String, Path, description = "Camera name"),
        Range,
    ),
    responses((status = 200, body = Deleted), (status = 404, description = "No such device or camera")),
    extensions(("x-role" = json!("admin"))),
)]
pub(super) async fn delete_footage(
    State(core): State<Arc<Core>>,
    Admin(caller): Admin,
    Path(place): Path<Place>,
    Query(range): Query<Range>,
) -> Result<Json<Deleted>, Refusal> {
    let (device, camera) = caller.camera(&place.device, &place.camera)?;
    let range = range.ends()?;
    let now = core.clock.wall();
    let act = Act { range: Some(range), ..Act::on("delete-footage", &device, &camera) };
    core.audit(&caller, act);
    let mut deleted = Deleted::default();
    loop {
        let packs = core.index.packs_within(&device, &camera, range, STEP).await?;
        if packs.is_empty() {
            break;
        }
        for pack in mark(&core.index, &core.metrics, &packs, Reason::Hand, now).await? {
            deleted.packs += 1;
            deleted.bytes += pack.bytes;
        }
    }
    core.memory.keeper.notify_one();
    let kept = core.index.kept_within(&device, &camera, range).await?;
    (deleted.kept_locked, deleted.kept_partly_within) = (kept.locked, kept.partly);
    Ok(Json(deleted))
}

async fn rules(core: &Core) -> Result<Rules, Refusal> {
    let stored = core.index.retention().await?;
    let (updated_at, updated_by) = stored.updated.unzip();
    Ok(Rules { rules: stored.policy.rules, vault: stored.policy.vault, updated_at, updated_by })
}

impl From<RuleError> for Refusal {
    fn from(error: RuleError) -> Self {
        Self::malformed(error.to_string())
    }
}
