//! `dashvault record`: the recorder in the vehicle.
//!
//! What belongs here: its flags, how long it runs, and what is said at its end. What it does is in
//! `dashvault-recorder`.

use std::{path::PathBuf, time::Duration};

use clap::{Args, ValueEnum};
use dashvault_base::DeviceId;
use dashvault_recorder::{
    CameraSpec, OnFull, Recorder, RecorderConfig, RunningRecorder, SrtTarget, StartError, StopReport,
    VaultUrl,
};
use dashvault_wire::DeviceToken;

use crate::{
    common::Common,
    failure::{Done, Failure, OrNext, Outcome},
    memory,
    signals::Signals,
    units,
};

/// Record cameras; send live, and backfill what live could not.
#[derive(Debug, Args)]
#[command(
    after_help = "Cameras are NAME=SOURCE[,option=value…], several by repeating --camera or with ';' between them:\n  \
      front=test                                a test picture with a clock, and a tone\n  \
      rear=file:PATH                            a file, looped, in real time\n  \
      gate=rtsp://USER:PASS@HOST/…              a network camera (also http, https)\n  \
      cabin=device[:NAME][,audio=NAME|none]     this machine's camera and microphone\n  \
      options: size=1280x720 fps=30 bitrate=2500k crf=23 gop=1 encoder=auto|copy|libx264|h264_…\n\n\
    Examples:\n  \
    dashvault record --spool /var/lib/dashvault --camera front=device          # no vault: just record\n  \
    dashvault record --vault http://vault:8080 --srt srt://vault:8890 --device bus-7 --token dv1_… \\\n                   \
    --spool /var/lib/dashvault --camera front=test --camera rear=file:drive.mp4 --for 60\n  \
    DASHVAULT_TOKEN=dv1_… dashvault record --config /etc/dashvault/recorder.toml\n\n\
    SIGINT or SIGTERM seals the packs and sends the backlog for --drain; a second one stops at once.\n\
    It may be killed at any time: at most the open segment is lost.\n\
    Exit code 1 when nothing at all was recorded. Losses are warned of at the end, and told by `dashvault status`.\n\
    Without --token packs are signed with a key of the spool's own. They become this device's, signed again, at the first\n    \
    start with --device and --token after the vault has confirmed that the two belong together (it is asked at the\n    \
    start; --adopt recorder does it without asking). Packs of another device are not touched unless --adopt names it."
)]
pub(crate) struct RecordArgs {
    /// The vault's HTTP address; without it nothing is announced or backfilled
    #[arg(long, value_name = "URL")]
    vault: Option<VaultUrl>,
    /// Where live goes: srt://HOST:PORT[?streamid=…&passphrase=…&pbkeylen=16|32&latency=MS]; any SRT server will do
    #[arg(long, value_name = "URL")]
    srt: Option<SrtTarget>,
    /// The device's id, as `dashvault device add` printed it
    #[arg(long, value_name = "ID")]
    device: Option<DeviceId>,
    /// The device's token; better in a file or in DASHVAULT_TOKEN, where `ps` does not show it
    #[arg(long, value_name = "TOKEN")]
    token: Option<DeviceToken>,
    /// Another device whose packs in this spool, not sent yet, become this one's; repeat it for several
    #[arg(long, value_name = "ID", value_delimiter = ';')]
    adopt: Vec<DeviceId>,
    /// The folder that footage is recorded into; made where it is missing
    #[arg(long, value_name = "DIR")]
    spool: PathBuf,
    /// What to record, NAME=SOURCE[,option=value…]; repeat it for several
    #[arg(long, value_name = "CAMERA", required = true, value_delimiter = ';')]
    camera: Vec<CameraSpec>,
    /// Stop after this long; without it, at a signal
    #[arg(long = "for", value_name = "TIME", value_parser = units::duration)]
    r#for: Option<Duration>,
    /// How long a stop waits for the backlog to be sent
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = units::duration)]
    drain: Duration,
    /// The most that the spool may hold; 0: as much as --reserve leaves
    #[arg(long, value_name = "SIZE", default_value = "0", value_parser = units::bytes)]
    quota: u64,
    /// What stays free on the spool's disk
    #[arg(long, value_name = "SIZE", default_value = "512MiB", value_parser = units::bytes)]
    reserve: u64,
    /// What happens when the spool is full of footage that is not in the vault yet
    #[arg(long, value_name = "POLICY", default_value = "evict-unsent")]
    on_full: FullPolicy,
    /// How long a pack is
    #[arg(long, value_name = "TIME", default_value = "60s", value_parser = units::duration)]
    pack_length: Duration,
    /// The most that backfill may send a second, as 2Mbit or 250kB; live is not held back
    #[arg(long, value_name = "RATE", value_parser = units::rate)]
    rate_cap: Option<u64>,
    /// How many uploads run at once
    #[arg(long, value_name = "N", default_value = "3")]
    uploads: usize,
    /// The secret (10 to 79 bytes) that live is encrypted with; better in a file or in DASHVAULT_PASSPHRASE
    #[arg(long, value_name = "SECRET")]
    passphrase: Option<String>,
    /// The length of the AES key that live is encrypted with
    #[arg(long, value_name = "BITS", default_value = "128", value_parser = ["128", "256"])]
    key_bits: String,
    /// How far live may fall behind before it skips to the newest segment
    #[arg(long, value_name = "TIME", default_value = "3s", value_parser = units::duration)]
    live_lag: Duration,
    /// The most that waits for live, per camera
    #[arg(long, value_name = "SIZE", default_value = "8MiB", value_parser = units::bytes)]
    live_ring: u64,
    /// The most that waits for a slow disk, per camera; what does not fit is lost, and counted
    #[arg(long, value_name = "SIZE", default_value = "6MiB", value_parser = units::bytes)]
    disk_queue: u64,
    /// How long a camera may give nothing before it is started again
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = units::duration)]
    stall: Duration,
    /// The ffmpeg to run
    #[arg(long, value_name = "PROGRAM", default_value = "ffmpeg")]
    ffmpeg: PathBuf,
    #[command(flatten)]
    common: Common,
}

