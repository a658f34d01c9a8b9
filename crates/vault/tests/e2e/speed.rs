//! How fast a backlog becomes durable, against `cp` and `sync` of the same files. Run it by hand:
//! `cargo test --release -p dashvault-vault --test e2e -- --ignored --nocapture speed`.

use std::{
    fs::File,
    io::{Read, Write},
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use dashvault_base::{ContentHash, PackId, Pts, Ticks90k, WallMs};
use dashvault_media::{Manifest, SealedBy, SegmentEntry, SignedManifest, SigningKey, trailer};
use tokio::io::AsyncWriteExt;

use crate::rig::{FootagePack, Http, RECORDING, Rig, patch_headers, read_answer, wants};

const PACKS: u32 = 16;
const SEGMENTS: usize = 60;
const SEGMENT_BYTES: usize = 188 * 5950;

/// Packs of noise in files, as a spool has them. Nothing but the files' pages stays in memory.
fn spool(rig: &Rig, folder: &Path) -> Vec<(FootagePack, PathBuf)> {
    let key = SigningKey::from_seed(rig.device.token.signing_seed());
    let mut noise = vec![0x47; SEGMENT_BYTES];
    (0..PACKS)
        .map(|number| {
            let path = folder.join(format!("{number}.ts"));
            let mut file = File::create(&path).unwrap();
            let mut entries = Vec::new();
            for segment in 0..SEGMENTS {
                noise[..8].copy_from_slice(&(u64::from(number) << 32 | segment as u64).to_be_bytes());
                file.write_all(&noise).unwrap();
                entries.push(SegmentEntry {
                    len: SEGMENT_BYTES as u32,
                    hash: ContentHash::of(&noise),
                    start_pts: Some(Pts(segment as i64 * 90_000)),
                    duration: Ticks90k(90_000),
                    wall_offset_ms: segment as u32 * 1000,
                    keyframe: true,
                    damaged: false,
                });
            }
            let manifest = Manifest {
                device: rig.device.id.clone(),
                camera: "front".parse().unwrap(),
                pack: PackId { recording: RECORDING.parse().unwrap(), number },
                sealed_by: SealedBy::Device,
                start_wall: WallMs(0),
                start_mono_ms: 0,
                boot_id: [0; 16],
                previous: ContentHash::ZERO,
                segments: entries,
            };
            let trailer = trailer(&SignedManifest::sign(manifest.clone(), &key).unwrap());
            file.write_all(&trailer).unwrap();
            file.sync_all().unwrap();
            (FootagePack { manifest, segments: Vec::new(), trailer }, path)
        })
        .collect()
}

async fn upload(http: &Http, pack: &FootagePack, path: &Path) {
    let want = wants(&http.announce_one(pack.sealed()).await)[0];
    let created = http.create(pack, want).await;
    let location = created.header("location").unwrap();
    let mut stream = http.connect().await;
    let head = http.head_of("PATCH", location, &patch_headers("0"), Some(want.len() as usize));
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut file = File::open(path).unwrap().take(want.len());
    let mut buffer = vec![0; 256 * 1024];
    loop {
        let read = file.read(&mut buffer).unwrap();
        if read == 0 {
            break;
        }
        stream.write_all(&buffer[..read]).await.unwrap();
    }
    assert_eq!(read_answer(&mut stream, false).await.status, 204);
}

fn copy_and_sync(files: &[(FootagePack, PathBuf)], to: &Path) -> Duration {
    std::fs::create_dir(to).unwrap();
    let begun = Instant::now();
    for (_, path) in files {
        std::fs::copy(path, to.join(path.file_name().unwrap())).unwrap();
    }
    for (_, path) in files {
        File::open(to.join(path.file_name().unwrap())).unwrap().sync_all().unwrap();
    }
    begun.elapsed()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "a measurement: 3 GiB on the disk, a minute"]
async fn a_backlog_is_durable_about_as_fast_as_cp_and_sync() {
    let rig = Rig::start().await;
    let folder = tempfile::tempdir().unwrap();
    let files = spool(&rig, folder.path());
    let copied = copy_and_sync(&files, &folder.path().join("copy"));
    let http = rig.http();
    let begun = Instant::now();
    for pair in files.chunks(2) {
        let (one, two) = (&pair[0], &pair[1]);
        tokio::join!(upload(&http, &one.0, &one.1), upload(&http, &two.0, &two.1));
    }
    let uploaded = begun.elapsed();
    for (pack, _) in &files {
        http.receipt(pack).await;
    }
    let durable = begun.elapsed();
    for (pack, path) in &files {
        assert!(std::fs::read(rig.object(pack)).unwrap() == std::fs::read(path).unwrap());
    }
    let ratio = durable.as_secs_f64() / copied.as_secs_f64();
    eprintln!("cp + sync {copied:?}; uploaded {uploaded:?}, durable {durable:?}: {ratio:.2} times");
}
