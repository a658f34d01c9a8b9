//! The table `users`.
//!
//! Invariants: what changes a password or a role ends the user's sessions in the same transaction; there is always an
//! administrator once there was one.

use dashvault_base::WallMs;
use sqlx::sqlite::SqliteRow;

use super::{Index, IndexError, query, row::Columns};
use crate::users::{Role, UserName};

/// Somebody who may sign in.
#[derive(Debug, Clone)]
pub struct UserRow {
    /// Their name.
    pub name: UserName,
    /// What they may do.
    pub role: Role,
    /// The argon2id hash of their password, as a PHC string.
    pub password: String,
    /// When they were added.
    pub created: WallMs,
    /// When they last signed in.
    pub signed_in: Option<WallMs>,
}

/// What became of a change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UserChange {
    /// It is done.
    Done,
    /// There is no such user.
    Unknown,
    /// It would leave no administrator.
    LastAdmin,
}

const NOT_LAST_ADMIN: &str = "(role <> 'admin' OR (SELECT COUNT(*) FROM users WHERE role = 'admin') > 1)";

impl UserRow {
    fn read(row: &SqliteRow) -> Result<Self, IndexError> {
        let columns = Columns(row);
        Ok(Self {
            name: columns.parsed("name")?,
            role: columns.parsed("role")?,
            password: columns.text("password")?,
            created: columns.wall("created")?,
            signed_in: columns.optional_number("signed_in")?.map(WallMs),
        })
    }
}

impl Index {
    /// Adds a user; false when there is one of that name already, or, with `only_first`, any at all.
    ///
    /// # Errors
    /// [`IndexError::Query`].
    pub async fn add_user(&self, user: &UserRow, only_first: bool) -> Result<bool, IndexError> {
        let done = sqlx::query(
            "INSERT INTO users (name, role, password, created)
             SELECT $1, $2, $3, $4 WHERE $5 = FALSE OR NOT EXISTS (SELECT 1 FROM users)
             ON CONFLICT (name) DO NOTHING",
        )
        .bind(user.name.as_str())
        .bind(user.role.name())
        .bind(&user.password)
        .bind(user.created.0)
        .bind(only_first)
        .execute(&self.write)
        .await;
        done.map(|done| done.rows_affected() == 1).map_err(query("add user"))
    }

    /// Whether there is any user.
    ///
    /// # Errors
    /// [`IndexError::Query`].
    pub async fn has_users(&self) -> Result<bool, IndexError> {
        let found = sqlx::query("SELECT 1 FROM users LIMIT 1").fetch_optional(&self.read).await;
        found.map(|row| row.is_some()).map_err(query("has users"))
    }

    /// The user of this name.
    ///
    /// # Errors
    /// [`IndexError`].
    pub async fn user(&self, name: &UserName) -> Result<Option<UserRow>, IndexError> {
        let found = sqlx::query("SELECT * FROM users WHERE name = $1").bind(name.as_str());
        let row = found.fetch_optional(&self.read).await.map_err(query("user"))?;
        row.as_ref().map(UserRow::read).transpose()
    }

    /// Users by name, `limit` at most, after one.
    ///
    /// # Errors
    /// [`IndexError`].
    pub async fn users(&self, after: Option<&UserName>, limit: u32) -> Result<Vec<UserRow>, IndexError> {
        let found = sqlx::query("SELECT * FROM users WHERE name > $1 ORDER BY name LIMIT $2")
            .bind(after.map_or("", UserName::as_str))
            .bind(i64::from(limit))
            .fetch_all(&self.read)
            .await;
        found.map_err(query("users"))?.iter().map(UserRow::read).collect()
    }

    /// Notes that somebody has signed in.
    ///
    /// # Errors
    /// [`IndexError::Query`].
    pub async fn note_sign_in(&self, name: &UserName, now: WallMs) -> Result<(), IndexError> {
        let done = sqlx::query("UPDATE users SET signed_in = $2 WHERE name = $1")
            .bind(name.as_str())
            .bind(now.0)
            .execute(&self.write)
            .await;
        done.map(drop).map_err(query("note sign-in"))
    }

    /// Gives a user another password and ends their sessions.
    ///
    /// # Errors
    /// [`IndexError::Query`]; nothing has changed then.
    pub async fn set_password(&self, name: &UserName, hash: &str) -> Result<UserChange, IndexError> {
        let update =
            sqlx::query("UPDATE users SET password = $2 WHERE name = $1").bind(name.as_str()).bind(hash);
        self.change_user(name, update).await
    }

    /// Gives a user another role and ends their sessions.
    ///
    /// # Errors
    /// [`IndexError::Query`]; nothing has changed then.
    pub async fn set_role(&self, name: &UserName, role: Role) -> Result<UserChange, IndexError> {
        let sql =
            format!("UPDATE users SET role = $2 WHERE name = $1 AND ($2 = 'admin' OR {NOT_LAST_ADMIN})");
        let update = sqlx::query(sqlx::AssertSqlSafe(sql)).bind(name.as_str()).bind(role.name());
        self.change_user(name, update).await
    }

    /// Removes a user with their sessions.
    ///
    /// # Errors
    /// [`IndexError::Query`]; nothing has changed then.
    pub async fn remove_user(&self, name: &UserName) -> Result<UserChange, IndexError> {
        let sql = format!("DELETE FROM users WHERE name = $1 AND {NOT_LAST_ADMIN}");
        self.change_user(name, sqlx::query(sqlx::AssertSqlSafe(sql)).bind(name.as_str())).await
    }

    async fn change_user(
        &self,
        name: &UserName,
        change: sqlx::query::Query<'_, sqlx::Sqlite, sqlx::sqlite::SqliteArguments>,
    ) -> Result<UserChange, IndexError> {
        let failed = query("change user");
        let mut transaction = self.write.begin().await.map_err(&failed)?;
        let changed = change.execute(&mut *transaction).await.map_err(&failed)?.rows_affected() == 1;
        if changed {
            let ended = sqlx::query("DELETE FROM sessions WHERE user_name = $1").bind(name.as_str());
            ended.execute(&mut *transaction).await.map_err(&failed)?;
            transaction.commit().await.map_err(&failed)?;
            return Ok(UserChange::Done);
        }
        let known = sqlx::query("SELECT 1 FROM users WHERE name = $1").bind(name.as_str());
        let known = known.fetch_optional(&mut *transaction).await.map_err(&failed)?.is_some();
        Ok(if known { UserChange::LastAdmin } else { UserChange::Unknown })
    }
}
