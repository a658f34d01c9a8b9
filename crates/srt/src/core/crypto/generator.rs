//! Makes the keys of later refreshes from one unpredictable seed, so that counting a packet needs no random source.
//!
//! AES-256-CTR with fast key erasure: each output also replaces the seed, so that a key made before cannot be found
//! out from the state after.

use std::fmt;

use aes::Aes256Enc;
use ctr::Ctr128BE;
use ctr::cipher::{KeyIvInit, StreamCipher};
use zeroize::Zeroizing;

const SEED_BYTES: usize = 32;

/// A seeded source of keys.
pub(super) struct Generator {
    seed: Zeroizing<[u8; SEED_BYTES]>,
}

impl Generator {
    pub(super) fn new(random: &mut dyn FnMut(&mut [u8])) -> Self {
        let mut seed = Zeroizing::new([0; SEED_BYTES]);
        random(seed.as_mut_slice());
        Self { seed }
    }

    /// Fills a key.
    pub(super) fn fill(&mut self, key: &mut [u8]) {
        let mut stream = Ctr128BE::<Aes256Enc>::new((&*self.seed).into(), &[0; 16].into());
        self.seed.fill(0);
        stream.apply_keystream(self.seed.as_mut_slice());
        key.fill(0);
        stream.apply_keystream(key);
    }
}

impl fmt::Debug for Generator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Generator(redacted)")
    }
}
