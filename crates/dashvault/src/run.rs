//! `dashvault run -- COMMAND …`: the supervisor by hand.
//!
//! What belongs here: its flags, passing output through, and which exit code comes of it. Restart,
//! backoff, stall watch and polite stop are `dashvault-process`.

use std::{
    ffi::OsString,
    io::{self, IsTerminal, Read, Write},
    process::ChildStdout,
    sync::mpsc,
    time::Duration,
};

use clap::{ArgAction, Args, ValueEnum};
use dashvault_process::{
    BackoffConfig, Command, Event, Exit, Heartbeat, Lifetime, RestartPolicy, Signal, Spec, Stall, Started,
    StopAction, StopLadder, Stopped, Stream, Supervisor,
};

use crate::{
    common::Common,
    failure::{Done, Failure, OrNext, Outcome},
    signals::Signals,
    units,
};

/// How long the end waits for output that was written before it.
const LAST_BYTES: Duration = Duration::from_secs(2);

/// Run a command under supervision: restarts, stall watch, polite stop, the end of its stderr.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    dashvault run -- ffmpeg -i rtsp://cam/1 -c copy out.ts\n  \
    dashvault run --restart on-failure --stall 10s -- ffmpeg -i rtsp://cam/1 -c copy -f mpegts - > out.ts\n  \
    dashvault run --restart always --give-up-after 5 -- ./upload-hook.sh\n\n\
    Its stdout is passed through. SIGINT or SIGTERM stops it: SIGINT, then SIGTERM, then SIGKILL, to its whole\n\
    process group, each after its time. Neither it nor what it has started in that group outlives this program, even if that is\n\
    killed with SIGKILL; what leaves the group (setsid) does.\n\
    Ends with the command's exit code, 128 + N where signal N ended it, or 3 where it cannot be started.")]
pub(crate) struct RunArgs {
    /// When to start it again
    #[arg(long, value_name = "WHEN", default_value = "never")]
    restart: Restart,
    /// Give up after this many failures in a row
    #[arg(long, value_name = "N")]
    give_up_after: Option<u32>,
    /// Wait this long before the first restart; then twice as long each time
    #[arg(long, value_name = "TIME", default_value = "500ms", value_parser = units::duration)]
    backoff: Duration,
    /// … but never longer than this
    #[arg(long, value_name = "TIME", default_value = "30s", value_parser = units::duration)]
    backoff_most: Duration,
    /// Take it for stuck, and stop it, when stdout gives nothing for this long
    #[arg(long, value_name = "TIME", value_parser = units::duration)]
    stall: Option<Duration>,
    /// How long it may take to end after SIGINT
    #[arg(long, value_name = "TIME", default_value = "2s", value_parser = units::duration)]
    stop_interrupt: Duration,
    /// How long it may then take to end after SIGTERM, before SIGKILL
    #[arg(long, value_name = "TIME", default_value = "2s", value_parser = units::duration)]
    stop_terminate: Duration,
    /// How many of its last stderr lines to show when it ends
    #[arg(long, value_name = "N", default_value = "10")]
    tail: usize,
    /// Pass stderr through as it comes, instead
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, action = ArgAction::Set,
        default_value = "false", default_missing_value = "true")]
    show_stderr: bool,
    /// The command and its arguments
    #[arg(last = true, required = true, num_args = 1.., value_name = "COMMAND")]
    command: Vec<OsString>,
    #[command(flatten)]
    common: Common,
}

/// The policies of [`RestartPolicy`], as they are written.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum Restart {
    /// Run it once
    Never,
    /// After a non-zero code, a signal, a stall
    OnFailure,
    /// Whenever it ends
    Always,
}

/// Runs the command until the policy or a signal ends it.
pub(crate) fn run(args: RunArgs) -> Done {
    args.common.start_logging()?;
    let tail = if args.show_stderr { 0 } else { args.tail };
    let spec = args.spec()?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .or_next("start the runtime", "check the limits on threads")?;
    runtime.block_on(async {
        let signals = Signals::new()?;
        let (copying, copied) = mpsc::channel();
        let supervisor = Supervisor::spawn(spec, move |started| pass_through(started, copying.clone()))
            .or_next("start supervision", "check the limits on threads")?;
        let done = watch(&supervisor, signals, tail).await;
        drop(supervisor);
        // The last bytes may still be on their way; something that left the group may hold the pipe for ever.
        let _: Result<(), _> = copied.recv_timeout(LAST_BYTES);
        done
    })
}

