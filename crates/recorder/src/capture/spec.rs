//! A camera's setting: `name=source[,key=value…]`, parsed.
//!
//! Belongs here: the setting's grammar. Not here: the command it leads to (`command`).
//!
//! ```text
//! front=test                                  a test picture with a clock, and a tone
//! rear=file:PATH                              a file, looped, in real time
//! gate=rtsp://HOST/…  or http(s)://…          a network camera
//! cabin=device[:NAME][,audio=NAME|none]       the platform's camera and microphone
//! options: size=1280x720 fps=30 bitrate=2500k crf=23 encoder=auto|copy|libx264|h264_… gop=1
//! ```

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use dashvault_base::{CameraName, IdError};
use serde::{Deserialize, Deserializer};

/// One camera: its name, where its pictures come from, and how they are encoded.
#[derive(Clone, Debug, PartialEq)]
pub struct CameraSpec {
    /// Its name: a folder in the spool, a track in the vault.
    pub name: CameraName,
    /// Where its pictures come from.
    pub source: Source,
    /// How they are encoded.
    pub encode: EncoderOptions,
}

/// Where pictures and sound come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// A test picture with a burned-in clock, and a tone.
    Test,
    /// A file, looped, in real time.
    File(PathBuf),
    /// An RTSP, RTSPS, HTTP or HTTPS address.
    Url(String),
    /// The platform's camera and microphone.
    Device {
        /// The camera's name or path; none: the first.
        video: Option<String>,
        /// The microphone.
        audio: Microphone,
    },
}

/// Which microphone is recorded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Microphone {
    /// The default one where there is one, else none.
    Auto,
    /// No sound.
    None,
    /// The one of this name.
    Named(String),
}

/// How pictures are encoded.
#[derive(Clone, Debug, PartialEq)]
pub struct EncoderOptions {
    /// Which encoder.
    pub encoder: Encoder,
    /// Width and height; none: the source's own (1280×720 for a test picture).
    pub size: Option<(u32, u32)>,
    /// Frames per second; none: the source's own (30 for a test picture or a device).
    pub fps: Option<u32>,
    /// Bits per second; none: by quality, or the hardware's default.
    pub bitrate: Option<u32>,
    /// libx264's quality, 0 (lossless) to 51.
    pub crf: Option<u8>,
    /// Seconds from keyframe to keyframe, and so of a segment.
    pub gop_seconds: f64,
}

/// Which encoder.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Encoder {
    /// `copy` where the source is H.264 or H.265 already, else hardware that works, else libx264.
    #[default]
    Auto,
    /// The source's own bytes.
    Copy,
    /// This ffmpeg encoder.
    Named(String),
}

impl Default for EncoderOptions {
    fn default() -> Self {
        Self { encoder: Encoder::Auto, size: None, fps: None, bitrate: None, crf: None, gop_seconds: 1.0 }
    }
}

/// Why a camera's setting is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SpecError {
    /// No `name=source`.
    #[error("camera {0:?} must be NAME=SOURCE, such as front=test, rear=file:PATH or cabin=device")]
    Form(String),
    /// The name is not valid.
    #[error(transparent)]
    Name(#[from] IdError),
    /// The source is none that is known.
    #[error("source {0:?} must be test, file:PATH, rtsp://…, http://…, https://… or device[:NAME]")]
    Source(String),
    /// An option's value is not valid.
    #[error("{key}={value}: {key} must be {form}")]
    Option {
        /// The option.
        key: &'static str,
        /// Its value.
        value: String,
        /// What it should be.
        form: &'static str,
    },
}

const KEYS: [&str; 7] = ["size", "fps", "bitrate", "crf", "encoder", "gop", "audio"];

impl FromStr for CameraSpec {
    type Err = SpecError;

    fn from_str(text: &str) -> Result<Self, SpecError> {
        let (name, rest) = text.split_once('=').ok_or_else(|| SpecError::Form(shown(text)))?;
        let name = name.trim().parse()?;
        let (source, options) = split_options(rest);
        let mut spec = Self { name, source: parse_source(source)?, encode: EncoderOptions::default() };
        for (key, value) in options {
            spec.set(key, value)?;
        }
        Ok(spec)
    }
}

