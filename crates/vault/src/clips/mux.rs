//! ffmpeg's part: from a film to an MP4 without encoding again.
//!
//! Belongs here: its command line and what its end means. Does not: the film's bytes, the pool.

use std::{
    ffi::OsStr,
    path::{Path, PathBuf},
};

use dashvault_process::{Command, Output, PoolError, RunError, SpawnErrorKind};

use super::job::ClipProblem;

/// Lines of ffmpeg's log that a failed job shows.
const SHOWN_LINES: usize = 3;

/// The command that makes an MP4 at `out` from a transport stream on its standard input.
pub(super) fn command(ffmpeg: &Path, out: &Path, hevc: bool) -> Command {
    let mut command = Command::new(ffmpeg)
        .args(["-hide_banner", "-nostdin", "-v", "error", "-nostats", "-progress", "pipe:2", "-y"])
        .args(["-f", "mpegts", "-i", "pipe:0", "-map", "0:v:0?", "-map", "0:a:0?", "-c", "copy"])
        .args(["-movflags", "+faststart", "-map_metadata", "-1"]);
    if hevc {
        // The name that Apple's players look for.
        command = command.args(["-tag:v", "hvc1"]);
    }
    command.args(["-f", "mp4"]).arg(out).low_priority()
}

/// The command that cuts an MP4 to the very frames by its edit list: `skip_ms` of it are not shown, `keep_ms` are.
pub(super) fn trim_command(ffmpeg: &Path, from: &Path, out: &Path, skip_ms: u64, keep_ms: u64) -> Command {
    let seconds = |ms: u64| format!("{}.{:03}", ms / 1000, ms % 1000);
    Command::new(ffmpeg)
        .args(["-hide_banner", "-nostdin", "-v", "error", "-nostats", "-progress", "pipe:2", "-y"])
        .args(["-ss", &seconds(skip_ms), "-i"])
        .arg(from)
        .args(["-t", &seconds(keep_ms), "-c", "copy", "-movflags", "+faststart", "-map_metadata", "-1"])
        .args(["-f", "mp4"])
        .arg(out)
        .low_priority()
}

/// What a run of ffmpeg came to.
pub(super) fn outcome(result: Result<Output, PoolError>) -> Result<(), ClipProblem> {
    match result {
        Ok(output) if output.exit.success() => Ok(()),
        Ok(output) => {
            let log = String::from_utf8_lossy(&output.stderr);
            let lines: Vec<&str> = log.lines().filter(|line| !line.trim().is_empty()).collect();
            let said = lines[lines.len().saturating_sub(SHOWN_LINES)..].join(" · ");
            Err(ClipProblem::new("ffmpeg", format!("ffmpeg failed ({}): {said}", output.exit)))
        }
        Err(PoolError::Run(RunError::Spawn(error))) if error.kind() == SpawnErrorKind::Operator => {
            Err(no_ffmpeg())
        }
        Err(error) => Err(ClipProblem::new("failed", error.to_string())),
    }
}

/// What there is to say where ffmpeg is not installed.
pub(crate) fn no_ffmpeg() -> ClipProblem {
    let detail = "ffmpeg is not installed on the vault's machine: its operator installs it (Debian: `apt-get install \
                  ffmpeg`); until then a clip of the format `ts` works";
    ClipProblem::new("no-ffmpeg", detail)
}

/// Whether the program is there to be started. Looks at files.
pub(crate) fn ffmpeg_is_there(ffmpeg: &Path) -> bool {
    if ffmpeg.components().count() > 1 {
        return ffmpeg.is_file();
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    folders(&path).any(|folder| folder.join(ffmpeg).is_file())
}

fn folders(path: &OsStr) -> impl Iterator<Item = PathBuf> + '_ {
    std::env::split_paths(path)
}
