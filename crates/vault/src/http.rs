//! The HTTP interface: announcements, uploads, objects, health, metrics, the dashboard.
//!
//! Belongs here: requests to values and back. Does not: what a pack is, or who decides. Every error leaves as
//! `application/problem+json`, mapped in [`problem`] alone.

use std::sync::Arc;

use axum::{Extension, Router};
use utoipa_axum::router::OpenApiRouter;

use self::describe::Description;
use crate::core::Core;

pub(crate) mod access;
mod announce;
mod audit_log;
mod body;
mod dashboard;
mod describe;
mod devices;
mod finish;
mod health;
mod json;
mod objects;
mod packs;
mod page;
mod problem;
mod range;
pub(crate) mod server;
mod session;
mod setup;
mod time;
mod tokens;
mod uploads;
mod users;

/// Every endpoint with its description. A part brings its own.
fn endpoints() -> OpenApiRouter<Arc<Core>> {
    OpenApiRouter::new()
        .merge(announce::routes())
        .merge(audit_log::routes())
        .merge(describe::routes())
        .merge(devices::routes())
        .merge(health::routes())
        .merge(objects::routes())
        .merge(packs::routes())
        .merge(session::routes())
        .merge(setup::routes())
        .merge(tokens::routes())
        .merge(uploads::routes())
        .merge(users::routes())
}

/// All routes.
fn router(core: Arc<Core>) -> Router {
    let (described, description) = endpoints().split_for_parts();
    described
        .fallback(dashboard::fallback)
        .method_not_allowed_fallback(problem::no_such_method)
        .layer(axum::middleware::map_response(problem::in_place_of_text))
        .layer(axum::middleware::from_fn(finish::finish))
        .layer(Extension(Description::of(&description)))
        .with_state(core)
}
