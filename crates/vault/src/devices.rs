//! Who may publish: adding, listing and revoking devices, by the data folder alone.
//!
//! The command line calls these while a server runs on the same folder (SQLite in WAL mode); a running server
//! heeds a revocation within a second. Of a token only the bearer's hash, the live key and the public key are kept.

use std::path::Path;

use dashvault_base::{Clock, DeviceId, IdError, SystemClock, WallMs};
use dashvault_disk::{Disk, OsDisk};
use dashvault_media::SigningKey;
use dashvault_wire::{DeviceStatus, DeviceToken};

use crate::{
    archive::index::{DeviceRow, Index, IndexError},
    layout::Layout,
};

/// A device that was just added. Its token is shown once and kept nowhere.
#[derive(Debug, Clone)]
pub struct NewDevice {
    /// Its id, which is its name.
    pub id: DeviceId,
    /// Its one secret; `reveal()` is the text for the vehicle.
    pub token: DeviceToken,
    /// The fingerprint of its public signing key.
    pub fingerprint: String,
}

/// A known device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeviceInfo {
    /// Its id.
    pub id: DeviceId,
    /// The fingerprint of its public signing key; `None` for one that published anonymously.
    pub fingerprint: Option<String>,
    /// When it was added or first seen.
    pub created: WallMs,
    /// When it was revoked.
    pub revoked: Option<WallMs>,
    /// When it last announced or connected, to about 10 s.
    pub last_seen: Option<WallMs>,
    /// What its recorder said last of itself, and when.
    pub status: Option<(WallMs, DeviceStatus)>,
}

