//! Backfill against a vault whose connections die: what it brings, what it repeats, what it believes.

#![allow(clippy::unwrap_used)]

mod fake_vault;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use dashvault_base::{CameraName, ContentHash, DeviceId, LossCause, PackId, Pts, Ticks90k, WallMs};
use dashvault_disk::OsDisk;
use dashvault_media::{SegmentEntry, SigningKey};
use dashvault_recorder::{Recorder, RecorderConfig, RecorderStatus, RunningRecorder};
use dashvault_spool::{Folder, LossReport, PackStart, Spool, SpoolConfig, SpoolLayout};
use dashvault_wire::{DeviceToken, EventNotice};
use fake_vault::FakeVault;

const SEGMENT: usize = 188 * 500;
const SEGMENTS: usize = 6;

fn token() -> DeviceToken {
    DeviceToken::from_random([5; 32])
}

fn device() -> DeviceId {
    "bus-7".parse().unwrap()
}

fn camera() -> CameraName {
    "front".parse().unwrap()
}

fn pack(number: u32) -> PackId {
    PackId { recording: "20260101-120000".parse().unwrap(), number }
}

/// A spool with sealed packs of random bytes, as an earlier run would have left it, and one loss.
fn spool_of(root: &Path, packs: u32) {
    let key = SigningKey::from_seed(token().signing_seed());
    let (spool, _) = Spool::open(Arc::new(OsDisk), root, device(), key, SpoolConfig::default()).unwrap();
    write_packs(&spool, packs);
    let loss = LossReport {
        camera: camera(),
        recording: None,
        from: WallMs(1),
        to: WallMs(2),
        lost_ms: 1,
        bytes: 0,
        cause: LossCause::Camera,
    };
    spool.record_loss(loss).unwrap();
}

fn write_packs(spool: &Spool, packs: u32) {
    let mut writer = spool.camera(&camera()).unwrap();
    let mut chance = fastrand::Rng::with_seed(7);
    for number in 0..packs {
        let start =
            PackStart { pack: pack(number), start_wall: WallMs(0), start_mono_ms: 0, boot_id: [0; 16] };
        writer.start_pack(start).unwrap();
        for index in 0..SEGMENTS {
            let bytes: Vec<u8> = std::iter::repeat_with(|| chance.u8(..)).take(SEGMENT).collect();
            writer.append(&bytes).unwrap();
            let entry = SegmentEntry {
                len: u32::try_from(SEGMENT).unwrap(),
                hash: ContentHash::of(&bytes),
                start_pts: Some(Pts(0)),
                duration: Ticks90k(90_000),
                wall_offset_ms: u32::try_from(index).unwrap() * 1000,
                keyframe: true,
                damaged: false,
            };
            writer.end_segment(&entry).unwrap();
        }
        writer.seal().unwrap();
    }
}

/// A recorder whose camera never comes up, so that all it does is backfill.
fn config(root: &Path, vault: &FakeVault) -> RecorderConfig {
    RecorderConfig {
        vault: Some(vault.url().parse().unwrap()),
        device: device(),
        token: Some(token()),
        spool: root.to_owned(),
        cameras: vec!["front=file:/nonexistent,encoder=libx264".parse().unwrap()],
        ffmpeg: "/bin/false".into(),
        reserve_bytes: 0,
        ..RecorderConfig::default()
    }
}

async fn until(recorder: &RunningRecorder, what: impl FnMut(&RecorderStatus) -> bool) {
    let mut status = recorder.status();
    let waited = tokio::time::timeout(Duration::from_secs(60), status.wait_for(what));
    waited.await.expect("it comes true within a minute").unwrap();
}

fn is_caught_up(status: &RecorderStatus) -> bool {
    status.cameras.iter().all(|camera| camera.packs_pending == 0)
}

fn check_identical(root: &Path, vault: &FakeVault, packs: u32) {
    let layout = SpoolLayout::new(root);
    let objects = vault.objects();
    for number in 0..packs {
        let own = std::fs::read(layout.pack(&camera(), Folder::Stored, pack(number))).unwrap();
        assert!(objects[&(camera(), pack(number))] == own, "pack {number} is identical");
    }
}

#[tokio::test]
async fn backlog_is_uploaded_once_and_receipted() {
    let folder = tempfile::tempdir().unwrap();
    spool_of(folder.path(), 5);
    let vault = FakeVault::start(device(), token().live_key());
    let recorder = Recorder::start(config(folder.path(), &vault)).unwrap();
    until(&recorder, is_caught_up).await;
    let report = recorder.stop(Duration::from_secs(5)).await;
    assert!(report.drained);
    check_identical(folder.path(), &vault, 5);
    let footage = (5 * SEGMENTS * SEGMENT) as u64;
    assert_eq!(vault.uploaded.load(Ordering::Relaxed), footage);
    let received = vault.received.load(Ordering::Relaxed);
    assert!(received * 100 < footage * 103, "{received} bytes for {footage}");
    assert_eq!(vault.losses().len(), 1);
    let status = report.status.cameras[0].clone();
    assert_eq!((status.backfilled.bytes, status.packs_stored, status.on_vehicle.bytes), (footage, 5, 0));
}

