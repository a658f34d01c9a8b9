//! From text to a playlist.

use std::collections::HashMap;

/// A media playlist as a player knows it.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Playlist {
    /// `EXT-X-VERSION`.
    pub version: u64,
    /// Seconds.
    pub target_duration: u64,
    /// Seconds; `None` without parts.
    pub part_target: Option<f64>,
    /// The attributes of `EXT-X-SERVER-CONTROL`.
    pub server_control: HashMap<String, String>,
    /// Number of the first segment, skipped ones too.
    pub media_sequence: u64,
    /// Discontinuities before it.
    pub discontinuity_sequence: u64,
    /// Segments that a delta update leaves out.
    pub skipped: u64,
    /// Segments that have ended.
    pub segments: Vec<Segment>,
    /// The segment that has not: what is known of it.
    pub open: Segment,
    /// The URI of the part that is promised.
    pub hint: Option<String>,
    /// It ends here.
    pub ended: bool,
}

/// One segment, or what is known of the open one.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Segment {
    /// Seconds.
    pub duration: f64,
    /// Where it is.
    pub uri: String,
    /// Length and start, where it is a part of a resource.
    pub range: Option<(u64, u64)>,
    /// Unix milliseconds.
    pub program_date_time_ms: Option<i64>,
    /// `EXT-X-DISCONTINUITY` stands before it.
    pub discontinuity: bool,
    /// `EXT-X-GAP` stands before it.
    pub gap: bool,
    /// Its parts, where they are listed.
    pub parts: Vec<Part>,
}

/// One part.
#[derive(Debug, Clone, PartialEq)]
pub struct Part {
    /// Seconds.
    pub duration: f64,
    /// Where it is.
    pub uri: String,
    /// Decoding can start here.
    pub independent: bool,
}

impl Playlist {
    /// Reads a playlist.
    ///
    /// # Errors
    /// The first line that is not understood or not allowed where it stands.
    pub fn parse(text: &str) -> Result<Self, String> {
        if !text.ends_with('\n') {
            return Err("it does not end with a line feed".to_owned());
        }
        let mut lines = text.lines();
        if lines.next() != Some("#EXTM3U") {
            return Err("it does not begin with #EXTM3U".to_owned());
        }
        let mut playlist = Self::default();
        lines.try_for_each(|line| playlist.line(line).ok_or_else(|| format!("not understood: {line}")))?;
        Ok(playlist)
    }

    /// The number of the segment after the last one that has ended.
    #[must_use]
    pub fn next_sequence(&self) -> u64 {
        self.media_sequence + self.skipped + self.segments.len() as u64
    }

    /// Discontinuities before and at each segment, with its number; the open one last, if there is anything of it.
    #[must_use]
    pub fn numbered(&self) -> Vec<(u64, u64, &Segment)> {
        let open = (!self.open.parts.is_empty()).then_some(&self.open);
        let mut discontinuities = self.discontinuity_sequence;
        let first = self.media_sequence + self.skipped;
        (first..)
            .zip(self.segments.iter().chain(open))
            .map(|(number, segment)| {
                discontinuities += u64::from(segment.discontinuity);
                (number, discontinuities, segment)
            })
            .collect()
    }

    /// Seconds of all segments that have ended.
    #[must_use]
    pub fn duration(&self) -> f64 {
        self.segments.iter().map(|segment| segment.duration).sum()
    }

    fn line(&mut self, line: &str) -> Option<()> {
        if line.is_empty() {
            return Some(());
        }
        let Some(tag) = line.strip_prefix('#') else {
            // A URI without EXTINF is none.
            line.chars().all(|c| !c.is_whitespace()).then_some(())?;
            (self.open.duration > 0.0).then_some(())?;
            let segment = Segment { uri: line.to_owned(), ..std::mem::take(&mut self.open) };
            self.segments.push(segment);
            return Some(());
        };
        if !tag.starts_with("EXT") {
            return Some(());
        }
        let (name, value) = tag.split_once(':').unwrap_or((tag, ""));
        match name {
            "EXT-X-VERSION" => self.version = value.parse().ok()?,
            "EXT-X-TARGETDURATION" => self.target_duration = value.parse().ok()?,
            "EXT-X-MEDIA-SEQUENCE" => self.media_sequence = value.parse().ok()?,
            "EXT-X-DISCONTINUITY-SEQUENCE" => self.discontinuity_sequence = value.parse().ok()?,
            "EXT-X-SERVER-CONTROL" => self.server_control = attributes(value)?,
            "EXT-X-PART-INF" => {
                self.part_target = Some(attributes(value)?.get("PART-TARGET")?.parse().ok()?);
            }
            "EXT-X-SKIP" => self.skipped = attributes(value)?.get("SKIPPED-SEGMENTS")?.parse().ok()?,
            "EXT-X-PLAYLIST-TYPE" => matches!(value, "VOD" | "EVENT").then_some(())?,
            "EXT-X-INDEPENDENT-SEGMENTS" => {}
            "EXT-X-ENDLIST" => self.ended = true,
            "EXT-X-PRELOAD-HINT" => self.hint = Some(attributes(value)?.remove("URI")?),
            _ => self.of_segment(name, value)?,
        }
        Some(())
    }

    fn of_segment(&mut self, name: &str, value: &str) -> Option<()> {
        let open = &mut self.open;
        match name {
            "EXT-X-DISCONTINUITY" => open.discontinuity = open.parts.is_empty().then_some(true)?,
            "EXT-X-GAP" => open.gap = true,
            "EXT-X-PROGRAM-DATE-TIME" => open.program_date_time_ms = Some(unix_ms(value)?),
            "EXTINF" => open.duration = value.strip_suffix(',')?.parse().ok()?,
            "EXT-X-BYTERANGE" => {
                let (len, start) = value.split_once('@')?;
                open.range = Some((len.parse().ok()?, start.parse().ok()?));
            }
            "EXT-X-PART" => {
                let mut found = attributes(value)?;
                let independent = found.get("INDEPENDENT").is_some_and(|value| value == "YES");
                let duration = found.get("DURATION")?.parse().ok()?;
                open.parts.push(Part { duration, uri: found.remove("URI")?, independent });
            }
            _ => return None,
        }
        Some(())
    }
}

/// An attribute list (§4.2): `NAME=value,NAME="value"`.
fn attributes(mut text: &str) -> Option<HashMap<String, String>> {
    let mut found = HashMap::new();
    while !text.is_empty() {
        let (name, rest) = text.split_once('=')?;
        let (value, rest) = match rest.strip_prefix('"') {
            Some(quoted) => {
                let (value, rest) = quoted.split_once('"')?;
                (value, rest.strip_prefix(',').unwrap_or(rest))
            }
            None => rest.split_once(',').unwrap_or((rest, "")),
        };
        found.insert(name.to_owned(), value.to_owned());
        text = rest;
    }
    Some(found)
}

/// `YYYY-MM-DDTHH:MM:SS.mmmZ`.
fn unix_ms(text: &str) -> Option<i64> {
    let number = |from: usize, to: usize| text.get(from..to)?.parse::<u16>().ok();
    let small = |from: usize, to: usize| u8::try_from(number(from, to)?).ok();
    text.ends_with('Z').then_some(())?;
    let (year, month, day) = (number(0, 4)?, small(5, 7)?, small(8, 10)?);
    let (hour, minute, second, ms) = (small(11, 13)?, small(14, 16)?, small(17, 19)?, number(20, 23)?);
    let wall = dashvault_base::WallMs::from_civil(year.into(), month, day, hour, minute, second);
    Some(wall.plus_ms(ms.into()).0)
}
