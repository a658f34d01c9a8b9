//! Users and their roles, for administrators.

use std::sync::Arc;

use axum::{
    Json,
    extract::{Path, Query, State},
    http::StatusCode,
};
use dashvault_base::WallMs;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{
    access::{Act, Admin, Role},
    json::JsonBody,
    page::Page,
    problem::Refusal,
};
use crate::{
    archive::index::UserRow,
    core::Core,
    users::{UserError, UserName, admin, password},
};

pub(super) fn routes() -> OpenApiRouter<Arc<Core>> {
    OpenApiRouter::new().routes(routes!(list, add)).routes(routes!(change, remove))
}

/// Somebody who may sign in.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct User {
    name: String,
    role: Role,
    /// When they were added.
    #[schema(value_type = i64)]
    created: WallMs,
    /// When they last signed in.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<i64>)]
    signed_in: Option<WallMs>,
}

#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Users {
    users: Vec<User>,
    /// What to give as `after` for the rest.
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<String>,
}

/// Who is to be added.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NewUser {
    /// 1 to 64 characters of `a-z 0-9 . _ - @`; capitals do not matter.
    name: String,
    role: Role,
    /// At least 10 characters, at most 256 bytes.
    password: String,
}

/// What is to change; what is left out stays.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct UserPatch {
    role: Option<Role>,
    password: Option<String>,
}

/// The users, by name.
#[utoipa::path(
    get,
    path = "/api/v1/users",
    tag = "access",
    params(Page),
    responses((status = 200, body = Users)),
    extensions(("x-role" = json!("admin"))),
)]
pub(super) async fn list(
    State(core): State<Arc<Core>>,
    Admin(_caller): Admin,
    Query(page): Query<Page>,
) -> Result<Json<Users>, Refusal> {
    let after = page.after.as_deref().map(str::parse::<UserName>).transpose()?;
    let (rows, next) =
        page.cut(core.index.users(after.as_ref(), page.fetch()).await?, |row| row.name.to_string());
    Ok(Json(Users { users: rows.into_iter().map(User::from).collect(), next }))
}

/// Adds a user.
#[utoipa::path(
    post,
    path = "/api/v1/users",
    tag = "access",
    request_body = NewUser,
    responses(
        (status = 201, body = User),
        (status = 409, description = "There is one of that name"),
        (status = 422, description = "The name or the password is not taken"),
    ),
    extensions(("x-role" = json!("admin"))),
)]
pub(super) async fn add(
    State(core): State<Arc<Core>>,
    Admin(caller): Admin,
    JsonBody(NewUser { name, role, password }): JsonBody<NewUser>,
) -> Result<(StatusCode, Json<User>), Refusal> {
    let name: UserName = name.parse()?;
    password::check(&name, &password)?;
    let password = core.memory.hashing.hash(password).await?;
    let row = UserRow { name, role, password, created: core.clock.wall(), signed_in: None };
    if !core.index.add_user(&row, false).await? {
        return Err(UserError::Exists(row.name).into());
    }
    core.audit(&caller, Act::named("add-user", format!("{} as {role}", row.name)));
    Ok((StatusCode::CREATED, Json(row.into())))
}

/// Changes a user's role or password, which ends their sessions.
#[utoipa::path(
    patch,
    path = "/api/v1/users/{name}",
    tag = "access",
    params(("name" = String, Path, description = "User name")),
    request_body = UserPatch,
    responses(
        (status = 200, body = User),
        (status = 404, description = "No such user"),
        (status = 409, description = "It is the last administrator"),
        (status = 422, description = "The password is not taken"),
    ),
    extensions(("x-role" = json!("admin"))),
)]
pub(super) async fn change(
    State(core): State<Arc<Core>>,
    Admin(caller): Admin,
    Path(name): Path<String>,
    JsonBody(UserPatch { role, password }): JsonBody<UserPatch>,
) -> Result<Json<User>, Refusal> {
    let name = named(&name)?;
    if let Some(password) = &password {
        password::check(&name, password)?;
    }
    if let Some(role) = role {
        admin::outcome(core.index.set_role(&name, role).await?, &name)?;
        core.audit(&caller, Act::named("change-role", format!("{name} is {role}")));
    }
    if let Some(password) = password {
        let hash = core.memory.hashing.hash(password).await?;
        admin::outcome(core.index.set_password(&name, &hash).await?, &name)?;
        core.audit(&caller, Act::named("change-password", name.to_string()));
    }
    let row = core.index.user(&name).await?.ok_or_else(|| Refusal::not_found("user"))?;
    Ok(Json(row.into()))
}

/// Removes a user, which ends their sessions. The last administrator stays.
#[utoipa::path(
    delete,
    path = "/api/v1/users/{name}",
    tag = "access",
    params(("name" = String, Path, description = "User name")),
    responses(
        (status = 204, description = "Removed"),
        (status = 404, description = "No such user"),
        (status = 409, description = "It is the last administrator"),
    ),
    extensions(("x-role" = json!("admin"))),
)]
pub(super) async fn remove(
    State(core): State<Arc<Core>>,
    Admin(caller): Admin,
    Path(name): Path<String>,
) -> Result<StatusCode, Refusal> {
    let name = named(&name)?;
    admin::outcome(core.index.remove_user(&name).await?, &name)?;
    core.audit(&caller, Act::named("remove-user", name.to_string()));
    Ok(StatusCode::NO_CONTENT)
}

fn named(name: &str) -> Result<UserName, Refusal> {
    name.parse().map_err(|_| Refusal::not_found("user"))
}

impl From<UserRow> for User {
    fn from(row: UserRow) -> Self {
        Self { name: row.name.to_string(), role: row.role, created: row.created, signed_in: row.signed_in }
    }
}
