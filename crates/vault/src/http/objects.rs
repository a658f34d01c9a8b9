//! `GET /objects/<device>/<camera>/<recording>/<pack>.ts`: a stored pack, whole or by range. Any player plays it.

use std::sync::Arc;

use axum::{
    extract::{Path, State},
    http::{HeaderMap, Method, StatusCode, header},
    response::Response,
};
use dashvault_base::{CameraName, DeviceId, PackId, RecordingId};
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{
    access::{Act, Caller, Viewer},
    problem::Refusal,
    range::{self, Asked},
    served::{self, Served, TRANSPORT_STREAM},
    validators::EntityTag,
};
use crate::{
    archive::{
        index::PackRow,
        objects::{ObjectError, ObjectKey, ObjectReader},
    },
    core::Core,
    store::ReadError,
    timeline::WallRange,
};

/// A stored object never changes.
const FOR_EVER: &str = "private, max-age=31536000, immutable";
/// The name of a pack that is not complete will answer with more.
const FOR_NOW: &str = "private, no-store";

pub(super) fn routes() -> OpenApiRouter<Arc<Core>> {
    OpenApiRouter::new().routes(routes!(object))
}

/// A stored pack, whole or by range.
#[utoipa::path(
    get,
    path = "/objects/{device}/{camera}/{recording}/{file}",
    tag = "footage",
    params(
        ("device" = String, Path, description = "Device id"),
        ("camera" = String, Path, description = "Camera name"),
        ("recording" = String, Path, description = "Its start in UTC: `20261122-101500`"),
        ("file" = String, Path, description = "`<recording>_<number>.ts`"),
    ),
    responses(
        (status = 200, description = "The whole pack", content_type = "video/mp2t"),
        (status = 206, description = "The range asked for", content_type = "video/mp2t"),
        (status = 304, description = "The client has it"),
        (status = 404, description = "No such pack"),
        (status = 410, description = "The vault has lost it"),
        (status = 416, description = "No such range"),
    ),
    extensions(("x-role" = json!("viewer"))),
)]
pub(super) async fn object(
    State(core): State<Arc<Core>>,
    Viewer(caller): Viewer,
    Path((device, camera, recording, file)): Path<(String, String, String, String)>,
    method: Method,
    headers: HeaderMap,
) -> Result<Response, Refusal> {
    let key = parse_key(&device, &camera, &recording, &file).ok_or_else(|| Refusal::not_found("object"))?;
    caller.device(&device)?;
    let (object, row) = match open(&core, &key).await? {
        Some(opened) => opened,
        None => match arriving(&core, &caller, &key, &method, &headers).await {
            Some(response) => return Ok(response),
            // It may have been stored between the two.
            None => open(&core, &key).await?.ok_or_else(|| Refusal::not_found("object"))?,
        },
    };
    let served = Served {
        content_type: TRANSPORT_STREAM,
        tag: row.as_ref().map(|row| EntityTag::of(row.manifest)),
        cache_control: FOR_EVER,
        file_name: None,
    };
    let response = served::answer(&core.reads, object, &method, &headers, &served)?;
    // Players ask for ranges.
    let action = match response.status() {
        StatusCode::OK => Some("download"),
        StatusCode::PARTIAL_CONTENT => Some("view"),
        _ => None,
    };
    if let Some(action) = action.filter(|_| method != Method::HEAD) {
        let range = row.map(|row| row.time());
        core.audit(&caller, Act { detail: file, range, ..Act::on(action, &key.device, &key.camera) });
    }
    Ok(response)
}

/// Answers with a range of a pack that is not stored yet, if that range is here.
async fn arriving(
    core: &Core,
    caller: &Caller,
    key: &ObjectKey,
    method: &Method,
    headers: &HeaderMap,
) -> Option<Response> {
    let packs = core.arriving(&key.device, &key.camera, WallRange::ALL).await;
    let pack = packs.into_iter().find(|pack| pack.id == key.pack)?;
    let object = pack.reader(key);
    let asked = headers.get(header::RANGE).and_then(|value| value.to_str().ok());
    let Asked::Part(range) = range::parse(asked, object.len()) else { return None };
    if !pack.has(range) {
        return None;
    }
    if method != Method::HEAD {
        let detail = format!("{}.ts", key.pack);
        core.audit(caller, Act { detail, ..Act::on("view", &key.device, &key.camera) });
    }
    let served =
        Served { content_type: TRANSPORT_STREAM, tag: None, cache_control: FOR_NOW, file_name: None };
    Some(served::part(&core.reads, object, method, range, None, &served))
}

/// Opens an object and gives its row, unless the index takes it for missing; `None` where there is none. One that turns
/// out to be gone is marked.
async fn open(
    core: &Core,
    key: &ObjectKey,
) -> Result<Option<(Arc<dyn ObjectReader>, Option<PackRow>)>, Refusal> {
    let row = core.index.pack(key).await?;
    if row.as_ref().is_some_and(|row| row.expired_at.is_some()) {
        return Err(Refusal::expired_object());
    }
    if row.as_ref().is_some_and(|row| row.missing_since.is_some()) {
        return Err(Refusal::missing_object());
    }
    match core.reads.open(key.clone()).await {
        Err(ReadError::Object(ObjectError::NotFound(_))) if row.is_some() => {
            if core.index.mark_missing(key, core.clock.wall()).await? {
                tracing::error!(object = %key, "object is missing; see `dashvault verify`");
            }
            Err(Refusal::missing_object())
        }
        Err(ReadError::Object(ObjectError::NotFound(_))) => Ok(None),
        opened => Ok(Some((opened?, row))),
    }
}

fn parse_key(device: &str, camera: &str, recording: &str, file: &str) -> Option<ObjectKey> {
    let device: DeviceId = device.parse().ok()?;
    let camera: CameraName = camera.parse().ok()?;
    let recording: RecordingId = recording.parse().ok()?;
    let pack: PackId = file.strip_suffix(".ts")?.parse().ok()?;
    (pack.recording == recording).then_some(ObjectKey { device, camera, pack })
}
