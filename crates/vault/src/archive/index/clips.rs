//! The table `clips`: jobs, and the segments that a clip is made of.

use std::{fmt, str::FromStr};

use dashvault_base::{CameraName, DeviceId, PackId, WallMs};
use sqlx::sqlite::SqliteRow;

use super::{
    Index, IndexError, SegmentRow, query,
    row::{Columns, signed},
};
use crate::{
    archive::objects::ObjectKey,
    clips::{Candidate, ClipFormat, ClipState},
    thumbnails::Shot,
};

/// Packs that begin up to so long before a range are looked at: far longer than any pack lasts.
const LOOK_BACK_MS: i64 = 3_600_000;

/// A clip job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ClipRow {
    pub(crate) id: String,
    pub(crate) device: DeviceId,
    pub(crate) camera: CameraName,
    pub(crate) from: WallMs,
    pub(crate) to: WallMs,
    pub(crate) format: ClipFormat,
    /// The outcome is an evidence bundle that holds the clip.
    pub(crate) evidence: bool,
    /// It begins and ends at the very frame.
    pub(crate) exact: bool,
    pub(crate) title: String,
    pub(crate) note: String,
    pub(crate) created: WallMs,
    pub(crate) created_by: String,
    pub(crate) state: ClipState,
    pub(crate) ended: Option<WallMs>,
    /// The outcome's length.
    pub(crate) bytes: Option<u64>,
    /// The outcome's file name, for whoever downloads it.
    pub(crate) file: Option<String>,
    /// JSON: what it covers.
    pub(crate) summary: Option<String>,
    /// JSON: why there is none.
    pub(crate) problem: Option<String>,
}

/// What became of a job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum ClipOutcome {
    Finished { bytes: u64, file: String, summary: String },
    Failed { problem: String },
}

impl ClipRow {
    fn read(row: &SqliteRow) -> Result<Self, IndexError> {
        let columns = Columns(row);
        Ok(Self {
            id: columns.text("id")?,
            device: columns.parsed("device")?,
            camera: columns.parsed("camera")?,
            from: columns.wall("from_wall")?,
            to: columns.wall("to_wall")?,
            format: columns.parsed("format")?,
            evidence: columns.truth("evidence")?,
            exact: columns.truth("exact")?,
            title: columns.text("title")?,
            note: columns.text("note")?,
            created: columns.wall("created")?,
            created_by: columns.text("created_by")?,
            state: columns.parsed("state")?,
            ended: columns.optional_number("ended")?.map(WallMs),
            bytes: columns.optional_number("bytes")?.and_then(|bytes| u64::try_from(bytes).ok()),
            file: columns.optional("file")?,
            summary: columns.optional("summary")?,
            problem: columns.optional("problem")?,
        })
    }
}

impl Index {
    /// The held segments of packs that may meet a range, in the order of their names.
    ///
    /// # Errors
    /// [`IndexError`].
    pub(crate) async fn clip_candidates(
        &self,
        device: &DeviceId,
        camera: &CameraName,
        (from, to): (WallMs, WallMs),
    ) -> Result<Vec<Candidate>, IndexError> {
        let found = sqlx::query(
            "SELECT segments.* FROM packs JOIN segments USING (device, camera, recording, number)
             WHERE packs.device = $1 AND packs.camera = $2 AND packs.missing_since IS NULL AND packs.expired_at IS NULL
             AND packs.start_wall >= $3 AND packs.start_wall < $4
             AND packs.start_wall + packs.duration_90k / 90 >= $5
             ORDER BY recording, number, position",
        )
        .bind(device.as_str())
        .bind(camera.as_str())
        .bind(from.plus_ms(-LOOK_BACK_MS).0)
        .bind(to.0)
        // The keyframe before the first segment may be in the pack before.
        .bind(from.plus_ms(-120_000).0)
        .fetch_all(&self.read)
        .await;
        let read = |row: &SqliteRow| {
            let columns = Columns(row);
            let pack =
                PackId { recording: columns.parsed("recording")?, number: columns.unsigned("number")? };
            let segment = SegmentRow::read(row)?;
            Ok(Candidate {
                key: ObjectKey { device: device.clone(), camera: camera.clone(), pack },
                position: columns.unsigned("position")?,
                segment,
            })
        };
        found.map_err(query("clip candidates"))?.iter().map(read).collect()
    }

