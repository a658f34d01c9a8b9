//! Run and wait, and communicate: input in, both outputs out, at the same time, within bounds.
//!
//! One thread a pipe, so that none can wait for another: a child may read and write in any order, any amount.
//!
//! Belongs here: the copying threads, their bounds, and how it all ends. Not here: starting the process (`command`) or
//! what its output means.
//!
//! Invariants: at most `output_bytes` of each stream are kept; when this returns, the child has ended or was killed;
//! a descendant that escaped its group with the pipe in its hand delays the return by [`AFTER_EXIT`] at most.

use std::io::{self, Read, Write};
use std::process::ChildStdin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::mpsc;

use crate::blocking::{block_until, off_thread, small_thread};
use crate::child::Child;
use crate::command::{Command, SpawnError, Stream};
use crate::exit::Exit;
use crate::lines::{LineEnd, Lines};
use crate::progress::{LineMeaning, Progress, ProgressParser};
use crate::token::{StopSource, StopToken};

/// How long the pipes may stay open once the child has ended.
const AFTER_EXIT: Duration = Duration::from_secs(2);
const READ_BYTES: usize = 64 * 1024;
/// The longest line of a log that is told from progress; the rest of it is dropped.
const LOG_LINE_BYTES: usize = 4096;

/// What goes into a child and how much may come out.
#[derive(Clone, Debug)]
pub struct Exchange {
    input: Input,
    watch: Option<Watch>,
    timeout: Option<Duration>,
    output_bytes: usize,
    excess: Excess,
}

/// Writes a child's standard input; called on a thread of its own.
type Feed = dyn Fn(&mut dyn Write) -> io::Result<()> + Send + Sync;
/// Is told of ffmpeg's progress; called on a thread of its own.
type OnProgress = dyn Fn(&Progress) + Send + Sync;

/// Where standard input comes from.
#[derive(Clone)]
enum Input {
    Bytes(Arc<Vec<u8>>),
    Feed(Arc<Feed>),
}

/// Who is told of progress.
#[derive(Clone)]
struct Watch(Arc<OnProgress>);

impl Input {
    fn is_empty(&self) -> bool {
        matches!(self, Self::Bytes(bytes) if bytes.is_empty())
    }
}

impl std::fmt::Debug for Input {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Bytes(bytes) => write!(f, "{} bytes", bytes.len()),
            Self::Feed(_) => f.write_str("fed"),
        }
    }
}

impl std::fmt::Debug for Watch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Watch")
    }
}

/// What happens to output beyond the limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Excess {
    /// It is read and dropped, and counted.
    Drop,
    /// The child is killed: [`CommunicateError::TooMuchOutput`].
    Kill,
}

/// What came out of a child.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Output {
    /// How it ended.
    pub exit: Exit,
    /// The first bytes of standard output, up to the limit.
    pub stdout: Vec<u8>,
    /// The first bytes of standard error, up to the limit.
    pub stderr: Vec<u8>,
    /// Bytes of standard output beyond the limit.
    pub stdout_dropped: u64,
    /// Bytes of standard error beyond the limit.
    pub stderr_dropped: u64,
}

/// An exchange that did not reach its end.
#[derive(Debug, thiserror::Error)]
pub enum CommunicateError {
    /// Its time was up, and the child was killed.
    #[error("process {pid} was killed after {after:?}, its time limit")]
    TimedOut {
        /// The process.
        pid: u32,
        /// The time it had.
        after: Duration,
        /// What it had written by then.
        partial: Box<Output>,
    },
    /// It wrote more than allowed, and was killed.
    #[error("process {pid} was killed for writing more than {limit} bytes")]
    TooMuchOutput {
        /// The process.
        pid: u32,
        /// The limit, of each stream.
        limit: usize,
    },
    /// The exchange was cancelled, and the child was killed.
    #[error("process {pid} was cancelled")]
    Cancelled {
        /// The process.
        pid: u32,
    },
    /// A copying thread could not be started; the child was killed.
    #[error("cannot start a thread for the pipes of process {pid}")]
    Thread {
        /// The process.
        pid: u32,
        /// What the system said.
        source: io::Error,
    },
}

