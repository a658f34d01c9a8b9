//! The table `devices`.

use dashvault_base::{ContentHash, DeviceId, WallMs};
use dashvault_media::PublicKey;
use dashvault_wire::{DeviceStatus, LiveKey};
use sqlx::{Row, sqlite::SqliteRow};

use super::{Index, IndexError, query, row::Columns};

/// A device, as the index keeps it. One that published anonymously has no secrets.
#[derive(Debug, Clone)]
pub struct DeviceRow {
    /// Its id.
    pub id: DeviceId,
    /// The hash of its HTTP bearer.
    pub bearer_hash: Option<ContentHash>,
    /// What proves its stream ids and seals its receipts.
    pub live_key: Option<LiveKey>,
    /// What its manifests are signed with.
    pub public_key: Option<PublicKey>,
    /// When it was added or first seen.
    pub created: WallMs,
    /// When it was revoked.
    pub revoked: Option<WallMs>,
    /// When it was last heard of.
    pub last_seen: Option<WallMs>,
}

impl DeviceRow {
    /// Whether it published without credentials only.
    #[must_use]
    pub const fn is_anonymous(&self) -> bool {
        self.bearer_hash.is_none()
    }

    fn read(row: &SqliteRow) -> Result<Self, IndexError> {
        let columns = Columns(row);
        Ok(Self {
            id: columns.parsed("id")?,
            bearer_hash: columns.optional_hash("bearer_hash")?,
            live_key: columns.optional_hash("live_key")?.map(|key| LiveKey::from_bytes(*key.as_bytes())),
            public_key: columns
                .optional_hash("public_key")?
                .map(|key| PublicKey::from_bytes(*key.as_bytes())),
            created: columns.wall("created")?,
            revoked: columns.optional_number("revoked")?.map(WallMs),
            last_seen: columns.optional_number("last_seen")?.map(WallMs),
        })
    }
}

/// A device as it is shown, with what its recorder said last of itself.
#[derive(Debug, Clone)]
pub struct ShownDevice {
    /// What is known of it.
    pub row: DeviceRow,
    /// Its recorder's last status, as JSON.
    pub status: Option<String>,
    /// When that was.
    pub status_at: Option<WallMs>,
}

/// Which devices.
#[derive(Debug, Clone, Default)]
pub struct DeviceFilter {
    /// This one only.
    pub only: Option<DeviceId>,
    /// Those whose id has this text in it, whatever its capitals.
    pub search: String,
    /// Those whose id comes after this one.
    pub after: String,
}

impl ShownDevice {
    fn read(row: &SqliteRow) -> Result<Self, IndexError> {
        let columns = Columns(row);
        let (status, status_at) = match row.try_column("status") {
            Ok(_) => (columns.optional("status")?, columns.optional_number("status_at")?),
            // An index in which no recorder tells its status yet.
            Err(_) => (None, None),
        };
        Ok(Self { row: DeviceRow::read(row)?, status, status_at: status_at.map(WallMs) })
    }
}

impl Index {
    /// Devices by id, `limit` at most.
    ///
    /// # Errors
    /// [`IndexError`].
    pub async fn shown_devices(
        &self,
        filter: &DeviceFilter,
        limit: u32,
    ) -> Result<Vec<ShownDevice>, IndexError> {
        let text = ["\\", "%", "_"].iter().fold(filter.search.to_ascii_lowercase(), |text, special| {
            text.replace(special, &format!("\\{special}"))
        });
        let found = sqlx::query(
            "SELECT * FROM devices
             WHERE id > $1 AND LOWER(id) LIKE $2 ESCAPE '\\' AND ($3 IS NULL OR id = $3) ORDER BY id LIMIT $4",
        )
        .bind(&filter.after)
        .bind(format!("%{text}%"))
        .bind(filter.only.as_ref().map(DeviceId::as_str))
        .bind(i64::from(limit))
        .fetch_all(&self.read)
        .await;
        found.map_err(query("shown devices"))?.iter().map(ShownDevice::read).collect()
    }

    /// Adds a device, or gives credentials to one that was anonymous; false when it exists already.
    ///
    /// # Errors
    /// [`IndexError::Query`].
    pub async fn add_device(&self, device: &DeviceRow) -> Result<bool, IndexError> {
        let written = sqlx::query(
            "INSERT INTO devices (id, bearer_hash, live_key, public_key, created) VALUES ($1, $2, $3, $4, $5)
             ON CONFLICT (id) DO UPDATE
             SET bearer_hash = excluded.bearer_hash, live_key = excluded.live_key, public_key = excluded.public_key
             WHERE devices.bearer_hash IS NULL AND devices.revoked IS NULL AND excluded.bearer_hash IS NOT NULL",
        )
        .bind(device.id.as_str())
        .bind(device.bearer_hash.map(|hash| hash.as_bytes().to_vec()))
        .bind(device.live_key.as_ref().map(|key| key.as_bytes().to_vec()))
        .bind(device.public_key.map(|key| key.as_bytes().to_vec()))
        .bind(device.created.0)
        .execute(&self.write)
        .await;
        written.map(|done| done.rows_affected() == 1).map_err(query("add device"))
    }

