//! From a request's credentials to who it is; a bearer beats a cookie.

use axum::http::{HeaderValue, header, request::Parts};
use dashvault_base::DeviceId;

use super::{Role, client};
use crate::{
    archive::index::TokenRow,
    auth::{self, AuthError},
    core::Core,
    http::problem::Refusal,
    users::{Secret, UserName, session},
};

/// Who a request's credentials belong to.
#[derive(Debug, Clone)]
pub(crate) enum Identity {
    /// Somebody who is signed in.
    User {
        name: UserName,
        role: Role,
        session: Session,
    },
    /// A program.
    Token(TokenRow),
    Device(DeviceId),
    /// Whoever has the configured administrator's bearer.
    AdminToken,
    /// Anybody, where that is allowed.
    Anonymous,
}

/// A session that lives.
#[derive(Debug, Clone)]
pub(crate) struct Session {
    pub(crate) user: UserName,
    pub(crate) secret: Secret,
    pub(crate) times: session::Times,
}

impl Identity {
    /// How the audit log names them.
    pub(crate) fn name(&self) -> String {
        match self {
            Self::User { name, .. } => format!("user:{name}"),
            Self::Token(token) => format!("token:{}", token.name),
            Self::Device(id) => format!("device:{id}"),
            Self::AdminToken => "admin-token".to_owned(),
            Self::Anonymous => "anonymous".to_owned(),
        }
    }
}

/// Who sent this request.
pub(crate) async fn identify(parts: &Parts, core: &Core) -> Result<Identity, Refusal> {
    let anyone = core.config.allow_anonymous;
    if let Some(text) = auth::bearer_text(&parts.headers) {
        return match by_bearer(text, parts, core).await? {
            Some(identity) => Ok(identity),
            None if anyone => Ok(Identity::Anonymous),
            None => Err(wrong_bearer(parts, core)),
        };
    }
    match by_cookie(parts, core).await? {
        Cookie::Lives(identity) => Ok(identity),
        _ if anyone => Ok(Identity::Anonymous),
        Cookie::Ended => Err(session_ended()),
        Cookie::None => Err(AuthError::Missing.into()),
    }
}

async fn by_bearer(text: &str, parts: &Parts, core: &Core) -> Result<Option<Identity>, Refusal> {
    // Hashing both sides first makes the comparison independent of where they differ.
    let same = |admin: &str| blake3::hash(admin.as_bytes()) == blake3::hash(text.as_bytes());
    if core.config.admin_token.as_deref().is_some_and(same) {
        return Ok(Some(Identity::AdminToken));
    }
    if let Some(secret) = Secret::from_token(text) {
        return Ok(token(&secret, core).await?.map(Identity::Token));
    }
    match auth::bearer(&core.index, &parts.headers).await {
        Ok(device) => Ok(Some(Identity::Device(device.id))),
        Err(AuthError::Wrong) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

async fn token(secret: &Secret, core: &Core) -> Result<Option<TokenRow>, Refusal> {
    const MINUTE_MS: i64 = 60_000;
    let now = core.clock.wall();
    let Some(token) = core.index.token(secret.hash()).await? else { return Ok(None) };
    if token.expires.is_some_and(|expires| expires <= now) {
        return Ok(None);
    }
    if token.last_used.is_none_or(|used| used.plus_ms(MINUTE_MS) <= now) {
        core.audit.token_used(&token.id, now);
    }
    Ok(Some(token))
}

/// What a request's cookie is worth.
enum Cookie {
    None,
    Ended,
    Lives(Identity),
}

async fn by_cookie(parts: &Parts, core: &Core) -> Result<Cookie, Refusal> {
    let secure = client::is_secure(parts, core);
    let headers = parts.headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
    let Some(secret) = headers.filter_map(|header| session::read(header, secure)).next() else {
        return Ok(Cookie::None);
    };
    let (now, hash) = (core.clock.wall(), secret.hash());
    let row = core.index.session(hash).await?;
    let Some(row) = row.filter(|row| row.times.is_alive(now, core.config.limits.sessions())) else {
        return Ok(Cookie::Ended);
    };
    if row.times.is_stale(now) {
        core.audit.session_used(hash, now);
    }
    let session = Session { user: row.user.clone(), secret, times: row.times };
    Ok(Cookie::Lives(Identity::User { name: row.user, role: row.role, session }))
}

/// Refuses a bearer that is nobody's, and sooner or later whoever tries many.
pub(super) fn wrong_bearer(parts: &Parts, core: &Core) -> Refusal {
    let charged = core.memory.guessing.wrong_bearer(core.clock.now(), client::address(parts, core));
    let refusal = match charged {
        Ok(()) => AuthError::Wrong.into(),
        Err(wait) => Refusal::too_often(wait, "too many bearers from this address were nobody's"),
    };
    core.metrics.refused("access", refusal.code);
    refusal
}

fn session_ended() -> Refusal {
    Refusal::new(401, "session-ended", "session has ended", "sign in again")
        .with(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"))
}
