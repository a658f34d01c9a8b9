//! The table `audit`: who did, watched or downloaded what, when.

use dashvault_base::{CameraName, DeviceId, WallMs};
use sqlx::{QueryBuilder, Sqlite, sqlite::SqliteRow};

use super::{Index, IndexError, query, row::Columns};

/// One act.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditRow {
    /// When.
    pub at: WallMs,
    /// By whom: `user:anna`, `token:nightly`, `device:bus-7`, `admin-token`, `anonymous`.
    pub who: String,
    /// As what.
    pub role: String,
    /// From where.
    pub address: String,
    /// A stable name: `sign-in`, `view`, `download`, …
    pub action: String,
    /// On which device's footage.
    pub device: Option<DeviceId>,
    /// Of which camera.
    pub camera: Option<CameraName>,
    /// Of which time.
    pub range: Option<(WallMs, WallMs)>,
    /// What else names it.
    pub detail: String,
}

/// Which acts.
#[derive(Debug, Clone, Default)]
pub struct AuditFilter {
    /// By this one only.
    pub who: Option<String>,
    /// These only.
    pub action: Option<String>,
    /// On this device only.
    pub device: Option<DeviceId>,
    /// From this time on.
    pub from: Option<WallMs>,
    /// Before this time.
    pub to: Option<WallMs>,
    /// Older than this number.
    pub before: Option<i64>,
}

impl AuditRow {
    fn read(row: &SqliteRow) -> Result<(i64, Self), IndexError> {
        let columns = Columns(row);
        let (from, to) = (columns.optional_number("from_wall")?, columns.optional_number("to_wall")?);
        let read = Self {
            at: columns.wall("at")?,
            who: columns.text("who")?,
            role: columns.text("role")?,
            address: columns.text("address")?,
            action: columns.text("action")?,
            device: columns.optional("device")?,
            camera: columns.optional("camera")?,
            range: from.zip(to).map(|(from, to)| (WallMs(from), WallMs(to))),
            detail: columns.text("detail")?,
        };
        Ok((columns.number("id")?, read))
    }
}

impl Index {
    /// Writes acts down in one transaction.
    ///
    /// # Errors
    /// [`IndexError::Query`]; none is written then.
    pub async fn add_audit(&self, rows: &[AuditRow]) -> Result<(), IndexError> {
        let failed = query("add audit");
        let mut transaction = self.write.begin().await.map_err(&failed)?;
        for row in rows {
            let (from, to) = row.range.map(|(from, to)| (from.0, to.0)).unzip();
            let done = sqlx::query(
                "INSERT INTO audit (at, who, role, address, action, device, camera, from_wall, to_wall, detail)
                 VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
            )
            .bind(row.at.0)
            .bind(&row.who)
            .bind(&row.role)
            .bind(&row.address)
            .bind(&row.action)
            .bind(row.device.as_ref().map(DeviceId::as_str))
            .bind(row.camera.as_ref().map(CameraName::as_str))
            .bind(from)
            .bind(to)
            .bind(&row.detail)
            .execute(&mut *transaction)
            .await;
            done.map_err(&failed)?;
        }
        transaction.commit().await.map_err(&failed)
    }

    /// Acts with their numbers, the newest first, `limit` at most.
    ///
    /// # Errors
    /// [`IndexError`].
    pub async fn audit(&self, filter: &AuditFilter, limit: u32) -> Result<Vec<(i64, AuditRow)>, IndexError> {
        let mut sql = QueryBuilder::<Sqlite>::new("SELECT * FROM audit WHERE id < ");
        sql.push_bind(filter.before.unwrap_or(i64::MAX));
        let texts = [
            (" AND who = ", filter.who.clone()),
            (" AND action = ", filter.action.clone()),
            (" AND device = ", filter.device.as_ref().map(ToString::to_string)),
        ];
        for (condition, text) in texts {
            if let Some(text) = text {
                sql.push(condition).push_bind(text);
            }
        }
        for (condition, wall) in [(" AND at >= ", filter.from), (" AND at < ", filter.to)] {
            if let Some(wall) = wall {
                sql.push(condition).push_bind(wall.0);
            }
        }
        sql.push(" ORDER BY id DESC LIMIT ").push_bind(i64::from(limit));
        let found = sql.build().fetch_all(&self.read).await.map_err(query("audit"))?;
        found.iter().map(AuditRow::read).collect()
    }

    /// Forgets acts before a time; says how many.
    ///
    /// # Errors
    /// [`IndexError::Query`].
    pub async fn prune_audit(&self, before: WallMs) -> Result<u64, IndexError> {
        let done = sqlx::query("DELETE FROM audit WHERE at < $1").bind(before.0).execute(&self.write).await;
        done.map(|done| done.rows_affected()).map_err(query("prune audit"))
    }
}
