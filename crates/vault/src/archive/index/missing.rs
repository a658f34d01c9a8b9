//! The mark of packs whose object is gone: they stay known, and are held again only when the same content is back.

use dashvault_base::{DeviceId, PackId, WallMs};
use sqlx::sqlite::SqliteRow;

use super::{Index, IndexError, announced, query, row::Columns};
use crate::archive::objects::ObjectKey;

impl Index {
    /// Marks a stored pack as missing; gives whether it was not marked before. Durable on return.
    ///
    /// # Errors
    /// [`IndexError::Query`].
    pub async fn mark_missing(&self, key: &ObjectKey, noticed: WallMs) -> Result<bool, IndexError> {
        let done = sqlx::query(
            "UPDATE packs SET missing_since = $5 WHERE device = $1 AND camera = $2 AND recording = $3
             AND number = $4 AND missing_since IS NULL AND expired_at IS NULL",
        )
        .bind(key.device.as_str())
        .bind(key.camera.as_str())
        .bind(key.pack.recording.to_string())
        .bind(i64::from(key.pack.number))
        .bind(noticed.0)
        .execute(&self.write)
        .await;
        Ok(done.map_err(query("mark missing"))?.rows_affected() > 0)
    }

    /// Takes the mark off a pack whose object is durable again, with the content it had. Durable on return.
    ///
    /// # Errors
    /// [`IndexError::Query`].
    pub(super) async fn mark_found(&self, key: &ObjectKey) -> Result<(), IndexError> {
        let failed = query("mark found");
        let mut transaction = self.write.begin().await.map_err(&failed)?;
        sqlx::query(
            "UPDATE packs SET missing_since = NULL WHERE device = $1 AND camera = $2 AND recording = $3
             AND number = $4 AND expired_at IS NULL",
        )
        .bind(key.device.as_str())
        .bind(key.camera.as_str())
        .bind(key.pack.recording.to_string())
        .bind(i64::from(key.pack.number))
        .execute(&mut *transaction)
        .await
        .map_err(&failed)?;
        announced::forget(&mut transaction, key).await.map_err(&failed)?;
        transaction.commit().await.map_err(&failed)
    }

    /// At most `limit` missing packs of a device, after `after` in the order of their cameras and names.
    ///
    /// # Errors
    /// [`IndexError`].
    pub async fn missing_of_device(
        &self,
        device: &DeviceId,
        after: Option<&ObjectKey>,
        limit: u32,
    ) -> Result<Vec<ObjectKey>, IndexError> {
        let found = sqlx::query(
            "SELECT camera, recording, number FROM packs WHERE device = $1 AND missing_since IS NOT NULL
             AND (camera > $2 OR (camera = $2 AND (recording > $3 OR (recording = $3 AND number > $4))))
             ORDER BY camera, recording, number LIMIT $5",
        )
        .bind(device.as_str())
        .bind(after.map_or("", |after| after.camera.as_str()))
        .bind(after.map_or_else(String::new, |after| after.pack.recording.to_string()))
        .bind(after.map_or(-1, |after| i64::from(after.pack.number)))
        .bind(i64::from(limit))
        .fetch_all(&self.read)
        .await;
        let read = |row: &SqliteRow| {
            let columns = Columns(row);
            let pack =
                PackId { recording: columns.parsed("recording")?, number: columns.unsigned("number")? };
            Ok(ObjectKey { device: device.clone(), camera: columns.parsed("camera")?, pack })
        };
        found.map_err(query("missing of device"))?.iter().map(read).collect()
    }

    /// How many packs are missing.
    ///
    /// # Errors
    /// [`IndexError`].
    pub async fn count_missing(&self) -> Result<u64, IndexError> {
        let found = sqlx::query("SELECT COUNT(*) AS missing FROM packs WHERE missing_since IS NOT NULL")
            .fetch_one(&self.read)
            .await;
        Columns(&found.map_err(query("count missing"))?).unsigned("missing")
    }
}
