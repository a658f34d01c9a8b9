//! The flags that every command has, and what they do: where the configuration is, and how to log.

use std::{io::IsTerminal, path::PathBuf};

use clap::{ArgAction, Args, ValueEnum};
use tracing_subscriber::{EnvFilter, fmt::format::FmtSpan};

/// Flags of every command.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Everywhere")]
pub(crate) struct Common {
    /// Read flags from this TOML file: same names, `_` for `-`
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// Print every setting and where it comes from, and do nothing else
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, action = ArgAction::Set,
        default_value = "false", default_missing_value = "true")]
    pub(crate) show_settings: bool,
    /// What to log to stderr: error, warn, info, debug, trace, or a filter as `info,dashvault_srt=debug`
    /// [default: info, or RUST_LOG]
    #[arg(long, value_name = "FILTER")]
    pub(crate) log_level: Option<String>,
    /// How to log
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    pub(crate) log_format: LogFormat,
}

/// The flag of every command that a script would read.
#[derive(Debug, Clone, Copy, Args)]
pub(crate) struct Output {
    /// Print JSON
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, action = ArgAction::Set,
        default_value = "false", default_missing_value = "true")]
    pub(crate) json: bool,
}

/// How a log line looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum LogFormat {
    /// For people
    Text,
    /// One JSON object a line, for machines
    Json,
}

impl Common {
    /// Starts logging to stderr; stdout is for results.
    ///
    /// # Errors
    /// When the filter is no filter.
    pub(crate) fn start_logging(&self) -> Result<(), crate::failure::Failure> {
        let level = self.log_level.clone().or_else(|| std::env::var("RUST_LOG").ok());
        let level = level.unwrap_or_else(|| "info".to_owned());
        let filter = EnvFilter::try_new(&level).map_err(|error| {
            crate::failure::Failure::usage(format_args!("--log-level {level:?}: {error}"))
                .next("write error, warn, info, debug or trace")
        })?;
        let builder = tracing_subscriber::fmt()
            .with_env_filter(filter)
            .with_writer(std::io::stderr)
            .with_span_events(FmtSpan::NONE);
        // A second start (in a test) is harmless: the first one stays.
        let _ = match self.log_format {
            LogFormat::Text => builder.with_ansi(std::io::stderr().is_terminal()).try_init(),
            LogFormat::Json => builder.json().flatten_event(true).try_init(),
        };
        Ok(())
    }
}
