//! Signing in and out, and who one is.

use std::{net::IpAddr, sync::Arc};

use axum::{
    Json,
    extract::{FromRequestParts, State},
    http::{HeaderValue, StatusCode, header, request::Parts},
    response::{IntoResponse, Response},
};
use dashvault_base::WallMs;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{
    access::{Act, Identity, Role, Viewer, check_csrf, client, identify},
    json::JsonBody,
    problem::Refusal,
};
use crate::{
    core::Core,
    users::{Secret, UserName, password, session},
};

pub(super) fn routes() -> OpenApiRouter<Arc<Core>> {
    OpenApiRouter::new().routes(routes!(show, sign_in, sign_out)).routes(routes!(change_password))
}

/// Who asks, and what they may do.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Who {
    /// `user`, `token`, `device`, `admin-token`, `anonymous`, or `nobody`, who has to sign in.
    kind: &'static str,
    /// The user's, token's or device's name.
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    /// What a user may do, or anybody. A token may do what its scopes say.
    #[serde(skip_serializing_if = "Option::is_none")]
    role: Option<Role>,
    /// For `X-CSRF-Token` of each request by cookie that changes something.
    #[serde(skip_serializing_if = "Option::is_none")]
    csrf: Option<String>,
    /// When the session ends if it is not used again, in Unix milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<i64>)]
    ends: Option<WallMs>,
    /// Whether the first administrator is still to be made.
    setup_needed: bool,
}

/// A name and a password.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct SignIn {
    /// Capitals do not matter.
    name: String,
    password: String,
}

/// One's own new password.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NewPassword {
    /// The one so far.
    current: String,
    /// At least 10 characters, at most 256 bytes.
    new: String,
}

/// A request's sender, if any; and where they are.
#[derive(Debug)]
pub(super) struct Sender {
    identity: Option<Identity>,
    pub(super) address: IpAddr,
    pub(super) secure: bool,
    parts: Parts,
}

impl FromRequestParts<Arc<Core>> for Sender {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, core: &Arc<Core>) -> Result<Self, Refusal> {
        let identity = match identify(parts, core).await {
            Ok(identity) => Some(identity),
            Err(refusal) if refusal.is_denial() => None,
            Err(refusal) => return Err(refusal),
        };
        let (address, secure) = (client::address(parts, core), client::is_secure(parts, core));
        Ok(Self { identity, address, secure, parts: parts.clone() })
    }
}

/// Who I am. Answers everybody, so that a page can ask before anybody has signed in.
#[utoipa::path(
    get,
    path = "/api/v1/session",
    tag = "access",
    responses((status = 200, body = Who)),
    extensions(("x-role" = json!("none"))),
)]
pub(super) async fn show(State(core): State<Arc<Core>>, sender: Sender) -> Result<Response, Refusal> {
    Ok(Json(who(&core, sender.identity.as_ref()).await?).into_response())
}

/// Signs in: sets the session's cookie.
#[utoipa::path(
    post,
    path = "/api/v1/session",
    tag = "access",
    request_body = SignIn,
    responses(
        (status = 200, description = "Signed in; the cookie is set", body = Who),
        (status = 401, description = "Name or password is wrong"),
        (status = 429, description = "Too many attempts; `Retry-After` says how long to wait"),
    ),
    extensions(("x-role" = json!("none"))),
)]
pub(super) async fn sign_in(
    State(core): State<Arc<Core>>,
    sender: Sender,
    JsonBody(SignIn { name, password }): JsonBody<SignIn>,
) -> Result<Response, Refusal> {
    // Whatever was typed counts as a name, so that a name that nobody can have is no faster than one that nobody has.
    let shown: String = name.chars().take(UserName::MAX_BYTES).collect::<String>().to_lowercase();
    let (now, address) = (core.clock.now(), sender.address);
    core.memory.guessing.sign_in(now, &shown, address).map_err(|wait| {
        let refusal = Refusal::too_often(wait, "there were too many attempts to sign in");
        refused(&core, &shown, address, refusal)
    })?;
    let user = match shown.parse::<UserName>() {
        Ok(name) => core.index.user(&name).await?,
        Err(_) => None,
    };
    let hash = user.as_ref().map(|user| user.password.clone());
    let right = password.len() <= password::MAX_BYTES && core.memory.hashing.is_right(password, hash).await?;
    let Some(user) = user.filter(|_| right) else {
        let refusal =
            Refusal::new(401, "sign-in", "name or password is wrong", "check both, also for capitals");
        return Err(refused(&core, &shown, address, refusal));
    };
    core.memory.guessing.signed_in(core.clock.now(), &shown, address);
    begin(&core, &sender, &user.name, user.role, "sign-in").await
}

/// Notes a refused sign-in.
fn refused(core: &Core, name: &str, address: IpAddr, refusal: Refusal) -> Refusal {
    core.metrics.refused("access", refusal.code);
    core.audit_as(name, "none", address, Act::named("sign-in-refused", refusal.code));
    refusal
}

