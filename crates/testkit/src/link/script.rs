//! What the link goes through over time: a list of moments and the conditions from each of them on.
//!
//! One step a line, its conditions complete in themselves; `rebind` gives UDP clients a new source address:
//! ```text
//! 0s    up
//! 5s    cut # tunnel
//! 9.5s  rebind up rate=200kB/s loss=5%
//! ```

mod random;

pub use random::Profile;

use std::{fmt, str::FromStr, time::Duration};

use super::{
    conditions::Conditions,
    text::{ConditionsError, Time, parse_duration},
};

/// Half a minute with 5 % loss throughout and one outage of each kind; [`Script::stretched`] fits it to a test.
pub const LOSSY_WITH_OUTAGES: &str = "
    0s      up loss=5% delay=20ms jitter=10ms # 5 % loss
    5s      cut
    9s      up loss=5% delay=20ms jitter=10ms # 5 % loss
    13s     black-hole
    17s     up loss=5% delay=20ms jitter=10ms # 5 % loss
    21s     refuse
    24s     rebind up loss=5% delay=20ms jitter=10ms # 5 % loss
";

/// From `at` on the link is like this.
#[derive(Debug, Clone, PartialEq)]
pub struct Step {
    /// Since the script's start.
    pub at: Duration,
    /// The link from then on.
    pub conditions: Conditions,
    /// Whether the vehicle comes back with another source address: UDP mappings are forgotten.
    pub rebind: bool,
}

/// Steps in the order of their times.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Script {
    steps: Vec<Step>,
}

/// Why a text is not a script.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ScriptError {
    /// A line does not begin with a time.
    #[error("line {line} must begin with a time, not {text:?}")]
    Time {
        /// Line number, from 1.
        line: usize,
        /// Its first word.
        text: String,
    },
    /// A line's conditions do not parse.
    #[error("line {line} has no conditions")]
    Conditions {
        /// Line number, from 1.
        line: usize,
        /// What is wrong with them.
        source: ConditionsError,
    },
    /// A step comes before the one above it.
    #[error("line {line} goes back in time")]
    Order {
        /// Line number, from 1.
        line: usize,
    },
}

impl Script {
    /// A script of `steps`, sorted by time.
    #[must_use]
    pub fn new(mut steps: Vec<Step>) -> Self {
        steps.sort_by_key(|step| step.at);
        Self { steps }
    }

    /// The steps, in order.
    #[must_use]
    pub fn steps(&self) -> &[Step] {
        &self.steps
    }

    /// When the last step begins.
    #[must_use]
    pub fn last_change(&self) -> Duration {
        self.steps.last().map_or(Duration::ZERO, |step| step.at)
    }

    /// How often the link goes down.
    #[must_use]
    pub fn outages(&self) -> usize {
        let downs = self.steps.iter().map(|step| !step.conditions.is_up());
        downs.fold((0, false), |(count, was_down), down| (count + usize::from(down && !was_down), down)).0
    }

    /// The same with every moment moved by `factor`; durations inside conditions stay.
    #[must_use]
    pub fn stretched(&self, factor: f64) -> Self {
        let stretch = |step: &Step| Step { at: step.at.mul_f64(factor), ..step.clone() };
        Self { steps: self.steps.iter().map(stretch).collect() }
    }
}

impl FromStr for Script {
    type Err = ScriptError;

    fn from_str(text: &str) -> Result<Self, ScriptError> {
        let mut steps: Vec<Step> = Vec::new();
        for (index, line) in text.lines().enumerate() {
            let written = line.trim();
            if written.is_empty() || written.starts_with('#') {
                continue;
            }
            let step = parse_step(written, index + 1)?;
            if steps.last().is_some_and(|before| before.at > step.at) {
                return Err(ScriptError::Order { line: index + 1 });
            }
            steps.push(step);
        }
        Ok(Self { steps })
    }
}

fn parse_step(written: &str, line: usize) -> Result<Step, ScriptError> {
    let (time, rest) = written.split_once(char::is_whitespace).unwrap_or((written, ""));
    let at = parse_duration(time).ok_or_else(|| ScriptError::Time { line, text: time.to_owned() })?;
    let rest = rest.trim_start();
    let (rebind, rest) = rest.strip_prefix("rebind ").map_or((false, rest), |rest| (true, rest));
    let conditions = rest.parse().map_err(|source| ScriptError::Conditions { line, source })?;
    Ok(Step { at, conditions, rebind })
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rebind = if self.rebind { "rebind " } else { "" };
        write!(f, "{:<7} {rebind}{}", Time(self.at).to_string(), self.conditions)
    }
}

impl fmt::Display for Script {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.steps.iter().try_for_each(|step| writeln!(f, "{step}"))
    }
}

#[cfg(test)]
mod tests {
    use super::{super::conditions::Mode, *};

    const TUNNEL: &str = "
        # a drive through town
        0s      up
        5s      cut # tunnel
        9.5s    rebind up rate=200kB/s loss=5%
        12s     up
    ";

    #[test]
    fn a_script_reads_back_as_it_was_written() {
        let script: Script = TUNNEL.parse().unwrap();
        assert_eq!((script.steps().len(), script.outages()), (4, 1));
        assert_eq!(script.steps()[1].conditions.mode, Mode::Cut);
        assert!(script.steps()[2].rebind);
        assert_eq!(script.to_string().parse(), Ok(script.clone()));
        assert_eq!(script.stretched(2.0).last_change(), Duration::from_secs(24));
        let lossy: Script = LOSSY_WITH_OUTAGES.parse().unwrap();
        assert_eq!((lossy.steps().len(), lossy.outages()), (7, 3));
    }

    #[test]
    fn the_line_that_is_wrong_is_named() {
        assert_eq!(
            "0s up\nsoon cut".parse::<Script>(),
            Err(ScriptError::Time { line: 2, text: "soon".into() })
        );
        assert_eq!("1s up\n0s cut".parse::<Script>(), Err(ScriptError::Order { line: 2 }));
        assert!(matches!("1s".parse::<Script>(), Err(ScriptError::Conditions { line: 1, .. })));
    }
}
