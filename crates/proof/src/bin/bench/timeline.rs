//! Timeline and playlist against footage length: a month of one camera in a real index, asked over HTTP.
//!
//! Every tenth pack came in more than one way, once a day the link was away for an hour, and there are losses. The objects
//! are empty files of the right length: playlists do not read them.

use std::{
    fs,
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    path::Path,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use dashvault_base::{
    CameraName, ContentHash, DeviceId, LossCause, PackId, Pts, RecordingId, Ticks90k, WallMs,
};
use dashvault_media::{Manifest, SealedBy, SegmentEntry};
use dashvault_vault::{
    Vault, VaultConfig,
    archive::index::{How, Index, StoredPack},
    devices::add_device,
};
use dashvault_wire::LossNotice;

const DAYS: u32 = 30;
const PACKS_A_DAY: u32 = 1440;
const SEGMENTS: u32 = 60;
const ROUNDS: usize = 9;
const DAY_MS: i64 = 86_400_000;

pub(super) async fn run() -> Result<()> {
    // Filling the index is not what is measured: memory, where there is some.
    let shm = Path::new("/dev/shm");
    let folder = if shm.is_dir() { tempfile::tempdir_in(shm)? } else { tempfile::tempdir()? };
    let device = add_device(folder.path(), "bus").await.context("device")?;
    let begin = WallMs::from_civil(2026, 10, 1, 0, 0, 0);
    let since = Instant::now();
    fill(folder.path(), &device.id, begin).await?;
    let segments = u64::from(DAYS * PACKS_A_DAY * SEGMENTS);
    println!(
        "{segments} segments in {} packs filled in {:.0} s; one camera",
        DAYS * PACKS_A_DAY,
        since.elapsed().as_secs_f64()
    );

    let mut config = VaultConfig::new(folder.path());
    config.http = "127.0.0.1:0".parse()?;
    config.srt = "127.0.0.1:0".parse()?;
    config.allow_anonymous = true;
    config.limits.reserve_bytes = 0;
    let vault = Vault::start(config).await?;
    let http = vault.http_addr();
    for days in [1, 7, 30] {
        let to = begin.0 + days * DAY_MS;
        let path = format!("/api/v1/devices/bus/cameras/front/timeline?from={}&to={to}", begin.0);
        measure(&format!("timeline, {days} days, exact"), http, path.clone()).await?;
        measure(&format!("timeline, {days} days, by 10 min"), http, path + "&resolution_ms=600000").await?;
    }
    for hours in [1, 24, 168] {
        let to = begin.0 + hours * 3_600_000;
        let path = format!("/vod/bus/front/index.m3u8?from={}&to={to}", begin.0);
        measure(&format!("playlist, {hours} h"), http, path).await?;
    }
    vault.shutdown(true).await;
    Ok(())
}

async fn measure(what: &str, http: SocketAddr, path: String) -> Result<()> {
    let name = what.to_owned();
    let measured = tokio::task::spawn_blocking(move || -> Result<()> {
        let (first, bytes) = get(http, &path)?;
        let mut times: Vec<Duration> = Vec::new();
        for _ in 0..ROUNDS {
            times.push(get(http, &path)?.0);
        }
        times.sort_unstable();
        let ms = |time: Duration| time.as_secs_f64() * 1000.0;
        let (median, worst) = (times[ROUNDS / 2], times[ROUNDS - 1]);
        println!(
            "{name:<30} median {:>6.1} ms, worst {:>6.1} ms of {ROUNDS}, first {:>6.1} ms, {:>8} bytes",
            ms(median),
            ms(worst),
            ms(first),
            bytes
        );
        Ok(())
    });
    measured.await?
}

fn get(http: SocketAddr, path: &str) -> Result<(Duration, usize)> {
    let since = Instant::now();
    let mut stream = TcpStream::connect(http)?;
    write!(stream, "GET {path} HTTP/1.1\r\nhost: vault\r\nconnection: close\r\n\r\n")?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer)?;
    ensure!(
        answer.starts_with(b"HTTP/1.1 200"),
        "{}",
        String::from_utf8_lossy(&answer[..answer.len().min(500)])
    );
    Ok((since.elapsed(), answer.len()))
}

async fn fill(data: &Path, device: &DeviceId, begin: WallMs) -> Result<()> {
    let index = Index::open(&data.join("index.sqlite")).await?;
    let camera: CameraName = "front".parse()?;
    let mut rng = fastrand::Rng::with_seed(1);
    for day in 0..DAYS {
        // A recording a day.
        let recording = RecordingId::at(begin.plus_ms(i64::from(day) * DAY_MS));
        for number in 0..PACKS_A_DAY {
            // The hour that the link is away.
            let away = (600..660).contains(&number);
            let mixed = rng.u32(..10) == 0;
            let manifest = manifest(device, &camera, PackId { recording, number }, &mut rng);
            let came = |position: usize| match (away, mixed, position % 20) {
                (true, ..) | (_, true, 7) => How::Backfilled,
                _ => How::Live,
            };
            let pack = StoredPack::new(&manifest, manifest.body_len() + 7520, manifest.start_wall, came);
            index.commit_pack(&pack).await?;
            let object = data.join("objects").join(pack.row.key.to_string());
            fs::create_dir_all(object.parent().context("an object lies in a folder")?)?;
            fs::File::create(object)?.set_len(pack.row.bytes)?;
        }
        let losses: Vec<LossNotice> = (0..100).map(|n| loss(&camera, recording, n, &mut rng)).collect();
        index.add_losses(device, &losses, begin).await?;
    }
    index.close().await;
    Ok(())
}

fn manifest(device: &DeviceId, camera: &CameraName, pack: PackId, rng: &mut fastrand::Rng) -> Manifest {
    let first = i64::from(pack.number) * i64::from(SEGMENTS);
    let segments = (0..SEGMENTS).map(|n| SegmentEntry {
        len: 188 * rng.u32(2000..3000),
        hash: ContentHash::of(&rng.u64(..).to_be_bytes()),
        start_pts: Some(Pts((first + i64::from(n)) * 90_000)),
        duration: Ticks90k(90_000),
        wall_offset_ms: n * 1000 + rng.u32(..60),
        keyframe: true,
        damaged: false,
    });
    Manifest {
        device: device.clone(),
        camera: camera.clone(),
        pack,
        sealed_by: SealedBy::Device,
        start_wall: pack.recording.start().plus_ms(first * 1000),
        start_mono_ms: 0,
        boot_id: [0; 16],
        previous: ContentHash::ZERO,
        segments: segments.collect(),
    }
}

fn loss(camera: &CameraName, recording: RecordingId, n: u32, rng: &mut fastrand::Rng) -> LossNotice {
    let from = recording.start().plus_ms(rng.i64(..DAY_MS));
    LossNotice {
        id: format!("{recording}-{n}"),
        camera: camera.clone(),
        recording: None,
        from,
        to: from.plus_ms(1000),
        lost_ms: 1000,
        bytes: 0,
        cause: LossCause::Overflow,
    }
}
