//! A network camera as it is: RTSP over TCP, copied and not encoded, away for a while, and back. Needs GStreamer's RTSP
//! server (`scripts/setup.sh tests`).

#![allow(clippy::unwrap_used, reason = "a test fails where it stands")]

use std::{
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use dashvault_base::LossCause;
use dashvault_proof::{Rig, RigOptions, compare, rig::free_tcp_port};

/// The camera; killed at the end, whatever happens.
struct NetworkCamera(Child);

impl NetworkCamera {
    fn start(port: u16, footage: &Path) -> Self {
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/rtsp/camera.py");
        // The system's own Python is the one that Debian's packages are for.
        let mut command = Command::new("/usr/bin/python3");
        command.arg(script).arg(port.to_string()).arg(footage).stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        assert_eq!(line, "ready\n", "run scripts/setup.sh tests");
        Self(child)
    }
}

impl Drop for NetworkCamera {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Two minutes of a picture and a tone; its parameter sets stand at its beginning only, as with many cameras.
fn footage(folder: &Path) -> PathBuf {
    let path = folder.join("camera.mp4");
    let mut command = Command::new("ffmpeg");
    command
        .args("-loglevel error -f lavfi -i testsrc2=size=320x180:rate=15 -f lavfi -i sine -t 120".split(' '));
    command.args("-pix_fmt yuv420p -c:v libx264 -preset ultrafast -g 15 -bf 0 -b:v 400k -c:a aac".split(' '));
    assert!(command.arg(&path).status().unwrap().success());
    path
}

#[tokio::test]
async fn network_camera_is_copied_and_its_absence_is_counted_while_it_lasts() {
    let port = free_tcp_port().unwrap().port();
    let mut rig = Rig::new(RigOptions {
        cameras: vec![format!("front=rtsp://127.0.0.1:{port}/camera")],
        ..RigOptions::default()
    })
    .await
    .unwrap();
    let footage = footage(rig.folder());
    let camera = NetworkCamera::start(port, &footage);
    rig.start_vault().await.unwrap();
    rig.start_recorder().unwrap();
    let status = rig.until("it records", |status| status.cameras[0].captured.segments >= 4).await.unwrap();
    assert_eq!(status.cameras[0].capture.encoder.as_deref(), Some("copy"));
    let first = status.cameras[0].recording;

    drop(camera);
    let lost = |status: &dashvault_recorder::RecorderStatus| {
        status.cameras[0].lost_ms.get(&LossCause::Camera).copied().unwrap_or_default()
    };
    let away = rig.until("its absence is counted", |status| lost(status) >= 2000).await.unwrap();
    assert_eq!(away.cameras[0].recording, None, "it is counted while it lasts");
    let before = away.cameras[0].captured.segments;
    let _camera = NetworkCamera::start(port, &footage);
    let back =
        |status: &dashvault_recorder::RecorderStatus| status.cameras[0].captured.segments >= before + 4;
    let status = rig.until("it records again", back).await.unwrap();
    assert!(status.cameras[0].recording.is_some_and(|recording| Some(recording) != first));
    rig.stop_recorder().await.unwrap();

    let comparison = compare(&rig.spool(), &rig.data(), Rig::DEVICE).unwrap();
    assert!(comparison.is_whole(), "{comparison:?}\n{}", rig.log("record.log"));
    let told = rig.metric("dashvault_lost_ms_total{cause=\"camera\"}").await.unwrap();
    assert_eq!(told, lost(&rig.status().unwrap()), "what was counted is what the vault was told");
}
