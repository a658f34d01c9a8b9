//! The command line as a whole: which commands there are, and the way from words to a running one.
//!
//! What belongs here: the list of commands and the order of parsing (variables, file, flags). What
//! a command's flags are is said in its own module.

use std::{ffi::OsString, process::ExitCode};

use clap::{
    CommandFactory, FromArgMatches, Parser, Subcommand,
    error::{ContextKind, ContextValue, ErrorKind},
};

#[cfg(feature = "demo")]
use crate::demo;
use crate::{
    config::{self, ConfigFile, settings},
    doctor,
    failure::{Done, Failure},
    import, lock,
    out::say,
    run, verify,
};
#[cfg(feature = "vault")]
use crate::{device, retention, serve, user};
#[cfg(feature = "recorder")]
use crate::{drain, record, status};

#[cfg(all(test, feature = "demo"))]
mod reference;

/// A dashcam whose footage is in the vault, byte for byte, whatever the network did.
#[derive(Debug, Parser)]
#[command(name = "dashvault", version, arg_required_else_help = true, max_term_width = 100)]
#[command(
    after_help = "Every flag is also a key of a TOML file (--config FILE) and a DASHVAULT_… variable;\n\
    a flag beats a variable, a variable beats the file.\n\n\
    Exit codes: 0 it did what was asked, 1 the answer is no (a pack is wrong, nothing was recorded), 2 wrong usage,\n\
    3 it cannot be done here (port in use, no such folder, no ffmpeg)."
)]
pub(crate) struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    #[cfg(feature = "vault")]
    Serve(serve::ServeArgs),
    #[cfg(feature = "vault")]
    Device(device::DeviceArgs),
    #[cfg(feature = "vault")]
    User(user::UserArgs),
    #[cfg(feature = "vault")]
    Retention(retention::RetentionArgs),
    #[cfg(feature = "recorder")]
    Record(Box<record::RecordArgs>),
    #[cfg(feature = "recorder")]
    Drain(drain::DrainArgs),
    #[cfg(feature = "recorder")]
    Status(status::StatusArgs),
    Import(import::ImportArgs),
    Lock(lock::LockArgs),
    Verify(verify::VerifyArgs),
    Doctor(doctor::DoctorArgs),
    Run(run::RunArgs),
    #[cfg(feature = "demo")]
    Demo(demo::DemoArgs),
}

impl Command {
    fn run(self) -> Done {
        match self {
            #[cfg(feature = "vault")]
            Self::Serve(args) => serve::run(args),
            #[cfg(feature = "vault")]
            Self::Device(args) => device::run(args),
            #[cfg(feature = "vault")]
            Self::User(args) => user::run(args),
            #[cfg(feature = "vault")]
            Self::Retention(args) => retention::run(args),
            #[cfg(feature = "recorder")]
            Self::Record(args) => record::run(*args),
            #[cfg(feature = "recorder")]
            Self::Drain(args) => drain::run(args),
            #[cfg(feature = "recorder")]
            Self::Status(args) => status::run(args),
            Self::Import(args) => import::run(args),
            Self::Lock(args) => lock::run(args),
            Self::Verify(args) => verify::run(args),
            Self::Doctor(args) => doctor::run(args),
            Self::Run(args) => run::run(args),
            #[cfg(feature = "demo")]
            Self::Demo(args) => demo::run(args),
        }
    }
}

/// Parses the command line, runs the command, and says on stderr what went wrong.
pub(crate) fn main() -> ExitCode {
    let argv: Vec<OsString> = std::env::args_os().collect();
    match parse(&argv).and_then(|cli| cli.command.run()) {
        Ok(outcome) => outcome.into(),
        Err(failure) => {
            eprintln!("error: {failure}");
            failure.exit_code()
        }
    }
}

/// The whole command line with its variables; what the tests and the reference manual walk through.
pub(crate) fn command() -> clap::Command {
    config::hide_secrets(config::with_variables(Cli::command()))
}

fn parse(argv: &[OsString]) -> Result<Cli, Failure> {
    parse_with(argv, config::read_named(argv)?.as_ref())
}

/// Parses with what `file` says; `--show-settings` ends the program here.
pub(crate) fn parse_with(argv: &[OsString], file: Option<&ConfigFile>) -> Result<Cli, Failure> {
    let command = match file {
        Some(file) => config::with_file(command(), argv, file)?,
        None => command(),
    };
    let matches = command.clone().try_get_matches_from(argv).map_err(|error| refused(&error, file))?;
    if let Some(settings) = settings::asked_for(&command, &matches, file) {
        say!("{}", settings.trim_end());
        std::process::exit(0);
    }
    Cli::from_arg_matches(&matches).map_err(|error| refused(&error, file))
}

/// `--help` and `--version` end the program here, as clap has it; anything else is a wrong usage.
fn refused(error: &clap::Error, file: Option<&ConfigFile>) -> Failure {
    const HELP: [ErrorKind; 3] = [
        ErrorKind::DisplayHelp,
        ErrorKind::DisplayVersion,
        ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand,
    ];
    if HELP.contains(&error.kind()) {
        error.exit();
    }
    // clap would repeat the value, and a mistyped secret is still one.
    if let Some(ContextValue::String(flag)) = error.get(ContextKind::InvalidArg)
        && config::SECRETS.iter().any(|secret| flag.starts_with(&format!("--{secret}")))
    {
        return Failure::usage(format_args!("the value of {flag} is not valid"))
            .next("check it, also in the environment and in --config's file; it is not shown here");
    }
    let text = error.to_string();
    let failure = Failure::usage(text.strip_prefix("error: ").unwrap_or(&text).trim_end());
    match file {
        Some(file) => {
            failure.next(format!("check the command line, and the keys in {}", file.path().display()))
        }
        None => failure,
    }
}
