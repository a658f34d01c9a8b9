//! The interface's own description (OpenAPI 3.1): what the handlers say of themselves, and what holds for all of them.
//!
//! Belongs here: what follows from an endpoint's `x-role` (scope, credentials, refusals) and what is common to all.
//! Does not: any single endpoint. The e2e tests hold the document against the running vault, endpoint by endpoint.

use std::sync::Arc;

use axum::{
    Extension,
    http::header,
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use serde_json::{Value, json};
use utoipa::openapi::OpenApi;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::access::Role;
use crate::{core::Core, users::Scope};

/// The document as it is served.
#[derive(Debug, Clone)]
pub(super) struct Description(Bytes);

pub(super) fn routes() -> OpenApiRouter<Arc<Core>> {
    OpenApiRouter::new().routes(routes!(openapi))
}

/// This description.
#[utoipa::path(
    get,
    path = "/api/v1/openapi.json",
    tag = "interface",
    responses((status = 200, description = "OpenAPI 3.1", body = Object)),
    extensions(("x-role" = json!("none"))),
)]
pub(super) async fn openapi(Extension(Description(bytes)): Extension<Description>) -> Response {
    let headers = [(header::CONTENT_TYPE, "application/json"), (header::CACHE_CONTROL, "no-cache")];
    (headers, bytes).into_response()
}

impl Description {
    /// Completes what the handlers said of themselves.
    pub(super) fn of(described: &OpenApi) -> Self {
        let document = complete(serde_json::to_value(described).unwrap_or_default());
        Self(serde_json::to_vec(&document).unwrap_or_default().into())
    }
}

fn complete(mut document: Value) -> Value {
    document["info"] = json!({
        "title": "Dashvault",
        "version": env!("CARGO_PKG_VERSION"),
        "description": INTRODUCTION,
        "license": { "name": "MIT OR Apache-2.0" },
    });
    document["tags"] = TAGS.iter().map(|(name, text)| json!({ "name": name, "description": text })).collect();
    document["components"]["securitySchemes"] = security_schemes();
    document["components"]["schemas"]["Problem"] = problem_schema();
    if let Some(paths) = document["paths"].as_object_mut() {
        for (path, item) in paths {
            for (method, operation) in item.as_object_mut().into_iter().flatten() {
                complete_operation(path, method, operation);
            }
        }
    }
    document
}

fn complete_operation(path: &str, method: &str, operation: &mut Value) {
    let role = operation["x-role"].as_str().unwrap_or_default().to_owned();
    if let Ok(least) = role.parse::<Role>() {
        operation["x-scope"] = Scope::needed(path, least).name().into();
    }
    let session = match method {
        "get" | "head" | "options" => json!({ "session": [] }),
        _ => json!({ "session": [], "csrf": [] }),
    };
    operation["security"] = match role.as_str() {
        "none" => json!([{}]),
        "device" => json!([{ "device": [] }]),
        "viewer" => json!([session, { "token": [] }, { "device": [] }, { "admin_token": [] }]),
        _ => json!([session, { "token": [] }, { "admin_token": [] }]),
    };
    let Some(responses) = operation["responses"].as_object_mut() else { return };
    if role != "none" {
        for (status, text) in [("401", "Credentials are missing, wrong or have ended"), ("403", FORBIDDEN)] {
            responses.entry(status).or_insert_with(|| json!({ "description": text }));
        }
    }
    responses.entry("default").or_insert_with(|| json!({ "description": "Any other refusal or failure" }));
    for (status, response) in responses {
        if (status == "default" || status >= &"400".to_owned()) && response.get("content").is_none() {
            let problem = json!({ "schema": { "$ref": "#/components/schemas/Problem" } });
            response["content"] = json!({ dashvault_wire::problem::CONTENT_TYPE: problem });
        }
    }
}

const FORBIDDEN: &str = "The role or scope is too small, the device is revoked, or `X-CSRF-Token` is missing";

const INTRODUCTION: &str = "\
Everything that the dashboard does, and more. `x-role` is the least role that an endpoint takes, `x-scope` the scope that an \
API token needs for it. Times in requests are RFC 3339 or Unix milliseconds; in answers Unix milliseconds. A range is half \
open: `from <= t < to`. Lists page by `after` and `limit`, and answer `next` where there is more. Errors are problem details \
(RFC 9457). A request by cookie that changes something needs `X-CSRF-Token`, which `GET /api/v1/session` tells.";

const TAGS: [(&str, &str); 11] = [
    ("access", "First run, sessions, users, API tokens, audit log"),
    ("devices", "Vehicles: which there are and how they are"),
    ("live", "What cameras send now, as LL-HLS"),
    ("footage", "Stored packs, playlists, timeline, thumbnails, losses"),
    ("events", "Marks and locks"),
    ("clips", "Exports"),
    ("imports", "Foreign footage"),
    ("retention", "What is deleted when, and how much there is"),
    ("recorder", "What recorders and tus clients use"),
    ("operation", "Health and metrics"),
    ("interface", "This description"),
];

fn security_schemes() -> Value {
    let bearer = |text: &str| json!({ "type": "http", "scheme": "bearer", "description": text });
    json!({
        "session": {
            "type": "apiKey", "in": "cookie", "name": "dashvault",
            "description": "Set by signing in; `__Host-dashvault` over TLS. With `X-CSRF-Token` for what changes something.",
        },
        "csrf": { "type": "apiKey", "in": "header", "name": "X-CSRF-Token", "description": "Beside a session's cookie." },
        "token": bearer("An API token, `dvt_…`."),
        "device": bearer("A device's bearer: `dashvault device bearer`. It sees its own footage only."),
        "admin_token": bearer("The configured `admin_token`."),
    })
}

fn problem_schema() -> Value {
    json!({
        "type": "object",
        "description": "An error (RFC 9457)",
        "required": ["type", "status", "title"],
        "properties": {
            "type": { "type": "string", "description": "A stable name: `urn:dashvault:problem:<code>`" },
            "status": { "type": "integer", "format": "int32", "description": "The HTTP status" },
            "title": { "type": "string", "description": "What went wrong, in a few words that do not change" },
            "detail": { "type": "string", "description": "What went wrong this time, and what to do next" },
        },
    })
}

#[cfg(test)]
mod tests;
