//! How conditions are written: `up to-vault.rate=200kB/s loss=5% delay=40ms # tunnel`.
//!
//! A mode, then settings that differ from a perfect link, then the label. A setting without a direction is meant
//! both ways. Sizes are decimal (`kB`, `MB`); durations are `us`, `ms` or `s`; shares are percentages.

use std::{fmt, str::FromStr, time::Duration};

use super::conditions::{Conditions, Mode, Way};

/// Why a text is not the link's conditions.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConditionsError {
    /// The first word is no mode.
    #[error("{0:?} is not a mode; use up, black-hole, refuse or cut")]
    Mode(String),
    /// A word is neither a known setting nor of the form `key=value`.
    #[error("{0:?} is not a setting")]
    Setting(String),
    /// The value of a setting does not parse.
    #[error("{value:?} is not a value for {key:?}")]
    Value {
        /// The setting.
        key: String,
        /// What it was given.
        value: String,
    },
}

impl FromStr for Mode {
    type Err = ConditionsError;

    fn from_str(word: &str) -> Result<Self, ConditionsError> {
        [Self::Up, Self::BlackHole, Self::Refuse, Self::Cut]
            .into_iter()
            .find(|mode| mode.word() == word)
            .ok_or_else(|| ConditionsError::Mode(word.to_owned()))
    }
}

impl FromStr for Conditions {
    type Err = ConditionsError;

    fn from_str(text: &str) -> Result<Self, ConditionsError> {
        let (settings, label) = text.split_once('#').unwrap_or((text, ""));
        let mut words = settings.split_whitespace();
        let mode = words.next().unwrap_or_default().parse()?;
        let mut conditions = Self { mode, label: label.trim().to_owned(), ..Self::default() };
        for word in words {
            let (key, value) =
                word.split_once('=').ok_or_else(|| ConditionsError::Setting(word.to_owned()))?;
            set(&mut conditions, key, value)?;
        }
        Ok(conditions)
    }
}

fn set(conditions: &mut Conditions, key: &str, value: &str) -> Result<(), ConditionsError> {
    let refused = || ConditionsError::Value { key: key.to_owned(), value: value.to_owned() };
    match key {
        "tcp-bytes" => conditions.tcp_dies_after_bytes = Some(parse_bytes(value).ok_or_else(refused)?),
        "tcp-life" => conditions.tcp_dies_after = Some(parse_duration(value).ok_or_else(refused)?),
        _ => {
            let (ways, name): (Vec<&mut Way>, &str) = match key.split_once('.') {
                Some(("to-vault", name)) => (vec![&mut conditions.to_vault], name),
                Some(("to-vehicle", name)) => (vec![&mut conditions.to_vehicle], name),
                Some(_) => return Err(ConditionsError::Setting(key.to_owned())),
                None => (vec![&mut conditions.to_vault, &mut conditions.to_vehicle], key),
            };
            for way in ways {
                set_way(way, name, value)
                    .ok_or_else(|| ConditionsError::Setting(key.to_owned()))?
                    .ok_or_else(refused)?;
            }
        }
    }
    Ok(())
}

/// `None`: no such setting. `Some(None)`: not such a value.
fn set_way(way: &mut Way, name: &str, value: &str) -> Option<Option<()>> {
    fn put<V>(place: &mut V, value: Option<V>) -> Option<()> {
        *place = value?;
        Some(())
    }
    Some(match name {
        "loss" => put(&mut way.loss, parse_share(value)),
        "reorder" => put(&mut way.reorder, parse_share(value)),
        "duplicate" => put(&mut way.duplicate, parse_share(value)),
        "delay" => put(&mut way.delay, parse_duration(value)),
        "jitter" => put(&mut way.jitter, parse_duration(value)),
        "rate" => put(&mut way.rate, value.strip_suffix("/s").and_then(parse_bytes).map(Some)),
        "queue" => put(&mut way.queue_bytes, parse_bytes(value)),
        _ => return None,
    })
}

impl fmt::Display for Conditions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.mode.word())?;
        let (up, down) = (settings(&self.to_vault), settings(&self.to_vehicle));
        for ((key, up), (_, down)) in up.into_iter().zip(down) {
            match (up, down) {
                (Some(up), Some(down)) if up == down => write!(f, " {key}={up}")?,
                (up, down) => {
                    up.map_or(Ok(()), |up| write!(f, " to-vault.{key}={up}"))?;
                    down.map_or(Ok(()), |down| write!(f, " to-vehicle.{key}={down}"))?;
                }
            }
        }
        self.tcp_dies_after_bytes.map_or(Ok(()), |bytes| write!(f, " tcp-bytes={}", Bytes(bytes)))?;
        self.tcp_dies_after.map_or(Ok(()), |life| write!(f, " tcp-life={}", Time(life)))?;
        if self.label.is_empty() { Ok(()) } else { write!(f, " # {}", self.label) }
    }
}

