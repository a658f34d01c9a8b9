//! Who asks, and whether that is enough: [`Caller`] and the extractors that a handler states its least role by.
//!
//! Belongs here: from a request's credentials to a role and the devices it may see. Does not: what a role may do with
//! them; each handler says that by taking [`Viewer`], [`Operator`] or [`Admin`], and by `x-role` in its description.
//! The table of credentials and the reasons are in `docs/design/access.md`.

use std::{net::IpAddr, sync::Arc};

use axum::{
    extract::{FromRequestParts, MatchedPath},
    http::{Method, request::Parts},
};
use dashvault_base::{CameraName, DeviceId, WallMs};

use super::problem::Refusal;
pub(crate) use crate::users::Role;
use crate::{
    archive::index::{AuditRow, TokenRow},
    auth::{self, AuthError, Device},
    core::Core,
    users::Scope,
};

pub(crate) mod client;
mod identity;

pub(crate) use identity::{Identity, Session, identify};

/// What a request by cookie carries when it changes something.
pub(crate) const CSRF_HEADER: &str = "x-csrf-token";

/// Who sent a request.
#[derive(Debug, Clone)]
pub(crate) struct Caller {
    /// How the audit log names them.
    pub(crate) name: String,
    pub(crate) role: Role,
    /// The one device they may see; `None`: all.
    only: Option<DeviceId>,
    /// Where they are.
    pub(crate) address: IpAddr,
    /// The session, of somebody who is signed in.
    pub(crate) session: Option<Session>,
}

impl Caller {
    /// Whether this device's footage may be seen.
    pub(crate) fn may_see(&self, device: &DeviceId) -> bool {
        self.only.as_ref().is_none_or(|only| only == device)
    }

    /// The one device that may be seen; `None`: all.
    pub(crate) const fn only(&self) -> Option<&DeviceId> {
        self.only.as_ref()
    }

    /// The device that a path names, if the caller may see it; otherwise it does not exist for them.
    pub(crate) fn device(&self, name: &str) -> Result<DeviceId, Refusal> {
        let device: DeviceId = name.parse().map_err(|_| Refusal::not_found("device"))?;
        if self.may_see(&device) { Ok(device) } else { Err(Refusal::not_found("device")) }
    }

    /// The device and camera that a path names.
    pub(crate) fn camera(&self, device: &str, camera: &str) -> Result<(DeviceId, CameraName), Refusal> {
        let device = self.device(device)?;
        Ok((device, camera.parse().map_err(|_| Refusal::not_found("camera"))?))
    }

    /// The caller of a request to an endpoint that takes `least`, if that is what they have.
    async fn of(parts: &Parts, core: &Core, least: Role) -> Result<Self, Refusal> {
        let identity = identify(parts, core).await?;
        check_csrf(parts, &identity)?;
        let address = client::address(parts, core);
        let path = parts.extensions.get::<MatchedPath>().map_or("", MatchedPath::as_str);
        Self::at_least(identity, least, path, address)
    }

    fn at_least(identity: Identity, least: Role, path: &str, address: IpAddr) -> Result<Self, Refusal> {
        let name = identity.name();
        let (role, only, session) = match identity {
            Identity::Token(token) => {
                let role =
                    token.scopes.role_at(path, least).ok_or_else(|| missing_scope(&token, path, least))?;
                (role, token.device, None)
            }
            Identity::User { role, session, .. } => (role, None, Some(session)),
            Identity::Device(id) => (Role::Viewer, Some(id), None),
            Identity::AdminToken => (Role::Admin, None, None),
            Identity::Anonymous => (Role::Viewer, None, None),
        };
        if role < least {
            let detail = format!("this needs the role {least}; yours is {role}");
            return Err(Refusal::new(403, "forbidden", "not allowed", detail));
        }
        Ok(Self { name, role, only, address, session })
    }
}

fn missing_scope(token: &TokenRow, path: &str, least: Role) -> Refusal {
    let (needed, has) = (Scope::needed(path, least).name(), &token.scopes);
    Refusal::new(
        403,
        "scope",
        "not allowed",
        format!("this needs a token with the scope {needed}; this one has {has}"),
    )
}

/// A browser adds its cookie to requests that other sites make; the token it does not add.
pub(crate) fn check_csrf(parts: &Parts, identity: &Identity) -> Result<(), Refusal> {
    let Identity::User { session, .. } = identity else { return Ok(()) };
    if matches!(parts.method, Method::GET | Method::HEAD | Method::OPTIONS) {
        return Ok(());
    }
    let header = parts.headers.get(CSRF_HEADER).and_then(|value| value.to_str().ok());
    if header.is_some_and(|header| session.secret.is_csrf(header)) {
        return Ok(());
    }
    let detail = "send the `csrf` of GET /api/v1/session as X-CSRF-Token";
    Err(Refusal::new(403, "csrf", "request may come from another site", detail))
}

/// A caller who may watch.
#[derive(Debug, Clone)]
pub(crate) struct Viewer(pub(crate) Caller);

/// A caller who may also take clips, mark, lock, import and ask for footage.
#[derive(Debug, Clone)]
#[allow(dead_code, reason = "its first endpoints come with clips, imports and rules")]
pub(crate) struct Operator(pub(crate) Caller);

/// A caller who may do everything.
#[derive(Debug, Clone)]
pub(crate) struct Admin(pub(crate) Caller);

/// A device, if the caller is one. The handler asks when it is ready to refuse.
#[derive(Debug)]
pub(crate) struct Publisher(Result<Device, Refusal>);

