//! `dashvault verify`: does every pack hold what its recorder signed, and has the vault the same bytes?
//!
//! What belongs here: its flags, its order (find, audit, chain, compare), progress. What a sound
//! pack is, `dashvault-media` decides. The demo uses [`verify`] as it is.

use std::{collections::BTreeMap, path::PathBuf};

use clap::Args;

use crate::{
    common::{Common, Output},
    failure::{Done, Failure, Outcome},
    out::say,
    packs::{self, Found, Place},
};

mod audit;
mod bundle;
mod chain;
mod compare;
mod progress;
mod report;
#[cfg(test)]
mod tests;
mod vault;

pub(crate) use progress::Progress;
pub(crate) use report::Report;

use audit::Audited;
pub(crate) use bundle::Bundle;

/// Check every pack of a spool, of a vault, or of both against each other.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    dashvault verify --spool /var/lib/dashvault\n  \
    dashvault verify --data /srv/dashvault --json\n  \
    dashvault verify --spool /var/lib/dashvault --data /srv/dashvault    # … and that both are identical\n  \
    dashvault verify --bundle bus-front-20261122-101500Z.zip    # evidence: every byte of it, without a vault\n\n\
    Exit code 1 when a pack is wrong: it then says which pack, segment and byte. Packs still being recorded\n\
    are told as open, not as wrong. Reads only; a recorder and a vault may run meanwhile.")]
pub(crate) struct VerifyArgs {
    /// The vehicle's spool
    #[arg(long, value_name = "DIR")]
    spool: Option<PathBuf>,
    /// The vault's data folder
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// An evidence bundle: the ZIP file, or the folder that it was unpacked to
    #[arg(long, value_name = "FILE|DIR")]
    bundle: Option<PathBuf>,
    /// The public key or fingerprint that the device's owner told you: a bundle signed with another is wrong
    #[arg(long, value_name = "KEY", requires = "bundle")]
    device_key: Option<String>,
    /// The public key or fingerprint that the vault's operator told you
    #[arg(long, value_name = "KEY", requires = "bundle")]
    vault_key: Option<String>,
    #[command(flatten)]
    output: Output,
    #[command(flatten)]
    common: Common,
}

/// Verifies and prints the report.
pub(crate) fn run(args: VerifyArgs) -> Done {
    args.common.start_logging()?;
    let bundle =
        args.bundle.map(|path| Bundle { path, device_key: args.device_key, vault_key: args.vault_key });
    let places = Places { spool: args.spool, data: args.data, bundle };
    let report = verify(&places, &mut Progress::on_stderr())?;
    if args.output.json {
        say!("{}", serde_json::to_string_pretty(&report)?);
    } else {
        say!("{}", report.to_string().trim_end());
    }
    Ok(Outcome::of(report.ok))
}

/// What to verify.
#[derive(Debug, Clone)]
pub(crate) struct Places {
    /// The vehicle's spool.
    pub(crate) spool: Option<PathBuf>,
    /// The vault's data folder.
    pub(crate) data: Option<PathBuf>,
    /// An evidence bundle.
    pub(crate) bundle: Option<Bundle>,
}

/// Checks every pack found.
///
/// # Errors
/// A [`Failure`] when a place is not given, not there, or cannot be listed. A wrong pack is no error.
pub(crate) fn verify(places: &Places, progress: &mut Progress) -> Result<Report, Failure> {
    if places.spool.is_none() && places.data.is_none() && places.bundle.is_none() {
        return Err(Failure::usage("nothing to verify")
            .next("give --spool DIR, --data DIR, or both; or --bundle FILE"));
    }
    let vehicle = places.spool.as_deref().map(packs::in_used_spool).transpose()?.unwrap_or_default();
    let vault = places.data.as_deref().map(vault::in_vault).transpose()?.unwrap_or_default();
    let mut report = Report::new(places.data.is_some() && places.spool.is_some());
    progress.expect(vehicle.iter().chain(&vault.found).map(|pack| pack.bytes).sum());

    let on_vehicle = audit_all(&vehicle, &vault.keys, &mut report, progress);
    let in_vault = audit_all(&vault.found, &vault.keys, &mut report, progress);
    let rotten = report.wrong_files();
    report.packs_sealed_on_vehicle = on_vehicle.len() as u64;
    report.footage_bytes = on_vehicle.iter().map(|pack| pack.manifest.body_len()).sum();
    report.footage_seconds =
        on_vehicle.iter().map(|pack| pack.manifest.duration_90k() as f64 / 90_000.0).sum();
    let expired = vault.expired();
    chain::check(Place::Vehicle, &on_vehicle, &vault::Expired::default(), &mut report);
    chain::check(Place::Vault, &in_vault, &expired, &mut report);
    vault.index_findings(&in_vault, &mut report);
    if report.compared {
        compare::all(&on_vehicle, &vault.found, &expired, &rotten, &mut report);
    }
    if let Some(bundle) = &places.bundle {
        bundle::check(bundle, &mut report, progress)?;
    }
    progress.done();
    report.finish();
    Ok(report)
}

/// Audits each; gives those whose manifest could be read.
fn audit_all(
    packs: &[Found],
    keys: &BTreeMap<String, String>,
    report: &mut Report,
    progress: &mut Progress,
) -> Vec<Audited> {
    let mut sound = Vec::with_capacity(packs.len());
    for pack in packs {
        progress.at(&pack.path);
        sound.extend(audit::one(pack, keys, report));
        progress.advance(pack.bytes);
    }
    sound
}