impl CameraSpec {
    fn set(&mut self, key: &'static str, value: &str) -> Result<(), SpecError> {
        let refused = |form| SpecError::Option { key, value: shown(value), form };
        let encode = &mut self.encode;
        match key {
            "size" => encode.size = Some(parse_size(value).ok_or(refused("WIDTHxHEIGHT, even, 16 to 8192"))?),
            "fps" => encode.fps = Some(ranged(value, 1, 240).ok_or(refused("1 to 240"))?),
            "bitrate" => {
                encode.bitrate = Some(parse_bits(value).ok_or(refused("bits/s, such as 2500k or 4M"))?)
            }
            "crf" => encode.crf = Some(ranged(value, 0, 51).ok_or(refused("0 to 51"))?),
            "gop" => {
                let seconds = value.parse().ok().filter(|seconds| (0.1..=10.0).contains(seconds));
                encode.gop_seconds = seconds.ok_or(refused("0.1 to 10 seconds"))?;
            }
            "encoder" => {
                encode.encoder = parse_encoder(value).ok_or(refused("auto, copy, or an ffmpeg encoder"))?
            }
            _ => match &mut self.source {
                Source::Device { audio, .. } => *audio = parse_microphone(value),
                _ => return Err(refused("left out: only device has a microphone")),
            },
        }
        Ok(())
    }
}

/// Splits at the first `,KEY=` with a known key, so that paths, addresses and values may contain commas.
fn split_options(text: &str) -> (&str, Vec<(&'static str, &str)>) {
    let starts = |rest: &str| KEYS.into_iter().find(|key| is_option(rest, key));
    let cuts: Vec<_> =
        text.match_indices(',').filter_map(|(at, _)| Some((at, starts(&text[at + 1..])?))).collect();
    let ends = cuts.iter().skip(1).map(|(at, _)| *at).chain([text.len()]);
    let options =
        cuts.iter().zip(ends).map(|((at, key), end)| (*key, &text[at + key.len() + 2..end])).collect();
    (&text[..cuts.first().map_or(text.len(), |(at, _)| *at)], options)
}

fn is_option(rest: &str, key: &str) -> bool {
    rest.strip_prefix(key).is_some_and(|rest| rest.starts_with('='))
}

fn parse_source(text: &str) -> Result<Source, SpecError> {
    const SCHEMES: [&str; 4] = ["rtsp://", "rtsps://", "http://", "https://"];
    if text == "test" {
        return Ok(Source::Test);
    }
    if let Some(path) = text.strip_prefix("file:").filter(|path| !path.is_empty()) {
        return Ok(Source::File(PathBuf::from(path)));
    }
    if SCHEMES.iter().any(|scheme| text.len() > scheme.len() && text.starts_with(scheme)) {
        return Ok(Source::Url(text.to_owned()));
    }
    let video = match text.strip_prefix("device") {
        Some("") => None,
        Some(name) if name.len() > 1 && name.starts_with(':') => Some(name[1..].to_owned()),
        _ => return Err(SpecError::Source(shown(text))),
    };
    Ok(Source::Device { video, audio: Microphone::Auto })
}

fn parse_encoder(text: &str) -> Option<Encoder> {
    match text {
        "auto" => Some(Encoder::Auto),
        "copy" => Some(Encoder::Copy),
        name => {
            let allowed = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
            let valid = !name.is_empty() && name.len() <= 40 && name.bytes().all(allowed);
            valid.then(|| Encoder::Named(name.to_owned()))
        }
    }
}

fn parse_microphone(text: &str) -> Microphone {
    match text {
        "auto" | "" => Microphone::Auto,
        "none" => Microphone::None,
        name => Microphone::Named(name.to_owned()),
    }
}

fn parse_size(text: &str) -> Option<(u32, u32)> {
    let (width, height) = text.split_once('x')?;
    let side = |text| ranged::<u32>(text, 16, 8192).filter(|side| side % 2 == 0);
    Some((side(width)?, side(height)?))
}

fn parse_bits(text: &str) -> Option<u32> {
    let (digits, factor) = match text.as_bytes().last()? {
        b'k' | b'K' => (&text[..text.len() - 1], 1000),
        b'm' | b'M' => (&text[..text.len() - 1], 1_000_000),
        _ => (text, 1),
    };
    digits.parse::<u32>().ok()?.checked_mul(factor).filter(|bits| (10_000..=400_000_000).contains(bits))
}

fn ranged<T: FromStr + PartialOrd>(text: &str, least: T, most: T) -> Option<T> {
    text.parse().ok().filter(|value| least <= *value && *value <= most)
}

/// A text as shown in an error: cut, and without what may be a password in an address.
fn shown(text: &str) -> String {
    text.chars().take(80).collect()
}

impl fmt::Display for Source {
    /// The source for people and logs; an address loses its user and password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Test => f.write_str("test"),
            Self::File(path) => write!(f, "file:{}", path.display()),
            Self::Url(url) => f.write_str(&without_credentials(url)),
            Self::Device { video, .. } => write!(f, "device:{}", video.as_deref().unwrap_or("default")),
        }
    }
}

