//! The vault under test, a recorder's footage, and a small HTTP client that can misbehave.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    time::Duration,
};

use dashvault_base::{CameraName, ContentHash, DeviceId, PackId, RecordingId, WallMs};
use dashvault_media::{
    Manifest, PackCutter, PackLimits, SealedBy, Segment, SegmentEntry, SegmentSink, Segmenter,
    SegmenterConfig, SignedManifest, SigningKey, trailer,
};
use dashvault_srt::{Caller, CallerConfig};
use dashvault_testkit::ts::{TsProfile, TsSource};
use dashvault_vault::{
    RunningVault, Vault, VaultConfig,
    devices::{NewDevice, add_device},
};
use dashvault_wire::{
    AnnounceReply, AnnounceRequest, ByteRange, DeviceToken, PackAnnounce, PackStatus, Receipt, SegmentNotice,
    StreamId,
    paths::{ANNOUNCE, PROTOCOL, UPLOADS},
    upload::PackTarget,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

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

/// What one camera recorded, as packs.
pub(crate) struct Footage {
    pub(crate) camera: CameraName,
    pub(crate) recording: RecordingId,
    pub(crate) packs: Vec<FootagePack>,
    key: SigningKey,
}

pub(crate) struct FootagePack {
    pub(crate) manifest: Manifest,
    pub(crate) segments: Vec<Vec<u8>>,
    pub(crate) trailer: Vec<u8>,
}

impl Footage {
    /// `seconds` of video in packs of four seconds, the same for the same seed.
    pub(crate) fn new(device: &NewDevice, seed: u64, seconds: u32) -> Self {
        Self::of(
            &device.id,
            &device.token,
            TsProfile { bitrate: 300_000, ..TsProfile::default() },
            seed,
            seconds,
        )
    }

    pub(crate) fn of(
        device: &DeviceId,
        token: &DeviceToken,
        profile: TsProfile,
        seed: u64,
        seconds: u32,
    ) -> Self {
        Self::cut(device, token, RECORDING, &TsSource::stream(profile, seed, seconds).bytes)
    }

    /// A whole recording in packs of four seconds.
    pub(crate) fn cut(device: &DeviceId, token: &DeviceToken, recording: &str, stream: &[u8]) -> Self {
        let (camera, recording): (CameraName, RecordingId) =
            ("front".parse().unwrap(), recording.parse().unwrap());
        let key = SigningKey::from_seed(token.signing_seed());
        let mut cut = Cut::default();
        let mut segmenter = Segmenter::new(SegmenterConfig::default());
        segmenter.push(stream, &mut cut).unwrap();
        segmenter.finish(&mut cut);
        let mut cutter = PackCutter::new(PackLimits { target_90k: 4 * 90_000, ..PackLimits::default() });
        let mut packs: Vec<FootagePack> = Vec::new();
        let mut open: Vec<(Segment, Vec<u8>)> = Vec::new();
        for (segment, bytes) in cut.done {
            let ends = cutter.closed(&segment);
            open.push((segment, bytes));
            if !ends {
                continue;
            }
            let previous = packs.last().map_or(ContentHash::ZERO, |pack| pack.manifest.hash());
            let number = u32::try_from(packs.len()).unwrap();
            let manifest = Manifest {
                device: device.clone(),
                camera: camera.clone(),
                pack: PackId { recording, number },
                sealed_by: SealedBy::Device,
                start_wall: recording.start().plus_ms(i64::from(number) * 4000),
                start_mono_ms: u64::from(number) * 4000,
                boot_id: [7; 16],
                previous,
                segments: (0..).zip(&open).map(|(n, (s, _))| SegmentEntry::new(s, n * 1000)).collect(),
            };
            let signed = SignedManifest::sign(manifest.clone(), &key).unwrap();
            let segments = open.drain(..).map(|(_, bytes)| bytes).collect();
            packs.push(FootagePack { manifest, segments, trailer: trailer(&signed) });
        }
        assert!(open.is_empty());
        Self { camera, recording, packs, key }
    }

    /// The same, recorded at another time.
    pub(crate) fn recorded_at(mut self, recording: RecordingId) -> Self {
        let later = recording.start().0 - self.recording.start().0;
        let mut previous = ContentHash::ZERO;
        for pack in &mut self.packs {
            pack.manifest.pack.recording = recording;
            pack.manifest.start_wall = pack.manifest.start_wall.plus_ms(later);
            pack.manifest.previous = previous;
            previous = pack.manifest.hash();
            pack.trailer = trailer(&SignedManifest::sign(pack.manifest.clone(), &self.key).unwrap());
        }
        self.recording = recording;
        self
    }

    /// The raw stream, as the encoder wrote it.
    pub(crate) fn bytes(&self) -> Vec<u8> {
        self.packs.iter().flat_map(|pack| pack.body()).collect()
    }
}

impl FootagePack {
    pub(crate) fn id(&self) -> PackId {
        self.manifest.pack
    }

    /// Its object's path over HTTP.
    pub(crate) fn url(&self) -> String {
        let Manifest { device, camera, pack, .. } = &self.manifest;
        format!("/objects/{device}/{camera}/{}/{}", pack.recording, pack.file_name())
    }

    pub(crate) fn body(&self) -> Vec<u8> {
        self.segments.concat()
    }

    /// The file as it stands on the vehicle.
    pub(crate) fn file(&self) -> Vec<u8> {
        [self.body(), self.trailer.clone()].concat()
    }

    pub(crate) fn notices(&self) -> Vec<SegmentNotice> {
        let notice = |entry: &SegmentEntry| SegmentNotice {
            len: entry.len,
            hash: entry.hash,
            pts: entry.start_pts,
            dur: entry.duration,
            at: entry.wall_offset_ms,
        };
        self.manifest.segments.iter().map(notice).collect()
    }

    /// The announcement of the first `segments` of an open pack.
    pub(crate) fn open(&self, segments: usize) -> PackAnnounce {
        PackAnnounce {
            camera: self.manifest.camera.clone(),
            pack: self.id(),
            start_wall: self.manifest.start_wall,
            first: 0,
            segments: self.notices()[..segments].to_vec(),
            trailer: None,
        }
    }

    /// The announcement of the sealed pack.
    pub(crate) fn sealed(&self) -> PackAnnounce {
        PackAnnounce { trailer: Some(self.trailer.clone()), segments: Vec::new(), ..self.open(0) }
    }

    pub(crate) fn check(&self, receipt: &Receipt, token: &DeviceToken) {
        let Manifest { device, camera, pack, .. } = &self.manifest;
        let bytes = self.file().len() as u64;
        receipt.check(&token.live_key(), device, camera, *pack, self.manifest.hash(), bytes).unwrap();
    }
}

#[derive(Default)]
struct Cut {
    open: Vec<u8>,
    done: Vec<(Segment, Vec<u8>)>,
}

impl SegmentSink for Cut {
    fn bytes(&mut self, run: &[u8]) {
        self.open.extend_from_slice(run);
    }

    fn closed(&mut self, segment: Segment) {
        self.done.push((segment, std::mem::take(&mut self.open)));
    }
}

/// HTTP by hand, one connection a request.
#[derive(Clone)]
pub(crate) struct Http {
    pub(crate) addr: SocketAddr,
    pub(crate) bearer: Option<String>,
}

#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(found, _)| found == name).map(|(_, value)| value.as_str())
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The stable code of a problem.
    pub(crate) fn code(&self) -> String {
        assert_eq!(self.header("content-type"), Some("application/problem+json"), "{self:?}");
        let problem: dashvault_wire::Problem = serde_json::from_slice(&self.body).unwrap();
        assert_eq!(problem.status, self.status);
        problem.code().to_owned()
    }

    pub(crate) fn offset(&self) -> u64 {
        self.header("upload-offset").unwrap_or_else(|| panic!("{self:?}")).parse().unwrap()
    }
}

