//! The shared secret of an encrypted connection, checked when it is made and never printed.
//!
//! What does not belong here: key derivation and ciphers (the protocol core's).
//!
//! draft-sharabayko-srt-01 §6.

use std::fmt;

use sapflow_srt::crypto;

/// AES key length.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum KeySize {
    /// 16-byte keys (SRT's default).
    #[default]
    Aes128,
    /// 32-byte keys.
    Aes256,
}

impl KeySize {
    /// Key length in bytes, as `pbkeylen` names it.
    pub const fn bytes(self) -> usize {
        match self {
            Self::Aes128 => 16,
            Self::Aes256 => 32,
        }
    }

    pub(crate) const fn core(self) -> crypto::KeySize {
        match self {
            Self::Aes128 => crypto::KeySize::Aes128,
            Self::Aes256 => crypto::KeySize::Aes256,
        }
    }
}

/// A passphrase of 10 to 79 bytes without NUL; its `Debug` form is redacted.
#[derive(Clone, PartialEq, Eq)]
pub struct Passphrase(Vec<u8>);

impl Passphrase {
    /// Checks and takes a passphrase.
    ///
    /// # Errors
    /// [`PassphraseError`] where SRT does not allow it.
    pub fn new(secret: impl Into<Vec<u8>>) -> Result<Self, PassphraseError> {
        let secret = secret.into();
        if !(10..=79).contains(&secret.len()) {
            return Err(PassphraseError::Length { bytes: secret.len() });
        }
        match secret.iter().position(|b| *b == 0) {
            Some(at) => Err(PassphraseError::Nul { at }),
            None => Ok(Self(secret)),
        }
    }

    pub(crate) fn core(&self, size: KeySize) -> Option<crypto::CryptoConfig> {
        crypto::CryptoConfig::new(self.0.clone(), size.core()).ok()
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