/// Why a device cannot be added, listed or revoked.
#[derive(Debug, thiserror::Error)]
pub enum DeviceError {
    /// The name is not a valid id.
    #[error(transparent)]
    Name(#[from] IdError),
    /// There is one of that name (perhaps revoked).
    #[error("device {0} exists already; choose another name")]
    Exists(DeviceId),
    /// There is none of that name.
    #[error("there is no device {0}")]
    Unknown(DeviceId),
    /// The system gave no random bytes.
    #[error("the system gave no random bytes for a token: {0}")]
    Random(getrandom::Error),
    /// The data folder cannot be used.
    #[error("data folder cannot be used")]
    Disk(#[from] dashvault_disk::DiskError),
    /// The index cannot be used.
    #[error(transparent)]
    Index(#[from] IndexError),
}

impl NewDevice {
    /// The command that starts its recorder, for a vault that the vehicle reaches at these ports of `host`.
    #[must_use]
    pub fn command(&self, host: &str, http_port: u16, srt_port: u16) -> String {
        format!(
            "dashvault record --vault http://{host}:{http_port} --srt srt://{host}:{srt_port} --device {} --token {} \
             --spool spool --camera front=test",
            self.id,
            self.token.reveal()
        )
    }
}

/// Adds a device to the vault in `data`, which is created where missing. Durable on return.
///
/// # Errors
/// [`DeviceError`]; nothing was added then.
pub async fn add_device(data: &Path, name: &str) -> Result<NewDevice, DeviceError> {
    restore_device(data, name, new_token()?).await
}

/// As [`add_device`], with the token that the device has already, and so with the same bearer and signing key: after
/// the index was lost it is the device it was.
///
/// # Errors
/// [`DeviceError`]; nothing was added then.
pub async fn restore_device(data: &Path, name: &str, token: DeviceToken) -> Result<NewDevice, DeviceError> {
    let id: DeviceId = name.parse()?;
    Layout::new(data).create_root()?;
    with_index(data, async |index| add_to(index, id, token).await).await
}

/// Adds a device with a new token to an open index. Durable on return.
pub(crate) async fn add_new_to(index: &Index, id: DeviceId) -> Result<NewDevice, DeviceError> {
    add_to(index, id, new_token()?).await
}

async fn add_to(index: &Index, id: DeviceId, token: DeviceToken) -> Result<NewDevice, DeviceError> {
    let public_key = SigningKey::from_seed(token.signing_seed()).public_key();
    let row = DeviceRow {
        id: id.clone(),
        bearer_hash: Some(token.bearer_hash()),
        live_key: Some(token.live_key()),
        public_key: Some(public_key),
        created: SystemClock.wall(),
        revoked: None,
        last_seen: None,
    };
    if index.add_device(&row).await? {
        Ok(NewDevice { id, token, fingerprint: public_key.fingerprint() })
    } else {
        Err(DeviceError::Exists(id))
    }
}

fn new_token() -> Result<DeviceToken, DeviceError> {
    let mut secret = [0; 32];
    getrandom::fill(&mut secret).map_err(DeviceError::Random)?;
    Ok(DeviceToken::from_random(secret))
}

/// The devices of the vault in `data`, by name; none where there is no vault yet.
///
/// # Errors
/// [`DeviceError`] when the index cannot be read.
pub async fn list_devices(data: &Path) -> Result<Vec<DeviceInfo>, DeviceError> {
    if !OsDisk.exists(&Layout::new(data).index())? {
        return Ok(Vec::new());
    }
    let list = async |index: &Index| {
        let mut devices = Vec::new();
        for row in index.devices().await? {
            let status = index.device_status(&row.id).await?;
            devices.push(DeviceInfo {
                id: row.id,
                fingerprint: row.public_key.map(|key| key.fingerprint()),
                created: row.created,
                revoked: row.revoked,
                last_seen: row.last_seen,
                status,
            });
        }
        Ok(devices)
    };
    with_index(data, list).await
}

/// Revokes a device for good: its packs stay, but nothing more is taken from it. Durable on return.
///
/// # Errors
/// [`DeviceError::Unknown`], or when the index cannot be written.
pub async fn revoke_device(data: &Path, id: &DeviceId) -> Result<(), DeviceError> {
    if !OsDisk.exists(&Layout::new(data).index())? {
        return Err(DeviceError::Unknown(id.clone()));
    }
    with_index(data, async |index| revoke_in(index, id).await).await
}

/// Revokes a device in an open index. Durable on return; a running vault heeds it within a second.
pub(crate) async fn revoke_in(index: &Index, id: &DeviceId) -> Result<(), DeviceError> {
    let known = index.revoke_device(id, SystemClock.wall()).await?;
    if known { Ok(()) } else { Err(DeviceError::Unknown(id.clone())) }
}

async fn with_index<T>(
    data: &Path,
    ask: impl AsyncFnOnce(&Index) -> Result<T, DeviceError>,
) -> Result<T, DeviceError> {
    let index = Index::open(&Layout::new(data).index()).await?;
    let answer = ask(&index).await;
    index.close().await;
    answer
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_device_is_added_once_listed_and_revoked() {
        let data = tempfile::tempdir().unwrap();
        let data = data.path().join("new");
        assert!(list_devices(&data).await.unwrap().is_empty());
        let added = add_device(&data, "bus-7").await.unwrap();
        assert!(matches!(add_device(&data, "bus-7").await, Err(DeviceError::Exists(_))));
        assert!(matches!(add_device(&data, "../x").await, Err(DeviceError::Name(_))));
        let known = list_devices(&data).await.unwrap();
        assert_eq!((known.len(), known[0].fingerprint.as_ref()), (1, Some(&added.fingerprint)));
        revoke_device(&data, &added.id).await.unwrap();
        assert!(list_devices(&data).await.unwrap()[0].revoked.is_some());
        assert!(matches!(
            revoke_device(&data, &"nobody".parse().unwrap()).await,
            Err(DeviceError::Unknown(_))
        ));
    }

    #[tokio::test]
    async fn device_added_again_with_its_token_after_the_index_is_lost_is_the_one_it_was() {
        let (data, lost) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let before = add_device(lost.path(), "bus-7").await.unwrap();
        let after = restore_device(data.path(), "bus-7", before.token.clone()).await.unwrap();
        assert_eq!((after.fingerprint, after.token), (before.fingerprint, before.token));
    }
}
