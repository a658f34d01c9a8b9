//! Encryption: key material messages, stream keys and their refresh.
//!
//! A passphrase and a salt give the key that encrypts keys (slow: PBKDF2); that one wraps the stream keys, of which
//! there are two slots, even and odd, so that a new key can be known to both sides before it is used. AES-CTR hides
//! payloads and proves nothing; AES-GCM also authenticates payload and header.
//!
//! GCM is that of libsrt 1.5.4 and later, checked against what its `haicrypt` seals (`crypto/tests/libsrt.txt`): cipher
//! 4, authentication 1, a nonce of the salt's first 12 bytes xor the sequence number in the last 4, the tag after the
//! payload, and as associated data the header in wire order without its mark of retransmission. libsrt 1.5.2 and 1.5.3
//! have another nonce and header order, so that GCM with them fails as forged.
//!
//! What does not belong here: when key messages are sent and repeated (the connection's), the passphrase's rules.
//!
//! Secrets are wiped when dropped and never in a `Debug` form. draft-sharabayko-srt-01 §3.2.2, §6.

mod generator;
mod kek;
mod material;
mod receive;
mod send;
mod stream;

pub use receive::ReceiveKeys;
pub use send::{Refresh, SendKeys};

use std::fmt;

use zeroize::Zeroizing;

use crate::KeySize;

/// What GCM appends to each payload.
pub const TAG_BYTES: usize = 16;

/// How payloads are encrypted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Cipher {
    /// AES-CTR: every peer knows it.
    #[default]
    Ctr,
    /// AES-GCM: libsrt 1.5.4 and later, where it is built in.
    Gcm,
}

impl Cipher {
    /// How much longer a payload becomes.
    pub const fn overhead(self) -> usize {
        match self {
            Self::Ctr => 0,
            Self::Gcm => TAG_BYTES,
        }
    }
}

/// Why keys cannot be taken or a payload not be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// Not a key material message.
    #[error("key material message is malformed")]
    Malformed,
    /// A cipher, key length or option this core does not have.
    #[error("key material message asks for something unsupported")]
    Unsupported,
    /// The keys cannot be unwrapped.
    #[error("passphrase is not the peer's")]
    WrongPassphrase,
    /// The salt or the key length is another than before: a slow derivation is needed.
    #[error("salt or key length changed")]
    SaltChanged,
    /// There is no key in that slot (the clear one has none).
    #[error("no key is known for the packet")]
    NoKey,
    /// The authentication tag is wrong.
    #[error("packet is forged or damaged")]
    Forged,
}

/// A key of any size: the first bytes of an array that is as long as the longest.
#[derive(Clone, PartialEq, Eq)]
struct Secret {
    size: KeySize,
    bytes: Zeroizing<[u8; 32]>,
}

impl Secret {
    /// A key that `fill` makes.
    fn new(size: KeySize, fill: impl FnOnce(&mut [u8])) -> Self {
        let mut bytes = Zeroizing::new([0; 32]);
        fill(&mut bytes[..size.bytes()]);
        Self { size, bytes }
    }

    fn bytes(&self) -> &[u8] {
        &self.bytes[..self.size.bytes()]
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Secret({:?}, redacted)", self.size)
    }
}

#[cfg(test)]
mod tests;
