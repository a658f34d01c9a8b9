//! Who asks, and whether that is enough: [`Caller`] and the extractors that a handler states its least role by.
//!
//! Belongs here: from a request's credentials to a role and the devices it may see. Does not: what a role may do with
//! them; each handler says that by taking [`Viewer`], [`Operator`] or [`Admin`], and by `x-role` in its description.
//!
//! | credentials | role | sees |
//! |---|---|---|
//! | a device's bearer | viewer | its own footage |
//! | the configured administrator's bearer | admin | everything |
//! | none, where anonymous access is allowed | viewer | everything |

use std::sync::Arc;

use axum::{extract::FromRequestParts, http::request::Parts};
use dashvault_base::{CameraName, DeviceId, WallMs};

use super::problem::Refusal;
use crate::{
    auth::{self, Reader},
    core::Core,
};

/// What a caller may do; each includes the one before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Role {
    /// Watches.
    Viewer,
    /// Also takes clips, marks, locks, imports, asks for footage.
    #[allow(dead_code, reason = "its first endpoints come with clips, imports and rules")]
    Operator,
    /// Also adds devices and users, sets rules, deletes.
    Admin,
}

impl Role {
    /// The name in JSON and in the interface's description.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Viewer => "viewer",
            Self::Operator => "operator",
            Self::Admin => "admin",
        }
    }
}

/// Who sent a request.
#[derive(Debug, Clone)]
pub(crate) struct Caller {
    /// How the audit log names them.
    pub(crate) name: String,
    pub(crate) role: Role,
    /// The one device they may see; `None`: all.
    only: Option<DeviceId>,
}

impl Caller {
    /// Whether this device's footage may be seen.
    pub(crate) fn may_see(&self, device: &DeviceId) -> bool {
        self.only.as_ref().is_none_or(|only| only == device)
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

    async fn of(parts: &Parts, core: &Core) -> Result<Self, Refusal> {
        let (admin, anyone) = (core.config.admin_token.as_deref(), core.config.allow_anonymous);
        Ok(match auth::reader(&core.index, &parts.headers, admin, anyone).await? {
            Reader::Administrator => Self { name: "admin-token".to_owned(), role: Role::Admin, only: None },
            Reader::Anyone => Self { name: "anonymous".to_owned(), role: Role::Viewer, only: None },
            Reader::Device(id) => Self { name: format!("device:{id}"), role: Role::Viewer, only: Some(id) },
        })
    }

    fn at_least(self, role: Role) -> Result<Self, Refusal> {
        if self.role >= role {
            return Ok(self);
        }
        let detail = format!("this needs the role {}; yours is {}", role.name(), self.role.name());
        Err(Refusal::new(403, "forbidden", "not allowed", detail))
    }
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
#[allow(dead_code, reason = "its first endpoints come with clips, imports and rules")]
pub(crate) struct Admin(pub(crate) Caller);

impl FromRequestParts<Arc<Core>> for Viewer {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, core: &Arc<Core>) -> Result<Self, Refusal> {
        Caller::of(parts, core).await?.at_least(Role::Viewer).map(Self)
    }
}

impl FromRequestParts<Arc<Core>> for Operator {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, core: &Arc<Core>) -> Result<Self, Refusal> {
        Caller::of(parts, core).await?.at_least(Role::Operator).map(Self)
    }
}

impl FromRequestParts<Arc<Core>> for Admin {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, core: &Arc<Core>) -> Result<Self, Refusal> {
        Caller::of(parts, core).await?.at_least(Role::Admin).map(Self)
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

impl Act {
    /// An act on one camera's footage.
    pub(crate) fn on(action: &'static str, device: &DeviceId, camera: &CameraName) -> Self {
        Self { action, device: Some(device.clone()), camera: Some(camera.clone()), ..Self::default() }
    }
}

impl Core {
    /// Notes what a caller does. Never waits.
    pub(crate) fn audit(&self, caller: &Caller, act: Act) {
        let Act { action, device, camera, range, detail } = act;
        let (device, camera) = (device.map(|id| id.to_string()), camera.map(|name| name.to_string()));
        let (from, to) = range.map(|(from, to)| (from.0, to.0)).unzip();
        tracing::info!(target: "audit", caller = caller.name, role = caller.role.name(), action, device, camera, from, to, detail);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn caller(role: Role, only: Option<&str>) -> Caller {
        Caller { name: "somebody".into(), role, only: only.map(|id| id.parse().unwrap()) }
    }

    #[test]
    fn a_role_includes_the_ones_below_it() {
        assert!(caller(Role::Admin, None).at_least(Role::Operator).is_ok());
        assert!(caller(Role::Operator, None).at_least(Role::Operator).is_ok());
        let refused = caller(Role::Viewer, None).at_least(Role::Operator);
        assert_eq!(refused.unwrap_err().code, "forbidden");
    }

    #[test]
    fn another_device_does_not_exist_for_a_device() {
        let bus = caller(Role::Viewer, Some("bus"));
        assert!(bus.camera("bus", "front").is_ok());
        assert_eq!(bus.camera("truck", "front").unwrap_err().code, "not-found");
        assert_eq!(bus.camera("bus", "no camera").unwrap_err().code, "not-found");
    }
}
