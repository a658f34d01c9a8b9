//! The tables `packs` and `segments`: what is stored.

use std::{fmt, str::FromStr};

use dashvault_base::{CameraName, ContentHash, DeviceId, PackId, Pts, RecordingId, Ticks90k, WallMs};
use dashvault_media::{Manifest, SealedBy};
use sqlx::sqlite::SqliteRow;

use super::{
    Index, IndexError, announced, query,
    row::{Columns, signed},
    spans::Summary,
};
use crate::archive::objects::ObjectKey;

/// How a segment's bytes reached the vault.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum How {
    /// Live, from a recorder.
    Live,
    /// Afterwards, by upload (perhaps completing what came live).
    Backfilled,
    /// Live, from a publisher that keeps nothing.
    Plain,
    /// Found in the store without an index: not known any more.
    Unknown,
}

impl How {
    /// The name in the index and in JSON.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Live => "live",
            Self::Backfilled => "backfilled",
            Self::Plain => "plain",
            Self::Unknown => "unknown",
        }
    }
}

impl fmt::Display for How {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for How {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        [Self::Live, Self::Backfilled, Self::Plain, Self::Unknown]
            .into_iter()
            .find(|how| how.name() == text)
            .ok_or(())
    }
}

/// A stored pack.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PackRow {
    /// Its object.
    pub key: ObjectKey,
    /// The hash of its manifest.
    pub manifest: ContentHash,
    /// The hash of the manifest before it.
    pub previous: ContentHash,
    /// The object's length, trailer included.
    pub bytes: u64,
    /// Wall time of its first byte, by the device.
    pub start_wall: WallMs,
    /// Its duration in 90 kHz ticks.
    pub duration_90k: u64,
    /// How many segments it has.
    pub segments: u32,
    /// Who sealed it.
    pub sealed_by: SealedBy,
    /// When it became durable here.
    pub stored_at: WallMs,
    /// When it was noticed that its object is gone; such a pack is not held.
    pub missing_since: Option<WallMs>,
    /// Wall time of its end, by the device.
    pub end_wall: WallMs,
    /// When retention began to delete it; its row stays, as the proof that it was stored.
    pub expired_at: Option<WallMs>,
    /// When its object was gone for good after that.
    pub removed_at: Option<WallMs>,
}

/// One segment of a stored pack.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SegmentRow {
    /// Its first byte in the object.
    pub start_byte: u64,
    /// Its length in bytes.
    pub bytes: u32,
    /// BLAKE3 of its bytes.
    pub hash: ContentHash,
    /// Its first PTS.
    pub start_pts: Option<Pts>,
    /// Wall time of its start.
    pub start_wall: WallMs,
    /// Its duration.
    pub duration: Ticks90k,
    /// How it came here.
    pub how: How,
    /// Whether decoding can start here.
    pub keyframe: bool,
    /// Whether packets are missing inside.
    pub damaged: bool,
}

/// A pack with its segments, ready for the index.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredPack {
    /// The pack.
    pub row: PackRow,
    /// Its segments in order.
    pub segments: Vec<SegmentRow>,
}

/// What became of a commit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Committed {
    /// The pack is in the index now.
    New,
    /// It was there already; this is its row, which is not marked as missing any more if the content is the same.
    Known(Box<PackRow>),
}

impl StoredPack {
    /// The rows of a pack whose object is durable; `how` is asked for each segment by its position.
    #[must_use]
    pub fn new(
        manifest: &Manifest,
        object_bytes: u64,
        stored_at: WallMs,
        how: impl Fn(usize) -> How,
    ) -> Self {
        let mut start_byte = 0;
        let rows = manifest.segments.iter().enumerate().map(|(position, entry)| {
            let start = start_byte;
            start_byte += u64::from(entry.len);
            SegmentRow {
                start_byte: start,
                bytes: entry.len,
                hash: entry.hash,
                start_pts: entry.start_pts,
                start_wall: manifest.start_wall.plus_ms(entry.wall_offset_ms.into()),
                duration: entry.duration,
                how: how(position),
                keyframe: entry.keyframe,
                damaged: entry.damaged,
            }
        });
        let segments: Vec<_> = rows.collect();
        let row = PackRow {
            key: ObjectKey {
                device: manifest.device.clone(),
                camera: manifest.camera.clone(),
                pack: manifest.pack,
            },
            manifest: manifest.hash(),
            previous: manifest.previous,
            bytes: object_bytes,
            start_wall: manifest.start_wall,
            duration_90k: manifest.duration_90k(),
            segments: u32::try_from(segments.len()).unwrap_or(u32::MAX),
            sealed_by: manifest.sealed_by,
            stored_at,
            missing_since: None,
            end_wall: end_wall(manifest.start_wall, manifest.duration_90k(), &segments),
            expired_at: None,
            removed_at: None,
        };
        Self { row, segments }
    }
}

