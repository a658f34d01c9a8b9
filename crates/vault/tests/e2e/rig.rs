//! The vault under test. What it is given is in `footage`, how it is asked in `http`.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use dashvault_base::WallMs;
use dashvault_media::Manifest;
use dashvault_srt::{Caller, CallerConfig};
use dashvault_vault::{
    RunningVault, Vault, VaultConfig,
    devices::{NewDevice, add_device},
};
use dashvault_wire::{ByteRange, DeviceToken, PackStatus, StreamId};

mod footage;
mod http;

pub(crate) use footage::{Footage, FootagePack};
pub(crate) use http::{Answer, Http, patch_headers, read_answer};

pub(crate) const RECORDING: &str = "20261122-101500";

/// A vault with one device.
pub(crate) struct Rig {
    pub(crate) data: tempfile::TempDir,
    pub(crate) config: VaultConfig,
    vault: Option<RunningVault>,
    pub(crate) device: NewDevice,
}

impl Rig {
    pub(crate) async fn start() -> Self {
        Self::start_with(|_| {}).await
    }

    pub(crate) async fn start_with(change: impl FnOnce(&mut VaultConfig)) -> Self {
        let data = tempfile::tempdir().unwrap();
        let mut config = VaultConfig::new(data.path());
        config.http = "127.0.0.1:0".parse().unwrap();
        config.srt = "127.0.0.1:0".parse().unwrap();
        config.srt_latency = Duration::from_millis(300);
        // The machine's disk may be almost full.
        config.limits.reserve_bytes = 0;
        change(&mut config);
        let device = add_device(data.path(), "bus").await.unwrap();
        let vault = Some(Vault::start(config.clone()).await.unwrap());
        Self { data, config, vault, device }
    }

    pub(crate) fn vault(&self) -> &RunningVault {
        self.vault.as_ref().unwrap()
    }

    /// Stops and starts again on the same folder, gracefully or as a crash would.
    pub(crate) async fn restart(&mut self, graceful: bool) {
        self.stop(graceful).await;
        self.begin().await;
    }

    pub(crate) async fn begin(&mut self) {
        self.vault = Some(Vault::start(self.config.clone()).await.unwrap());
    }

    pub(crate) async fn stop(&mut self, graceful: bool) {
        self.vault.take().unwrap().shutdown(graceful).await;
    }

    pub(crate) fn http(&self) -> Http {
        self.http_as(&self.device.token)
    }

    pub(crate) fn http_as(&self, token: &DeviceToken) -> Http {
        Http { addr: self.vault().http_addr(), bearer: Some(token.bearer()) }
    }

    pub(crate) fn stranger(&self) -> Http {
        Http { addr: self.vault().http_addr(), bearer: None }
    }

    pub(crate) fn object(&self, pack: &FootagePack) -> PathBuf {
        let Manifest { device, camera, pack, .. } = &pack.manifest;
        let folder = self.data.path().join(format!("objects/{device}/{camera}/{}", pack.recording));
        folder.join(pack.file_name())
    }

    /// Announces a pack, uploads it, and waits for its receipt.
    pub(crate) async fn store(&self, pack: &FootagePack) {
        let http = self.http();
        let whole = wants(&http.announce_one(pack.sealed()).await)[0];
        http.upload(pack, whole).await;
        http.receipt(pack).await;
    }

    /// The administrator, where the configuration has the word for it.
    pub(crate) fn admin(&self) -> Http {
        Http { bearer: self.config.admin_token.clone(), ..self.stranger() }
    }

    /// Connects as the recorder's live path does.
    pub(crate) async fn live(&self, footage: &Footage) -> Caller {
        let key = self.device.token.live_key();
        let id = StreamId::proved(&key, self.device.id.clone(), footage.camera.clone(), footage.recording);
        self.call(&id.reveal()).await.unwrap()
    }

    pub(crate) async fn call(&self, stream_id: &str) -> Result<Caller, dashvault_srt::ConnectError> {
        let config = CallerConfig {
            stream_id: stream_id.to_owned(),
            latency: Duration::from_millis(300),
            ..CallerConfig::default()
        };
        Caller::connect(self.vault().srt_addr(), config).await
    }

    pub(crate) async fn metric(&self, name: &str) -> u64 {
        let text = self.stranger().get("/metrics").await.text();
        let line = text.lines().find(|line| line.starts_with(name)).unwrap_or_default();
        line.rsplit(' ').next().unwrap().parse().unwrap_or(0)
    }
}

/// Sends whole packets as the recorder does.
pub(crate) async fn send(caller: &Caller, bytes: &[u8]) {
    for payload in bytes.chunks(7 * 188) {
        caller.send(bytes::Bytes::copy_from_slice(payload)).await.unwrap();
    }
}

/// Asks again until `done`; fails after 10 s. Waiting for another process's state needs no other clock.
pub(crate) async fn eventually<T>(what: &str, mut ask: impl AsyncFnMut() -> Option<T>) -> T {
    let deadline = tokio::time::Instant::now() + Duration::from_secs(10);
    loop {
        if let Some(done) = ask().await {
            return done;
        }
        assert!(tokio::time::Instant::now() < deadline, "not in time: {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Every file below a folder.
pub(crate) fn files(root: &Path) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(root) else { return Vec::new() };
    let mut all = Vec::new();
    for entry in entries {
        let path = entry.unwrap().path();
        if path.is_dir() { all.extend(files(&path)) } else { all.push(path) }
    }
    all
}

pub(crate) fn wants(status: &PackStatus) -> Vec<ByteRange> {
    match status {
        PackStatus::Assembling { want, .. } => want.clone(),
        other => panic!("{other:?}"),
    }
}

pub(crate) fn wall(ms: i64) -> WallMs {
    WallMs(ms)
}
