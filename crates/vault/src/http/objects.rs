//! `GET /objects/<device>/<camera>/<recording>/<pack>.ts`: a stored pack, whole or by range. Any player plays it.

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use axum::{
    body::{Body, HttpBody},
    extract::{Path, State},
    http::{HeaderMap, HeaderValue, Method, StatusCode, header},
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use dashvault_base::{CameraName, DeviceId, PackId, RecordingId};
use dashvault_wire::ByteRange;
use hyper::body::{Frame, SizeHint};
use tokio::sync::mpsc;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{
    access::{Act, Caller, Viewer},
    problem::Refusal,
    range::{self, Asked},
    validators::EntityTag,
};
use crate::{
    archive::{
        index::PackRow,
        objects::{ObjectError, ObjectKey, ObjectReader},
    },
    core::Core,
    store::{ObjectReads, ReadError},
    timeline::WallRange,
};

const PIECE_BYTES: u64 = 256 * 1024;
/// Pieces that are read ahead of a viewer.
const AHEAD: usize = 2;

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
    let pack = key.clone();
    let (object, row) = match open(&core, key.clone()).await? {
        Some(opened) => opened,
        None => match arriving(&core, &caller, &key, &method, &headers).await {
            Some(response) => return Ok(response),
            // It may have been stored between the two.
            None => open(&core, key).await?.ok_or_else(|| Refusal::not_found("object"))?,
        },
    };
    let tag = row.as_ref().map(|row| EntityTag::of(row.manifest));
    let time = row.map(|row| row.time());
    if tag.as_ref().is_some_and(|tag| tag.is_known(&headers)) {
        return Ok(described(StatusCode::NOT_MODIFIED.into_response(), tag.as_ref()));
    }
    let takes_range = tag.as_ref().is_none_or(|tag| tag.takes_range(&headers));
    let asked = headers.get(header::RANGE).filter(|_| takes_range).and_then(|value| value.to_str().ok());
    let len = object.len();
    let whole = ByteRange::new(0, len);
    let (status, range) = match range::parse(asked, len) {
        Asked::Whole => (StatusCode::OK, whole),
        Asked::Part(range) => (StatusCode::PARTIAL_CONTENT, range),
        Asked::Unsatisfiable => return Err(unsatisfiable(len)),
    };
    if method != Method::HEAD {
        // Players ask for ranges.
        let action = if status == StatusCode::OK { "download" } else { "view" };
        core.audit(&caller, Act { detail: file, range: time, ..Act::on(action, &pack.device, &pack.camera) });
    }
    let body = match method {
        Method::HEAD => Body::empty(),
        _ => Body::new(ObjectBody::start(core.reads.clone(), object, range)),
    };
    let mut response = described((status, body).into_response(), tag.as_ref());
    let answer = response.headers_mut();
    answer.insert(header::CONTENT_TYPE, HeaderValue::from_static("video/mp2t"));
    answer.insert(header::ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    answer.insert(header::CONTENT_LENGTH, range.len().into());
    if status == StatusCode::PARTIAL_CONTENT {
        let text = format!("bytes {}-{}/{len}", range.start, range.end - 1);
        answer.extend(HeaderValue::from_str(&text).ok().map(|value| (header::CONTENT_RANGE, value)));
    }
    Ok(response)
}

/// Adds what caches need: a stored object never changes.
fn described(mut response: Response, tag: Option<&EntityTag>) -> Response {
    let answer = response.headers_mut();
    answer.insert(header::CACHE_CONTROL, HeaderValue::from_static("private, max-age=31536000, immutable"));
    answer.extend(tag.and_then(EntityTag::to_header).map(|value| (header::ETAG, value)));
    response
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
    let body = if method == Method::HEAD {
        Body::empty()
    } else {
        core.audit(
            caller,
            Act { detail: format!("{}.ts", key.pack), ..Act::on("view", &key.device, &key.camera) },
        );
        Body::new(ObjectBody::start(core.reads.clone(), object, range))
    };
    let mut response = (StatusCode::PARTIAL_CONTENT, body).into_response();
    let answer = response.headers_mut();
    answer.insert(header::CONTENT_TYPE, HeaderValue::from_static("video/mp2t"));
    // The pack's name will answer with more.
    answer.insert(header::CACHE_CONTROL, HeaderValue::from_static("private, no-store"));
    answer.insert(header::CONTENT_LENGTH, range.len().into());
    let text = format!("bytes {}-{}/*", range.start, range.end - 1);
    answer.extend(HeaderValue::from_str(&text).ok().map(|value| (header::CONTENT_RANGE, value)));
    Some(response)
}

/// Opens an object and gives its row, unless the index takes it for missing; `None` where there is none. One that turns
/// out to be gone is marked.
async fn open(
    core: &Core,
    key: ObjectKey,
) -> Result<Option<(Arc<dyn ObjectReader>, Option<PackRow>)>, Refusal> {
    let row = core.index.pack(&key).await?;
    if row.as_ref().is_some_and(|row| row.expired_at.is_some()) {
        return Err(Refusal::expired_object());
    }
    if row.as_ref().is_some_and(|row| row.missing_since.is_some()) {
        return Err(Refusal::missing_object());
    }
    match core.reads.open(key.clone()).await {
        Err(ReadError::Object(ObjectError::NotFound(_))) if row.is_some() => {
            if core.index.mark_missing(&key, core.clock.wall()).await? {
                tracing::error!(object = %key, "object is missing; see `dashvault verify`");
            }
            Err(Refusal::missing_object())
        }
        Err(ReadError::Object(ObjectError::NotFound(_))) => Ok(None),
        opened => Ok(Some((opened?, row))),
    }
}

pub(super) fn unsatisfiable(len: u64) -> Refusal {
    let refusal =
        Refusal::new(416, "range", "range is not satisfiable", format!("the object has {len} bytes"));
    match HeaderValue::from_str(&format!("bytes */{len}")) {
        Ok(value) => refusal.with(header::CONTENT_RANGE, value),
        Err(_) => refusal,
    }
}

fn parse_key(device: &str, camera: &str, recording: &str, file: &str) -> Option<ObjectKey> {
    let device: DeviceId = device.parse().ok()?;
    let camera: CameraName = camera.parse().ok()?;
    let recording: RecordingId = recording.parse().ok()?;
    let pack: PackId = file.strip_suffix(".ts")?.parse().ok()?;
    (pack.recording == recording).then_some(ObjectKey { device, camera, pack })
}

/// Bytes that are read as the viewer takes them.
#[derive(Debug)]
pub(super) struct ObjectBody {
    pieces: mpsc::Receiver<Result<Bytes, ReadError>>,
    left: u64,
}

impl ObjectBody {
    pub(super) fn start(reads: ObjectReads, object: Arc<dyn ObjectReader>, range: ByteRange) -> Self {
        let (sender, pieces) = mpsc::channel(AHEAD);
        // Ends when all is read or the viewer is gone.
        tokio::spawn(async move {
            let mut at = range.start;
            while at < range.end {
                let len = usize::try_from((range.end - at).min(PIECE_BYTES)).unwrap_or(0);
                let piece = reads.read(object.clone(), at, len).await;
                let read = piece.as_ref().map_or(0, Bytes::len) as u64;
                if sender.send(piece).await.is_err() || read == 0 {
                    return;
                }
                at += read;
            }
        });
        Self { pieces, left: range.len() }
    }
}

impl HttpBody for ObjectBody {
    type Data = Bytes;
    type Error = ReadError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, ReadError>>> {
        let polled = self.pieces.poll_recv(context);
        polled.map(|piece| {
            let piece = piece?;
            if let Ok(bytes) = &piece {
                self.left = self.left.saturating_sub(bytes.len() as u64);
            }
            Some(piece.map(Frame::data))
        })
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left)
    }
}
