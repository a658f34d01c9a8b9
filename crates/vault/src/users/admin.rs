//! Adding, listing, changing and removing users by the data folder alone, with or without a server on it.
//!
//! The server asks the index at each request, so a change holds at once.

use std::path::Path;

use dashvault_base::{Clock, SystemClock, WallMs};
use dashvault_disk::{Disk, OsDisk};

use super::{
    PasswordError, Role, UserName, UserNameError,
    password::{self, Hashing, HashingError},
    setup,
};
use crate::{
    archive::index::{Index, IndexError, UserChange, UserRow},
    layout::Layout,
};

/// Who is to be added.
#[derive(Clone)]
pub struct NewUser {
    /// Their name.
    pub name: String,
    /// What they may do.
    pub role: Role,
    /// Their password.
    pub password: String,
}

/// A known user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UserInfo {
    /// Their name.
    pub name: UserName,
    /// What they may do.
    pub role: Role,
    /// When they were added.
    pub created: WallMs,
    /// When they last signed in.
    pub signed_in: Option<WallMs>,
}

/// Why a user cannot be added, listed, changed or removed.
#[derive(Debug, thiserror::Error)]
pub enum UserError {
    /// The name is none.
    #[error(transparent)]
    Name(#[from] UserNameError),
    /// The password is not taken.
    #[error(transparent)]
    Password(#[from] PasswordError),
    /// The password cannot be hashed.
    #[error(transparent)]
    Hashing(#[from] HashingError),
    /// There is one of that name.
    #[error("user {0} exists already")]
    Exists(UserName),
    /// There is none of that name.
    #[error("there is no user {0}")]
    Unknown(UserName),
    /// Nobody could add users any more.
    #[error("{0} is the last administrator; make another one first")]
    LastAdmin(UserName),
    /// The data folder cannot be used.
    #[error("data folder cannot be used")]
    Disk(#[from] dashvault_disk::DiskError),
    /// The index cannot be used.
    #[error(transparent)]
    Index(#[from] IndexError),
}

/// Adds a user to the vault in `data`, which is created where missing. Durable on return. The setup code is of no more
/// use then, and is removed.
///
/// # Errors
/// [`UserError`]; nobody was added then.
pub async fn add_user(data: &Path, user: NewUser) -> Result<UserName, UserError> {
    let name: UserName = user.name.parse()?;
    password::check(&name, &user.password)?;
    let password = Hashing::default().hash(user.password).await?;
    let created = SystemClock.wall();
    let row = UserRow { name: name.clone(), role: user.role, password, created, signed_in: None };
    let layout = Layout::new(data);
    layout.create_root()?;
    if !with_index(&layout, async |index| Ok(index.add_user(&row, false).await?)).await? {
        return Err(UserError::Exists(name));
    }
    // The next start removes it otherwise.
    let _ = setup::forget(&layout.setup_code());
    Ok(name)
}

/// The users of the vault in `data`, by name; none where there is no vault yet.
///
/// # Errors
/// [`UserError`] when the index cannot be read.
pub async fn list_users(data: &Path) -> Result<Vec<UserInfo>, UserError> {
    let layout = Layout::new(data);
    if !OsDisk.exists(&layout.index())? {
        return Ok(Vec::new());
    }
    let rows = with_index(&layout, async |index| Ok(index.users(None, u32::MAX).await?)).await?;
    let info = |row: UserRow| UserInfo {
        name: row.name,
        role: row.role,
        created: row.created,
        signed_in: row.signed_in,
    };
    Ok(rows.into_iter().map(info).collect())
}

/// Gives a user another password, which ends their sessions. Durable on return.
///
/// # Errors
/// [`UserError`]; nothing has changed then.
pub async fn set_password(data: &Path, name: &UserName, new: String) -> Result<(), UserError> {
    password::check(name, &new)?;
    let hash = Hashing::default().hash(new).await?;
    change(data, name, async |index| index.set_password(name, &hash).await).await
}

/// Removes a user, which ends their sessions. Durable on return.
///
/// # Errors
/// [`UserError`]; nothing has changed then.
pub async fn remove_user(data: &Path, name: &UserName) -> Result<(), UserError> {
    change(data, name, async |index| index.remove_user(name).await).await
}

async fn change(
    data: &Path,
    name: &UserName,
    ask: impl AsyncFnOnce(&Index) -> Result<UserChange, IndexError>,
) -> Result<(), UserError> {
    let layout = Layout::new(data);
    if !OsDisk.exists(&layout.index())? {
        return Err(UserError::Unknown(name.clone()));
    }
    let changed = with_index(&layout, async |index| Ok(ask(index).await?)).await?;
    outcome(changed, name)
}

/// What a change came to, as a result.
pub(crate) fn outcome(changed: UserChange, name: &UserName) -> Result<(), UserError> {
    match changed {
        UserChange::Done => Ok(()),
        UserChange::Unknown => Err(UserError::Unknown(name.clone())),
        UserChange::LastAdmin => Err(UserError::LastAdmin(name.clone())),
    }
}

async fn with_index<T>(
    layout: &Layout,
    ask: impl AsyncFnOnce(&Index) -> Result<T, UserError>,
) -> Result<T, UserError> {
    let index = Index::open(&layout.index()).await?;
    let answer = ask(&index).await;
    index.close().await;
    answer
}

impl std::fmt::Debug for NewUser {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("NewUser").field("name", &self.name).field("role", &self.role).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn user(name: &str, role: Role) -> NewUser {
        NewUser { name: name.into(), role, password: "long enough".into() }
    }

    #[tokio::test]
    async fn users_are_added_once_listed_changed_and_removed_but_the_last_administrator_stays() {
        let data = tempfile::tempdir().unwrap();
        let data = data.path().join("new");
        assert!(list_users(&data).await.unwrap().is_empty());
        let anna = add_user(&data, user("Anna", Role::Admin)).await.unwrap();
        assert!(matches!(add_user(&data, user("anna", Role::Viewer)).await, Err(UserError::Exists(_))));
        assert!(matches!(remove_user(&data, &anna).await, Err(UserError::LastAdmin(_))));
        let bert = add_user(&data, user("bert", Role::Admin)).await.unwrap();
        set_password(&data, &bert, "another one".into()).await.unwrap();
        assert!(matches!(set_password(&data, &bert, "short".into()).await, Err(UserError::Password(_))));
        remove_user(&data, &anna).await.unwrap();
        assert!(matches!(remove_user(&data, &anna).await, Err(UserError::Unknown(_))));
        let known = list_users(&data).await.unwrap();
        assert_eq!(
            known.iter().map(|user| (user.name.as_str(), user.role)).collect::<Vec<_>>(),
            [("bert", Role::Admin)]
        );
    }
}
