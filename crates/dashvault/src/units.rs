//! How people write durations, sizes and rates on a command line: `90`, `2m`, `64GiB`, `4Mbit`.
//!
//! Parsers only, for clap's `value_parser`. What a value means is said where the flag is.

use std::time::Duration;

/// Parses seconds (`90`, `0.5`) or a number with a unit: `500ms`, `90s`, `2m`, `1.5h`, `7d`.
///
/// # Errors
/// A sentence for the user.
pub(crate) fn duration(text: &str) -> Result<Duration, String> {
    let (number, unit) = split(text)?;
    let seconds = match unit {
        "ms" => 0.001,
        "" | "s" => 1.0,
        "m" | "min" => 60.0,
        "h" => 3600.0,
        "d" => 86_400.0,
        _ => return Err(format!("unknown unit {unit:?}; write seconds (90) or 500ms, 90s, 2m, 1h, 7d")),
    };
    Duration::try_from_secs_f64(number * seconds).map_err(|_| format!("{text:?} is too long"))
}

/// Parses bytes (`188`) or a number with a unit: `500MB` (10⁶) or `64GiB` (2³⁰).
///
/// # Errors
/// A sentence for the user.
pub(crate) fn bytes(text: &str) -> Result<u64, String> {
    let (number, unit) = split(text)?;
    let factor = byte_factor(unit)
        .ok_or_else(|| format!("unknown unit {unit:?}; write bytes (1000) or 500MB, 64GB, 64GiB, 1TB"))?;
    whole(number * factor).ok_or_else(|| format!("{text:?} is too large"))
}

/// Parses a rate into bytes per second: `2Mbit`, `800kbit`, `250kB`, `1MiB`, each optionally with `/s`.
///
/// # Errors
/// A sentence for the user.
pub(crate) fn rate(text: &str) -> Result<u64, String> {
    let (number, unit) = split(text.strip_suffix("/s").unwrap_or(text))?;
    let bits = match unit {
        "bit" => Some(1.0),
        "kbit" => Some(1e3),
        "Mbit" => Some(1e6),
        "Gbit" => Some(1e9),
        _ => None,
    };
    let factor = bits
        .map(|bits| bits / 8.0)
        .or_else(|| byte_factor(unit).filter(|_| !unit.is_empty()))
        .ok_or_else(|| format!("unknown unit {unit:?}; write 800kbit, 2Mbit, 250kB or 1MiB (a second)"))?;
    whole(number * factor).filter(|rate| *rate > 0).ok_or_else(|| format!("{text:?} is no usable rate"))
}

/// Writes a size for people: `1.4 GB`.
pub(crate) fn show_bytes(bytes: u64) -> String {
    let mut value = bytes as f64;
    for unit in ["B", "kB", "MB", "GB"] {
        if value < 1000.0 {
            return if unit == "B" { format!("{bytes} B") } else { format!("{value:.1} {unit}") };
        }
        value /= 1000.0;
    }
    format!("{value:.1} TB")
}

/// Writes seconds for people: `7.5 s`, `3 min 20 s`, `5 h 2 min`.
pub(crate) fn show_seconds(seconds: f64) -> String {
    let whole = seconds.max(0.0) as u64;
    match whole {
        0..60 => format!("{seconds:.1} s"),
        60..3600 => format!("{} min {} s", whole / 60, whole % 60),
        _ => format!("{} h {} min", whole / 3600, whole % 3600 / 60),
    }
}

fn byte_factor(unit: &str) -> Option<f64> {
    Some(match unit {
        "" | "B" => 1.0,
        "k" | "kB" | "KB" => 1e3,
        "M" | "MB" => 1e6,
        "G" | "GB" => 1e9,
        "T" | "TB" => 1e12,
        "KiB" => 1024.0,
        "MiB" => 1_048_576.0,
        "GiB" => 1_073_741_824.0,
        "TiB" => 1_099_511_627_776.0,
        _ => return None,
    })
}

fn whole(value: f64) -> Option<u64> {
    // 2⁵³: beyond it an f64 no longer counts single bytes.
    (value.is_finite() && (0.0..=9_007_199_254_740_992.0).contains(&value)).then(|| value.round() as u64)
}

fn split(text: &str) -> Result<(f64, &str), String> {
    let text = text.trim();
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at(end);
    let number = number.parse().map_err(|_| format!("{text:?} does not begin with a number"))?;
    Ok((number, unit.trim_start()))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn no_text_panics(text in "[0-9.]{0,30}\\PC{0,10}") {
            let _ = (duration(&text), bytes(&text), rate(&text));
        }

        #[test]
        fn whole_seconds_and_bytes_read_back(number in 0..=u32::MAX) {
            prop_assert_eq!(duration(&number.to_string()), Ok(Duration::from_secs(number.into())));
            prop_assert_eq!(bytes(&format!("{number}B")), Ok(number.into()));
        }
    }

    #[test]
    fn durations_are_seconds_unless_a_unit_is_named() {
        assert_eq!(duration("90"), Ok(Duration::from_secs(90)));
        assert_eq!(duration("0.5"), Ok(Duration::from_millis(500)));
        assert_eq!(duration("500ms"), Ok(Duration::from_millis(500)));
        assert_eq!(duration("1.5h"), Ok(Duration::from_secs(5400)));
        for wrong in ["", "s", "-1", "1 fortnight", "1e99", "99999999999999999999999d"] {
            assert!(duration(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn sizes_and_rates_know_their_units() {
        assert_eq!(bytes("188"), Ok(188));
        assert_eq!(bytes("64GiB"), Ok(64 << 30));
        assert_eq!(bytes("1.5 MB"), Ok(1_500_000));
        assert_eq!(rate("2Mbit"), Ok(250_000));
        assert_eq!(rate("250kB/s"), Ok(250_000));
        for wrong in ["2", "0Mbit", "2mbit", "Mbit", "999999999999TB"] {
            assert!(rate(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn shown_sizes_are_short() {
        assert_eq!(show_bytes(999), "999 B");
        assert_eq!(show_bytes(1_440_000_000), "1.4 GB");
        assert_eq!(show_seconds(7.46), "7.5 s");
        assert_eq!(show_seconds(200.0), "3 min 20 s");
    }
}