/// Each setting's text where it differs from a perfect way.
fn settings(way: &Way) -> [(&'static str, Option<String>); 7] {
    let share = |share: f64| (share != 0.0).then(|| format!("{}%", (share * 1e6).round() / 1e4));
    let time = |time: Duration| (!time.is_zero()).then(|| Time(time).to_string());
    let queue = (way.queue_bytes != Way::PERFECT.queue_bytes).then(|| Bytes(way.queue_bytes).to_string());
    [
        ("rate", way.rate.map(|rate| format!("{}/s", Bytes(rate)))),
        ("loss", share(way.loss)),
        ("delay", time(way.delay)),
        ("jitter", time(way.jitter)),
        ("reorder", share(way.reorder)),
        ("duplicate", share(way.duplicate)),
        ("queue", queue),
    ]
}

fn parse_share(text: &str) -> Option<f64> {
    let percent: f64 = text.strip_suffix('%')?.parse().ok()?;
    (0.0..=100.0).contains(&percent).then_some(percent / 100.0)
}

fn parse_bytes(text: &str) -> Option<u64> {
    scaled(text, &[("kB", 1e3), ("MB", 1e6), ("GB", 1e9), ("B", 1.0)])
}

pub(super) fn parse_duration(text: &str) -> Option<Duration> {
    scaled(text, &[("us", 1.0), ("ms", 1e3), ("s", 1e6)]).map(Duration::from_micros)
}

fn scaled(text: &str, units: &[(&str, f64)]) -> Option<u64> {
    let (number, scale) = units.iter().find_map(|(unit, scale)| Some((text.strip_suffix(unit)?, scale)))?;
    let value: f64 = number.parse().ok()?;
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "checked to be in range")]
    (0.0..1e15).contains(&(value * scale)).then(|| (value * scale).round() as u64)
}

struct Bytes(u64);

impl fmt::Display for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            bytes if bytes >= 1_000_000 && bytes.is_multiple_of(100_000) => {
                whole_tenths(f, bytes / 100_000, "MB")
            }
            bytes if bytes >= 1000 && bytes.is_multiple_of(100) => whole_tenths(f, bytes / 100, "kB"),
            bytes => write!(f, "{bytes}B"),
        }
    }
}

pub(super) struct Time(pub(super) Duration);

impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.as_micros() {
            us if us >= 1_000_000 && us.is_multiple_of(100_000) => {
                whole_tenths(f, u64::try_from(us / 100_000).unwrap_or(u64::MAX), "s")
            }
            us if us.is_multiple_of(1000) => write!(f, "{}ms", us / 1000),
            us => write!(f, "{us}us"),
        }
    }
}

fn whole_tenths(f: &mut fmt::Formatter<'_>, tenths: u64, unit: &str) -> fmt::Result {
    match (tenths / 10, tenths % 10) {
        (whole, 0) => write!(f, "{whole}{unit}"),
        (whole, tenth) => write!(f, "{whole}.{tenth}{unit}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_reads_back_the_same() {
        for text in [
            "up",
            "cut # tunnel",
            "black-hole",
            "up rate=200kB/s loss=5% delay=40ms jitter=10ms reorder=0.5% duplicate=1% queue=64kB tcp-bytes=1.5MB tcp-life=2.5s",
            "up to-vault.rate=1234567B/s to-vehicle.rate=2MB/s to-vehicle.delay=250us # asymmetric",
            "refuse loss=7%",
        ] {
            let conditions: Conditions = text.parse().unwrap();
            assert_eq!(conditions.to_string(), text);
            assert_eq!(conditions.to_string().parse(), Ok(conditions));
        }
    }

    #[test]
    fn a_wrong_word_is_named() {
        let error = |text: &str| text.parse::<Conditions>().unwrap_err().to_string();
        assert_eq!(error(""), "\"\" is not a mode; use up, black-hole, refuse or cut");
        assert_eq!(error("up fast"), "\"fast\" is not a setting");
        assert_eq!(error("up sideways.loss=1%"), "\"sideways.loss\" is not a setting");
        for text in
            ["up loss=5", "up loss=101%", "up rate=5kB", "up delay=-1s", "up tcp-life=NaNs", "up delay=é"]
        {
            assert!(error(text).contains("is not a value"), "{text}");
        }
    }
}
