//! The vault's own signing key, for packs that no recorder signs. Its file is readable by its owner only.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Read, Write},
    path::{Path, PathBuf},
};

use dashvault_media::SigningKey;

const SEED_BYTES: usize = 32;

/// Why there is no key.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// Its file cannot be read or written.
    #[error("vault key {} cannot be used", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The file is something else.
    #[error("{} is no vault key: it has not {SEED_BYTES} bytes; restore it from a backup", .0.display())]
    Length(PathBuf),
    /// The system gave no random bytes.
    #[error("the system gave no random bytes for the vault's key: {0}")]
    Random(getrandom::Error),
}

/// Reads the key, or makes one at the first start. Durable on return.
pub(crate) fn load_or_create(path: &Path) -> Result<SigningKey, KeyError> {
    let failed = |source| KeyError::File { path: path.to_owned(), source };
    match File::open(path) {
        Ok(file) => {
            let mut seed = Vec::new();
            file.take(SEED_BYTES as u64 + 1).read_to_end(&mut seed).map_err(failed)?;
            let seed = <[u8; SEED_BYTES]>::try_from(seed).map_err(|_| KeyError::Length(path.to_owned()))?;
            Ok(SigningKey::from_seed(seed))
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => create(path),
        Err(error) => Err(failed(error)),
    }
}

fn create(path: &Path) -> Result<SigningKey, KeyError> {
    let mut seed = [0; SEED_BYTES];
    getrandom::fill(&mut seed).map_err(KeyError::Random)?;
    write_private(path, &seed).map_err(|source| KeyError::File { path: path.to_owned(), source })?;
    Ok(SigningKey::from_seed(seed))
}

/// Writes a file that only its owner can read, and makes its name durable: it is there whole or not at all.
pub(crate) fn write_private(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut name = path.as_os_str().to_owned();
    name.push(".tmp~");
    let temporary = PathBuf::from(name);
    let mut file = private_file(&temporary)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(&temporary, path)?;
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(folder)?.sync_all()
}

fn private_file(path: &Path) -> io::Result<File> {
    // A left-over of a crash may have other permissions.
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_key_stays_the_same_and_is_private() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("vault.key");
        let first = load_or_create(&path).unwrap().public_key();
        assert_eq!(load_or_create(&path).unwrap().public_key(), first);
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        }
    }

    #[test]
    fn a_torn_key_is_never_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("vault.key");
        fs::write(&path, b"short").unwrap();
        assert!(matches!(load_or_create(&path), Err(KeyError::Length(_))));
        assert_eq!(fs::read(&path).unwrap(), b"short");
    }
}
