//! `dashvault drain`: send what a spool still holds, without recording.
//!
//! For a vehicle that is parked, a card in a reader, a spool that was copied. What belongs here: its
//! flags. Announcing and uploading are the recorder's, which runs here without cameras and live.

use std::{path::PathBuf, time::Duration};

use clap::Args;
use dashvault_base::DeviceId;
use dashvault_recorder::{Recorder, RecorderConfig, RecorderStatus, StopReport, VaultUrl};
use dashvault_wire::DeviceToken;

use crate::{
    common::Common,
    failure::{Done, Failure, OrNext, Outcome},
    memory,
    out::say,
    record,
    signals::Signals,
    units,
};

/// Send to the vault what a spool still holds, and end.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  \
    DASHVAULT_TOKEN=dv1_… dashvault drain --vault http://vault:8080 --device bus-7 --spool /mnt/card/spool\n\n\
    Exit code 0 when the vault has answered, every pack has its receipt and every loss and event is told; 1 when something\n    \
    is left (it stays in the spool): it then says whether the vault refuses the device, refuses packs, or was not reached\n    \
    in time. With nothing to send it asks the vault all the same whether it knows the device.\n\
    Packs recorded without --device become this device's once the vault has confirmed it. Packs of another device, also\n    \
    of a name once mistyped, are not touched unless --adopt names it.\n\
    No recorder may run on the same spool meanwhile.")]
pub(crate) struct DrainArgs {
    /// The vault's HTTP address
    #[arg(long, value_name = "URL")]
    vault: VaultUrl,
    /// The device's id
    #[arg(long, value_name = "ID")]
    device: DeviceId,
    /// The device's token; better in a file or in DASHVAULT_TOKEN, where `ps` does not show it
    #[arg(long, value_name = "TOKEN")]
    token: DeviceToken,
    /// Another device whose packs in this spool, not sent yet, become this one's; repeat it for several
    #[arg(long, value_name = "ID", value_delimiter = ';')]
    adopt: Vec<DeviceId>,
    /// The spool
    #[arg(long, value_name = "DIR")]
    spool: PathBuf,
    /// Give up after this long
    #[arg(long = "for", env = "DASHVAULT_DRAIN_FOR", value_name = "TIME", default_value = "1h", value_parser = units::duration)]
    r#for: Duration,
    /// The most to send a second, as 2Mbit or 250kB
    #[arg(long, value_name = "RATE", value_parser = units::rate)]
    rate_cap: Option<u64>,
    /// How many uploads run at once
    #[arg(long, value_name = "N", default_value = "3")]
    uploads: usize,
    #[command(flatten)]
    common: Common,
}

/// Sends until nothing is left, the time is over, or a signal comes.
pub(crate) fn run(args: DrainArgs) -> Done {
    args.common.start_logging()?;
    if !args.spool.is_dir() {
        return Err(
            Failure::here(format_args!("there is no spool {}", args.spool.display())).next("check --spool")
        );
    }
    let (length, device) = (args.r#for, args.device.clone());
    let config = RecorderConfig {
        vault: Some(args.vault),
        device: args.device,
        token: Some(args.token),
        adopt: args.adopt,
        spool: args.spool,
        rate_cap_bytes_per_s: args.rate_cap,
        uploads: args.uploads,
        ..RecorderConfig::default()
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .or_next("start the runtime", "check the limits on threads")?;
    memory::keep_freed(memory::RECORDER_BLOCK);
    runtime.block_on(async {
        let mut signals = Signals::new()?;
        let recorder = Recorder::start(config).map_err(record::not_started)?;
        let report = tokio::select! {
            report = recorder.stop(length) => report,
            () = signals.next() => StopReport::default(),
        };
        let waiting: u64 = report.status.cameras.iter().map(|camera| camera.packs_pending).sum();
        tracing::info!(drained = report.drained, packs_left = waiting, "ended");
        let drained = report.drained && waiting == 0 && report.answered && report.untold == 0;
        if drained {
            say!("the vault has all of device {device}: {}", sent(&report.status));
        } else {
            eprintln!("error: {}", why_not(&device, waiting, &report));
        }
        Ok(Outcome::of(drained))
    })
}

/// What this run brought.
fn sent(status: &RecorderStatus) -> String {
    match status.cameras.iter().map(|camera| camera.packs_stored).sum::<u64>() {
        0 => "there was nothing to send".to_owned(),
        packs => format!("{packs} packs were sent"),
    }
}

/// What is left and why, and what to do about it.
fn why_not(device: &DeviceId, waiting: u64, report: &StopReport) -> String {
    let vault = report.status.vault.clone().unwrap_or_default();
    let left = match report.untold {
        0 => format!("{waiting} packs stay in the spool"),
        untold => format!("{waiting} packs stay in the spool, {untold} losses and events are not told"),
    };
    if let Some(said) = vault.denied {
        return format!(
            "the vault refuses device {device}: {said}; {left}\n  next: run `dashvault device list` at the vault; if \
             {device} is there and not revoked, give the token that `dashvault device add` printed for it (--token, \
             DASHVAULT_TOKEN), else add a device there and give its id and token"
        );
    }
    if !vault.refused.is_empty() {
        let refused = vault.refused.join("\n  ");
        return format!(
            "the vault refuses packs of device {device}; {left}\n  {refused}\n  next: do what it says of each, and run \
             drain again; packs of another device need its --device and --token, or --adopt"
        );
    }
    match vault.last_error {
        Some(error) => format!("{left}: {error}\n  next: run drain again when the vault can be reached"),
        None => {
            format!("{left}: there was no time for them\n  next: run drain again, or give it a longer --for")
        }
    }
}
