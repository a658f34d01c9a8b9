//! A process of the benchmark: started, asked for its counters, weighed by `/proc`, and ended.
//!
//! Every part says "ready N" first and one line of `name=value` pairs for each line that it reads; it ends with its
//! standard input.
//!
//! Invariant: a part never outlives its [`Part`].

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use anyhow::{Context, Result, bail};

/// A part that says nothing for this long is broken; libsrt needs a while for a thousand connections.
const PATIENCE: Duration = Duration::from_secs(60);

pub(crate) struct Part {
    child: Child,
    input: Option<ChildStdin>,
    lines: Receiver<String>,
    ready: u64,
}

impl Part {
    /// Starts a part of this program.
    pub(crate) fn own(arguments: &[String]) -> Result<Self> {
        let mut command = Command::new(std::env::current_exe()?);
        command.arg("part").args(arguments);
        Self::start(command)
    }

    /// Starts a program and waits until it is ready.
    pub(crate) fn start(mut command: Command) -> Result<Self> {
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .with_context(|| format!("starting {command:?}"))?;
        let (input, output) = (child.stdin.take(), child.stdout.take().context("no standard output")?);
        let (lines_in, lines) = channel();
        std::thread::spawn(move || {
            for line in BufReader::new(output).lines().map_while(Result::ok) {
                if lines_in.send(line).is_err() {
                    return;
                }
            }
        });
        let mut part = Self { child, input, lines, ready: 0 };
        let line = part.line()?;
        let ready = line.strip_prefix("ready ").with_context(|| format!("{command:?} said {line:?}"))?;
        part.ready = ready.parse()?;
        Ok(part)
    }

    /// The number that it said when it was ready.
    pub(crate) fn ready(&self) -> u64 {
        self.ready
    }

    /// Sends a line and takes the counters that it answers with.
    pub(crate) fn ask(&mut self, what: &str) -> Result<Counters> {
        let input = self.input.as_mut().context("the part has been told to end")?;
        writeln!(input, "{what}")?;
        let line = self.line()?;
        let pairs = line.split_whitespace().filter_map(|pair| pair.split_once('='));
        Ok(Counters(pairs.filter_map(|(name, value)| Some((name.to_owned(), value.parse().ok()?))).collect()))
    }

    /// Ends it in good order and waits for that.
    pub(crate) fn finish(mut self) -> Result<()> {
        self.input = None;
        self.child.wait()?;
        Ok(())
    }

    /// Processor time so far, of all its threads, those that ended included.
    pub(crate) fn cpu(&self) -> Result<Duration> {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.child.id()))?;
        // The name in parentheses may hold spaces; the fields after it are counted from the third.
        let after = stat.rsplit_once(')').map_or("", |(_, after)| after);
        let fields: Vec<&str> = after.split_whitespace().collect();
        let ticks: u64 = [11, 12].iter().filter_map(|&at| fields.get(at)?.parse::<u64>().ok()).sum();
        // USER_HZ is 100 on every Linux.
        Ok(Duration::from_millis(ticks * 10))
    }

    /// Resident memory now, in kB.
    pub(crate) fn rss_kb(&self) -> Result<u64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("no VmRSS")?;
        Ok(line.trim().trim_end_matches(" kB").parse()?)
    }

    fn line(&self) -> Result<String> {
        match self.lines.recv_timeout(PATIENCE) {
            Ok(line) => Ok(line),
            Err(_) => bail!("a part of the benchmark has ended or hangs"),
        }
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        self.input = None;
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What a part counted.
pub(crate) struct Counters(HashMap<String, u64>);

impl Counters {
    /// A counter; zero when the part does not keep it.
    pub(crate) fn of(&self, name: &str) -> u64 {
        self.0.get(name).copied().unwrap_or(0)
    }
}

/// Datagrams that the kernel dropped for want of room in the sockets of a port, now open.
pub(crate) fn socket_drops(port: u16) -> Result<u64> {
    let table = std::fs::read_to_string("/proc/net/udp")?;
    let ours = format!(":{port:04X}");
    let rows = table.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
    Ok(rows
        .filter(|row| row.get(1).is_some_and(|local| local.ends_with(&ours)))
        .filter_map(|row| row.last()?.parse::<u64>().ok())
        .sum())
}
