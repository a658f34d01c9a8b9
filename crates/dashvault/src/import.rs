//! `dashvault import`: brings footage files to a vault, and says what became of them.
//!
//! What belongs here: its flags, the order (go on with what was begun, else begin; upload; wait), what it says. The
//! upload's protocol is [`upload`]'s.

use std::{
    fs::File,
    path::{Path, PathBuf},
    time::Duration,
};

use base64::{Engine, engine::general_purpose::STANDARD};
use clap::{ArgAction, Args};
use serde_json::Value;

use crate::{
    common::{Common, Output},
    failure::{Done, Failure, OrNext, Outcome},
    out::say,
};

mod upload;

use upload::{Api, Upload};

/// How often a job is asked for.
const ASK: Duration = Duration::from_secs(1);
/// States after which nothing more happens.
const FINAL: [&str; 3] = ["done", "duplicate", "failed"];

/// Bring footage files (MP4, MOV, AVI, MKV, TS) to a vault, placed at their own time
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    dashvault import 20261122_101500.mp4 --vault http://vault:8080 --token … --device bus-7 --camera front\n  \
    dashvault import CARD/*.MP4 --vault http://vault:8080 --token … --device bus-7 --time-zone +01:00\n  \
    dashvault import film.avi --vault http://vault:8080 --token … --device bus-7 --at 2026-11-22T10:15:00Z\n\n\
    Without --at a file lies where its container says, else where its name says, else at the time of the upload. Run the\n\
    same command again after a break: it goes on where it was. Exit code 1 when a file could not be imported.")]
pub(crate) struct ImportArgs {
    /// The files
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// The vault
    #[arg(long, value_name = "URL")]
    vault: String,
    /// A token that may import; better in a variable than here
    #[arg(long, value_name = "TOKEN", env = "DASHVAULT_IMPORT_TOKEN")]
    token: String,
    /// The device that the footage is of; it must have been added
    #[arg(long, value_name = "ID")]
    device: String,
    /// Its camera
    #[arg(long, value_name = "NAME", default_value = "main", env = "DASHVAULT_IMPORT_CAMERA")]
    camera: String,
    /// When it was recorded: RFC 3339 or Unix milliseconds; for one file only
    #[arg(long, value_name = "TIME")]
    at: Option<String>,
    /// Of times in files' names: UTC, or an offset such as +01:00
    #[arg(long, value_name = "OFFSET", default_value = "UTC", allow_hyphen_values = true)]
    time_zone: String,
    /// Keep the originals in the vault's data folder, too
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, action = ArgAction::Set,
        default_value = "false", default_missing_value = "true")]
    keep: bool,
    /// Only upload; do not wait until the footage is on the timeline
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, action = ArgAction::Set,
        default_value = "false", default_missing_value = "true")]
    no_wait: bool,
    #[command(flatten)]
    output: Output,
    #[command(flatten)]
    common: Common,
}

/// Imports one file after the other.
pub(crate) fn run(args: ImportArgs) -> Done {
    args.common.start_logging()?;
    if args.at.is_some() && args.files.len() > 1 {
        return Err(Failure::usage("--at says when one file was recorded, and there are several")
            .next("import them one by one, or let their names or containers say it"));
    }
    let api = Api::new(&args.vault, &args.token)?;
    let mut is_good = true;
    for path in &args.files {
        let job = one(&args, &api, path)?;
        let state = text(&job, "state");
        is_good &= state != "failed";
        if args.output.json {
            say!("{job}");
        } else {
            say!("{}: {}", path.display(), told(&job));
        }
    }
    Ok(Outcome::of(is_good))
}

fn one(args: &ImportArgs, api: &Api, path: &Path) -> Result<Value, Failure> {
    let next = "check the path; it must be a file that this user may read";
    let file = File::open(path).or_next(format!("read {}", path.display()), next)?;
    let metadata = file.metadata().or_next(format!("read {}", path.display()), next)?;
    if !metadata.is_file() || metadata.len() == 0 {
        return Err(Failure::usage(format_args!("{} is no file with footage", path.display())).next(next));
    }
    let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let length = metadata.len();
    let id = match begun_before(args, api, &name, length)? {
        Some(id) => {
            tracing::info!(file = name, "an upload of it was begun; going on with that");
            id
        }
        None => api.create(length, &describe(args, &name))?,
    };
    Upload { api, id: &id, name: &name, length }.run(&file)?;
    loop {
        let job = api.get(&format!("/api/v1/import-jobs/{id}"))?;
        if args.no_wait || FINAL.contains(&text(&job, "state")) {
            return Ok(job);
        }
        std::thread::sleep(ASK);
    }
}

/// An unfinished upload of the same file: an earlier run of this command was broken off.
fn begun_before(args: &ImportArgs, api: &Api, name: &str, length: u64) -> Result<Option<String>, Failure> {
    let jobs = api.get(&format!("/api/v1/import-jobs?state=receiving&device={}", args.device))?;
    let is_it = |job: &&Value| {
        text(job, "filename") == name
            && text(job, "camera") == args.camera
            && job["bytes"].as_u64() == Some(length)
    };
    let found = jobs["jobs"].as_array().and_then(|jobs| jobs.iter().find(is_it));
    Ok(found.map(|job| text(job, "id").to_owned()))
}

/// tus's `Upload-Metadata`.
fn describe(args: &ImportArgs, name: &str) -> String {
    let mut pairs = vec![
        ("device", args.device.as_str()),
        ("camera", &args.camera),
        ("filename", name),
        ("time_zone", &args.time_zone),
        ("keep", if args.keep { "true" } else { "false" }),
    ];
    pairs.extend(args.at.as_deref().map(|at| ("at", at)));
    let pairs = pairs.into_iter().map(|(key, value)| format!("{key} {}", STANDARD.encode(value)));
    pairs.collect::<Vec<_>>().join(",")
}

fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    value[key].as_str().unwrap_or_default()
}

fn told(job: &Value) -> String {
    let wall =
        |key: &str| job[key].as_i64().map_or_else(String::new, |ms| dashvault_base::WallMs(ms).to_string());
    let mut line = text(job, "state").to_owned();
    if let Some(recording) = job["recording"].as_str() {
        let source = text(job, "time_source");
        line =
            format!("{line}: recording {recording}, {} to {} (time by {source})", wall("from"), wall("to"));
    }
    if let Some(of) = job["duplicate_of"].as_str() {
        line = format!("{line}; import {of} brought the same file");
    }
    if let Some(warning) = job["warning"].as_str() {
        line = format!("{line}; {warning}");
    }
    match job["error"]["detail"].as_str() {
        Some(detail) => format!("{line}: {detail} ({})", text(&job["error"], "code")),
        None => line,
    }
}
