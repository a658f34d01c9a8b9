//! `dashvault retention`: the rules of a vault, what it holds, and what the rules would delete now.
//!
//! What belongs here: its flags and how the report is shown. What the rules take, `dashvault-vault` decides; who sets
//! them does so in the dashboard or with `PUT /api/v1/retention`.

use std::path::PathBuf;

use clap::{ArgAction, Args};
use dashvault_vault::{RetentionError, retention_report};

use crate::{
    broken_index,
    common::{Common, Output},
    failure::{Done, Failure, OrNext, Outcome},
    out::say,
};

/// Show a vault's retention rules and what they would delete; deletes nothing
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    dashvault retention --data /srv/dashvault\n  \
    dashvault retention --data /srv/dashvault --dry-run --json\n\n\
    The rules are set in the dashboard or with PUT /api/v1/retention. A vault may run on the folder meanwhile.")]
pub(crate) struct RetentionArgs {
    /// The vault's data folder
    #[arg(long, value_name = "DIR")]
    data: PathBuf,
    /// Also say what the rules would delete now
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, action = ArgAction::Set,
        default_value = "false", default_missing_value = "true")]
    dry_run: bool,
    #[command(flatten)]
    output: Output,
    #[command(flatten)]
    common: Common,
}

/// Prints the report.
pub(crate) fn run(args: RetentionArgs) -> Done {
    args.common.start_logging()?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .or_next("start the runtime", "check the limits on threads")?;
    let report = runtime.block_on(retention_report(&args.data, args.dry_run));
    let report = report.map_err(|error| explain(error, &args.data))?;
    if args.output.json {
        say!("{}", serde_json::to_string_pretty(&report)?);
    } else {
        say!("{}", report.to_string().trim_end());
    }
    Ok(Outcome::Good)
}

fn explain(error: RetentionError, data: &std::path::Path) -> Failure {
    let next = broken_index::advice(&error, data);
    let otherwise = || "check --data: it is the folder that `dashvault serve --data` was given".to_owned();
    Failure::from(error).next(next.unwrap_or_else(otherwise))
}
