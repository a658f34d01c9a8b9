//! A track's window as playlist text.
//!
//! Parts are listed for the last three target durations (§6.2.2); a delta update leaves out what ended more than the
//! skip boundary ago (§4.4.3.8).

use std::fmt::{self, Display};

use dashvault_base::Ticks90k;
use dashvault_media::hls::{self, Header, Kind, Lead, LowLatency, PlaylistWriter};

use super::{TARGET_DURATION_S, window::Segment};

const SECOND: u64 = 90_000;
const PARTS_LISTED: u64 = 3 * SECOND * TARGET_DURATION_S as u64;
const SKIP_BOUNDARY_S: u32 = 6 * TARGET_DURATION_S;

/// `7.ts`, or its part `7.2.ts`; relative to the playlist.
struct Name(u64, Option<usize>);

impl Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self(number, None) => write!(f, "{number}.ts"),
            Self(number, Some(part)) => write!(f, "{number}.{part}.ts"),
        }
    }
}

/// Writes the playlist; `next` is the number of the segment that is not begun.
pub(super) fn playlist<'a>(
    listed: impl DoubleEndedIterator<Item = &'a Segment> + Clone,
    next: u64,
    target: Ticks90k,
    delta: bool,
) -> String {
    let promise = LowLatency { part_target: target, can_skip_until_s: Some(SKIP_BOUNDARY_S) };
    let first = listed.clone().next();
    let header = Header {
        target_duration_s: TARGET_DURATION_S,
        media_sequence: first.map_or(next, |first| first.number),
        discontinuity_sequence: first
            .map_or(0, |first| first.discontinuities - u64::from(first.discontinuity)),
        kind: Kind::LowLatency(promise),
    };
    let mut text = PlaylistWriter::new(&header);
    let mut left: u64 = listed.clone().map(|one| u64::from(one.duration.0)).sum();
    let ends = listed.map(move |one| {
        left -= u64::from(one.duration.0);
        (one, left)
    });
    let boundary = u64::from(SKIP_BOUNDARY_S) * SECOND;
    let skipped = ends.clone().take_while(|(_, left)| delta && *left > boundary).count();
    if skipped > 0 {
        text.skipped(skipped as u64);
    }
    let mut hint = Name(next, Some(0));
    for (segment, left) in ends.skip(skipped) {
        if segment.ended || !segment.parts.is_empty() {
            write_segment(&mut text, segment, left <= PARTS_LISTED && segment.target == target);
        }
        if !segment.ended {
            hint = Name(segment.number, Some(segment.parts.len()));
        }
    }
    text.preload_hint(hint);
    text.finish()
}

fn write_segment(text: &mut PlaylistWriter, segment: &Segment, with_parts: bool) {
    text.begin_segment(&Lead {
        discontinuity: segment.discontinuity,
        program_date_time: segment.wall,
        gap: segment.gap,
    });
    if with_parts {
        for (index, part) in segment.parts.iter().enumerate() {
            let described = hls::Part { duration: part.duration, independent: part.independent };
            text.part(&described, Name(segment.number, Some(index)));
        }
    }
    if segment.ended {
        text.end_segment(segment.duration, None, Name(segment.number, None));
    }
}
