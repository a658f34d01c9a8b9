//! The vault's word that a pack is durable: what allows the vehicle to delete its copy.

use dashvault_base::{CameraName, ContentHash, DeviceId, PackId, WallMs};
use serde::{Deserialize, Serialize};

use crate::LiveKey;

/// Given only after the object and its index entry are durable; bound to one pack's content.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Receipt {
    /// The device that recorded the pack.
    pub device: DeviceId,
    /// The camera.
    pub camera: CameraName,
    /// The pack.
    pub pack: PackId,
    /// The hash of the pack's manifest, and so of every segment.
    pub manifest: ContentHash,
    /// The object's length in bytes, trailer included.
    pub bytes: u64,
    /// When the vault stored it, by its clock.
    pub stored_at: WallMs,
    /// Keyed hash over the fields above, with the device's live key.
    pub seal: ContentHash,
}

/// Why a receipt is not believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ReceiptError {
    /// The seal was not made with this device's key, or a field was changed.
    #[error("receipt's seal is not the vault's")]
    Forged,
    /// A true receipt, but for other content: replayed, or mixed up.
    #[error("receipt is for another pack or other content")]
    OtherPack,
}

impl Receipt {
    /// Writes and seals a receipt. The caller has made the pack durable.
    #[must_use]
    pub fn seal(
        key: &LiveKey,
        device: DeviceId,
        camera: CameraName,
        pack: PackId,
        manifest: ContentHash,
        bytes: u64,
        stored_at: WallMs,
    ) -> Self {
        let mut receipt = Self { device, camera, pack, manifest, bytes, stored_at, seal: ContentHash::ZERO };
        receipt.seal = key.seal(&receipt.text());
        receipt
    }

    /// Checks the seal, and that the receipt speaks of exactly this pack.
    ///
    /// # Errors
    /// [`ReceiptError`] when it must not be acted upon.
    pub fn check(
        &self,
        key: &LiveKey,
        device: &DeviceId,
        camera: &CameraName,
        pack: PackId,
        manifest: ContentHash,
        bytes: u64,
    ) -> Result<(), ReceiptError> {
        if key.seal(&self.text()) != self.seal {
            return Err(ReceiptError::Forged);
        }
        let same = self.device == *device && self.camera == *camera && self.pack == pack;
        if same && self.manifest == manifest && self.bytes == bytes {
            Ok(())
        } else {
            Err(ReceiptError::OtherPack)
        }
    }

    fn text(&self) -> String {
        let Self { device, camera, pack, manifest, bytes, stored_at, seal: _ } = self;
        format!("receipt {device}/{camera}/{pack} {manifest} {bytes} {}", stored_at.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::DeviceToken;

    fn receipt(key: &LiveKey) -> Receipt {
        let pack = "20261122-101500_00003".parse().unwrap();
        Receipt::seal(
            key,
            "bus".parse().unwrap(),
            CameraName::main(),
            pack,
            ContentHash::of(b"m"),
            188,
            WallMs(5),
        )
    }

    fn check(receipt: &Receipt, key: &LiveKey, pack: &str, manifest: &[u8]) -> Result<(), ReceiptError> {
        let device = "bus".parse().unwrap();
        receipt.check(
            key,
            &device,
            &CameraName::main(),
            pack.parse().unwrap(),
            ContentHash::of(manifest),
            188,
        )
    }

    #[test]
    fn true_receipt_is_believed_and_a_replayed_or_changed_one_is_not() {
        let key = DeviceToken::from_random([3; 32]).live_key();
        let good = receipt(&key);
        assert_eq!(check(&good, &key, "20261122-101500_00003", b"m"), Ok(()));
        assert_eq!(check(&good, &key, "20261122-101500_00004", b"m"), Err(ReceiptError::OtherPack));
        assert_eq!(check(&good, &key, "20261122-101500_00003", b"n"), Err(ReceiptError::OtherPack));
        let changed = Receipt { pack: "20261122-101500_00004".parse().unwrap(), ..good };
        assert_eq!(check(&changed, &key, "20261122-101500_00004", b"m"), Err(ReceiptError::Forged));
    }
}
