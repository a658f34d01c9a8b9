//! The HTTP interface: announcements, uploads, objects, health, metrics.
//!
//! Belongs here: requests to values and back. Does not: what a pack is, or who decides. Every error leaves as
//! `application/problem+json`, mapped in [`problem`] alone.

use std::sync::Arc;

use axum::{
    Router,
    routing::{get, post},
};
use dashvault_wire::paths;

use crate::core::Core;

mod announce;
mod body;
mod health;
mod objects;
mod packs;
mod problem;
mod range;
pub(crate) mod server;
mod uploads;

/// All routes.
fn router(core: Arc<Core>) -> Router {
    let upload = format!("{}/{{id}}", paths::UPLOADS);
    Router::new()
        .route(paths::ANNOUNCE, post(announce::announce))
        .route(paths::UPLOADS, post(uploads::create).options(uploads::options))
        .route(
            &upload,
            get(uploads::not_readable)
                .head(uploads::head)
                .patch(uploads::patch)
                .delete(uploads::delete)
                .options(uploads::options),
        )
        .route("/api/v1/devices/{device}/cameras", get(packs::cameras))
        .route("/api/v1/devices/{device}/cameras/{camera}/packs", get(packs::packs))
        .route("/api/v1/devices/{device}/losses", get(packs::losses))
        .route("/objects/{device}/{camera}/{recording}/{file}", get(objects::object))
        .route(paths::HEALTH, get(health::health))
        .route(paths::METRICS, get(health::metrics))
        .fallback(problem::no_such_path)
        .method_not_allowed_fallback(problem::no_such_method)
        .layer(axum::middleware::map_response(problem::in_place_of_text))
        .with_state(core)
}
