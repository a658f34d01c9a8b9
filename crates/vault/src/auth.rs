//! Who is asking: from an HTTP bearer or an SRT stream id to a device, or a refusal.
//!
//! Every question goes to the index, so a revocation holds from the next request on.

use axum::http::{HeaderMap, header::AUTHORIZATION};
use dashvault_base::DeviceId;
use dashvault_media::PublicKey;
use dashvault_wire::{Credential, DeviceToken, LiveKey, StreamId, credentials::bearer_hash};

use crate::{
    archive::index::{DeviceRow, Index, IndexError},
    assembler::camera::DeviceKeys,
};

/// Why somebody is not let in.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AuthError {
    /// No credentials where some are needed.
    #[error("credentials are missing")]
    Missing,
    /// Credentials that are nobody's.
    #[error("credentials are wrong")]
    Wrong,
    /// The device was revoked.
    #[error("device {0} is revoked")]
    Revoked(DeviceId),
    /// The stream id names one device and proves another.
    #[error("credentials are not those of device {0}")]
    OtherDevice(DeviceId),
    /// Only a device that was added may be published to with credentials.
    #[error("device {0} was added with credentials; publish with them")]
    NeedsCredentials(DeviceId),
    #[error(transparent)]
    Index(#[from] IndexError),
}

/// A device that proved itself.
#[derive(Debug, Clone)]
pub(crate) struct Device {
    pub(crate) id: DeviceId,
    pub(crate) keys: DeviceKeys,
}

/// The device that an `Authorization: Bearer …` header names.
pub(crate) async fn bearer(index: &Index, headers: &HeaderMap) -> Result<Device, AuthError> {
    let token = bearer_text(headers).ok_or(AuthError::Missing)?;
    let row = index.device_by_bearer(bearer_hash(token)).await?.ok_or(AuthError::Wrong)?;
    device(row)
}

/// Whether a publisher is who its stream id says.
pub(crate) async fn publisher(index: &Index, id: &StreamId, anonymous: bool) -> Result<(), AuthError> {
    let row = index.device(&id.device).await?;
    if let Some(row) = row.as_ref().filter(|row| row.revoked.is_some()) {
        return Err(AuthError::Revoked(row.id.clone()));
    }
    match &id.credential {
        Credential::Anonymous if !anonymous => Err(AuthError::Missing),
        Credential::Anonymous => match row {
            Some(row) if !row.is_anonymous() => Err(AuthError::NeedsCredentials(row.id)),
            _ => Ok(()),
        },
        Credential::Proof(proof) => {
            let key = row.and_then(|row| row.live_key).ok_or(AuthError::Wrong)?;
            let proven = key.proves(proof, &id.device, &id.camera, id.recording);
            if proven { Ok(()) } else { Err(AuthError::Wrong) }
        }
        Credential::Password { user, pass } => {
            if user != id.device.as_str() {
                return Err(AuthError::OtherDevice(id.device.clone()));
            }
            let token: DeviceToken = pass.parse().map_err(|_| AuthError::Wrong)?;
            let known = row.and_then(|row| row.bearer_hash).ok_or(AuthError::Wrong)?;
            if known == token.bearer_hash() { Ok(()) } else { Err(AuthError::Wrong) }
        }
    }
}

fn device(row: DeviceRow) -> Result<Device, AuthError> {
    if row.revoked.is_some() {
        return Err(AuthError::Revoked(row.id));
    }
    let keys: Option<(PublicKey, LiveKey)> = row.public_key.zip(row.live_key);
    let (public_key, live_key) = keys.ok_or(AuthError::Wrong)?;
    Ok(Device { id: row.id, keys: DeviceKeys { public_key, live_key } })
}

/// The bearer that a request carries.
pub(crate) fn bearer_text(headers: &HeaderMap) -> Option<&str> {
    let value = headers.get(AUTHORIZATION)?.to_str().ok()?;
    let (scheme, token) = value.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then_some(token.trim())
}
