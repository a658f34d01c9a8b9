//! `dashvault doctor`: will recording work here, and if not, what to do.
//!
//! What belongs here: its flags, the list of checks and how they are told. Each check is a module
//! of its own and returns [`Check`]s; none of them changes anything that stays.

use std::{fmt, path::PathBuf};

use clap::Args;
use dashvault_base::DeviceId;
use serde::Serialize;

use crate::{
    common::{Common, Output},
    failure::{Done, OrNext, Outcome},
    out::say,
};

mod cameras;
mod clock;
mod disk;
mod ffmpeg;
mod reach;

/// Check ffmpeg, cameras, disk, clock, and the way to the vault; says what to do about each.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    dashvault doctor\n  \
    dashvault doctor --spool /var/lib/dashvault --vault http://vault:8080 --srt srt://vault:8890\n  \
    dashvault doctor --config /etc/dashvault/recorder.toml --json\n\n\
    Exit code 1 when a check failed; a warning is no failure. It may be pointed at a recorder's file.")]
pub(crate) struct DoctorArgs {
    /// The spool, whose disk is measured; without it, the folder for temporary files
    #[arg(long, value_name = "DIR")]
    spool: Option<PathBuf>,
    /// The vault's HTTP address
    #[arg(long, value_name = "URL")]
    vault: Option<String>,
    /// The vault's SRT address
    #[arg(long, value_name = "URL")]
    srt: Option<String>,
    /// The device's token, which the vault is asked about; better in a file or in DASHVAULT_TOKEN
    #[arg(long, value_name = "TOKEN")]
    token: Option<String>,
    /// The device's id; with its token and a camera, live's passphrase is tried too
    #[arg(long, value_name = "ID")]
    device: Option<DeviceId>,
    /// The secret that live is encrypted with, where --srt does not say it
    #[arg(long, value_name = "SECRET")]
    passphrase: Option<String>,
    /// Cameras as `dashvault record` takes them: whether they are understood, and files are there
    #[arg(long, value_name = "CAMERA", value_delimiter = ';')]
    camera: Vec<String>,
    /// The ffmpeg that the recorder will run
    #[arg(long, value_name = "PROGRAM", default_value = "ffmpeg")]
    ffmpeg: PathBuf,
    #[command(flatten)]
    output: Output,
    #[command(flatten)]
    common: Common,
}

/// How a check went.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "UPPERCASE")]
pub(crate) enum Verdict {
    /// As it should be.
    Ok,
    /// It will work, but not as well as it could.
    Warn,
    /// It will not work.
    Fail,
}

/// One thing that was looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Check {
    /// What was looked at.
    name: String,
    /// How it is.
    verdict: Verdict,
    /// What was found.
    found: String,
    /// What to do about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<String>,
}

impl Check {
    pub(crate) fn ok(name: impl Into<String>, found: impl Into<String>) -> Self {
        Self { name: name.into(), verdict: Verdict::Ok, found: found.into(), next: None }
    }

    pub(crate) fn warn(name: impl Into<String>, found: impl Into<String>, next: impl Into<String>) -> Self {
        Self { verdict: Verdict::Warn, next: Some(next.into()), ..Self::ok(name, found) }
    }

    pub(crate) fn fail(name: impl Into<String>, found: impl Into<String>, next: impl Into<String>) -> Self {
        Self { verdict: Verdict::Fail, next: Some(next.into()), ..Self::ok(name, found) }
    }
}

impl fmt::Display for Check {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let verdict = match self.verdict {
            Verdict::Ok => "OK  ",
            Verdict::Warn => "WARN",
            Verdict::Fail => "FAIL",
        };
        write!(f, "{verdict}  {:<14} {}", self.name, self.found)?;
        self.next.as_ref().map_or(Ok(()), |next| write!(f, "\n      {:<14} next: {next}", ""))
    }
}

/// Runs every check and prints each as it is done.
pub(crate) fn run(args: DoctorArgs) -> Done {
    args.common.start_logging()?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .or_next("start the runtime", "check the limits on threads")?;
    let mut checks = Vec::new();
    let mut tell = |more: Vec<Check>| {
        if !args.output.json {
            more.iter().for_each(|check| say!("{check}"));
        }
        checks.extend(more);
    };
    tell(ffmpeg::check(&args.ffmpeg));
    tell(cameras::check(&args.camera));
    tell(disk::check(args.spool.as_deref()));
    tell(clock::check());
    tell(vec![runtime.block_on(reach::http(args.vault.as_deref()))]);
    if let Some(token) = &args.token {
        tell(vec![runtime.block_on(reach::token(token, args.vault.as_deref()))]);
    }
    let knock = reach::Knock {
        device: args.device.clone(),
        token: args.token.clone(),
        camera: args.camera.first().cloned(),
        passphrase: args.passphrase.clone(),
    };
    tell(vec![runtime.block_on(reach::srt(args.srt.as_deref(), &knock))]);

    let ok = checks.iter().all(|check| check.verdict != Verdict::Fail);
    if args.output.json {
        say!("{:#}", serde_json::json!({ "ok": ok, "checks": checks }));
    }
    Ok(Outcome::of(ok))
}
