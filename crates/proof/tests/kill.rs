//! kill -9 of recorder, vault and ffmpeg at random moments, several at once: the same promise, and no receipt lies.

#![allow(clippy::unwrap_used, reason = "a test fails where it stands")]

use std::{path::Path, time::Duration};

use dashvault_proof::{Rig, RigOptions, compare, compare::files_below, truth};

const SEEDS: std::ops::Range<u64> = 1..21;
/// Seeds that run side by side.
const LANES: u64 = 4;
const KILLS: usize = 4;

async fn survives_kills(seed: u64) {
    let mut random = fastrand::Rng::with_seed(seed);
    let options = RigOptions {
        seed,
        cameras: vec!["front=test,size=320x180,fps=15,bitrate=300k".into()],
        record: vec!["--pack-length".into(), "3s".into()],
        tee: true,
        ..RigOptions::default()
    };
    let mut rig = Rig::started(options).await.unwrap();
    for _ in 0..KILLS {
        let recorded = rig.status().map_or(0, |status| status.cameras[0].captured.segments);
        let wanted = recorded + random.u64(1..4);
        rig.until("recording goes on", |status| status.cameras[0].captured.segments >= wanted).await.unwrap();
        tokio::time::sleep(Duration::from_millis(random.u64(0..900))).await;
        strike(&mut rig, random.u8(1..8), random.usize(..)).await;
    }
    rig.until("recording goes on", |status| status.cameras[0].captured.segments > 1).await.unwrap();
    rig.stop_recorder().await.unwrap();

    let comparison = compare(&rig.spool(), &rig.data(), Rig::DEVICE).unwrap();
    assert!(comparison.is_whole(), "seed {seed}: {comparison:?}\n{}", rig.log("record.log"));
    // Every recording is the beginning of what ffmpeg gave.
    truth::match_recordings(&rig.spool(), &rig.truth()).unwrap();
}

/// Kills any of the three; bit 0 the recorder, bit 1 the vault, bit 2 ffmpeg.
async fn strike(rig: &mut Rig, targets: u8, which: usize) {
    let encoders: Vec<u32> = rig
        .status()
        .map(|status| status.cameras.iter().filter_map(|camera| camera.capture.pid).collect())
        .unwrap_or_default();
    if targets & 4 != 0 {
        rig.kill_an_ffmpeg(which).unwrap();
    }
    if targets & 2 != 0 {
        rig.kill_vault();
    }
    if targets & 1 != 0 {
        rig.kill_recorder();
        none_survives(&encoders).await;
    }
    if targets & 2 != 0 {
        every_receipt_is_true(rig);
        rig.start_vault().await.unwrap();
    }
    if targets & 1 != 0 {
        rig.start_recorder().unwrap();
    }
}

/// What has a receipt is in the killed vault's folder, whole, before it starts again.
fn every_receipt_is_true(rig: &Rig) {
    for stored in files_below(&rig.spool()).unwrap() {
        let is_stored = stored.parent().and_then(Path::file_name).is_some_and(|folder| folder == "stored");
        if !is_stored || stored.extension().is_none_or(|extension| extension != "ts") {
            continue;
        }
        let name = stored.file_name().and_then(|name| name.to_str()).unwrap();
        let camera = stored.ancestors().nth(2).and_then(Path::file_name).unwrap();
        let recording = name.split('_').next().unwrap();
        let object = rig.data().join("objects").join(Rig::DEVICE).join(camera).join(recording).join(name);
        assert_eq!(
            std::fs::read(&stored).unwrap(),
            std::fs::read(&object).unwrap_or_default(),
            "{}",
            object.display()
        );
    }
}

async fn none_survives(encoders: &[u32]) {
    let alive = |pid: &u32| {
        let state = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        state.rsplit(')').next().is_some_and(|rest| !rest.is_empty() && !rest.trim_start().starts_with('Z'))
    };
    for _ in 0..200 {
        if !encoders.iter().any(alive) {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("an encoder outlives its recorder: {encoders:?}");
}

async fn lane(first: u64) {
    for seed in SEEDS.filter(|seed| seed % LANES == first) {
        survives_kills(seed).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn twenty_seeds_of_kills_lose_nothing_that_was_whole() {
    let lanes: Vec<_> = (0..LANES).map(|first| tokio::spawn(lane(first))).collect();
    for lane in lanes {
        lane.await.unwrap();
    }
}
