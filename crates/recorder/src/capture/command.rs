//! The ffmpeg argument vector that records one camera as MPEG-TS on its standard output.
//!
//! Belongs here: pure composition from a camera's setting and the facts found out about this machine. Not here: finding
//! out (`probe`), running (`crate::camera`).
//!
//! Invariants: `-nostdin` never appears, because the polite stop writes `q`; progress goes to standard error, where the
//! supervisor reads it; keyframes come at a fixed distance wherever we encode.

use std::ffi::OsString;

use super::clock;
use super::device::device_input;
use super::spec::without_credentials;
use super::{CameraSpec, Encoder, EncoderOptions, Source};

/// The operating systems whose cameras are known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Platform {
    /// v4l2, with ALSA or PulseAudio.
    Linux,
    /// AVFoundation.
    MacOs,
    /// DirectShow.
    Windows,
}

impl Platform {
    /// The one this program was built for; other Unixes are taken for Linux.
    #[must_use]
    pub const fn current() -> Self {
        if cfg!(windows) {
            Self::Windows
        } else if cfg!(target_os = "macos") {
            Self::MacOs
        } else {
            Self::Linux
        }
    }
}

/// What was found out about this machine and this source before the command is composed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Facts {
    /// The operating system.
    pub platform: Platform,
    /// Whether ffmpeg can draw text here (it needs the filter and a font).
    pub draws_text: bool,
    /// The encoder that `auto` stands for where pictures are encoded.
    pub best_encoder: String,
    /// The source's video codec, as ffprobe names it, where it was asked.
    pub source_video: Option<String>,
    /// The source's audio codec, as ffprobe names it, where it was asked.
    pub source_audio: Option<String>,
    /// The camera that a device source without a name stands for.
    pub default_camera: Option<String>,
    /// The microphone that `audio=auto` stands for: `alsa:NAME` or `pulse:NAME` on Linux, a name elsewhere.
    pub default_microphone: Option<String>,
}

impl Facts {
    /// Nothing found out: libx264, no text, no device.
    #[must_use]
    pub fn unknown(platform: Platform) -> Self {
        Self {
            platform,
            draws_text: false,
            best_encoder: "libx264".to_owned(),
            source_video: None,
            source_audio: None,
            default_camera: None,
            default_microphone: None,
        }
    }
}

/// What to run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CaptureCommand {
    /// ffmpeg's arguments.
    pub args: Vec<OsString>,
    /// Words that must not be shown, such as the user and password in an address.
    pub secrets: Vec<String>,
    /// The encoder in use, or `copy`.
    pub encoder: String,
}

/// Composes the command.
#[must_use]
pub fn capture_command(spec: &CameraSpec, facts: &Facts) -> CaptureCommand {
    let encoder = encoder_for(spec, facts);
    let mut args = Args::default();
    args.words("-hide_banner -loglevel warning -nostats -stats_period 2 -progress pipe:2");
    let inputs = match &spec.source {
        Source::Test => test_input(&mut args, &spec.encode, facts.draws_text),
        Source::File(path) => {
            args.words("-stream_loop -1 -re -i").push(path.clone());
            Inputs::One
        }
        Source::Url(url) => url_input(&mut args, url),
        Source::Device { video, audio } => {
            device_input(&mut args, video.as_deref(), audio, &spec.encode, facts)
        }
    };
    args.words(inputs.map());
    video_output(&mut args, spec, &encoder);
    audio_output(&mut args, spec, facts, &encoder);
    args.words("-max_muxing_queue_size 1024 -f mpegts -flush_packets 1 -muxdelay 0 -muxpreload 0");
    // Tables are repeated at every keyframe anyway; ten more a second would be 0.5 % of a small stream.
    args.words("-pat_period 1 -sdt_period 5 pipe:1");
    CaptureCommand { args: args.0, secrets: secrets(&spec.source), encoder }
}

/// Which inputs the outputs are mapped from.
#[derive(Clone, Copy)]
pub(super) enum Inputs {
    /// One, which may or may not have sound.
    One,
    /// Pictures from the first, sound from the second.
    Two,
    /// One without sound.
    Silent,
}

impl Inputs {
    const fn map(self) -> &'static str {
        match self {
            Self::One => "-map 0:v:0 -map 0:a:0?",
            Self::Two => "-map 0:v:0 -map 1:a:0",
            Self::Silent => "-map 0:v:0",
        }
    }
}

/// An argument vector under construction.
#[derive(Default)]
pub(super) struct Args(Vec<OsString>);

impl Args {
    /// Adds each word of `text`; for constants and numbers, which contain no spaces.
    pub(super) fn words(&mut self, text: impl AsRef<str>) -> &mut Self {
        self.0.extend(text.as_ref().split_ascii_whitespace().map(OsString::from));
        self
    }

    /// Adds one argument as it is.
    pub(super) fn push(&mut self, arg: impl Into<OsString>) -> &mut Self {
        self.0.push(arg.into());
        self
    }
}

fn encoder_for(spec: &CameraSpec, facts: &Facts) -> String {
    let copyable = matches!(facts.source_video.as_deref(), Some("h264" | "hevc"));
    let untouched = spec.encode.size.is_none() && spec.encode.fps.is_none();
    match (&spec.encode.encoder, &spec.source) {
        (Encoder::Named(name), _) => name.clone(),
        // A test picture has no bytes to copy.
        (Encoder::Copy, Source::File(_) | Source::Url(_) | Source::Device { .. }) => "copy".to_owned(),
        (Encoder::Auto, Source::Url(_)) if copyable && untouched => "copy".to_owned(),
        _ => facts.best_encoder.clone(),
    }
}

