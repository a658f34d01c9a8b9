//! What to run: a plain value that can be kept, compared, shown and spawned any number of times.
//!
//! Belongs here: program, arguments, environment, streams, group and lifetime, and how a failed spawn is told. Not
//! here: the spawn itself (`spawner`, `platform`), nor running to the end (`communicate`).
//!
//! Invariant: a secret never shows in `Debug`.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::{fmt, io};

use crate::child::Child;
use crate::spawner;

/// A command to run, with everything that is decided before it runs.
///
/// Unlike [`std::process::Command`] it can be cloned and compared. Defaults: own process group, dies with this
/// program, standard input empty.
#[derive(Clone, PartialEq, Eq)]
pub struct Command {
    pub(crate) program: OsString,
    pub(crate) args: Vec<OsString>,
    pub(crate) clear_env: bool,
    pub(crate) env: Vec<(OsString, Option<OsString>)>,
    pub(crate) directory: Option<PathBuf>,
    pub(crate) stdin: Option<Stream>,
    pub(crate) stdout: Option<Stream>,
    pub(crate) stderr: Option<Stream>,
    pub(crate) stdout_pipe_bytes: Option<usize>,
    pub(crate) group: bool,
    pub(crate) lifetime: Lifetime,
    pub(crate) low_priority: bool,
    pub(crate) secrets: Vec<String>,
}

/// Where a standard stream of the child goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stream {
    /// To the same place as this program's.
    Inherit,
    /// Nowhere: `/dev/null`.
    Null,
    /// Into a pipe to this program. Something must read it, or the child stands still when the pipe is full.
    Piped,
}

/// How long a child may live.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Lifetime {
    /// It dies with this program, also when this program is killed by SIGKILL.
    ///
    /// Linux: the kernel does it, for the child itself; what the *child* has started outlives it. Other Unix: as
    /// [`GroupWithProgram`](Self::GroupWithProgram). Windows: the whole job object dies.
    #[default]
    WithProgram,
    /// It and every descendant in its process group die with this program.
    ///
    /// Costs one waiting `/bin/sh` (the keeper, about 1 MB) a child on Unix, which kills the group when its pipe to
    /// this program breaks. Implies [`Command::group`]. A descendant that leaves the group (`setsid`) escapes.
    GroupWithProgram,
    /// It may outlive this program, and dropping its [`Child`] leaves it running.
    Independent,
}

impl Command {
    /// Describes running `program`, looked up in `PATH` unless it contains a separator.
    pub fn new(program: impl Into<OsString>) -> Self {
        Self {
            program: program.into(),
            args: Vec::new(),
            clear_env: false,
            env: Vec::new(),
            directory: None,
            stdin: None,
            stdout: None,
            stderr: None,
            stdout_pipe_bytes: None,
            group: true,
            lifetime: Lifetime::default(),
            low_priority: false,
            secrets: Vec::new(),
        }
    }

    /// Describes a script for the platform's shell: `sh -c` or `cmd /C`.
    pub fn shell(script: impl Into<OsString>) -> Self {
        let (shell, option) = if cfg!(windows) { ("cmd", "/C") } else { ("sh", "-c") };
        Self::new(shell).arg(option).arg(script)
    }

    /// Adds an argument.
    pub fn arg(mut self, arg: impl Into<OsString>) -> Self {
        self.args.push(arg.into());
        self
    }

    /// Adds arguments.
    pub fn args<I>(mut self, args: I) -> Self
    where
        I: IntoIterator,
        I::Item: Into<OsString>,
    {
        self.args.extend(args.into_iter().map(Into::into));
        self
    }

    /// Sets an environment variable.
    pub fn env(mut self, key: impl Into<OsString>, value: impl Into<OsString>) -> Self {
        self.env.push((key.into(), Some(value.into())));
        self
    }

    /// Removes an environment variable that would be inherited.
    pub fn env_remove(mut self, key: impl Into<OsString>) -> Self {
        self.env.push((key.into(), None));
        self
    }

    /// Inherits no environment variable.
    pub fn env_clear(mut self) -> Self {
        self.clear_env = true;
        self
    }

    /// Sets the working directory.
    pub fn directory(mut self, directory: impl Into<PathBuf>) -> Self {
        self.directory = Some(directory.into());
        self
    }

    /// Sets where standard input comes from; [`Stream::Null`] unless set.
    pub fn stdin(mut self, stream: Stream) -> Self {
        self.stdin = Some(stream);
        self
    }

    /// Sets where standard output goes. Unless set: captured by `run`, inherited by `spawn`.
    pub fn stdout(mut self, stream: Stream) -> Self {
        self.stdout = Some(stream);
        self
    }

