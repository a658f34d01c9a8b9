//! A stream key, expanded once, that encrypts and decrypts payloads in place.
//!
//! CTR: the counter block is the salt's first 14 bytes xor the sequence number at byte 10, and the last two bytes
//! count. GCM: the nonce is the salt's first 12 bytes xor the sequence number at byte 8.
//!
//! draft-sharabayko-srt-01 §6.2.2; NIST SP 800-38A, SP 800-38D.

use std::fmt;

use aes::{Aes128Enc, Aes192Enc, Aes256Enc};
use aes_gcm::aead::consts::U12;
use aes_gcm::{AeadInOut, AesGcm, KeyInit, Nonce, Tag};
use ctr::CtrCore;
use ctr::cipher::{BlockCipherEncrypt, BlockSizeUser, InnerIvInit, StreamCipherCore, consts::U16};
use ctr::flavors::Ctr128BE;

use super::kek::SALT_BYTES;
use super::{Cipher, Secret, TAG_BYTES};
use crate::KeySize;
use crate::core::packet::{HEADER_BYTES, KeySlot};
use crate::core::seq::Seq;

type Gcm<Aes> = AesGcm<Aes, U12>;

/// Boxed because the schedules differ much in size.
#[derive(Clone)]
pub(super) enum StreamKey {
    Ctr128(Box<Aes128Enc>),
    Ctr192(Box<Aes192Enc>),
    Ctr256(Box<Aes256Enc>),
    Gcm128(Box<Gcm<Aes128Enc>>),
    Gcm192(Box<Gcm<Aes192Enc>>),
    Gcm256(Box<Gcm<Aes256Enc>>),
}

/// What a packet's encryption depends on besides the key.
#[derive(Clone, Copy)]
pub(super) struct Place<'a> {
    pub(super) salt: &'a [u8; SALT_BYTES],
    pub(super) slot: KeySlot,
    pub(super) header: &'a [u8; HEADER_BYTES],
    pub(super) seq: Seq,
}

impl StreamKey {
    pub(super) fn new(cipher: Cipher, key: &Secret) -> Self {
        match (cipher, key.size) {
            (Cipher::Ctr, KeySize::Aes128) => Self::Ctr128(expand(key)),
            (Cipher::Ctr, KeySize::Aes192) => Self::Ctr192(expand(key)),
            (Cipher::Ctr, KeySize::Aes256) => Self::Ctr256(expand(key)),
            (Cipher::Gcm, KeySize::Aes128) => Self::Gcm128(expand(key)),
            (Cipher::Gcm, KeySize::Aes192) => Self::Gcm192(expand(key)),
            (Cipher::Gcm, KeySize::Aes256) => Self::Gcm256(expand(key)),
        }
    }

    /// Encrypts `data`; the tag, where the cipher has one, goes behind it.
    pub(super) fn seal(&self, place: Place<'_>, data: &mut [u8]) -> Option<[u8; TAG_BYTES]> {
        match self {
            Self::Ctr128(aes) => ctr(aes.as_ref(), place, data),
            Self::Ctr192(aes) => ctr(aes.as_ref(), place, data),
            Self::Ctr256(aes) => ctr(aes.as_ref(), place, data),
            Self::Gcm128(gcm) => return Some(gcm_seal(gcm.as_ref(), place, data)),
            Self::Gcm192(gcm) => return Some(gcm_seal(gcm.as_ref(), place, data)),
            Self::Gcm256(gcm) => return Some(gcm_seal(gcm.as_ref(), place, data)),
        }
        None
    }

    /// Decrypts `data`, whose clear part gets the returned length; nothing where the tag is wrong.
    pub(super) fn open(&self, place: Place<'_>, data: &mut [u8]) -> Option<usize> {
        match self {
            Self::Ctr128(aes) => ctr(aes.as_ref(), place, data),
            Self::Ctr192(aes) => ctr(aes.as_ref(), place, data),
            Self::Ctr256(aes) => ctr(aes.as_ref(), place, data),
            Self::Gcm128(gcm) => return gcm_open(gcm.as_ref(), place, data),
            Self::Gcm192(gcm) => return gcm_open(gcm.as_ref(), place, data),
            Self::Gcm256(gcm) => return gcm_open(gcm.as_ref(), place, data),
        }
        Some(data.len())
    }
}

impl fmt::Debug for StreamKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("StreamKey(redacted)")
    }
}

impl Place<'_> {
    /// The salt's beginning with the sequence number over the four bytes from `at`.
    fn nonce<const N: usize>(&self, at: usize) -> [u8; N] {
        let mut nonce = [0; N];
        nonce.iter_mut().zip(self.salt).for_each(|(to, from)| *to = *from);
        nonce.iter_mut().skip(at).zip(self.seq.raw().to_be_bytes()).for_each(|(to, from)| *to ^= from);
        nonce
    }

    /// The header as it was at first sending: with the key's slot, without the mark of retransmission.
    fn authenticated(&self) -> [u8; HEADER_BYTES] {
        let mut header = *self.header;
        let [_, _, _, _, flags, ..] = &mut header;
        *flags = (*flags & !0b0001_1100) | (self.slot.bits() << 3);
        header
    }
}

fn expand<K: KeyInit>(key: &Secret) -> Box<K> {
    Box::new(K::new_from_slice(key.bytes()).expect("a secret has its size"))
}

fn ctr<Aes>(aes: &Aes, place: Place<'_>, data: &mut [u8])
where
    Aes: BlockCipherEncrypt + BlockSizeUser<BlockSize = U16>,
{
    let mut block = place.nonce::<16>(10);
    let [.., c0, c1] = &mut block;
    (*c0, *c1) = (0, 0);
    CtrCore::<&Aes, Ctr128BE>::inner_iv_init(aes, &block.into()).apply_keystream_partial(data.into());
}

fn gcm_seal<Aes>(gcm: &Gcm<Aes>, place: Place<'_>, data: &mut [u8]) -> [u8; TAG_BYTES]
where
    Gcm<Aes>: AeadInOut<NonceSize = U12, TagSize = U16>,
{
    let nonce = Nonce::from(place.nonce::<12>(8));
    gcm.encrypt_inout_detached(&nonce, &place.authenticated(), data.into())
        .expect("a payload is far below the cipher's 64 GiB")
        .into()
}

fn gcm_open<Aes>(gcm: &Gcm<Aes>, place: Place<'_>, data: &mut [u8]) -> Option<usize>
where
    Gcm<Aes>: AeadInOut<NonceSize = U12, TagSize = U16>,
{
    let (data, tag) = data.split_last_chunk_mut::<TAG_BYTES>()?;
    let nonce = Nonce::from(place.nonce::<12>(8));
    let length = data.len();
    gcm.decrypt_inout_detached(&nonce, &place.authenticated(), data.into(), &Tag::from(*tag)).ok()?;
    Some(length)
}
