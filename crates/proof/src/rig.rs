//! A vault, a recorder and the bad link between them, as real processes.
//!
//! Everything lives in one temporary folder, which is kept when a test fails; its path and the seed are printed.

use std::{
    fs::{self, File},
    net::{Ipv4Addr, SocketAddr, TcpListener, UdpSocket},
    path::PathBuf,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail, ensure};
use dashvault_recorder::RecorderStatus;
use dashvault_testkit::link::{Link, TcpProxy, UdpProxy};
use dashvault_wire::DeviceToken;
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use crate::programs::{built, run};

/// Generous: a loaded machine must not fail a test.
const LIMIT: Duration = Duration::from_secs(120);

/// How a rig is set up.
#[derive(Debug, Clone)]
pub struct RigOptions {
    /// What the programs log.
    pub log: &'static str,
    /// Of the link and whatever else is drawn.
    pub seed: u64,
    /// `--camera` of the recorder.
    pub cameras: Vec<String>,
    /// Further arguments of `record`.
    pub record: Vec<String>,
    /// Further arguments of `serve`.
    pub serve: Vec<String>,
    /// Whether ffmpeg's output is also written to files of its own before the recorder sees it.
    pub tee: bool,
}

impl Default for RigOptions {
    fn default() -> Self {
        Self {
            log: "debug,hyper=info,sqlx=warn",
            seed: 1,
            cameras: vec!["front=test,size=320x180,fps=15,bitrate=400k".into()],
            record: vec!["--pack-length".into(), "5s".into()],
            serve: Vec::new(),
            tee: false,
        }
    }
}

/// The running whole. Dropping it kills what still runs.
#[derive(Debug)]
pub struct Rig {
    options: RigOptions,
    folder: TempDir,
    link: Link,
    http: SocketAddr,
    srt: SocketAddr,
    http_proxy: TcpProxy,
    srt_proxy: UdpProxy,
    token: DeviceToken,
    vault: Option<Child>,
    recorder: Option<Child>,
}

impl Rig {
    /// The one device.
    pub const DEVICE: &'static str = "bus-7";

    /// Adds the device, opens the link; nothing runs yet.
    ///
    /// # Errors
    /// When a program is missing or a port cannot be had.
    pub async fn new(options: RigOptions) -> Result<Self> {
        let folder = tempfile::Builder::new().prefix("dashvault-proof-").tempdir()?;
        println!("seed {} in {}", options.seed, folder.path().display());
        let data = folder.path().join("data");
        let mut add = Command::new(built("dashvault")?);
        add.args(["device", "add", Self::DEVICE, "--json", "--data"]).arg(&data);
        let added: serde_json::Value = serde_json::from_slice(&run(&mut add)?.stdout)?;
        let token = added["token"].as_str().context("device add prints a token")?.parse()?;
        let link = Link::new(options.seed);
        let (http, srt) = (free_tcp_port()?, free_udp_port()?);
        let (http_proxy, srt_proxy) = (link.tcp(http).await?, link.udp(srt).await?);
        Ok(Self {
            options,
            folder,
            link,
            http,
            srt,
            http_proxy,
            srt_proxy,
            token,
            vault: None,
            recorder: None,
        })
    }

    /// A rig with everything running.
    ///
    /// # Errors
    /// As [`Self::new`], or when a program does not start.
    pub async fn started(options: RigOptions) -> Result<Self> {
        let mut rig = Self::new(options).await?;
        rig.start_vault().await?;
        rig.start_recorder()?;
        Ok(rig)
    }

    /// The link, to spoil.
    #[must_use]
    pub const fn link(&self) -> &Link {
        &self.link
    }

    /// The vault's folder.
    #[must_use]
    pub fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    /// The recorder's folder.
    #[must_use]
    pub fn spool(&self) -> PathBuf {
        self.folder.path().join("spool")
    }

    /// Where the truth is teed to.
    #[must_use]
    pub fn truth(&self) -> PathBuf {
        self.folder.path().join("truth")
    }

    /// The temporary folder of it all.
    #[must_use]
    pub fn folder(&self) -> &std::path::Path {
        self.folder.path()
    }

