//! The platform's camera and microphone as ffmpeg inputs.
//!
//! Belongs here: v4l2 with ALSA or PulseAudio, AVFoundation, DirectShow. Not here: which devices there are (`list`).

use super::command::{Args, Facts, Inputs, Platform};
use super::{EncoderOptions, Microphone};

/// A microphone on Linux, with the system it belongs to.
#[derive(Debug, PartialEq, Eq)]
enum LinuxAudio<'a> {
    Alsa(&'a str),
    Pulse(&'a str),
}

/// Adds the inputs; without a microphone, video alone.
pub(super) fn device_input(
    args: &mut Args,
    video: Option<&str>,
    audio: &Microphone,
    encode: &EncoderOptions,
    facts: &Facts,
) -> Inputs {
    let video = video.or(facts.default_camera.as_deref());
    let audio = match audio {
        Microphone::None => None,
        Microphone::Named(name) => Some(name.as_str()),
        Microphone::Auto => facts.default_microphone.as_deref(),
    };
    match facts.platform {
        Platform::Linux => linux(args, video.unwrap_or("/dev/video0"), audio, encode),
        Platform::MacOs => macos(args, video.unwrap_or("0"), audio, encode),
        Platform::Windows => windows(args, video.unwrap_or("Integrated Camera"), audio, encode),
    }
}

fn linux(args: &mut Args, video: &str, audio: Option<&str>, encode: &EncoderOptions) -> Inputs {
    args.words("-thread_queue_size 64 -f v4l2");
    // Wall clock: some drivers stamp frames with the boot clock, ALSA with another.
    picture_format(args, encode).words("-timestamps abs -i").push(video);
    let Some(audio) = audio else { return Inputs::Silent };
    match linux_audio(audio) {
        LinuxAudio::Alsa(name) => args.words("-thread_queue_size 1024 -f alsa -i").push(name),
        LinuxAudio::Pulse(name) => args.words("-thread_queue_size 1024 -f pulse -i").push(name),
    };
    Inputs::Two
}

fn linux_audio(name: &str) -> LinuxAudio<'_> {
    if let Some(name) = name.strip_prefix("pulse:") {
        LinuxAudio::Pulse(name)
    } else if name.contains("alsa_input.") {
        // PulseAudio names its sources after the ALSA card below them.
        LinuxAudio::Pulse(name)
    } else {
        LinuxAudio::Alsa(name.strip_prefix("alsa:").unwrap_or(name))
    }
}

fn macos(args: &mut Args, video: &str, audio: Option<&str>, encode: &EncoderOptions) -> Inputs {
    args.words("-thread_queue_size 512 -f avfoundation");
    picture_format(args, encode).words("-i").push(format!("{video}:{}", audio.unwrap_or("none")));
    if audio.is_some() { Inputs::One } else { Inputs::Silent }
}

fn windows(args: &mut Args, video: &str, audio: Option<&str>, encode: &EncoderOptions) -> Inputs {
    args.words("-thread_queue_size 512 -rtbufsize 64M -f dshow");
    picture_format(args, encode).words("-i").push(match audio {
        Some(audio) => format!("video={video}:audio={audio}"),
        None => format!("video={video}"),
    });
    if audio.is_some() { Inputs::One } else { Inputs::Silent }
}

fn picture_format<'a>(args: &'a mut Args, encode: &EncoderOptions) -> &'a mut Args {
    args.words(format!("-framerate {}", encode.fps.unwrap_or(30)));
    if let Some((width, height)) = encode.size {
        args.words(format!("-video_size {width}x{height}"));
    }
    args
}