    /// The stored segment with the last keyframe at or before a moment.
    ///
    /// # Errors
    /// [`IndexError`].
    pub(crate) async fn keyframe_at(
        &self,
        device: &DeviceId,
        camera: &CameraName,
        at: WallMs,
    ) -> Result<Option<Shot>, IndexError> {
        let found = sqlx::query(
            "SELECT segments.* FROM (
                 SELECT device, camera, recording, number FROM packs
                 WHERE device = $1 AND camera = $2 AND start_wall <= $3 AND missing_since IS NULL AND expired_at IS NULL
                 ORDER BY start_wall DESC LIMIT 2
             ) AS latest JOIN segments USING (device, camera, recording, number)
             WHERE keyframe AND start_wall <= $3 ORDER BY start_wall DESC LIMIT 1",
        )
        .bind(device.as_str())
        .bind(camera.as_str())
        .bind(at.0)
        .fetch_optional(&self.read)
        .await;
        let read = |row: &SqliteRow| {
            let columns = Columns(row);
            let pack =
                PackId { recording: columns.parsed("recording")?, number: columns.unsigned("number")? };
            let key = ObjectKey { device: device.clone(), camera: camera.clone(), pack };
            Ok(Shot { key, segment: SegmentRow::read(row)?, arriving: None })
        };
        found.map_err(query("keyframe at"))?.as_ref().map(read).transpose()
    }

    /// Adds a job.
    ///
    /// # Errors
    /// [`IndexError::Query`].
    pub(crate) async fn add_clip(&self, clip: &ClipRow) -> Result<(), IndexError> {
        sqlx::query(
            "INSERT INTO clips (id, device, camera, from_wall, to_wall, format, evidence, exact, title, note,
             created, created_by, state, summary)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)",
        )
        .bind(&clip.id)
        .bind(clip.device.as_str())
        .bind(clip.camera.as_str())
        .bind(clip.from.0)
        .bind(clip.to.0)
        .bind(clip.format.name())
        .bind(clip.evidence)
        .bind(clip.exact)
        .bind(&clip.title)
        .bind(&clip.note)
        .bind(clip.created.0)
        .bind(&clip.created_by)
        .bind(clip.state.name())
        .bind(clip.summary.as_deref())
        .execute(&self.write)
        .await
        .map(drop)
        .map_err(query("add clip"))
    }

    /// A job.
    ///
    /// # Errors
    /// [`IndexError`].
    pub(crate) async fn clip(&self, id: &str) -> Result<Option<ClipRow>, IndexError> {
        let found = sqlx::query("SELECT * FROM clips WHERE id = $1").bind(id).fetch_optional(&self.read);
        found.await.map_err(query("clip"))?.as_ref().map(ClipRow::read).transpose()
    }

    /// At most `limit` jobs, the newest first, after `after`; of one device where it is given.
    ///
    /// # Errors
    /// [`IndexError`].
    pub(crate) async fn clips(
        &self,
        only: Option<&DeviceId>,
        after: Option<&str>,
        limit: u32,
    ) -> Result<Vec<ClipRow>, IndexError> {
        let found = sqlx::query(
            "SELECT * FROM clips WHERE ($1 = '' OR device = $1)
             AND ($2 = '' OR (created, id) < (SELECT created, id FROM clips WHERE id = $2))
             ORDER BY created DESC, id DESC LIMIT $3",
        )
        .bind(only.map_or("", DeviceId::as_str))
        .bind(after.unwrap_or_default())
        .bind(i64::from(limit))
        .fetch_all(&self.read)
        .await;
        found.map_err(query("clips"))?.iter().map(ClipRow::read).collect()
    }

    /// Jobs in one state, the oldest first.
    ///
    /// # Errors
    /// [`IndexError`].
    pub(crate) async fn clips_in(&self, state: ClipState) -> Result<Vec<ClipRow>, IndexError> {
        let found = sqlx::query("SELECT * FROM clips WHERE state = $1 ORDER BY created, id")
            .bind(state.name())
            .fetch_all(&self.read)
            .await;
        found.map_err(query("clips in"))?.iter().map(ClipRow::read).collect()
    }

    /// Puts a job into another state, unless it was removed; gives whether it is there.
    ///
    /// # Errors
    /// [`IndexError::Query`].
    pub(crate) async fn set_clip_state(&self, id: &str, state: ClipState) -> Result<bool, IndexError> {
        let done = sqlx::query("UPDATE clips SET state = $2 WHERE id = $1").bind(id).bind(state.name());
        Ok(done.execute(&self.write).await.map_err(query("set clip state"))?.rows_affected() > 0)
    }

    /// Notes what became of a job, unless it was removed; gives whether it is there.
    ///
    /// # Errors
    /// [`IndexError::Query`].
    pub(crate) async fn end_clip(
        &self,
        id: &str,
        outcome: &ClipOutcome,
        now: WallMs,
    ) -> Result<bool, IndexError> {
        let (state, bytes, file, summary, problem) = match outcome {
            ClipOutcome::Finished { bytes, file, summary } => {
                (ClipState::Finished, Some(signed(*bytes)), Some(file), Some(summary), None)
            }
            ClipOutcome::Failed { problem } => (ClipState::Failed, None, None, None, Some(problem)),
        };
        let done = sqlx::query(
            "UPDATE clips SET state = $2, ended = $3, bytes = $4, file = $5, summary = COALESCE($6, summary),
             problem = $7 WHERE id = $1",
        )
        .bind(id)
        .bind(state.name())
        .bind(now.0)
        .bind(bytes)
        .bind(file)
        .bind(summary)
        .bind(problem)
        .execute(&self.write)
        .await;
        Ok(done.map_err(query("end clip"))?.rows_affected() > 0)
    }

    /// Forgets a job; gives whether it was there.
    ///
    /// # Errors
    /// [`IndexError::Query`].
    pub(crate) async fn delete_clip(&self, id: &str) -> Result<bool, IndexError> {
        let done = sqlx::query("DELETE FROM clips WHERE id = $1").bind(id).execute(&self.write).await;
        Ok(done.map_err(query("delete clip"))?.rows_affected() > 0)
    }

    /// Puts what ran when the vault died back into the queue.
    ///
    /// # Errors
    /// [`IndexError::Query`].
    pub(crate) async fn requeue_clips(&self) -> Result<u64, IndexError> {
        let done = sqlx::query("UPDATE clips SET state = 'queued' WHERE state = 'running'");
        Ok(done.execute(&self.write).await.map_err(query("requeue clips"))?.rows_affected())
    }
}

impl fmt::Display for ClipState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for ClipState {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        [Self::Queued, Self::Running, Self::Finished, Self::Failed]
            .into_iter()
            .find(|state| state.name() == text)
            .ok_or(())
    }
}

impl FromStr for ClipFormat {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        [Self::Mp4, Self::Ts].into_iter().find(|format| format.name() == text).ok_or(())
    }
}
