//! The name that somebody signs in with.

use std::{fmt, str::FromStr};

/// 1 to 64 characters of `a-z 0-9 . _ - @`, beginning with a letter or digit; capitals are made small, so that one
/// person has one name.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct UserName(String);

/// The text is no user name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "a user name has 1 to 64 characters of a-z, 0-9, '.', '_', '-' and '@', and begins with a letter or digit"
)]
pub struct UserNameError;

impl UserName {
    /// The longest name, in bytes.
    pub const MAX_BYTES: usize = 64;

    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for UserName {
    type Err = UserNameError;

    fn from_str(text: &str) -> Result<Self, UserNameError> {
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"._-@".contains(&byte);
        let begins = text.bytes().next().is_some_and(|byte| byte.is_ascii_alphanumeric());
        if !begins || text.len() > Self::MAX_BYTES || !text.bytes().all(allowed) {
            return Err(UserNameError);
        }
        Ok(Self(text.to_ascii_lowercase()))
    }
}

impl fmt::Display for UserName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn capitals_make_no_other_user() {
        assert_eq!("Anna.B@Example.org".parse::<UserName>().unwrap().as_str(), "anna.b@example.org");
    }

    #[test]
    fn odd_names_are_refused() {
        for odd in ["", "-anna", ".", "an na", "ánna", "a/b", "a\nb", &"a".repeat(65)] {
            assert_eq!(odd.parse::<UserName>(), Err(UserNameError), "{odd:?}");
        }
    }
}