/// The policies of [`OnFull`], as they are written.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum FullPolicy {
    /// Delete the oldest pack that is not in the vault, count it as lost, go on recording
    EvictUnsent,
    /// Stop recording until there is room, and count what is not recorded
    StopRecording,
}

/// Records until `--for` is over or a signal comes.
pub(crate) fn run(args: RecordArgs) -> Done {
    args.common.start_logging()?;
    let (length, drain) = (args.r#for, args.drain);
    let config = args.into_config()?;
    if config.token.is_none() {
        tracing::warn!(
            "no --token: packs are signed with a key of this spool's own; a later start with a device that the vault confirms signs them again"
        );
    }
    memory::keep_freed(memory::RECORDER_BLOCK);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .or_next("start the runtime", "check the limits on threads")?;
    runtime.block_on(async {
        let signals = Signals::new()?;
        let recorder = Recorder::start(config).map_err(not_started)?;
        record(recorder, signals, length, drain).await
    })
}

async fn record(
    recorder: RunningRecorder,
    mut signals: Signals,
    length: Option<Duration>,
    drain: Duration,
) -> Done {
    let over = async {
        match length {
            Some(length) => tokio::time::sleep(length).await,
            None => std::future::pending().await,
        }
    };
    tokio::select! {
        () = over => tracing::info!("the time given by --for is over"),
        () = signals.next() => tracing::info!(?drain, "stopping and sending the backlog; a second signal stops at once"),
    }
    let latest = recorder.status();
    let status = tokio::select! {
        report = recorder.stop(drain) => {
            say_goodbye(&report);
            report.status
        }
        () = signals.next() => {
            tracing::warn!("stopped at once; what is not in the vault stays in the spool");
            latest.borrow().clone()
        }
    };
    let recorded = status.cameras.iter().any(|camera| camera.captured.bytes > 0);
    if !recorded {
        tracing::error!("nothing was recorded: no camera gave a whole segment; run `dashvault doctor`");
    }
    Ok(Outcome::of(recorded))
}

fn say_goodbye(report: &StopReport) {
    let waiting: u64 = report.status.cameras.iter().map(|camera| camera.packs_pending).sum();
    let lost_ms: u64 = report.status.cameras.iter().flat_map(|camera| camera.lost_ms.values()).sum();
    if lost_ms > 0 {
        tracing::warn!(lost_ms, "footage was lost in this run; `dashvault status` tells the causes");
    }
    if waiting > 0 {
        tracing::info!(
            packs = waiting,
            "stopped; these packs stay in the spool and are sent by the next run"
        );
    } else {
        tracing::info!(drained = report.drained, "stopped");
    }
}

/// What to do about a recorder that does not start.
pub(crate) fn not_started(error: StartError) -> Failure {
    match error {
        StartError::Config(error) => {
            Failure::usage(error).next("see `dashvault record --help`, and --config's file")
        }
        StartError::Spool { .. } => Failure::from(error).next(
            "check that --spool is on a disk that this user may write, and that no other recorder uses it",
        ),
        StartError::Thread(_) => Failure::from(error).next("check the limits on threads (ulimit -u)"),
    }
}

impl RecordArgs {
    fn into_config(self) -> Result<RecorderConfig, Failure> {
        let defaults = RecorderConfig::default();
        let mut srt = self.srt;
        if let (Some(target), Some(passphrase)) = (&mut srt, self.passphrase) {
            if !(10..=79).contains(&passphrase.len()) {
                return Err(
                    Failure::usage("--passphrase must have 10 to 79 bytes").next("choose another one")
                );
            }
            target.passphrase = Some(passphrase);
            target.key_bytes = if self.key_bits == "256" { 32 } else { 16 };
        }
        Ok(RecorderConfig {
            vault: self.vault,
            srt,
            device: self.device.unwrap_or(defaults.device),
            token: self.token,
            adopt: self.adopt,
            spool: self.spool,
            cameras: self.camera,
            quota_bytes: self.quota,
            reserve_bytes: self.reserve,
            on_full: match self.on_full {
                FullPolicy::EvictUnsent => OnFull::EvictUnsent,
                FullPolicy::StopRecording => OnFull::StopRecording,
            },
            pack_seconds: whole_seconds("--pack-length", self.pack_length)?,
            rate_cap_bytes_per_s: self.rate_cap,
            uploads: self.uploads,
            drain_seconds: whole_seconds("--drain", self.drain)?,
            stall_seconds: whole_seconds("--stall", self.stall)?,
            live_lag_ms: u32::try_from(self.live_lag.as_millis()).map_err(|_| too_long("--live-lag"))?,
            live_ring_bytes: usize::try_from(self.live_ring).map_err(|_| too_long("--live-ring"))?,
            disk_queue_bytes: usize::try_from(self.disk_queue).map_err(|_| too_long("--disk-queue"))?,
            ffmpeg: self.ffmpeg,
        })
    }
}

fn whole_seconds(flag: &str, time: Duration) -> Result<u32, Failure> {
    u32::try_from(time.as_secs_f64().ceil() as u64).map_err(|_| too_long(flag))
}

fn too_long(flag: &str) -> Failure {
    Failure::usage(format_args!("{flag} is too large"))
}
