//! What retention asks of the index: its rules, which packs are the oldest, and the marks of those it deletes.
//!
//! Invariant: a pack that a locked event keeps is never marked. The check is in the statement that marks it, and there
//! is one writing connection.

use dashvault_base::{CameraName, DeviceId, PackId, WallMs};
use sqlx::{Row, sqlite::SqliteRow};

use super::{
    Index, IndexError, query,
    row::{Columns, signed},
};
use crate::{
    archive::objects::ObjectKey,
    retention::{
        Policy,
        plan::Held,
        rules::{Rule, VaultBounds},
    },
};

/// Whether a locked event keeps the pack `packs`. An event's range is widened by 2 s on both sides: vehicles' times are
/// only as good as their clocks.
macro_rules! is_locked {
    () => {
        "EXISTS (SELECT 1 FROM events e WHERE e.locked AND e.device = packs.device
         AND (e.camera IS NULL OR e.camera = packs.camera)
         AND e.from_wall - 2000 < packs.end_wall AND e.to_wall + 2000 > packs.start_wall)"
    };
}

/// One camera's stored packs, together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CameraUsage {
    /// The device.
    pub device: DeviceId,
    /// The camera.
    pub camera: CameraName,
    /// How many packs are held.
    pub packs: u64,
    /// Their bytes.
    pub bytes: u64,
    /// How many of them locked events keep.
    pub locked_packs: u64,
    /// Bytes of those.
    pub locked_bytes: u64,
    /// When the oldest begins.
    pub oldest: WallMs,
    /// When the newest ends.
    pub newest: WallMs,
}

/// A pack that may be deleted, and what that sets free.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Candidate {
    pub(crate) key: ObjectKey,
    pub(crate) bytes: u64,
}

/// The rules with who set them, and when.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct StoredPolicy {
    pub(crate) policy: Policy,
    pub(crate) updated: Option<(WallMs, String)>,
}

/// What deleting a range by hand would find.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct RangeCount {
    /// Packs that overlap it and are kept by a lock.
    pub(crate) locked: u64,
    /// Packs that are not locked and only partly within.
    pub(crate) partly: u64,
}

impl Index {
    /// The rules in force.
    ///
    /// # Errors
    /// [`IndexError`].
    pub(crate) async fn retention(&self) -> Result<StoredPolicy, IndexError> {
        let failed = query("retention rules");
        let rows = sqlx::query("SELECT * FROM retention_rules ORDER BY device, camera").fetch_all(&self.read);
        let rows = rows.await.map_err(&failed)?;
        let vault =
            sqlx::query("SELECT * FROM retention_vault WHERE id = 1").fetch_optional(&self.read).await;
        let mut stored = StoredPolicy::default();
        for row in &rows {
            stored.policy.rules.push(rule(row)?);
        }
        if let Some(row) = vault.map_err(&failed)? {
            let columns = Columns(&row);
            let bound = |name| Ok::<_, IndexError>(columns.optional_number(name)?.map(unsigned));
            stored.policy.vault = VaultBounds {
                max_bytes: bound("max_bytes")?,
                min_free_bytes: bound("min_free_bytes")?,
                live_max_age_ms: bound("live_max_age_ms")?,
            };
            stored.updated = Some((columns.wall("updated")?, columns.text("updated_by")?));
        }
        Ok(stored)
    }

    /// Puts checked rules in the place of all rules there are, in one transaction. Durable on return.
    ///
    /// # Errors
    /// [`IndexError::Query`]; the rules are as before then.
    pub(crate) async fn set_retention(
        &self,
        policy: &Policy,
        by: &str,
        now: WallMs,
    ) -> Result<(), IndexError> {
        let failed = query("set retention rules");
        let mut transaction = self.write.begin().await.map_err(&failed)?;
        let cleared = sqlx::query("DELETE FROM retention_rules").execute(&mut *transaction).await;
        cleared.map_err(&failed)?;
        for rule in &policy.rules {
            sqlx::query(
                "INSERT INTO retention_rules (device, camera, max_age_ms, max_bytes)
                 VALUES ($1, $2, $3, $4)",
            )
            .bind(rule.device.as_ref().map_or("", DeviceId::as_str))
            .bind(rule.camera.as_ref().map_or("", CameraName::as_str))
            .bind(rule.max_age_ms.map(signed))
            .bind(rule.max_bytes.map(signed))
            .execute(&mut *transaction)
            .await
            .map_err(&failed)?;
        }
        sqlx::query(
            "INSERT INTO retention_vault (id, max_bytes, min_free_bytes, live_max_age_ms, updated, updated_by)
             VALUES (1, $1, $2, $3, $4, $5) ON CONFLICT (id) DO UPDATE SET max_bytes = $1,
             min_free_bytes = $2, live_max_age_ms = $3, updated = $4, updated_by = $5",
        )
        .bind(policy.vault.max_bytes.map(signed))
        .bind(policy.vault.min_free_bytes.map(signed))
        .bind(policy.vault.live_max_age_ms.map(signed))
        .bind(now.0)
        .bind(by)
        .execute(&mut *transaction)
        .await
        .map_err(&failed)?;
        transaction.commit().await.map_err(&failed)
    }

