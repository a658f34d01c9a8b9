//! The table `events`: ranges of time that somebody or something marked, and which of them keep their footage.

use std::{fmt, str::FromStr};

use dashvault_base::{CameraName, ContentHash, DeviceId, WallMs};
use sqlx::sqlite::SqliteRow;

use super::{Index, IndexError, query, row::Columns};

/// Who marked it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EventSource {
    /// Its vehicle.
    Vehicle,
    /// A user, or a program on a user's behalf.
    User,
}

/// One event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventRow {
    /// Its id, unique in this vault.
    pub id: String,
    /// The device.
    pub device: DeviceId,
    /// The camera; none: all of the device.
    pub camera: Option<CameraName>,
    /// When it begins.
    pub from: WallMs,
    /// When it ends, exclusive; after it begins.
    pub to: WallMs,
    /// What kind: `button`, `manual`, `api`, ….
    pub kind: String,
    /// What somebody says of it.
    pub note: String,
    /// Who marked it.
    pub source: EventSource,
    /// Their name.
    pub created_by: String,
    /// When it came to be known here.
    pub created: WallMs,
    /// Whether it keeps its footage.
    pub locked: bool,
}

/// What a vehicle tells of an event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VehicleEvent {
    /// Its id, unique within the device.
    pub id: String,
    /// The camera; none: all.
    pub camera: Option<CameraName>,
    /// When it begins.
    pub from: WallMs,
    /// When it ends; the same as `from` marks a moment.
    pub to: WallMs,
    /// What kind.
    pub kind: String,
    /// A text.
    pub note: String,
}

/// Which events are asked for.
#[derive(Debug, Clone, Default)]
pub struct EventFilter {
    /// Of this device.
    pub device: Option<DeviceId>,
    /// That are of this camera, or of all.
    pub camera: Option<CameraName>,
    /// That end after this.
    pub from: Option<WallMs>,
    /// That begin before this.
    pub to: Option<WallMs>,
    /// That are locked, or are not.
    pub locked: Option<bool>,
    /// After the one that begins then and has this id, newest first.
    pub after: Option<(WallMs, String)>,
}

/// What became of a wish to delete an event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EventDeletion {
    /// It is gone.
    Deleted(EventRow),
    /// It is locked, and stays.
    Locked,
    /// There is none.
    Unknown,
}

impl fmt::Display for EventSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Vehicle => "vehicle",
            Self::User => "user",
        })
    }
}

impl FromStr for EventSource {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        match text {
            "vehicle" => Ok(Self::Vehicle),
            "user" => Ok(Self::User),
            _ => Err(()),
        }
    }
}

impl VehicleEvent {
    /// The event as this vault keeps it: locked, under an id that follows from device and id.
    fn into_row(self, device: &DeviceId, now: WallMs) -> EventRow {
        let name = format!("event {device}/{}", self.id);
        let mut id = ContentHash::of(name.as_bytes()).to_string();
        id.truncate(ID_DIGITS);
        EventRow {
            id,
            device: device.clone(),
            camera: self.camera,
            from: self.from,
            to: self.to.max(self.from.plus_ms(1)),
            kind: self.kind,
            note: self.note,
            source: EventSource::Vehicle,
            created_by: format!("device:{device}"),
            created: now,
            locked: true,
        }
    }
}

/// Digits of an event's id.
const ID_DIGITS: usize = 32;

impl EventRow {
    fn read(row: &SqliteRow) -> Result<Self, IndexError> {
        let columns = Columns(row);
        Ok(Self {
            id: columns.text("id")?,
            device: columns.parsed("device")?,
            camera: columns.optional("camera")?,
            from: columns.wall("from_wall")?,
            to: columns.wall("to_wall")?,
            kind: columns.text("kind")?,
            note: columns.text("note")?,
            source: columns.parsed("source")?,
            created_by: columns.text("created_by")?,
            created: columns.wall("created")?,
            locked: columns.truth("locked")?,
        })
    }
}

impl Index {
    /// Notes events of a vehicle, each locked, in one transaction; those known already are left as they are. Gives how
    /// many were new. Durable on return.
    ///
    /// # Errors
    /// [`IndexError::Query`]; none was noted then.
    pub async fn add_vehicle_events(
        &self,
        device: &DeviceId,
        events: Vec<VehicleEvent>,
        now: WallMs,
    ) -> Result<u64, IndexError> {
        let failed = query("add events");
        let mut transaction = self.write.begin().await.map_err(&failed)?;
        let mut new = 0;
        for event in events {
            let row = event.into_row(device, now);
            new += insert(&mut transaction, &row).await.map_err(&failed)?;
        }
        transaction.commit().await.map_err(&failed)?;
        Ok(new)
    }

    /// Notes an event. Durable on return.
    ///
    /// # Errors
    /// [`IndexError::Query`].
    pub async fn add_event(&self, event: &EventRow) -> Result<(), IndexError> {
        let failed = query("add event");
        let mut transaction = self.write.begin().await.map_err(&failed)?;
        insert(&mut transaction, event).await.map_err(&failed)?;
        transaction.commit().await.map_err(&failed)
    }

