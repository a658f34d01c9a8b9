//! The reader of a supervised process's standard error: into the tail, or read as progress.
//!
//! Belongs here: that thread. Not here: cutting lines, what they mean, what is kept.
//!
//! Invariants: the pipe is always read, so a flood of output never stops the child; a secret never reaches the tail.

use std::io::{self, Read};
use std::process::ChildStderr;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{broadcast, mpsc, watch};

use super::events::{Event, Status};
use super::heartbeat::Heartbeat;
use crate::command::redact;
use crate::lines::{LineEnd, Lines};
use crate::progress::{LineMeaning, Progress, ProgressParser};
use crate::tail::{Tail, TailLimits};

const READ_BYTES: usize = 16 * 1024;

pub(super) struct StderrReader {
    pub(super) tail: Arc<Mutex<Tail>>,
    pub(super) limits: TailLimits,
    pub(super) secrets: Vec<String>,
    pub(super) events: broadcast::Sender<Event>,
    pub(super) status: watch::Sender<Status>,
    /// Where progress counts as a sign of life.
    pub(super) heartbeat: Option<Heartbeat>,
    /// Dropped with the reader, which tells the driver that it is done.
    pub(super) open: mpsc::Sender<()>,
}

impl StderrReader {
    /// Reads until the pipe ends.
    pub(super) fn read(self, mut pipe: ChildStderr) {
        let mut lines = Lines::new(self.limits.line_bytes + self.longest_secret());
        let mut parser = ProgressParser::default();
        let mut before = Progress::default();
        let mut buffer = vec![0; READ_BYTES];
        let mut take = |line: &[u8], end| match parser.line(line) {
            LineMeaning::Other => self.keep(line, end),
            LineMeaning::Part => {}
            LineMeaning::Block(progress) => {
                self.tell(progress, &before);
                before = progress;
            }
        };
        loop {
            match pipe.read(&mut buffer) {
                Ok(0) => break,
                Ok(read) => lines.push(buffer.get(..read).unwrap_or_default(), &mut take),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => break,
            }
        }
        lines.finish(&mut take);
        drop(self.open);
    }

    fn tell(&self, progress: Progress, before: &Progress) {
        if let Some(heartbeat) = self.heartbeat.as_ref().filter(|_| progress.advanced_since(before)) {
            heartbeat.beat(0);
        }
        self.status.send_modify(|status| status.progress = Some(progress));
        // No subscriber is no error.
        let _ = self.events.send(Event::Progress(progress));
    }

    fn keep(&self, line: &[u8], end: LineEnd) {
        let mut tail = self.tail.lock().unwrap_or_else(PoisonError::into_inner);
        if self.secrets.is_empty() {
            return tail.push_line(line, end);
        }
        let mut shown = redact(&String::from_utf8_lossy(line), &self.secrets);
        if line.len() >= self.limits.line_bytes + self.longest_secret() {
            // A line that was cut may end inside a secret, which redaction does not see: drop that much of its end.
            let sure = shown.floor_char_boundary(shown.len().saturating_sub(self.longest_secret()));
            shown.truncate(sure);
        }
        tail.push_line(shown.as_bytes(), end);
    }

    fn longest_secret(&self) -> usize {
        self.secrets.iter().map(String::len).max().unwrap_or(0)
    }
}
