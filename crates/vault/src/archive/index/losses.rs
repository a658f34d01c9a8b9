//! The table `losses`: footage that will never come, and why.

use dashvault_base::{CameraName, DeviceId, LossCause, RecordingId, WallMs};
use dashvault_wire::LossNotice;
use serde::Serialize;
use sqlx::sqlite::SqliteRow;

use super::{
    Index, IndexError, query,
    row::{Columns, signed},
};

/// A pack is placed so much before its first byte was read.
const READ_LATE_MS: i64 = 500;

/// One loss.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LossRow {
    /// Its id, unique within the device.
    pub id: String,
    /// The camera.
    pub camera: CameraName,
    /// The recording, where there was one.
    pub recording: Option<RecordingId>,
    /// When it begins.
    pub from: WallMs,
    /// When it ends.
    pub to: WallMs,
    /// How much is missing, in milliseconds.
    pub lost_ms: u64,
    /// How many bytes, where known.
    pub bytes: u64,
    /// Why.
    pub cause: LossCause,
}

impl LossRow {
    pub(super) fn read(row: &SqliteRow) -> Result<Self, IndexError> {
        let columns = Columns(row);
        let cause = columns.text("cause")?;
        let known = serde_json::from_value(serde_json::Value::String(cause.clone()));
        Ok(Self {
            id: columns.text("id")?,
            camera: columns.parsed("camera")?,
            recording: columns.optional("recording")?,
            from: columns.wall("from_wall")?,
            to: columns.wall("to_wall")?,
            lost_ms: columns.unsigned("lost_ms")?,
            bytes: columns.unsigned("bytes")?,
            cause: known.map_err(|_| IndexError::Corrupt { what: "cause", value: cause })?,
        })
    }
}

impl Index {
    /// Notes losses in one transaction; those known already are left as they are. Gives those that were new. Announced
    /// packs that lie wholly in one are forgotten.
    ///
    /// # Errors
    /// [`IndexError::Query`]; none was noted then.
    pub async fn add_losses(
        &self,
        device: &DeviceId,
        losses: &[LossNotice],
        now: WallMs,
    ) -> Result<Vec<LossNotice>, IndexError> {
        let failed = query("add losses");
        let mut transaction = self.write.begin().await.map_err(&failed)?;
        let mut new = Vec::new();
        for loss in losses {
            let done = sqlx::query(
                "INSERT INTO losses
                 (device, id, camera, recording, from_wall, to_wall, lost_ms, bytes, cause, told_at)
                 VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) ON CONFLICT (device, id) DO NOTHING",
            )
            .bind(device.as_str())
            .bind(&loss.id)
            .bind(loss.camera.as_str())
            .bind(loss.recording.map(|recording| recording.to_string()))
            .bind(loss.from.0)
            .bind(loss.to.0)
            .bind(signed(loss.lost_ms))
            .bind(signed(loss.bytes))
            .bind(loss.cause.name())
            .bind(now.0)
            .execute(&mut *transaction)
            .await
            .map_err(&failed)?;
            if done.rows_affected() == 1 {
                new.push(loss.clone());
            }
            // What a recorder deleted unsent is not on the vehicle any more.
            sqlx::query(
                "DELETE FROM announced WHERE device = $1 AND camera = $2 AND recording = $3
                 AND start_wall >= $4 AND end_wall <= $5",
            )
            .bind(device.as_str())
            .bind(loss.camera.as_str())
            .bind(loss.recording.map(|recording| recording.to_string()))
            .bind(loss.from.plus_ms(-READ_LATE_MS).0)
            .bind(loss.to.plus_ms(READ_LATE_MS).0)
            .execute(&mut *transaction)
            .await
            .map_err(&failed)?;
        }
        transaction.commit().await.map_err(&failed)?;
        Ok(new)
    }

    /// A device's losses, by time.
    ///
    /// # Errors
    /// [`IndexError`].
    pub async fn losses(&self, device: &DeviceId) -> Result<Vec<LossRow>, IndexError> {
        let found = sqlx::query("SELECT * FROM losses WHERE device = $1 ORDER BY from_wall, id")
            .bind(device.as_str())
            .fetch_all(&self.read)
            .await;
        found.map_err(query("losses"))?.iter().map(LossRow::read).collect()
    }
}
