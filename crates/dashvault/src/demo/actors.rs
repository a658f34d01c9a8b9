//! The processes of the demo: this same binary as vault and as recorder, started as a user would.
//!
//! Invariant: they end with the demo, however it ends (`dashvault-process` sees to that).

use std::{
    fs::File,
    io::{self, BufRead, BufReader, Read},
    net::SocketAddr,
    path::{Path, PathBuf},
    process::ChildStdout,
    sync::mpsc,
    time::Duration,
};

use dashvault_process::{Child, Command, Exchange, Exit, Signal, Stream};

use super::footage::Camera;
use crate::failure::{Failure, OrNext};

/// How long a process may take to start.
const START: Duration = Duration::from_secs(30);
const LOG_TAIL: usize = 12;

/// A process with its log.
#[derive(Debug)]
pub(super) struct Actor {
    name: &'static str,
    child: Child,
    log: PathBuf,
}

/// Where the vault listens.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ports {
    pub(super) http: SocketAddr,
    pub(super) srt: SocketAddr,
}

impl Actor {
    /// Starts `serve` and waits until it is ready.
    pub(super) fn vault(stage: &Path) -> Result<(Self, Ports), Failure> {
        let command = this_program()?
            .args(["serve", "--http", "127.0.0.1:0", "--srt", "127.0.0.1:0", "--data"])
            .arg(stage.join("data"));
        let mut actor = Self::start("vault", command.stdout(Stream::Piped), stage)?;
        let stdout = actor.child.stdout.take().ok_or_else(|| Failure::here("the vault has no stdout"))?;
        match ready_line(stdout).as_deref().and_then(ports) {
            Some(ports) => Ok((actor, ports)),
            None => Err(actor.failed("did not start")),
        }
    }

    /// Starts `record` against the proxies.
    pub(super) fn recorder(
        stage: &Path,
        through: Ports,
        device: &Device,
        cameras: &[Camera],
        pack: Duration,
    ) -> Result<Self, Failure> {
        let mut command = this_program()?
            .args(["record", "--vault", &format!("http://{}", through.http)])
            .args(["--srt", &format!("srt://{}", through.srt), "--device", &device.id])
            .args([
                "--drain",
                "10m",
                "--reserve",
                "64MiB",
                "--pack-length",
                &format!("{}ms", pack.as_millis()),
            ])
            .env("DASHVAULT_TOKEN", &device.token)
            .secret(&device.token)
            .stdout(Stream::Null)
            .arg("--spool")
            .arg(stage.join("spool"));
        for camera in cameras {
            command = command.args(["--camera", &camera.0]);
        }
        Self::start("recorder", command, stage)
    }

    fn start(name: &'static str, command: Command, stage: &Path) -> Result<Self, Failure> {
        let log = stage.join(format!("{name}.log"));
        let mut child =
            command.stderr(Stream::Piped).spawn().or_next(format_args!("start the {name}"), "try again")?;
        let file =
            File::create(&log).or_next(format_args!("write {}", log.display()), "choose another --keep")?;
        if let Some(stderr) = child.stderr.take() {
            copy_to(stderr, file, name)?;
        }
        Ok(Self { name, child, log })
    }

    /// An error when it has ended by itself.
    pub(super) fn must_run(&self) -> Result<(), Failure> {
        self.child.poll().map_or(Ok(()), |exit| Err(self.failed(&format!("ended early ({exit})"))))
    }

    /// Asks it to stop; it takes its time.
    pub(super) fn ask_stop(&self) {
        // Already ended: nothing to ask.
        let _ = self.child.signal(Signal::Terminate);
    }

    /// How it ended, once it has.
    pub(super) fn ended(&self) -> Option<Exit> {
        self.child.poll()
    }

    /// An error that shows the end of its log.
    pub(super) fn failed(&self, what: &str) -> Failure {
        let log = std::fs::read_to_string(&self.log).unwrap_or_default();
        let lines: Vec<&str> = log.lines().collect();
        let tail = lines[lines.len().saturating_sub(LOG_TAIL)..].join("\n  | ");
        Failure::here(format_args!("the {} {what}:\n  | {tail}", self.name))
            .next("run `dashvault doctor`; with --keep DIR the logs stay")
    }
}

/// The demo's device.
#[derive(Debug)]
pub(super) struct Device {
    id: String,
    token: String,
}

impl Device {
    /// Adds it with `device add --json`.
    pub(super) fn add(stage: &Path) -> Result<Self, Failure> {
        const NEXT: &str = "run it by hand: dashvault device add demo --data DIR";
        let command =
            this_program()?.args(["device", "add", "demo", "--json", "--data"]).arg(stage.join("data"));
        let output =
            command.run_blocking(Exchange::new().timeout(START)).or_next("add the demo's device", NEXT)?;
        let added: serde_json::Value =
            serde_json::from_slice(&output.stdout).or_next("add the demo's device", NEXT)?;
        let text = |key: &str| added[key].as_str().unwrap_or_default().to_owned();
        Ok(Self { id: text("id"), token: text("token") })
    }
}

/// This binary, without the settings of whoever runs the demo.
fn this_program() -> Result<Command, Failure> {
    let path = std::env::current_exe().or_next("find this program", "start it by its path")?;
    let ours =
        std::env::vars_os().map(|(key, _)| key).filter(|key| key.to_string_lossy().starts_with("DASHVAULT_"));
    Ok(ours.fold(Command::new(path), Command::env_remove))
}

/// Keeps a log on a thread of its own, which ends with the process.
fn copy_to(mut from: impl Read + Send + 'static, mut to: File, name: &str) -> Result<(), Failure> {
    std::thread::Builder::new()
        .name(format!("{name}-log"))
        .spawn(move || io::copy(&mut from, &mut to))
        .or_next("start a thread", "check the limits on threads")?;
    Ok(())
}

/// The line that says it is ready; reads on afterwards, so that the process never blocks.
fn ready_line(stdout: ChildStdout) -> Option<String> {
    let (found, ready) = mpsc::sync_channel(1);
    std::thread::spawn(move || {
        for line in BufReader::new(stdout).lines().map_while(Result::ok) {
            if line.starts_with("ready ") {
                // The receiver may have given up.
                let _ = found.try_send(line);
            }
        }
    });
    ready.recv_timeout(START).ok()
}

/// Reads `ready http=http://ADDR srt=srt://ADDR`.
fn ports(line: &str) -> Option<Ports> {
    let after = |key: &str| line.split(' ').find_map(|word| word.strip_prefix(key)?.parse().ok());
    Some(Ports { http: after("http=http://")?, srt: after("srt=srt://")? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ready_line_is_read() {
        let ports = ports("ready http=http://127.0.0.1:1234 srt=srt://127.0.0.1:5678").unwrap();
        assert_eq!((ports.http.port(), ports.srt.port()), (1234, 5678));
        assert!(super::ports("ready http=http://nowhere").is_none());
    }
}
