//! The date and time that a file's name holds, as dashcams, phones and people write it.
//!
//! Pure. A name is searched for digits of a date that exists, directly followed by a time; what stands before and behind
//! them is of no account, as long as it is no digit.

use dashvault_base::WallMs;

/// What a name says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct NamedTime {
    /// The civil time in the name, as if it were UTC.
    pub(crate) civil: WallMs,
    /// The name is of a kind that is always in UTC.
    pub(crate) is_utc: bool,
}

/// The first date and time in a file's name.
pub(crate) fn named_time(name: &str) -> Option<NamedTime> {
    let bytes = name.as_bytes();
    // Google's cameras write UTC, and milliseconds without a separator.
    let is_utc = name.starts_with("PXL_");
    let begins = |at: &usize| {
        bytes.get(*at).is_some_and(u8::is_ascii_digit)
            && at
                .checked_sub(1)
                .and_then(|before| bytes.get(before))
                .is_none_or(|byte| !byte.is_ascii_digit())
    };
    let civil = (0..bytes.len()).filter(begins).find_map(|at| {
        let rest = bytes.get(at..)?;
        long(rest, is_utc).or_else(|| short(rest))
    })?;
    Some(NamedTime { civil, is_utc })
}

/// A year of four digits, then month, day, hour, minute, second, each perhaps after a separator.
fn long(text: &[u8], has_ms: bool) -> Option<WallMs> {
    let mut digits = Digits(text);
    let year = digits.number(4).filter(|year| (2000..2100).contains(year))?;
    let mut parts = [0; 5];
    for (place, part) in parts.iter_mut().enumerate() {
        // Between date and time there may be more than one: ` - `, `T`.
        digits.separators(if place == 2 { 3 } else { 1 });
        *part = digits.number(2)?;
    }
    let ms = if has_ms { digits.number(3).unwrap_or(0) } else { 0 };
    digits.ends()?;
    civil(year, parts, ms)
}

/// `YYMMDD-HHMMSS`, as in `FILE261122-101500F.MP4`.
fn short(text: &[u8]) -> Option<WallMs> {
    let mut digits = Digits(text);
    let year = 2000 + digits.number(2)?;
    let (month, day) = (digits.number(2)?, digits.number(2)?);
    (digits.separators(1) == 1).then_some(())?;
    let (hour, minute, second) = (digits.number(2)?, digits.number(2)?, digits.number(2)?);
    digits.ends()?;
    civil(year, [month, day, hour, minute, second], 0)
}

fn civil(year: i64, [month, day, hour, minute, second]: [i64; 5], ms: i64) -> Option<WallMs> {
    let small = |value: i64| u8::try_from(value).ok();
    if !(1..=12).contains(&month) || hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    let (month, day) = (small(month)?, small(day)?);
    let wall = WallMs::from_civil(year, month, day, small(hour)?, small(minute)?, small(second)?);
    let (found_year, found_month, found_day, ..) = wall.civil();
    // A date that does not exist comes back as another one.
    ((found_year, found_month, found_day) == (year, month, day)).then(|| wall.plus_ms(ms))
}

/// What is left of a text.
struct Digits<'a>(&'a [u8]);

impl Digits<'_> {
    fn number(&mut self, digits: usize) -> Option<i64> {
        let (head, rest) = self.0.split_at_checked(digits)?;
        let value = head.iter().try_fold(0, |sum: i64, byte| {
            byte.is_ascii_digit().then(|| sum * 10 + i64::from(*byte - b'0'))
        })?;
        self.0 = rest;
        Some(value)
    }

    /// Skips at most `most` separators; gives how many.
    fn separators(&mut self, most: usize) -> usize {
        let is_one = |byte: &&u8| b"-_.: T".contains(byte);
        let count = self.0.iter().take(most).take_while(is_one).count();
        self.0 = self.0.get(count..).unwrap_or_default();
        count
    }

    /// Whether no digit follows.
    fn ends(&self) -> Option<()> {
        self.0.first().is_none_or(|byte| !byte.is_ascii_digit()).then_some(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn names_of_many_cameras_hold_their_time() {
        let quarter = WallMs::from_civil(2026, 11, 22, 10, 15, 0);
        for name in [
            "20261122_101500.mp4",
            "20261122-101500.ts",
            "20261122101500.avi",
            "2026-11-22-10-15-00.mkv",
            "2026-11-22 10.15.00.mov",
            "2026-11-22T10:15:00.mp4",
            "2026_1122_101500_0001F.MP4",
            "20261122_101500_NF.mp4",
            "VID_20261122_101500.mp4",
            "REC-2026-11-22 - 10-15-00 front.mp4",
            "FILE261122-101500F.MP4",
            "CAM2_20261122_101500.mp4",
        ] {
            assert_eq!(named_time(name), Some(NamedTime { civil: quarter, is_utc: false }), "{name}");
        }
        let pixel = named_time("PXL_20261122_101500123.mp4");
        assert_eq!(pixel, Some(NamedTime { civil: quarter.plus_ms(123), is_utc: true }));
    }

    #[test]
    fn names_without_a_time_say_so() {
        for name in [
            "GX010123.MP4",
            "bikes.mp4",
            "",
            "20261122.mp4",
            "20261322_101500.mp4",
            "20260230_101500.mp4",
            "20261122_251500.mp4",
            "120261122_101500.mp4",
            "20261122_1015001.mp4",
            "19991122_101500.mp4",
            "20261122_101500123.mp4",
            "2026",
            "20261122_10",
            "é20261122_1015",
        ] {
            assert_eq!(named_time(name), None, "{name}");
        }
    }

    proptest! {
        #[test]
        fn no_name_is_a_panic_and_what_is_written_is_found(
            name in ".{0,40}", wall in 946_684_800_000i64..4_102_444_800_000,
        ) {
            let _ = named_time(&name);
            let (year, month, day, hour, minute, second) = WallMs(wall).civil();
            let written = format!("a{year:04}{month:02}{day:02}_{hour:02}{minute:02}{second:02}.mp4");
            let found = named_time(&written).unwrap().civil;
            prop_assert_eq!(found.0, wall.div_euclid(1000) * 1000);
        }
    }
}
