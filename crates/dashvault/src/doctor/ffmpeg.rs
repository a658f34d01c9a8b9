//! Is ffmpeg here, can it encode what the recorder asks for, and which cameras does it see?

use std::{path::Path, time::Duration};

use dashvault_process::{Command, Exchange};

use super::Check;

const PATIENCE: Duration = Duration::from_secs(15);
const INSTALL: &str = "install it (apt-get install ffmpeg), or give its path with --ffmpeg; a recorder needs it, and a \
                       vault for MP4 clips, thumbnails and imports";

/// Checks version, encoders and devices.
pub(super) fn check(ffmpeg: &Path) -> Vec<Check> {
    let Some(version) = ask(ffmpeg, &["-hide_banner", "-version"]) else {
        let found = format!("{} cannot be run", ffmpeg.display());
        return vec![Check::fail("ffmpeg", found, INSTALL)];
    };
    let mut checks = vec![Check::ok("ffmpeg", first_line(&version))];
    checks.extend(encoders(ffmpeg));
    #[cfg(feature = "recorder")]
    checks.extend(devices(ffmpeg));
    checks
}

/// Tries each with a few frames: one that is compiled in may still lack its hardware.
fn encoders(ffmpeg: &Path) -> Vec<Check> {
    let mut checks = vec![trial(
        ffmpeg,
        "libx264",
        &["-f", "lavfi", "-i", "testsrc2=size=320x240:rate=30", "-c:v", "libx264"],
    )];
    checks.push(trial(ffmpeg, "aac", &["-f", "lavfi", "-i", "sine", "-c:a", "aac", "-t", "0.2"]));
    #[cfg(feature = "recorder")]
    checks.push(hardware(ffmpeg));
    checks
}

fn trial(ffmpeg: &Path, encoder: &str, args: &[&str]) -> Check {
    let name = format!("encoder {encoder}");
    let words = ["-hide_banner", "-loglevel", "error", "-nostdin"];
    let end: &[&str] =
        if encoder == "aac" { &["-f", "null", "-"] } else { &["-frames:v", "5", "-f", "null", "-"] };
    let command = Command::new(ffmpeg).args(words).args(args).args(end);
    match command.run_blocking(Exchange::new().timeout(PATIENCE)) {
        Ok(output) if output.exit.success() => Check::ok(name, "works"),
        Ok(output) => Check::fail(
            name,
            first_line(&String::from_utf8_lossy(&output.stderr)),
            "install an ffmpeg that has it",
        ),
        Err(error) => Check::fail(name, error.to_string(), INSTALL),
    }
}

#[cfg(feature = "recorder")]
fn hardware(ffmpeg: &Path) -> Check {
    use dashvault_recorder::capture::{Platform, encoder_trial, hardware_encoders};

    let works = |encoder: &str| {
        let command = Command::new(ffmpeg).args(encoder_trial(encoder));
        command.run_blocking(Exchange::new().timeout(PATIENCE)).is_ok_and(|output| output.exit.success())
    };
    let candidates = hardware_encoders(Platform::current());
    let working: Vec<&str> = candidates
        .iter()
        .filter(|(_, device)| device.is_empty() || Path::new(device).exists())
        .map(|(encoder, _)| *encoder)
        .filter(|encoder| works(encoder))
        .collect();
    match working.first() {
        Some(_) => Check::ok("hardware", format!("{} (the first is used)", working.join(", "))),
        None => Check::ok("hardware", "no hardware encoder works here; libx264 is used"),
    }
}

#[cfg(feature = "recorder")]
fn devices(ffmpeg: &Path) -> Vec<Check> {
    use dashvault_recorder::capture::{DeviceKind, Platform, list_commands, parse_devices};

    let mut devices = Vec::new();
    for (args, format) in list_commands(Platform::current()) {
        // Listing exits with an error on some systems: what it wrote counts.
        if let Ok(output) = Command::new(ffmpeg).args(args).run_blocking(Exchange::new().timeout(PATIENCE)) {
            let text = [output.stdout.as_slice(), output.stderr.as_slice()].concat();
            devices.extend(parse_devices(format, &String::from_utf8_lossy(&text)));
        }
    }
    let told = |kind| -> Vec<String> {
        let of_kind = devices.iter().filter(|device| device.kind == kind);
        of_kind.map(|device| format!("{} ({})", device.name, device.label)).collect()
    };
    let (cameras, microphones) = (told(DeviceKind::Camera), told(DeviceKind::Microphone));
    vec![
        match cameras.is_empty() {
            true => Check::warn(
                "cameras",
                "none found",
                "plug one in (and add this user to the group video), or record rtsp://…, file:… or test",
            ),
            false => Check::ok(
                "cameras",
                format!("{}; record one with --camera NAME=device:…", cameras.join(", ")),
            ),
        },
        match microphones.is_empty() {
            true => {
                Check::warn("microphones", "none found", "without one, device cameras are recorded silent")
            }
            false => Check::ok("microphones", microphones.join(", ")),
        },
    ]
}

/// What it says, where it runs and ends well.
fn ask(ffmpeg: &Path, args: &[&str]) -> Option<String> {
    let output = Command::new(ffmpeg).args(args).run_blocking(Exchange::new().timeout(PATIENCE)).ok()?;
    output.exit.success().then(|| String::from_utf8_lossy(&output.stdout).into_owned())
}

fn first_line(text: &str) -> String {
    text.lines().next().unwrap_or("it failed without a word").trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::Verdict;

    #[test]
    fn missing_ffmpeg_fails_and_says_how_to_install_it() {
        let checks = check(Path::new("/nowhere/ffmpeg"));
        assert_eq!(checks.len(), 1);
        assert_eq!(checks[0].verdict, Verdict::Fail);
        assert!(checks[0].next.as_ref().unwrap().contains("apt-get install ffmpeg"));
    }
}
