//! The table `recordings`: who cuts and seals a recording's packs, the vehicle or the vault.

use std::{fmt, str::FromStr};

use dashvault_base::{CameraName, DeviceId, RecordingId, WallMs};

use super::{Index, IndexError, query, row::Columns};

/// How a recording comes to the vault.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RecordingKind {
    /// A recorder announces its packs and signs them.
    Announced,
    /// A publisher only streams; the vault cuts and signs.
    Plain,
}

impl fmt::Display for RecordingKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Announced => "announced",
            Self::Plain => "plain",
        })
    }
}

impl FromStr for RecordingKind {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        match text {
            "announced" => Ok(Self::Announced),
            "plain" => Ok(Self::Plain),
            _ => Err(()),
        }
    }
}

impl Index {
    /// Notes a recording's kind unless it has one, and gives the one it has now.
    ///
    /// # Errors
    /// [`IndexError`].
    pub async fn claim_recording(
        &self,
        device: &DeviceId,
        camera: &CameraName,
        recording: RecordingId,
        kind: RecordingKind,
        now: WallMs,
    ) -> Result<RecordingKind, IndexError> {
        if let Some(known) = self.recording_kind(device, camera, recording).await? {
            return Ok(known);
        }
        let row = sqlx::query(
            "INSERT INTO recordings (device, camera, recording, kind, created) VALUES ($1, $2, $3, $4, $5)
             ON CONFLICT (device, camera, recording) DO UPDATE SET kind = recordings.kind
             RETURNING kind",
        )
        .bind(device.as_str())
        .bind(camera.as_str())
        .bind(recording.to_string())
        .bind(kind.to_string())
        .bind(now.0)
        .fetch_one(&self.write)
        .await
        .map_err(query("claim recording"))?;
        Columns(&row).parsed("kind")
    }

    /// How many cameras a device has recordings of.
    ///
    /// # Errors
    /// [`IndexError`].
    pub async fn cameras(&self, device: &DeviceId) -> Result<Vec<CameraName>, IndexError> {
        let found = sqlx::query("SELECT DISTINCT camera FROM recordings WHERE device = $1 ORDER BY camera")
            .bind(device.as_str())
            .fetch_all(&self.read)
            .await;
        found.map_err(query("cameras"))?.iter().map(|row| Columns(row).parsed("camera")).collect()
    }

    /// The cameras of every device between two ids, both included, with the end of the newest pack that is here.
    ///
    /// # Errors
    /// [`IndexError`].
    pub async fn cameras_between(
        &self,
        first: &DeviceId,
        last: &DeviceId,
    ) -> Result<Vec<(DeviceId, CameraName, Option<WallMs>)>, IndexError> {
        let found = sqlx::query(
            "SELECT device, camera, (
                 SELECT end_wall FROM packs WHERE packs.device = known.device AND packs.camera = known.camera
                 AND missing_since IS NULL AND expired_at IS NULL ORDER BY start_wall DESC LIMIT 1
             ) AS newest FROM (
                 SELECT DISTINCT device, camera FROM recordings WHERE device >= $1 AND device <= $2
             ) AS known ORDER BY device, camera",
        )
        .bind(first.as_str())
        .bind(last.as_str())
        .fetch_all(&self.read)
        .await;
        let camera = |row| {
            let columns = Columns(row);
            Ok((
                columns.parsed("device")?,
                columns.parsed("camera")?,
                columns.optional_number("newest")?.map(WallMs),
            ))
        };
        found.map_err(query("cameras between"))?.iter().map(camera).collect()
    }

    async fn recording_kind(
        &self,
        device: &DeviceId,
        camera: &CameraName,
        recording: RecordingId,
    ) -> Result<Option<RecordingKind>, IndexError> {
        let row =
            sqlx::query("SELECT kind FROM recordings WHERE device = $1 AND camera = $2 AND recording = $3")
                .bind(device.as_str())
                .bind(camera.as_str())
                .bind(recording.to_string())
                .fetch_optional(&self.read)
                .await
                .map_err(query("recording kind"))?;
        row.map(|row| Columns(&row).parsed("kind")).transpose()
    }
}