async fn watch(supervisor: &Supervisor, mut signals: Signals, tail: usize) -> Done {
    let mut events = supervisor.events();
    let mut cannot_start = None;
    let mut last_exit = None;
    loop {
        let event = tokio::select! {
            event = events.next() => event,
            () = signals.next() => {
                supervisor.ask_stop();
                continue;
            }
        };
        match event {
            Some(Event::SpawnFailed { error, .. }) => cannot_start = Some(error),
            Some(Event::Started { .. }) => cannot_start = None,
            Some(Event::Exited { exit, tail: lines, .. }) => {
                last_exit = Some(exit);
                show_tail(&lines, tail);
            }
            Some(Event::Stalled { idle }) => tracing::warn!(?idle, "no output; stopping it"),
            Some(Event::Restarting { after, failures }) => {
                tracing::info!(?after, failures, "starting it again")
            }
            Some(Event::Stopped(stopped)) => return end(stopped, last_exit, cannot_start),
            Some(_) => {}
            None => return end(supervisor.wait().await, last_exit, cannot_start),
        }
    }
}

fn end(stopped: Stopped, last_exit: Option<Exit>, cannot_start: Option<String>) -> Done {
    if let Some(error) = cannot_start {
        return Err(Failure::here(error).next("check the command's name, and that it is in PATH"));
    }
    let exit = match stopped {
        Stopped::Ended(exit) => Some(exit),
        Stopped::Asked { exit, .. } => exit.or(last_exit),
        Stopped::GaveUp { failures } => {
            tracing::error!(failures, "given up");
            last_exit
        }
        Stopped::Abandoned => return Err(Failure::here("it survived SIGKILL, stuck in the kernel")),
        Stopped::Panicked => return Err(Failure::here("supervision failed")),
    };
    Ok(Outcome::Code(match exit {
        Some(Exit::Code(code)) => u8::try_from(code).unwrap_or(1),
        Some(Exit::Signal(signal)) => u8::try_from(128 + signal).unwrap_or(255),
        Some(Exit::Unknown) => 1,
        None => 0,
    }))
}

fn show_tail(lines: &[String], most: usize) {
    for line in lines.iter().skip(lines.len().saturating_sub(most)) {
        eprintln!("| {line}");
    }
}

/// Copies stdout on a thread of its own; each read is a sign of life.
fn pass_through(started: Started, copying: mpsc::Sender<()>) {
    let Started { stdout: Some(stdout), heartbeat, run, .. } = started else { return };
    let copy = std::thread::Builder::new().name(format!("stdout-{run}")).spawn(move || {
        copy(stdout, &heartbeat);
        drop(copying);
    });
    if let Err(error) = copy {
        tracing::error!(%error, "no thread to pass stdout through");
    }
}

fn copy(mut stdout: ChildStdout, heartbeat: &Heartbeat) {
    let mut buffer = vec![0; 64 << 10];
    let mut out = io::stdout().lock();
    loop {
        match stdout.read(&mut buffer) {
            Ok(0) => return,
            Ok(read) => {
                heartbeat.beat(read);
                // Our reader is gone: so is the reason to go on, which the command learns by its broken pipe.
                if out.write_all(&buffer[..read]).and_then(|()| out.flush()).is_err() {
                    return;
                }
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return tracing::warn!(%error, "stdout cannot be read"),
        }
    }
}

impl RunArgs {
    fn spec(self) -> Result<Spec, Failure> {
        let mut words = self.command.into_iter();
        let program =
            words.next().ok_or_else(|| Failure::usage("no command is given").next("write it after --"))?;
        let mut command =
            Command::new(&program).args(words).stdout(Stream::Piped).lifetime(Lifetime::GroupWithProgram);
        // From a terminal a process in a group of its own may not read.
        if !io::stdin().is_terminal() {
            command = command.stdin(Stream::Inherit);
        }
        if self.show_stderr {
            command = command.stderr(Stream::Inherit);
        }
        let name = program.to_string_lossy().rsplit(['/', '\\']).next().unwrap_or("child").to_owned();
        let mut spec = Spec::new(name, command);
        spec.restart = match self.restart {
            Restart::Never => RestartPolicy::Never,
            Restart::OnFailure => RestartPolicy::OnFailure,
            Restart::Always => RestartPolicy::Always,
        };
        spec.give_up_after = self.give_up_after;
        spec.backoff =
            BackoffConfig { initial: self.backoff, max: self.backoff_most, ..BackoffConfig::default() };
        spec.stall = self.stall.map(Stall::after);
        spec.stop = StopLadder::new([
            (StopAction::Signal(Signal::Interrupt), self.stop_interrupt),
            (StopAction::Signal(Signal::Terminate), self.stop_terminate),
        ]);
        Ok(spec)
    }
}
