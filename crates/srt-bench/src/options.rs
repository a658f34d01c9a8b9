//! The command line: which measurements, and how long.
//!
//! What does not belong here: the loads themselves, which the goals fix.

use std::time::Duration;

use anyhow::{Context, Result, bail};

/// Every measurement, in the order of the goals.
pub(crate) const NAMES: [&str; 8] =
    ["receive", "memory", "many", "single", "hold", "sender", "connect", "flood"];

const USAGE: &str = "usage: srt-bench [receive|memory|many|single|hold|sender|connect|flood|all]… \
                     [--json] [--seconds N] [--rounds N] [--no-libsrt]";

pub(crate) struct Options {
    pub(crate) names: Vec<&'static str>,
    pub(crate) json: bool,
    /// How long a load is measured, without its warm-up.
    pub(crate) length: Duration,
    /// How often `receive` goes round; the median counts.
    pub(crate) rounds: usize,
    /// Compile and measure libsrt too.
    pub(crate) libsrt: bool,
}

impl Options {
    pub(crate) fn parse(arguments: &[String]) -> Result<Self> {
        let mut options =
            Self { names: Vec::new(), json: false, length: Duration::from_secs(10), rounds: 3, libsrt: true };
        let mut arguments = arguments.iter();
        while let Some(argument) = arguments.next() {
            let mut number = || -> Result<u64> {
                let value = arguments.next().with_context(|| format!("{argument} needs a number"))?;
                value.parse().with_context(|| format!("{argument} {value}"))
            };
            match argument.as_str() {
                "--json" => options.json = true,
                "--no-libsrt" => options.libsrt = false,
                "--seconds" => options.length = Duration::from_secs(number()?.max(1)),
                "--rounds" => options.rounds = usize::try_from(number()?.max(1))?,
                "all" => options.names.extend(NAMES),
                name => match NAMES.iter().find(|known| **known == name) {
                    Some(known) => options.names.push(known),
                    None => bail!("{name:?} is unknown; {USAGE}"),
                },
            }
        }
        if options.names.is_empty() {
            options.names.extend(NAMES);
        }
        Ok(options)
    }
}
