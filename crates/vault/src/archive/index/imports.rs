//! The table `imports`: foreign footage from its upload to its packs.

use std::{fmt, str::FromStr};

use dashvault_base::{CameraName, ContentHash, DeviceId, RecordingId, WallMs};
use sqlx::sqlite::SqliteRow;

use super::{
    Index, IndexError, query,
    row::{Columns, signed},
};
use crate::import::place::TimeSource;

/// Where an import stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ImportState {
    /// Bytes come in.
    Receiving,
    /// All bytes are there; its turn has not come.
    Queued,
    /// It is being made into packs.
    Running,
    /// Its packs are durable.
    Done,
    /// The same file is here already.
    Duplicate,
    /// It cannot be imported.
    Failed,
}

/// One import.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ImportRow {
    pub(crate) id: String,
    /// None: a part of a concatenation.
    pub(crate) target: Option<(DeviceId, CameraName)>,
    pub(crate) filename: String,
    /// tus's `Upload-Metadata`, as it came.
    pub(crate) metadata: String,
    pub(crate) length: u64,
    /// Bytes that are durable.
    pub(crate) received: u64,
    pub(crate) state: ImportState,
    pub(crate) said_at: Option<WallMs>,
    pub(crate) zone_ms: i64,
    /// The original stays after success.
    pub(crate) keep: bool,
    pub(crate) content: Option<ContentHash>,
    pub(crate) recording: Option<RecordingId>,
    /// Where it lies in time.
    pub(crate) start_wall: Option<WallMs>,
    pub(crate) end_wall: Option<WallMs>,
    pub(crate) time_source: Option<TimeSource>,
    pub(crate) warning: Option<String>,
    /// A stable code, and what to do.
    pub(crate) error: Option<(String, String)>,
    pub(crate) duplicate_of: Option<String>,
    pub(crate) created: WallMs,
    pub(crate) created_by: String,
    /// When its last byte came.
    pub(crate) touched: WallMs,
}

/// What is stored of a recording, expired packs counted too.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct StoredOf {
    /// Bytes of its segments.
    pub(crate) body_bytes: u64,
    pub(crate) duration_90k: u64,
}

impl ImportState {
    const ALL: [Self; 6] =
        [Self::Receiving, Self::Queued, Self::Running, Self::Done, Self::Duplicate, Self::Failed];

    /// Its name in the index and in JSON.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Receiving => "receiving",
            Self::Queued => "queued",
            Self::Running => "running",
            Self::Done => "done",
            Self::Duplicate => "duplicate",
            Self::Failed => "failed",
        }
    }
}

impl fmt::Display for ImportState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for ImportState {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        Self::ALL.into_iter().find(|state| state.name() == text).ok_or(())
    }
}

impl ImportRow {
    fn read(row: &SqliteRow) -> Result<Self, IndexError> {
        let columns = Columns(row);
        let is_partial = columns.truth("is_partial")?;
        let target =
            if is_partial { None } else { Some((columns.parsed("device")?, columns.parsed("camera")?)) };
        let optional_text = |name| columns.optional::<String>(name);
        Ok(Self {
            id: columns.text("id")?,
            target,
            filename: columns.text("filename")?,
            metadata: columns.text("metadata")?,
            length: columns.unsigned("length")?,
            received: columns.unsigned("received")?,
            state: columns.parsed("state")?,
            said_at: columns.optional_number("said_at")?.map(WallMs),
            zone_ms: columns.number("zone_ms")?,
            keep: columns.truth("keep")?,
            content: columns.optional_hash("content")?,
            recording: columns.optional("recording")?,
            start_wall: columns.optional_number("start_wall")?.map(WallMs),
            end_wall: columns.optional_number("end_wall")?.map(WallMs),
            time_source: columns.optional("time_source")?,
            warning: optional_text("warning")?,
            error: optional_text("error_code")?.zip(optional_text("error")?),
            duplicate_of: optional_text("duplicate_of")?,
            created: columns.wall("created")?,
            created_by: columns.text("created_by")?,
            touched: columns.wall("touched")?,
        })
    }

    /// Whether it is only a part of a concatenation.
    pub(crate) fn is_partial(&self) -> bool {
        self.target.is_none()
    }
}