/// The address without `user:password@`.
pub(crate) fn without_credentials(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else { return url.to_owned() };
    let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    format!("{scheme}://{host}{path}")
}

impl<'de> Deserialize<'de> for CameraSpec {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn spec(text: &str) -> CameraSpec {
        text.parse().unwrap()
    }

    #[test]
    fn each_source_is_told_apart() {
        assert_eq!(spec("front=test").source, Source::Test);
        assert_eq!(spec("rear=file:/a,b=c.mp4").source, Source::File("/a,b=c.mp4".into()));
        assert_eq!(spec("g=rtsp://u:p@h/x?a=1").source, Source::Url("rtsp://u:p@h/x?a=1".into()));
        assert_eq!(spec("c=device").source, Source::Device { video: None, audio: Microphone::Auto });
        let audio = Microphone::Named("hw:1,0".into());
        let named = spec("c=device:/dev/video2,audio=hw:1,0,fps=15");
        assert_eq!(named.source, Source::Device { video: Some("/dev/video2".into()), audio });
    }

    #[test]
    fn options_follow_the_source() {
        let spec =
            spec("f=device:HD Cam,audio=none,size=640x480,fps=15,bitrate=2500k,encoder=h264_v4l2m2m,gop=2");
        assert_eq!(spec.source, Source::Device { video: Some("HD Cam".into()), audio: Microphone::None });
        assert_eq!((spec.encode.size, spec.encode.fps), (Some((640, 480)), Some(15)));
        assert_eq!((spec.encode.bitrate, spec.encode.gop_seconds), (Some(2_500_000), 2.0));
        assert_eq!(spec.encode.encoder, Encoder::Named("h264_v4l2m2m".into()));
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (text, part) in [
            ("front", "NAME=SOURCE"),
            ("../x=test", "camera"),
            ("a=tset", "source"),
            ("a=file:", "source"),
            ("a=test,fps=0", "fps"),
            ("a=test,size=641x480", "size"),
            ("a=test,crf=99", "crf"),
            ("a=test,gop=60", "gop"),
            ("a=test,encoder=x y", "encoder"),
            ("a=test,audio=none", "audio"),
        ] {
            let error = text.parse::<CameraSpec>().unwrap_err().to_string();
            assert!(error.contains(part), "{text}: {error}");
        }
    }

    #[test]
    fn passwords_are_not_shown() {
        assert_eq!(spec("g=rtsp://u:p@h:554/x").source.to_string(), "rtsp://h:554/x");
    }

    proptest! {
        #[test]
        fn no_text_panics(text in "\\PC{0,60}") {
            let _ = text.parse::<CameraSpec>();
            let _ = format!("a={text}").parse::<CameraSpec>();
        }
    }
}