/// Where the last of its segments ends, by the device's wall clock.
fn end_wall(start: WallMs, duration_90k: u64, segments: &[SegmentRow]) -> WallMs {
    let ends = segments.iter().map(|segment| segment.start_wall.plus_ms(i64::from(segment.duration.0 / 90)));
    let by_duration = start.plus_ms(i64::try_from(duration_90k / 90).unwrap_or(i64::MAX));
    ends.max().unwrap_or(by_duration)
}

impl PackRow {
    /// The wall time that it covers.
    #[must_use]
    pub fn time(&self) -> (WallMs, WallMs) {
        let duration_ms = i64::try_from(self.duration_90k / 90).unwrap_or(i64::MAX);
        (self.start_wall, self.start_wall.plus_ms(duration_ms))
    }

    pub(super) fn read(row: &SqliteRow) -> Result<Self, IndexError> {
        let columns = Columns(row);
        let pack = PackId { recording: columns.parsed("recording")?, number: columns.unsigned("number")? };
        let sealed_by = columns.text("sealed_by")?;
        Ok(Self {
            key: ObjectKey { device: columns.parsed("device")?, camera: columns.parsed("camera")?, pack },
            manifest: columns.hash("manifest")?,
            previous: columns.hash("previous")?,
            bytes: columns.unsigned("bytes")?,
            start_wall: columns.wall("start_wall")?,
            duration_90k: columns.unsigned("duration_90k")?,
            segments: columns.unsigned("segments")?,
            sealed_by: sealer(&sealed_by)
                .ok_or(IndexError::Corrupt { what: "sealed_by", value: sealed_by })?,
            stored_at: columns.wall("stored_at")?,
            missing_since: columns.optional_number("missing_since")?.map(WallMs),
            end_wall: columns.wall("end_wall")?,
            expired_at: columns.optional_number("expired_at")?.map(WallMs),
            removed_at: columns.optional_number("removed_at")?.map(WallMs),
        })
    }
}

impl SegmentRow {
    pub(super) fn read(row: &SqliteRow) -> Result<Self, IndexError> {
        let columns = Columns(row);
        Ok(Self {
            start_byte: columns.unsigned("start_byte")?,
            bytes: columns.unsigned("bytes")?,
            hash: columns.hash("hash")?,
            start_pts: columns.optional_number("start_pts")?.map(Pts),
            start_wall: columns.wall("start_wall")?,
            duration: Ticks90k(columns.unsigned("duration_90k")?),
            how: columns.parsed("how")?,
            keyframe: columns.truth("keyframe")?,
            damaged: columns.truth("damaged")?,
        })
    }
}

const SEALERS: [(SealedBy, &str); 3] =
    [(SealedBy::Device, "device"), (SealedBy::Recovery, "recovery"), (SealedBy::Vault, "vault")];

fn sealer(name: &str) -> Option<SealedBy> {
    SEALERS.iter().find(|(_, text)| *text == name).map(|(by, _)| *by)
}

/// The name of who sealed a pack, in the index and in JSON.
pub(crate) fn sealer_name(by: SealedBy) -> &'static str {
    SEALERS.iter().find(|(known, _)| *known == by).map_or("device", |(_, text)| *text)
}