impl Index {
    /// Notes a new import. Durable on return.
    ///
    /// # Errors
    /// [`IndexError::Query`].
    pub(crate) async fn add_import(&self, import: &ImportRow) -> Result<(), IndexError> {
        let (device, camera) = import.target.clone().unzip();
        let done = sqlx::query(
            "INSERT INTO imports (id, device, camera, filename, metadata, is_partial, length, received, state,
             said_at, zone_ms, keep, created, created_by, touched)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15)",
        )
        .bind(&import.id)
        .bind(device.as_ref().map_or("", DeviceId::as_str))
        .bind(camera.as_ref().map_or("", CameraName::as_str))
        .bind(&import.filename)
        .bind(&import.metadata)
        .bind(import.is_partial())
        .bind(signed(import.length))
        .bind(signed(import.received))
        .bind(import.state.name())
        .bind(import.said_at.map(|wall| wall.0))
        .bind(import.zone_ms)
        .bind(import.keep)
        .bind(import.created.0)
        .bind(&import.created_by)
        .bind(import.touched.0)
        .execute(&self.write)
        .await;
        done.map(drop).map_err(query("add import"))
    }

    /// Writes what has become of an import that is still known; gives whether it is. Durable on return.
    ///
    /// # Errors
    /// [`IndexError::Query`].
    pub(crate) async fn save_import(&self, import: &ImportRow) -> Result<bool, IndexError> {
        let (code, detail) = import.error.clone().unzip();
        let done = sqlx::query(
            "UPDATE imports SET length = $2, received = $3, state = $4, content = $5, recording = $6,
             start_wall = $7, end_wall = $8, time_source = $9, warning = $10, error_code = $11, error = $12,
             duplicate_of = $13, touched = $14 WHERE id = $1",
        )
        .bind(&import.id)
        .bind(signed(import.length))
        .bind(signed(import.received))
        .bind(import.state.name())
        .bind(import.content.map(|hash| hash.as_bytes().to_vec()))
        .bind(import.recording.map(|recording| recording.to_string()))
        .bind(import.start_wall.map(|wall| wall.0))
        .bind(import.end_wall.map(|wall| wall.0))
        .bind(import.time_source.map(TimeSource::name))
        .bind(&import.warning)
        .bind(code)
        .bind(detail)
        .bind(&import.duplicate_of)
        .bind(import.touched.0)
        .execute(&self.write)
        .await;
        Ok(done.map_err(query("save import"))?.rows_affected() > 0)
    }

    /// Notes how many bytes are durable. Durable on return.
    ///
    /// # Errors
    /// [`IndexError::Query`].
    pub(crate) async fn import_received(
        &self,
        id: &str,
        received: u64,
        now: WallMs,
    ) -> Result<(), IndexError> {
        let done = sqlx::query("UPDATE imports SET received = $2, touched = $3 WHERE id = $1")
            .bind(id)
            .bind(signed(received))
            .bind(now.0)
            .execute(&self.write)
            .await;
        done.map(drop).map_err(query("import received"))
    }

    /// An import.
    ///
    /// # Errors
    /// [`IndexError`].
    pub(crate) async fn import(&self, id: &str) -> Result<Option<ImportRow>, IndexError> {
        let found = sqlx::query("SELECT * FROM imports WHERE id = $1").bind(id).fetch_optional(&self.read);
        found.await.map_err(query("import"))?.as_ref().map(ImportRow::read).transpose()
    }

    /// All imports in a state, oldest first.
    ///
    /// # Errors
    /// [`IndexError`].
    pub(crate) async fn imports_in(&self, state: ImportState) -> Result<Vec<ImportRow>, IndexError> {
        let found = sqlx::query("SELECT * FROM imports WHERE state = $1 ORDER BY created, id")
            .bind(state.name())
            .fetch_all(&self.read)
            .await;
        found.map_err(query("imports in a state"))?.iter().map(ImportRow::read).collect()
    }

    /// At most `limit` imports that are no parts, newest first, after the one that was begun then and has this id.
    ///
    /// # Errors
    /// [`IndexError`].
    pub(crate) async fn imports(
        &self,
        device: Option<&DeviceId>,
        state: Option<ImportState>,
        after: Option<(WallMs, String)>,
        limit: u32,
    ) -> Result<Vec<ImportRow>, IndexError> {
        let (after_created, after_id) = after.unzip();
        let found = sqlx::query(
            "SELECT * FROM imports WHERE NOT is_partial AND ($1 IS NULL OR device = $1)
             AND ($2 IS NULL OR state = $2)
             AND ($3 IS NULL OR created < $3 OR (created = $3 AND id < $4))
             ORDER BY created DESC, id DESC LIMIT $5",
        )
        .bind(device.map(DeviceId::as_str))
        .bind(state.map(ImportState::name))
        .bind(after_created.map(|wall: WallMs| wall.0))
        .bind(after_id)
        .bind(i64::from(limit))
        .fetch_all(&self.read)
        .await;
        found.map_err(query("imports"))?.iter().map(ImportRow::read).collect()
    }

    /// Forgets an import. Durable on return.
    ///
    /// # Errors
    /// [`IndexError::Query`].
    pub(crate) async fn delete_import(&self, id: &str) -> Result<(), IndexError> {
        let done = sqlx::query("DELETE FROM imports WHERE id = $1").bind(id).execute(&self.write).await;
        done.map(drop).map_err(query("delete import"))
    }

    /// Another import of the same file for the same camera, of whose footage something is still held.
    ///
    /// # Errors
    /// [`IndexError`].
    pub(crate) async fn same_import(
        &self,
        (device, camera): (&DeviceId, &CameraName),
        content: ContentHash,
    ) -> Result<Option<ImportRow>, IndexError> {
        let found = sqlx::query(
            "SELECT * FROM imports WHERE content = $1 AND device = $2 AND camera = $3 AND state = 'done'
             AND EXISTS (SELECT 1 FROM packs WHERE packs.device = imports.device
             AND packs.camera = imports.camera AND packs.recording = imports.recording
             AND packs.expired_at IS NULL) ORDER BY created LIMIT 1",
        )
        .bind(content.as_bytes().to_vec())
        .bind(device.as_str())
        .bind(camera.as_str())
        .fetch_optional(&self.read)
        .await;
        found.map_err(query("same import"))?.as_ref().map(ImportRow::read).transpose()
    }

    /// Takes the first free name for a recording from `wanted` on, for an import, in one transaction; it is a plain one.
    ///
    /// # Errors
    /// [`IndexError::Query`].
    pub(crate) async fn take_recording(
        &self,
        import: &str,
        (device, camera): (&DeviceId, &CameraName),
        wanted: RecordingId,
        now: WallMs,
    ) -> Result<RecordingId, IndexError> {
        let failed = query("take recording");
        let mut transaction = self.write.begin().await.map_err(&failed)?;
        let mut recording = wanted;
        loop {
            let done = sqlx::query(
                "INSERT INTO recordings (device, camera, recording, kind, created)
                 VALUES ($1, $2, $3, 'plain', $4) ON CONFLICT (device, camera, recording) DO NOTHING",
            )
            .bind(device.as_str())
            .bind(camera.as_str())
            .bind(recording.to_string())
            .bind(now.0)
            .execute(&mut *transaction)
            .await
            .map_err(&failed)?;
            if done.rows_affected() == 1 {
                break;
            }
            recording = recording.next_second();
        }
        let noted = sqlx::query("UPDATE imports SET recording = $2 WHERE id = $1")
            .bind(import)
            .bind(recording.to_string())
            .execute(&mut *transaction)
            .await;
        noted.map_err(&failed)?;
        transaction.commit().await.map_err(&failed)?;
        Ok(recording)
    }

    /// How much of a recording was stored, whether or not retention has deleted it since.
    ///
    /// # Errors
    /// [`IndexError`].
    pub(crate) async fn stored_of(
        &self,
        (device, camera): (&DeviceId, &CameraName),
        recording: RecordingId,
    ) -> Result<StoredOf, IndexError> {
        let found = sqlx::query(
            "SELECT COALESCE(SUM(body_bytes), 0) AS body_bytes,
             COALESCE(SUM(duration_90k), 0) AS duration_90k FROM packs WHERE device = $1 AND camera = $2 AND recording = $3",
        )
        .bind(device.as_str())
        .bind(camera.as_str())
        .bind(recording.to_string())
        .fetch_one(&self.read)
        .await
        .map_err(query("stored of recording"))?;
        let columns = Columns(&found);
        Ok(StoredOf {
            body_bytes: columns.unsigned("body_bytes")?,
            duration_90k: columns.unsigned("duration_90k")?,
        })
    }
}
