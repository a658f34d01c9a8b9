//! `dashvault demo`: the promise of this product in one minute.
//!
//! A vault and a recorder with two cameras, as real processes, on either side of a link that is
//! cut, swallows packets, refuses, is throttled and loses: by a seeded script that has each of them.
//! What belongs here: its flags and its order. Then:
//!
//! | file | what |
//! |---|---|
//! | `footage` | what the cameras see |
//! | `actors` | the processes |
//! | `weather` | what the link goes through |
//! | `relink` | how long live takes to come back |
//! | `screen` | what a person sees meanwhile |
//! | `report` | what it comes to |

use std::{path::PathBuf, time::Duration};

use clap::Args;

use crate::{
    common::Common,
    failure::{Done, Failure, OrNext, Outcome},
    out::say,
    units,
};

mod actors;
mod footage;
mod relink;
mod report;
mod screen;
mod stage;
mod weather;

/// Show it: two cameras, a link that fails, and at the end every byte in the vault.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    dashvault demo\n  \
    dashvault demo --seconds 120 --seed 7 --json report.json --keep ./demo\n\n\
    Real footage is used where DASHVAULT_FOOTAGE or target/footage has bigbuckbunny.mp4 and bikes.mp4\n\
    (scripts/footage.sh fetches them), test pictures else. Exit code 0 only if nothing was lost and every\n\
    pack in the vault is identical to the recorder's.")]
pub(crate) struct DemoArgs {
    /// How long to record
    #[arg(long, value_name = "TIME", default_value = "60", value_parser = units::duration)]
    seconds: Duration,
    /// What the link goes through follows from this number
    #[arg(long, value_name = "N", default_value = "1")]
    seed: u64,
    /// Write the report to this file
    #[arg(long, env = "DASHVAULT_DEMO_JSON", value_name = "FILE")]
    json: Option<PathBuf>,
    /// Keep spool, vault and logs in this folder (new or empty)
    #[arg(long, value_name = "DIR")]
    keep: Option<PathBuf>,
    /// Where the footage is
    #[arg(long, value_name = "DIR", default_value = "target/footage")]
    footage: PathBuf,
    /// How long a pack is
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = units::duration)]
    pack_length: Duration,
    #[command(flatten)]
    common: Common,
}

/// Runs the demo from curtain to curtain.
pub(crate) fn run(args: DemoArgs) -> Done {
    args.common.start_logging()?;
    if args.seconds < weather::SHORTEST {
        return Err(Failure::usage(format_args!("--seconds {} is too short", args.seconds.as_secs())).next(
            format!("give at least {}: every kind of outage needs its time", weather::SHORTEST.as_secs()),
        ));
    }
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .or_next("start the runtime", "check the limits on threads")?;
    let report = runtime.block_on(stage::play(&args))?;
    say!("{}", report.to_string().trim_end());
    if let Some(path) = &args.json {
        let json = serde_json::to_vec_pretty(&report)?;
        std::fs::write(path, json)
            .or_next(format_args!("write {}", path.display()), "choose another --json")?;
    }
    Ok(Outcome::of(report.ok))
}
