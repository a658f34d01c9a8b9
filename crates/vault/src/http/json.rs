//! JSON bodies, with limits in bytes and time, and as JSON only: a form of another site cannot send that.

use std::sync::Arc;

use axum::{
    extract::{FromRequest, Request},
    http::header::CONTENT_TYPE,
};
use serde::de::DeserializeOwned;

use super::{body, problem::Refusal};
use crate::core::Core;

const MAX_BYTES: usize = 64 * 1024;

/// A body that was JSON of this form.
#[derive(Debug)]
pub(crate) struct JsonBody<T>(pub(crate) T);

impl<T: DeserializeOwned> FromRequest<Arc<Core>> for JsonBody<T> {
    type Rejection = Refusal;

    async fn from_request(request: Request, core: &Arc<Core>) -> Result<Self, Refusal> {
        let kind = request.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
        let kind = kind.and_then(|kind| kind.split(';').next()).unwrap_or_default();
        if !kind.trim().eq_ignore_ascii_case("application/json") {
            let detail = "send the body as application/json";
            return Err(Refusal::new(415, "media-type", "body is of another type", detail));
        }
        let bytes = body::collect(request.into_body(), MAX_BYTES, core.config.limits.body_timeout).await?;
        serde_json::from_slice(&bytes).map(Self).map_err(|error| Refusal::malformed(error.to_string()))
    }
}