#[tokio::test]
async fn connections_that_die_after_some_kilobytes_still_bring_everything() {
    for dies_after in [6_000, 40_000] {
        let folder = tempfile::tempdir().unwrap();
        spool_of(folder.path(), 1);
        let vault = FakeVault::start(device(), token().live_key());
        vault.dies_after.store(dies_after, Ordering::Relaxed);
        let recorder = Recorder::start(config(folder.path(), &vault)).unwrap();
        until(&recorder, is_caught_up).await;
        recorder.stop(Duration::from_secs(1)).await;
        check_identical(folder.path(), &vault, 1);
        let (uploaded, footage) = (vault.uploaded.load(Ordering::Relaxed), (SEGMENTS * SEGMENT) as u64);
        // The byte it goes on at is the one after the last that arrived.
        assert!(uploaded <= footage + footage / 20, "{dies_after}: {uploaded} bytes for {footage}");
    }
}

#[tokio::test]
async fn forged_receipts_delete_nothing() {
    let folder = tempfile::tempdir().unwrap();
    spool_of(folder.path(), 2);
    let vault = FakeVault::start(device(), token().live_key());
    vault.forges.store(true, Ordering::Relaxed);
    let recorder = Recorder::start(config(folder.path(), &vault)).unwrap();
    until(&recorder, |status| status.vault.as_ref().is_some_and(|vault| vault.receipts_refused >= 2)).await;
    let began = Instant::now();
    let report = recorder.stop(Duration::from_millis(200)).await;
    assert!(!report.drained && began.elapsed() < Duration::from_secs(10));
    let layout = SpoolLayout::new(folder.path());
    for number in 0..2 {
        assert!(layout.pack(&camera(), Folder::Pending, pack(number)).exists());
    }
    assert_eq!(report.status.vault.unwrap().receipts, 0);
}

#[tokio::test]
async fn locked_pack_is_sent_first() {
    let folder = tempfile::tempdir().unwrap();
    spool_of(folder.path(), 4);
    let marker = SpoolLayout::new(folder.path()).marker(&camera(), pack(2));
    std::fs::write(marker, b"button").unwrap();
    let vault = FakeVault::start(device(), token().live_key());
    let one_by_one = RecorderConfig { uploads: 1, ..config(folder.path(), &vault) };
    let recorder = Recorder::start(one_by_one).unwrap();
    until(&recorder, is_caught_up).await;
    recorder.stop(Duration::from_secs(1)).await;
    assert_eq!(vault.order(), [pack(2), pack(0), pack(1), pack(3)]);
    // Whoever wrote the marker did not say what happened when: it is the pack's time.
    let told = vault.events();
    let said: Vec<_> = told.iter().map(|event| (event.kind.as_str(), event.note.as_str())).collect();
    assert_eq!(said, [("marker", "button")]);
    assert_eq!(
        (told[0].camera.as_ref(), told[0].from, told[0].to),
        (Some(&camera()), WallMs(0), WallMs(6000))
    );
}

#[tokio::test]
async fn event_is_told_once_though_the_recorder_starts_again() {
    let folder = tempfile::tempdir().unwrap();
    spool_of(folder.path(), 1);
    let vault = FakeVault::start(device(), token().live_key());
    let (from, to) = (WallMs(1000), WallMs(2000));
    let left = EventNotice::of_camera(&camera(), from, to, "button", "a bang");
    let (layout, json) = (SpoolLayout::new(folder.path()), serde_json::to_vec(&left).unwrap());
    dashvault_spool::leave_event(&OsDisk, &layout, &camera(), &left.id, &json).unwrap();
    let drain =
        || Recorder::start(RecorderConfig { cameras: vec![], ..config(folder.path(), &vault) }).unwrap();
    let report = drain().stop(Duration::from_secs(30)).await;
    assert!(report.drained && report.answered && report.untold == 0, "{report:?}");
    assert_eq!(vault.events(), std::slice::from_ref(&left));
    assert!(!layout.event(&camera(), &left.id).exists());
    // A marker that names its event is no other one.
    let text = dashvault_spool::marker_text(WallMs(9), "a bang", &left.id);
    std::fs::write(layout.marker(&camera(), pack(0)), text).unwrap();
    drain().stop(Duration::from_secs(30)).await;
    assert_eq!(vault.events(), [left]);
}

#[tokio::test]
async fn pack_that_somebody_waits_for_is_sent_before_older_ones() {
    let folder = tempfile::tempdir().unwrap();
    spool_of(folder.path(), 4);
    let vault = FakeVault::start(device(), token().live_key());
    vault.request(camera(), pack(3));
    let one_by_one = RecorderConfig { uploads: 1, ..config(folder.path(), &vault) };
    let recorder = Recorder::start(one_by_one).unwrap();
    until(&recorder, is_caught_up).await;
    recorder.stop(Duration::from_secs(1)).await;
    assert_eq!(vault.order(), [pack(3), pack(0), pack(1), pack(2)]);
}

