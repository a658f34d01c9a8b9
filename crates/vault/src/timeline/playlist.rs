//! The text of a playlist over stored packs (RFC 8216bis §4.4), by byte range.

use dashvault_base::Ticks90k;
use dashvault_media::hls::{ByteRange, Header, Kind, Lead, PlaylistWriter};

use super::{
    listing::{Listed, PlaylistPack, group, list},
    span::WallRange,
};

/// Longer ranges have longer entries, so that a day is no more than a player takes at once.
const SHORT_RANGE_MS: u64 = 2 * 3600 * 1000;
const LONG_ENTRY: Ticks90k = Ticks90k(6 * 90_000);
/// Of the text of one entry, about.
const ENTRY_BYTES: usize = 160;

/// The playlist of what of `packs` meets `range`; `None` where nothing does.
pub(crate) fn playlist(range: WallRange, packs: &[PlaylistPack]) -> Option<String> {
    let segments = list(range, packs);
    let entries = if range.len_ms() > SHORT_RANGE_MS { group(&segments, LONG_ENTRY) } else { segments };
    let longest = entries.iter().map(|entry| entry.duration.0).max()?;
    let header = Header {
        // Rounded to the nearest second, no entry is longer (§4.4.3.1).
        target_duration_s: longest.saturating_add(45_000) / 90_000,
        media_sequence: 0,
        discontinuity_sequence: 0,
        kind: Kind::Vod,
    };
    let mut writer = PlaylistWriter::with_capacity(&header, entries.len().saturating_mul(ENTRY_BYTES));
    entries.iter().for_each(|entry| write(&mut writer, entry));
    Some(writer.finish())
}

fn write(writer: &mut PlaylistWriter, entry: &Listed<'_>) {
    let tells_time = entry.jumps || entry.opens_pack;
    writer.begin_segment(&Lead {
        discontinuity: entry.jumps,
        program_date_time: tells_time.then(|| entry.wall()),
        ..Lead::default()
    });
    let range = ByteRange { len: entry.bytes, start: entry.start_byte };
    writer.end_segment(entry.duration, Some(range), format_args!("/objects/{}", entry.key));
}
