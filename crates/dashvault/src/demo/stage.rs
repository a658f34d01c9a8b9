//! The demo from curtain to curtain: set up, play, wait for the rest, hold both sides against each other.

use std::{
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use dashvault_recorder::RecorderStatus;
use dashvault_testkit::link::{Conditions, Link, TcpProxy, UdpProxy};

use super::{
    DemoArgs,
    actors::{Actor, Device, Ports},
    footage,
    relink::{Live, Relinks},
    report::{Facts, Report},
    screen::{Moment, Screen},
    weather,
};
use crate::{
    failure::{Failure, OrNext},
    http,
    out::say,
    signals::Signals,
    verify::{self, Places, Progress},
};

const TICK: Duration = Duration::from_millis(50);
/// How long the cameras may take until the first segment is recorded.
const CURTAIN: Duration = Duration::from_secs(40);
/// How long the backlog may take.
const DRAIN: Duration = Duration::from_secs(600);

/// Plays the whole demo.
pub(super) async fn play(args: &DemoArgs) -> Result<Report, Failure> {
    let mut folder = Folder::new(args.keep.as_deref())?;
    let report = play_in(args, folder.path()).await;
    // What went wrong is worth a look.
    folder.keep |= !report.as_ref().is_ok_and(|report| report.ok);
    report
}

async fn play_in(args: &DemoArgs, folder: &Path) -> Result<Report, Failure> {
    let (cameras, note) = footage::cameras(&args.footage, folder);
    let script = weather::script(args.seed, args.seconds);
    say!("dashvault demo: {} s, seed {}, {} outages", args.seconds.as_secs(), args.seed, script.outages());
    note.iter().for_each(|note| say!("note: {note}"));

    let mut show = Show::open(args, folder, &cameras).await?;
    show.wait_for_cameras(cameras.len()).await?;
    let playing = show.link.play(script.clone());
    show.record(args.seconds).await?;
    drop(playing);
    let drain_seconds = show.drain().await?.as_secs_f64();

    say!("\nverifying …");
    let places = Places { spool: Some(folder.join("spool")), data: Some(folder.join("data")), bundle: None };
    let verified = tokio::task::spawn_blocking(move || verify::verify(&places, &mut Progress::on_stderr()))
        .await
        .or_next("verify", "try again")??;
    let recorder = show.status();
    Ok(Report::new(Facts {
        seconds: show.recorded.as_secs_f64(),
        seed: args.seed,
        cameras: cameras.len(),
        real_footage: note.is_none(),
        outages: script.outages(),
        drain_seconds,
        verified: &verified,
        recorder: recorder.as_ref(),
        tallies: show.link.tallies(),
        relinks_ms: show.relinks.took_ms(),
    }))
}

/// The demo's folder; gone at the end unless it is to be kept.
#[derive(Debug)]
struct Folder {
    path: PathBuf,
    keep: bool,
}

impl Folder {
    fn new(keep: Option<&Path>) -> Result<Self, Failure> {
        let path = keep.map_or_else(
            || std::env::temp_dir().join(format!("dashvault-demo-{}", std::process::id())),
            Path::to_owned,
        );
        std::fs::create_dir_all(&path)
            .or_next(format_args!("make {}", path.display()), "choose another --keep")?;
        let mut entries =
            std::fs::read_dir(&path).or_next("read the demo's folder", "choose another --keep")?;
        if entries.next().is_some() {
            return Err(Failure::usage(format_args!("{} is not empty", path.display()))
                .next("give --keep a new folder"));
        }
        let path = path.canonicalize().or_next("find the demo's folder", "choose another --keep")?;
        Ok(Self { path, keep: keep.is_some() })
    }

    fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        if self.keep {
            say!("kept: {}", self.path.display());
        } else {
            // Temporary files are the system's in the end.
            let _ = std::fs::remove_dir_all(&self.path);
        }
    }
}

/// The demo while it runs.
struct Show {
    stage: PathBuf,
    vault_http: String,
    vault: Actor,
    recorder: Actor,
    link: Link,
    signals: Signals,
    screen: Screen,
    relinks: Relinks,
    started: Instant,
    length: Duration,
    recorded: Duration,
    /// They carry as long as they live.
    _proxies: (TcpProxy, UdpProxy),
}

