//! What must hold within one playlist.

use std::collections::HashSet;

use super::{EPSILON, Playlist, Segment};

/// Everything that is wrong with a playlist by itself; sections are those of RFC 8216bis.
#[must_use]
pub fn check(playlist: &Playlist) -> Vec<String> {
    let mut wrong = Vec::new();
    versions(playlist, &mut wrong);
    targets(playlist, &mut wrong);
    server_control(playlist, &mut wrong);
    names(playlist, &mut wrong);
    times(playlist, &mut wrong);
    wrong
}

/// §8: which version allows what.
fn versions(playlist: &Playlist, wrong: &mut Vec<String>) {
    let any = |test: fn(&Segment) -> bool| playlist.segments.iter().any(test);
    let least = [
        (9, playlist.skipped > 0, "EXT-X-SKIP"),
        (8, any(|segment| segment.gap), "EXT-X-GAP"),
        (4, any(|segment| segment.range.is_some()), "EXT-X-BYTERANGE"),
        (3, true, "EXTINF with decimals"),
    ];
    for (version, used, what) in least {
        if used && playlist.version < version {
            wrong.push(format!("{what} needs version {version}, it says {}", playlist.version));
        }
    }
}

/// §4.4.3.1 and §4.4.3.7: target durations; §4.4.4.9: parts add up to their segment.
fn targets(playlist: &Playlist, wrong: &mut Vec<String>) {
    for (number, _, segment) in playlist.numbered() {
        if segment.duration.round() > playlist.target_duration as f64 {
            wrong.push(format!("segment {number} lasts {} s", segment.duration));
        }
        let Some(target) = playlist.part_target else {
            if !segment.parts.is_empty() {
                wrong.push(format!("segment {number} has parts, but there is no PART-INF"));
            }
            continue;
        };
        let is_open = segment.uri.is_empty();
        for (index, part) in segment.parts.iter().enumerate() {
            let is_last = index + 1 == segment.parts.len() && !is_open;
            if part.duration > target + EPSILON {
                wrong.push(format!("part {number}.{index} lasts {} of {target} s", part.duration));
            }
            if part.duration < 0.85 * target - EPSILON && !is_last {
                wrong.push(format!("part {number}.{index} lasts only {} of {target} s", part.duration));
            }
        }
        let sum: f64 = segment.parts.iter().map(|part| part.duration).sum();
        let allowed = EPSILON * (1.0 + segment.parts.len() as f64);
        if !is_open && !segment.parts.is_empty() && (sum - segment.duration).abs() > allowed {
            wrong.push(format!("parts of {number} last {sum}, the segment {}", segment.duration));
        }
    }
}

/// §4.4.3.8.
fn server_control(playlist: &Playlist, wrong: &mut Vec<String>) {
    let seconds = |name: &str| playlist.server_control.get(name).and_then(|text| text.parse::<f64>().ok());
    let target = playlist.target_duration as f64;
    if let Some(part_target) = playlist.part_target {
        match seconds("PART-HOLD-BACK") {
            Some(held) if held >= 3.0 * part_target - EPSILON * 3.0 => {}
            other => wrong.push(format!("PART-HOLD-BACK is {other:?} for parts of {part_target}")),
        }
        if playlist.server_control.get("CAN-BLOCK-RELOAD").map(String::as_str) != Some("YES") {
            wrong.push("parts without CAN-BLOCK-RELOAD".to_owned());
        }
        if playlist.hint.is_none() && !playlist.ended {
            wrong.push("parts without a preload hint".to_owned());
        }
    }
    if seconds("HOLD-BACK").is_some_and(|held| held < 3.0 * target) {
        wrong.push("HOLD-BACK is less than three target durations".to_owned());
    }
    if seconds("CAN-SKIP-UNTIL").is_some_and(|boundary| boundary < 6.0 * target) {
        wrong.push("CAN-SKIP-UNTIL is less than six target durations".to_owned());
    }
}

/// Every name stands for one thing.
fn names(playlist: &Playlist, wrong: &mut Vec<String>) {
    let mut seen = HashSet::new();
    let hint = playlist.hint.iter().map(|uri| (uri.as_str(), None));
    let numbered = playlist.numbered();
    let segments = numbered.iter().filter(|(_, _, segment)| !segment.uri.is_empty());
    let segments = segments.map(|(_, _, segment)| (segment.uri.as_str(), segment.range));
    let parts = numbered.iter().flat_map(|(_, _, segment)| &segment.parts);
    for (uri, range) in segments.chain(parts.map(|part| (part.uri.as_str(), None))).chain(hint) {
        if uri.is_empty() || !seen.insert((uri, range)) {
            wrong.push(format!("{uri:?} is named twice, or is no name"));
        }
    }
}

/// Wall time goes forward.
fn times(playlist: &Playlist, wrong: &mut Vec<String>) {
    let numbered = playlist.numbered();
    let stamped: Vec<_> =
        numbered.iter().filter_map(|(n, _, s)| Some((n, s.program_date_time_ms?))).collect();
    for pair in stamped.windows(2) {
        if let [(_, before), (number, after)] = pair
            && after <= before
        {
            wrong.push(format!("segment {number} is not later than the one before it"));
        }
    }
}
