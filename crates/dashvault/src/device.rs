//! `dashvault device`: who may publish.
//!
//! What belongs here: its flags and what is printed. Works on the data folder, with or without a
//! server on it.

use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use dashvault_base::DeviceId;
use dashvault_vault::devices::{self, DeviceError, DeviceInfo, NewDevice};
use dashvault_wire::{
    DeviceToken,
    paths::{ANNOUNCE, PROTOCOL},
};
use serde_json::json;

use crate::{
    common::{Common, Output},
    data_folder::{is_first_use, must_exist, note_made, show_wall, unusable},
    failure::{Done, Failure, OrNext, Outcome},
    out::say,
};

/// Add, list and revoke the devices that may publish.
#[derive(Debug, Args)]
pub(crate) struct DeviceArgs {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Add a device: prints its id, its token (only once), its bearer for HTTP, its key's fingerprint, and the line that
    /// starts its recorder
    #[command(after_help = "Examples:\n  \
        dashvault device add bus-7 --data /srv/dashvault --host vault.example.org\n  \
        dashvault device add bus-7 --data /srv/dashvault --json | jq -r .token\n  \
        dashvault device add bus-7 --data /srv/dashvault --token dv1_…    # the index was lost: bus-7 as it was\n\n\
        The token is kept nowhere: the vault holds only its hash. Lost? Revoke the device and add another.")]
    Add(AddArgs),
    /// Print the bearer that a device's HTTP requests carry, which follows from its token; for curl and other clients
    #[command(after_help = "Examples:\n  \
        DASHVAULT_TOKEN=dv1_… dashvault device bearer\n  \
        curl -H \"Authorization: Bearer $(dashvault device bearer --token dv1_…)\" http://vault:8080/api/v1/devices/bus-7/cameras\n\n\
        Needs no vault. It is as secret as the token, but cannot sign or publish. Uploads with curl: docs/guide/vault.md.")]
    Bearer(BearerArgs),
    /// List the devices
    #[command(after_help = "Example:\n  dashvault device list --data /srv/dashvault")]
    List(ListArgs),
    /// Revoke a device for good: its footage stays, but nothing more is taken from it
    #[command(after_help = "Example:\n  dashvault device revoke bus-7 --data /srv/dashvault")]
    Revoke(RevokeArgs),
}

#[derive(Debug, Args)]
struct AddArgs {
    /// Its name, which becomes its id: 1 to 64 of A-Z a-z 0-9 _ -
    name: String,
    /// The vault's data folder
    #[arg(long, value_name = "DIR")]
    data: PathBuf,
    /// Add it again with the token that its recorder has, after the index was lost; without it, a new one is made
    #[arg(long, value_name = "TOKEN")]
    token: Option<DeviceToken>,
    /// The vault's host as the vehicle reaches it, for the printed line
    #[arg(long, value_name = "HOST", default_value = "VAULT_HOST")]
    host: String,
    /// The vault's HTTP port, for the printed line
    #[arg(long, value_name = "PORT", default_value = "8080")]
    http_port: u16,
    /// The vault's SRT port, for the printed line
    #[arg(long, value_name = "PORT", default_value = "8890")]
    srt_port: u16,
    #[command(flatten)]
    output: Output,
    #[command(flatten)]
    common: Common,
}

#[derive(Debug, Args)]
struct BearerArgs {
    /// The device's token; better in DASHVAULT_TOKEN, where `ps` does not show it
    #[arg(long, value_name = "TOKEN")]
    token: DeviceToken,
    #[command(flatten)]
    output: Output,
    #[command(flatten)]
    common: Common,
}

#[derive(Debug, Args)]
struct ListArgs {
    /// The vault's data folder
    #[arg(long, value_name = "DIR")]
    data: PathBuf,
    #[command(flatten)]
    output: Output,
    #[command(flatten)]
    common: Common,
}

#[derive(Debug, Args)]
struct RevokeArgs {
    /// The device's id
    id: DeviceId,
    /// The vault's data folder
    #[arg(long, value_name = "DIR")]
    data: PathBuf,
    #[command(flatten)]
    output: Output,
    #[command(flatten)]
    common: Common,
}

/// Does what the subcommand says.
pub(crate) fn run(args: DeviceArgs) -> Done {
    let runtime =
        tokio::runtime::Runtime::new().or_next("start the runtime", "check the limits on threads")?;
    runtime.block_on(async {
        match args.action {
            Action::Add(args) => add(args).await,
            Action::Bearer(args) => bearer(&args),
            Action::List(args) => list(args).await,
            Action::Revoke(args) => revoke(args).await,
        }
    })
}

