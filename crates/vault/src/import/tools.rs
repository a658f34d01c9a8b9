//! The command lines of ffprobe and ffmpeg, and what their ends mean.
//!
//! Pure. A file comes from anywhere: only files and only containers that hold footage are read, so that a playlist or a
//! script under a film's name reaches nothing else.

use std::{path::Path, time::Duration};

use dashvault_process::{Command, CommunicateError, Output, PoolError, RunError, SpawnErrorKind};

use super::place::{Picked, Probe};

/// What a foreign file may be.
const CONTAINERS: &str = "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,mpegts,mpeg";
/// How long one of the tools may take.
pub(crate) const PATIENCE: Duration = Duration::from_secs(12 * 3600);
/// Lines of ffmpeg's complaint that are passed on.
const TOLD_LINES: usize = 3;
const TOLD_BYTES: usize = 600;

/// Why a file cannot be imported: a stable code, and what to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Problem {
    pub(crate) code: &'static str,
    pub(crate) detail: String,
}

/// How a tool's run ended.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Ran {
    /// Well; what it printed.
    Well(Vec<u8>),
    /// Not for this file.
    Badly(Problem),
    /// Not now: the job was cancelled, or the vault stops.
    Cancelled,
}

impl Problem {
    pub(crate) fn new(code: &'static str, detail: impl Into<String>) -> Self {
        Self { code, detail: detail.into() }
    }

    pub(crate) fn no_video() -> Self {
        Self::new("no-video", "there is no moving picture in the file")
    }
}

/// Asks what a file is.
pub(crate) fn probe(file: &Path) -> Command {
    nice("ffprobe")
        .args(["-hide_banner", "-loglevel", "error", "-protocol_whitelist", "file"])
        .args(["-format_whitelist", CONTAINERS, "-show_format", "-show_streams", "-of", "json", "-i"])
        .arg(file)
}

/// Makes a transport stream of a file, copying what may be copied unless `transcode`.
pub(crate) fn remux(file: &Path, probe: &Probe, transcode: bool, to: &Path) -> Option<Command> {
    let video = probe.video()?;
    let audio = probe.audio();
    let copies = |picked: &Picked| picked.can_copy && !transcode;
    let mut command = nice("ffmpeg")
        .args(["-hide_banner", "-nostdin", "-loglevel", "error", "-y", "-protocol_whitelist", "file"])
        .args(["-format_whitelist", CONTAINERS, "-fflags", "+genpts", "-i"])
        .arg(file)
        .args(["-map", &format!("0:{}", video.index)]);
    if let Some(audio) = &audio {
        command = command.args(["-map", &format!("0:{}", audio.index)]);
    }
    command = command.args(["-sn", "-dn", "-map_metadata", "-1", "-map_chapters", "-1"]);
    command = if copies(&video) {
        command.args(["-c:v", "copy"])
    } else {
        command
            .args(["-c:v", "libx264", "-preset", "veryfast", "-crf", "20", "-pix_fmt", "yuv420p"])
            .args(["-vf", "pad=ceil(iw/2)*2:ceil(ih/2)*2", "-threads", "1"])
            .args(["-force_key_frames", "expr:gte(t,n_forced)", "-sc_threshold", "0"])
    };
    if let Some(audio) = audio {
        let words: &[&str] =
            if copies(&audio) { &["-c:a", "copy"] } else { &["-c:a", "aac", "-b:a", "128k", "-ac", "2"] };
        command = command.args(words);
    }
    let muxer = ["-max_muxing_queue_size", "4096", "-f", "mpegts", "-muxdelay", "0", "-muxpreload", "0"];
    Some(command.args(muxer).arg(to))
}

/// What the end of a run means.
pub(crate) fn outcome(result: Result<Output, PoolError>) -> Ran {
    let error = match result {
        Ok(output) if output.exit.success() => return Ran::Well(output.stdout),
        Ok(output) => return Ran::Badly(Problem::new("unreadable", complaint(&output.stderr))),
        Err(error) => error,
    };
    match error {
        PoolError::Cancelled => Ran::Cancelled,
        PoolError::Run(RunError::Spawn(error)) if error.kind() == SpawnErrorKind::Operator => Ran::Badly(
            Problem::new("no-tool", "the vault needs ffmpeg and ffprobe; install them and try again"),
        ),
        PoolError::Run(RunError::Communicate(CommunicateError::TimedOut { .. })) => {
            Ran::Badly(Problem::new("too-long", "ffmpeg took too long with the file"))
        }
        PoolError::Run(_) => Ran::Cancelled,
    }
}

/// The last lines that a tool said, without where our files lie and what they are called here.
fn complaint(stderr: &[u8]) -> String {
    let text = String::from_utf8_lossy(stderr);
    let lines: Vec<&str> = text.lines().filter(|line| !line.trim().is_empty()).collect();
    let last = lines.get(lines.len().saturating_sub(TOLD_LINES)..).unwrap_or_default();
    let without_path = |line: &&str| {
        let line = line.rsplit('/').next().unwrap_or(line);
        line.split_once(".part: ").map_or(line, |(_, said)| said).trim().to_owned()
    };
    let mut told = last.iter().map(without_path).collect::<Vec<_>>().join("; ");
    if told.is_empty() {
        told.push_str("ffmpeg cannot read the file");
    }
    told.chars().filter(|c| !c.is_control()).take(TOLD_BYTES).collect()
}

/// Work that gives way to everything else.
fn nice(program: &str) -> Command {
    if cfg!(unix) { Command::new("nice").args(["-n", "15", program]) } else { Command::new(program) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(video: &str, audio: &str, transcode: bool) -> String {
        let json = format!(
            r#"{{"streams":[{{"index":0,"codec_type":"video","codec_name":"{video}"}},
                {{"index":1,"codec_type":"audio","codec_name":"{audio}"}}]}}"#
        );
        let probe = Probe::read(json.as_bytes()).unwrap();
        let command = remux(Path::new("a.part"), &probe, transcode, Path::new("a.ts")).unwrap();
        let words: Vec<_> = command.arguments().iter().map(|word| word.to_string_lossy()).collect();
        words.join(" ")
    }

    #[test]
    fn what_may_be_copied_is_copied_and_the_rest_is_not() {
        let copied = words("h264", "aac", false);
        assert!(copied.contains("-c:v copy -c:a copy") && copied.ends_with("a.ts"), "{copied}");
        let mixed = words("mpeg4", "mp3", false);
        assert!(mixed.contains("-c:v libx264") && mixed.contains("-c:a copy"), "{mixed}");
        let sound = words("hevc", "pcm_s16le", false);
        assert!(sound.contains("-c:v copy -c:a aac"), "{sound}");
        let again = words("h264", "aac", true);
        assert!(again.contains("libx264") && again.contains("-c:a aac"), "{again}");
    }

    #[test]
    fn nothing_but_files_and_containers_of_footage_are_read() {
        for words in [words("h264", "aac", false), words("mpeg4", "mp3", true)] {
            let before_input = words.split(" -i ").next().unwrap().to_owned();
            assert!(before_input.contains("-protocol_whitelist file"), "{before_input}");
            assert!(!before_input.contains("hls") && !before_input.contains("concat"), "{before_input}");
        }
    }

    #[test]
    fn a_complaint_is_short_and_names_no_file_of_ours() {
        let text =
            b"a\nb\n/srv/vault/imports/x.part: Invalid data found\n[mov @ 0x1] moov atom not found\n\n";
        assert_eq!(complaint(text), "b; Invalid data found; [mov @ 0x1] moov atom not found");
        assert_eq!(complaint(b""), "ffmpeg cannot read the file");
    }
}