impl Http {
    pub(crate) fn head_of(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        len: Option<usize>,
    ) -> String {
        let mut head = format!("{method} {path} HTTP/1.1\r\nhost: vault\r\nconnection: close\r\n");
        if let Some(bearer) = &self.bearer {
            head += &format!("authorization: Bearer {bearer}\r\n");
        }
        if let Some(len) = len {
            head += &format!("content-length: {len}\r\n");
        }
        headers.iter().for_each(|(name, value)| head += &format!("{name}: {value}\r\n"));
        head + "\r\n"
    }

    pub(crate) async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.addr).await.unwrap()
    }

    pub(crate) async fn request(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> Answer {
        let mut stream = self.connect().await;
        let head = self.head_of(method, path, headers, (!body.is_empty()).then_some(body.len()));
        stream.write_all(head.as_bytes()).await.unwrap();
        // A server that refuses early may close before all is sent.
        let _ = stream.write_all(body).await;
        read_answer(&mut stream, method == "HEAD").await
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.request("GET", path, &[], &[]).await
    }

    pub(crate) async fn announce_raw(&self, body: &[u8]) -> Answer {
        self.request("POST", ANNOUNCE, &[("content-type", "application/json")], body).await
    }

    pub(crate) async fn announce(&self, packs: Vec<PackAnnounce>) -> Vec<PackStatus> {
        let request = AnnounceRequest { protocol: PROTOCOL, packs, ..AnnounceRequest::default() };
        let answer = self.announce_raw(&serde_json::to_vec(&request).unwrap()).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        let reply: AnnounceReply = serde_json::from_slice(&answer.body).unwrap();
        reply.packs.into_iter().map(|pack| pack.status).collect()
    }

    pub(crate) async fn announce_one(&self, pack: PackAnnounce) -> PackStatus {
        self.announce(vec![pack]).await.remove(0)
    }

    /// Announces until the pack is stored.
    pub(crate) async fn receipt(&self, pack: &FootagePack) -> Receipt {
        eventually("a receipt", async || match self.announce_one(pack.sealed()).await {
            PackStatus::Stored { receipt } => Some(receipt),
            other => {
                assert!(matches!(other, PackStatus::Assembling { .. }), "{other:?}");
                None
            }
        })
        .await
    }

    pub(crate) async fn create(&self, pack: &FootagePack, range: ByteRange) -> Answer {
        let camera = pack.manifest.camera.clone();
        let metadata = PackTarget { camera, pack: pack.id(), start: range.start }.to_metadata();
        let length = range.len().to_string();
        let headers =
            [("tus-resumable", "1.0.0"), ("upload-length", &length), ("upload-metadata", &metadata)];
        self.request("POST", UPLOADS, &headers, &[]).await
    }

    pub(crate) async fn patch(&self, location: &str, offset: u64, bytes: &[u8]) -> Answer {
        self.request("PATCH", location, &patch_headers(&offset.to_string()), bytes).await
    }

    pub(crate) async fn offset(&self, location: &str) -> u64 {
        let answer = self.request("HEAD", location, &[("tus-resumable", "1.0.0")], &[]).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        answer.offset()
    }

    /// Uploads a range of the pack's body.
    pub(crate) async fn upload(&self, pack: &FootagePack, range: ByteRange) {
        let created = self.create(pack, range).await;
        assert_eq!(created.status, 201, "{}", created.text());
        let (from, until) = (range.start as usize, range.end as usize);
        let answer = self.patch(created.header("location").unwrap(), 0, &pack.body()[from..until]).await;
        assert_eq!((answer.status, answer.offset()), (204, range.len()), "{}", answer.text());
    }
}

