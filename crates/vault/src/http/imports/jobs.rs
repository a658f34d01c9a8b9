//! `/api/v1/import-jobs`: what becomes of imports.

use std::sync::{Arc, atomic::Ordering};

use axum::{
    Json,
    extract::{Path, Query, State},
    http::StatusCode,
};
use dashvault_base::{CameraName, DeviceId, RecordingId, WallMs};
use serde::{Deserialize, Serialize};
use utoipa_axum::{router::OpenApiRouter, routes};

use super::visible;
use crate::{
    archive::index::{ImportRow, ImportState},
    core::Core,
    http::{access::Operator, page::Page, problem::Refusal},
};

pub(super) fn routes() -> OpenApiRouter<Arc<Core>> {
    OpenApiRouter::new().routes(routes!(list)).routes(routes!(show, delete))
}

/// Which jobs.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub(in crate::http) struct Asked {
    /// Of this device
    device: Option<String>,
    /// `receiving`, `queued`, `running`, `done`, `duplicate` or `failed`
    state: Option<String>,
}

#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(in crate::http) struct Jobs {
    jobs: Vec<Job>,
    /// What to give as `after` for the rest.
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<String>,
}

/// One import.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[schema(as = ImportJob)]
pub(in crate::http) struct Job {
    id: String,
    #[schema(value_type = Option<String>)]
    device: Option<DeviceId>,
    #[schema(value_type = Option<String>)]
    camera: Option<CameraName>,
    filename: String,
    bytes: u64,
    received_bytes: u64,
    /// `receiving`, `queued`, `running`, `done`, `duplicate` or `failed`.
    state: &'static str,
    /// Of its job, from 0 to 1.
    progress: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    recording: Option<RecordingId>,
    /// Where it lies in time.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<i64>)]
    from: Option<WallMs>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<i64>)]
    to: Option<WallMs>,
    /// Who said so: `said`, `container`, `name` or `upload`.
    #[serde(skip_serializing_if = "Option::is_none")]
    time_source: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    warning: Option<String>,
    /// Why it failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<JobError>,
    /// The import that brought the same file.
    #[serde(skip_serializing_if = "Option::is_none")]
    duplicate_of: Option<String>,
    #[schema(value_type = i64)]
    created: WallMs,
    created_by: String,
}

#[derive(Debug, Serialize, utoipa::ToSchema)]
#[schema(as = ImportJobError)]
struct JobError {
    code: String,
    detail: String,
}

impl Job {
    pub(super) fn of(core: &Core, row: ImportRow) -> Self {
        let running = core.imports.running(&row.id);
        let progress = match row.state {
            ImportState::Done | ImportState::Duplicate => 1.0,
            _ => running.map_or(0.0, |running| f64::from(running.permille()) / 1000.0),
        };
        let received_bytes = core.imports.find(&row.id).map_or(row.received, |upload| upload.durable());
        let (device, camera) = row.target.unzip();
        Self {
            id: row.id,
            device,
            camera,
            filename: row.filename,
            bytes: row.length,
            received_bytes,
            state: row.state.name(),
            progress,
            recording: row.recording,
            from: row.start_wall,
            to: row.end_wall,
            time_source: row.time_source.map(|source| source.name()),
            warning: row.warning,
            error: row.error.map(|(code, detail)| JobError { code, detail }),
            duplicate_of: row.duplicate_of,
            created: row.created,
            created_by: row.created_by,
        }
    }
}

/// Imports, newest first.
#[utoipa::path(
    get,
    path = "/api/v1/import-jobs",
    tag = "imports",
    params(Asked, Page),
    responses((status = 200, body = Jobs)),
    extensions(("x-role" = json!("operator"))),
)]
pub(in crate::http) async fn list(
    State(core): State<Arc<Core>>,
    Operator(caller): Operator,
    Query(asked): Query<Asked>,
    Query(page): Query<Page>,
) -> Result<Json<Jobs>, Refusal> {
    let device = match asked.device {
        Some(name) => Some(caller.device(&name)?),
        None => caller.only().cloned(),
    };
    let state = asked.state.map(|name| name.parse::<ImportState>()).transpose();
    let state = state.map_err(|()| Refusal::malformed("`state` is no state of an import"))?;
    let after = page.after.as_deref().map(cursor).transpose()?;
    let rows = core.index.imports(device.as_ref(), state, after, page.fetch()).await?;
    let (rows, next) = page.cut(rows, |row| format!("{}_{}", row.created.0, row.id));
    Ok(Json(Jobs { jobs: rows.into_iter().map(|row| Job::of(&core, row)).collect(), next }))
}

/// One import.
#[utoipa::path(
    get,
    path = "/api/v1/import-jobs/{id}",
    tag = "imports",
    params(("id" = String, Path, description = "Import id")),
    responses((status = 200, body = Job), (status = 404, description = "No such import")),
    extensions(("x-role" = json!("operator"))),
)]
pub(in crate::http) async fn show(
    State(core): State<Arc<Core>>,
    Operator(caller): Operator,
    Path(id): Path<String>,
) -> Result<Json<Job>, Refusal> {
    let row = visible(&core, &caller, &id).await?;
    Ok(Json(Job::of(&core, row)))
}

/// Cancels an import, or forgets one that has ended; footage that it brought stays.
#[utoipa::path(
    delete,
    path = "/api/v1/import-jobs/{id}",
    tag = "imports",
    params(("id" = String, Path, description = "Import id")),
    responses(
        (status = 204, description = "It is no more"),
        (status = 404, description = "No such import"),
        (status = 409, description = "Its packs are being stored"),
    ),
    extensions(("x-role" = json!("operator"))),
)]
pub(in crate::http) async fn delete(
    State(core): State<Arc<Core>>,
    Operator(caller): Operator,
    Path(id): Path<String>,
) -> Result<StatusCode, Refusal> {
    visible(&core, &caller, &id).await?;
    end(&core, &id).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Ends an import in whatever state it is.
pub(super) async fn end(core: &Core, id: &str) -> Result<(), Refusal> {
    if let Some(running) = core.imports.running(id) {
        if running.is_storing.load(Ordering::Acquire) {
            let detail = "its packs are being stored; delete the footage instead";
            return Err(Refusal::new(409, "storing", "the import is almost done", detail));
        }
        // The job removes its files when its process is gone.
        running.over.cancel();
        return Ok(());
    }
    let _turn = match core.imports.find(id) {
        Some(upload) => Some(upload.take_turn().await.ok_or_else(Refusal::taken_over)?),
        None => None,
    };
    Ok(core.imports.forget(id).await?)
}

fn cursor(text: &str) -> Result<(WallMs, String), Refusal> {
    let parts = text.split_once('_').and_then(|(at, id)| Some((WallMs(at.parse().ok()?), id.to_owned())));
    parts.ok_or_else(|| Refusal::malformed("`after` must be the `next` of an answer"))
}
