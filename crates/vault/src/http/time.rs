//! Times in requests: RFC 3339 or Unix milliseconds, in a query or in JSON, as text or as a number.

use std::fmt;

use dashvault_base::WallMs;
use serde::{Deserialize, Deserializer, de};

use super::problem::Refusal;

/// A time as a request gives it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Moment(WallMs);

impl From<Moment> for WallMs {
    fn from(moment: Moment) -> Self {
        moment.0
    }
}

impl<'de> Deserialize<'de> for Moment {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(MomentVisitor)
    }
}

/// A half-open range.
#[derive(Debug, Clone, Copy, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct Range {
    /// Its beginning: RFC 3339 or Unix milliseconds
    #[param(value_type = String)]
    pub(super) from: Moment,
    /// Its end, not in the range itself
    #[param(value_type = String)]
    pub(super) to: Moment,
}

impl Range {
    /// Both ends of a range that has a length.
    pub(super) fn ends(self) -> Result<(WallMs, WallMs), Refusal> {
        let (from, to) = (self.from.0, self.to.0);
        if from < to { Ok((from, to)) } else { Err(Refusal::malformed("`to` must be later than `from`")) }
    }
}

struct MomentVisitor;

impl de::Visitor<'_> for MomentVisitor {
    type Value = Moment;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a time: RFC 3339 or milliseconds since 1970")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Moment, E> {
        text.parse().map(Moment).map_err(E::custom)
    }

    fn visit_i64<E: de::Error>(self, ms: i64) -> Result<Moment, E> {
        Ok(Moment(WallMs(ms)))
    }

    fn visit_u64<E: de::Error>(self, ms: u64) -> Result<Moment, E> {
        i64::try_from(ms).map(|ms| Moment(WallMs(ms))).map_err(|_| E::custom("the time is too late"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_texts_or_numbers() {
        for json in [r#""1970-01-01T00:00:01Z""#, r#""1000""#, "1000"] {
            assert_eq!(serde_json::from_str::<Moment>(json).unwrap(), Moment(WallMs(1000)), "{json}");
        }
        assert_eq!(serde_json::from_str::<Moment>("-5").unwrap(), Moment(WallMs(-5)));
        for json in ["true", "1.5", r#""soon""#, "null", "18446744073709551615"] {
            assert!(serde_json::from_str::<Moment>(json).is_err(), "{json}");
        }
    }
}