    /// Every camera that has stored packs, with how much of what. A missing pack counts no bytes.
    ///
    /// # Errors
    /// [`IndexError`].
    pub async fn usage(&self) -> Result<Vec<CameraUsage>, IndexError> {
        let found = sqlx::query(concat!(
            "SELECT device, camera, COUNT(*) AS packs,
             SUM(CASE WHEN missing_since IS NULL THEN bytes ELSE 0 END) AS bytes,
             SUM(CASE WHEN ",
            is_locked!(),
            " THEN 1 ELSE 0 END) AS locked_packs, SUM(CASE WHEN missing_since IS NULL AND ",
            is_locked!(),
            " THEN bytes ELSE 0 END) AS locked_bytes, MIN(start_wall) AS oldest, MAX(end_wall) AS newest
             FROM packs WHERE expired_at IS NULL GROUP BY device, camera ORDER BY device, camera"
        ))
        .fetch_all(&self.read)
        .await;
        let read = |row: &SqliteRow| {
            let columns = Columns(row);
            Ok(CameraUsage {
                device: columns.parsed("device")?,
                camera: columns.parsed("camera")?,
                packs: columns.unsigned("packs")?,
                bytes: columns.unsigned("bytes")?,
                locked_packs: columns.unsigned("locked_packs")?,
                locked_bytes: columns.unsigned("locked_bytes")?,
                oldest: columns.wall("oldest")?,
                newest: columns.wall("newest")?,
            })
        };
        found.map_err(query("usage"))?.iter().map(read).collect()
    }

    /// Every pack that is not expired, in no order.
    ///
    /// # Errors
    /// [`IndexError`].
    pub(crate) async fn held_packs(&self) -> Result<Vec<Held>, IndexError> {
        let found = sqlx::query(concat!(
            "SELECT *, ",
            is_locked!(),
            " AS is_locked FROM packs WHERE expired_at IS NULL"
        ))
        .fetch_all(&self.read)
        .await;
        let read = |row: &SqliteRow| {
            let Candidate { key, bytes } = candidate(row)?;
            let columns = Columns(row);
            Ok(Held {
                key,
                bytes,
                range: (columns.wall("start_wall")?, columns.wall("end_wall")?),
                recorded: columns.wall("recorded")?,
                stored_at: columns.wall("stored_at")?,
                locked: row.try_get("is_locked").map_err(query("held packs"))?,
            })
        };
        found.map_err(query("held packs"))?.iter().map(read).collect()
    }

    /// Bytes of the stored packs of a camera, or of all.
    ///
    /// # Errors
    /// [`IndexError`].
    pub(crate) async fn stored_bytes(
        &self,
        camera: Option<(&DeviceId, &CameraName)>,
    ) -> Result<u64, IndexError> {
        let (device, camera) = camera.unzip();
        let found = match (device, camera) {
            (Some(device), Some(camera)) => {
                sqlx::query(
                    "SELECT COALESCE(SUM(bytes), 0) AS bytes FROM packs
                     WHERE expired_at IS NULL AND missing_since IS NULL AND device = $1 AND camera = $2",
                )
                .bind(device.as_str())
                .bind(camera.as_str())
                .fetch_one(&self.read)
                .await
            }
            _ => {
                sqlx::query(
                    "SELECT COALESCE(SUM(bytes), 0) AS bytes FROM packs
                     WHERE expired_at IS NULL AND missing_since IS NULL",
                )
                .fetch_one(&self.read)
                .await
            }
        };
        Columns(&found.map_err(query("stored bytes"))?).unsigned("bytes")
    }

    /// At most `limit` packs of a camera that were stored at `cutoff` or before and are not locked, oldest first.
    ///
    /// # Errors
    /// [`IndexError`].
    pub(crate) async fn stored_before(
        &self,
        device: &DeviceId,
        camera: &CameraName,
        cutoff: WallMs,
        limit: u32,
    ) -> Result<Vec<Candidate>, IndexError> {
        let found = sqlx::query(concat!(
            "SELECT * FROM packs WHERE expired_at IS NULL AND device = $1 AND camera = $2 AND stored_at <= $3
             AND NOT ",
            is_locked!(),
            " ORDER BY stored_at LIMIT $4"
        ))
        .bind(device.as_str())
        .bind(camera.as_str())
        .bind(cutoff.0)
        .bind(i64::from(limit))
        .fetch_all(&self.read)
        .await;
        found.map_err(query("packs stored before"))?.iter().map(candidate).collect()
    }

    /// At most `limit` of the oldest packs of a camera, or of all, that are there and not locked.
    ///
    /// # Errors
    /// [`IndexError`].
    pub(crate) async fn oldest_packs(
        &self,
        camera: Option<(&DeviceId, &CameraName)>,
        limit: u32,
    ) -> Result<Vec<Candidate>, IndexError> {
        let found = match camera {
            Some((device, camera)) => {
                sqlx::query(concat!(
                    "SELECT * FROM packs WHERE expired_at IS NULL AND missing_since IS NULL
                     AND device = $2 AND camera = $3 AND NOT ",
                    is_locked!(),
                    " ORDER BY recorded, recording, number LIMIT $1"
                ))
                .bind(i64::from(limit))
                .bind(device.as_str())
                .bind(camera.as_str())
                .fetch_all(&self.read)
                .await
            }
            None => {
                sqlx::query(concat!(
                    "SELECT * FROM packs WHERE expired_at IS NULL AND missing_since IS NULL AND NOT ",
                    is_locked!(),
                    " ORDER BY recorded, device, camera, recording, number LIMIT $1"
                ))
                .bind(i64::from(limit))
                .fetch_all(&self.read)
                .await
            }
        };
        found.map_err(query("oldest packs"))?.iter().map(candidate).collect()
    }

    /// At most `limit` packs of a camera that lie wholly within a range and are not locked, oldest first.
    ///
    /// # Errors
    /// [`IndexError`].
    pub(crate) async fn packs_within(
        &self,
        device: &DeviceId,
        camera: &CameraName,
        (from, to): (WallMs, WallMs),
        limit: u32,
    ) -> Result<Vec<Candidate>, IndexError> {
        let found = sqlx::query(concat!(
            "SELECT * FROM packs WHERE expired_at IS NULL AND device = $1 AND camera = $2
             AND start_wall >= $3 AND end_wall <= $4 AND NOT ",
            is_locked!(),
            " ORDER BY recorded, recording, number LIMIT $5"
        ))
        .bind(device.as_str())
        .bind(camera.as_str())
        .bind(from.0)
        .bind(to.0)
        .bind(i64::from(limit))
        .fetch_all(&self.read)
        .await;
        found.map_err(query("packs within"))?.iter().map(candidate).collect()
    }

    /// What deleting a range leaves of the packs that overlap it.
    ///
    /// # Errors
    /// [`IndexError`].
    pub(crate) async fn kept_within(
        &self,
        device: &DeviceId,
        camera: &CameraName,
        (from, to): (WallMs, WallMs),
    ) -> Result<RangeCount, IndexError> {
        let found = sqlx::query(concat!(
            "SELECT COALESCE(SUM(locked), 0) AS locked, COUNT(*) - COALESCE(SUM(locked), 0) AS partly FROM
             (SELECT CASE WHEN ",
            is_locked!(),
            " THEN 1 ELSE 0 END AS locked FROM packs WHERE expired_at IS NULL AND device = $1 AND camera = $2
             AND start_wall < $4 AND end_wall > $3) AS overlapping"
        ))
        .bind(device.as_str())
        .bind(camera.as_str())
        .bind(from.0)
        .bind(to.0)
        .fetch_one(&self.read)
        .await
        .map_err(query("packs kept within"))?;
        let columns = Columns(&found);
        Ok(RangeCount { locked: columns.unsigned("locked")?, partly: columns.unsigned("partly")? })
    }

    /// Marks packs as expired, but for those that are locked or marked already, and forgets their segments, in one
    /// transaction. Gives those that it marked. Durable on return.
    ///
    /// # Errors
    /// [`IndexError`]; none is marked then.
    pub(crate) async fn expire(
        &self,
        packs: &[Candidate],
        now: WallMs,
    ) -> Result<Vec<Candidate>, IndexError> {
        let failed = query("expire packs");
        let mut transaction = self.write.begin().await.map_err(&failed)?;
        let mut marked = Vec::new();
        for pack in packs {
            let done = named(
                sqlx::query(concat!(
                    "UPDATE packs SET expired_at = $5, missing_since = NULL WHERE device = $1 AND camera = $2
                     AND recording = $3 AND number = $4 AND expired_at IS NULL AND NOT ",
                    is_locked!()
                )),
                &pack.key,
            );
            let done = done.bind(now.0).execute(&mut *transaction).await.map_err(&failed)?;
            if done.rows_affected() == 0 {
                continue;
            }
            let segments = sqlx::query(
                "DELETE FROM segments WHERE device = $1 AND camera = $2 AND recording = $3 AND number = $4",
            );
            named(segments, &pack.key).execute(&mut *transaction).await.map_err(&failed)?;
            marked.push(pack.clone());
        }
        transaction.commit().await.map_err(&failed)?;
        Ok(marked)
    }

    /// At most `limit` expired packs whose object is not known to be gone, after `after`.
    ///
    /// # Errors
    /// [`IndexError`].
    pub(crate) async fn packs_to_remove(&self, skip: u32, limit: u32) -> Result<Vec<ObjectKey>, IndexError> {
        let found = sqlx::query(
            "SELECT * FROM packs WHERE expired_at IS NOT NULL AND removed_at IS NULL
             ORDER BY expired_at, device, camera, recording, number LIMIT $1 OFFSET $2",
        )
        .bind(i64::from(limit))
        .bind(i64::from(skip))
        .fetch_all(&self.read)
        .await;
        found.map_err(query("packs to remove"))?.iter().map(key).collect()
    }

    /// How many expired packs have an object that is not known to be gone.
    ///
    /// # Errors
    /// [`IndexError`].
    pub(crate) async fn count_to_remove(&self) -> Result<u64, IndexError> {
        let found = sqlx::query(
            "SELECT COUNT(*) AS packs FROM packs WHERE expired_at IS NOT NULL AND removed_at IS NULL",
        )
        .fetch_one(&self.read)
        .await;
        Columns(&found.map_err(query("count packs to remove"))?).unsigned("packs")
    }

    /// Notes that the objects of expired packs are gone for good. Durable on return.
    ///
    /// # Errors
    /// [`IndexError::Query`].
    pub(crate) async fn objects_removed(&self, keys: &[ObjectKey], now: WallMs) -> Result<(), IndexError> {
        let failed = query("objects removed");
        let mut transaction = self.write.begin().await.map_err(&failed)?;
        for key in keys {
            let done = sqlx::query(
                "UPDATE packs SET removed_at = $5 WHERE device = $1 AND camera = $2 AND recording = $3
                 AND number = $4 AND expired_at IS NOT NULL",
            );
            named(done, key).bind(now.0).execute(&mut *transaction).await.map_err(&failed)?;
        }
        transaction.commit().await.map_err(&failed)
    }
}

type Query<'q> = sqlx::query::Query<'q, sqlx::Sqlite, sqlx::sqlite::SqliteArguments>;

/// Binds a pack's name as the first four.
fn named<'q>(query: Query<'q>, key: &'q ObjectKey) -> Query<'q> {
    query
        .bind(key.device.as_str())
        .bind(key.camera.as_str())
        .bind(key.pack.recording.to_string())
        .bind(i64::from(key.pack.number))
}

fn key(row: &SqliteRow) -> Result<ObjectKey, IndexError> {
    let columns = Columns(row);
    let pack = PackId { recording: columns.parsed("recording")?, number: columns.unsigned("number")? };
    Ok(ObjectKey { device: columns.parsed("device")?, camera: columns.parsed("camera")?, pack })
}

fn candidate(row: &SqliteRow) -> Result<Candidate, IndexError> {
    let columns = Columns(row);
    let missing = columns.optional_number("missing_since")?.is_some();
    Ok(Candidate { key: key(row)?, bytes: if missing { 0 } else { columns.unsigned("bytes")? } })
}

fn rule(row: &SqliteRow) -> Result<Rule, IndexError> {
    let columns = Columns(row);
    let named = |name| Ok::<_, IndexError>(Some(columns.text(name)?).filter(|text| !text.is_empty()));
    let device = named("device")?.is_some().then(|| columns.parsed("device")).transpose()?;
    let camera = named("camera")?.is_some().then(|| columns.parsed("camera")).transpose()?;
    let bound = |name| Ok::<_, IndexError>(columns.optional_number(name)?.map(unsigned));
    Ok(Rule { device, camera, max_age_ms: bound("max_age_ms")?, max_bytes: bound("max_bytes")? })
}

fn unsigned(number: i64) -> u64 {
    u64::try_from(number).unwrap_or(0)
}
