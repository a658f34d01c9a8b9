//! The headers of tus 1.0.

use axum::http::{HeaderMap, HeaderName, HeaderValue, header};

use crate::http::problem::Refusal;

pub(in crate::http) const TUS_VERSION: &str = "1.0.0";
pub(in crate::http) const EXTENSIONS: &str = "creation,creation-with-upload,termination,expiration,checksum";
/// The content type of a PATCH.
pub(in crate::http) const OFFSET_TYPE: &str = "application/offset+octet-stream";

pub(in crate::http) const TUS_RESUMABLE: HeaderName = HeaderName::from_static("tus-resumable");
pub(in crate::http) const TUS_VERSIONS: HeaderName = HeaderName::from_static("tus-version");
pub(in crate::http) const TUS_EXTENSION: HeaderName = HeaderName::from_static("tus-extension");
pub(in crate::http) const TUS_CHECKSUMS: HeaderName = HeaderName::from_static("tus-checksum-algorithm");
pub(in crate::http) const TUS_MAX_SIZE: HeaderName = HeaderName::from_static("tus-max-size");
pub(in crate::http) const UPLOAD_LENGTH: HeaderName = HeaderName::from_static("upload-length");
pub(in crate::http) const UPLOAD_OFFSET: HeaderName = HeaderName::from_static("upload-offset");
pub(in crate::http) const UPLOAD_METADATA: HeaderName = HeaderName::from_static("upload-metadata");
pub(in crate::http) const UPLOAD_EXPIRES: HeaderName = HeaderName::from_static("upload-expires");
pub(in crate::http) const UPLOAD_CHECKSUM: HeaderName = HeaderName::from_static("upload-checksum");

/// A request must say that it speaks our version.
pub(in crate::http) fn check_version(headers: &HeaderMap) -> Result<(), Refusal> {
    if headers.get(TUS_RESUMABLE).is_some_and(|value| value == TUS_VERSION) {
        return Ok(());
    }
    let detail = format!("Tus-Resumable must be {TUS_VERSION}");
    let refusal = Refusal::new(412, "tus-version", "tus version is not supported", detail);
    Err(refusal.with(TUS_VERSIONS, HeaderValue::from_static(TUS_VERSION)))
}

/// A header that is a number; `None` when it is not there.
pub(in crate::http) fn number(headers: &HeaderMap, name: &HeaderName) -> Result<Option<u64>, Refusal> {
    let Some(value) = headers.get(name) else { return Ok(None) };
    let digits = value.to_str().ok().filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()));
    match digits.and_then(|text| text.parse().ok()) {
        Some(number) => Ok(Some(number)),
        None => Err(Refusal::malformed(format!("{name} must be a number"))),
    }
}

pub(in crate::http) fn content_type(headers: &HeaderMap) -> Option<&str> {
    headers.get(header::CONTENT_TYPE)?.to_str().ok()
}
