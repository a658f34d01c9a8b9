//! The key that encrypts keys: PBKDF2-HMAC-SHA1 of the passphrase, then AES key wrap.
//!
//! Only the last 8 bytes of the salt are derived from, as libsrt does.
//!
//! draft-sharabayko-srt-01 §6.1.4; RFC 8018 §5.2; RFC 3394.

use aes_kw::{KeyInit, KwAes128, KwAes192, KwAes256};
use zeroize::Zeroizing;

use super::Secret;
use crate::{KeySize, Passphrase};

/// Rounds of PBKDF2: 0.3 to 2 ms, by the processor.
const ROUNDS: u32 = 2048;
/// What key wrap adds.
pub(super) const WRAP_BYTES: usize = 8;
pub(super) const SALT_BYTES: usize = 16;

/// A derived key with its salt.
#[derive(Clone, Debug)]
pub(super) struct Kek {
    salt: [u8; SALT_BYTES],
    key: Secret,
}

impl Kek {
    /// Derives it: slow.
    pub(super) fn derive(passphrase: &Passphrase, salt: [u8; SALT_BYTES], size: KeySize) -> Self {
        let derive = |out: &mut [u8]| {
            pbkdf2::pbkdf2_hmac::<sha1::Sha1>(passphrase.secret(), &salt[SALT_BYTES - 8..], ROUNDS, out);
        };
        Self { salt, key: Secret::new(size, derive) }
    }

    pub(super) const fn salt(&self) -> &[u8; SALT_BYTES] {
        &self.salt
    }

    pub(super) const fn size(&self) -> KeySize {
        self.key.size
    }

    /// Appends `keys` (one or two of this key's size) to `out`, wrapped.
    pub(super) fn wrap(&self, keys: &[u8], out: &mut Vec<u8>) {
        let mut wrapped = [0; 64 + WRAP_BYTES];
        let key = self.key.bytes();
        let wrapped = match self.key.size {
            KeySize::Aes128 => KwAes128::new_from_slice(key).map(|kw| kw.wrap_key(keys, &mut wrapped)),
            KeySize::Aes192 => KwAes192::new_from_slice(key).map(|kw| kw.wrap_key(keys, &mut wrapped)),
            KeySize::Aes256 => KwAes256::new_from_slice(key).map(|kw| kw.wrap_key(keys, &mut wrapped)),
        };
        let wrapped = wrapped.expect("a secret has its size").expect("at most two keys fit");
        out.extend_from_slice(wrapped);
    }

    /// Unwraps one or two keys; nothing where this is not the key that wrapped them.
    pub(super) fn unwrap(&self, wrapped: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
        let mut keys = Zeroizing::new(vec![0; wrapped.len().checked_sub(WRAP_BYTES)?]);
        let key = self.key.bytes();
        let unwrapped = match self.key.size {
            KeySize::Aes128 => KwAes128::new_from_slice(key).ok()?.unwrap_key(wrapped, &mut keys).is_ok(),
            KeySize::Aes192 => KwAes192::new_from_slice(key).ok()?.unwrap_key(wrapped, &mut keys).is_ok(),
            KeySize::Aes256 => KwAes256::new_from_slice(key).ok()?.unwrap_key(wrapped, &mut keys).is_ok(),
        };
        unwrapped.then_some(keys)
    }
}