    /// The vault's own ports, HTTP and SRT, without the link.
    #[must_use]
    pub const fn vault_ports(&self) -> (SocketAddr, SocketAddr) {
        (self.http, self.srt)
    }

    /// The vault over HTTP, through the link.
    #[must_use]
    pub fn vault_url(&self) -> String {
        format!("http://{}", self.http_proxy.addr())
    }

    /// The vault over SRT, through the link.
    #[must_use]
    pub fn srt_url(&self) -> String {
        format!("srt://{}", self.srt_proxy.addr())
    }

    /// Starts `serve` and waits until it is healthy.
    ///
    /// # Errors
    /// When it exits or does not become healthy.
    pub async fn start_vault(&mut self) -> Result<()> {
        let mut command = Command::new(built("dashvault")?);
        command.arg("serve").arg("--data").arg(self.data());
        command
            .args(["--http", &self.http.to_string(), "--srt", &self.srt.to_string()])
            .args(&self.options.serve);
        self.vault = Some(self.spawn(command, "serve.log")?);
        let since = Instant::now();
        while !healthy(self.http).await {
            let ended = self.vault.as_mut().and_then(|child| child.try_wait().ok().flatten());
            ensure!(ended.is_none(), "serve ended: {}", self.log("serve.log"));
            ensure!(since.elapsed() < LIMIT, "serve does not become healthy: {}", self.log("serve.log"));
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        Ok(())
    }

    /// Starts `record` through the link.
    ///
    /// # Errors
    /// When it cannot be spawned.
    pub fn start_recorder(&mut self) -> Result<()> {
        let mut command = Command::new(built("dashvault")?);
        command.arg("record").args(["--device", Self::DEVICE]).env("DASHVAULT_TOKEN", self.token.reveal());
        command.args(["--vault", &self.vault_url(), "--srt", &self.srt_url()]);
        command.arg("--spool").arg(self.spool()).args(["--drain", "120s", "--reserve", "1MiB"]);
        for camera in &self.options.cameras {
            command.args(["--camera", camera]);
        }
        command.args(&self.options.record);
        if self.options.tee {
            fs::create_dir_all(self.truth())?;
            command.arg("--ffmpeg").arg(built("tee-ffmpeg")?).env("DASHVAULT_TEE_DIR", self.truth());
        }
        self.recorder = Some(self.spawn(command, "record.log")?);
        Ok(())
    }

    fn spawn(&self, mut command: Command, log: &str) -> Result<Child> {
        let file = File::options().create(true).append(true).open(self.folder.path().join(log))?;
        command.stdin(Stdio::null()).stdout(file.try_clone()?).stderr(file);
        command.env("RUST_LOG", self.options.log).spawn().with_context(|| format!("start {command:?}"))
    }

    /// The device's token.
    #[must_use]
    pub const fn token(&self) -> &DeviceToken {
        &self.token
    }

    /// Runs `drain` straight to the vault, without the link, to its end.
    ///
    /// # Errors
    /// When something is left.
    pub fn drain(&self) -> Result<()> {
        let mut command = Command::new(built("dashvault")?);
        command.args(["drain", "--device", Self::DEVICE]).env("DASHVAULT_TOKEN", self.token.reveal());
        command.args(["--vault", &format!("http://{}", self.http), "--spool"]).arg(self.spool());
        run(&mut command)?;
        Ok(())
    }

    /// One of the vault's metrics: a name, to sum over its labels, or a name with its labels.
    ///
    /// # Errors
    /// When the vault does not answer.
    pub async fn metric(&self, name: &str) -> Result<u64> {
        let text = ask(self.http, "/metrics").await.context("the vault answers")?;
        let mut total = 0.0;
        for line in text.lines().filter(|line| !line.starts_with('#') && line.starts_with(name)) {
            total += line.rsplit(' ').next().unwrap_or_default().parse::<f64>()?;
        }
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a counter")]
        Ok(total as u64)
    }

    /// The recorder's process id.
    #[must_use]
    pub fn recorder_pid(&self) -> Option<u32> {
        self.recorder.as_ref().map(Child::id)
    }

    /// The vault's process id.
    #[must_use]
    pub fn vault_pid(&self) -> Option<u32> {
        self.vault.as_ref().map(Child::id)
    }

    /// SIGKILL, at once.
    pub fn kill_vault(&mut self) {
        kill(self.vault.take());
    }

    /// SIGKILL, at once.
    pub fn kill_recorder(&mut self) {
        kill(self.recorder.take());
    }

    /// SIGKILLs one of the recorder's encoders, if one runs.
    ///
    /// # Errors
    /// When the recorder's status cannot be read.
    pub fn kill_an_ffmpeg(&self, which: usize) -> Result<()> {
        let Ok(status) = self.status() else { return Ok(()) };
        let pids: Vec<u32> = status.cameras.iter().filter_map(|camera| camera.capture.pid).collect();
        let pid = pids.get(which % pids.len().max(1)).copied();
        if let Some(pid) = pid.and_then(|pid| Pid::from_raw(i32::try_from(pid).ok()?)) {
            let _ = kill_process(pid, Signal::KILL);
        }
        Ok(())
    }

    /// SIGTERM, then waits until the backlog is in the vault and the recorder has ended.
    ///
    /// # Errors
    /// When it does not end in time, or says that something is left.
    pub async fn stop_recorder(&mut self) -> Result<()> {
        let mut child = self.recorder.take().context("the recorder runs")?;
        let pid = Pid::from_child(&child);
        kill_process(pid, Signal::TERM)?;
        let since = Instant::now();
        let status = loop {
            if let Some(status) = child.try_wait()? {
                break status;
            }
            if since.elapsed() > LIMIT + Duration::from_secs(30) {
                kill(Some(child));
                bail!("the recorder does not stop: {}", self.log("record.log"));
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        };
        ensure!(status.success(), "the recorder ended with {status}: {}", self.log("record.log"));
        Ok(())
    }

    /// What the recorder that runs last said of itself; after its end, what it said last.
    ///
    /// # Errors
    /// Before it has said anything.
    pub fn status(&self) -> Result<RecorderStatus> {
        let status = RecorderStatus::read(&self.spool())?;
        let pid = self.recorder_pid();
        ensure!(pid.is_none_or(|pid| pid == status.pid), "the status is of the recorder that was killed");
        Ok(status)
    }

    /// Waits for something to become true of the recorder's status.
    ///
    /// # Errors
    /// When it does not in time.
    pub async fn until(
        &self,
        what: &str,
        condition: impl Fn(&RecorderStatus) -> bool,
    ) -> Result<RecorderStatus> {
        let since = Instant::now();
        loop {
            if let Some(status) = self.status().ok().filter(&condition) {
                return Ok(status);
            }
            ensure!(since.elapsed() < LIMIT, "{what} does not come true: {}", self.log("record.log"));
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    /// The end of a log.
    #[must_use]
    pub fn log(&self, name: &str) -> String {
        let text = fs::read_to_string(self.folder.path().join(name)).unwrap_or_default();
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(60)..].join("\n")
    }

    /// Keeps the folder, for a look after a failure.
    pub fn keep(&mut self) {
        self.folder.disable_cleanup(true);
    }
}

impl Drop for Rig {
    fn drop(&mut self) {
        self.kill_recorder();
        self.kill_vault();
        if std::thread::panicking() {
            self.keep();
        }
    }
}

fn kill(child: Option<Child>) {
    if let Some(mut child) = child {
        let _ = child.kill();
        let _ = child.wait();
    }
}

async fn healthy(http: SocketAddr) -> bool {
    ask(http, "/healthz").await.is_some_and(|answer| answer.starts_with("HTTP/1.1 200"))
}

async fn ask(http: SocketAddr, path: &str) -> Option<String> {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let ask = async {
        let mut stream = tokio::net::TcpStream::connect(http).await.ok()?;
        let request = format!("GET {path} HTTP/1.1\r\nHost: vault\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.ok()?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.ok()?;
        Some(answer)
    };
    tokio::time::timeout(Duration::from_secs(5), ask).await.ok().flatten()
}

/// A TCP port on loopback that nobody uses now.
///
/// # Errors
/// When none is left.
pub fn free_tcp_port() -> Result<SocketAddr> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?)
}

/// A UDP port on loopback that nobody uses now.
///
/// # Errors
/// When none is left.
pub fn free_udp_port() -> Result<SocketAddr> {
    Ok(UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?)
}
