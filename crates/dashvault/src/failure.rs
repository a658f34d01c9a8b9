//! How a command ends: exit codes, and errors that say what to do next.
//!
//! | code | meaning |
//! |---|---|
//! | 0 | done, nothing wrong found |
//! | 1 | done, and the answer is no: a pack is wrong, nothing was recorded, a check failed |
//! | 2 | the command line or the configuration file is wrong |
//! | 3 | it could not be done here: no such folder, port in use, no ffmpeg, … |
//!
//! `dashvault run` ends with its child's code instead (128 + the signal's number where one ended it).

use std::{fmt, process::ExitCode};

/// What a command returns when it was done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// Exit code 0.
    Good,
    /// Exit code 1; the command has said why.
    Negative,
    /// Exactly this code: that of a child.
    Code(u8),
}

impl Outcome {
    pub(crate) const fn of(good: bool) -> Self {
        if good { Self::Good } else { Self::Negative }
    }
}

impl From<Outcome> for ExitCode {
    fn from(outcome: Outcome) -> Self {
        match outcome {
            Outcome::Good => Self::SUCCESS,
            Outcome::Negative => Self::from(1),
            Outcome::Code(code) => Self::from(code),
        }
    }
}

/// Why a command could not be done, and what to do about it.
#[derive(Debug)]
pub(crate) struct Failure {
    code: u8,
    cause: anyhow::Error,
    next: Option<String>,
}

/// What every command returns.
pub(crate) type Done = Result<Outcome, Failure>;

impl Failure {
    /// The command line or configuration is wrong: exit code 2.
    pub(crate) fn usage(message: impl fmt::Display) -> Self {
        Self { code: 2, cause: anyhow::anyhow!("{message}"), next: None }
    }

    /// It cannot be done here: exit code 3.
    pub(crate) fn here(message: impl fmt::Display) -> Self {
        Self { code: 3, cause: anyhow::anyhow!("{message}"), next: None }
    }

    /// Adds what to do next, as an imperative sentence without a full stop.
    pub(crate) fn next(self, what: impl Into<String>) -> Self {
        Self { next: Some(what.into()), ..self }
    }

    pub(crate) fn exit_code(&self) -> ExitCode {
        ExitCode::from(self.code)
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#}", self.cause)?;
        self.next.as_ref().map_or(Ok(()), |next| write!(f, "\n  next: {next}"))
    }
}

impl<E: Into<anyhow::Error>> From<E> for Failure {
    fn from(cause: E) -> Self {
        Self { code: 3, cause: cause.into(), next: None }
    }
}

/// Says, at the place where an error passes, what was tried and what to do next.
pub(crate) trait OrNext<T> {
    /// `trying` completes "cannot …"; `next` is an imperative sentence.
    fn or_next(self, trying: impl fmt::Display, next: impl Into<String>) -> Result<T, Failure>;
}

impl<T, E: Into<anyhow::Error>> OrNext<T> for Result<T, E> {
    fn or_next(self, trying: impl fmt::Display, next: impl Into<String>) -> Result<T, Failure> {
        self.map_err(|cause| {
            let cause = cause.into().context(format!("cannot {trying}"));
            Failure { code: 3, cause, next: Some(next.into()) }
        })
    }
}
