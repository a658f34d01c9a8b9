//! Finding out what this machine and a source can do, by running ffmpeg.
//!
//! Belongs here: the runs, their time limits, and what is remembered of them. Not here: the commands and the readers of
//! their output (`list`, `command`).

use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use dashvault_process::{Command, Exchange, RunError};

use super::list::parse_streams;
use super::{
    CameraSpec, CaptureCommand, Device, DeviceKind, Encoder, Facts, ListFormat, Microphone, Platform, Source,
    capture_command, encoder_trial, hardware_encoders, list_commands, parse_devices, text_trial,
};

const TIME_LIMIT: Duration = Duration::from_secs(10);

/// Why a camera cannot be started yet.
#[derive(Debug, thiserror::Error)]
pub enum PrepareError {
    /// ffmpeg does not run.
    #[error("cannot run {}; install ffmpeg or name it with --ffmpeg", ffmpeg.display())]
    Ffmpeg {
        /// The program.
        ffmpeg: PathBuf,
        /// Why.
        #[source]
        source: Box<RunError>,
    },
    /// The source gives no pictures.
    #[error("{address} gives no video: {said}")]
    NoVideo {
        /// The source, without its password.
        address: String,
        /// The end of what ffmpeg said.
        said: String,
    },
}

/// Finds out what is needed and composes the command. Blocks for seconds at worst; what holds for the machine is asked
/// once a program.
///
/// # Errors
/// [`PrepareError`]; it is worth another try in all cases.
pub fn prepare(spec: &CameraSpec, ffmpeg: &Path) -> Result<CaptureCommand, PrepareError> {
    let mut facts = Facts::unknown(Platform::current());
    match &spec.source {
        Source::Test => facts.draws_text = machine(ffmpeg)?.draws_text,
        Source::File(_) => {}
        Source::Url(url) => ask_source(url, &spec.source, ffmpeg, &mut facts)?,
        Source::Device { video, audio } => {
            let devices = list_devices(ffmpeg);
            let first = |kind| default_of(&devices, kind);
            facts.default_camera = if video.is_none() { first(DeviceKind::Camera) } else { None };
            facts.default_microphone =
                if *audio == Microphone::Auto { first(DeviceKind::Microphone) } else { None };
        }
    }
    if spec.encode.encoder == Encoder::Auto {
        facts.best_encoder = machine(ffmpeg)?.encoder;
    }
    Ok(capture_command(spec, &facts))
}

/// The cameras and microphones that ffmpeg sees; none where it cannot be asked.
#[must_use]
pub fn list_devices(ffmpeg: &Path) -> Vec<Device> {
    let list = |(args, format): (Vec<&'static str>, ListFormat)| {
        let Ok(output) = run(ffmpeg, args.iter().map(|arg| (*arg).to_owned())) else { return Vec::new() };
        let text = [output.stdout, output.stderr].concat();
        parse_devices(format, &String::from_utf8_lossy(&text))
    };
    list_commands(Platform::current()).into_iter().flat_map(list).collect()
}

/// The H.264 encoders that work here, hardware first: each has really encoded a few frames.
#[must_use]
pub fn working_encoders(ffmpeg: &Path) -> Vec<String> {
    let hardware = hardware_encoders(Platform::current());
    let present = hardware.iter().filter(|(_, device)| device.is_empty() || Path::new(device).exists());
    let candidates = present.map(|(name, _)| *name).chain(["libx264"]);
    candidates.filter(|name| succeeds(ffmpeg, encoder_trial(name))).map(str::to_owned).collect()
}

/// What holds for the machine.
#[derive(Clone, Debug)]
struct Machine {
    ffmpeg: PathBuf,
    encoder: String,
    draws_text: bool,
}

/// Asked once; cameras that start together wait for the first one's answer.
static MACHINE: Mutex<Option<Machine>> = Mutex::new(None);

fn machine(ffmpeg: &Path) -> Result<Machine, PrepareError> {
    let mut known = MACHINE.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(machine) = known.as_ref().filter(|machine| machine.ffmpeg == ffmpeg) {
        return Ok(machine.clone());
    }
    run(ffmpeg, ["-version".to_owned()])
        .map_err(|source| PrepareError::Ffmpeg { ffmpeg: ffmpeg.to_owned(), source: Box::new(source) })?;
    let encoder = working_encoders(ffmpeg).into_iter().next().unwrap_or_else(|| "libx264".to_owned());
    let draws_text = succeeds(ffmpeg, text_trial());
    tracing::info!(encoder, draws_text, "ffmpeg was tried");
    Ok(known.insert(Machine { ffmpeg: ffmpeg.to_owned(), encoder, draws_text }).clone())
}

fn ask_source(url: &str, source: &Source, ffmpeg: &Path, facts: &mut Facts) -> Result<(), PrepareError> {
    let mut args = vec!["-hide_banner".to_owned(), "-nostdin".to_owned()];
    if url.starts_with("rtsp") {
        args.extend(["-rtsp_transport".to_owned(), "tcp".to_owned()]);
    }
    args.extend(["-i".to_owned(), url.to_owned()]);
    // It complains that no output is given; what it says of the input before is all we want.
    let output = run(ffmpeg, args)
        .map_err(|source| PrepareError::Ffmpeg { ffmpeg: ffmpeg.to_owned(), source: Box::new(source) })?;
    let said = String::from_utf8_lossy(&output.stderr);
    (facts.source_video, facts.source_audio) = parse_streams(&said);
    if facts.source_video.is_none() {
        let last = said.lines().rev().find(|line| !line.contains("output file must be")).unwrap_or_default();
        let said = last.replace(url, &source.to_string()).chars().take(200).collect();
        return Err(PrepareError::NoVideo { address: source.to_string(), said });
    }
    Ok(())
}

fn default_of(devices: &[Device], kind: DeviceKind) -> Option<String> {
    let of_kind = || devices.iter().filter(|device| device.kind == kind);
    let default = of_kind().find(|device| device.default).or_else(|| of_kind().next());
    default.map(|device| device.name.clone())
}

fn succeeds(ffmpeg: &Path, args: Vec<String>) -> bool {
    run(ffmpeg, args).is_ok_and(|output| output.exit.success())
}

fn run(ffmpeg: &Path, args: impl IntoIterator<Item = String>) -> Result<dashvault_process::Output, RunError> {
    Command::new(ffmpeg).args(args).run_blocking(Exchange::new().timeout(TIME_LIMIT))
}
