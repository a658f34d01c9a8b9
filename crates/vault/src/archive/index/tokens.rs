//! The table `tokens`: API tokens, by the hash of their secret.

use dashvault_base::{ContentHash, DeviceId, WallMs};
use sqlx::sqlite::SqliteRow;

use super::{Index, IndexError, query, row::Columns};
use crate::users::Scopes;

/// A program's token. Its secret is kept nowhere.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenRow {
    /// What it is called by in the interface.
    pub id: String,
    /// What it is for, as whoever made it wrote.
    pub name: String,
    /// What it may do.
    pub scopes: Scopes,
    /// The one device that it may see; `None`: all.
    pub device: Option<DeviceId>,
    /// When it was made.
    pub created: WallMs,
    /// By whom.
    pub created_by: String,
    /// When it ends by itself.
    pub expires: Option<WallMs>,
    /// When it was last used, to about a minute.
    pub last_used: Option<WallMs>,
}

impl TokenRow {
    fn read(row: &SqliteRow) -> Result<Self, IndexError> {
        let columns = Columns(row);
        Ok(Self {
            id: columns.text("id")?,
            name: columns.text("name")?,
            scopes: columns.parsed("scopes")?,
            device: columns.optional("device")?,
            created: columns.wall("created")?,
            created_by: columns.text("created_by")?,
            expires: columns.optional_number("expires")?.map(WallMs),
            last_used: columns.optional_number("last_used")?.map(WallMs),
        })
    }
}

impl Index {
    /// Adds a token.
    ///
    /// # Errors
    /// [`IndexError::Query`].
    pub async fn add_token(&self, token: &TokenRow, hash: ContentHash) -> Result<(), IndexError> {
        let done = sqlx::query(
            "INSERT INTO tokens (id, hash, name, scopes, device, created, created_by, expires)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
        )
        .bind(&token.id)
        .bind(hash.as_bytes().to_vec())
        .bind(&token.name)
        .bind(token.scopes.to_string())
        .bind(token.device.as_ref().map(DeviceId::as_str))
        .bind(token.created.0)
        .bind(&token.created_by)
        .bind(token.expires.map(|wall| wall.0))
        .execute(&self.write)
        .await;
        done.map(drop).map_err(query("add token"))
    }

    /// The token whose secret has this hash.
    ///
    /// # Errors
    /// [`IndexError`].
    pub async fn token(&self, hash: ContentHash) -> Result<Option<TokenRow>, IndexError> {
        let found = sqlx::query("SELECT * FROM tokens WHERE hash = $1").bind(hash.as_bytes().to_vec());
        let row = found.fetch_optional(&self.read).await.map_err(query("token"))?;
        row.as_ref().map(TokenRow::read).transpose()
    }

    /// Tokens by id, `limit` at most, after one.
    ///
    /// # Errors
    /// [`IndexError`].
    pub async fn tokens(&self, after: &str, limit: u32) -> Result<Vec<TokenRow>, IndexError> {
        let found = sqlx::query("SELECT * FROM tokens WHERE id > $1 ORDER BY id LIMIT $2")
            .bind(after)
            .bind(i64::from(limit))
            .fetch_all(&self.read)
            .await;
        found.map_err(query("tokens"))?.iter().map(TokenRow::read).collect()
    }

    /// Notes that a token was used.
    ///
    /// # Errors
    /// [`IndexError::Query`].
    pub async fn touch_token(&self, id: &str, now: WallMs) -> Result<(), IndexError> {
        let done = sqlx::query("UPDATE tokens SET last_used = $2 WHERE id = $1").bind(id).bind(now.0);
        done.execute(&self.write).await.map(drop).map_err(query("touch token"))
    }

    /// Removes a token, which ends it; false when there is none of this id.
    ///
    /// # Errors
    /// [`IndexError::Query`].
    pub async fn remove_token(&self, id: &str) -> Result<bool, IndexError> {
        let done = sqlx::query("DELETE FROM tokens WHERE id = $1").bind(id).execute(&self.write).await;
        done.map(|done| done.rows_affected() == 1).map_err(query("remove token"))
    }
}
