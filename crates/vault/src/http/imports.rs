//! `/api/v1/imports`: foreign footage by tus 1.0 (creation, creation-with-upload, termination, expiration, checksum,
//! concatenation), for any client. One `PUT` does too: [`put`].
//!
//! Belongs here: the protocol's headers and answers. Does not: what becomes of a file (`import`). Whose turn it is, the way
//! of a body and the checksums are those of vehicles' uploads.
//!
//! <https://tus.io/protocols/resumable-upload>

use std::sync::Arc;

use axum::{
    body::Body,
    extract::{Path, State},
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
    routing::options,
};
use dashvault_base::WallMs;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{
    access::{Act, Caller, Operator},
    problem::Refusal,
    uploads::{
        check_room,
        checksum::{self, ALGORITHMS},
        date,
        headers::{
            self, OFFSET_TYPE, TUS_CHECKSUMS, TUS_EXTENSION, TUS_MAX_SIZE, TUS_RESUMABLE, TUS_VERSION,
            TUS_VERSIONS, UPLOAD_EXPIRES, UPLOAD_LENGTH, UPLOAD_METADATA, UPLOAD_OFFSET,
        },
    },
};
use crate::{
    archive::index::{ImportRow, ImportState},
    core::Core,
    import::upload::ImportUpload,
};

pub(super) mod jobs;
mod metadata;
mod put;
mod receive;

use metadata::{Concat, Target};

/// The longest file taken.
const MAX_LENGTH: u64 = 64 << 30;
const PATH: &str = "/api/v1/imports";
const EXTENSIONS: &str = "creation,creation-with-upload,termination,expiration,checksum,concatenation";

pub(super) fn routes() -> OpenApiRouter<Arc<Core>> {
    OpenApiRouter::new()
        .routes(routes!(create))
        .route(PATH, options(say))
        .routes(routes!(head, patch, delete))
        .route("/api/v1/imports/{id}", options(say))
        .routes(routes!(put::put))
        .merge(jobs::routes())
}

/// What is spoken here.
async fn say() -> Response {
    let mut response = StatusCode::NO_CONTENT.into_response();
    let answer = response.headers_mut();
    answer.insert(TUS_RESUMABLE, HeaderValue::from_static(TUS_VERSION));
    answer.insert(TUS_VERSIONS, HeaderValue::from_static(TUS_VERSION));
    answer.insert(TUS_EXTENSION, HeaderValue::from_static(EXTENSIONS));
    answer.insert(TUS_CHECKSUMS, HeaderValue::from_static(ALGORITHMS));
    answer.insert(TUS_MAX_SIZE, MAX_LENGTH.into());
    response
}