async fn add(args: AddArgs) -> Done {
    args.common.start_logging()?;
    let new = is_first_use(&args.data)?;
    let added = match args.token.clone() {
        Some(token) => devices::restore_device(&args.data, &args.name, token).await,
        None => devices::add_device(&args.data, &args.name).await,
    };
    let device = added.map_err(|error| explain(error, &args.data))?;
    if new {
        note_made(&args.data);
    }
    let line = device.command(&args.host, args.http_port, args.srt_port);
    if args.output.json {
        let object = json!({
            "id": device.id, "token": device.token.reveal(), "fingerprint": device.fingerprint, "command": line,
            "bearer": device.token.bearer(), "curl": curl_line(&args, &device),
        });
        say!("{object:#}");
        return Ok(Outcome::Good);
    }
    say!("device       {}", device.id);
    say!("token        {}   (shown only now)", device.token.reveal());
    say!("bearer       {}   (follows from the token: `dashvault device bearer`)", device.token.bearer());
    say!("fingerprint  {}", device.fingerprint);
    say!("\nStart its recorder with:\n{line}");
    say!("\nAsk the vault as this device (how to upload with curl is in docs/guide/vault.md):");
    say!("{}", curl_line(&args, &device));
    Ok(Outcome::Good)
}

/// An announcement of nothing: it shows that the vault takes the device, and is where an upload begins.
fn curl_line(args: &AddArgs, device: &NewDevice) -> String {
    let AddArgs { host, http_port, .. } = args;
    let nothing = json!({ "protocol": PROTOCOL });
    format!(
        "curl -H 'Authorization: Bearer {}' -d '{nothing}' http://{host}:{http_port}{ANNOUNCE}",
        device.token.bearer()
    )
}

fn bearer(args: &BearerArgs) -> Done {
    args.common.start_logging()?;
    let bearer = args.token.bearer();
    if args.output.json {
        say!("{:#}", json!({ "bearer": bearer }));
    } else {
        say!("{bearer}");
    }
    Ok(Outcome::Good)
}

async fn list(args: ListArgs) -> Done {
    args.common.start_logging()?;
    must_exist(&args.data)?;
    let devices = devices::list_devices(&args.data).await.map_err(|error| explain(error, &args.data))?;
    if args.output.json {
        let devices: Vec<_> = devices.iter().map(as_json).collect();
        say!("{:#}", json!(devices));
        return Ok(Outcome::Good);
    }
    say!("{:<24} {:<10} {:<20} {:<20} FINGERPRINT", "DEVICE", "STATE", "ADDED", "LAST SEEN");
    for device in &devices {
        let state = if device.revoked.is_some() { "revoked" } else { "active" };
        let seen = device.last_seen.map_or_else(|| "never".to_owned(), show_wall);
        let fingerprint = device.fingerprint.as_deref().unwrap_or("(anonymous)");
        say!(
            "{:<24} {state:<10} {:<20} {seen:<20} {fingerprint}",
            device.id.as_str(),
            show_wall(device.created)
        );
    }
    Ok(Outcome::Good)
}

fn as_json(device: &DeviceInfo) -> serde_json::Value {
    json!({
        "id": device.id, "fingerprint": device.fingerprint, "revoked": device.revoked.is_some(),
        "created_ms": device.created, "revoked_ms": device.revoked, "last_seen_ms": device.last_seen,
        "status": device.status.as_ref().map(|(_, status)| status),
        "status_at_ms": device.status.as_ref().map(|(at, _)| at),
    })
}

async fn revoke(args: RevokeArgs) -> Done {
    args.common.start_logging()?;
    must_exist(&args.data)?;
    devices::revoke_device(&args.data, &args.id).await.map_err(|error| explain(error, &args.data))?;
    if args.output.json {
        say!("{:#}", json!({ "id": args.id, "revoked": true }));
    } else {
        say!("{} is revoked; its footage stays", args.id);
    }
    Ok(Outcome::Good)
}

fn explain(error: DeviceError, data: &Path) -> Failure {
    let list = format!("see `dashvault device list --data {}`", data.display());
    match &error {
        DeviceError::Name(_) => Failure::usage(error).next("choose such a name"),
        DeviceError::Exists(_) | DeviceError::Unknown(_) => Failure::from(error).next(list),
        _ => unusable(error, data),
    }
}
