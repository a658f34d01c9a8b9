//! Serving something that has bytes, whole or by range, with a validator (RFC 9110 §13, §14).

use std::sync::Arc;

use axum::{
    body::Body,
    http::{HeaderMap, HeaderValue, Method, StatusCode, header},
    response::{IntoResponse, Response},
};
use dashvault_wire::ByteRange;

use super::{
    objects::{ObjectBody, unsatisfiable},
    problem::Refusal,
    range::{self, Asked},
};
use crate::{archive::objects::ObjectReader, store::ObjectReads};

/// What is said of the bytes.
#[derive(Debug)]
pub(super) struct Served<'a> {
    pub(super) content_type: &'static str,
    /// Without its quotes; the same only for the same bytes.
    pub(super) etag: String,
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
    let etag = format!("\"{}\"", served.etag);
    let text = |name| headers.get(name).and_then(|value: &HeaderValue| value.to_str().ok());
    if text(header::IF_NONE_MATCH).is_some_and(|known| matches(known, &etag)) {
        return Ok(with_headers(StatusCode::NOT_MODIFIED.into_response(), served, &etag));
    }
    let len = object.len();
    // A range of something else would be put to the wrong bytes.
    let same = text(header::IF_RANGE).is_none_or(|known| known == etag);
    let asked = text(header::RANGE).filter(|_| same);
    let (status, range) = match range::parse(asked, len) {
        Asked::Whole => (StatusCode::OK, ByteRange::new(0, len)),
        Asked::Part(range) => (StatusCode::PARTIAL_CONTENT, range),
        Asked::Unsatisfiable => return Err(unsatisfiable(len)),
    };
    let body = match *method {
        Method::HEAD => Body::empty(),
        _ => Body::new(ObjectBody::start(reads.clone(), object, range)),
    };
    let mut response = with_headers((status, body).into_response(), served, &etag);
    let answer = response.headers_mut();
    answer.insert(header::CONTENT_TYPE, HeaderValue::from_static(served.content_type));
    answer.insert(header::ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    answer.insert(header::CONTENT_LENGTH, range.len().into());
    if status == StatusCode::PARTIAL_CONTENT {
        let text = format!("bytes {}-{}/{len}", range.start, range.end - 1);
        answer.extend(HeaderValue::from_str(&text).ok().map(|value| (header::CONTENT_RANGE, value)));
    }
    Ok(response)
}

fn with_headers(mut response: Response, served: &Served<'_>, etag: &str) -> Response {
    let answer = response.headers_mut();
    answer.insert(header::CACHE_CONTROL, HeaderValue::from_static(served.cache_control));
    answer.extend(HeaderValue::from_str(etag).ok().map(|value| (header::ETAG, value)));
    if let Some(name) = served.file_name {
        let text = format!("attachment; filename=\"{name}\"");
        answer.extend(HeaderValue::from_str(&text).ok().map(|value| (header::CONTENT_DISPOSITION, value)));
    }
    response
}

/// Whether an `If-None-Match` names this validator; the comparison is the weak one, as the RFC says for it.
fn matches(known: &str, etag: &str) -> bool {
    known.split(',').map(str::trim).any(|one| one == "*" || one.strip_prefix("W/").unwrap_or(one) == etag)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_known_validator_is_found_in_any_list() {
        for known in ["\"a\"", "W/\"a\"", "\"b\", \"a\"", "*"] {
            assert!(matches(known, "\"a\""), "{known}");
        }
        for other in ["\"b\"", "a", "", "\"aa\""] {
            assert!(!matches(other, "\"a\""), "{other}");
        }
    }
}