impl Index {
    /// Puts a pack whose object is durable into the index. Returns after that is durable too.
    ///
    /// # Errors
    /// [`IndexError`]; the pack is not in the index then.
    pub async fn commit_pack(&self, pack: &StoredPack) -> Result<Committed, IndexError> {
        let failed = query("commit pack");
        let row = &pack.row;
        let Summary { runs, contents } = Summary::of(pack);
        let mut transaction = self.write.begin().await.map_err(&failed)?;
        let done = sqlx::query(
            "INSERT INTO packs (device, camera, recording, number, manifest, previous, bytes, start_wall,
             duration_90k, segments, sealed_by, stored_at, end_wall, recorded, body_bytes, runs, contents)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15,
             $16, $17)
             ON CONFLICT (device, camera, recording, number) DO NOTHING",
        )
        .bind(row.key.device.as_str())
        .bind(row.key.camera.as_str())
        .bind(row.key.pack.recording.to_string())
        .bind(i64::from(row.key.pack.number))
        .bind(row.manifest.as_bytes().to_vec())
        .bind(row.previous.as_bytes().to_vec())
        .bind(signed(row.bytes))
        .bind(row.start_wall.0)
        .bind(signed(row.duration_90k))
        .bind(i64::from(row.segments))
        .bind(sealer_name(row.sealed_by))
        .bind(row.stored_at.0)
        .bind(row.end_wall.0)
        .bind(row.end_wall.min(row.stored_at).0)
        .bind(signed(pack.segments.iter().map(|segment| u64::from(segment.bytes)).sum()))
        .bind(runs)
        .bind(contents)
        .execute(&mut *transaction)
        .await
        .map_err(&failed)?;
        if done.rows_affected() == 0 {
            drop(transaction);
            let gone = IndexError::Corrupt { what: "pack", value: row.key.to_string() };
            let mut known = self.pack(&row.key).await?.ok_or(gone)?;
            if known.missing_since.is_some() && known.manifest == row.manifest {
                self.mark_found(&row.key).await?;
                known.missing_since = None;
            }
            return Ok(Committed::Known(Box::new(known)));
        }
        for (position, segment) in (0i64..).zip(&pack.segments) {
            insert_segment(&mut transaction, &row.key, position, segment).await.map_err(&failed)?;
        }
        announced::forget(&mut transaction, &row.key).await.map_err(&failed)?;
        transaction.commit().await.map_err(&failed)?;
        Ok(Committed::New)
    }

    /// A stored pack.
    ///
    /// # Errors
    /// [`IndexError`].
    pub async fn pack(&self, key: &ObjectKey) -> Result<Option<PackRow>, IndexError> {
        let found = sqlx::query(
            "SELECT * FROM packs WHERE device = $1 AND camera = $2 AND recording = $3 AND number = $4",
        )
        .bind(key.device.as_str())
        .bind(key.camera.as_str())
        .bind(key.pack.recording.to_string())
        .bind(i64::from(key.pack.number))
        .fetch_optional(&self.read)
        .await;
        found.map_err(query("pack"))?.as_ref().map(PackRow::read).transpose()
    }

    /// The stored packs of a recording, expired ones too, by number.
    ///
    /// # Errors
    /// [`IndexError`].
    pub async fn packs_of_recording(
        &self,
        device: &DeviceId,
        camera: &CameraName,
        recording: RecordingId,
    ) -> Result<Vec<PackRow>, IndexError> {
        let found = sqlx::query(
            "SELECT * FROM packs WHERE device = $1 AND camera = $2 AND recording = $3 ORDER BY number",
        )
        .bind(device.as_str())
        .bind(camera.as_str())
        .bind(recording.to_string())
        .fetch_all(&self.read)
        .await;
        found.map_err(query("packs of recording"))?.iter().map(PackRow::read).collect()
    }

    /// At most `limit` stored packs of a camera that are not expired, after `after` in the order of their names.
    ///
    /// # Errors
    /// [`IndexError`].
    pub async fn packs_of_camera(
        &self,
        device: &DeviceId,
        camera: &CameraName,
        after: Option<PackId>,
        limit: u32,
    ) -> Result<Vec<PackRow>, IndexError> {
        let found = sqlx::query(
            "SELECT * FROM packs WHERE device = $1 AND camera = $2 AND expired_at IS NULL
             AND (recording > $3 OR (recording = $3 AND number > $4))
             ORDER BY recording, number LIMIT $5",
        )
        .bind(device.as_str())
        .bind(camera.as_str())
        .bind(after.map_or_else(String::new, |pack| pack.recording.to_string()))
        .bind(after.map_or(-1, |pack| i64::from(pack.number)))
        .bind(i64::from(limit))
        .fetch_all(&self.read)
        .await;
        found.map_err(query("packs of camera"))?.iter().map(PackRow::read).collect()
    }

    /// Every stored pack, expired ones too, in the order of device, camera, recording and number.
    ///
    /// # Errors
    /// [`IndexError`].
    pub async fn all_packs(&self) -> Result<Vec<PackRow>, IndexError> {
        let found = sqlx::query("SELECT * FROM packs ORDER BY device, camera, recording, number")
            .fetch_all(&self.read)
            .await;
        found.map_err(query("all packs"))?.iter().map(PackRow::read).collect()
    }

    /// Every recording that has stored packs whose objects are not known to be gone by retention.
    ///
    /// # Errors
    /// [`IndexError`].
    pub async fn recordings_with_packs(
        &self,
    ) -> Result<Vec<(DeviceId, CameraName, RecordingId)>, IndexError> {
        let found =
            sqlx::query("SELECT DISTINCT device, camera, recording FROM packs WHERE removed_at IS NULL")
                .fetch_all(&self.read);
        let rows = found.await.map_err(query("recordings with packs"))?;
        let read = |row: &SqliteRow| {
            let columns = Columns(row);
            Ok((columns.parsed("device")?, columns.parsed("camera")?, columns.parsed("recording")?))
        };
        rows.iter().map(read).collect()
    }

    /// The segments of all stored packs of a recording that are held, in order: not those of missing ones.
    ///
    /// # Errors
    /// [`IndexError`].
    pub async fn segments_of_recording(
        &self,
        device: &DeviceId,
        camera: &CameraName,
        recording: RecordingId,
    ) -> Result<Vec<SegmentRow>, IndexError> {
        let found = sqlx::query(
            "SELECT * FROM segments WHERE device = $1 AND camera = $2 AND recording = $3
             AND number NOT IN (SELECT number FROM packs WHERE device = $1 AND camera = $2
             AND recording = $3 AND missing_since IS NOT NULL)
             ORDER BY number, position",
        )
        .bind(device.as_str())
        .bind(camera.as_str())
        .bind(recording.to_string())
        .fetch_all(&self.read)
        .await;
        found.map_err(query("segments of recording"))?.iter().map(SegmentRow::read).collect()
    }

    /// The segments of one stored pack, in order.
    ///
    /// # Errors
    /// [`IndexError`].
    pub async fn segments_of_pack(&self, key: &ObjectKey) -> Result<Vec<SegmentRow>, IndexError> {
        let found = sqlx::query(
            "SELECT * FROM segments WHERE device = $1 AND camera = $2 AND recording = $3 AND number = $4
             ORDER BY position",
        )
        .bind(key.device.as_str())
        .bind(key.camera.as_str())
        .bind(key.pack.recording.to_string())
        .bind(i64::from(key.pack.number))
        .fetch_all(&self.read)
        .await;
        found.map_err(query("segments of pack"))?.iter().map(SegmentRow::read).collect()
    }

    /// The manifest hash of the pack of this camera that was sealed by the vault last.
    ///
    /// # Errors
    /// [`IndexError`].
    pub async fn last_plain_manifest(
        &self,
        device: &DeviceId,
        camera: &CameraName,
    ) -> Result<Option<ContentHash>, IndexError> {
        let found = sqlx::query(
            "SELECT manifest FROM packs WHERE device = $1 AND camera = $2 AND sealed_by = 'vault'
             ORDER BY stored_at DESC, recording DESC, number DESC LIMIT 1",
        )
        .bind(device.as_str())
        .bind(camera.as_str())
        .fetch_optional(&self.read)
        .await;
        found.map_err(query("last plain manifest"))?.map(|row| Columns(&row).hash("manifest")).transpose()
    }
}

async fn insert_segment(
    transaction: &mut sqlx::SqliteTransaction<'_>,
    key: &ObjectKey,
    position: i64,
    segment: &SegmentRow,
) -> Result<(), sqlx::Error> {
    sqlx::query(
        "INSERT INTO segments (device, camera, recording, number, position, start_byte, bytes, hash,
         start_pts, start_wall, duration_90k, how, keyframe, damaged)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)",
    )
    .bind(key.device.as_str())
    .bind(key.camera.as_str())
    .bind(key.pack.recording.to_string())
    .bind(i64::from(key.pack.number))
    .bind(position)
    .bind(signed(segment.start_byte))
    .bind(i64::from(segment.bytes))
    .bind(segment.hash.as_bytes().to_vec())
    .bind(segment.start_pts.map(|pts| pts.0))
    .bind(segment.start_wall.0)
    .bind(i64::from(segment.duration.0))
    .bind(segment.how.name())
    .bind(segment.keyframe)
    .bind(segment.damaged)
    .execute(&mut **transaction)
    .await
    .map(drop)
}