    /// Sets where standard error goes. Unless set: captured by `run`, inherited by `spawn`, the tail in a supervisor.
    pub fn stderr(mut self, stream: Stream) -> Self {
        self.stderr = Some(stream);
        self
    }

    /// Asks for a standard output pipe of this capacity, as far as the system allows (Linux; 1 MiB for users).
    ///
    /// A larger pipe lets a reader be late without stopping the child, and saves wake-ups.
    pub fn stdout_pipe_bytes(mut self, bytes: usize) -> Self {
        self.stdout_pipe_bytes = Some(bytes);
        self
    }

    /// Sets whether the child leads a process group of its own; on unless set.
    ///
    /// In a group, every signal goes to every descendant; a Ctrl-C at the terminal reaches this program only; and when
    /// the child ends, the descendants it leaves behind are killed. Where they were asked to end (SIGINT, SIGTERM,
    /// SIGHUP), they have 5 s for it after the child, which counts as running meanwhile (Linux).
    pub fn group(mut self, group: bool) -> Self {
        self.group = group;
        self
    }

    /// Sets how long the child may live.
    pub fn lifetime(mut self, lifetime: Lifetime) -> Self {
        self.lifetime = lifetime;
        self
    }

    /// Lets everything else go first: the child and what it starts get the least share of the processors (Unix: nice 19;
    /// elsewhere without effect). For work that nobody waits for with a hand on the brake.
    pub fn low_priority(mut self) -> Self {
        self.low_priority = true;
        self
    }

    /// Names a word that is shown as `***` in `Debug` and in a supervisor's stderr tail. Empty words are ignored.
    pub fn secret(mut self, secret: impl Into<String>) -> Self {
        let secret = secret.into();
        if !secret.is_empty() {
            self.secrets.push(secret);
        }
        self
    }

    /// Returns the program.
    pub fn program(&self) -> &OsStr {
        &self.program
    }

    /// Returns the arguments.
    pub fn arguments(&self) -> &[OsString] {
        &self.args
    }

    /// Starts the process and returns as soon as its program is running.
    ///
    /// # Errors
    /// When the process cannot be made or its program cannot be executed.
    pub fn spawn(&self) -> Result<Child, SpawnError> {
        let spawned = spawner::spawn(self.clone()).map_err(|source| self.spawn_error(source))?;
        Child::adopt(spawned, self.lifetime).map_err(|source| self.spawn_error(source))
    }

    pub(crate) fn leads_group(&self) -> bool {
        self.group || self.lifetime == Lifetime::GroupWithProgram
    }

    fn spawn_error(&self, source: io::Error) -> SpawnError {
        SpawnError { program: Path::new(&self.program).to_owned(), directory: self.directory.clone(), source }
    }
}

impl fmt::Debug for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let words = std::iter::once(&self.program).chain(&self.args);
        let line: Vec<String> = words.map(|word| redact(&word.to_string_lossy(), &self.secrets)).collect();
        f.debug_struct("Command")
            .field("line", &line)
            .field("directory", &self.directory)
            .field("group", &self.group)
            .field("lifetime", &self.lifetime)
            .finish_non_exhaustive()
    }
}

/// Replaces every secret in `text`.
pub(crate) fn redact(text: &str, secrets: &[String]) -> String {
    secrets.iter().fold(text.to_owned(), |text, secret| text.replace(secret.as_str(), "***"))
}

/// A process that could not be started.
#[derive(Debug, thiserror::Error)]
#[error("cannot start {}{}", program.display(), in_directory(directory.as_deref()))]
pub struct SpawnError {
    program: PathBuf,
    directory: Option<PathBuf>,
    source: io::Error,
}

/// What to do about a process that could not be started.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SpawnErrorKind {
    /// The program or its directory is not there, or may not be executed: an operator must act.
    Operator,
    /// The system had no room for it just now: try again later.
    Retry,
}

impl SpawnError {
    /// Returns what to do about it.
    pub fn kind(&self) -> SpawnErrorKind {
        match self.source.kind() {
            io::ErrorKind::NotFound
            | io::ErrorKind::PermissionDenied
            | io::ErrorKind::NotADirectory
            | io::ErrorKind::InvalidInput => SpawnErrorKind::Operator,
            _ => SpawnErrorKind::Retry,
        }
    }
}

fn in_directory(directory: Option<&Path>) -> String {
    directory.map(|path| format!(" in {}", path.display())).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_shows_the_command_without_its_secrets() {
        let command = Command::new("ffmpeg").arg("rtsp://u:hunter2@cam/1").secret("hunter2").secret("");
        let shown = format!("{command:?}");
        assert!(shown.contains("rtsp://u:***@cam/1"), "{shown}");
        assert!(!shown.contains("hunter2"));
    }
}