    /// The device of this id.
    ///
    /// # Errors
    /// [`IndexError`].
    pub async fn device(&self, id: &DeviceId) -> Result<Option<DeviceRow>, IndexError> {
        let found = sqlx::query("SELECT * FROM devices WHERE id = $1").bind(id.as_str());
        let row = found.fetch_optional(&self.read).await.map_err(query("device"))?;
        row.as_ref().map(DeviceRow::read).transpose()
    }

    /// The device whose bearer has this hash. Looking it up by hash makes the time it takes say nothing.
    ///
    /// # Errors
    /// [`IndexError`].
    pub async fn device_by_bearer(&self, hash: ContentHash) -> Result<Option<DeviceRow>, IndexError> {
        let found =
            sqlx::query("SELECT * FROM devices WHERE bearer_hash = $1").bind(hash.as_bytes().to_vec());
        let row = found.fetch_optional(&self.read).await.map_err(query("device by bearer"))?;
        row.as_ref().map(DeviceRow::read).transpose()
    }

    /// All devices by id.
    ///
    /// # Errors
    /// [`IndexError`].
    pub async fn devices(&self) -> Result<Vec<DeviceRow>, IndexError> {
        let found = sqlx::query("SELECT * FROM devices ORDER BY id").fetch_all(&self.read).await;
        found.map_err(query("devices"))?.iter().map(DeviceRow::read).collect()
    }

    /// The ids of all revoked devices.
    ///
    /// # Errors
    /// [`IndexError`].
    pub async fn revoked_devices(&self) -> Result<Vec<DeviceId>, IndexError> {
        let found =
            sqlx::query("SELECT id FROM devices WHERE revoked IS NOT NULL").fetch_all(&self.read).await;
        found.map_err(query("revoked devices"))?.iter().map(|row| Columns(row).parsed("id")).collect()
    }

    /// Revokes a device; false when there is none of this id. Revoking twice keeps the first time.
    ///
    /// # Errors
    /// [`IndexError::Query`].
    pub async fn revoke_device(&self, id: &DeviceId, now: WallMs) -> Result<bool, IndexError> {
        let done = sqlx::query("UPDATE devices SET revoked = COALESCE(revoked, $2) WHERE id = $1")
            .bind(id.as_str())
            .bind(now.0)
            .execute(&self.write)
            .await;
        done.map(|done| done.rows_affected() == 1).map_err(query("revoke device"))
    }

    /// Notes when a device was heard of.
    ///
    /// # Errors
    /// [`IndexError::Query`].
    pub async fn touch_device(&self, id: &DeviceId, now: WallMs) -> Result<(), IndexError> {
        let done = sqlx::query("UPDATE devices SET last_seen = $2 WHERE id = $1")
            .bind(id.as_str())
            .bind(now.0)
            .execute(&self.write)
            .await;
        done.map(drop).map_err(query("touch device"))
    }

    /// Notes what a device's recorder says of itself.
    ///
    /// # Errors
    /// [`IndexError::Query`].
    pub async fn note_device_status(
        &self,
        id: &DeviceId,
        status: &DeviceStatus,
        now: WallMs,
    ) -> Result<(), IndexError> {
        let json = serde_json::to_string(status).expect("a status has no map with keys that are no strings");
        let done = sqlx::query("UPDATE devices SET status = $2, status_at = $3 WHERE id = $1")
            .bind(id.as_str())
            .bind(json)
            .bind(now.0)
            .execute(&self.write)
            .await;
        done.map(drop).map_err(query("note device status"))
    }

    /// What a device's recorder said last of itself, and when; none of a device that never said anything, such as a
    /// plain publisher, and of one whose words this version does not understand.
    ///
    /// # Errors
    /// [`IndexError`].
    pub async fn device_status(&self, id: &DeviceId) -> Result<Option<(WallMs, DeviceStatus)>, IndexError> {
        let found = sqlx::query("SELECT status, status_at FROM devices WHERE id = $1 AND status IS NOT NULL");
        let row = found.bind(id.as_str()).fetch_optional(&self.read).await.map_err(query("device status"))?;
        let Some(row) = row else { return Ok(None) };
        let columns = Columns(&row);
        let (json, at) = (columns.text("status")?, columns.wall("status_at")?);
        Ok(serde_json::from_str(&json).ok().map(|status| (at, status)))
    }
}
