//! Backfill uploads: tus 1.0 with creation, creation-with-upload, termination, expiration and checksum.
//!
//! Belongs here: the protocol's headers and answers. Does not: where bytes go (the store), and what they are.
//! HEAD, PATCH and DELETE take the upload over from any other connection: who asks now is alive, the other may be a
//! link that died unnoticed. What the other had sent is written first, so no byte is asked for twice.
//!
//! <https://tus.io/protocols/resumable-upload>

use std::sync::Arc;

use axum::{
    body::Body,
    extract::{Path, State},
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use dashvault_wire::{paths, upload::PackTarget};
use tokio::sync::oneshot;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{access::Publisher, problem::Refusal};
use crate::{
    auth::{AuthError, Device},
    core::Core,
    store::StoreError,
    uploads::{Upload, UploadTarget},
};

pub(super) mod checksum;
pub(super) mod date;
pub(super) mod headers;
pub(super) mod receive;

use headers::{
    EXTENSIONS, OFFSET_TYPE, TUS_VERSION, UPLOAD_EXPIRES, UPLOAD_LENGTH, UPLOAD_METADATA, UPLOAD_OFFSET,
};
use receive::{Destination, Received, Receiver};

/// The longest upload taken: more than any pack has.
const MAX_LENGTH: u64 = 64 << 30;

pub(super) fn routes() -> OpenApiRouter<Arc<Core>> {
    OpenApiRouter::new().routes(routes!(create, options)).routes(routes!(head, patch, delete, options_of_one))
}

/// What of tus 1.0 is spoken here.
#[utoipa::path(
    options,
    path = "/api/v1/uploads",
    tag = "recorder",
    responses((status = 204, description = "See its headers")),
    extensions(("x-role" = json!("none"))),
)]
pub(super) async fn options() -> Response {
    let mut response = StatusCode::NO_CONTENT.into_response();
    let answer = response.headers_mut();
    answer.insert(headers::TUS_RESUMABLE, HeaderValue::from_static(TUS_VERSION));
    answer.insert(headers::TUS_VERSIONS, HeaderValue::from_static(TUS_VERSION));
    answer.insert(headers::TUS_EXTENSION, HeaderValue::from_static(EXTENSIONS));
    answer.insert(headers::TUS_CHECKSUMS, HeaderValue::from_static(checksum::ALGORITHMS));
    answer.insert(headers::TUS_MAX_SIZE, MAX_LENGTH.into());
    response
}

/// What of tus 1.0 is spoken here.
#[utoipa::path(
    options,
    path = "/api/v1/uploads/{id}",
    tag = "recorder",
    params(("id" = String, Path, description = "Upload id, the end of its `Location`")),
    responses((status = 204, description = "See its headers")),
    extensions(("x-role" = json!("none"))),
)]
pub(super) async fn options_of_one() -> Response {
    options().await
}

/// Begins an upload of a part of an announced pack (tus 1.0), perhaps with its first bytes.
#[utoipa::path(
    post,
    path = "/api/v1/uploads",
    tag = "recorder",
    params(
        ("Tus-Resumable" = String, Header, description = "`1.0.0`"),
        ("Upload-Length" = u64, Header, description = "How many bytes will come"),
        ("Upload-Metadata" = String, Header, description = "`camera`, `pack`, `start`, each in base64"),
    ),
    responses(
        (status = 201, description = "Begun; `Location` says where it goes on"),
        (status = 413, description = "It is too long"),
        (status = 507, description = "The disk is full"),
    ),
    extensions(("x-role" = json!("device"))),
)]
pub(super) async fn create(
    State(core): State<Arc<Core>>,
    publisher: Publisher,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Refusal> {
    answer(&core, create_upload(&core, publisher, &headers, body).await)
}

/// How far an upload is.
#[utoipa::path(
    head,
    path = "/api/v1/uploads/{id}",
    tag = "recorder",
    params(("id" = String, Path, description = "Upload id, the end of its `Location`"), ("Tus-Resumable" = String, Header, description = "`1.0.0`")),
    responses((status = 200, description = "`Upload-Offset` says it"), (status = 404, description = "No such upload")),
    extensions(("x-role" = json!("device"))),
)]
pub(super) async fn head(
    State(core): State<Arc<Core>>,
    Path(id): Path<String>,
    publisher: Publisher,
    headers: HeaderMap,
) -> Result<Response, Refusal> {
    answer(&core, head_upload(&core, publisher, &id, &headers).await)
}

