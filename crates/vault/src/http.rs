//! The HTTP interface: announcements, uploads, objects, health, metrics, the dashboard.
//!
//! Belongs here: requests to values and back. Does not: what a pack is, or who decides. Every error leaves as
//! `application/problem+json`, mapped in [`problem`] alone.

use std::sync::Arc;

use axum::{
    Router,
    routing::{get, post},
};
use dashvault_wire::paths;
use utoipa_axum::router::OpenApiRouter;

use crate::core::Core;

pub(crate) mod access;
mod announce;
mod body;
mod dashboard;
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
    let (described, _description) =
        OpenApiRouter::new().merge(packs::routes()).merge(objects::routes()).split_for_parts();
    described
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
        .route(paths::HEALTH, get(health::health))
        .route(paths::METRICS, get(health::metrics))
        .fallback(dashboard::fallback)
        .method_not_allowed_fallback(problem::no_such_method)
        .layer(axum::middleware::map_response(problem::in_place_of_text))
        .with_state(core)
}