fn test_input(args: &mut Args, encode: &EncoderOptions, draws_text: bool) -> Inputs {
    let (width, height) = encode.size.unwrap_or((1280, 720));
    let fps = encode.fps.unwrap_or(30);
    let mut picture = format!("testsrc2=size={width}x{height}:rate={fps}");
    if draws_text {
        let size = (height / 18).max(12);
        picture += &format!(
            ",drawtext=text=%{{localtime}}:fontsize={size}:fontcolor=white:box=1:boxcolor=black@0.6:x={size}:y=h-2*{size}"
        );
    }
    picture += &clock::overlay(width, height, fps);
    // What waits to be encoded shows an older time than a camera's picture would: eight frames by default.
    args.words("-thread_queue_size 1 -re -f lavfi -i").push(picture);
    args.words("-thread_queue_size 1 -re -f lavfi -i sine=frequency=440:sample_rate=48000");
    Inputs::Two
}

fn url_input(args: &mut Args, url: &str) -> Inputs {
    if url.starts_with("rtsp") {
        args.words("-rtsp_transport tcp");
    } else {
        // Microseconds without a byte; RTSP's option of that meaning was renamed between versions, so there the stall
        // watchdog alone ends a silent camera.
        args.words("-rw_timeout 15000000");
    }
    args.words("-thread_queue_size 512 -i").push(url);
    Inputs::One
}

fn video_output(args: &mut Args, spec: &CameraSpec, encoder: &str) {
    let encode = &spec.encode;
    args.words("-c:v").push(encoder);
    if encoder == "copy" {
        // Cameras may send their parameter sets only when asked; every segment has to be playable by itself.
        if matches!(&spec.source, Source::Url(url) if url.starts_with("rtsp")) {
            args.words("-bsf:v dump_extra=freq=keyframe");
        }
        return;
    }
    if encoder == "libx264" {
        args.words("-preset veryfast -tune zerolatency");
    }
    if !encoder.ends_with("_vaapi") {
        args.words("-pix_fmt").push(pixel_format(encoder));
    }
    if let (Some((width, height)), false) = (encode.size, matches!(spec.source, Source::Test)) {
        args.words("-vf").push(format!("scale={width}:{height}"));
    }
    if let (Some(fps), false) = (encode.fps, matches!(spec.source, Source::Test)) {
        args.words(format!("-r {fps}"));
    }
    keyframes(args, spec, encoder);
    quality(args, encode, encoder);
}

fn keyframes(args: &mut Args, spec: &CameraSpec, encoder: &str) {
    let seconds = spec.encode.gop_seconds;
    let own = matches!(spec.source, Source::Test | Source::Device { .. }).then_some(30);
    match spec.encode.fps.or(own) {
        Some(fps) => {
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "1 to 2400 frames")]
            let frames = (f64::from(fps) * seconds).round().max(1.0) as u32;
            args.words(format!("-g {frames}"));
            if encoder == "libx264" {
                args.words(format!("-keyint_min {frames}"));
            }
        }
        None => {
            args.words("-g 600 -force_key_frames").push(format!("expr:gte(t,n_forced*{seconds})"));
        }
    }
    if encoder == "libx264" {
        args.words("-sc_threshold 0");
    }
}

fn quality(args: &mut Args, encode: &EncoderOptions, encoder: &str) {
    match (encode.bitrate, encode.crf) {
        (Some(bits), _) => {
            args.words(format!("-b:v {bits} -maxrate {bits} -bufsize {bits}"));
        }
        (None, Some(crf)) if encoder == "libx264" => {
            args.words(format!("-crf {crf}"));
        }
        (None, None) if encoder == "libx264" => {}
        // Hardware encoders without a rate default to a few hundred kbit/s.
        _ => {
            args.words("-b:v 4000000");
        }
    }
}

fn audio_output(args: &mut Args, spec: &CameraSpec, facts: &Facts, encoder: &str) {
    let copies = encoder == "copy" && facts.source_audio.as_deref() == Some("aac");
    args.words(if copies { "-c:a copy" } else { "-c:a aac -b:a 128k" });
    if matches!(spec.source, Source::Device { .. }) {
        // A microphone's clock is not the camera's.
        args.words("-af aresample=async=1000");
    }
}

fn pixel_format(encoder: &str) -> &'static str {
    if encoder.ends_with("_qsv") || encoder.ends_with("_mf") { "nv12" } else { "yuv420p" }
}

fn secrets(source: &Source) -> Vec<String> {
    let Source::Url(url) = source else { return Vec::new() };
    let bare = without_credentials(url);
    if bare == *url {
        return Vec::new();
    }
    let authority = url.split_once("://").map_or("", |(_, rest)| rest);
    let credentials =
        authority.split('/').next().and_then(|host| host.rsplit_once('@')).map_or("", |(c, _)| c);
    let password = credentials.split_once(':').map_or("", |(_, password)| password);
    [credentials, password].into_iter().filter(|word| !word.is_empty()).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests;
