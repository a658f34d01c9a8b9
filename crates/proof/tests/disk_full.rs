//! A spool on a small disk: recording goes on by policy, and what had to go is counted, announced and shown by cause.

#![allow(clippy::unwrap_used, reason = "a test fails where it stands")]

use std::{
    fs::File,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use dashvault_base::LossCause;
use dashvault_proof::{Rig, RigOptions, programs::built};
use dashvault_recorder::RecorderStatus;
use dashvault_testkit::chaos::ChildGuard;

/// A tmpfs in a mount namespace of its own: needs no root where user namespaces are allowed, and none of the machine's.
const SMALL_DISK: &str = r#"mount -t tmpfs -o size=6m tmpfs "$1" && shift && exec "$@""#;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn recording_goes_on_when_the_disk_is_full_and_the_vault_learns_of_the_loss() {
    let mut rig = Rig::new(RigOptions::default()).await.unwrap();
    let disk = rig.folder().join("disk");
    std::fs::create_dir(&disk).unwrap();
    let mut recorder = record_on_small_disk(&rig, &disk);
    // The mount is seen from outside through the process.
    let inside = PathBuf::from(format!("/proc/{}/root", recorder.id())).join(disk.strip_prefix("/").unwrap());
    let since = Instant::now();
    // Far more was captured than the disk holds, and it still goes on.
    while !has_lost_and_goes_on(&inside) {
        assert!(recorder.is_running().unwrap(), "the recorder ended: {}", rig.log("record.log"));
        assert!(since.elapsed() < Duration::from_secs(120), "{}", rig.log("record.log"));
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    rig.start_vault().await.unwrap();
    while rig.metric("dashvault_lost_ms_total").await.unwrap() == 0 {
        assert!(
            since.elapsed() < Duration::from_secs(180),
            "the vault hears of no loss: {}",
            rig.log("record.log")
        );
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    recorder.kill().unwrap();
}

fn record_on_small_disk(rig: &Rig, disk: &Path) -> ChildGuard {
    let log = File::create(rig.folder().join("record.log")).unwrap();
    let mut command = Command::new("unshare");
    command
        .args(["--mount", "--map-root-user", "sh", "-c", SMALL_DISK, "sh"])
        .arg(disk)
        .arg(built("dashvault").unwrap());
    command.args([
        "record",
        "--camera",
        "front=test,size=640x360,fps=25,bitrate=4000k",
        "--pack-length",
        "2s",
    ]);
    command.args(["--reserve", "0", "--spool"]).arg(disk).args(["--device", Rig::DEVICE]);
    command
        .args(["--vault", &rig.vault_url(), "--srt", &rig.srt_url()])
        .env("DASHVAULT_TOKEN", rig.token().reveal());
    command.stdin(Stdio::null()).stdout(log.try_clone().unwrap()).stderr(log);
    ChildGuard::spawn("recorder", &mut command).unwrap()
}

fn has_lost_and_goes_on(spool: &Path) -> bool {
    let Ok(status) = RecorderStatus::read(spool) else { return false };
    let camera = &status.cameras[0];
    camera.lost_ms.keys().any(|cause| is_disk(*cause)) && camera.captured.bytes > 10_000_000
}

fn is_disk(cause: LossCause) -> bool {
    matches!(cause, LossCause::DiskFull | LossCause::Quota)
}