/// Begins an upload (tus). `Upload-Metadata`: `device`, `camera`, `filename`, and optionally `at`, `time_zone`, `keep`.
#[utoipa::path(
    post,
    path = "/api/v1/imports",
    tag = "imports",
    params(
        ("Tus-Resumable" = String, Header, description = "1.0.0"),
        ("Upload-Length" = Option<u64>, Header, description = "Bytes of the file"),
        ("Upload-Metadata" = Option<String>, Header, description = "device, camera, filename, at, time_zone, keep"),
        ("Upload-Concat" = Option<String>, Header, description = "partial, or final;… "),
    ),
    responses((status = 201, description = "Begun; Location says where"), (status = 404, description = "No such device")),
    extensions(("x-role" = json!("operator"))),
)]
pub(super) async fn create(
    State(core): State<Arc<Core>>,
    Operator(caller): Operator,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Refusal> {
    answer(&core, create_upload(&core, &caller, &headers, body).await)
}

/// How far an upload has come (tus).
#[utoipa::path(
    head,
    path = "/api/v1/imports/{id}",
    tag = "imports",
    params(("id" = String, Path, description = "Import id")),
    responses((status = 200, description = "Upload-Offset and Upload-Length"), (status = 404, description = "No such upload")),
    extensions(("x-role" = json!("operator"))),
)]
pub(super) async fn head(
    State(core): State<Arc<Core>>,
    Operator(caller): Operator,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Result<Response, Refusal> {
    answer(&core, head_upload(&core, &caller, &id, &headers).await)
}

/// Brings bytes at `Upload-Offset` (tus).
#[utoipa::path(
    patch,
    path = "/api/v1/imports/{id}",
    tag = "imports",
    params(("id" = String, Path, description = "Import id")),
    responses((status = 204, description = "Taken"), (status = 409, description = "Another offset")),
    extensions(("x-role" = json!("operator"))),
)]
pub(super) async fn patch(
    State(core): State<Arc<Core>>,
    Operator(caller): Operator,
    Path(id): Path<String>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Refusal> {
    answer(&core, patch_upload(&core, &caller, &id, &headers, body).await)
}

/// Ends an upload that is not whole (tus).
#[utoipa::path(
    delete,
    path = "/api/v1/imports/{id}",
    tag = "imports",
    params(("id" = String, Path, description = "Import id")),
    responses((status = 204, description = "Forgotten"), (status = 404, description = "No such upload")),
    extensions(("x-role" = json!("operator"))),
)]
pub(super) async fn delete(
    State(core): State<Arc<Core>>,
    Operator(caller): Operator,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Result<Response, Refusal> {
    answer(&core, delete_upload(&core, &caller, &id, &headers).await)
}

async fn create_upload(
    core: &Arc<Core>,
    caller: &Caller,
    headers: &HeaderMap,
    body: Body,
) -> Result<Response, Refusal> {
    headers::check_version(headers)?;
    let text = |name: &header::HeaderName| headers.get(name).and_then(|value| value.to_str().ok());
    let metadata = text(&UPLOAD_METADATA).unwrap_or_default();
    let concat = Concat::parse(text(&metadata::UPLOAD_CONCAT))?;
    let now = core.clock.wall();
    check_room(core).await?;
    let upload = match concat {
        Concat::Final(parts) => {
            let target = Target::parse(metadata)?;
            let mut found = Vec::with_capacity(parts.len());
            for id in &parts {
                found.push(whole_part(core, caller, id).await?);
            }
            let length = found.iter().map(|part| part.length).sum();
            let row = begin_row(core, caller, Some(target), metadata, length, now).await?;
            let upload = core.imports.begin(&row).await?;
            core.imports.join(&upload, found, now).await?;
            core.imports.queue_if_whole(&upload).await?;
            upload
        }
        concat => {
            let length = headers::number(headers, &UPLOAD_LENGTH)?.ok_or_else(|| {
                Refusal::malformed("Upload-Length is missing; it must be known when an upload begins")
            })?;
            let target = if concat == Concat::Partial { None } else { Some(Target::parse(metadata)?) };
            let row = begin_row(core, caller, target, metadata, length, now).await?;
            let upload = core.imports.begin(&row).await?;
            if headers::content_type(headers) == Some(OFFSET_TYPE) {
                receive::tus(core, &upload, 0, checksum::expected(headers)?, headers, body).await?;
            }
            upload
        }
    };
    let location = format!("{PATH}/{}", upload.id);
    let mut response = describe(core, &upload, StatusCode::CREATED);
    let answer = response.headers_mut();
    answer.extend(HeaderValue::from_str(&location).ok().map(|value| (header::LOCATION, value)));
    Ok(response)
}

async fn head_upload(
    core: &Core,
    caller: &Caller,
    id: &str,
    headers: &HeaderMap,
) -> Result<Response, Refusal> {
    headers::check_version(headers)?;
    let row = visible(core, caller, id).await?;
    let (offset, length) = match core.imports.find(id) {
        Some(upload) => {
            // What another connection brought is settled first.
            drop(upload.take_turn().await.ok_or_else(Refusal::taken_over)?);
            (upload.durable(), upload.length)
        }
        None => (row.received, row.length),
    };
    let mut response = StatusCode::OK.into_response();
    let answer = response.headers_mut();
    answer.insert(UPLOAD_OFFSET, offset.into());
    answer.insert(UPLOAD_LENGTH, length.into());
    if row.is_partial() {
        answer.insert(metadata::UPLOAD_CONCAT, HeaderValue::from_static("partial"));
    }
    answer.extend(HeaderValue::from_str(&row.metadata).ok().map(|value| (UPLOAD_METADATA, value)));
    answer.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    if row.state == ImportState::Receiving {
        answer.extend(expires(core).map(|value| (UPLOAD_EXPIRES, value)));
    }
    Ok(response)
}

async fn patch_upload(
    core: &Arc<Core>,
    caller: &Caller,
    id: &str,
    headers: &HeaderMap,
    body: Body,
) -> Result<Response, Refusal> {
    headers::check_version(headers)?;
    if headers::content_type(headers) != Some(OFFSET_TYPE) {
        let detail = format!("Content-Type must be {OFFSET_TYPE}");
        return Err(Refusal::new(415, "content-type", "content type is not supported", detail));
    }
    let offset = headers::number(headers, &UPLOAD_OFFSET)?
        .ok_or_else(|| Refusal::malformed("Upload-Offset is missing"))?;
    let row = visible(core, caller, id).await?;
    let upload = core.imports.find(id).ok_or_else(|| whole(&row))?;
    check_room(core).await?;
    receive::tus(core, &upload, offset, checksum::expected(headers)?, headers, body).await?;
    Ok(describe(core, &upload, StatusCode::NO_CONTENT))
}

async fn delete_upload(
    core: &Core,
    caller: &Caller,
    id: &str,
    headers: &HeaderMap,
) -> Result<Response, Refusal> {
    headers::check_version(headers)?;
    visible(core, caller, id).await?;
    jobs::end(core, id).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

/// A new import's row, once everything about it can be.
async fn begin_row(
    core: &Core,
    caller: &Caller,
    target: Option<Target>,
    metadata: &str,
    length: u64,
    now: WallMs,
) -> Result<ImportRow, Refusal> {
    if length > MAX_LENGTH {
        return Err(Refusal::too_large(MAX_LENGTH));
    }
    if length == 0 {
        return Err(Refusal::malformed("the file is empty"));
    }
    if !core.imports.has_room() {
        let detail = "finish or delete an upload first; those that nobody feeds expire";
        return Err(Refusal::new(429, "too-many-uploads", "too many unfinished imports", detail));
    }
    if let Some(target) = &target {
        allow(core, caller, target).await?;
    }
    let (named, options) = target.map(|target| ((target.device, target.camera), target.options)).unzip();
    let options = options.unwrap_or_default();
    Ok(ImportRow {
        id: super::random_id()?,
        target: named,
        filename: options.filename,
        metadata: metadata.to_owned(),
        length,
        received: 0,
        state: ImportState::Receiving,
        said_at: options.at,
        zone_ms: options.zone_ms,
        keep: options.keep,
        content: None,
        recording: None,
        start_wall: None,
        end_wall: None,
        time_source: None,
        warning: None,
        error: None,
        duplicate_of: None,
        created: now,
        created_by: caller.name.clone(),
        touched: now,
    })
}

/// Whether there is such a device for the caller, and the camera may be one of its; notes it.
async fn allow(core: &Core, caller: &Caller, target: &Target) -> Result<(), Refusal> {
    let Target { device, camera, options } = target;
    if !caller.may_see(device) || core.index.device(device).await?.is_none() {
        return Err(Refusal::not_found("device"));
    }
    let cameras = core.index.cameras(device).await?;
    let max = core.config.limits.cameras_per_device;
    if !cameras.contains(camera) && cameras.len() >= max {
        let detail = format!("a device may have {max} cameras");
        return Err(Refusal::new(409, "too-many-cameras", "too many cameras", detail));
    }
    core.audit(caller, Act { detail: options.filename.clone(), ..Act::on("import", device, camera) });
    Ok(())
}

/// A part of a concatenation that is whole; it is the caller's.
async fn whole_part(core: &Core, caller: &Caller, id: &str) -> Result<Arc<ImportUpload>, Refusal> {
    let row = visible(core, caller, id).await?;
    let part = core.imports.find(id).filter(|_| row.is_partial());
    let part = part.ok_or_else(|| Refusal::malformed("only partial uploads can be joined"))?;
    drop(part.take_turn().await.ok_or_else(Refusal::taken_over)?);
    if part.durable() < part.length {
        let detail = format!("part {id} has {} of {} bytes", part.durable(), part.length);
        return Err(Refusal::new(409, "unfinished-part", "a part is not whole yet", detail));
    }
    Ok(part)
}

/// An import that the caller may know of: of a device they may see, or a part of their own.
pub(super) async fn visible(core: &Core, caller: &Caller, id: &str) -> Result<ImportRow, Refusal> {
    let may_see = |row: &ImportRow| match &row.target {
        Some((device, _)) => caller.may_see(device),
        None => row.created_by == caller.name,
    };
    let row = core.index.import(id).await?.filter(may_see);
    row.ok_or_else(|| Refusal::not_found("import"))
}

fn whole(row: &ImportRow) -> Refusal {
    let detail = format!("it is {}; see /api/v1/import-jobs/{}", row.state, row.id);
    Refusal::new(409, "whole", "the upload is whole", detail)
}

/// The headers that every answer about an upload has.
fn describe(core: &Core, upload: &ImportUpload, status: StatusCode) -> Response {
    let mut response = status.into_response();
    let answer = response.headers_mut();
    answer.insert(UPLOAD_OFFSET, upload.durable().into());
    answer.extend(expires(core).map(|value| (UPLOAD_EXPIRES, value)));
    response
}

fn expires(core: &Core) -> Option<HeaderValue> {
    let expiry = i64::try_from(core.config.limits.upload_expiry.as_millis()).unwrap_or(i64::MAX);
    HeaderValue::from_str(&date::imf_fixdate(core.clock.wall().plus_ms(expiry))).ok()
}

/// Every answer says which tus it speaks; refusals are counted.
fn answer(core: &Core, result: Result<Response, Refusal>) -> Result<Response, Refusal> {
    let version = HeaderValue::from_static(TUS_VERSION);
    match result {
        Ok(mut response) => {
            response.headers_mut().insert(TUS_RESUMABLE, version);
            Ok(response)
        }
        Err(refusal) => {
            core.metrics.refused("import", refusal.code);
            Err(refusal.with(TUS_RESUMABLE, version))
        }
    }
}
