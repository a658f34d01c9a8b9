//! 256 random bits: what a session's cookie and an API token are made of.
//!
//! The vault keeps only [`Secret::hash`]. Each use of a secret has its own derivation, so that what is told to a script
//! (the CSRF token) or kept (the hash) gives nothing of the secret away.

use std::fmt;

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use dashvault_base::ContentHash;
use zeroize::Zeroize;

const TOKEN_PREFIX: &str = "dvt_";
const HASH: &str = "dashvault 2026 access secret hash";
const CSRF: &str = "dashvault 2026 access csrf";

/// A session's or an API token's secret. Never logged: its `Debug` hides it.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Secret([u8; 32]);

impl Secret {
    /// A new one.
    pub(crate) fn random() -> Result<Self, getrandom::Error> {
        let mut bytes = [0; 32];
        getrandom::fill(&mut bytes)?;
        Ok(Self(bytes))
    }

    /// All that the vault keeps.
    pub(crate) fn hash(&self) -> ContentHash {
        ContentHash::from_bytes(blake3::derive_key(HASH, &self.0))
    }

    /// What a session's requests that change something carry beside the cookie.
    pub(crate) fn csrf(&self) -> String {
        URL_SAFE_NO_PAD.encode(blake3::derive_key(CSRF, &self.0))
    }

    /// Whether a header has this session's CSRF token; the time it takes says nothing.
    pub(crate) fn is_csrf(&self, header: &str) -> bool {
        blake3::hash(header.as_bytes()) == blake3::hash(self.csrf().as_bytes())
    }

    /// The value of a cookie: 43 characters.
    pub(crate) fn cookie(&self) -> String {
        URL_SAFE_NO_PAD.encode(self.0)
    }

    /// The text of an API token: `dvt_` and 43 characters.
    pub(crate) fn token(&self) -> String {
        format!("{TOKEN_PREFIX}{}", URL_SAFE_NO_PAD.encode(self.0))
    }

    /// Reads a cookie's value.
    pub(crate) fn from_cookie(text: &str) -> Option<Self> {
        let bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
        bytes.try_into().ok().map(Self)
    }

    /// Reads an API token; `None` where the text is none.
    pub(crate) fn from_token(text: &str) -> Option<Self> {
        Self::from_cookie(text.strip_prefix(TOKEN_PREFIX)?)
    }
}

impl Drop for Secret {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn secrets_come_back_from_their_texts_and_are_told_apart(bytes: [u8; 32], other: [u8; 32]) {
            prop_assume!(bytes != other);
            let (secret, other) = (Secret(bytes), Secret(other));
            prop_assert_eq!(Secret::from_cookie(&secret.cookie()), Some(secret.clone()));
            prop_assert_eq!(Secret::from_token(&secret.token()), Some(secret.clone()));
            prop_assert_ne!(secret.hash(), other.hash());
            prop_assert!(secret.is_csrf(&secret.csrf()) && !secret.is_csrf(&other.csrf()));
        }

        #[test]
        fn nothing_else_is_read_as_a_secret(text in "\\PC{0,60}") {
            if let Some(secret) = Secret::from_cookie(&text) {
                prop_assert_eq!(secret.cookie(), text.clone());
            }
            if let Some(secret) = Secret::from_token(&text) {
                prop_assert_eq!(secret.token(), text);
            }
        }
    }

    #[test]
    fn what_is_kept_or_told_is_not_the_secret_and_debug_hides_it() {
        let secret = Secret([7; 32]);
        let texts = [secret.csrf(), secret.hash().to_string(), format!("{secret:?}")];
        for text in &texts {
            assert!(!text.contains(&secret.cookie()), "{text}");
        }
        assert_ne!(URL_SAFE_NO_PAD.encode(secret.hash().as_bytes()), secret.csrf());
    }
}
