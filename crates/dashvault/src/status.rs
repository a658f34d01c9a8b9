//! `dashvault status`: how a recorder is, from what it writes into its spool each second.
//!
//! What belongs here: its flags, telling a living recorder from a dead one, and the table. The
//! numbers are the recorder's own; the packs are counted from the files.

use std::path::{Path, PathBuf};

use clap::Args;
use dashvault_base::{Clock, SystemClock};
use dashvault_recorder::{
    RecorderStatus,
    status::{CameraStatus, Phase},
};
use serde::Serialize;

use crate::{
    common::{Common, Output},
    failure::{Done, Failure, OrNext, Outcome},
    out::say,
    packs::{self, State},
    units::{show_bytes, show_seconds},
};

/// The recorder writes each second; after this long without, it is stuck, or dead where its lock cannot tell.
const FRESH_MS: i64 = 10_000;

/// Tell how a recorder is: per camera what is captured, live, on the vehicle, backfilled, lost.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    dashvault status --spool /var/lib/dashvault\n  \
    dashvault status --spool /var/lib/dashvault --json | jq .state\n\n\
    Exit code 0 while a recorder runs there, 1 where none does (stopped, killed, or never started).")]
pub(crate) struct StatusArgs {
    /// The recorder's spool
    #[arg(long, value_name = "DIR")]
    spool: PathBuf,
    #[command(flatten)]
    output: Output,
    #[command(flatten)]
    common: Common,
}

/// What is printed with `--json`.
#[derive(Debug, Serialize)]
struct Told {
    /// `recording`, `draining`, `stopped`, `stuck` (it lives, but tells nothing), `dead` (killed, or the power went) or
    /// `never-run`.
    state: &'static str,
    /// Milliseconds since the snapshot.
    age_ms: Option<i64>,
    /// The packs in the spool now.
    packs: Packs,
    /// The recorder's last snapshot.
    recorder: Option<RecorderStatus>,
}

/// Packs in the spool, counted from the files.
#[derive(Debug, Default, Serialize)]
struct Packs {
    open: u64,
    pending: u64,
    stored: u64,
    bytes: u64,
}

/// Prints the state of the recorder at `--spool`.
pub(crate) fn run(args: StatusArgs) -> Done {
    args.common.start_logging()?;
    let told = tell(&args.spool)?;
    if args.output.json {
        say!("{}", serde_json::to_string_pretty(&told)?);
    } else {
        print(&args.spool, &told);
    }
    Ok(Outcome::of(matches!(told.state, "recording" | "draining")))
}

fn tell(spool: &Path) -> Result<Told, Failure> {
    let packs = count(spool)?;
    let recorder = match RecorderStatus::read(spool) {
        Ok(status) => status,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            return Ok(Told { state: "never-run", age_ms: None, packs, recorder: None });
        }
        Err(error) => return Err(error).or_next("read the recorder's status", "start the recorder again"),
    };
    let age_ms = SystemClock.wall().0.saturating_sub(recorder.at.0);
    let state = match (recorder.phase, packs::is_held(spool)) {
        (Phase::Stopped, _) => "stopped",
        // Its lock went with the process, however young its last word is.
        (_, Some(false)) => "dead",
        // A clock that was set back makes an age negative; a recorder that writes is alive all the same.
        (_, held) if age_ms.abs() > FRESH_MS => {
            if held.is_some() {
                "stuck"
            } else {
                "dead"
            }
        }
        (Phase::Recording, _) => "recording",
        (Phase::Draining, _) => "draining",
    };
    Ok(Told { state, age_ms: Some(age_ms), packs, recorder: Some(recorder) })
}

fn count(spool: &Path) -> Result<Packs, Failure> {
    let mut packs = Packs::default();
    for pack in packs::in_spool(spool)? {
        packs.bytes += pack.bytes;
        match pack.state {
            State::Open => packs.open += 1,
            State::Pending => packs.pending += 1,
            State::Stored => packs.stored += 1,
        }
    }
    Ok(packs)
}

fn print(spool: &Path, told: &Told) {
    let Packs { open, pending, stored, bytes } = told.packs;
    say!(
        "spool     {}: {open} open, {pending} pending, {stored} stored, {}",
        spool.display(),
        show_bytes(bytes)
    );
    let age =
        told.age_ms.map_or_else(String::new, |ms| format!(", {} ago", show_seconds(ms as f64 / 1000.0)));
    say!("recorder  {}{age}", told.state);
    if told.state == "dead" {
        say!(
            "          it was killed, or the power went; its packs are safe: start it again on the same --spool"
        );
    }
    if told.state == "stuck" {
        say!(
            "          it holds the spool, but has told nothing for long: see its log, and whether the disk hangs"
        );
    }
    let Some(status) = &told.recorder else { return };
    if let Some(vault) = &status.vault {
        let reach = if vault.reachable { "reachable" } else { "not reachable" };
        say!("vault     {reach}, {} receipts{}", vault.receipts, shown_error(vault.last_error.as_deref()));
        vault.refused.iter().for_each(|refused| say!("          refused: {refused}"));
    }
    say!(
        "\n{:<12} {:<12} {:<12} {:>9} {:>9} {:>10} {:>10} {:>8}  PACKS",
        "CAMERA",
        "CAPTURE",
        "LIVE",
        "CAPTURED",
        "BY LIVE",
        "BACKFILLED",
        "ON VEHICLE",
        "LOST"
    );
    // What a process that is gone was doing is no news.
    let alive = matches!(told.state, "recording" | "draining");
    status.cameras.iter().for_each(|camera| print_camera(camera, alive));
}

fn print_camera(camera: &CameraStatus, alive: bool) {
    let now = |state: &str| if alive { state.to_owned() } else { "–".to_owned() };
    let seconds = |ms: u64| format!("{:.1} s", ms as f64 / 1000.0);
    say!(
        "{:<12} {:<12} {:<12} {:>9} {:>9} {:>10} {:>10} {:>8}  {} pending, {} stored",
        camera.camera.to_string(),
        now(&camera.capture.state),
        now(&camera.live.state),
        seconds(camera.captured.ms),
        seconds(camera.live_delivered.ms),
        seconds(camera.backfilled.ms),
        seconds(camera.on_vehicle.ms),
        seconds(camera.lost_ms.values().sum()),
        camera.packs_pending,
        camera.packs_stored,
    );
    for (cause, ms) in &camera.lost_ms {
        say!("{:<12} lost {} by {cause}", "", seconds(*ms));
    }
    if let Some(error) = camera.live.last_error.as_ref().filter(|_| alive) {
        say!("{:<12} live: {error}", "");
    }
    if let Some(tail) = &camera.capture.stderr_tail {
        say!("{:<12} ffmpeg: {}", "", tail.lines().next_back().unwrap_or_default());
    }
}

fn shown_error(error: Option<&str>) -> String {
    error.map_or_else(String::new, |error| format!("; {error}"))
}
