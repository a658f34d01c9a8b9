//! Media time (90 kHz) and wall time (Unix milliseconds).

use std::{fmt, str::FromStr, time::Duration};

use serde::{Deserialize, Serialize};

/// An unwrapped presentation timestamp in 90 kHz ticks (33 bits on the wire, `i64` inside).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Pts(pub i64);

impl Pts {
    /// Ticks from `earlier` to `self`; negative when `self` comes first.
    #[must_use]
    pub const fn since(self, earlier: Self) -> i64 {
        self.0.wrapping_sub(earlier.0)
    }
}

/// A media duration in 90 kHz ticks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Ticks90k(pub u32);

impl Ticks90k {
    /// The same length as a [`Duration`], to the microsecond below.
    #[must_use]
    pub const fn to_duration(self) -> Duration {
        Duration::from_micros(self.0 as u64 * 100 / 9)
    }

    /// Seconds, for people and reports.
    #[must_use]
    pub fn as_secs_f64(self) -> f64 {
        f64::from(self.0) / 90_000.0
    }
}

/// Wall time: milliseconds since 1970-01-01T00:00:00Z, as the device believed it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct WallMs(pub i64);

impl WallMs {
    /// This time moved later by `ms` (earlier when negative), saturating.
    #[must_use]
    pub const fn plus_ms(self, ms: i64) -> Self {
        Self(self.0.saturating_add(ms))
    }

    /// Year, month, day, hour, minute, second in UTC (proleptic Gregorian).
    #[must_use]
    pub const fn civil(self) -> (i64, u8, u8, u8, u8, u8) {
        let seconds = self.0.div_euclid(1000);
        let (day, second) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400));
        // Days to civil date: shift the era to start in March, so that leap days fall at its end.
        let shifted = day + 719_468;
        let era = shifted.div_euclid(146_097);
        let day_of_era = shifted.rem_euclid(146_097);
        let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
        let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let month_shifted = (5 * day_of_year + 2) / 153;
        let day_of_month = day_of_year - (153 * month_shifted + 2) / 5 + 1;
        let month = if month_shifted < 10 { month_shifted + 3 } else { month_shifted - 9 };
        let year = year_of_era + era * 400 + if month <= 2 { 1 } else { 0 };
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "each part is below 60")]
        (
            year,
            month as u8,
            day_of_month as u8,
            (second / 3600) as u8,
            (second / 60 % 60) as u8,
            (second % 60) as u8,
        )
    }

    /// The time of a UTC civil date; the caller has checked the ranges.
    #[must_use]
    pub const fn from_civil(year: i64, month: u8, day: u8, hour: u8, minute: u8, second: u8) -> Self {
        let shifted_year = if month <= 2 { year - 1 } else { year };
        let era = shifted_year.div_euclid(400);
        let year_of_era = shifted_year.rem_euclid(400);
        let month_shifted = (month as i64 + 9) % 12;
        let day_of_year = (153 * month_shifted + 2) / 5 + day as i64 - 1;
        let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
        let days = era * 146_097 + day_of_era - 719_468;
        Self(((days * 24 + hour as i64) * 60 + minute as i64) * 60_000 + second as i64 * 1000)
    }
}

impl fmt::Display for WallMs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (year, month, day, hour, minute, second) = self.civil();
        let ms = self.0.rem_euclid(1000);
        write!(f, "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{ms:03}Z")
    }
}

/// A text that is neither RFC 3339 nor Unix milliseconds.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no time: write RFC 3339 (2026-11-22T10:15:00Z) or milliseconds since 1970")]
pub struct TimeParseError(String);

impl FromStr for WallMs {
    type Err = TimeParseError;

    /// Reads RFC 3339 §5.6 (`T` or a space, any offset, any fraction, of which milliseconds count) or Unix milliseconds.
    fn from_str(text: &str) -> Result<Self, TimeParseError> {
        let refused = || TimeParseError(text.chars().take(40).collect());
        match text.parse::<i64>() {
            Ok(ms) => Ok(Self(ms)),
            Err(_) => rfc3339(text.as_bytes()).ok_or_else(refused),
        }
    }
}

