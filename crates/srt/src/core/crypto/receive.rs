//! The receiving direction's keys.

use super::kek::Kek;
use super::material::{KeyMessage, Pair};
use super::stream::{Place, StreamKey};
use super::{Cipher, KeyError, Secret};
use crate::core::packet::{HEADER_BYTES, KeySlot};
use crate::core::seq::Seq;
use crate::{KeySize, Passphrase};

/// The keys a peer announced, ready to decrypt with.
#[derive(Clone, Debug)]
pub struct ReceiveKeys {
    passphrase: Passphrase,
    kek: Kek,
    cipher: Cipher,
    even: Option<Slot>,
    odd: Option<Slot>,
    newest: KeySlot,
}

#[derive(Clone, Debug)]
struct Slot {
    secret: Secret,
    key: StreamKey,
}

impl ReceiveKeys {
    /// Unwraps the keys of a key material message. Slow (PBKDF2, 0.3 to 2 ms): never on the receive path.
    ///
    /// # Errors
    /// [`KeyError::Malformed`], [`KeyError::Unsupported`] or [`KeyError::WrongPassphrase`].
    pub fn open(passphrase: &Passphrase, message: &[u8]) -> Result<Self, KeyError> {
        let message = KeyMessage::parse(message)?;
        let kek = Kek::derive(passphrase, message.salt, message.size);
        let pair = message.open(&kek)?;
        let mut keys = Self {
            passphrase: passphrase.clone(),
            kek,
            cipher: message.cipher,
            even: None,
            odd: None,
            newest: KeySlot::Clear,
        };
        keys.take(pair);
        Ok(keys)
    }

    /// Takes the keys of a further message (a refresh); a key it does not have stays. Fast: nothing is derived.
    ///
    /// # Errors
    /// As [`ReceiveKeys::open`], and [`KeyError::SaltChanged`] where only [`ReceiveKeys::rederive`] can help. The keys
    /// are then what they were.
    pub fn update(&mut self, message: &[u8]) -> Result<(), KeyError> {
        let message = KeyMessage::parse(message)?;
        if message.cipher != self.cipher {
            return Err(KeyError::Unsupported);
        }
        if message.salt != *self.kek.salt() || message.size != self.kek.size() {
            return Err(KeyError::SaltChanged);
        }
        let pair = message.open(&self.kek)?;
        self.take(pair);
        Ok(())
    }

    /// Replaces all keys by those of a message with another salt. Slow (PBKDF2): anyone can ask for it with a forged
    /// message, so call it at most once a second, and never on the receive path.
    ///
    /// # Errors
    /// As [`ReceiveKeys::open`]; the keys are then what they were.
    pub fn rederive(&mut self, message: &[u8]) -> Result<(), KeyError> {
        *self = Self::open(&self.passphrase, message)?;
        Ok(())
    }

    /// Decrypts a payload in place and says how long its clear part is. `header` is the packet's as it came.
    ///
    /// # Errors
    /// [`KeyError::NoKey`], also for the clear slot; [`KeyError::Forged`] with GCM, the payload is then unusable.
    pub fn decrypt(
        &self,
        slot: KeySlot,
        header: &[u8; HEADER_BYTES],
        seq: Seq,
        payload: &mut [u8],
    ) -> Result<usize, KeyError> {
        let key = &self.slot(slot).ok_or(KeyError::NoKey)?.key;
        key.open(Place { salt: self.kek.salt(), slot, header, seq }, payload).ok_or(KeyError::Forged)
    }

    /// The key length the peer picked.
    pub const fn key_size(&self) -> KeySize {
        self.kek.size()
    }

    /// The cipher the peer picked.
    pub const fn cipher(&self) -> Cipher {
        self.cipher
    }

    /// What a sending direction that shares the peer's key needs: the newest key, its slot, and what wraps it.
    pub(super) fn shared(&self) -> (&Kek, KeySlot, Option<&Secret>) {
        (&self.kek, self.newest, self.slot(self.newest).map(|slot| &slot.secret))
    }

    const fn slot(&self, slot: KeySlot) -> Option<&Slot> {
        match slot {
            KeySlot::Clear => None,
            KeySlot::Even => self.even.as_ref(),
            KeySlot::Odd => self.odd.as_ref(),
        }
    }

    fn take(&mut self, pair: Pair) {
        let cipher = self.cipher;
        for (slot, kind, secret) in
            [(&mut self.even, KeySlot::Even, pair.even), (&mut self.odd, KeySlot::Odd, pair.odd)]
        {
            let Some(secret) = secret else { continue };
            if slot.as_ref().is_none_or(|slot| slot.secret != secret) {
                *slot = Some(Slot { key: StreamKey::new(cipher, &secret), secret });
                self.newest = kind;
            }
        }
    }
}
