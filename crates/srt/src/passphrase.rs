//! The shared secret of an encrypted connection, checked when it is made, never printed, and wiped when dropped.
//!
//! What does not belong here: key derivation and ciphers (`core::crypto`).
//!
//! draft-sharabayko-srt-01 §6.

use std::fmt;

use zeroize::Zeroizing;

/// AES key length.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum KeySize {
    /// 16-byte keys (SRT's default).
    #[default]
    Aes128,
    /// 24-byte keys.
    Aes192,
    /// 32-byte keys.
    Aes256,
}

impl KeySize {
    /// Key length in bytes, as `pbkeylen` names it.
    pub const fn bytes(self) -> usize {
        match self {
            Self::Aes128 => 16,
            Self::Aes192 => 24,
            Self::Aes256 => 32,
        }
    }
}

/// A passphrase of 10 to 79 bytes without NUL; its `Debug` form is redacted.
#[derive(Clone, PartialEq, Eq)]
pub struct Passphrase(Zeroizing<Vec<u8>>);

impl Passphrase {
    /// Checks and takes a passphrase.
    ///
    /// # Errors
    /// [`PassphraseError`] where SRT does not allow it.
    pub fn new(secret: impl Into<Vec<u8>>) -> Result<Self, PassphraseError> {
        let secret = Zeroizing::new(secret.into());
        if !(10..=79).contains(&secret.len()) {
            return Err(PassphraseError::Length { bytes: secret.len() });
        }
        match secret.iter().position(|b| *b == 0) {
            Some(at) => Err(PassphraseError::Nul { at }),
            None => Ok(Self(secret)),
        }
    }

    /// The secret itself, for key derivation only.
    pub(crate) fn secret(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for Passphrase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Passphrase(redacted)")
    }
}

/// A caller's encryption: the passphrase and the key length it picks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Encryption {
    /// The shared secret.
    pub passphrase: Passphrase,
    /// The AES key length.
    pub key_size: KeySize,
}

/// Why a passphrase cannot be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PassphraseError {
    /// SRT takes 10 to 79 bytes.
    #[error("passphrase has {bytes} bytes, 10 to 79 are allowed")]
    Length {
        /// Its length.
        bytes: usize,
    },
    /// C implementations would cut it there.
    #[error("passphrase has a NUL at byte {at}")]
    Nul {
        /// Byte offset.
        at: usize,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_passphrase_has_10_to_79_bytes_without_nul() {
        assert_eq!(Passphrase::new("123456789"), Err(PassphraseError::Length { bytes: 9 }));
        assert_eq!(Passphrase::new([1; 80]), Err(PassphraseError::Length { bytes: 80 }));
        assert_eq!(Passphrase::new("12345\x006789"), Err(PassphraseError::Nul { at: 5 }));
        assert!(Passphrase::new([1; 79]).is_ok());
    }

    #[test]
    fn a_passphrase_is_not_printed() {
        assert_eq!(format!("{:?}", Passphrase::new("1234567890").unwrap()), "Passphrase(redacted)");
    }
}
