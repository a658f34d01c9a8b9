//! What the timeline and its playlists are made of: `runs` and `contents` of `packs`, and losses by time.

use std::sync::Arc;

use dashvault_base::{CameraName, DeviceId, PackId, RecordingId, WallMs};
use sqlx::{Row, sqlite::SqliteRow};
use tokio::{sync::Semaphore, task::JoinSet};

use super::{Index, IndexError, SegmentRow, StoredPack, query, row::Columns};
use crate::{
    archive::objects::ObjectKey,
    timeline::{CodecError, Contents, Loss, PackRuns, PlaylistPack, Sources, Stage, WallRange},
};

/// Packs that begin so long before a range, or after it by the clock that was read late, are looked at; longer ones are
/// found by an index of their own.
pub(super) const LOOK_BACK_MS: i64 = 3_600_000;
/// A month's rows one by one take longer on their way from SQLite's thread than all else: they come as one text for so long
/// a time, a line a pack.
const SLICE_MS: i64 = 8 * 86_400_000;
/// So many slices are read at once; the other connections are for others, however long the range.
const SLICES_AT_ONCE: usize = 2;
/// The plus makes SQLite take the index of long packs there, and not all that began before.
const PACK_RUNS: &str = "
    SELECT group_concat(recording || ' ' || number || ' ' || CASE WHEN expired_at IS NOT NULL THEN 'expired'
               WHEN missing_since IS NOT NULL THEN 'missing' ELSE 'stored' END || ' ' || hex(runs), char(10)) FROM (
        SELECT recording, number, runs, missing_since, expired_at FROM packs
        WHERE device = $1 AND camera = $2 AND start_wall >= $3 AND start_wall < $4 AND runs IS NOT NULL
        UNION ALL
        SELECT recording, number, runs, missing_since, expired_at FROM packs
        WHERE device = $1 AND camera = $2 AND end_wall - start_wall > 3600000
        AND +start_wall < $3 AND end_wall > $5 AND runs IS NOT NULL)";
/// Packs of an older version that are summed up in one transaction.
const SUMMED_AT_ONCE: i64 = 256;

impl StoredPack {
    /// What it contains, for the timeline.
    pub(super) fn contents(&self) -> Contents {
        let vault = self.row.sealed_by == dashvault_media::SealedBy::Vault;
        Contents(self.segments.iter().map(|segment| segment.entry(vault)).collect())
    }
}

impl Index {
    /// What the index knows of a range.
    ///
    /// # Errors
    /// [`IndexError`].
    pub(crate) async fn timeline_sources(
        &self,
        device: &DeviceId,
        camera: &CameraName,
        range: WallRange,
    ) -> Result<Sources, IndexError> {
        let mut packs = self.pack_runs(device, camera, range).await?;
        packs.extend(self.announced_runs(device, camera, range).await?);
        let losses = self.losses_within(device, camera, range).await?;
        Ok(Sources { packs, losses })
    }

    /// The stored packs that may meet a range, summed up; also those that are missing or were deleted.
    ///
    /// # Errors
    /// [`IndexError`].
    pub(crate) async fn pack_runs(
        &self,
        device: &DeviceId,
        camera: &CameraName,
        range: WallRange,
    ) -> Result<Vec<PackRuns>, IndexError> {
        let (first, end) = (range.from.plus_ms(-LOOK_BACK_MS), range.to.plus_ms(LOOK_BACK_MS));
        let (mut slices, turns) = (JoinSet::new(), Arc::new(Semaphore::new(SLICES_AT_ONCE)));
        let mut from = first;
        while from < end {
            let to = end.min(from.plus_ms(SLICE_MS));
            // Long ones that begin before are looked for once.
            let long_before = if from == first { range.from } else { WallMs(i64::MAX) };
            let asked = sqlx::query_scalar(PACK_RUNS)
                .bind(device.as_str().to_owned())
                .bind(camera.as_str().to_owned())
                .bind(from.0)
                .bind(to.0)
                .bind(long_before.0);
            let (pool, turns) = (self.read.clone(), turns.clone());
            slices.spawn(async move {
                let _turn = turns.acquire().await;
                let found: Option<String> = asked.fetch_one(&pool).await.map_err(query("pack runs"))?;
                read_lines(found.as_deref().unwrap_or_default())
            });
            from = to;
        }
        let read = slices.join_all().await.into_iter().collect::<Result<Vec<_>, _>>()?;
        Ok(read.into_iter().flatten().collect())
    }

