//! tus's checksum extension: a body may say its SHA-1, and is forgotten whole when it differs.
//!
//! Segments have their own hashes; this is for clients that use the extension.

use axum::http::HeaderMap;
use base64::{Engine, engine::general_purpose::STANDARD};
use bytes::Bytes;
use sha1::{Digest, Sha1};

use super::headers::UPLOAD_CHECKSUM;
use crate::http::problem::Refusal;

pub(in crate::http) const ALGORITHMS: &str = "sha1";
const SHA1_BYTES: usize = 20;

/// The checksum of a body, while it comes in.
pub(in crate::http) struct Checksum {
    expected: Vec<u8>,
    hasher: Sha1,
}

/// What the request says its body's checksum is.
pub(in crate::http) fn expected(headers: &HeaderMap) -> Result<Option<Checksum>, Refusal> {
    let Some(value) = headers.get(UPLOAD_CHECKSUM) else { return Ok(None) };
    let parts = value.to_str().ok().and_then(|text| text.split_once(' '));
    let (algorithm, encoded) =
        parts.ok_or_else(|| Refusal::malformed("Upload-Checksum must be an algorithm and a base64 value"))?;
    if algorithm != ALGORITHMS {
        return Err(Refusal::malformed(format!("Upload-Checksum must use one of: {ALGORITHMS}")));
    }
    let expected = STANDARD.decode(encoded).ok().filter(|bytes| bytes.len() == SHA1_BYTES);
    let expected = expected.ok_or_else(|| Refusal::malformed("Upload-Checksum is no SHA-1 in base64"))?;
    Ok(Some(Checksum { expected, hasher: Sha1::new() }))
}

impl Checksum {
    pub(in crate::http) fn update(&mut self, piece: &Bytes) {
        self.hasher.update(piece);
    }

    pub(in crate::http) fn matches(self) -> bool {
        self.hasher.finalize().as_slice() == self.expected
    }
}
