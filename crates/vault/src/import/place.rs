//! What a file is, by ffprobe, and where in time it belongs.
//!
//! Pure: text and times come in, values go out.

use std::{collections::HashMap, fmt, str::FromStr};

use dashvault_base::WallMs;
use serde::Deserialize;

use super::names::named_time;

/// Cameras whose clock is not set write times before this.
const NOT_BEFORE: WallMs = WallMs::from_civil(2000, 1, 1, 0, 0, 0);
const DAY_MS: i64 = 86_400_000;

/// What ffprobe says of a file.
#[derive(Debug, Default, Deserialize)]
pub(crate) struct Probe {
    #[serde(default)]
    streams: Vec<Stream>,
    #[serde(default)]
    format: Format,
}

#[derive(Debug, Default, Deserialize)]
struct Format {
    #[serde(default)]
    tags: HashMap<String, String>,
}

#[derive(Debug, Deserialize)]
struct Stream {
    index: u32,
    #[serde(default)]
    codec_name: String,
    #[serde(default)]
    codec_type: String,
    #[serde(default)]
    disposition: HashMap<String, i64>,
    #[serde(default)]
    tags: HashMap<String, String>,
}

/// One stream that is imported.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Picked {
    pub(crate) index: u32,
    /// Its codec may be in a transport stream that every player plays.
    pub(crate) can_copy: bool,
}

/// Which of the sources said when.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TimeSource {
    Said,
    Container,
    Name,
    Upload,
}

/// Where a file lies in time, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Placed {
    pub(crate) at: WallMs,
    pub(crate) source: TimeSource,
    pub(crate) warning: Option<&'static str>,
}

impl Probe {
    /// Reads what ffprobe printed; what it did not say is not there.
    pub(crate) fn read(json: &[u8]) -> Option<Self> {
        serde_json::from_slice(json).ok()
    }

    /// The first moving picture; a cover is none.
    pub(crate) fn video(&self) -> Option<Picked> {
        let is_cover = |stream: &Stream| stream.disposition.get("attached_pic") == Some(&1);
        self.pick("video", &["h264", "hevc"], is_cover)
    }

    /// The first sound.
    pub(crate) fn audio(&self) -> Option<Picked> {
        self.pick("audio", &["aac", "mp3", "ac3"], |_| false)
    }

    fn pick(&self, kind: &str, copied: &[&str], skip: impl Fn(&Stream) -> bool) -> Option<Picked> {
        let of_kind = self.streams.iter().filter(|stream| stream.codec_type == kind && !skip(stream));
        // A stream whose codec is not known cannot be decoded either.
        let mut known =
            of_kind.filter(|stream| !matches!(stream.codec_name.as_str(), "" | "none" | "unknown"));
        let stream = known.next()?;
        let can_copy = copied.contains(&stream.codec_name.as_str());
        Some(Picked { index: stream.index, can_copy })
    }

    /// When the container says that it was made; the most exact tag first.
    fn created(&self) -> impl Iterator<Item = WallMs> {
        let all = || std::iter::once(&self.format.tags).chain(self.streams.iter().map(|stream| &stream.tags));
        let tags = ["com.apple.quicktime.creationdate", "creation_time", "DATE_RECORDED"];
        tags.into_iter().flat_map(move |name| all().filter_map(move |tags| time(tags.get(name)?)))
    }
}

/// Where a file belongs; see the table in `docs/design/import.md`. `zone_ms` is how far east of UTC a time in its name is.
pub(crate) fn place(
    said: Option<WallMs>,
    probe: &Probe,
    name: &str,
    zone_ms: i64,
    uploaded: WallMs,
) -> Placed {
    let found = |at, source| Placed { at, source, warning: None };
    if let Some(at) = said {
        return found(at, TimeSource::Said);
    }
    let is_sane = |at: &WallMs| *at >= NOT_BEFORE && *at <= uploaded.plus_ms(DAY_MS);
    if let Some(at) = probe.created().find(is_sane) {
        return found(at, TimeSource::Container);
    }
    if let Some(named) = named_time(name) {
        let offset_ms = if named.is_utc { 0 } else { zone_ms };
        let at = named.civil.plus_ms(-offset_ms);
        if is_sane(&at) {
            return found(at, TimeSource::Name);
        }
    }
    let warning =
        "neither the file nor its name says when it was recorded; it lies at the time of its upload";
    Placed { at: uploaded, source: TimeSource::Upload, warning: Some(warning) }
}

/// `2026-11-22T10:15:00+0100`, as Apple writes it, has no colon in its offset.
fn time(text: &str) -> Option<WallMs> {
    if let Ok(wall) = text.parse() {
        return Some(wall);
    }
    let (rest, minutes) = text.split_at_checked(text.len().checked_sub(2)?)?;
    format!("{rest}:{minutes}").parse().ok()
}