impl Publisher {
    /// The device, or why there is none.
    pub(crate) fn device(self) -> Result<Device, Refusal> {
        self.0
    }
}

impl FromRequestParts<Arc<Core>> for Viewer {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, core: &Arc<Core>) -> Result<Self, Refusal> {
        Caller::of(parts, core, Role::Viewer).await.map(Self)
    }
}

impl FromRequestParts<Arc<Core>> for Operator {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, core: &Arc<Core>) -> Result<Self, Refusal> {
        Caller::of(parts, core, Role::Operator).await.map(Self)
    }
}

impl FromRequestParts<Arc<Core>> for Admin {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, core: &Arc<Core>) -> Result<Self, Refusal> {
        Caller::of(parts, core, Role::Admin).await.map(Self)
    }
}

impl FromRequestParts<Arc<Core>> for Publisher {
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(parts: &mut Parts, core: &Arc<Core>) -> Result<Self, Self::Rejection> {
        Ok(Self(match auth::bearer(&core.index, &parts.headers).await {
            Err(AuthError::Wrong) => Err(identity::wrong_bearer(parts, core)),
            device => device.map_err(Refusal::from),
        }))
    }
}

/// What the audit log keeps of one act; what does not apply is left out.
#[derive(Debug, Clone, Default)]
pub(crate) struct Act {
    /// A stable name: `view`, `download`, `lock`, `delete-footage`, …
    pub(crate) action: &'static str,
    pub(crate) device: Option<DeviceId>,
    pub(crate) camera: Option<CameraName>,
    /// The footage's time.
    pub(crate) range: Option<(WallMs, WallMs)>,
    /// What else names it: an id, a file name.
    pub(crate) detail: String,
}

/// Watching asks again and again; it is noted once in a while.
pub(crate) const VIEW: &str = "view";

impl Act {
    /// An act on one camera's footage.
    pub(crate) fn on(action: &'static str, device: &DeviceId, camera: &CameraName) -> Self {
        Self { action, device: Some(device.clone()), camera: Some(camera.clone()), ..Self::default() }
    }

    /// An act on something that a text names.
    pub(crate) fn named(action: &'static str, detail: impl Into<String>) -> Self {
        Self { action, detail: detail.into(), ..Self::default() }
    }
}

impl Core {
    /// Notes what a caller does: each act, but a `view` once per caller, camera and ten minutes. Never waits.
    pub(crate) fn audit(&self, caller: &Caller, act: Act) {
        if act.action == VIEW && !self.memory.is_new_view(self.clock.now(), &caller.name, &act) {
            return;
        }
        self.audit_as(&caller.name, caller.role.name(), caller.address, act);
    }

    /// As [`Core::audit`], for somebody who is no caller yet.
    pub(crate) fn audit_as(&self, who: &str, role: &str, address: IpAddr, act: Act) {
        let Act { action, device, camera, range, detail } = act;
        let (who, role, action) = (who.to_owned(), role.to_owned(), action.to_owned());
        let address = address.to_string();
        self.audit.note(AuditRow {
            at: self.clock.wall(),
            who,
            role,
            address,
            action,
            device,
            camera,
            range,
            detail,
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn caller(role: Role, only: Option<&str>) -> Caller {
        let (name, address) = ("somebody".into(), [127, 0, 0, 1].into());
        Caller { name, role, only: only.map(|id| id.parse().unwrap()), address, session: None }
    }

    fn refused(identity: Identity, least: Role, path: &str) -> &'static str {
        Caller::at_least(identity, least, path, [127, 0, 0, 1].into())
            .map_or_else(|refusal| refusal.code, |_| "allowed")
    }

    #[test]
    fn a_role_includes_the_ones_below_it() {
        assert_eq!(refused(Identity::AdminToken, Role::Operator, "/"), "allowed");
        assert_eq!(refused(Identity::Anonymous, Role::Viewer, "/"), "allowed");
        assert_eq!(refused(Identity::Anonymous, Role::Operator, "/"), "forbidden");
        assert_eq!(refused(Identity::Device("bus".parse().unwrap()), Role::Operator, "/"), "forbidden");
    }

    #[test]
    fn a_token_is_what_its_scopes_say_and_no_more() {
        let token = |scopes: &str| {
            Identity::Token(TokenRow {
                id: "1".into(),
                name: "reader".into(),
                scopes: scopes.parse().unwrap(),
                device: Some("bus".parse().unwrap()),
                created: WallMs(0),
                created_by: "user:anna".into(),
                expires: None,
                last_used: None,
            })
        };
        assert_eq!(refused(token("import"), Role::Operator, "/api/v1/imports"), "allowed");
        assert_eq!(refused(token("import"), Role::Operator, "/api/v1/events"), "scope");
        assert_eq!(refused(token("operate"), Role::Admin, "/api/v1/users"), "scope");
        let caller = Caller::at_least(token("view"), Role::Viewer, "/", [127, 0, 0, 1].into()).unwrap();
        assert!(caller.may_see(&"bus".parse().unwrap()) && !caller.may_see(&"truck".parse().unwrap()));
    }

    #[test]
    fn another_device_does_not_exist_for_a_device() {
        let bus = caller(Role::Viewer, Some("bus"));
        assert!(bus.camera("bus", "front").is_ok());
        assert_eq!(bus.camera("truck", "front").unwrap_err().code, "not-found");
        assert_eq!(bus.camera("bus", "no camera").unwrap_err().code, "not-found");
    }
}