impl Show {
    /// Starts the vault, the link and the recorder.
    async fn open(args: &DemoArgs, stage: &Path, cameras: &[footage::Camera]) -> Result<Self, Failure> {
        let signals = Signals::new()?;
        let (vault, ports) = Actor::vault(stage)?;
        let device = Device::add(stage)?;
        let link = Link::new(args.seed);
        const NEXT: &str = "check that loopback works (ping 127.0.0.1)";
        let tcp = link.tcp(ports.http).await.or_next("open the link's TCP side", NEXT)?;
        let udp = link.udp(ports.srt).await.or_next("open the link's UDP side", NEXT)?;
        let through = Ports { http: tcp.addr(), srt: udp.addr() };
        let recorder = Actor::recorder(stage, through, &device, cameras, args.pack_length)?;
        Ok(Self {
            stage: stage.to_owned(),
            vault_http: ports.http.to_string(),
            vault,
            recorder,
            link,
            signals,
            screen: Screen::new(),
            relinks: Relinks::default(),
            started: Instant::now(),
            length: args.seconds,
            recorded: Duration::ZERO,
            _proxies: (tcp, udp),
        })
    }

    /// The curtain rises when every camera has given its first segment.
    async fn wait_for_cameras(&mut self, cameras: usize) -> Result<(), Failure> {
        let since = Instant::now();
        loop {
            let filmed = |status: &RecorderStatus| {
                status.cameras.iter().filter(|camera| camera.captured.segments > 0).count() == cameras
            };
            if self.status().as_ref().is_some_and(filmed) {
                self.started = Instant::now();
                return Ok(());
            }
            if since.elapsed() > CURTAIN {
                return Err(self.recorder.failed("gives no footage"));
            }
            self.tick("starting").await?;
        }
    }

    /// Records for `length`, or until a signal.
    async fn record(&mut self, length: Duration) -> Result<(), Failure> {
        while self.started.elapsed() < length {
            if self.tick("recording").await? {
                break;
            }
        }
        self.recorded = self.started.elapsed();
        Ok(())
    }

    /// Stops the recorder and waits until it has sent the rest; then the vault. Gives how long that took.
    async fn drain(&mut self) -> Result<Duration, Failure> {
        self.link.set(Conditions::perfect());
        let since = Instant::now();
        self.recorder.ask_stop();
        while self.recorder.ended().is_none() {
            if since.elapsed() > DRAIN || self.tick("sending the rest").await? {
                break;
            }
        }
        let took = since.elapsed();
        self.vault.ask_stop();
        while self.vault.ended().is_none() && since.elapsed() < took + Duration::from_secs(20) {
            tokio::time::sleep(TICK).await;
        }
        Ok(took)
    }

    /// Looks, draws, waits a moment. Tells whether a signal asks to end early.
    async fn tick(&mut self, phase: &str) -> Result<bool, Failure> {
        self.vault.must_run()?;
        if phase != "sending the rest" {
            self.recorder.must_run()?;
        }
        let status = self.status();
        self.watch_live(status.as_ref()).await;
        self.screen.show(&Moment {
            at: self.started.elapsed(),
            of: self.length,
            phase,
            link: self.link.state(),
            sent: self.link.tallies().to_vault.payload_bytes(),
            recorder: status.as_ref(),
        });
        tokio::select! {
            () = tokio::time::sleep(TICK) => Ok(false),
            () = self.signals.next() => Ok(true),
        }
    }

    /// Asks the vault itself, past the link, what came live, where there is a return to be answered.
    async fn watch_live(&mut self, status: Option<&RecorderStatus>) {
        let returns = self.link.relinks();
        if !self.relinks.want(&returns) {
            return;
        }
        let asked =
            tokio::time::timeout(Duration::from_secs(1), http::get(&self.vault_http, "/metrics")).await;
        if let Ok(Ok((200, metrics))) = asked {
            let segment_bytes = status.map_or(0, largest_segment);
            self.relinks.observe(Instant::now(), &returns, Live::parse(&metrics), segment_bytes);
        }
    }

    /// What the recorder last said of itself.
    fn status(&self) -> Option<RecorderStatus> {
        RecorderStatus::read(&self.stage.join("spool")).ok()
    }
}

/// The mean length of a segment of the camera that gives the most.
fn largest_segment(status: &RecorderStatus) -> u64 {
    let means = status.cameras.iter().map(|camera| camera.captured.bytes / camera.captured.segments.max(1));
    means.max().unwrap_or(0)
}