    /// What the stored packs contain that may meet a range and are held, not deleted, in the order of their names.
    ///
    /// # Errors
    /// [`IndexError`].
    pub(crate) async fn pack_contents(
        &self,
        device: &DeviceId,
        camera: &CameraName,
        range: WallRange,
    ) -> Result<Vec<PlaylistPack>, IndexError> {
        let found = sqlx::query(
            "SELECT recording, number, contents FROM packs
             WHERE device = $1 AND camera = $2 AND start_wall >= $3 AND start_wall < $4
             AND missing_since IS NULL AND expired_at IS NULL AND contents IS NOT NULL
             UNION ALL
             SELECT recording, number, contents FROM packs
             WHERE device = $1 AND camera = $2 AND end_wall - start_wall > 3600000
             AND +start_wall < $3 AND end_wall > $5
             AND missing_since IS NULL AND expired_at IS NULL AND contents IS NOT NULL",
        )
        .bind(device.as_str())
        .bind(camera.as_str())
        .bind(range.from.plus_ms(-LOOK_BACK_MS).0)
        .bind(range.to.plus_ms(LOOK_BACK_MS).0)
        .bind(range.from.0)
        .fetch_all(&self.read)
        .await;
        let read = |row: &SqliteRow| {
            let key = ObjectKey { device: device.clone(), camera: camera.clone(), pack: pack_id(row)? };
            let blob: &[u8] = row.try_get("contents").map_err(query("pack contents"))?;
            let contents = Contents::decode(blob).map_err(|error| broken("contents", error))?;
            Ok(PlaylistPack { key, contents })
        };
        let found = found.map_err(query("pack contents"))?;
        let mut packs = found.iter().map(read).collect::<Result<Vec<PlaylistPack>, IndexError>>()?;
        // SQLite would look at every pack of the camera to give them in this order.
        packs.sort_by_key(|pack| pack.key.pack);
        Ok(packs)
    }

    /// The losses of a camera that meet a range.
    ///
    /// # Errors
    /// [`IndexError`].
    pub(crate) async fn losses_within(
        &self,
        device: &DeviceId,
        camera: &CameraName,
        range: WallRange,
    ) -> Result<Vec<Loss>, IndexError> {
        let found = sqlx::query(
            "SELECT * FROM losses WHERE device = $1 AND camera = $2 AND from_wall < $4 AND to_wall > $3
             ORDER BY from_wall, id",
        )
        .bind(device.as_str())
        .bind(camera.as_str())
        .bind(range.from.0)
        .bind(range.to.0)
        .fetch_all(&self.read)
        .await;
        let found = found.map_err(query("losses within"))?;
        let rows = found.iter().map(super::losses::LossRow::read);
        rows.filter_map(|row| {
            row.map(|loss| {
                let range = WallRange::new(loss.from, loss.to)?;
                Some(Loss { range, recording: loss.recording, cause: loss.cause })
            })
            .transpose()
        })
        .collect()
    }

    /// Sums up packs that an older version committed; gives how many.
    ///
    /// # Errors
    /// [`IndexError`]; those summed up before it stay so.
    pub(crate) async fn sum_up_packs(&self) -> Result<u64, IndexError> {
        let failed = query("sum up packs");
        let mut summed = 0;
        loop {
            let found = sqlx::query("SELECT * FROM packs WHERE runs IS NULL LIMIT $1").bind(SUMMED_AT_ONCE);
            let rows = found.fetch_all(&self.read).await.map_err(&failed)?;
            if rows.is_empty() {
                return Ok(summed);
            }
            let mut packs = Vec::with_capacity(rows.len());
            for row in &rows {
                let row = super::PackRow::read(row)?;
                let segments = self.segments_of_pack(&row.key).await?;
                packs.push(StoredPack { row, segments });
            }
            let mut transaction = self.write.begin().await.map_err(&failed)?;
            for pack in &packs {
                let Summary { runs, contents } = Summary::of(pack);
                let key = &pack.row.key;
                sqlx::query(
                    "UPDATE packs SET runs = $5, contents = $6
                     WHERE device = $1 AND camera = $2 AND recording = $3 AND number = $4",
                )
                .bind(key.device.as_str())
                .bind(key.camera.as_str())
                .bind(key.pack.recording.to_string())
                .bind(i64::from(key.pack.number))
                .bind(runs)
                .bind(contents)
                .execute(&mut *transaction)
                .await
                .map_err(&failed)?;
            }
            transaction.commit().await.map_err(&failed)?;
            summed += packs.len() as u64;
        }
    }
}