#[tokio::test]
async fn vault_is_told_how_the_recorder_is_and_who_it_is_not() {
    let folder = tempfile::tempdir().unwrap();
    let vault = FakeVault::start(device(), token().live_key());
    let recorder = Recorder::start(config(folder.path(), &vault)).unwrap();
    let report = recorder.stop(Duration::from_secs(30)).await;
    assert!(report.drained && report.answered, "with nothing to send, it is asked all the same");
    let status = vault.statuses().pop().unwrap();
    assert_eq!((status.backlog_bytes, status.cameras[0].name.as_str()), (Some(0), "front"));
    assert!(status.version.is_some() && status.spool_free_bytes > Some(0));

    let other = RecorderConfig { device: "bus-8".parse().unwrap(), ..config(folder.path(), &vault) };
    let report = Recorder::start(other).unwrap().stop(Duration::from_secs(30)).await;
    let denied = report.status.vault.unwrap().denied.unwrap();
    assert_eq!(denied, "the token is that of device bus-7");
    assert!(!report.answered);
}

#[tokio::test]
async fn drain_with_nothing_pending_does_not_answer_for_a_vault_that_is_away() {
    let folder = tempfile::tempdir().unwrap();
    let vault = FakeVault::start(device(), token().live_key());
    let closed = RecorderConfig {
        vault: Some("http://127.0.0.1:9".parse().unwrap()),
        cameras: vec![],
        ..config(folder.path(), &vault)
    };
    let report = Recorder::start(closed).unwrap().stop(Duration::from_millis(300)).await;
    assert!(report.drained && !report.answered, "{report:?}");
}

#[tokio::test]
async fn packs_without_a_device_wait_for_the_vaults_word() {
    let folder = tempfile::tempdir().unwrap();
    let vault = FakeVault::start(device(), token().live_key());
    // As a recorder without a device leaves them.
    let (unnamed, seed) = ("recorder".parse().unwrap(), [8; 32]);
    let key = SigningKey::from_seed(seed);
    let (spool, _) =
        Spool::open(Arc::new(OsDisk), folder.path(), unnamed, key, SpoolConfig::default()).unwrap();
    write_packs(&spool, 2);
    drop(spool);
    let layout = SpoolLayout::new(folder.path());
    let signed_by = || {
        let file = std::fs::File::open(layout.pack(&camera(), Folder::Pending, pack(0))).unwrap();
        let signed = dashvault_media::read_manifest(&mut std::io::BufReader::new(file)).unwrap().unwrap();
        signed.manifest().device.to_string()
    };
    let config = RecorderConfig { cameras: vec![], ..config(folder.path(), &vault) };
    // A device that was mistyped, and no vault to say so: nothing is signed in its name.
    let mistyped = RecorderConfig { device: "bus-8".parse().unwrap(), ..config.clone() };
    Recorder::start(mistyped.clone()).unwrap().stop(Duration::ZERO).await;
    let away = RecorderConfig { vault: Some("http://127.0.0.1:9".parse().unwrap()), ..mistyped };
    Recorder::start(away).unwrap().stop(Duration::ZERO).await;
    assert_eq!(signed_by(), "recorder");
    // The right one is confirmed, and drains them.
    let report = Recorder::start(config).unwrap().stop(Duration::from_secs(30)).await;
    assert!(report.drained, "{report:?}");
    assert_eq!(vault.objects().len(), 2);
}

#[tokio::test]
async fn spool_is_drained_without_a_camera() {
    let folder = tempfile::tempdir().unwrap();
    spool_of(folder.path(), 2);
    let vault = FakeVault::start(device(), token().live_key());
    let recorder =
        Recorder::start(RecorderConfig { cameras: vec![], ..config(folder.path(), &vault) }).unwrap();
    assert!(recorder.stop(Duration::from_secs(30)).await.drained);
    check_identical(folder.path(), &vault, 2);
}

#[tokio::test]
async fn wrong_address_is_told_with_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    spool_of(folder.path(), 1);
    let vault = FakeVault::start(device(), token().live_key());
    let closed = RecorderConfig {
        // Port 9 is for discarding, and closed everywhere.
        vault: Some("http://127.0.0.1:9".parse().unwrap()),
        ..config(folder.path(), &vault)
    };
    let recorder = Recorder::start(closed).unwrap();
    let tells = |status: &RecorderStatus| {
        let error = status.vault.as_ref().and_then(|vault| vault.last_error.as_deref());
        error.is_some_and(|error| error.contains("127.0.0.1:9") && error.contains("check"))
    };
    until(&recorder, tells).await;
    recorder.stop(Duration::ZERO).await;
}