/// A command that did not start or did not reach its end.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// It did not start.
    #[error(transparent)]
    Spawn(#[from] SpawnError),
    /// It did not reach its end.
    #[error(transparent)]
    Communicate(#[from] CommunicateError),
}

impl Default for Exchange {
    /// No input, no timeout, at most 16 MiB of each output, the rest dropped.
    fn default() -> Self {
        let input = Input::Bytes(Arc::default());
        Self { input, watch: None, timeout: None, output_bytes: 16 << 20, excess: Excess::Drop }
    }
}

impl Exchange {
    /// Returns the default: no input, no timeout, at most 16 MiB of each output, the rest dropped.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets what the child reads from standard input.
    pub fn input(mut self, input: impl Into<Vec<u8>>) -> Self {
        self.input = Input::Bytes(Arc::new(input.into()));
        self
    }

    /// Sets who writes what the child reads from standard input, which is closed when the call returns.
    ///
    /// For input that is made or read as it is taken. A write fails when the child has closed its end or has ended: the
    /// call should return then. What it returns is not looked at; whoever needs to know that the input was all there
    /// keeps that in the closure.
    pub fn feed(mut self, feed: impl Fn(&mut dyn Write) -> io::Result<()> + Send + Sync + 'static) -> Self {
        self.input = Input::Feed(Arc::new(feed));
        self
    }

    /// Sets who is told of each block of ffmpeg's `-progress pipe:2`; its lines are not kept as output then.
    pub fn on_progress(mut self, told: impl Fn(&Progress) + Send + Sync + 'static) -> Self {
        self.watch = Some(Watch(Arc::new(told)));
        self
    }

    /// Sets the time after which the child and its group are killed.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }

    /// Sets how many bytes of each output are kept, and what happens to the rest.
    pub fn output_limit(mut self, bytes: usize, excess: Excess) -> Self {
        (self.output_bytes, self.excess) = (bytes, excess);
        self
    }
}

impl Command {
    /// Runs the command to its end and captures its output, on this thread.
    ///
    /// # Errors
    /// When it does not start, exceeds a limit, or a thread cannot be made. A non-zero exit code is no error here.
    pub fn run_blocking(&self, exchange: Exchange) -> Result<Output, RunError> {
        Ok(self.capturing(&exchange).spawn()?.communicate_blocking(exchange)?)
    }

    /// Runs the command to its end and captures its output.
    ///
    /// # Errors
    /// As [`run_blocking`](Self::run_blocking).
    ///
    /// # Cancel safety
    /// Dropping the future kills the child and its group.
    pub async fn run(&self, exchange: Exchange) -> Result<Output, RunError> {
        let child = self.capturing(&exchange).spawn()?;
        Ok(child.communicate(exchange).await?)
    }

    /// As [`run_blocking`](Self::run_blocking), but ends early when `stop` is asked for.
    pub(crate) fn run_until(&self, exchange: Exchange, stop: &StopToken) -> Result<Output, RunError> {
        let child = self.capturing(&exchange).spawn()?;
        Ok(exchange_with(child, exchange, Some(stop))?)
    }

    /// The same command with its unset streams as `run` wants them.
    fn capturing(&self, exchange: &Exchange) -> Self {
        let mut command = self.clone();
        if !exchange.input.is_empty() {
            command.stdin.get_or_insert(Stream::Piped);
        }
        command.stdout.get_or_insert(Stream::Piped);
        command.stderr.get_or_insert(Stream::Piped);
        command
    }
}

impl Child {
    /// Feeds the input, reads both outputs, and waits for the end, on this thread.
    ///
    /// # Errors
    /// When a limit is exceeded or a thread cannot be made. The child has ended in any case.
    pub fn communicate_blocking(self, exchange: Exchange) -> Result<Output, CommunicateError> {
        exchange_with(self, exchange, None)
    }

    /// Feeds the input, reads both outputs, and waits for the end.
    ///
    /// # Errors
    /// When a limit is exceeded or a thread cannot be made. The child has ended in any case.
    ///
    /// # Cancel safety
    /// Dropping the future kills the child and its group.
    pub async fn communicate(self, exchange: Exchange) -> Result<Output, CommunicateError> {
        let pid = self.pid();
        // Held across the await: dropping it with this future cancels the exchange.
        let (_held, stop) = StopSource::new();
        let work = move || exchange_with(self, exchange, Some(&stop));
        match off_thread(format!("exchange-{pid}"), work).await {
            Ok(Some(outcome)) => outcome,
            Ok(None) => Err(CommunicateError::Cancelled { pid }),
            Err(source) => Err(CommunicateError::Thread { pid, source }),
        }
    }
}

/// Why the wait for the child ended.
enum Ended {
    Exited,
    TooMuch,
    Cancelled,
    TimedOut,
}

fn exchange_with(
    mut child: Child,
    exchange: Exchange,
    stop: Option<&StopToken>,
) -> Result<Output, CommunicateError> {
    let pid = child.pid();
    let limit = exchange.output_bytes;
    let after = exchange.timeout;
    let deadline = after.map(|timeout| Instant::now() + timeout);
    let mut pipes =
        Pipes::start(&mut child, exchange).map_err(|source| CommunicateError::Thread { pid, source })?;
    let ended = block_until(deadline, async {
        let cancelled = async {
            match stop {
                Some(stop) => stop.stopped().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            () = cancelled => Ended::Cancelled,
            Some(()) = pipes.excess.recv() => Ended::TooMuch,
            _ = child.wait() => Ended::Exited,
        }
    })
    .unwrap_or(Ended::TimedOut);
    child.handle().kill();
    let exit = child.wait_blocking();
    let output = pipes.finish(exit);
    match ended {
        Ended::Exited => Ok(output),
        Ended::TooMuch => Err(CommunicateError::TooMuchOutput { pid, limit }),
        Ended::Cancelled => Err(CommunicateError::Cancelled { pid }),
        Ended::TimedOut => {
            let after = after.unwrap_or_default();
            Err(CommunicateError::TimedOut { pid, after, partial: Box::new(output) })
        }
    }
}

/// The copying threads of one exchange.
struct Pipes {
    stdout: Arc<Mutex<Kept>>,
    stderr: Arc<Mutex<Kept>>,
    /// Says that a limit was exceeded where that kills.
    excess: mpsc::Receiver<()>,
    /// Closed when every thread has ended.
    open: mpsc::Receiver<()>,
}

/// What is kept of one stream.
#[derive(Default)]
struct Kept {
    bytes: Vec<u8>,
    dropped: u64,
}

impl Pipes {
    fn start(child: &mut Child, exchange: Exchange) -> io::Result<Self> {
        let (excess_tx, excess) = mpsc::channel(1);
        let (open_tx, open) = mpsc::channel(1);
        let pipes = Self { stdout: Arc::default(), stderr: Arc::default(), excess, open };
        let pid = child.pid();
        let excess_tx = (exchange.excess == Excess::Kill).then_some(excess_tx);
        if let Some(pipe) = child.stdout.take() {
            let reader = Reader::new(&pipes.stdout, exchange.output_bytes, &excess_tx, &open_tx);
            small_thread(format!("stdout-{pid}"), move || reader.copy(pipe))?;
        }
        if let Some(pipe) = child.stderr.take() {
            let reader = Reader::new(&pipes.stderr, exchange.output_bytes, &excess_tx, &open_tx);
            let work = move || match exchange.watch {
                Some(watch) => reader.copy_log(pipe, &watch),
                None => reader.copy(pipe),
            };
            small_thread(format!("stderr-{pid}"), work)?;
        }
        if let Some(pipe) = child.stdin.take() {
            small_thread(format!("stdin-{pid}"), move || feed(pipe, &exchange.input))?;
        }
        Ok(pipes)
    }

    /// Waits for the readers to reach the end of their pipes, and takes what they kept.
    fn finish(mut self, exit: Exit) -> Output {
        block_until(Some(Instant::now() + AFTER_EXIT), self.open.recv());
        let take =
            |kept: &Mutex<Kept>| std::mem::take(&mut *kept.lock().unwrap_or_else(PoisonError::into_inner));
        let (stdout, stderr) = (take(&self.stdout), take(&self.stderr));
        Output {
            exit,
            stdout: stdout.bytes,
            stderr: stderr.bytes,
            stdout_dropped: stdout.dropped,
            stderr_dropped: stderr.dropped,
        }
    }
}

/// Writes the input and closes the pipe. A child that does not want it all is no error.
fn feed(mut stdin: ChildStdin, input: &Input) {
    let _ = match input {
        Input::Bytes(bytes) => stdin.write_all(bytes),
        Input::Feed(feed) => feed(&mut stdin),
    };
}

struct Reader {
    kept: Arc<Mutex<Kept>>,
    limit: usize,
    excess: Option<mpsc::Sender<()>>,
    /// Dropped with the reader, which is what its receiver waits for.
    _open: mpsc::Sender<()>,
}

impl Reader {
    fn new(
        kept: &Arc<Mutex<Kept>>,
        limit: usize,
        excess: &Option<mpsc::Sender<()>>,
        open: &mpsc::Sender<()>,
    ) -> Self {
        Self { kept: Arc::clone(kept), limit, excess: excess.clone(), _open: open.clone() }
    }

    fn copy(self, mut pipe: impl Read) {
        let mut buffer = vec![0; READ_BYTES];
        loop {
            match pipe.read(&mut buffer) {
                Ok(0) => return,
                Ok(read) => self.keep(buffer.get(..read).unwrap_or_default()),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => return,
            }
        }
    }

    /// Keeps what is no progress, and tells the rest.
    fn copy_log(self, mut pipe: impl Read, watch: &Watch) {
        let mut buffer = vec![0; READ_BYTES];
        let (mut lines, mut parser) = (Lines::new(LOG_LINE_BYTES), ProgressParser::default());
        let mut each = |line: &[u8], _: LineEnd| match parser.line(line) {
            LineMeaning::Block(progress) => (watch.0)(&progress),
            LineMeaning::Part => {}
            LineMeaning::Other => {
                self.keep(line);
                self.keep(b"\n");
            }
        };
        loop {
            match pipe.read(&mut buffer) {
                Ok(0) => break,
                Ok(read) => lines.push(buffer.get(..read).unwrap_or_default(), &mut each),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => break,
            }
        }
        lines.finish(&mut each);
    }

    fn keep(&self, bytes: &[u8]) {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let room = self.limit.saturating_sub(kept.bytes.len()).min(bytes.len());
        let (head, rest) = bytes.split_at(room);
        kept.bytes.extend_from_slice(head);
        kept.dropped += rest.len() as u64;
        if let (false, Some(excess)) = (rest.is_empty(), &self.excess) {
            // Full means that it is said already.
            let _ = excess.try_send(());
        }
    }
}
