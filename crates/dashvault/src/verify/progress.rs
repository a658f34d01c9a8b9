//! How far a long verification is: redrawn on a terminal, a line now and then elsewhere.

use std::{
    io::{IsTerminal, Write},
    path::Path,
    time::{Duration, Instant},
};

use crate::units::show_bytes;

const ON_TERMINAL: Duration = Duration::from_millis(200);
const ELSEWHERE: Duration = Duration::from_secs(5);

/// Tells on stderr how far it is; silent about work that is short.
#[derive(Debug)]
pub(crate) struct Progress {
    every: Option<Duration>,
    terminal: bool,
    last: Instant,
    drawn: bool,
    total: u64,
    done: u64,
}

impl Progress {
    /// On stderr.
    pub(crate) fn on_stderr() -> Self {
        let terminal = std::io::stderr().is_terminal();
        Self { every: Some(if terminal { ON_TERMINAL } else { ELSEWHERE }), terminal, ..Self::silent() }
    }

    /// Nowhere.
    pub(crate) fn silent() -> Self {
        Self { every: None, terminal: false, last: Instant::now(), drawn: false, total: 0, done: 0 }
    }

    /// Says how much there is to do.
    pub(crate) const fn expect(&mut self, total_bytes: u64) {
        self.total = total_bytes;
    }

    /// Says what is being read.
    pub(crate) fn at(&mut self, path: &Path) {
        if self.every.is_none_or(|every| self.last.elapsed() < every) {
            return;
        }
        self.last = Instant::now();
        self.drawn = true;
        let percent = self.done.saturating_mul(100) / self.total.max(1);
        let (done, total) = (show_bytes(self.done), show_bytes(self.total));
        let line = format!("verifying {percent:3} %  {done} of {total}  {}", path.display());
        let mut stderr = std::io::stderr().lock();
        // What cannot be shown is not worth an error.
        let _ = if self.terminal { write!(stderr, "\r\x1b[K{line}") } else { writeln!(stderr, "{line}") };
        let _ = stderr.flush();
    }

    /// Says that so many bytes are done.
    pub(crate) const fn advance(&mut self, bytes: u64) {
        self.done = self.done.saturating_add(bytes);
    }

    /// Clears the line.
    pub(crate) fn done(&self) {
        if self.drawn && self.terminal {
            eprint!("\r\x1b[K");
        }
    }
}
