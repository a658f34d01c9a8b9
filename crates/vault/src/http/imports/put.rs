//! `PUT /api/v1/imports/{device}/{camera}/{filename}`: a file in one request, as `curl -T` sends it.

use std::sync::Arc;

use axum::{
    Json,
    body::Body,
    extract::{Path, Query, State},
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde::Deserialize;

use super::{
    begin_row, check_room, headers, jobs,
    metadata::{Options, Target, zone},
    receive,
};
use crate::{
    core::Core,
    http::{access::Operator, problem::Refusal, time::Moment},
};

/// Where a file goes.
#[derive(Debug, Deserialize)]
pub(in crate::http) struct Place {
    device: String,
    camera: String,
    filename: String,
}

/// When it was recorded, and what becomes of it.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub(in crate::http) struct Asked {
    /// When it was recorded: RFC 3339 or Unix milliseconds
    #[param(value_type = Option<String>)]
    at: Option<Moment>,
    /// Of a time in its name: an offset such as `+01:00` (`+` is `%2B` in a URL)
    time_zone: Option<String>,
    /// Whether the original stays in the vault's data folder
    #[serde(default)]
    keep: bool,
}

/// Imports a file: `curl -T FILE URL`.
#[utoipa::path(
    put,
    path = "/api/v1/imports/{device}/{camera}/{filename}",
    tag = "imports",
    params(
        ("device" = String, Path, description = "Device id"),
        ("camera" = String, Path, description = "Camera name"),
        ("filename" = String, Path, description = "The file's name; it may hold the time"),
        Asked,
    ),
    responses(
        (status = 202, body = jobs::Job, description = "It is whole, and waits for its turn"),
        (status = 404, description = "No such device"),
        (status = 411, description = "Its length is not known"),
    ),
    extensions(("x-role" = json!("operator"))),
)]
pub(in crate::http) async fn put(
    State(core): State<Arc<Core>>,
    Operator(caller): Operator,
    Path(place): Path<Place>,
    Query(asked): Query<Asked>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Refusal> {
    let length = headers::number(&headers, &header::CONTENT_LENGTH)?.ok_or_else(|| {
        Refusal::new(411, "length-required", "length is not known", "send a Content-Length: give curl a file")
    })?;
    let options = Options {
        filename: place.filename,
        at: asked.at.map(Into::into),
        zone_ms: asked.time_zone.as_deref().map(zone).transpose()?.unwrap_or(0),
        keep: asked.keep,
    };
    let target = Target::new(&place.device, &place.camera, options)?;
    check_room(&core).await?;
    let row = begin_row(&core, &caller, Some(target), "", length, core.clock.wall()).await?;
    let upload = core.imports.begin(&row).await?;
    if let Err(refusal) = receive::tus(&core, &upload, 0, None, &headers, body).await {
        // Whoever sends it so cannot go on where it broke off.
        if core.imports.find(&row.id).is_some() {
            core.imports.forget(&row.id).await?;
        }
        return Err(refusal);
    }
    let location = format!("/api/v1/import-jobs/{}", row.id);
    let row = core.index.import(&row.id).await?.unwrap_or(row);
    let mut response = (StatusCode::ACCEPTED, Json(jobs::Job::of(&core, row))).into_response();
    let answer = response.headers_mut();
    answer.extend(HeaderValue::from_str(&location).ok().map(|value| (header::LOCATION, value)));
    Ok(response)
}
