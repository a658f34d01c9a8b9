//! The promise: through cuts, refusals, black holes, loss and throttling, the vault's packs are the vehicle's, nothing
//! is lost, and hardly a byte crosses twice. ffmpeg's own output, teed before the recorder sees it, is the truth.

#![allow(clippy::unwrap_used, reason = "a test fails where it stands")]

use std::time::Duration;

use dashvault_proof::{Rig, RigOptions, compare, truth};
use dashvault_testkit::link::{LOSSY_WITH_OUTAGES, Profile, Script};

const LENGTH: Duration = Duration::from_secs(24);

async fn keeps_its_promise(seed: u64) {
    let options = RigOptions {
        seed,
        cameras: vec![
            "front=test,size=640x360,fps=25,bitrate=1200k".into(),
            "rear=test,size=320x180,fps=15,bitrate=500k".into(),
        ],
        tee: true,
        ..RigOptions::default()
    };
    let mut rig = Rig::started(options).await.unwrap();
    rig.until("both cameras record", |status| {
        status.cameras.len() == 2 && status.cameras.iter().all(|camera| camera.captured.segments > 0)
    })
    .await
    .unwrap();
    let script = Script::random(seed, LENGTH, &Profile::default());
    println!("{script}");
    rig.link().play(script).finished().await;
    rig.stop_recorder().await.unwrap();

    let comparison = compare(&rig.spool(), &rig.data(), Rig::DEVICE).unwrap();
    assert!(comparison.is_whole(), "{comparison:?}\n{}", rig.log("record.log"));
    let truth = truth::match_recordings(&rig.spool(), &rig.truth()).unwrap();
    assert_eq!(truth.len(), 2, "one recording a camera: ffmpeg never restarts because of the network");
    for recording in &truth {
        assert_eq!(recording.missing_bytes, 0, "{recording:?}");
    }
    let status = rig.status().unwrap();
    assert!(status.cameras.iter().all(|camera| camera.lost_ms.is_empty()), "{status:?}");
    assert!(wire_ratio(&rig, comparison.footage_bytes) < 1.25, "a byte crosses the network once");
}

/// Bytes that the vehicle sent over bytes of footage.
fn wire_ratio(rig: &Rig, footage_bytes: u64) -> f64 {
    let sent = rig.link().tallies().to_vault.payload_bytes();
    #[expect(clippy::cast_precision_loss, reason = "a ratio of megabytes")]
    let ratio = sent as f64 / footage_bytes as f64;
    println!("sent {sent} for {footage_bytes} of footage: {ratio:.3}");
    ratio
}

/// Two cameras, a scripted link, no truth beside: for the bounds of what may cross the network.
async fn wire_ratio_after(script: &str) -> f64 {
    let cameras = vec![
        "front=test,size=1280x720,fps=25,bitrate=2000k".into(),
        "rear=test,size=640x360,fps=25,bitrate=1000k".into(),
    ];
    let record = vec!["--pack-length".into(), "15s".into()];
    let mut rig = Rig::started(RigOptions { cameras, record, ..RigOptions::default() }).await.unwrap();
    rig.until("both cameras record", |status| {
        status.cameras.iter().all(|camera| camera.captured.segments > 0)
    })
    .await
    .unwrap();
    rig.link().play(script.parse::<Script>().unwrap()).finished().await;
    rig.stop_recorder().await.unwrap();
    let comparison = compare(&rig.spool(), &rig.data(), Rig::DEVICE).unwrap();
    assert!(comparison.is_whole(), "{comparison:?}\n{}", rig.log("record.log"));
    wire_ratio(&rig, comparison.footage_bytes)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_good_link_carries_hardly_more_than_the_footage() {
    assert!(wire_ratio_after("0s up\n20s up").await <= 1.03);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn five_percent_loss_and_three_outages_cost_little() {
    assert!(wire_ratio_after(LOSSY_WITH_OUTAGES).await <= 1.10);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn packs_are_identical_after_a_bad_link_seed_1() {
    keeps_its_promise(1).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn packs_are_identical_after_a_bad_link_seed_2() {
    keeps_its_promise(2).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn packs_are_identical_after_a_bad_link_seed_3() {
    keeps_its_promise(3).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_that_die_after_a_few_kilobytes_still_make_progress() {
    let mut rig = Rig::new(RigOptions { seed: 4, ..RigOptions::default() }).await.unwrap();
    rig.link().set("cut".parse().unwrap());
    rig.start_vault().await.unwrap();
    rig.start_recorder().unwrap();
    rig.until("there is a backlog", |status| status.cameras.iter().any(|camera| camera.packs_pending >= 2))
        .await
        .unwrap();
    rig.link().set("up tcp-bytes=40kB".parse().unwrap());
    rig.stop_recorder().await.unwrap();
    let comparison = compare(&rig.spool(), &rig.data(), Rig::DEVICE).unwrap();
    assert!(comparison.is_whole(), "{comparison:?}\n{}", rig.log("record.log"));
}
