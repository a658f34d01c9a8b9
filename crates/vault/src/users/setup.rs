//! The one-time code that makes the first administrator, in a file that only the vault's user can read.
//!
//! Invariant: a code lets in only while there are no users; the insert of the first one checks that, not this file.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use crate::keys;

/// Digits that nobody takes for another one (Crockford's base 32).
const DIGITS: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";
const LEN: usize = 20;
const GROUP: usize = 5;

/// Why there is no setup code.
#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    /// Its file cannot be read, written or removed.
    #[error("setup code {} cannot be used", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The system gave no random bytes.
    #[error("the system gave no random bytes for a setup code: {0}")]
    Random(getrandom::Error),
}

/// A code of 100 random bits.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct SetupCode([u8; LEN]);

impl SetupCode {
    /// A new one.
    pub(crate) fn random() -> Result<Self, getrandom::Error> {
        let mut bytes = [0; LEN];
        getrandom::fill(&mut bytes)?;
        Ok(Self(bytes.map(|byte| DIGITS[usize::from(byte % 32)])))
    }

    /// Reads what somebody typed: small letters, gaps and look-alikes are forgiven.
    pub(crate) fn read(text: &str) -> Option<Self> {
        let mut digits =
            text.bytes().filter(|byte| !matches!(byte, b'-' | b' ' | b'\n' | b'\r')).map(|byte| {
                let digit = match byte.to_ascii_uppercase() {
                    b'O' => b'0',
                    b'I' | b'L' => b'1',
                    other => other,
                };
                DIGITS.contains(&digit).then_some(digit)
            });
        let mut code = [0; LEN];
        for place in &mut code {
            *place = digits.next()??;
        }
        digits.next().is_none().then_some(Self(code))
    }

    /// The code in groups of five.
    pub(crate) fn reveal(&self) -> String {
        let groups: Vec<_> = self.0.chunks(GROUP).map(String::from_utf8_lossy).collect();
        groups.join("-")
    }

    /// Whether they are the same; the time it takes says nothing.
    pub(crate) fn is(&self, other: &Self) -> bool {
        blake3::hash(&self.0) == blake3::hash(&other.0)
    }
}

impl std::fmt::Debug for SetupCode {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SetupCode(…)")
    }
}

/// The code in the file, or a new one in a new file. Durable on return.
///
/// # Errors
/// [`SetupError`].
pub(crate) fn load_or_create(path: &Path) -> Result<SetupCode, SetupError> {
    if let Some(code) = load(path)? {
        return Ok(code);
    }
    let code = SetupCode::random().map_err(SetupError::Random)?;
    keys::write_private(path, code.reveal().as_bytes())
        .map_err(|source| SetupError::File { path: path.to_owned(), source })?;
    Ok(code)
}

/// The code in the file, if it is there and whole.
///
/// # Errors
/// [`SetupError::File`].
pub(crate) fn load(path: &Path) -> Result<Option<SetupCode>, SetupError> {
    match fs::read_to_string(path) {
        Ok(text) => Ok(SetupCode::read(&text)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(SetupError::File { path: path.to_owned(), source }),
    }
}

/// Removes the file; one that is gone already is fine.
///
/// # Errors
/// [`SetupError::File`].
pub(crate) fn forget(path: &Path) -> Result<(), SetupError> {
    match fs::remove_file(path) {
        Err(source) if source.kind() != io::ErrorKind::NotFound => {
            Err(SetupError::File { path: path.to_owned(), source })
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_code_is_kept_privately_until_it_is_forgotten() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("setup.code");
        assert!(load(&path).unwrap().is_none());
        let code = load_or_create(&path).unwrap();
        assert!(load_or_create(&path).unwrap().is(&code));
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        }
        forget(&path).unwrap();
        forget(&path).unwrap();
        assert!(!load_or_create(&path).unwrap().is(&code));
    }

    #[test]
    fn a_torn_file_is_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("setup.code");
        fs::write(&path, "ABCDE-").unwrap();
        let code = load_or_create(&path).unwrap();
        assert!(load(&path).unwrap().unwrap().is(&code));
    }

    proptest! {
        #[test]
        fn a_code_is_read_as_people_type_it(bytes in proptest::collection::vec(0usize..32, LEN), small: bool) {
            let text: String = bytes.iter().map(|digit| char::from(DIGITS[*digit])).collect();
            let code = SetupCode::read(&text).unwrap();
            let typed = code.reveal().replace('0', "o").replace('1', "l");
            let typed = if small { typed.to_lowercase() } else { typed.replace('-', " ") };
            prop_assert!(SetupCode::read(&typed).unwrap().is(&code));
            prop_assert!(SetupCode::read(&text[1..]).is_none());
            let longer = text.clone() + "0";
            prop_assert!(SetupCode::read(&longer).is_none());
        }

        #[test]
        fn whatever_is_typed_is_no_panic(text in "\\PC{0,80}") {
            if let Some(code) = SetupCode::read(&text) {
                prop_assert!(SetupCode::read(&code.reveal()).unwrap().is(&code));
            }
        }
    }
}
