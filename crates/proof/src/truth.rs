//! What ffmpeg gave, teed before the recorder saw it, against what the spool's packs hold.

use std::{fs, path::Path};

use anyhow::{Result, ensure};

use crate::compare::{concatenations, files_below};

const PACKET_BYTES: usize = 188;

/// One recording and its truth.
#[derive(Debug)]
pub struct Recorded {
    /// The camera.
    pub camera: String,
    /// The recording.
    pub recording: String,
    /// Bytes of whole packets that ffmpeg gave and no pack holds, at the recording's end.
    pub missing_bytes: usize,
}

/// Finds for each recording of the spool the teed file that it begins, byte for byte.
///
/// # Errors
/// When a recording is the beginning of no teed file: a byte was changed, lost or invented in between.
pub fn match_recordings(spool: &Path, truth: &Path) -> Result<Vec<Recorded>> {
    let teed = files_below(truth)?.iter().map(fs::read).collect::<std::io::Result<Vec<_>>>()?;
    let mut recorded = Vec::new();
    for ((camera, recording), body) in concatenations(spool)? {
        let given = teed.iter().find(|given| given.starts_with(&body));
        ensure!(given.is_some(), "{camera}/{recording} ({} bytes) is not what ffmpeg gave", body.len());
        let whole = given.map_or(0, |given| given.len() / PACKET_BYTES * PACKET_BYTES);
        recorded.push(Recorded { camera, recording, missing_bytes: whole - body.len() });
    }
    Ok(recorded)
}
