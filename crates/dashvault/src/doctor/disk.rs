//! Is the disk fast enough, and is there room?
//!
//! Writes a test file as the spool writes segments (append, fdatasync), and removes it.

use std::{
    fs::{File, OpenOptions},
    io::{self, Write},
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use dashvault_disk::{Disk, OsDisk};

use super::Check;
use crate::units::show_bytes;

/// About a second of one 1080p camera.
const SEGMENT_BYTES: usize = 1 << 20;
const SEGMENTS: usize = 16;
/// Above this, several cameras' segments queue up.
const SLOW_SYNC: Duration = Duration::from_millis(500);
/// Below this, one 1080p camera is too much.
const TOO_SLOW_BYTES: f64 = 2e6;
const BY_HAND: &str = "check the disk by hand (df -h)";
const LOW_SPACE: u64 = 2 << 30;

/// Measures the disk of the spool, or of the folder for temporary files.
pub(super) fn check(spool: Option<&Path>) -> Vec<Check> {
    let folder = match spool {
        Some(spool) => existing_ancestor(spool),
        None => std::env::temp_dir(),
    };
    vec![speed(&folder), space(&folder)]
}

/// The spool need not exist yet; the folder it will be made in does.
fn existing_ancestor(path: &Path) -> PathBuf {
    path.ancestors().find(|path| path.is_dir()).map_or_else(|| PathBuf::from("."), Path::to_owned)
}

fn speed(folder: &Path) -> Check {
    let path = folder.join(format!(".dashvault-doctor-{}", std::process::id()));
    let measured = measure(&path);
    // Whatever happened, nothing stays.
    let _ = std::fs::remove_file(&path);
    let at = folder.display();
    match measured {
        Err(error) => Check::fail(
            "disk speed",
            format!("{at} cannot be written: {error}"),
            "choose a --spool that this user may write, on a disk with room",
        ),
        Ok((rate, worst)) => {
            let found = format!(
                "{at}: {}/s, longest write and sync of 1 MiB {} ms",
                show_bytes(rate as u64),
                worst.as_millis()
            );
            if rate < TOO_SLOW_BYTES {
                Check::fail("disk speed", found, "use a faster disk: footage would be lost (cause overflow)")
            } else if worst > SLOW_SYNC {
                Check::warn(
                    "disk speed",
                    found,
                    "use a faster disk, or raise --disk-queue for several cameras",
                )
            } else {
                Check::ok("disk speed", found)
            }
        }
    }
}

/// Bytes a second, and the longest that one segment took.
fn measure(path: &Path) -> io::Result<(f64, Duration)> {
    let mut file: File = OpenOptions::new().write(true).create_new(true).open(path)?;
    // No compressible zeros: some disks are fast only with those.
    let segment: Vec<u8> =
        (0..SEGMENT_BYTES as u64).map(|i| (i.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 56) as u8).collect();
    let start = Instant::now();
    let mut worst = Duration::ZERO;
    for _ in 0..SEGMENTS {
        let before = Instant::now();
        file.write_all(&segment)?;
        file.sync_data()?;
        worst = worst.max(before.elapsed());
    }
    let seconds = start.elapsed().as_secs_f64().max(1e-6);
    Ok(((SEGMENT_BYTES * SEGMENTS) as f64 / seconds, worst))
}

fn space(folder: &Path) -> Check {
    match OsDisk.space(folder) {
        Err(error) => Check::warn("disk space", format!("unknown: {error}"), BY_HAND),
        Ok(None) => Check::warn("disk space", "unknown: this system does not tell", BY_HAND),
        Ok(Some(space)) => {
            let free = space.free_bytes;
            let found = format!("{} free", show_bytes(free));
            if free < LOW_SPACE {
                Check::warn("disk space", found, "make room: a 1080p camera needs about 1 GB an hour or more")
            } else {
                Check::ok("disk space", found)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spool_that_does_not_exist_yet_is_measured_where_it_will_be_and_left_clean() {
        let dir = tempfile::tempdir().unwrap();
        let checks = check(Some(&dir.path().join("not/yet")));
        assert_eq!(checks.len(), 2);
        assert!(checks[0].found.contains(&dir.path().display().to_string()), "{}", checks[0]);
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
    }
}
