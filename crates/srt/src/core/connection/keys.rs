//! The keys of an encrypted connection: the peer's and ours, and how each side learns of new ones.
//!
//! A new key of ours is announced (KMREQ) until the peer has repeated it (KMRSP). The peer's is taken over and its
//! announcement repeated to it, each time that it comes.
//!
//! Invariant: PBKDF2 runs in [`Keys::derive`] only, which no datagram calls.
//!
//! draft-sharabayko-srt-01 §6.1.6.

use std::time::{Duration, Instant};

use crate::core::crypto::{KeyError, ReceiveKeys, Refresh, SendKeys};
use crate::core::packet::{HEADER_BYTES, KeySlot, Outgoing};
use crate::core::seq::Seq;

/// An announcement is repeated after this, and then after twice as long, up to eight times.
const REPEAT: Duration = Duration::from_millis(200);
const MOST_DOUBLINGS: u32 = 3;
/// Keys with another salt are derived no more often.
const DERIVE_PAUSE: Duration = Duration::from_secs(1);
/// The longest announcement worth an answer.
const MAX_MESSAGE_BYTES: usize = 128;
/// libsrt's word for "wrong passphrase" in place of the repeated announcement.
const BAD_SECRET: [u8; 4] = [0, 0, 0, 4];

pub(in crate::core) struct Keys {
    receive: ReceiveKeys,
    send: SendKeys,
    /// When our announcement goes out (again).
    announce: Option<Instant>,
    announced: u32,
    /// The slot that seals, and how many packets were sealed before it did.
    slot: KeySlot,
    before: u64,
    /// A packet that the key before sealed may still be sent again: that key must not be replaced yet.
    held_back: bool,
    /// What to answer to the peer's announcement.
    response: Option<Box<[u8]>>,
    /// An announcement with another salt, to be derived.
    underived: Option<Box<[u8]>>,
    derived: Option<Instant>,
    /// The announcement taken last: repetitions are no refreshes.
    taken: Box<[u8]>,
    pub(in crate::core) refreshes: u64,
}

impl Keys {
    pub(in crate::core) fn new(receive: ReceiveKeys, send: SendKeys) -> Self {
        Self {
            receive,
            send,
            announce: None,
            announced: 0,
            slot: KeySlot::Clear,
            before: 0,
            held_back: false,
            response: None,
            underived: None,
            derived: None,
            taken: Box::default(),
            refreshes: 0,
        }
    }

    /// Our announcement.
    pub(in crate::core) fn message(&self) -> &[u8] {
        self.send.message()
    }

    /// The handshake has brought the answer to our announcement.
    pub(in crate::core) fn answered_in_handshake(&mut self) {
        let message: Box<[u8]> = self.send.message().into();
        self.send.answered(&message);
    }

    /// Decrypts a payload in place; returns its clear length.
    pub(in crate::core) fn decrypt(
        &self,
        slot: KeySlot,
        header: &[u8; HEADER_BYTES],
        seq: Seq,
        payload: &mut [u8],
    ) -> Option<usize> {
        self.receive.decrypt(slot, header, seq, payload).ok()
    }

    pub(in crate::core) fn send_keys(&mut self) -> &mut SendKeys {
        &mut self.send
    }

    /// A data packet has gone out; `fresh` have gone out for the first time by now.
    pub(in crate::core) fn sent(&mut self, now: Instant, fresh: u64) {
        if self.slot != self.send.slot() {
            (self.slot, self.before) = (self.send.slot(), fresh.saturating_sub(1));
        }
        if matches!(self.send.sent(), Some(Refresh::Announce)) {
            self.announce = Some(now);
            self.announced = 0;
        }
    }

    /// So many packets will not be sent again, from the first on.
    pub(in crate::core) fn settled(&mut self, packets: u64) {
        self.held_back = packets < self.before;
    }

    /// The peer announces a key.
    pub(in crate::core) fn requested(&mut self, now: Instant, message: &[u8]) {
        if message.len() > MAX_MESSAGE_BYTES {
            return;
        }
        match self.receive.update(message) {
            Ok(()) => self.taken(message),
            Err(KeyError::SaltChanged) => {
                let soonest = self.derived.map_or(now, |derived| derived + DERIVE_PAUSE);
                self.derived.get_or_insert(soonest.checked_sub(DERIVE_PAUSE).unwrap_or(now));
                self.underived = Some(message.into());
            }
            Err(_) => self.response = Some(BAD_SECRET.into()),
        }
    }

    /// Derives what waits for it. Slow.
    pub(in crate::core) fn derive(&mut self, now: Instant) {
        if self.next_derivation().is_none_or(|due| now < due) {
            return;
        }
        self.derived = Some(now);
        if let Some(message) = self.underived.take() {
            match self.receive.rederive(&message) {
                Ok(()) => self.taken(&message),
                Err(_) => self.response = Some(BAD_SECRET.into()),
            }
        }
    }

    pub(in crate::core) fn next_derivation(&self) -> Option<Instant> {
        self.underived.as_ref()?;
        Some(self.derived? + DERIVE_PAUSE)
    }

    /// The peer has answered an announcement of ours.
    pub(in crate::core) fn answered(&mut self, response: &[u8]) {
        self.send.answered(response);
        if response == self.send.message() {
            self.announce = None;
        }
    }

    /// What is to be said now.
    pub(in crate::core) fn poll(&mut self, now: Instant, mut say: impl FnMut(&Outgoing<'_>)) {
        if let Some(response) = self.response.take() {
            say(&Outgoing::KeyResponse(&response));
        }
        if !self.held_back && self.announce.is_some_and(|due| due <= now) {
            say(&Outgoing::KeyRequest(self.send.message()));
            self.announce = Some(now + REPEAT * (1 << self.announced.min(MOST_DOUBLINGS)));
            self.announced = self.announced.saturating_add(1);
        }
    }

    pub(in crate::core) fn next_timeout(&self) -> Option<Instant> {
        // What holds it back ends with an acknowledgement, not with time.
        let announce = self.announce.filter(|_| !self.held_back);
        [announce, self.next_derivation()].into_iter().flatten().min()
    }

    fn taken(&mut self, message: &[u8]) {
        if *self.taken != *message {
            self.refreshes += 1;
            self.taken = message.into();
        }
        self.response = Some(message.into());
    }
}