/// Signs out: ends the session.
#[utoipa::path(
    delete,
    path = "/api/v1/session",
    tag = "access",
    responses((status = 204, description = "There is no session any more")),
    extensions(("x-role" = json!("none")), ("x-csrf" = json!(true))),
)]
pub(super) async fn sign_out(State(core): State<Arc<Core>>, sender: Sender) -> Result<Response, Refusal> {
    if let Some(identity) = &sender.identity {
        check_csrf(&sender.parts, identity)?;
        if let Identity::User { role, session, .. } = identity {
            core.index.end_session(session.secret.hash()).await?;
            core.audit_as(&identity.name(), role.name(), sender.address, Act::named("sign-out", ""));
        }
    }
    let mut response = StatusCode::NO_CONTENT.into_response();
    set_cookie(&mut response, &session::end(sender.secure));
    Ok(response)
}

/// Changes one's own password; all other sessions of the user end.
#[utoipa::path(
    post,
    path = "/api/v1/account/password",
    tag = "access",
    request_body = NewPassword,
    responses(
        (status = 200, description = "Changed; the cookie of a new session is set", body = Who),
        (status = 409, description = "The caller is no user, or the current password is wrong"),
        (status = 422, description = "The new password is not taken"),
    ),
    extensions(("x-role" = json!("viewer"))),
)]
pub(super) async fn change_password(
    State(core): State<Arc<Core>>,
    Viewer(caller): Viewer,
    sender: Sender,
    JsonBody(NewPassword { current, new }): JsonBody<NewPassword>,
) -> Result<Response, Refusal> {
    let Some(user) = caller.session.as_ref().map(|session| session.user.clone()) else {
        let detail = "only somebody who is signed in has a password here";
        return Err(Refusal::new(409, "no-user", "caller is no user", detail));
    };
    password::check(&user, &new)?;
    let guessing = &core.memory.guessing;
    let too_often = |wait| Refusal::too_often(wait, "there were too many wrong passwords");
    guessing.sign_in(core.clock.now(), user.as_str(), sender.address).map_err(too_often)?;
    let hash = core.index.user(&user).await?.map(|row| row.password);
    if !core.memory.hashing.is_right(current, hash).await? {
        core.audit(&caller, Act::named("change-password-refused", ""));
        let detail = "the current password is wrong";
        return Err(Refusal::new(409, "wrong-password", "password is not changed", detail));
    }
    guessing.signed_in(core.clock.now(), user.as_str(), sender.address);
    let hash = core.memory.hashing.hash(new).await?;
    core.index.set_password(&user, &hash).await?;
    begin(&core, &sender, &user, caller.role, "change-password").await
}

/// Begins a session, always with a new secret, and says who that is.
pub(super) async fn begin(
    core: &Core,
    sender: &Sender,
    user: &UserName,
    role: Role,
    action: &'static str,
) -> Result<Response, Refusal> {
    let secret = Secret::random().map_err(|error| Refusal::internal(&error))?;
    let now = core.clock.wall();
    core.index.begin_session(secret.hash(), user, now).await?;
    core.index.note_sign_in(user, now).await?;
    core.audit_as(&format!("user:{user}"), role.name(), sender.address, Act::named(action, ""));
    let lifetimes = core.config.limits.sessions();
    let times = session::Times { created: now, last_used: now };
    let answer = Who {
        kind: "user",
        name: Some(user.to_string()),
        role: Some(role),
        csrf: Some(secret.csrf()),
        ends: Some(times.ends(lifetimes)),
        setup_needed: false,
    };
    let mut response = Json(answer).into_response();
    set_cookie(&mut response, &session::begin(&secret, sender.secure, lifetimes));
    Ok(response)
}

async fn who(core: &Core, identity: Option<&Identity>) -> Result<Who, Refusal> {
    let setup_needed = !core.index.has_users().await?;
    let is =
        |kind, name: Option<String>, role| Who { kind, name, role, csrf: None, ends: None, setup_needed };
    Ok(match identity {
        None => is("nobody", None, None),
        Some(Identity::Anonymous) => is("anonymous", None, Some(Role::Viewer)),
        Some(Identity::AdminToken) => is("admin-token", None, Some(Role::Admin)),
        Some(Identity::Device(id)) => is("device", Some(id.to_string()), Some(Role::Viewer)),
        Some(Identity::Token(token)) => is("token", Some(token.name.clone()), None),
        Some(Identity::User { name, role, session }) => Who {
            csrf: Some(session.secret.csrf()),
            ends: Some(session.times.ends(core.config.limits.sessions())),
            ..is("user", Some(name.to_string()), Some(*role))
        },
    })
}

fn set_cookie(response: &mut Response, cookie: &str) {
    let value = HeaderValue::from_str(cookie).ok();
    response.headers_mut().extend(value.map(|value| (header::SET_COOKIE, value)));
}