/// More bytes of an upload.
#[utoipa::path(
    patch,
    path = "/api/v1/uploads/{id}",
    tag = "recorder",
    params(
        ("id" = String, Path, description = "Upload id, the end of its `Location`"),
        ("Tus-Resumable" = String, Header, description = "`1.0.0`"),
        ("Upload-Offset" = u64, Header, description = "Where they begin"),
        ("Upload-Checksum" = Option<String>, Header, description = "`sha1 …` of this body, in base64"),
    ),
    responses(
        (status = 204, description = "Taken; `Upload-Offset` says how far it is"),
        (status = 404, description = "No such upload"),
        (status = 409, description = "They begin somewhere else"),
        (status = 460, description = "The checksum is wrong"),
    ),
    extensions(("x-role" = json!("device"))),
)]
pub(super) async fn patch(
    State(core): State<Arc<Core>>,
    Path(id): Path<String>,
    publisher: Publisher,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Refusal> {
    answer(&core, patch_upload(&core, publisher, &id, &headers, body).await)
}

/// Ends an upload; what came of it is kept where it belongs to a pack.
#[utoipa::path(
    delete,
    path = "/api/v1/uploads/{id}",
    tag = "recorder",
    params(("id" = String, Path, description = "Upload id, the end of its `Location`"), ("Tus-Resumable" = String, Header, description = "`1.0.0`")),
    responses((status = 204, description = "Ended"), (status = 404, description = "No such upload")),
    extensions(("x-role" = json!("device"))),
)]
pub(super) async fn delete(
    State(core): State<Arc<Core>>,
    Path(id): Path<String>,
    publisher: Publisher,
    headers: HeaderMap,
) -> Result<Response, Refusal> {
    answer(&core, delete_upload(&core, publisher, &id, &headers).await)
}

async fn create_upload(
    core: &Arc<Core>,
    publisher: Publisher,
    headers: &HeaderMap,
    body: Body,
) -> Result<Response, Refusal> {
    let device = publisher.device()?;
    headers::check_version(headers)?;
    let length = headers::number(headers, &UPLOAD_LENGTH)?.ok_or_else(|| {
        Refusal::malformed("Upload-Length is missing; it must be known when an upload begins")
    })?;
    if length > MAX_LENGTH {
        return Err(Refusal::too_large(MAX_LENGTH));
    }
    let metadata = headers.get(&UPLOAD_METADATA).and_then(|value| value.to_str().ok());
    let PackTarget { camera, pack, start } = PackTarget::from_metadata(metadata.unwrap_or_default())?;
    check_room(core).await?;
    for leaving in core.uploads.admit(&device.id, core.config.limits.uploads_per_device)? {
        core.store.end_upload(leaving).await?;
    }
    let target = UploadTarget { device: device.id.clone(), camera, pack, start, length };
    let upload = core.store.begin_upload(super::random_id()?, target).await?;
    let with_body = headers::content_type(headers) == Some(OFFSET_TYPE);
    if with_body {
        receive_body(core, &device, &upload, 0, headers, body).await?;
    }
    let location = format!("{}/{}", paths::UPLOADS, upload.id);
    let mut response = describe(core, &upload, StatusCode::CREATED);
    response
        .headers_mut()
        .extend(HeaderValue::from_str(&location).ok().map(|value| (header::LOCATION, value)));
    Ok(response)
}

async fn head_upload(
    core: &Core,
    publisher: Publisher,
    id: &str,
    headers: &HeaderMap,
) -> Result<Response, Refusal> {
    let device = publisher.device()?;
    headers::check_version(headers)?;
    let upload = find(core, &device, id)?;
    let turn = upload.take_turn().await.ok_or_else(Refusal::taken_over)?;
    let mut response = describe(core, &upload, StatusCode::OK);
    drop(turn);
    let target = &upload.target;
    let PackTarget { camera, pack, start } =
        PackTarget { camera: target.camera.clone(), pack: target.pack, start: target.start };
    let metadata = PackTarget { camera, pack, start }.to_metadata();
    let answer = response.headers_mut();
    answer.insert(UPLOAD_LENGTH, target.length.into());
    answer.extend(HeaderValue::from_str(&metadata).ok().map(|value| (UPLOAD_METADATA, value)));
    answer.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    Ok(response)
}

async fn patch_upload(
    core: &Arc<Core>,
    publisher: Publisher,
    id: &str,
    headers: &HeaderMap,
    body: Body,
) -> Result<Response, Refusal> {
    let device = publisher.device()?;
    headers::check_version(headers)?;
    if headers::content_type(headers) != Some(OFFSET_TYPE) {
        let detail = format!("Content-Type must be {OFFSET_TYPE}");
        return Err(Refusal::new(415, "content-type", "content type is not supported", detail));
    }
    let offset = headers::number(headers, &UPLOAD_OFFSET)?
        .ok_or_else(|| Refusal::malformed("Upload-Offset is missing"))?;
    let upload = find(core, &device, id)?;
    receive_body(core, &device, &upload, offset, headers, body).await?;
    Ok(describe(core, &upload, StatusCode::NO_CONTENT))
}

