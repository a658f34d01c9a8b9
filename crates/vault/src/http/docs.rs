//! The description to read and try, at `/api/docs`: Swagger UI out of this binary, under a policy of its own.

use std::sync::{Arc, LazyLock};

use axum::{
    extract::Path,
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use utoipa_axum::{router::OpenApiRouter, routes};
use utoipa_swagger_ui::Config;

use super::problem::Refusal;
use crate::core::Core;

/// Its own script and styles and nothing else's; its pictures are in its style sheet.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; \
                      connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

static CONFIG: LazyLock<Arc<Config<'static>>> = LazyLock::new(|| {
    let config = Config::new(["/api/v1/openapi.json"]).validator_url("none").try_it_out_enabled(false);
    Arc::new(config.use_base_layout())
});

pub(super) fn routes() -> OpenApiRouter<Arc<Core>> {
    OpenApiRouter::new().routes(routes!(entry)).routes(routes!(file))
}

/// Leads to the description to read.
#[utoipa::path(
    get,
    path = "/api/docs",
    tag = "interface",
    responses((status = 308, description = "To `/api/docs/index.html`")),
    extensions(("x-role" = json!("none"))),
)]
pub(super) async fn entry() -> Response {
    (StatusCode::PERMANENT_REDIRECT, [(header::LOCATION, "/api/docs/index.html")]).into_response()
}

/// The description to read, and its parts.
#[utoipa::path(
    get,
    path = "/api/docs/{file}",
    tag = "interface",
    params(("file" = String, Path, description = "`index.html`, or what it loads")),
    responses((status = 200, description = "A file of the page"), (status = 404, description = "No such file")),
    extensions(("x-role" = json!("none"))),
)]
pub(super) async fn file(Path(name): Path<String>) -> Result<Response, Refusal> {
    let found = utoipa_swagger_ui::serve(&name, CONFIG.clone());
    let found = found.map_err(|error| Refusal::internal(&std::io::Error::other(error.to_string())))?;
    let found = found.ok_or_else(|| Refusal::not_found("file"))?;
    let headers = [
        (header::CONTENT_TYPE, found.content_type),
        (header::CONTENT_SECURITY_POLICY, POLICY.to_owned()),
        (header::CACHE_CONTROL, "max-age=3600".to_owned()),
    ];
    let mut response = (headers, found.bytes.into_owned()).into_response();
    if found.gzpipped {
        // They are packed in the binary; every browser takes that.
        response.headers_mut().insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    }
    Ok(response)
}
