//! What to do about a vault's index that is damaged: it can be made again from the objects.
//!
//! Only damage counts: to move away an index that is merely busy, or on a failing disk, would lose devices for nothing.

use std::{error::Error, path::Path};

/// What SQLite and the index say of a file that is none of theirs any more.
const DAMAGE: [&str; 3] = ["file is not a database", "disk image is malformed", "index has an impossible"];

/// What to do next where `error` comes of a damaged index in `data`.
pub(crate) fn advice(error: &(dyn Error + 'static), data: &Path) -> Option<String> {
    let (mut damaged, mut cause) = (false, Some(error));
    while let Some(error) = cause {
        let told = error.to_string();
        damaged |= DAMAGE.iter().any(|damage| told.contains(damage));
        cause = error.source();
    }
    let data = data.display();
    damaged.then(|| {
        format!(
            "the index is damaged; stop the vault, move {data}/index.sqlite* away, start `dashvault serve` (it takes \
             every pack from the objects again), then run `dashvault device add NAME --token TOKEN --data {data}` for \
             each device, with the token that its recorder has, and `dashvault user add NAME --data {data}` for each user"
        )
    })
}
