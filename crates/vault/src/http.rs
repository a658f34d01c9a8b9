//! The HTTP interface: announcements, uploads, objects, health, metrics.
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
mod clips;
mod dashboard;
mod describe;
mod devices;
mod docs;
mod events;
mod finish;
mod health;
mod imports;
mod json;
mod live;
mod objects;
mod packs;
mod page;
mod problem;
mod range;
mod retention;
mod served;
pub(crate) mod server;
mod session;
mod setup;
mod storage;
mod thumbnails;
mod time;
mod timeline;
mod tokens;
mod uploads;
mod users;
mod validators;
mod vod;

/// Every endpoint with its description. A part brings its own.
fn endpoints() -> OpenApiRouter<Arc<Core>> {
    OpenApiRouter::new()
        .merge(announce::routes())
        .merge(audit_log::routes())
        .merge(clips::routes())
        .merge(describe::routes())
        .merge(devices::routes())
        .merge(docs::routes())
        .merge(events::routes())
        .merge(health::routes())
        .merge(imports::routes())
        .merge(live::routes())
        .merge(objects::routes())
        .merge(packs::routes())
        .merge(retention::routes())
        .merge(session::routes())
        .merge(setup::routes())
        .merge(storage::routes())
        .merge(thumbnails::routes())
        .merge(timeline::routes())
        .merge(tokens::routes())
        .merge(uploads::routes())
        .merge(users::routes())
        .merge(vod::routes())
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

/// A name that nobody can guess: 32 hexadecimal digits.
fn random_id() -> Result<String, problem::Refusal> {
    let mut bytes = [0; 16];
    let random =
        |_| problem::Refusal::new(503, "unavailable", "the vault cannot do this now", "no random bytes");
    getrandom::fill(&mut bytes).map_err(random)?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}