fn rfc3339(text: &[u8]) -> Option<WallMs> {
    let (date, rest) = text.split_at_checked(19)?;
    let separators = [(4, b"-"), (7, b"-"), (10, b"Tt "), (13, b":"), (16, b":")] as [(usize, &[u8]); 5];
    if !separators.iter().all(|(at, allowed)| date.get(*at).is_some_and(|byte| allowed.contains(byte))) {
        return None;
    }
    let part = |from: usize, to: usize| number(date.get(from..to)?);
    let (year, month, day) = (part(0, 4)?, u8::try_from(part(5, 7)?).ok()?, u8::try_from(part(8, 10)?).ok()?);
    let (hour, minute, second) = (part(11, 13)?, part(14, 16)?, part(17, 19)?);
    let (ms, offset) = match rest.strip_prefix(b".") {
        None => (0, rest),
        Some(rest) => {
            let digits = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
            let (fraction, offset) = rest.split_at_checked(digits)?;
            let mut ms = [b'0'; 3];
            ms.iter_mut().zip(fraction).for_each(|(place, digit)| *place = *digit);
            (if digits == 0 { None } else { number(&ms) }?, offset)
        }
    };
    // A leap second is the second before it: Unix time has no name for it.
    let in_range = (1..=12).contains(&month) && hour < 24 && minute < 60 && second <= 60;
    let small = |value: i64| u8::try_from(value).ok();
    let wall = WallMs::from_civil(year, month, day, small(hour)?, small(minute)?, small(second.min(59))?)
        .plus_ms(ms);
    let is_real = in_range && (wall.civil().0, wall.civil().1, wall.civil().2) == (year, month, day);
    is_real.then(|| offset_ms(offset).map(|offset| wall.plus_ms(-offset)))?
}

/// `Z` or `±HH:MM`, in milliseconds east of UTC.
fn offset_ms(text: &[u8]) -> Option<i64> {
    let sign = match text {
        b"Z" | b"z" => return Some(0),
        [b'+', ..] => 1,
        [b'-', ..] => -1,
        _ => return None,
    };
    let (hours, minutes) = match text.get(1..)? {
        [a, b, b':', c, d] => (number(&[*a, *b])?, number(&[*c, *d])?),
        _ => return None,
    };
    (hours < 24 && minutes < 60).then_some(sign * (hours * 60 + minutes) * 60_000)
}

fn number(digits: &[u8]) -> Option<i64> {
    digits
        .iter()
        .try_fold(0, |sum, digit| digit.is_ascii_digit().then(|| sum * 10 + i64::from(*digit - b'0')))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_as_rfc_3339_or_milliseconds() {
        let quarter = WallMs::from_civil(2026, 11, 22, 10, 15, 0);
        for text in [
            "2026-11-22T10:15:00Z",
            "2026-11-22 10:15:00z",
            "2026-11-22T11:15:00.000+01:00",
            "2026-11-22T04:45:00-05:30",
            &quarter.0.to_string(),
        ] {
            assert_eq!(text.parse(), Ok(quarter), "{text}");
        }
        assert_eq!("2026-11-22T10:15:00.2509999Z".parse(), Ok(quarter.plus_ms(250)));
        assert_eq!("2026-11-22T10:15:00.5Z".parse(), Ok(quarter.plus_ms(500)));
    }

    #[test]
    fn what_is_no_time_is_refused() {
        for text in [
            "",
            "now",
            "2026-11-22",
            "2026-11-22T10:15:00",
            "2026-13-22T10:15:00Z",
            "2026-02-30T10:15:00Z",
            "2026-11-22T24:15:00Z",
            "2026-11-22T10:15:00.Z",
            "2026-11-22T10:15:00+1:00",
            "2026-11-22T10:15:00+01:00x",
            "2026-11-22T10:15:0éZ",
            "1e9",
        ] {
            assert!(text.parse::<WallMs>().is_err(), "{text}");
        }
    }

    #[test]
    fn civil_dates_match_known_days() {
        assert_eq!(WallMs(0).to_string(), "1970-01-01T00:00:00.000Z");
        assert_eq!(WallMs(951_782_400_123).to_string(), "2000-02-29T00:00:00.123Z");
        assert_eq!(WallMs(-1).to_string(), "1969-12-31T23:59:59.999Z");
        assert_eq!(WallMs::from_civil(2026, 11, 22, 10, 15, 0).to_string(), "2026-11-22T10:15:00.000Z");
    }

    #[test]
    fn every_day_of_four_centuries_round_trips() {
        for day in -73_000..73_000i64 {
            let wall = WallMs(day * 86_400_000);
            let (year, month, day, hour, minute, second) = wall.civil();
            assert_eq!(WallMs::from_civil(year, month, day, hour, minute, second), wall);
        }
    }
}
