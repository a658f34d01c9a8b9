//! What an upload says of itself: tus's `Upload-Metadata` and `Upload-Concat`.

use axum::http::HeaderName;
use base64::{Engine, engine::general_purpose::STANDARD};
use dashvault_base::{CameraName, DeviceId, WallMs};

use crate::{http::problem::Refusal, import::place::zone_ms};

pub(super) const UPLOAD_CONCAT: HeaderName = HeaderName::from_static("upload-concat");

/// The longest metadata, in bytes.
const MAX_METADATA_BYTES: usize = 4096;
/// Parts that can be joined.
const MAX_PARTS: usize = 64;
/// The longest file name that is kept, in characters.
const MAX_NAME_CHARS: usize = 255;

/// What is to become of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Target {
    pub(super) device: DeviceId,
    pub(super) camera: CameraName,
    pub(super) options: Options,
}

/// How.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Options {
    pub(super) filename: String,
    pub(super) at: Option<WallMs>,
    /// How far east of UTC times in its name are.
    pub(super) zone_ms: i64,
    pub(super) keep: bool,
}

/// Whether an upload is all of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Concat {
    Whole,
    Partial,
    /// The parts by their ids, in order.
    Final(Vec<String>),
}

impl Target {
    /// Reads `key base64,key base64,…`; keys that are not known are the client's own.
    pub(super) fn parse(metadata: &str) -> Result<Self, Refusal> {
        if metadata.len() > MAX_METADATA_BYTES {
            return Err(Refusal::malformed(format!("Upload-Metadata may have {MAX_METADATA_BYTES} bytes")));
        }
        let (mut device, mut camera, mut options) = (None, None, Options::default());
        for pair in metadata.split(',').map(str::trim).filter(|pair| !pair.is_empty()) {
            let (key, encoded) = pair.split_once(' ').unwrap_or((pair, ""));
            let decoded =
                STANDARD.decode(encoded.trim()).ok().and_then(|bytes| String::from_utf8(bytes).ok());
            let text = decoded
                .ok_or_else(|| Refusal::malformed(format!("Upload-Metadata's {key} is no base64 of text")))?;
            match key {
                "device" => device = Some(text),
                "camera" => camera = Some(text),
                "filename" | "name" => options.filename = text,
                "at" => options.at = Some(time(&text)?),
                "time_zone" => options.zone_ms = zone(&text)?,
                "keep" => options.keep = flag(&text)?,
                _ => {}
            }
        }
        let camera = camera.unwrap_or_else(|| "main".to_owned());
        let missing = || Refusal::malformed("Upload-Metadata must name a `device` (and a `camera`)");
        Self::new(&device.ok_or_else(missing)?, &camera, options)
    }

    /// Checks the names.
    pub(super) fn new(device: &str, camera: &str, mut options: Options) -> Result<Self, Refusal> {
        let device = device.parse().map_err(|_| Refusal::not_found("device"))?;
        let camera = camera.parse().map_err(|_| Refusal::not_found("camera"))?;
        // Of a path only the name says something.
        let name = options.filename.rsplit(['/', '\\']).next().unwrap_or_default();
        options.filename = name.chars().filter(|c| !c.is_control()).take(MAX_NAME_CHARS).collect();
        Ok(Self { device, camera, options })
    }
}

impl Concat {
    /// Reads the header; parts are named by their locations, whole or only the path.
    pub(super) fn parse(header: Option<&str>) -> Result<Self, Refusal> {
        let Some(text) = header else { return Ok(Self::Whole) };
        if text == "partial" {
            return Ok(Self::Partial);
        }
        let wrong =
            || Refusal::malformed("Upload-Concat must be `partial` or `final;` and the parts' locations");
        let parts = text.strip_prefix("final;").ok_or_else(wrong)?;
        let id = |location: &str| location.rsplit('/').next().unwrap_or_default().to_owned();
        let parts: Vec<String> = parts.split_whitespace().map(id).collect();
        let is_possible = !parts.is_empty() && parts.len() <= MAX_PARTS;
        let is_distinct = parts.iter().collect::<std::collections::BTreeSet<_>>().len() == parts.len();
        if is_possible && is_distinct { Ok(Self::Final(parts)) } else { Err(wrong()) }
    }
}

pub(super) fn time(text: &str) -> Result<WallMs, Refusal> {
    text.parse().map_err(|error: dashvault_base::TimeParseError| Refusal::malformed(error.to_string()))
}

pub(super) fn zone(text: &str) -> Result<i64, Refusal> {
    let wrong = || Refusal::malformed("`time_zone` must be an offset such as +01:00, or UTC");
    zone_ms(text).ok_or_else(wrong)
}

fn flag(text: &str) -> Result<bool, Refusal> {
    match text {
        "true" | "1" | "yes" | "" => Ok(true),
        "false" | "0" | "no" => Ok(false),
        _ => Err(Refusal::malformed("`keep` must be true or false")),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn metadata(pairs: &[(&str, &str)]) -> String {
        let pairs = pairs.iter().map(|(key, value)| format!("{key} {}", STANDARD.encode(value)));
        pairs.collect::<Vec<_>>().join(",")
    }

    #[test]
    fn metadata_says_where_when_and_how() {
        let text = metadata(&[
            ("device", "bus"),
            ("filename", "C:\\DCIM\\2026_1122.mp4"),
            ("at", "2026-11-22T10:15:00Z"),
            ("time_zone", "+01:00"),
            ("keep", "true"),
            ("filetype", "video/mp4"),
        ]);
        let target = Target::parse(&text).unwrap();
        let options = Options {
            filename: "2026_1122.mp4".into(),
            at: Some(WallMs::from_civil(2026, 11, 22, 10, 15, 0)),
            zone_ms: 3_600_000,
            keep: true,
        };
        assert_eq!(target, Target::new("bus", "main", options).unwrap());
    }

    #[test]
    fn metadata_that_says_too_little_or_nonsense_is_refused() {
        for wrong in [
            String::new(),
            metadata(&[("camera", "front")]),
            metadata(&[("device", "../x")]),
            metadata(&[("device", "bus"), ("camera", "a/b")]),
            metadata(&[("device", "bus"), ("at", "yesterday")]),
            metadata(&[("device", "bus"), ("time_zone", "Berlin")]),
            "device not-base64!".to_owned(),
            metadata(&[("device", "bus"), ("filename", &"x".repeat(5000))]),
        ] {
            assert!(Target::parse(&wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn parts_are_named_by_url_or_path_each_once() {
        assert_eq!(Concat::parse(None).unwrap(), Concat::Whole);
        assert_eq!(Concat::parse(Some("partial")).unwrap(), Concat::Partial);
        let parts = Concat::parse(Some("final;/api/v1/imports/a http://vault/api/v1/imports/b")).unwrap();
        assert_eq!(parts, Concat::Final(vec!["a".into(), "b".into()]));
        for wrong in ["", "final;", "final", "final;/a /a", "other"] {
            assert!(Concat::parse(Some(wrong)).is_err(), "{wrong}");
        }
    }

    proptest! {
        #[test]
        fn no_header_is_a_panic(text in ".{0,200}") {
            let _ = Target::parse(&text);
            let _ = Concat::parse(Some(&text));
        }
    }
}
