//! Something real to send: 4 Mbit/s of H.264 in MPEG-TS, made once in a run.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result, ensure};

/// About as long as the measurements of loss take.
const SECONDS: u32 = 20;

/// The stream's rate; the container adds a little.
pub(super) const BITS_PER_SECOND: u64 = 4_000_000;

/// The file in this folder, made if it is not there.
pub(super) fn make(folder: &Path) -> Result<PathBuf> {
    let file = folder.join("footage.ts");
    if file.exists() {
        return Ok(file);
    }
    let source = format!("testsrc2=size=1280x720:rate=30:duration={SECONDS}");
    let done = ffmpeg()
        .args(["-f", "lavfi", "-i", &source, "-c:v", "libx264", "-preset", "ultrafast", "-g", "60"])
        .args(["-b:v", "4M", "-minrate", "4M", "-maxrate", "4M", "-bufsize", "2M"])
        .args(["-x264-params", "nal-hrd=cbr", "-f", "mpegts"])
        .arg(&file)
        .status()
        .context("ffmpeg is needed")?;
    ensure!(done.success(), "ffmpeg made no footage");
    Ok(file)
}

/// Sends the file to an SRT address in real time.
pub(super) fn publish(file: &Path, to: &str) -> Result<Child> {
    let mut command = ffmpeg();
    command.arg("-re").arg("-i").arg(file).args(["-c", "copy", "-f", "mpegts", to]);
    command.stderr(Stdio::null()).spawn().context("ffmpeg is needed")
}

fn ffmpeg() -> Command {
    let mut command = Command::new("ffmpeg");
    command.args(["-nostdin", "-loglevel", "error", "-y"]).stdin(Stdio::null());
    command
}
