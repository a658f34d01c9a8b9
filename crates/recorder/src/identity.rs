//! The signing seed of a recorder that has no token: made once, kept in its spool.
//!
//! Belongs here: that file. Not here: the seed that follows from a token (`dashvault-wire`).

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::path::Path;

const FILE: &str = "identity";

/// Reads the seed, making it where there is none. Returns after it is durable.
pub(crate) fn seed(spool: &Path) -> io::Result<[u8; 32]> {
    let path = spool.join(FILE);
    match fs::read(&path) {
        Ok(bytes) => {
            let wrong = |_| {
                io::Error::new(io::ErrorKind::InvalidData, format!("{} has not 32 bytes", path.display()))
            };
            bytes.try_into().map_err(wrong)
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => make(spool, &path),
        Err(error) => Err(error),
    }
}

fn make(spool: &Path, path: &Path) -> io::Result<[u8; 32]> {
    let mut seed = [0; 32];
    getrandom::fill(&mut seed).map_err(io::Error::other)?;
    fs::create_dir_all(spool)?;
    let temporary = spool.join(format!(".{FILE}.tmp"));
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(&temporary)?;
    file.write_all(&seed)?;
    file.sync_all()?;
    fs::rename(&temporary, path)?;
    Ok(seed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seed_is_made_once_and_a_torn_one_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let first = seed(folder.path()).unwrap();
        assert_eq!(seed(folder.path()).unwrap(), first);
        fs::write(folder.path().join(FILE), b"short").unwrap();
        assert!(seed(folder.path()).is_err());
    }
}
