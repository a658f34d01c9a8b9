//! Announce, want, upload, receipt: the object is identical to the vehicle's file.

use dashvault_base::LossCause;
use dashvault_media::{VerifyOptions, verify_pack};
use dashvault_vault::list_objects;
use dashvault_wire::{
    AnnounceReply, AnnounceRequest, ByteRange, DeviceStatus, EventNotice, LossNotice, PackStatus,
    paths::PROTOCOL,
};

use crate::rig::{Footage, Rig, wall, wants};

#[tokio::test]
async fn a_backlog_becomes_objects_identical_to_the_vehicles_files() {
    let rig = Rig::start().await;
    let footage = Footage::new(&rig.device, 1, 12);
    let http = rig.http();
    let sealed: Vec<_> = footage.packs.iter().map(|pack| pack.sealed()).collect();
    let statuses = http.announce(sealed).await;
    assert_eq!(statuses.len(), footage.packs.len());
    for (pack, status) in footage.packs.iter().zip(statuses) {
        assert_eq!(wants(&status), [ByteRange::new(0, pack.manifest.body_len())]);
        http.upload(pack, wants(&status)[0]).await;
    }
    for pack in &footage.packs {
        let receipt = http.receipt(pack).await;
        pack.check(&receipt, &rig.device.token);
        assert_eq!(http.receipt(pack).await, receipt, "the same announcement gets the same receipt");
        assert!(std::fs::read(rig.object(pack)).unwrap() == pack.file());
    }
    assert_eq!(crate::rig::files(&rig.data.path().join("incoming")), [] as [std::path::PathBuf; 0]);
    assert_eq!(crate::rig::files(&rig.data.path().join("uploads")), [] as [std::path::PathBuf; 0]);
    let listed = list_objects(rig.data.path()).await.unwrap();
    assert_eq!(listed.len(), footage.packs.len());
    for (object, pack) in listed.iter().zip(&footage.packs) {
        assert_eq!(object.indexed.as_ref().unwrap().manifest, pack.manifest.hash());
        let mut file = std::fs::File::open(&object.path).unwrap();
        verify_pack(&mut file, &VerifyOptions::default()).unwrap();
    }
}

#[tokio::test]
async fn an_open_pack_is_filled_segment_by_segment_and_finished_by_its_trailer() {
    let rig = Rig::start().await;
    let footage = Footage::new(&rig.device, 2, 4);
    let (http, pack) = (rig.http(), &footage.packs[0]);
    for known in 1..=pack.segments.len() {
        let want = wants(&http.announce_one(pack.open(known)).await);
        let start = pack.manifest.offset_of(known - 1);
        assert_eq!(want, [ByteRange::new(start, pack.manifest.offset_of(known))]);
        http.upload(pack, want[0]).await;
    }
    let status = http.announce_one(pack.sealed()).await;
    assert!(matches!(status, PackStatus::Stored { .. }), "the receipt comes with the answer: {status:?}");
    assert!(std::fs::read(rig.object(pack)).unwrap() == pack.file());
}

#[tokio::test]
async fn an_announcement_behind_a_hole_is_answered_with_what_is_known() {
    let rig = Rig::start().await;
    let footage = Footage::new(&rig.device, 3, 4);
    let (http, pack) = (rig.http(), &footage.packs[0]);
    let mut late = pack.open(3);
    late.first = 2;
    late.segments.drain(..2);
    let status = http.announce_one(late).await;
    assert_eq!(status, PackStatus::Assembling { known: 0, want: vec![], requested: false });
}

#[tokio::test]
async fn several_uploads_at_once_fill_one_pack() {
    let rig = Rig::start().await;
    let footage = Footage::new(&rig.device, 4, 4);
    let (http, pack) = (rig.http(), &footage.packs[0]);
    http.announce_one(pack.sealed()).await;
    let whole = pack.manifest.body_len();
    let cuts = [0, 1000, whole / 3, whole / 2 + 77, whole];
    let one = |pair: &[u64]| http.upload(pack, ByteRange::new(pair[0], pair[1]));
    tokio::join!(one(&cuts[3..5]), one(&cuts[1..3]), one(&cuts[0..2]), one(&cuts[2..4]));
    http.receipt(pack).await;
    assert!(std::fs::read(rig.object(pack)).unwrap() == pack.file());
    assert_eq!(rig.metric("dashvault_segment_mismatches_total").await, 0);
}

#[tokio::test]
async fn losses_are_noted_once_and_acknowledged_each_time() {
    let rig = Rig::start().await;
    let loss = LossNotice {
        id: "front-1".into(),
        camera: "front".parse().unwrap(),
        recording: None,
        from: wall(1000),
        to: wall(3000),
        lost_ms: 2000,
        bytes: 0,
        cause: LossCause::DiskFull,
    };
    let request = AnnounceRequest { protocol: PROTOCOL, losses: vec![loss], ..AnnounceRequest::default() };
    for _ in 0..2 {
        let answer = rig.http().announce_raw(&serde_json::to_vec(&request).unwrap()).await;
        let reply: AnnounceReply = serde_json::from_slice(&answer.body).unwrap();
        assert_eq!(reply.losses, ["front-1"]);
    }
    assert_eq!(rig.metric("dashvault_lost_ms_total{cause=\"disk-full\"}").await, 2000);
    let listed = rig.http().get("/api/v1/devices/bus/losses").await.text();
    assert!(listed.contains("disk-full"), "{listed}");
}

#[tokio::test]
async fn the_reply_says_whose_token_it_is_and_the_status_is_kept() {
    let rig = Rig::start().await;
    let status = DeviceStatus { version: Some("9.9".into()), ..DeviceStatus::default() };
    let request =
        AnnounceRequest { protocol: PROTOCOL, status: Some(status.clone()), ..AnnounceRequest::default() };
    let answer = rig.http().announce_raw(&serde_json::to_vec(&request).unwrap()).await;
    let reply: AnnounceReply = serde_json::from_slice(&answer.body).unwrap();
    assert_eq!(reply.device, Some(rig.device.id.clone()));
    let listed = dashvault_vault::devices::list_devices(rig.data.path()).await.unwrap();
    assert_eq!(listed[0].status.as_ref().map(|(_, status)| status), Some(&status));
}

#[tokio::test]
async fn events_of_the_vehicle_are_acknowledged_each_time() {
    let rig = Rig::start().await;
    let camera = "front".parse().unwrap();
    let event = EventNotice::of_camera(&camera, wall(1000), wall(3000), "button", "a bang");
    let id = event.id.clone();
    let request = AnnounceRequest { protocol: PROTOCOL, events: vec![event], ..AnnounceRequest::default() };
    for _ in 0..2 {
        let answer = rig.http().announce_raw(&serde_json::to_vec(&request).unwrap()).await;
        let reply: AnnounceReply = serde_json::from_slice(&answer.body).unwrap();
        assert_eq!(reply.events, std::slice::from_ref(&id));
    }
}
