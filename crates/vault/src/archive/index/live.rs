//! Numbers of live playlists: reserved in blocks before they are used.

use dashvault_base::{CameraName, DeviceId};
use sqlx::sqlite::SqliteRow;

use super::{Index, IndexError, query, row::Columns};

/// Numbers that nobody else will use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NumberBlock {
    /// The first media sequence number.
    pub sequence: u64,
    /// How many there are.
    pub count: u32,
    /// The discontinuity sequence number to go on from.
    pub discontinuity: u64,
}

impl Index {
    /// Reserves `count` media sequence numbers of a camera, and as many discontinuities; a camera without any begins at
    /// `first`. Durable on return.
    ///
    /// # Errors
    /// [`IndexError`].
    pub async fn reserve_live_numbers(
        &self,
        device: &DeviceId,
        camera: &CameraName,
        first: u64,
        count: u32,
    ) -> Result<NumberBlock, IndexError> {
        let found = sqlx::query(
            "INSERT INTO live_numbers (device, camera, sequence, discontinuity) VALUES ($1, $2, $3 + $4, $4)
             ON CONFLICT (device, camera) DO UPDATE SET sequence = live_numbers.sequence + $4,
             discontinuity = live_numbers.discontinuity + $4
             RETURNING sequence - $4 AS sequence, discontinuity - $4 AS discontinuity",
        )
        .bind(device.as_str())
        .bind(camera.as_str())
        .bind(i64::try_from(first).unwrap_or(i64::MAX / 2))
        .bind(i64::from(count))
        .fetch_one(&self.write)
        .await;
        let read = |row: &SqliteRow| {
            let columns = Columns(row);
            let (sequence, discontinuity) =
                (columns.unsigned("sequence")?, columns.unsigned("discontinuity")?);
            Ok(NumberBlock { sequence, count, discontinuity })
        };
        read(&found.map_err(query("reserve live numbers"))?)
    }

    /// Says that of what is reserved up to `end` nothing from `next` on was used.
    ///
    /// # Errors
    /// [`IndexError::Query`].
    pub async fn return_live_numbers(
        &self,
        device: &DeviceId,
        camera: &CameraName,
        end: u64,
        next: NumberBlock,
    ) -> Result<(), IndexError> {
        let value = |number: u64| i64::try_from(number).unwrap_or(i64::MAX / 2);
        let done = sqlx::query(
            "UPDATE live_numbers SET sequence = $4, discontinuity = $5
             WHERE device = $1 AND camera = $2 AND sequence = $3",
        )
        .bind(device.as_str())
        .bind(camera.as_str())
        .bind(value(end))
        .bind(value(next.sequence))
        .bind(value(next.discontinuity))
        .execute(&self.write)
        .await;
        done.map(drop).map_err(query("return live numbers"))
    }
}
