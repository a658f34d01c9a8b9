//! The first run: whoever has the code of the vault's log makes the first administrator.

use std::sync::Arc;

use axum::{Json, extract::State, response::Response};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{
    access::{Act, Role},
    json::JsonBody,
    problem::Refusal,
    session::{self, Sender},
};
use crate::{
    archive::index::UserRow,
    core::Core,
    layout::Layout,
    users::{
        UserName, password,
        setup::{self, SetupCode, SetupError},
    },
};

pub(super) fn routes() -> OpenApiRouter<Arc<Core>> {
    OpenApiRouter::new().routes(routes!(show, create))
}

/// Whether there is something to set up.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Setup {
    /// Whether the first administrator is still to be made.
    needed: bool,
}

/// The first administrator.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct FirstAdmin {
    /// The code that `serve` has logged; it is also in `setup.code` in the data folder.
    code: String,
    name: String,
    /// At least 10 characters, at most 256 bytes.
    password: String,
}

/// Whether the first administrator is still to be made.
#[utoipa::path(
    get,
    path = "/api/v1/setup",
    tag = "access",
    responses((status = 200, body = Setup)),
    extensions(("x-role" = json!("none"))),
)]
pub(super) async fn show(State(core): State<Arc<Core>>) -> Result<Json<Setup>, Refusal> {
    Ok(Json(Setup { needed: !core.index.has_users().await? }))
}

/// Makes the first administrator, and signs in as them.
#[utoipa::path(
    post,
    path = "/api/v1/setup",
    tag = "access",
    request_body = FirstAdmin,
    responses(
        (status = 200, description = "Made and signed in; the cookie is set", body = session::Who),
        (status = 409, description = "The code is wrong, or there are users already"),
        (status = 422, description = "The name or the password is not taken"),
        (status = 429, description = "Too many attempts; `Retry-After` says how long to wait"),
    ),
    extensions(("x-role" = json!("none"))),
)]
pub(super) async fn create(
    State(core): State<Arc<Core>>,
    sender: Sender,
    JsonBody(FirstAdmin { code, name, password }): JsonBody<FirstAdmin>,
) -> Result<Response, Refusal> {
    if core.index.has_users().await? {
        return Err(done_already());
    }
    let too_often = |wait| Refusal::too_often(wait, "there were too many wrong codes");
    core.memory.guessing.setup(core.clock.now(), sender.address).map_err(too_often)?;
    let path = Layout::new(&core.config.data).setup_code();
    let known = blocking(move || setup::load(&path)).await?;
    let right = SetupCode::read(&code).zip(known).is_some_and(|(typed, known)| typed.is(&known));
    if !right {
        core.audit_as("nobody", "none", sender.address, Act::named("setup-refused", "wrong code"));
        core.metrics.refused("access", "setup-code");
        let detail = "it is in the log of `dashvault serve`, and in setup.code in its data folder";
        return Err(Refusal::new(409, "setup-code", "setup code is wrong", detail));
    }
    let name: UserName = name.parse()?;
    password::check(&name, &password)?;
    let password = core.memory.hashing.hash(password).await?;
    let (created, role) = (core.clock.wall(), Role::Admin);
    let row = UserRow { name, role, password, created, signed_in: None };
    if !core.index.add_user(&row, true).await? {
        return Err(done_already());
    }
    let path = Layout::new(&core.config.data).setup_code();
    if let Err(error) = blocking(move || setup::forget(&path)).await {
        tracing::warn!(code = error.code, "the used setup code stays until the next start");
    }
    session::begin(&core, &sender, &row.name, role, "setup").await
}

fn done_already() -> Refusal {
    let detail = "sign in, or ask an administrator; `dashvault user add` adds one by the data folder";
    Refusal::new(409, "set-up", "the vault is set up already", detail)
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, SetupError> + Send + 'static,
) -> Result<T, Refusal> {
    let done = tokio::task::spawn_blocking(work).await;
    done.map_err(|error| Refusal::internal(&error))?.map_err(|error| Refusal::internal(&error))
}
