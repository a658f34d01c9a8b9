//! `/healthz` and `/metrics`.

use std::{sync::Arc, time::Duration};

use axum::{Json, extract::State, http::header, response::IntoResponse};
use serde::Serialize;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::problem::Refusal;
use crate::core::Core;

pub(super) fn routes() -> OpenApiRouter<Arc<Core>> {
    OpenApiRouter::new().routes(routes!(health)).routes(routes!(metrics))
}

const PATIENCE: Duration = Duration::from_secs(5);

#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(super) struct Health {
    status: &'static str,
    version: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    free_bytes: Option<u64>,
}

/// Whether it is alive: index and store threads answer, the disk can be asked and has room.
#[utoipa::path(
    get,
    path = "/healthz",
    tag = "operation",
    responses((status = 200, body = Health), (status = 503, description = "A part does not answer, or the disk is almost full")),
    extensions(("x-role" = json!("none"))),
)]
pub(super) async fn health(State(core): State<Arc<Core>>) -> Result<Json<Health>, Refusal> {
    let checked = async {
        core.index.ping().await?;
        core.store.ping().await?;
        let free = core.reads.free_bytes(core.disk.clone(), core.config.data.clone()).await?;
        Ok::<_, Refusal>(free)
    };
    let stuck =
        |_| Refusal::new(503, "stuck", "a part of the vault does not answer", "its disk may be stuck");
    let free_bytes = tokio::time::timeout(PATIENCE, checked).await.map_err(stuck)??;
    if free_bytes.is_some_and(|free| free < core.config.limits.reserve_bytes) {
        let detail = "uploads are refused until there is room again";
        return Err(Refusal::new(503, "disk-full", "the disk is almost full", detail));
    }
    Ok(Json(Health { status: "ok", version: env!("CARGO_PKG_VERSION"), free_bytes }))
}

/// What it counts, as Prometheus reads it.
#[utoipa::path(
    get,
    path = "/metrics",
    tag = "operation",
    responses((status = 200, description = "Prometheus text", body = String, content_type = "text/plain")),
    extensions(("x-role" = json!("none"))),
)]
pub(super) async fn metrics(State(core): State<Arc<Core>>) -> impl IntoResponse {
    // The index knows it for every process that marks; where it cannot answer, the last number stands.
    match core.index.count_missing().await {
        Ok(missing) => core.metrics.objects_missing.set(missing as f64),
        Err(error) => tracing::error!(%error, "missing objects cannot be counted"),
    }
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4")], core.metrics.render())
}
