//! The sending direction's keys, and their refresh.
//!
//! | after so many packets with a key | what happens |
//! |---|---|
//! | refresh − pre-announce | a new key is made for the other slot and announced with the current one |
//! | refresh, and the announcement answered | the new key is used; the count begins again |
//! | pre-announce with the new key | the old key is forgotten |
//!
//! An announcement that is not answered delays the switch (the peer could read nothing after it): a key stays good for
//! as long as no sequence number comes twice, so that up to 2^30 packets it is only late, never wrong.
//!
//! What does not belong here: sending and repeating the announcement (the connection's).
//!
//! draft-sharabayko-srt-01 §6.1.6; libsrt `haicrypt/hcrypt_ctx_tx.c`.

use super::generator::Generator;
use super::kek::{Kek, SALT_BYTES};
use super::material::Pair;
use super::receive::ReceiveKeys;
use super::stream::{Place, StreamKey};
use super::{Cipher, Secret};
use crate::core::packet::{HEADER_BYTES, KeySlot};
use crate::core::seq::Seq;
use crate::{KeySize, Passphrase};

/// Packets a key is used for, as libsrt.
const REFRESH_PACKETS: u32 = 1 << 24;
/// How many packets before that the next key is announced, as libsrt.
const PRE_ANNOUNCE_PACKETS: u32 = 1 << 12;
/// After so many packets the key is changed even if nobody answers: sequence numbers come again after 2^31.
const LAST_PACKET: u32 = 1 << 30;

/// A step of a key's life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refresh {
    /// There is a new key: send [`SendKeys::message`] as KMREQ, and again until it is answered.
    Announce,
    /// The new key is in use.
    Switched,
    /// The old key is gone.
    Retired,
}

/// Keys this side made (or shares with its peer), ready to encrypt with.
#[derive(Debug)]
pub struct SendKeys {
    kek: Kek,
    cipher: Cipher,
    generator: Generator,
    slot: KeySlot,
    key: StreamKey,
    /// The other slot's key, from its announcement to its use.
    next: Option<StreamKey>,
    /// What [`SendKeys::message`] has: the current key, and the next or the one before.
    secrets: Pair,
    message: Vec<u8>,
    answered: bool,
    used: u32,
    refresh: u32,
    pre_announce: u32,
}

impl SendKeys {
    /// New keys with a new salt. Slow (PBKDF2, 0.3 to 2 ms). `random` must be unpredictable; it is only used here.
    pub fn new(
        passphrase: &Passphrase,
        size: KeySize,
        cipher: Cipher,
        random: &mut dyn FnMut(&mut [u8]),
    ) -> Self {
        let mut salt = [0; SALT_BYTES];
        random(&mut salt);
        let kek = Kek::derive(passphrase, salt, size);
        let secret = Secret::new(size, &mut *random);
        Self::with(kek, cipher, KeySlot::Even, secret, random)
    }

    /// The listener's direction, with the key its caller announced, as libsrt does. Fast.
    ///
    /// Both directions then use one key, and the same sequence number in both gives the same key stream: whoever reads
    /// the wire learns the difference of two such payloads. It is how the protocol is; a peer that only receives is not
    /// concerned, and [`SendKeys::refresh_soon`] ends it.
    pub fn from_received(keys: &ReceiveKeys, random: &mut dyn FnMut(&mut [u8])) -> Self {
        let (kek, slot, secret) = keys.shared();
        let secret = secret.expect("a key message has at least one key").clone();
        let mut keys = Self::with(kek.clone(), keys.cipher(), slot, secret, random);
        keys.answered = true;
        keys
    }

    fn with(
        kek: Kek,
        cipher: Cipher,
        slot: KeySlot,
        secret: Secret,
        random: &mut dyn FnMut(&mut [u8]),
    ) -> Self {
        let key = StreamKey::new(cipher, &secret);
        let mut secrets = Pair::default();
        *secrets.slot_mut(slot) = Some(secret);
        Self {
            message: secrets.message(cipher, &kek),
            kek,
            cipher,
            generator: Generator::new(random),
            slot,
            key,
            next: None,
            secrets,
            answered: false,
            used: 0,
            refresh: REFRESH_PACKETS,
            pre_announce: PRE_ANNOUNCE_PACKETS,
        }
    }

    /// Sets after how many packets a key is changed, 8 to 2^30; announced 2^12 before, or a quarter of it.
    pub fn set_refresh(&mut self, packets: u32) {
        self.refresh = packets.clamp(8, LAST_PACKET);
        self.pre_announce = PRE_ANNOUNCE_PACKETS.min(self.refresh / 4);
    }

    /// Makes the next packet announce a new key, where none is announced already.
    pub fn refresh_soon(&mut self) {
        self.used = self.used.max(self.refresh - self.pre_announce);
    }

    /// The newest key material message: a KMREQ's body, or the handshake's extension.
    pub fn message(&self) -> &[u8] {
        &self.message
    }

    /// Whether the newest message was answered.
    pub const fn is_answered(&self) -> bool {
        self.answered
    }

    /// The slot the next payload is encrypted with.
    pub const fn slot(&self) -> KeySlot {
        self.slot
    }

    /// Encrypts `payload` from byte `from` on in place, and appends the tag with GCM. `header` is the packet's at first
    /// sending; its key bits may still be missing, they are taken from the returned slot.
    pub fn seal(
        &mut self,
        header: &[u8; HEADER_BYTES],
        seq: Seq,
        payload: &mut Vec<u8>,
        from: usize,
    ) -> KeySlot {
        let place = Place { salt: self.kek.salt(), slot: self.slot, header, seq };
        let clear = payload.get_mut(from..).unwrap_or_default();
        if let Some(tag) = self.key.seal(place, clear) {
            payload.extend_from_slice(&tag);
        }
        self.slot
    }

    /// Counts a packet, and says what comes of it.
    pub fn sent(&mut self) -> Option<Refresh> {
        self.used = self.used.saturating_add(1);
        if self.next.is_none() && self.used > self.refresh - self.pre_announce {
            self.announce();
            return Some(Refresh::Announce);
        }
        if self.used > self.refresh && (self.answered || self.used > LAST_PACKET) {
            return self.switch();
        }
        let old = self.slot.other();
        if self.next.is_none() && self.used > self.pre_announce && self.secrets.slot_mut(old).take().is_some()
        {
            self.message = self.secrets.message(self.cipher, &self.kek);
            return Some(Refresh::Retired);
        }
        None
    }

    /// Takes a KMRSP, and says whether it confirms the newest message; an error word or an old one does not.
    pub fn answered(&mut self, response: &[u8]) -> bool {
        let confirms = response == self.message;
        self.answered |= confirms;
        confirms
    }

    /// How much longer a payload becomes: 0, or 16 with GCM.
    pub const fn overhead(&self) -> usize {
        self.cipher.overhead()
    }

    /// The cipher.
    pub const fn cipher(&self) -> Cipher {
        self.cipher
    }

    /// The key length.
    pub const fn key_size(&self) -> KeySize {
        self.kek.size()
    }

    fn announce(&mut self) {
        let secret = Secret::new(self.kek.size(), |out| self.generator.fill(out));
        self.next = Some(StreamKey::new(self.cipher, &secret));
        *self.secrets.slot_mut(self.slot.other()) = Some(secret);
        self.message = self.secrets.message(self.cipher, &self.kek);
        self.answered = false;
    }

    fn switch(&mut self) -> Option<Refresh> {
        self.key = self.next.take()?;
        self.slot = self.slot.other();
        self.used = 0;
        Some(Refresh::Switched)
    }
}
