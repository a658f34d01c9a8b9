//! The table `announced`: packs that are told of and not stored: where they are, how much of them is here, who waits.

use dashvault_base::{CameraName, DeviceId, PackId, WallMs};
use sqlx::{Row, sqlite::SqliteRow};

use super::{
    Index, IndexError, query,
    row::{Columns, signed},
    spans::{LOOK_BACK_MS, broken},
};
use crate::{
    archive::objects::ObjectKey,
    timeline::{PackRuns, Stage, WallRange},
};

/// A pack that is told of and not stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct AnnouncedRow {
    pub(crate) device: DeviceId,
    pub(crate) camera: CameraName,
    /// By how much of it is here.
    pub(crate) runs: PackRuns,
}

/// What a fetch asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Requested {
    /// Packs that are asked for now.
    pub(crate) packs: u64,
    /// What of them is not here.
    pub(crate) bytes: u64,
}

impl Index {
    /// Notes what is announced, in one transaction. A pack that is stored is left out.
    ///
    /// # Errors
    /// [`IndexError::Query`]; none is noted then.
    pub(crate) async fn note_announced(&self, rows: &[AnnouncedRow], now: WallMs) -> Result<(), IndexError> {
        let failed = query("note announced");
        let mut transaction = self.write.begin().await.map_err(&failed)?;
        for AnnouncedRow { device, camera, runs } in rows {
            let Some(range) = runs.range() else { continue };
            sqlx::query(
                "INSERT INTO announced
                 (device, camera, recording, number, start_wall, end_wall, runs, lacking_bytes, told_at)
                 SELECT $1, $2, $3, $4, $5, $6, $7, $8, $9 WHERE NOT EXISTS (SELECT 1 FROM packs
                 WHERE device = $1 AND camera = $2 AND recording = $3 AND number = $4 AND missing_since IS NULL)
                 ON CONFLICT (device, camera, recording, number) DO UPDATE SET start_wall = excluded.start_wall,
                 end_wall = excluded.end_wall, runs = excluded.runs, lacking_bytes = excluded.lacking_bytes,
                 told_at = excluded.told_at",
            )
            .bind(device.as_str())
            .bind(camera.as_str())
            .bind(runs.recording.to_string())
            .bind(i64::from(runs.number))
            .bind(range.from.0)
            .bind(range.to.0)
            .bind(runs.encode())
            .bind(signed(runs.lacking_bytes()))
            .bind(now.0)
            .execute(&mut *transaction)
            .await
            .map_err(&failed)?;
        }
        transaction.commit().await.map_err(&failed)
    }

    /// What is announced of a camera and may meet a range, summed up.
    ///
    /// # Errors
    /// [`IndexError`].
    pub(crate) async fn announced_runs(
        &self,
        device: &DeviceId,
        camera: &CameraName,
        range: WallRange,
    ) -> Result<Vec<PackRuns>, IndexError> {
        let found = sqlx::query(
            "SELECT recording, number, runs FROM announced
             WHERE device = $1 AND camera = $2 AND start_wall < $4 AND end_wall > $3",
        )
        .bind(device.as_str())
        .bind(camera.as_str())
        .bind(range.from.plus_ms(-LOOK_BACK_MS).0)
        .bind(range.to.plus_ms(LOOK_BACK_MS).0)
        .fetch_all(&self.read)
        .await;
        let read = |row: &SqliteRow| {
            let PackId { recording, number } = pack_id(row)?;
            let blob: &[u8] = row.try_get("runs").map_err(query("announced runs"))?;
            PackRuns::decode(recording, number, Stage::Arriving, blob).map_err(|error| broken("runs", error))
        };
        found.map_err(query("announced runs"))?.iter().map(read).collect()
    }

    /// Asks for what is on the vehicle of a range.
    ///
    /// # Errors
    /// [`IndexError`]; nothing is asked for then.
    pub(crate) async fn request_announced(
        &self,
        device: &DeviceId,
        camera: &CameraName,
        range: WallRange,
        now: WallMs,
    ) -> Result<Requested, IndexError> {
        let marked = sqlx::query(
            "UPDATE announced SET requested = COALESCE(requested, $5)
             WHERE device = $1 AND camera = $2 AND start_wall < $4 AND end_wall > $3 AND lacking_bytes > 0
             RETURNING lacking_bytes",
        )
        .bind(device.as_str())
        .bind(camera.as_str())
        .bind(range.from.0)
        .bind(range.to.0)
        .bind(now.0)
        .fetch_all(&self.write)
        .await;
        let mut requested = Requested::default();
        for row in &marked.map_err(query("request announced"))? {
            requested.packs += 1;
            requested.bytes += Columns(row).unsigned::<u64>("lacking_bytes")?;
        }
        Ok(requested)
    }

    /// At most `limit` packs of a device that somebody waits for, those asked for first before others.
    ///
    /// # Errors
    /// [`IndexError`].
    pub(crate) async fn requested_of_device(
        &self,
        device: &DeviceId,
        limit: u32,
    ) -> Result<Vec<ObjectKey>, IndexError> {
        let found = sqlx::query(
            "SELECT camera, recording, number FROM announced WHERE device = $1 AND requested IS NOT NULL
             ORDER BY requested, start_wall LIMIT $2",
        )
        .bind(device.as_str())
        .bind(i64::from(limit))
        .fetch_all(&self.read)
        .await;
        let read = |row: &SqliteRow| {
            let camera = Columns(row).parsed("camera")?;
            Ok(ObjectKey { device: device.clone(), camera, pack: pack_id(row)? })
        };
        found.map_err(query("requested of device"))?.iter().map(read).collect()
    }
}

/// Takes a pack away that is stored, or that does not exist any more.
pub(super) async fn forget(
    connection: &mut sqlx::SqliteConnection,
    key: &ObjectKey,
) -> Result<(), sqlx::Error> {
    sqlx::query("DELETE FROM announced WHERE device = $1 AND camera = $2 AND recording = $3 AND number = $4")
        .bind(key.device.as_str())
        .bind(key.camera.as_str())
        .bind(key.pack.recording.to_string())
        .bind(i64::from(key.pack.number))
        .execute(connection)
        .await
        .map(drop)
}

fn pack_id(row: &SqliteRow) -> Result<PackId, IndexError> {
    let columns = Columns(row);
    Ok(PackId { recording: columns.parsed("recording")?, number: columns.unsigned("number")? })
}
