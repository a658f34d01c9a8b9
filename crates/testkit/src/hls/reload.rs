//! What must hold between two answers for one playlist (§6.2.1, §6.2.2).

use super::{Playlist, Segment};

/// Everything that is wrong with `new`, read after `old` (a whole one) by the same player.
#[must_use]
pub fn check_reload(old: &Playlist, new: &Playlist) -> Vec<String> {
    let mut wrong = Vec::new();
    if old.target_duration != new.target_duration {
        wrong.push("the target duration changed".to_owned());
    }
    if new.media_sequence < old.media_sequence {
        wrong.push(format!("the media sequence went from {} to {}", old.media_sequence, new.media_sequence));
    }
    let end = |playlist: &Playlist| (playlist.next_sequence(), playlist.open.parts.len());
    if end(new) < end(old) {
        wrong.push(format!("it ended at {:?} and now ends at {:?}", end(old), end(new)));
    }
    if new.skipped > 0
        && !(old.media_sequence..=old.next_sequence()).contains(&(new.media_sequence + new.skipped))
    {
        wrong.push(format!("{} skipped segments are not all known", new.skipped));
    }
    segments(old, new, &mut wrong);
    wrong
}

fn segments(old: &Playlist, new: &Playlist, wrong: &mut Vec<String>) {
    let (before, after) = (old.numbered(), new.numbered());
    for (number, discontinuities, segment) in &after {
        let Some((_, counted, known)) = before.iter().find(|(known, _, _)| known == number) else { continue };
        // The first segment's own mark is counted in the sequence number once its predecessor has gone.
        if new.skipped == 0 && counted != discontinuities {
            wrong.push(format!("segment {number} had discontinuity {counted}, now {discontinuities}"));
        }
        same(*number, known, segment, wrong);
    }
    let (Some((last, counted, _)), Some((first, discontinuities, _))) = (before.last(), after.first()) else {
        return;
    };
    if first > last && discontinuities < counted {
        wrong.push(format!("the discontinuity sequence went from {counted} to {discontinuities}"));
    }
}

/// What was once said of a segment stays true.
fn same(number: u64, known: &Segment, segment: &Segment, wrong: &mut Vec<String>) {
    let was_open = known.uri.is_empty();
    if !was_open
        && (known.uri != segment.uri || known.duration != segment.duration || known.gap != segment.gap)
    {
        wrong.push(format!("segment {number} changed from {known:?} to {segment:?}"));
    }
    if known.program_date_time_ms != segment.program_date_time_ms {
        wrong.push(format!("segment {number} has another time"));
    }
    if known.discontinuity != segment.discontinuity {
        wrong.push(format!("segment {number} has another discontinuity mark"));
    }
    // Parts may go from the playlist when they are old, but never change.
    let parts = known.parts.iter().zip(&segment.parts);
    if parts.into_iter().any(|(was, is)| was != is) {
        wrong.push(format!("parts of segment {number} changed"));
    }
    let is_fewer = segment.parts.len() < known.parts.len() && !segment.parts.is_empty();
    if is_fewer || (segment.uri.is_empty() && segment.parts.len() < known.parts.len()) {
        wrong.push(format!("segment {number} has fewer parts than before"));
    }
}
