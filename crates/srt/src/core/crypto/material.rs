//! The key material message: 16 bytes of properties, the salt, one or two wrapped keys (the even one first).
//!
//! ```text
//! version, type 0x12 | sign 0x2029 | key flags: 1 even, 2 odd
//! KEK index 0 (32)
//! cipher | authentication | encapsulation 2 | reserved
//! reserved (16) | salt length / 4 | key length / 4
//! ```
//! Reserved bits are ignored. draft-sharabayko-srt-01 §3.2.2.

use zeroize::Zeroizing;

use super::kek::{Kek, SALT_BYTES, WRAP_BYTES};
use super::{Cipher, KeyError, Secret};
use crate::KeySize;
use crate::core::packet::KeySlot;

const FIXED_BYTES: usize = 16;
const VERSION_AND_TYPE: u8 = 0x12;
const SIGN: [u8; 2] = [0x20, 0x29];
const CIPHER_CTR: (u8, u8) = (2, 0);
const CIPHER_GCM: (u8, u8) = (4, 1);
const ENCAPSULATION_SRT: u8 = 2;
/// The length of a [`SALT_BYTES`] salt.
const SALT_WORDS: u8 = 4;
const EVEN: u8 = 1;
const ODD: u8 = 2;

/// A parsed message, its keys still wrapped.
#[derive(Debug, Clone, Copy)]
pub(super) struct KeyMessage<'a> {
    pub(super) cipher: Cipher,
    pub(super) size: KeySize,
    pub(super) salt: [u8; SALT_BYTES],
    flags: u8,
    wrapped: &'a [u8],
}

/// Stream keys by slot.
#[derive(Clone, Debug, Default)]
pub(super) struct Pair {
    pub(super) even: Option<Secret>,
    pub(super) odd: Option<Secret>,
}

impl<'a> KeyMessage<'a> {
    pub(super) fn parse(message: &'a [u8]) -> Result<Self, KeyError> {
        let (fixed, rest) = message.split_first_chunk::<FIXED_BYTES>().ok_or(KeyError::Malformed)?;
        let &[
            kind,
            s0,
            s1,
            flags,
            k0,
            k1,
            k2,
            k3,
            cipher,
            auth,
            encapsulation,
            _,
            _,
            _,
            salt_words,
            key_words,
        ] = fixed;
        let flags = flags & (EVEN | ODD);
        if kind != VERSION_AND_TYPE || [s0, s1] != SIGN || flags == 0 {
            return Err(KeyError::Malformed);
        }
        let cipher = match (cipher, auth) {
            CIPHER_CTR => Cipher::Ctr,
            CIPHER_GCM => Cipher::Gcm,
            _ => return Err(KeyError::Unsupported),
        };
        let size = size_of_words(key_words).ok_or(KeyError::Unsupported)?;
        if [k0, k1, k2, k3] != [0; 4] || encapsulation != ENCAPSULATION_SRT || salt_words != SALT_WORDS {
            return Err(KeyError::Unsupported);
        }
        let (salt, wrapped) = rest.split_first_chunk::<SALT_BYTES>().ok_or(KeyError::Malformed)?;
        let keys = if flags == EVEN | ODD { 2 } else { 1 };
        if wrapped.len() != size.bytes() * keys + WRAP_BYTES {
            return Err(KeyError::Malformed);
        }
        Ok(Self { cipher, size, salt: *salt, flags, wrapped })
    }

    /// Unwraps the keys.
    pub(super) fn open(&self, kek: &Kek) -> Result<Pair, KeyError> {
        let keys = kek.unwrap(self.wrapped).ok_or(KeyError::WrongPassphrase)?;
        let mut keys = keys
            .chunks_exact(self.size.bytes())
            .map(|key| Secret::new(self.size, |out| out.copy_from_slice(key)));
        Ok(Pair {
            even: if self.flags & EVEN != 0 { keys.next() } else { None },
            odd: if self.flags & ODD != 0 { keys.next() } else { None },
        })
    }
}

impl Pair {
    /// A slot's place; the clear slot has none, even stands for it.
    pub(super) const fn slot_mut(&mut self, slot: KeySlot) -> &mut Option<Secret> {
        match slot {
            KeySlot::Clear | KeySlot::Even => &mut self.even,
            KeySlot::Odd => &mut self.odd,
        }
    }

    /// The message that announces these keys, wrapped by `kek`, whose size they have.
    pub(super) fn message(&self, cipher: Cipher, kek: &Kek) -> Vec<u8> {
        let flags = if self.even.is_some() { EVEN } else { 0 } | if self.odd.is_some() { ODD } else { 0 };
        let (cipher, auth) = match cipher {
            Cipher::Ctr => CIPHER_CTR,
            Cipher::Gcm => CIPHER_GCM,
        };
        let [s0, s1] = SIGN;
        let mut out = Vec::with_capacity(FIXED_BYTES + SALT_BYTES + 64 + WRAP_BYTES);
        out.extend([VERSION_AND_TYPE, s0, s1, flags, 0, 0, 0, 0, cipher, auth, ENCAPSULATION_SRT, 0, 0, 0]);
        out.extend([SALT_WORDS, words_of(kek.size())]);
        out.extend_from_slice(kek.salt());
        // Large enough for two keys: it never moves, so that no copy stays behind.
        let mut keys = Zeroizing::new(Vec::with_capacity(64));
        for key in [&self.even, &self.odd].into_iter().flatten() {
            keys.extend_from_slice(key.bytes());
        }
        kek.wrap(&keys, &mut out);
        out
    }
}

const fn size_of_words(words: u8) -> Option<KeySize> {
    match words {
        4 => Some(KeySize::Aes128),
        6 => Some(KeySize::Aes192),
        8 => Some(KeySize::Aes256),
        _ => None,
    }
}

const fn words_of(size: KeySize) -> u8 {
    match size {
        KeySize::Aes128 => 4,
        KeySize::Aes192 => 6,
        KeySize::Aes256 => 8,
    }
}
