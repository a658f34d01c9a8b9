//! API tokens, for administrators: programs that use the interface.

use std::sync::Arc;

use axum::{
    Json,
    extract::{Path, Query, State},
    http::StatusCode,
};
use dashvault_base::{DeviceId, WallMs};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{
    access::{Act, Admin},
    json::JsonBody,
    page::Page,
    problem::Refusal,
    time::Moment,
};
use crate::{
    archive::index::TokenRow,
    core::Core,
    users::{Scope, Scopes, Secret},
};

/// The longest name, in characters.
const MAX_NAME: usize = 64;

pub(super) fn routes() -> OpenApiRouter<Arc<Core>> {
    OpenApiRouter::new().routes(routes!(list, add)).routes(routes!(remove))
}

/// A program's token, without its secret.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Token {
    id: String,
    /// What it is for.
    name: String,
    scopes: Vec<Scope>,
    /// The one device that it sees; left out: all.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    device: Option<DeviceId>,
    #[schema(value_type = i64)]
    created: WallMs,
    created_by: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<i64>)]
    expires: Option<WallMs>,
    /// When it was last used, to about a minute.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<i64>)]
    last_used: Option<WallMs>,
}

#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Tokens {
    tokens: Vec<Token>,
    /// What to give as `after` for the rest.
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<String>,
}

/// A token that was just made. Its secret is shown once and kept nowhere.
#[derive(Serialize, ToSchema)]
pub(super) struct MadeToken {
    /// `dvt_…`, for `Authorization: Bearer …`.
    secret: String,
    #[serde(flatten)]
    token: Token,
}

/// What a token is for, and what it may do.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NewToken {
    /// 1 to 64 characters.
    name: String,
    /// At least one.
    scopes: Vec<Scope>,
    /// The one device that it sees; not with the scope `admin`.
    #[schema(value_type = Option<String>)]
    device: Option<DeviceId>,
    /// When it ends by itself: RFC 3339 or Unix milliseconds.
    #[schema(value_type = Option<String>)]
    expires: Option<Moment>,
}

/// The API tokens, oldest first.
#[utoipa::path(
    get,
    path = "/api/v1/tokens",
    tag = "access",
    params(Page),
    responses((status = 200, body = Tokens)),
    extensions(("x-role" = json!("admin"))),
)]
pub(super) async fn list(
    State(core): State<Arc<Core>>,
    Admin(_caller): Admin,
    Query(page): Query<Page>,
) -> Result<Json<Tokens>, Refusal> {
    let rows = core.index.tokens(page.after.as_deref().unwrap_or_default(), page.fetch()).await?;
    let (rows, next) = page.cut(rows, |row| row.id.clone());
    Ok(Json(Tokens { tokens: rows.into_iter().map(Token::from).collect(), next }))
}

/// Makes an API token; its secret is in this answer only.
#[utoipa::path(
    post,
    path = "/api/v1/tokens",
    tag = "access",
    request_body = NewToken,
    responses(
        (status = 201, body = MadeToken),
        (status = 422, description = "There is no such device, or the token would make no sense"),
    ),
    extensions(("x-role" = json!("admin"))),
)]
pub(super) async fn add(
    State(core): State<Arc<Core>>,
    Admin(caller): Admin,
    JsonBody(new): JsonBody<NewToken>,
) -> Result<(StatusCode, Json<MadeToken>), Refusal> {
    let now = core.clock.wall();
    let (name, scopes, expires) = check(&new, now)?;
    if let Some(device) = &new.device
        && core.index.device(device).await?.is_none()
    {
        return Err(senseless(format!("there is no device {device}")));
    }
    let secret = Secret::random().map_err(|error| Refusal::internal(&error))?;
    let row = TokenRow {
        id: id(now)?,
        name,
        scopes,
        device: new.device,
        created: now,
        created_by: caller.name.clone(),
        expires,
        last_used: None,
    };
    core.index.add_token(&row, secret.hash()).await?;
    core.audit(&caller, Act::named("add-token", format!("{} {}: {}", row.id, row.name, row.scopes)));
    Ok((StatusCode::CREATED, Json(MadeToken { secret: secret.token(), token: row.into() })))
}

/// Ends an API token.
#[utoipa::path(
    delete,
    path = "/api/v1/tokens/{id}",
    tag = "access",
    params(("id" = String, Path, description = "Token id")),
    responses((status = 204, description = "It has ended"), (status = 404, description = "No such token")),
    extensions(("x-role" = json!("admin"))),
)]
pub(super) async fn remove(
    State(core): State<Arc<Core>>,
    Admin(caller): Admin,
    Path(id): Path<String>,
) -> Result<StatusCode, Refusal> {
    if !core.index.remove_token(&id).await? {
        return Err(Refusal::not_found("token"));
    }
    core.audit(&caller, Act::named("remove-token", id));
    Ok(StatusCode::NO_CONTENT)
}

fn check(new: &NewToken, now: WallMs) -> Result<(String, Scopes, Option<WallMs>), Refusal> {
    let name = new.name.trim();
    if name.is_empty() || name.chars().count() > MAX_NAME || name.chars().any(char::is_control) {
        return Err(senseless(format!("a token's name has 1 to {MAX_NAME} characters")));
    }
    let scopes = Scopes::new(new.scopes.iter().copied());
    let scopes = scopes.ok_or_else(|| senseless("a token has at least one scope".to_owned()))?;
    if new.device.is_some() && scopes.cover(Scope::Admin) {
        return Err(senseless("a token of one device cannot be an administrator".to_owned()));
    }
    let expires = new.expires.map(WallMs::from);
    if expires.is_some_and(|expires| expires <= now) {
        return Err(senseless("it would have ended already".to_owned()));
    }
    Ok((name.to_owned(), scopes, expires))
}

fn senseless(detail: String) -> Refusal {
    Refusal::new(422, "token", "token makes no sense", detail)
}

/// Ids in the order that they were made.
fn id(now: WallMs) -> Result<String, Refusal> {
    let mut random = [0; 4];
    getrandom::fill(&mut random).map_err(|error| Refusal::internal(&error))?;
    Ok(format!("{:012x}{:08x}", now.0.max(0), u32::from_be_bytes(random)))
}

impl From<TokenRow> for Token {
    fn from(row: TokenRow) -> Self {
        let TokenRow { id, name, scopes, device, created, created_by, expires, last_used } = row;
        Self { id, name, scopes: scopes.as_slice().to_vec(), device, created, created_by, expires, last_used }
    }
}