pub(crate) fn patch_headers(offset: &str) -> [(&'static str, &str); 3] {
    [
        ("tus-resumable", "1.0.0"),
        ("upload-offset", offset),
        ("content-type", "application/offset+octet-stream"),
    ]
}

pub(crate) async fn read_answer(stream: &mut TcpStream, head_only: bool) -> Answer {
    let mut bytes = Vec::new();
    // A reset after the answer is the server's way to stop a body it does not want.
    let mut buffer = [0; 65_536];
    loop {
        match stream.read(&mut buffer).await {
            Ok(0) | Err(_) => break,
            Ok(read) => bytes.extend_from_slice(&buffer[..read]),
        }
    }
    let end = bytes.windows(4).position(|four| four == b"\r\n\r\n").expect("an answer's header");
    let head = String::from_utf8(bytes[..end].to_vec()).unwrap();
    let mut lines = head.split("\r\n");
    let status = lines.next().unwrap().split(' ').nth(1).unwrap().parse().unwrap();
    let pair = |line: &str| {
        let (name, value) = line.split_once(':').unwrap();
        (name.to_ascii_lowercase(), value.trim().to_owned())
    };
    let headers: Vec<_> = lines.map(pair).collect();
    let mut body = bytes.split_off(end + 4);
    if headers.iter().any(|(name, value)| name == "transfer-encoding" && value == "chunked") && !head_only {
        body = unchunk(&body);
    }
    Answer { status, headers, body }
}

fn unchunk(mut bytes: &[u8]) -> Vec<u8> {
    let mut body = Vec::new();
    while let Some(end) = bytes.windows(2).position(|two| two == b"\r\n") {
        let len = usize::from_str_radix(std::str::from_utf8(&bytes[..end]).unwrap(), 16).unwrap();
        body.extend_from_slice(&bytes[end + 2..end + 2 + len]);
        bytes = &bytes[end + 4 + len..];
    }
    body
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
