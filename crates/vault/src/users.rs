//! People and programs that use the vault: their names, roles, secrets and passwords, and how often they may be wrong.
//!
//! Belongs here: what decides, mostly pure, with `now` handed in. Does not: requests (`http`), tables
//! ([`crate::archive::index`]). The reasons are in `docs/design/access.md`.

pub(crate) mod admin;
pub(crate) mod guessing;
mod name;
pub(crate) mod password;
mod role;
mod scope;
mod secret;
pub(crate) mod session;
pub(crate) mod setup;
pub(crate) mod throttle;

pub use admin::{NewUser, UserError, UserInfo, add_user, list_users, remove_user, set_password};
pub use name::{UserName, UserNameError};
pub use password::{HashingError, PasswordError, random_password};
pub use role::{Role, RoleError};
pub use scope::{Scope, ScopeError, Scopes};
pub(crate) use secret::Secret;
pub use setup::SetupError;