/// The columns that a commit fills for the timeline.
#[derive(Debug)]
pub(super) struct Summary {
    pub(super) runs: Vec<u8>,
    pub(super) contents: Vec<u8>,
}

impl Summary {
    pub(super) fn of(pack: &StoredPack) -> Self {
        let contents = pack.contents();
        let PackId { recording, number } = pack.row.key.pack;
        let runs = PackRuns::of(recording, number, Stage::Stored, &contents);
        Self { runs: runs.encode(), contents: contents.encode() }
    }
}

impl SegmentRow {
    fn entry(&self, sealed_by_vault: bool) -> crate::timeline::Entry {
        crate::timeline::Entry {
            bytes: self.bytes,
            timing: crate::timeline::SegmentTiming {
                wall: self.start_wall,
                pts: self.start_pts,
                duration: self.duration,
            },
            held: crate::timeline::Held::of(self.how, self.damaged, sealed_by_vault),
            keyframe: self.keyframe,
        }
    }
}

fn read_lines(text: &str) -> Result<Vec<PackRuns>, IndexError> {
    // Neighbours are mostly of one recording, and to read its name takes the longest.
    let mut last: Option<(&str, RecordingId)> = None;
    let mut packs = Vec::new();
    for line in text.lines() {
        let name = line.split(' ').next().unwrap_or_default();
        let known = last.filter(|(known, _)| *known == name).map(|(_, recording)| recording);
        let recording = known.or_else(|| name.parse().ok());
        let pack = recording.and_then(|recording| read_runs(recording, line));
        packs.push(pack.ok_or_else(|| IndexError::Corrupt { what: "runs", value: line.to_owned() })??);
        last = recording.map(|recording| (name, recording));
    }
    Ok(packs)
}

/// A line of [`PACK_RUNS`]; `None` where it is none.
fn read_runs(recording: RecordingId, line: &str) -> Option<Result<PackRuns, IndexError>> {
    let mut words = line.split(' ').skip(1);
    let number = words.next()?.parse().ok()?;
    let stage = match words.next()? {
        "expired" => Stage::Deleted,
        "missing" => Stage::Missing,
        _ => Stage::Stored,
    };
    let blob = hex(words.next()?)?;
    Some(PackRuns::decode(recording, number, stage, &blob).map_err(|error| broken("runs", error)))
}

fn hex(text: &str) -> Option<Vec<u8>> {
    let mut blob = Vec::with_capacity(text.len() / 2);
    for pair in text.as_bytes().chunks(2) {
        let [high, low] = pair else { return None };
        let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
        blob.push(digit(*high)? << 4 | digit(*low)?);
    }
    Some(blob)
}

fn pack_id(row: &SqliteRow) -> Result<PackId, IndexError> {
    let columns = Columns(row);
    Ok(PackId { recording: columns.parsed("recording")?, number: columns.unsigned("number")? })
}

pub(super) fn broken(what: &'static str, error: CodecError) -> IndexError {
    IndexError::Corrupt { what, value: error.to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn packs_that_began_long_before_a_range_are_not_all_looked_at() {
        let folder = tempfile::tempdir().unwrap();
        let index = Index::open(&folder.path().join("index.sqlite")).await.unwrap();
        let explain = sqlx::AssertSqlSafe(format!("EXPLAIN QUERY PLAN {PACK_RUNS}"));
        let mut asked = sqlx::query(explain).bind("bus").bind("front");
        for _ in 0..3 {
            asked = asked.bind(0i64);
        }
        let plan = asked.fetch_all(&index.read).await.unwrap();
        let steps: Vec<String> = plan.iter().map(|row| row.get("detail")).collect();
        let searches: Vec<&String> = steps.iter().filter(|step| step.starts_with("SEARCH")).collect();
        assert!(
            matches!(&searches[..], [time, long] if time.contains("start_wall>? AND start_wall<?") && long.contains("packs_long")),
            "{steps:?}"
        );
    }
}
