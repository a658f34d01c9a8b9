//! The vault's data folder as the commands of its operator meet it: is it there, was it meant, can it be used.
//!
//! What belongs here: what `device` and `user` share. What does not: what is in the folder (`dashvault-vault`).

use std::path::Path;

use dashvault_base::WallMs;

use crate::{broken_index, failure::Failure};

/// Reading or changing in a folder that is not there is a typing mistake, and must not make one.
pub(crate) fn must_exist(data: &Path) -> Result<(), Failure> {
    if data.is_dir() {
        return Ok(());
    }
    Err(Failure::here(format_args!("there is no data folder {}", data.display())).next("check --data"))
}

/// Whether the data folder will be made. One whose parent is not there either is a typing mistake.
pub(crate) fn is_first_use(data: &Path) -> Result<bool, Failure> {
    if data.is_dir() {
        return Ok(false);
    }
    let parent = data.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    if parent.is_dir() && !data.exists() { Ok(true) } else { must_exist(data).map(|()| false) }
}

/// Tells that a folder was made, in case another one was meant.
pub(crate) fn note_made(data: &Path) {
    eprintln!("note: made {}, a new vault's data folder; is that the one meant?", data.display());
}

/// A failure that comes of the folder or its index.
pub(crate) fn unusable(error: impl std::error::Error + Send + Sync + 'static, data: &Path) -> Failure {
    let next = broken_index::advice(&error, data);
    let otherwise = || "check that --data is a folder that this user may write".to_owned();
    Failure::from(error).next(next.unwrap_or_else(otherwise))
}

/// A time to the minute, for lists.
pub(crate) fn show_wall(wall: WallMs) -> String {
    let (year, month, day, hour, minute, _) = wall.civil();
    format!("{year:04}-{month:02}-{day:02} {hour:02}:{minute:02} UTC")
}
