//! The audit log, for administrators.

use std::sync::Arc;

use axum::{
    Json,
    extract::{Query, State},
};
use dashvault_base::{CameraName, DeviceId, WallMs};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{access::Admin, page::Page, problem::Refusal, time::Moment};
use crate::{
    archive::index::{AuditFilter, AuditRow},
    core::Core,
};

pub(super) fn routes() -> OpenApiRouter<Arc<Core>> {
    OpenApiRouter::new().routes(routes!(list))
}

/// Something that somebody did.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct AuditEntry {
    id: i64,
    #[schema(value_type = i64)]
    at: WallMs,
    /// `user:anna`, `token:nightly`, `device:bus-7`, `admin-token`, `anonymous`; the name that was tried, of a refused
    /// sign-in.
    who: String,
    role: String,
    address: String,
    /// `sign-in`, `view`, `download`, …
    action: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    device: Option<DeviceId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    camera: Option<CameraName>,
    /// The footage's time.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<i64>)]
    from: Option<WallMs>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<i64>)]
    to: Option<WallMs>,
    #[serde(skip_serializing_if = "String::is_empty")]
    detail: String,
}

#[derive(Debug, Serialize, ToSchema)]
pub(super) struct AuditEntries {
    entries: Vec<AuditEntry>,
    /// What to give as `after` for the rest.
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<String>,
}

/// Which acts.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct Asked {
    /// By this one only, as `user:anna`.
    who: Option<String>,
    /// These only, as `download`.
    action: Option<String>,
    /// On this device only.
    #[param(value_type = Option<String>)]
    device: Option<DeviceId>,
    /// From this time on: RFC 3339 or Unix milliseconds.
    #[param(value_type = Option<String>)]
    from: Option<Moment>,
    /// Before this time.
    #[param(value_type = Option<String>)]
    to: Option<Moment>,
}

/// Who did, watched or downloaded what; the newest first.
#[utoipa::path(
    get,
    path = "/api/v1/audit",
    tag = "access",
    params(Asked, Page),
    responses((status = 200, body = AuditEntries)),
    extensions(("x-role" = json!("admin"))),
)]
pub(super) async fn list(
    State(core): State<Arc<Core>>,
    Admin(_caller): Admin,
    Query(asked): Query<Asked>,
    Query(page): Query<Page>,
) -> Result<Json<AuditEntries>, Refusal> {
    let before = page.after.as_ref().map(|text| text.parse::<i64>()).transpose();
    let before = before.map_err(|_| Refusal::malformed("`after` is the `next` of an answer"))?;
    let Asked { who, action, device, from, to } = asked;
    let (from, to) = (from.map(WallMs::from), to.map(WallMs::from));
    let filter = AuditFilter { who, action, device, from, to, before };
    let rows = core.index.audit(&filter, page.fetch()).await?;
    let (rows, next) = page.cut(rows, |(id, _)| id.to_string());
    Ok(Json(AuditEntries { entries: rows.into_iter().map(AuditEntry::from).collect(), next }))
}

impl From<(i64, AuditRow)> for AuditEntry {
    fn from((id, row): (i64, AuditRow)) -> Self {
        let AuditRow { at, who, role, address, action, device, camera, range, detail } = row;
        let (from, to) = range.unzip();
        Self { id, at, who, role, address, action, device, camera, from, to, detail }
    }
}
