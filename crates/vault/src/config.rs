//! How a vault is set up.
//!
//! Only values belong here; reading files, flags and variables is the binary's.

use std::{fmt, net::SocketAddr, path::PathBuf, time::Duration};

use dashvault_srt::Passphrase;

use crate::users::session::Lifetimes;

mod network;

pub use network::{Network, NetworkError};

const DAY_S: u64 = 86_400;

/// Everything that [`crate::Vault::start`] needs to know.
#[derive(Clone)]
pub struct VaultConfig {
    /// The data folder; created where missing.
    pub data: PathBuf,
    /// Where HTTP listens (default `127.0.0.1:8080`; port 0 picks one).
    pub http: SocketAddr,
    /// Where SRT listens (default `0.0.0.0:8890`; port 0 picks one).
    pub srt: SocketAddr,
    /// Whether publishers without credentials are archived, and objects shown to anyone (default no).
    pub allow_anonymous: bool,
    /// The secret that SRT callers must encrypt with; `None`: encryption is not asked for.
    pub srt_passphrase: Option<Passphrase>,
    /// With a passphrase: also take callers that do not encrypt (default no).
    pub srt_allow_plaintext: bool,
    /// How long a gap in an SRT stream is held before it counts as lost (default 3 s).
    pub srt_latency: Duration,
    /// The bearer that may read every device's packs; `None`: there is none.
    pub admin_token: Option<String>,
    /// Proxies whose word on a caller's address and TLS counts (default none).
    pub trusted_proxies: Vec<Network>,
    /// What a peer may ask for at most.
    pub limits: Limits,
    /// Clips and thumbnails.
    pub clips: ClipConfig,
}

/// How clips and thumbnails are made and kept.
#[derive(Debug, Clone)]
pub struct ClipConfig {
    /// The ffmpeg to start (default `ffmpeg`, looked up in `PATH`).
    pub ffmpeg: PathBuf,
    /// Bytes that finished clips may have together; the oldest make room (default 20 GiB).
    pub quota_bytes: u64,
    /// How long a finished clip is kept (default 7 days).
    pub keep: Duration,
    /// The longest range of a clip (default 24 h).
    pub longest: Duration,
    /// Jobs that are not finished yet (default 64).
    pub queue: usize,
    /// Bytes of the cache of thumbnails; those not asked for for longest make room (default 256 MiB).
    pub thumbnail_bytes: u64,
    /// Thumbnails that wait for their turn (default 64).
    pub thumbnail_queue: usize,
}

/// Bounds on what peers may cost.
#[derive(Debug, Clone)]
pub struct Limits {
    /// SRT publishers at a time (default 256).
    pub srt_connections: usize,
    /// HTTP connections at a time; more wait in the listen queue (default 1024).
    pub http_connections: usize,
    /// Cameras of one device (default 32).
    pub cameras_per_device: usize,
    /// Unfinished uploads of one device (default 32).
    pub uploads_per_device: usize,
    /// How long an unfinished upload is kept after its last byte (default 24 h).
    pub upload_expiry: Duration,
    /// How often a device is told which of its packs the vault has lost (default 10 min).
    pub missing_interval: Duration,
    /// How long a request's header may take, and how long a connection may idle (default 15 s).
    pub header_timeout: Duration,
    /// How long an announcement's body may take, and how long an upload may bring no byte (default 20 s).
    pub body_timeout: Duration,
    /// How long a plain publisher's session may be silent before another one may take its place (default 1 s).
    pub plain_takeover: Duration,
    /// Store threads; cameras are spread over them (default 2).
    pub store_threads: usize,
    /// Free disk space below which uploads are refused (default 256 MiB).
    pub reserve_bytes: u64,
    /// A plain publisher's pack is cut once it lasts this long (default 60 s).
    pub pack_duration: Duration,
    /// How long a session lives without a request (default 12 h).
    pub session_idle: Duration,
    /// How long a session lives at all (default 30 days).
    pub session_lifetime: Duration,
    /// How long the audit log is kept (default 365 days).
    pub audit_keep: Duration,
}

impl Limits {
    pub(crate) const fn sessions(&self) -> Lifetimes {
        Lifetimes { idle: self.session_idle, whole: self.session_lifetime }
    }
}

impl VaultConfig {
    /// The defaults, for this data folder.
    #[must_use]
    pub fn new(data: impl Into<PathBuf>) -> Self {
        Self {
            data: data.into(),
            http: SocketAddr::from(([127, 0, 0, 1], 8080)),
            srt: SocketAddr::from(([0, 0, 0, 0], 8890)),
            allow_anonymous: false,
            srt_passphrase: None,
            srt_allow_plaintext: false,
            srt_latency: Duration::from_secs(3),
            admin_token: None,
            trusted_proxies: Vec::new(),
            limits: Limits::default(),
            clips: ClipConfig::default(),
        }
    }
}

impl Default for ClipConfig {
    fn default() -> Self {
        Self {
            ffmpeg: PathBuf::from("ffmpeg"),
            quota_bytes: 20 << 30,
            keep: Duration::from_secs(7 * 24 * 3600),
            longest: Duration::from_secs(24 * 3600),
            queue: 64,
            thumbnail_bytes: 256 << 20,
            thumbnail_queue: 64,
        }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            srt_connections: 256,
            http_connections: 1024,
            cameras_per_device: 32,
            uploads_per_device: 32,
            upload_expiry: Duration::from_secs(24 * 3600),
            missing_interval: Duration::from_secs(600),
            header_timeout: Duration::from_secs(15),
            body_timeout: Duration::from_secs(20),
            plain_takeover: Duration::from_secs(1),
            store_threads: 2,
            reserve_bytes: 256 << 20,
            pack_duration: Duration::from_secs(60),
            session_idle: Duration::from_secs(12 * 3600),
            session_lifetime: Duration::from_secs(30 * DAY_S),
            audit_keep: Duration::from_secs(365 * DAY_S),
        }
    }
}

impl fmt::Debug for VaultConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("VaultConfig")
            .field("data", &self.data)
            .field("http", &self.http)
            .field("srt", &self.srt)
            .field("allow_anonymous", &self.allow_anonymous)
            .field("srt_passphrase", &self.srt_passphrase)
            .field("srt_allow_plaintext", &self.srt_allow_plaintext)
            .field("srt_latency", &self.srt_latency)
            .field("admin_token", &self.admin_token.is_some())
            .field("trusted_proxies", &self.trusted_proxies)
            .field("limits", &self.limits)
            .field("clips", &self.clips)
            .finish()
    }
}
