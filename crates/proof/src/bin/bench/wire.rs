//! Bytes on the wire over bytes of footage, and how soon live is back after an outage.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use dashvault_proof::{Rig, RigOptions, compare};
use dashvault_testkit::link::Script;

const CLEAN: &str = "0s up\n40s up";
/// 5 % loss both ways throughout, three outages of different kinds.
const LOSSY: &str = "0s up loss=5% delay=20ms\n8s cut\n12s up loss=5% delay=20ms\n20s black-hole\n24s up loss=5% delay=20ms\n\
    32s refuse\n36s up loss=5% delay=20ms\n44s up loss=5% delay=20ms";

pub(super) async fn run() -> Result<()> {
    for (name, script, goal) in [("no loss", CLEAN, 1.03), ("5 % loss, three outages", LOSSY, 1.10)] {
        let mut rig = Rig::started(options()).await?;
        rig.until("both cameras record", |status| {
            status.cameras.iter().all(|camera| camera.captured.segments > 0)
        })
        .await?;
        rig.link().play(script.parse::<Script>()?).finished().await;
        rig.stop_recorder().await?;
        let comparison = compare(&rig.spool(), &rig.data(), Rig::DEVICE)?;
        ensure!(comparison.is_whole(), "{comparison:?}");
        let (up, down) = (rig.link().tallies().to_vault, rig.link().tallies().to_vehicle);
        let footage = comparison.footage_bytes as f64;
        println!(
            "{name:<26} sent {:.3} of footage (goal {goal:.2}); with IP headers {:.3}; SRT {:.3}, HTTP {:.3}; received {:.3}; {} of {} packs identical",
            up.payload_bytes() as f64 / footage,
            up.wire_bytes_estimate() as f64 / footage,
            up.udp.offered.bytes as f64 / footage,
            up.tcp.offered.bytes as f64 / footage,
            down.payload_bytes() as f64 / footage,
            comparison.identical,
            comparison.packs,
        );
    }
    Ok(())
}

/// From link-up to the first live segment that the vault has whole.
pub(super) async fn relink() -> Result<()> {
    let mut rig = Rig::started(options()).await?;
    rig.until("live runs", |status| status.cameras.iter().all(|camera| camera.live_delivered.segments > 1))
        .await?;
    let mut waits_ms = Vec::new();
    for (mode, seconds) in [("cut", 3), ("black-hole", 3), ("refuse", 3), ("black-hole", 12), ("cut", 12)] {
        rig.link().set(mode.parse()?);
        tokio::time::sleep(Duration::from_secs(seconds)).await;
        let before = live_segments(&rig).await?;
        rig.link().set("up".parse()?);
        let since = Instant::now();
        // One segment of each camera may have come before the outage and be claimed only now: they do not count.
        while live_segments(&rig).await? <= before + 2 {
            ensure!(since.elapsed() < Duration::from_secs(60), "live does not come back after {mode}");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        println!(
            "{mode} for {seconds} s: first live segment whole in the vault {} ms after link-up",
            since.elapsed().as_millis()
        );
        waits_ms.push(since.elapsed().as_millis());
        tokio::time::sleep(Duration::from_secs(2)).await;
    }
    waits_ms.sort_unstable();
    println!(
        "median {} ms, worst {} ms (goal: at most 1500 ms and one GOP of 1000 ms)",
        waits_ms[waits_ms.len() / 2],
        waits_ms[waits_ms.len() - 1]
    );
    rig.stop_recorder().await
}

/// Segments that arrived whole over live, as the vault counts them.
async fn live_segments(rig: &Rig) -> Result<u64> {
    rig.metric("dashvault_segments_total{way=\"live\"}").await
}

fn options() -> RigOptions {
    let cameras = vec![
        "front=test,size=1280x720,fps=30,bitrate=2500k".into(),
        "rear=test,size=640x360,fps=25,bitrate=1000k".into(),
    ];
    RigOptions { cameras, record: vec!["--pack-length".into(), "20s".into()], ..RigOptions::default() }
}