/// `Z`, `UTC`, `+01:00`, `-0530`: milliseconds east of UTC.
pub(crate) fn zone_ms(text: &str) -> Option<i64> {
    if matches!(text, "Z" | "z" | "UTC" | "utc" | "") {
        return Some(0);
    }
    let noon = WallMs::from_civil(2026, 1, 1, 12, 0, 0);
    time(&format!("2026-01-01T12:00:00{text}")).map(|at| noon.0 - at.0)
}

impl TimeSource {
    const ALL: [Self; 4] = [Self::Said, Self::Container, Self::Name, Self::Upload];

    /// Its name in the index and in JSON.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Said => "said",
            Self::Container => "container",
            Self::Name => "name",
            Self::Upload => "upload",
        }
    }
}

impl fmt::Display for TimeSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for TimeSource {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        Self::ALL.into_iter().find(|source| source.name() == text).ok_or(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: WallMs = WallMs::from_civil(2026, 11, 29, 9, 0, 0);

    fn probe(json: &str) -> Probe {
        Probe::read(json.as_bytes()).unwrap()
    }

    fn created(time: &str) -> Probe {
        probe(&format!(r#"{{"streams":[],"format":{{"tags":{{"creation_time":"{time}"}}}}}}"#))
    }

    #[test]
    fn the_first_picture_that_moves_and_the_first_sound_are_picked() {
        let found = probe(
            r#"{"streams":[
                {"index":0,"codec_type":"video","codec_name":"mjpeg","disposition":{"attached_pic":1}},
                {"index":1,"codec_type":"data","codec_name":"bin_data"},
                {"index":2,"codec_type":"video","codec_name":"hevc"},
                {"index":3,"codec_type":"audio","codec_name":"pcm_s16le"},
                {"index":4,"codec_type":"audio","codec_name":"aac"}],
               "format":{"duration":"10.040000"}}"#,
        );
        assert_eq!(found.video(), Some(Picked { index: 2, can_copy: true }));
        assert_eq!(found.audio(), Some(Picked { index: 3, can_copy: false }));
        assert_eq!(probe("{}").video(), None);
        assert!(Probe::read(b"no JSON").is_none());
    }

    #[test]
    fn what_is_said_goes_before_the_container_before_the_name_before_the_upload() {
        let said = Some(WallMs(5));
        let container = created("2026-11-22T10:15:00.000000Z");
        let name = "20261121_101500.mp4";
        let of = |said, probe: &Probe, name| {
            let placed = place(said, probe, name, 0, NOW);
            (placed.at, placed.source, placed.warning.is_some())
        };
        assert_eq!(of(said, &container, name), (WallMs(5), TimeSource::Said, false));
        let quarter = WallMs::from_civil(2026, 11, 22, 10, 15, 0);
        assert_eq!(of(None, &container, name), (quarter, TimeSource::Container, false));
        let named = (quarter.plus_ms(-DAY_MS), TimeSource::Name, false);
        assert_eq!(of(None, &probe("{}"), name), named);
        assert_eq!(of(None, &probe("{}"), "GX010123.MP4"), (NOW, TimeSource::Upload, true));
    }

    #[test]
    fn times_of_clocks_that_are_not_set_are_not_believed() {
        for wrong in ["1904-01-01T00:00:00Z", "1970-01-01T00:00:00Z", "2036-01-01T00:00:00Z", "yesterday"] {
            assert_eq!(place(None, &created(wrong), "x", 0, NOW).source, TimeSource::Upload, "{wrong}");
        }
    }

    #[test]
    fn a_name_is_in_the_zone_that_was_said_unless_its_kind_is_always_utc() {
        let at = |name| place(None, &probe("{}"), name, zone_ms("+01:00").unwrap(), NOW).at;
        let quarter = WallMs::from_civil(2026, 11, 22, 10, 15, 0);
        assert_eq!(at("20261122_111500.mp4"), quarter);
        assert_eq!(at("PXL_20261122_101500000.mp4"), quarter);
        assert_eq!(zone_ms("-0530"), Some(-(5 * 60 + 30) * 60_000));
        assert_eq!((zone_ms("UTC"), zone_ms("Europe/Berlin"), zone_ms("+1")), (Some(0), None, None));
    }

    #[test]
    fn apples_own_tag_is_read() {
        let apple = r#"{"format":{"tags":{"com.apple.quicktime.creationdate":"2026-11-22T11:15:00+0100",
            "creation_time":"2026-11-22T10:15:09Z"}}}"#;
        let placed = place(None, &probe(apple), "IMG_0001.MOV", 0, NOW);
        assert_eq!(placed.at, WallMs::from_civil(2026, 11, 22, 10, 15, 0));
    }
}
