//! Recording with real ffmpeg: what lies in the spool is what ffmpeg wrote, and live carries the same.

#![allow(clippy::unwrap_used)]

use std::fs::File;
use std::path::Path;
use std::time::Duration;

use dashvault_base::{LossCause, PackId};
use dashvault_media::{VerifyOptions, verify_pack};
use dashvault_recorder::status::CameraStatus;
use dashvault_recorder::{Recorder, RecorderConfig, RecorderStatus, RunningRecorder};
use dashvault_spool::{Folder, SpoolLayout};
use dashvault_srt::{Delivery, Listener, ListenerConfig};
use dashvault_testkit::tee;

fn config(root: &Path, camera: &str) -> RecorderConfig {
    RecorderConfig {
        spool: root.join("spool"),
        cameras: vec![camera.parse().unwrap()],
        ffmpeg: tee::fake_ffmpeg(&root.join("tee"), &root.join("tee.log")).unwrap(),
        pack_seconds: 2,
        reserve_bytes: 0,
        ..RecorderConfig::default()
    }
}

/// A small picture, so that the encoder costs little.
const CAMERA: &str = "front=test,size=320x180,fps=15,bitrate=400k,encoder=libx264";

async fn until(recorder: &RunningRecorder, mut what: impl FnMut(&CameraStatus) -> bool) -> RecorderStatus {
    let mut status = recorder.status();
    let waited = status.wait_for(|status| what(&status.cameras[0]));
    tokio::time::timeout(Duration::from_secs(60), waited).await.expect("it comes true").unwrap().clone()
}

/// The bodies of all sealed packs, in order, each verified; and their names.
fn bodies(root: &Path, camera: &str) -> (Vec<u8>, Vec<PackId>) {
    let folder = SpoolLayout::new(&root.join("spool")).folder(&camera.parse().unwrap(), Folder::Pending);
    let mut packs: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    packs.sort();
    let mut all = Vec::new();
    for path in &packs {
        let report = verify_pack(&mut File::open(path).unwrap(), &VerifyOptions::default()).unwrap();
        let body = usize::try_from(report.signed.manifest().body_len()).unwrap();
        all.extend_from_slice(&std::fs::read(path).unwrap()[..body]);
    }
    let name = |path: &std::path::PathBuf| path.file_stem().unwrap().to_str().unwrap().parse().unwrap();
    (all, packs.iter().map(name).collect())
}

#[tokio::test]
async fn packs_hold_exactly_what_ffmpeg_wrote() {
    let folder = tempfile::tempdir().unwrap();
    let recorder = Recorder::start(config(folder.path(), CAMERA)).unwrap();
    let status = until(&recorder, |camera| camera.captured.segments >= 4).await;
    assert_eq!(status.cameras[0].capture.state, "running");
    assert_eq!(RecorderStatus::read(&folder.path().join("spool")).unwrap().pid, std::process::id());
    let report = recorder.stop(Duration::ZERO).await;
    let (packs, names) = bodies(folder.path(), "front");
    assert!(names.len() >= 2, "a pack lasts two seconds");
    let written: Vec<u8> = tee::outputs(&folder.path().join("tee"))
        .unwrap()
        .iter()
        .flat_map(|path| std::fs::read(path).unwrap())
        .collect();
    assert!(packs == written, "{} bytes in packs, {} from ffmpeg", packs.len(), written.len());
    assert_eq!(report.status.cameras[0].captured.bytes, packs.len() as u64);
    assert_eq!(report.status.cameras[0].lost_ms.get(&LossCause::Camera), None);
}

#[tokio::test]
async fn killed_ffmpeg_begins_a_new_recording_and_the_gap_is_counted() {
    let folder = tempfile::tempdir().unwrap();
    let recorder = Recorder::start(config(folder.path(), CAMERA)).unwrap();
    let status = until(&recorder, |camera| camera.captured.segments >= 1).await;
    let pid = status.cameras[0].capture.pid.unwrap();
    let killed = std::process::Command::new("kill").args(["-9", &pid.to_string()]).status().unwrap();
    assert!(killed.success());
    until(&recorder, |camera| camera.capture.restarts == 1 && camera.captured.segments >= 4).await;
    let report = recorder.stop(Duration::ZERO).await;
    let lost = report.status.cameras[0].lost_ms[&LossCause::Camera];
    assert!((50..10_000).contains(&lost), "{lost} ms");
    let (packs, names) = bodies(folder.path(), "front");
    let recordings: std::collections::BTreeSet<_> = names.iter().map(|name| name.recording).collect();
    assert_eq!(recordings.len(), 2);
    // Of the run that was killed, a torn last packet is all that may be missing.
    let written: Vec<u8> = tee::outputs(&folder.path().join("tee"))
        .unwrap()
        .iter()
        .flat_map(|path| {
            let mut bytes = std::fs::read(path).unwrap();
            bytes.truncate(bytes.len() / 188 * 188);
            bytes
        })
        .collect();
    assert!(packs == written, "{} bytes in packs, {} from ffmpeg", packs.len(), written.len());
}

#[tokio::test]
async fn live_carries_the_same_bytes_to_a_plain_srt_server() {
    let folder = tempfile::tempdir().unwrap();
    let listener = ListenerConfig { addr: "127.0.0.1:0".parse().unwrap(), ..ListenerConfig::default() };
    let mut listener = Listener::bind(listener).await.unwrap();
    let target = format!("srt://{}?streamid=publish:x/{{camera}}/{{recording}}", listener.local_addr());
    let mut config = config(folder.path(), CAMERA);
    config.srt = Some(target.parse().unwrap());
    let received = tokio::spawn(async move {
        let request = listener.next().await.unwrap();
        let stream_id = request.stream_id().to_owned();
        let mut connection = request.accept().await.unwrap();
        let mut bytes = Vec::new();
        while let Some(delivery) = connection.recv().await {
            match delivery {
                Delivery::Data(data) => bytes.extend_from_slice(&data),
                Delivery::Lost { packets } => panic!("{packets} packets were lost"),
                Delivery::Closed(_) => break,
            }
        }
        (stream_id, bytes)
    });
    let recorder = Recorder::start(config).unwrap();
    until(&recorder, |camera| camera.live_delivered.segments >= 3).await;
    let report = recorder.stop(Duration::from_secs(5)).await;
    assert!(report.drained);
    let (stream_id, live) = received.await.unwrap();
    let (packs, names) = bodies(folder.path(), "front");
    assert_eq!(stream_id, format!("publish:x/front/{}", names[0].recording));
    assert!(packs == live, "{} bytes in packs, {} live", packs.len(), live.len());
    assert_eq!(report.status.cameras[0].on_vehicle.bytes, 0, "{:?}", report.status.cameras[0]);
}

#[tokio::test]
async fn refused_stream_id_is_told_with_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    let listener = ListenerConfig { addr: "127.0.0.1:0".parse().unwrap(), ..ListenerConfig::default() };
    let mut listener = Listener::bind(listener).await.unwrap();
    let mut config = config(folder.path(), CAMERA);
    config.srt = Some(format!("srt://{}", listener.local_addr()).parse().unwrap());
    let refusing = tokio::spawn(async move {
        while let Some(request) = listener.next().await {
            request.reject(dashvault_srt::RejectReason::Forbidden);
        }
    });
    let recorder = Recorder::start(config).unwrap();
    let status = until(&recorder, |camera| camera.live.state == "refused").await;
    let error = status.cameras[0].live.last_error.clone().unwrap();
    assert!(error.contains("token"), "{error}");
    recorder.stop(Duration::ZERO).await;
    refusing.abort();
}
