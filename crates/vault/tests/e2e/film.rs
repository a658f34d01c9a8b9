//! Real footage for tests that need pictures, ffmpeg and its stand-ins, and what ffprobe says.

use std::{
    collections::HashMap,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::{Mutex, OnceLock},
};

use crate::rig::{Footage, Rig};

pub(crate) const FRAME_MS: f64 = 1000.0 / 30.0;

/// A test picture with a tone, encoded as a recorder does it; the same bytes for the same arguments.
pub(crate) fn encoded(size: &str, seconds: u32) -> Vec<u8> {
    /// Bytes by size and seconds.
    type Films = Mutex<HashMap<(String, u32), Vec<u8>>>;
    static MADE: OnceLock<Films> = OnceLock::new();
    let mut made = MADE.get_or_init(Mutex::default).lock().unwrap();
    made.entry((size.to_owned(), seconds))
        .or_insert_with(|| {
            let picture =
                format!("-f lavfi -i testsrc2=size={size}:rate=30 -f lavfi -i sine=sample_rate=44100");
            let codec =
                "-c:v libx264 -preset ultrafast -tune zerolatency -pix_fmt yuv420p -g 30 -c:a aac -b:a 128k";
            let arguments = format!("-nostdin -v error {picture} -t {seconds} {codec} -f mpegts pipe:1");
            let output =
                Command::new("ffmpeg").args(arguments.split_whitespace()).stderr(Stdio::inherit()).output();
            output.expect("ffmpeg is installed for the tests").stdout
        })
        .clone()
}

/// A recording of the rig's device with real pictures.
pub(crate) fn footage(rig: &Rig, recording: &str, size: &str, seconds: u32) -> Footage {
    Footage::cut(&rig.device.id, &rig.device.token, recording, &encoded(size, seconds))
}

/// Durations of all streams and the file, in milliseconds.
pub(crate) fn durations_ms(file: &Path) -> Vec<f64> {
    let arguments = ["-v", "error", "-show_entries", "stream=duration:format=duration", "-of", "csv=p=0"];
    let output = Command::new("ffprobe").args(arguments).arg(file).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    // Programmes of a transport stream are empty lines between.
    let seconds = text.lines().map(|line| line.trim_end_matches(',')).filter(|line| !line.is_empty());
    seconds.map(|line| line.parse::<f64>().unwrap() * 1000.0).collect()
}

/// What ffmpeg has to complain of when it decodes a file.
pub(crate) fn complaints(file: &Path) -> String {
    let output = Command::new("ffmpeg")
        .args(["-nostdin", "-v", "error", "-i"])
        .arg(file)
        .args(["-f", "null", "-"])
        .output()
        .unwrap();
    String::from_utf8(output.stderr).unwrap()
}

/// A program to start instead of ffmpeg.
pub(crate) fn stand_in(folder: &Path, script: &str) -> PathBuf {
    let path = folder.join("ffmpeg-stand-in");
    std::fs::write(&path, format!("#!/bin/sh\n{script}\n")).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    path
}
