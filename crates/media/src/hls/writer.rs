//! [`PlaylistWriter`]: the tags of a media playlist, in order.
//!
//! Invariants: what is written ends with a line feed; durations are cut to microseconds, so that no part is written
//! longer than a target that it keeps.

use std::fmt::{Display, Write};

use dashvault_base::Ticks90k;

use super::{ByteRange, Header, Kind, Lead, Part};

/// Delta updates came with version 9, GAP with 8 (§8).
const LOW_LATENCY_VERSION: u32 = 9;
const VOD_VERSION: u32 = 8;

/// Writes one playlist.
#[derive(Debug)]
pub struct PlaylistWriter {
    text: String,
    ended: bool,
}

/// Seconds with microseconds.
struct Seconds(Ticks90k);

impl Display for Seconds {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let micros = u64::from(self.0.0) * 100 / 9;
        write!(f, "{}.{:06}", micros / 1_000_000, micros % 1_000_000)
    }
}

/// Appends formatted text to a string, which cannot fail.
macro_rules! put {
    ($text:expr, $($arguments:tt)*) => {
        let _ = write!($text, $($arguments)*);
    };
}

impl PlaylistWriter {
    /// Begins a playlist.
    #[must_use]
    pub fn new(header: &Header) -> Self {
        Self::with_capacity(header, 4096)
    }

    /// Begins a playlist that will have about this many bytes.
    #[must_use]
    pub fn with_capacity(header: &Header, bytes: usize) -> Self {
        let mut text = String::with_capacity(bytes);
        let version = match header.kind {
            Kind::Vod => VOD_VERSION,
            Kind::LowLatency(_) => LOW_LATENCY_VERSION,
        };
        put!(text, "#EXTM3U\n#EXT-X-VERSION:{version}\n#EXT-X-TARGETDURATION:{}\n", header.target_duration_s);
        match header.kind {
            Kind::Vod => text.push_str("#EXT-X-PLAYLIST-TYPE:VOD\n"),
            Kind::LowLatency(promise) => {
                let hold_back = Seconds(promise.part_hold_back());
                put!(text, "#EXT-X-SERVER-CONTROL:CAN-BLOCK-RELOAD=YES,PART-HOLD-BACK={hold_back}");
                if let Some(seconds) = promise.can_skip_until_s {
                    put!(text, ",CAN-SKIP-UNTIL={seconds}.0");
                }
                put!(text, "\n#EXT-X-PART-INF:PART-TARGET={}\n", Seconds(promise.part_target));
            }
        }
        put!(text, "#EXT-X-MEDIA-SEQUENCE:{}\n", header.media_sequence);
        if header.discontinuity_sequence > 0 {
            put!(text, "#EXT-X-DISCONTINUITY-SEQUENCE:{}\n", header.discontinuity_sequence);
        }
        Self { text, ended: matches!(header.kind, Kind::Vod) }
    }

    /// The first segments are left out: a delta update (§4.4.5.2). Call it before the first segment.
    pub fn skipped(&mut self, segments: u64) {
        put!(self.text, "#EXT-X-SKIP:SKIPPED-SEGMENTS={segments}\n");
    }

    /// Begins a segment, ended or not.
    pub fn begin_segment(&mut self, lead: &Lead) {
        if lead.discontinuity {
            self.text.push_str("#EXT-X-DISCONTINUITY\n");
        }
        if let Some(wall) = lead.program_date_time {
            put!(self.text, "#EXT-X-PROGRAM-DATE-TIME:{wall}\n");
        }
        if lead.gap {
            self.text.push_str("#EXT-X-GAP\n");
        }
    }

    /// A part of the segment that was begun.
    pub fn part(&mut self, part: &Part, uri: impl Display) {
        put!(self.text, "#EXT-X-PART:DURATION={},URI=\"{uri}\"", Seconds(part.duration));
        if part.independent {
            self.text.push_str(",INDEPENDENT=YES");
        }
        self.text.push('\n');
    }

    /// Ends the segment that was begun.
    pub fn end_segment(&mut self, duration: Ticks90k, range: Option<ByteRange>, uri: impl Display) {
        put!(self.text, "#EXTINF:{},\n", Seconds(duration));
        if let Some(ByteRange { len, start }) = range {
            put!(self.text, "#EXT-X-BYTERANGE:{len}@{start}\n");
        }
        put!(self.text, "{uri}\n");
    }

    /// The part that will come next.
    pub fn preload_hint(&mut self, uri: impl Display) {
        put!(self.text, "#EXT-X-PRELOAD-HINT:TYPE=PART,URI=\"{uri}\"\n");
    }

    /// The whole text.
    #[must_use]
    pub fn finish(mut self) -> String {
        if self.ended {
            self.text.push_str("#EXT-X-ENDLIST\n");
        }
        self.text
    }
}

#[cfg(test)]
mod tests;