async fn delete_upload(
    core: &Core,
    publisher: Publisher,
    id: &str,
    headers: &HeaderMap,
) -> Result<Response, Refusal> {
    let device = publisher.device()?;
    headers::check_version(headers)?;
    let upload = find(core, &device, id)?;
    let _turn = upload.take_turn().await.ok_or_else(Refusal::taken_over)?;
    core.uploads.remove(id);
    core.store.end_upload(upload).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

/// Takes the turn, checks the offset, takes the body.
async fn receive_body(
    core: &Arc<Core>,
    device: &Device,
    upload: &Arc<Upload>,
    offset: u64,
    headers: &HeaderMap,
    body: Body,
) -> Result<(), Refusal> {
    let checksum = checksum::expected(headers)?;
    let turn = upload.take_turn().await.ok_or_else(Refusal::taken_over)?;
    let at = upload.offset();
    if at != offset {
        let detail = format!("the upload is at {at}, not at {offset}");
        return Err(Refusal::new(409, "offset", "Upload-Offset is not the upload's", detail)
            .with(UPLOAD_OFFSET, at.into()));
    }
    let left = upload.target.length - at;
    if headers::number(headers, &header::CONTENT_LENGTH)?.is_some_and(|announced| announced > left) {
        return Err(past_length(upload));
    }
    check_room(core).await?;
    let gate = core.gates.enter(&device.id);
    let destination = ToPack { core: core.clone(), upload: upload.clone(), begun_at: at };
    let receiver = Receiver { core: core.clone(), destination, turn, gate };
    // On a task of its own, so that what came is written even when the connection dies and this future with it.
    let received = tokio::spawn(receiver.run(body, checksum)).await;
    match received.map_err(|_| StoreError::Stopped)?? {
        Received::All => Ok(()),
        Received::PastLength => Err(past_length(upload)),
        Received::WrongChecksum => {
            let detail = "the body was changed on its way; nothing of it is kept, send it again";
            Err(Refusal::new(460, "checksum", "checksum does not match", detail))
        }
    }
}

/// The bytes of a pack that a vehicle announced.
struct ToPack {
    core: Arc<Core>,
    upload: Arc<Upload>,
    begun_at: u64,
}

impl Destination for ToPack {
    fn left(&self) -> u64 {
        self.upload.target.length - self.upload.offset()
    }

    async fn write(
        &self,
        batch: Vec<Bytes>,
    ) -> Result<oneshot::Receiver<Result<u64, StoreError>>, StoreError> {
        self.core.store.write_upload(&self.upload, batch).await
    }

    async fn take_back(&self) -> Result<(), StoreError> {
        self.core.store.rewind_upload(&self.upload, self.begun_at).await
    }

    async fn close(&self) -> Result<(), StoreError> {
        Ok(())
    }

    fn refusal(&self) -> Refusal {
        AuthError::Revoked(self.upload.target.device.clone()).into()
    }
}

fn past_length(upload: &Upload) -> Refusal {
    let detail = format!("the upload has {} bytes; what is beyond is not taken", upload.target.length);
    Refusal::new(413, "past-length", "upload is longer than it said", detail)
}

fn find(core: &Core, device: &Device, id: &str) -> Result<Arc<Upload>, Refusal> {
    core.uploads.find(id, &device.id).ok_or_else(|| Refusal::not_found("upload"))
}

pub(super) async fn check_room(core: &Core) -> Result<(), Refusal> {
    let free = core.reads.free_bytes(core.disk.clone(), core.config.data.clone()).await?;
    if free.is_some_and(|free| free < core.config.limits.reserve_bytes) {
        let detail = "the vault's disk is almost full; try again when its operator has made room";
        return Err(Refusal::new(507, "disk-full", "no room left", detail));
    }
    Ok(())
}

/// The headers that every answer about an upload has.
fn describe(core: &Core, upload: &Upload, status: StatusCode) -> Response {
    let mut response = status.into_response();
    let answer = response.headers_mut();
    answer.insert(UPLOAD_OFFSET, upload.offset().into());
    let expiry = i64::try_from(core.config.limits.upload_expiry.as_millis()).unwrap_or(i64::MAX);
    let expires = date::imf_fixdate(upload.touched().max(core.clock.wall()).plus_ms(expiry));
    answer.extend(HeaderValue::from_str(&expires).ok().map(|value| (UPLOAD_EXPIRES, value)));
    response
}

/// Every answer says which tus it speaks; refusals are counted.
fn answer(core: &Core, result: Result<Response, Refusal>) -> Result<Response, Refusal> {
    let version: (HeaderName, HeaderValue) = (headers::TUS_RESUMABLE, HeaderValue::from_static(TUS_VERSION));
    match result {
        Ok(mut response) => {
            response.headers_mut().insert(version.0, version.1);
            Ok(response)
        }
        Err(refusal) => {
            core.metrics.refused("upload", refusal.code);
            tracing::debug!(code = refusal.code, "upload request is refused");
            Err(refusal.with(version.0, version.1))
        }
    }
}