    /// An event.
    ///
    /// # Errors
    /// [`IndexError`].
    pub async fn event(&self, id: &str) -> Result<Option<EventRow>, IndexError> {
        let found = sqlx::query("SELECT * FROM events WHERE id = $1").bind(id).fetch_optional(&self.read);
        found.await.map_err(query("event"))?.as_ref().map(EventRow::read).transpose()
    }

    /// At most `limit` events, newest first.
    ///
    /// # Errors
    /// [`IndexError`].
    pub async fn events(&self, filter: &EventFilter, limit: u32) -> Result<Vec<EventRow>, IndexError> {
        let (after_from, after_id) = filter.after.clone().unzip();
        let found = sqlx::query(
            "SELECT * FROM events WHERE ($1 IS NULL OR device = $1)
             AND ($2 IS NULL OR camera IS NULL OR camera = $2)
             AND ($3 IS NULL OR to_wall > $3) AND ($4 IS NULL OR from_wall < $4)
             AND ($5 IS NULL OR locked = $5)
             AND ($6 IS NULL OR from_wall < $6 OR (from_wall = $6 AND id < $7))
             ORDER BY from_wall DESC, id DESC LIMIT $8",
        )
        .bind(filter.device.as_ref().map(DeviceId::as_str))
        .bind(filter.camera.as_ref().map(CameraName::as_str))
        .bind(filter.from.map(|wall| wall.0))
        .bind(filter.to.map(|wall| wall.0))
        .bind(filter.locked)
        .bind(after_from.map(|wall: WallMs| wall.0))
        .bind(after_id)
        .bind(i64::from(limit))
        .fetch_all(&self.read)
        .await;
        found.map_err(query("events"))?.iter().map(EventRow::read).collect()
    }

    /// Locks, unlocks or annotates an event; what is `None` stays. Gives it as it is then. Durable on return.
    ///
    /// # Errors
    /// [`IndexError`].
    pub async fn change_event(
        &self,
        id: &str,
        locked: Option<bool>,
        note: Option<&str>,
    ) -> Result<Option<EventRow>, IndexError> {
        let changed = sqlx::query(
            "UPDATE events SET locked = COALESCE($2, locked), note = COALESCE($3, note) WHERE id = $1
             RETURNING *",
        )
        .bind(id)
        .bind(locked)
        .bind(note)
        .fetch_optional(&self.write)
        .await;
        changed.map_err(query("change event"))?.as_ref().map(EventRow::read).transpose()
    }

    /// Deletes an event that is not locked. Durable on return.
    ///
    /// # Errors
    /// [`IndexError`].
    pub async fn delete_event(&self, id: &str) -> Result<EventDeletion, IndexError> {
        let gone = sqlx::query("DELETE FROM events WHERE id = $1 AND NOT locked RETURNING *")
            .bind(id)
            .fetch_optional(&self.write)
            .await;
        match gone.map_err(query("delete event"))? {
            Some(row) => EventRow::read(&row).map(EventDeletion::Deleted),
            None => Ok(match self.event(id).await? {
                Some(_) => EventDeletion::Locked,
                None => EventDeletion::Unknown,
            }),
        }
    }

    /// The ranges that a camera's locked events keep.
    ///
    /// # Errors
    /// [`IndexError`].
    pub async fn locked_ranges(
        &self,
        device: &DeviceId,
        camera: &CameraName,
    ) -> Result<Vec<(WallMs, WallMs)>, IndexError> {
        let found = sqlx::query(
            "SELECT from_wall, to_wall FROM events WHERE locked AND device = $1
             AND (camera IS NULL OR camera = $2) ORDER BY from_wall",
        )
        .bind(device.as_str())
        .bind(camera.as_str())
        .fetch_all(&self.read)
        .await;
        let range = |row: &SqliteRow| {
            let columns = Columns(row);
            Ok((columns.wall("from_wall")?, columns.wall("to_wall")?))
        };
        found.map_err(query("locked ranges"))?.iter().map(range).collect()
    }
}

async fn insert(transaction: &mut sqlx::SqliteTransaction<'_>, event: &EventRow) -> Result<u64, sqlx::Error> {
    let done = sqlx::query(
        "INSERT INTO events
         (id, device, camera, from_wall, to_wall, kind, note, source, created_by, created, locked)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11) ON CONFLICT (id) DO NOTHING",
    )
    .bind(&event.id)
    .bind(event.device.as_str())
    .bind(event.camera.as_ref().map(CameraName::as_str))
    .bind(event.from.0)
    .bind(event.to.0)
    .bind(&event.kind)
    .bind(&event.note)
    .bind(event.source.to_string())
    .bind(&event.created_by)
    .bind(event.created.0)
    .bind(event.locked)
    .execute(&mut **transaction)
    .await?;
    Ok(done.rows_affected())
}
