//! The table `sessions`.

use dashvault_base::{ContentHash, WallMs};

use super::{Index, IndexError, query, row::Columns};
use crate::users::{Role, UserName, session::Times};

/// Whose session it is, and how old.
#[derive(Debug, Clone)]
pub(crate) struct SessionRow {
    pub(crate) user: UserName,
    /// The user's role now.
    pub(crate) role: Role,
    pub(crate) times: Times,
}

impl Index {
    /// Begins a session of a user. A session of nobody is refused by the foreign key.
    ///
    /// # Errors
    /// [`IndexError::Query`].
    pub async fn begin_session(
        &self,
        hash: ContentHash,
        user: &UserName,
        now: WallMs,
    ) -> Result<(), IndexError> {
        let done =
            sqlx::query("INSERT INTO sessions (hash, user_name, created, last_used) VALUES ($1, $2, $3, $3)")
                .bind(hash.as_bytes().to_vec())
                .bind(user.as_str())
                .bind(now.0)
                .execute(&self.write)
                .await;
        done.map(drop).map_err(query("begin session"))
    }

    /// The session of this hash.
    pub(crate) async fn session(&self, hash: ContentHash) -> Result<Option<SessionRow>, IndexError> {
        let found = sqlx::query(
            "SELECT name, role, sessions.created, last_used FROM sessions
             JOIN users ON users.name = sessions.user_name WHERE hash = $1",
        )
        .bind(hash.as_bytes().to_vec())
        .fetch_optional(&self.read)
        .await;
        let Some(row) = found.map_err(query("session"))? else { return Ok(None) };
        let columns = Columns(&row);
        let times = Times { created: columns.wall("created")?, last_used: columns.wall("last_used")? };
        Ok(Some(SessionRow { user: columns.parsed("name")?, role: columns.parsed("role")?, times }))
    }

    /// Notes that a session was used.
    ///
    /// # Errors
    /// [`IndexError::Query`].
    pub async fn touch_session(&self, hash: ContentHash, now: WallMs) -> Result<(), IndexError> {
        let done = sqlx::query("UPDATE sessions SET last_used = $2 WHERE hash = $1 AND last_used < $2")
            .bind(hash.as_bytes().to_vec())
            .bind(now.0)
            .execute(&self.write)
            .await;
        done.map(drop).map_err(query("touch session"))
    }

    /// Ends a session.
    ///
    /// # Errors
    /// [`IndexError::Query`].
    pub async fn end_session(&self, hash: ContentHash) -> Result<(), IndexError> {
        let done = sqlx::query("DELETE FROM sessions WHERE hash = $1").bind(hash.as_bytes().to_vec());
        done.execute(&self.write).await.map(drop).map_err(query("end session"))
    }

    /// Forgets sessions that nobody used since `used` or that began before `begun`; says how many.
    ///
    /// # Errors
    /// [`IndexError::Query`].
    pub async fn prune_sessions(&self, used: WallMs, begun: WallMs) -> Result<u64, IndexError> {
        let done = sqlx::query("DELETE FROM sessions WHERE last_used <= $1 OR created <= $2")
            .bind(used.0)
            .bind(begun.0)
            .execute(&self.write)
            .await;
        done.map(|done| done.rows_affected()).map_err(query("prune sessions"))
    }
}
