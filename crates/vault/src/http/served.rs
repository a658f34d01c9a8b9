//! Serving something that has bytes, whole or by range, with a validator (RFC 9110 §13, §14).

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use axum::{
    body::{Body, HttpBody},
    http::{HeaderMap, HeaderValue, Method, StatusCode, header},
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use dashvault_wire::ByteRange;
use hyper::body::{Frame, SizeHint};
use tokio::sync::mpsc;

use super::{
    problem::Refusal,
    range::{self, Asked},
    validators::EntityTag,
};
use crate::{
    archive::objects::ObjectReader,
    store::{ObjectReads, ReadError},
};

pub(super) const TRANSPORT_STREAM: &str = "video/mp2t";
const PIECE_BYTES: u64 = 256 * 1024;
/// Pieces that are read ahead of a viewer.
const AHEAD: usize = 2;

/// What is said of the bytes.
#[derive(Debug)]
pub(super) struct Served<'a> {
    pub(super) content_type: &'static str,
    /// Where the bytes are known by one.
    pub(super) tag: Option<EntityTag>,
    pub(super) cache_control: &'static str,
    /// A file name to save it under.
    pub(super) file_name: Option<&'a str>,
}

/// The answer to a request for `object`.
pub(super) fn answer(
    reads: &ObjectReads,
    object: Arc<dyn ObjectReader>,
    method: &Method,
    headers: &HeaderMap,
    served: &Served<'_>,
) -> Result<Response, Refusal> {
    if served.tag.as_ref().is_some_and(|tag| tag.is_known(headers)) {
        return Ok(described(StatusCode::NOT_MODIFIED.into_response(), served));
    }
    let len = object.len();
    // A range of something else would be put to the wrong bytes.
    let same = served.tag.as_ref().is_none_or(|tag| tag.takes_range(headers));
    let asked = headers.get(header::RANGE).filter(|_| same).and_then(|value| value.to_str().ok());
    match range::parse(asked, len) {
        Asked::Whole => Ok(bytes(reads, object, method, ByteRange::new(0, len), StatusCode::OK, served)),
        Asked::Part(range) => Ok(part(reads, object, method, range, Some(len), served)),
        Asked::Unsatisfiable => Err(unsatisfiable(len)),
    }
}

/// The answer with a range of `object`; `len` is its length where that is known.
pub(super) fn part(
    reads: &ObjectReads,
    object: Arc<dyn ObjectReader>,
    method: &Method,
    range: ByteRange,
    len: Option<u64>,
    served: &Served<'_>,
) -> Response {
    let mut response = bytes(reads, object, method, range, StatusCode::PARTIAL_CONTENT, served);
    let len = len.map_or_else(|| "*".to_owned(), |len| len.to_string());
    let text = format!("bytes {}-{}/{len}", range.start, range.end - 1);
    response
        .headers_mut()
        .extend(HeaderValue::from_str(&text).ok().map(|value| (header::CONTENT_RANGE, value)));
    response
}

fn bytes(
    reads: &ObjectReads,
    object: Arc<dyn ObjectReader>,
    method: &Method,
    range: ByteRange,
    status: StatusCode,
    served: &Served<'_>,
) -> Response {
    let body = match *method {
        Method::HEAD => Body::empty(),
        _ => Body::new(ObjectBody::start(reads.clone(), object, range)),
    };
    let mut response = described((status, body).into_response(), served);
    let answer = response.headers_mut();
    answer.insert(header::CONTENT_TYPE, HeaderValue::from_static(served.content_type));
    answer.insert(header::ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    answer.insert(header::CONTENT_LENGTH, range.len().into());
    response
}

fn described(mut response: Response, served: &Served<'_>) -> Response {
    let answer = response.headers_mut();
    answer.insert(header::CACHE_CONTROL, HeaderValue::from_static(served.cache_control));
    answer.extend(served.tag.as_ref().and_then(EntityTag::to_header).map(|value| (header::ETAG, value)));
    if let Some(name) = served.file_name {
        let text = format!("attachment; filename=\"{name}\"");
        answer.extend(HeaderValue::from_str(&text).ok().map(|value| (header::CONTENT_DISPOSITION, value)));
    }
    response
}

fn unsatisfiable(len: u64) -> Refusal {
    let refusal =
        Refusal::new(416, "range", "range is not satisfiable", format!("the object has {len} bytes"));
    match HeaderValue::from_str(&format!("bytes */{len}")) {
        Ok(value) => refusal.with(header::CONTENT_RANGE, value),
        Err(_) => refusal,
    }
}

/// Bytes that are read as the viewer takes them.
#[derive(Debug)]
struct ObjectBody {
    pieces: mpsc::Receiver<Result<Bytes, ReadError>>,
    left: u64,
}

impl ObjectBody {
    fn start(reads: ObjectReads, object: Arc<dyn ObjectReader>, range: ByteRange) -> Self {
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
