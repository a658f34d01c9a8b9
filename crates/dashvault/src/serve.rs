//! `dashvault serve`: the vault.
//!
//! What belongs here: its flags, and starting and stopping it as a service. What it does is in
//! `dashvault-vault`.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    time::Duration,
};

use clap::{ArgAction, Args};
use dashvault_srt::Passphrase;
use dashvault_vault::{Network, StartError, Vault, VaultConfig};

use crate::{
    broken_index,
    common::Common,
    failure::{Done, Failure, OrNext, Outcome},
    memory,
    out::say,
    signals, units,
};

/// Receive, keep and hand out what the vehicles record.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    dashvault serve --data /srv/dashvault --http 0.0.0.0:8080 --srt 0.0.0.0:8890\n  \
    dashvault serve --data /srv/dashvault --allow-anonymous      # take ffmpeg, OBS, the Python client as they are\n  \
    DASHVAULT_PASSPHRASE=… dashvault serve --config /etc/dashvault/vault.toml\n\n\
    When it is ready it prints one line on stdout: ready http=http://… srt=srt://…\n\
    SIGINT or SIGTERM stops it in order; a second one at once. It may be killed at any time.")]
pub(crate) struct ServeArgs {
    /// The folder that everything is kept in; made where it is missing
    #[arg(long, value_name = "DIR")]
    data: PathBuf,
    /// Where HTTP listens: announcements, uploads, health, metrics (no TLS: see the operator's guide)
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:8080")]
    http: SocketAddr,
    /// Where SRT listens, over UDP
    #[arg(long, value_name = "ADDR", default_value = "0.0.0.0:8890")]
    srt: SocketAddr,
    /// Archive publishers without credentials, and show what they sent to anyone
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, action = ArgAction::Set,
        default_value = "false", default_missing_value = "true")]
    allow_anonymous: bool,
    /// A bearer that may do everything, as an administrator; better in a file or variable than here
    #[arg(long, value_name = "TOKEN")]
    admin_token: Option<String>,
    /// An address or network (as 127.0.0.1 or 10.0.0.0/8) whose X-Forwarded-For and X-Forwarded-Proto count; repeat it
    /// for several
    #[arg(long, value_name = "NETWORK", action = ArgAction::Append)]
    trusted_proxy: Vec<Network>,
    /// How long the audit log is kept
    #[arg(long, value_name = "TIME", default_value = "365d", value_parser = units::duration)]
    audit_keep: Duration,
    /// The secret (10 to 79 bytes) that SRT callers must encrypt with; better in a file or variable than here
    #[arg(long, value_name = "SECRET")]
    passphrase: Option<String>,
    /// With a passphrase: also take callers that do not encrypt
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, action = ArgAction::Set,
        default_value = "false", default_missing_value = "true")]
    allow_plaintext: bool,
    /// How long a gap in a live stream is held open before it counts as lost
    #[arg(long, value_name = "TIME", default_value = "3s", value_parser = units::duration)]
    srt_latency: Duration,
    /// SRT publishers at a time
    #[arg(long, value_name = "N", default_value = "256")]
    srt_connections: usize,
    /// HTTP connections at a time
    #[arg(long, value_name = "N", default_value = "1024")]
    http_connections: usize,
    /// How long an unfinished upload is kept after its last byte
    #[arg(long, value_name = "TIME", default_value = "24h", value_parser = units::duration)]
    upload_expiry: Duration,
    /// Refuse uploads while less than this is free on the disk
    #[arg(long, value_name = "SIZE", default_value = "256MiB", value_parser = units::bytes)]
    reserve: u64,
    /// How long a pack of a publisher that announces nothing is
    #[arg(long, value_name = "TIME", default_value = "60s", value_parser = units::duration)]
    pack_length: Duration,
    /// The ffmpeg that makes MP4 clips and thumbnails; without it everything else works
    #[arg(long, value_name = "PROGRAM", default_value = "ffmpeg")]
    ffmpeg: PathBuf,
    /// What finished clips may have together; the oldest make room
    #[arg(long, value_name = "SIZE", default_value = "20GiB", value_parser = units::bytes)]
    clip_quota: u64,
    /// How long a finished clip is kept
    #[arg(long, value_name = "TIME", default_value = "168h", value_parser = units::duration)]
    clip_keep: Duration,
    /// What the cache of thumbnails may have
    #[arg(long, value_name = "SIZE", default_value = "256MiB", value_parser = units::bytes)]
    thumbnail_cache: u64,
    #[command(flatten)]
    common: Common,
}

/// Serves until a signal.
pub(crate) fn run(args: ServeArgs) -> Done {
    args.common.start_logging()?;
    let config = args.into_config()?;
    memory::keep_freed(memory::VAULT_BLOCK);
    let runtime =
        tokio::runtime::Runtime::new().or_next("start the runtime", "check the limits on threads")?;
    runtime.block_on(serve(config))
}

async fn serve(config: VaultConfig) -> Done {
    let mut signals = signals::Signals::new()?;
    let anonymous = config.allow_anonymous;
    let data = config.data.clone();
    let vault = Vault::start(config).await.map_err(|error| not_started(error, &data))?;
    if anonymous {
        tracing::warn!("anonymous publishing is on: anyone who reaches this port can fill the disk");
    }
    say!("ready http=http://{} srt=srt://{}", vault.http_addr(), vault.srt_addr());
    tracing::info!(http = %vault.http_addr(), srt = %vault.srt_addr(), "vault is ready");
    signals.next().await;
    tracing::info!("stopping; a second signal stops at once");
    tokio::select! {
        () = vault.shutdown(true) => {}
        () = signals.next() => {}
    }
    Ok(Outcome::Good)
}

fn not_started(error: StartError, data: &Path) -> Failure {
    if let Some(next) = broken_index::advice(&error, data) {
        return Failure::from(error).next(next);
    }
    let next = match &error {
        StartError::InUse(_) => "stop the other one, or give this one its own --data",
        StartError::Bind { .. } => {
            "see what listens there (ss -ltnup), or choose another address with --http or --srt"
        }
        StartError::Threads(_) => "check the limits on threads (ulimit -u)",
        _ => "check that --data is on a disk that this user may write, and run: dashvault verify --data DIR",
    };
    Failure::from(error).next(next)
}

impl ServeArgs {
    fn into_config(self) -> Result<VaultConfig, Failure> {
        let mut config = VaultConfig::new(self.data);
        config.http = self.http;
        config.srt = self.srt;
        config.allow_anonymous = self.allow_anonymous;
        config.admin_token = self.admin_token;
        config.trusted_proxies = self.trusted_proxy;
        config.limits.audit_keep = self.audit_keep;
        config.srt_passphrase = self.passphrase.map(passphrase).transpose()?;
        config.srt_allow_plaintext = self.allow_plaintext;
        config.srt_latency = self.srt_latency;
        config.limits.srt_connections = self.srt_connections;
        config.limits.http_connections = self.http_connections;
        config.limits.upload_expiry = self.upload_expiry;
        config.limits.reserve_bytes = self.reserve;
        config.limits.pack_duration = self.pack_length;
        config.clips.ffmpeg = self.ffmpeg;
        config.clips.quota_bytes = self.clip_quota;
        config.clips.keep = self.clip_keep;
        config.clips.thumbnail_bytes = self.thumbnail_cache;
        Ok(config)
    }
}

fn passphrase(secret: String) -> Result<Passphrase, Failure> {
    Passphrase::new(secret).map_err(|error| Failure::usage(error).next("choose another --passphrase"))
}
