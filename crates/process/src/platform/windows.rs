//! Processes on Windows: a job object for the group and for death with this program, by process-wrap.
//!
//! Belongs here: the same functions as in `unix`. There are no polite signals: a program is asked through its standard
//! input (ffmpeg's `q`) or terminated with its job. The job is closed, and with it every process in it ended, when this
//! program ends in any way.
//!
//! Type-checked for x86_64-pc-windows-gnu; nobody has run it on Windows yet.

use std::io;
use std::process::{ChildStderr, ChildStdin, ChildStdout, ExitStatus, Stdio};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use process_wrap::tokio::{ChildWrapper, CommandWrap, JobObject, KillOnDrop};

use super::{Signal, Spawned};
use crate::command::{Command, Lifetime, Stream};

/// How often an exit is looked for: waiting needs the same exclusive access as terminating.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// A process whose job is still open.
pub(crate) struct OsChild {
    child: Mutex<Box<dyn ChildWrapper>>,
    pid: u32,
}

/// Makes the process. Called on the spawner thread only.
pub(crate) fn spawn(command: &Command) -> io::Result<Spawned> {
    let mut wrap = CommandWrap::from(tokio_command(command));
    if command.lifetime != Lifetime::Independent {
        wrap.wrap(KillOnDrop);
    }
    if command.leads_group() || command.lifetime != Lifetime::Independent {
        wrap.wrap(JobObject);
    }
    let mut child = wrap.spawn()?;
    let pid = child.id().ok_or_else(|| io::Error::other("the process ended at once"))?;
    let stdin =
        child.stdin().take().map(|pipe| pipe.into_owned_handle().map(ChildStdin::from)).transpose()?;
    let stdout =
        child.stdout().take().map(|pipe| pipe.into_owned_handle().map(ChildStdout::from)).transpose()?;
    let stderr =
        child.stderr().take().map(|pipe| pipe.into_owned_handle().map(ChildStderr::from)).transpose()?;
    Ok(Spawned { os: OsChild { child: Mutex::new(child), pid }, stdin, stdout, stderr })
}

/// Blocks until the process has ended.
pub(crate) fn await_exit(os: &Mutex<Option<OsChild>>) {
    loop {
        match os.lock().unwrap_or_else(PoisonError::into_inner).as_ref().map(OsChild::ended) {
            Some(Ok(None)) => {}
            None | Some(Ok(Some(_)) | Err(_)) => return,
        }
        std::thread::sleep(LOOK_EVERY);
    }
}

/// Does nothing: what is written here is a few bytes, which an anonymous pipe has room for.
pub(crate) fn never_block(_stdin: &ChildStdin) -> io::Result<()> {
    Ok(())
}

impl OsChild {
    pub(crate) fn id(&self) -> u32 {
        self.pid
    }

    /// Terminates the process and its job on [`Signal::Kill`]; refuses every other signal.
    pub(crate) fn signal(&self, signal: Signal) -> io::Result<()> {
        match signal {
            Signal::Kill => self.child.lock().unwrap_or_else(PoisonError::into_inner).start_kill(),
            _ => Err(io::ErrorKind::Unsupported.into()),
        }
    }

    /// Terminates what is left of the job and takes the status.
    #[expect(clippy::needless_pass_by_ref_mut, reason = "as on Unix, where reaping needs it")]
    pub(crate) fn reap(&mut self) -> io::Result<ExitStatus> {
        let status = self.ended()?.ok_or_else(|| io::Error::other("the process has not ended"));
        let _ = self.signal(Signal::Kill);
        status
    }

    fn ended(&self) -> io::Result<Option<ExitStatus>> {
        self.child.lock().unwrap_or_else(PoisonError::into_inner).try_wait()
    }
}

fn tokio_command(command: &Command) -> tokio::process::Command {
    let mut tokio = tokio::process::Command::new(&command.program);
    tokio.args(&command.args);
    if command.clear_env {
        tokio.env_clear();
    }
    for (key, value) in &command.env {
        match value {
            Some(value) => tokio.env(key, value),
            None => tokio.env_remove(key),
        };
    }
    if let Some(directory) = &command.directory {
        tokio.current_dir(directory);
    }
    tokio.stdin(stdio(command.stdin.unwrap_or(Stream::Null)));
    tokio.stdout(stdio(command.stdout.unwrap_or(Stream::Inherit)));
    tokio.stderr(stdio(command.stderr.unwrap_or(Stream::Inherit)));
    tokio
}

fn stdio(stream: Stream) -> Stdio {
    match stream {
        Stream::Inherit => Stdio::inherit(),
        Stream::Null => Stdio::null(),
        Stream::Piped => Stdio::piped(),
    }
}
