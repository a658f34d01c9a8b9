//! Passwords: what is one, and hashing them off the runtime's threads.

use std::{sync::OnceLock, time::Duration};

use argon2::{
    Argon2,
    password_hash::{PasswordHasher, PasswordVerifier},
};
use tokio::sync::{Semaphore, SemaphorePermit};

use super::{
    UserName,
    setup::{SetupCode, SetupError},
};

/// The shortest password, in characters.
pub(crate) const MIN_CHARS: usize = 10;
/// The longest, in bytes.
pub(crate) const MAX_BYTES: usize = 256;
/// Hashes at a time; each takes 19 MiB and one thread.
const AT_A_TIME: usize = 2;
/// How long one may wait for its turn.
const PATIENCE: Duration = Duration::from_secs(5);

/// Why a password is not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PasswordError {
    /// It is too short.
    #[error("a password has at least {MIN_CHARS} characters")]
    Short,
    /// It is too long.
    #[error("a password has at most {MAX_BYTES} bytes")]
    Long,
    /// It is the user's name.
    #[error("a password is not the user's name")]
    Name,
}

/// Why a password cannot be hashed or checked now.
#[derive(Debug, thiserror::Error)]
pub enum HashingError {
    /// Too many wait already.
    #[error("too many sign in at once; try again in a few seconds")]
    Busy,
    /// The hash in the index is none, or there are no random bytes.
    #[error("password cannot be hashed: {0}")]
    Failed(String),
}

/// Whether a text may be this user's password.
///
/// # Errors
/// Why not.
pub(crate) fn check(user: &UserName, password: &str) -> Result<(), PasswordError> {
    if password.len() > MAX_BYTES {
        return Err(PasswordError::Long);
    }
    if password.chars().count() < MIN_CHARS {
        return Err(PasswordError::Short);
    }
    if password.eq_ignore_ascii_case(user.as_str()) {
        return Err(PasswordError::Name);
    }
    Ok(())
}

/// A password of 100 random bits, for somebody who gave none.
///
/// # Errors
/// The system gave no random bytes.
pub fn random_password() -> Result<String, SetupError> {
    SetupCode::random().map(|code| code.reveal().to_ascii_lowercase()).map_err(SetupError::Random)
}

/// Hashes, a few at a time.
#[derive(Debug)]
pub(crate) struct Hashing {
    turns: Semaphore,
    /// The hash of nobody's password, for names that nobody has.
    nobody: OnceLock<String>,
}

impl Default for Hashing {
    fn default() -> Self {
        Self { turns: Semaphore::new(AT_A_TIME), nobody: OnceLock::new() }
    }
}

impl Hashing {
    /// The argon2id hash of a password, as a PHC string.
    ///
    /// # Errors
    /// [`HashingError`].
    pub(crate) async fn hash(&self, password: String) -> Result<String, HashingError> {
        let _turn = self.turn().await?;
        blocking(move || hash_now(&password)).await
    }

    /// Whether a password is right. Without a `hash` it is not, after the same work.
    ///
    /// # Errors
    /// [`HashingError`].
    pub(crate) async fn is_right(
        &self,
        password: String,
        hash: Option<String>,
    ) -> Result<bool, HashingError> {
        let _turn = self.turn().await?;
        let known = hash.is_some();
        let hash = match hash {
            Some(hash) => hash,
            None => self.nobodys().await?,
        };
        let right =
            blocking(move || match Argon2::default().verify_password(password.as_bytes(), hash.as_str()) {
                Ok(()) => Ok(true),
                Err(argon2::password_hash::Error::PasswordInvalid) => Ok(false),
                Err(error) => Err(HashingError::Failed(error.to_string())),
            });
        Ok(right.await? && known)
    }

    /// Makes nobody's hash now, so that the first unknown name does not take longer than the second.
    ///
    /// # Errors
    /// [`HashingError`].
    pub(crate) async fn prepare(&self) -> Result<(), HashingError> {
        self.nobodys().await.map(drop)
    }

    async fn nobodys(&self) -> Result<String, HashingError> {
        if let Some(hash) = self.nobody.get() {
            return Ok(hash.clone());
        }
        let hash = blocking(|| hash_now("nobody has this password")).await?;
        Ok(self.nobody.get_or_init(|| hash).clone())
    }

    async fn turn(&self) -> Result<SemaphorePermit<'_>, HashingError> {
        let turn = tokio::time::timeout(PATIENCE, self.turns.acquire()).await;
        turn.ok().and_then(Result::ok).ok_or(HashingError::Busy)
    }
}

fn hash_now(password: &str) -> Result<String, HashingError> {
    let hash = Argon2::default().hash_password(password.as_bytes());
    hash.map(|hash| hash.to_string()).map_err(|error| HashingError::Failed(error.to_string()))
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, HashingError> + Send + 'static,
) -> Result<T, HashingError> {
    let done = tokio::task::spawn_blocking(work).await;
    done.map_err(|error| HashingError::Failed(error.to_string())).and_then(|result| result)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn only_the_password_is_right_and_nobody_has_nobodys() {
        let hashing = Hashing::default();
        let hash = hashing.hash("correct horse".into()).await.unwrap();
        assert!(hash.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{hash}");
        assert!(hashing.is_right("correct horse".into(), Some(hash.clone())).await.unwrap());
        assert!(!hashing.is_right("correct horsf".into(), Some(hash)).await.unwrap());
        assert!(!hashing.is_right("nobody has this password".into(), None).await.unwrap());
        assert!(hashing.is_right("x".into(), Some("plain".into())).await.is_err());
    }

    #[test]
    fn short_long_and_obvious_passwords_are_refused() {
        let anna: UserName = "anna.long@name".parse().unwrap();
        assert_eq!(check(&anna, "123456789"), Err(PasswordError::Short));
        assert_eq!(check(&anna, "äöüäöüäöüä"), Ok(()));
        assert_eq!(check(&anna, &"x".repeat(257)), Err(PasswordError::Long));
        assert_eq!(check(&anna, "Anna.Long@Name"), Err(PasswordError::Name));
    }
}
