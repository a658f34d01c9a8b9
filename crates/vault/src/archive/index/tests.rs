//! What `index` promises, case by case.

use dashvault_base::{ContentHash, LossCause, Pts, Ticks90k, WallMs};
use dashvault_media::{Manifest, SealedBy, SegmentEntry};
use dashvault_wire::{DeviceStatus, DeviceToken, LossNotice};

use super::*;

mod access;

async fn index() -> (tempfile::TempDir, Index) {
    let scratch = tempfile::tempdir().unwrap();
    let index = Index::open(&scratch.path().join("index.sqlite")).await.unwrap();
    (scratch, index)
}

fn stored(pack: &str) -> StoredPack {
    let entry = |n: u32| SegmentEntry {
        len: 188 * (n + 1),
        hash: ContentHash::of(&n.to_be_bytes()),
        start_pts: (n > 0).then_some(Pts(i64::from(n) * 90_000)),
        duration: Ticks90k(90_000),
        wall_offset_ms: n * 1000,
        keyframe: true,
        damaged: n == 2,
    };
    let manifest = Manifest {
        device: "bus".parse().unwrap(),
        camera: "front".parse().unwrap(),
        pack: pack.parse().unwrap(),
        sealed_by: SealedBy::Vault,
        start_wall: WallMs(1_000_000),
        start_mono_ms: 0,
        boot_id: [0; 16],
        previous: ContentHash::ZERO,
        segments: (0..3).map(entry).collect(),
    };
    let how = |n| if n == 0 { How::Live } else { How::Backfilled };
    StoredPack::new(&manifest, 5000, WallMs(77), how)
}

fn device(id: &str, seed: Option<u8>) -> DeviceRow {
    let token = seed.map(|seed| DeviceToken::from_random([seed; 32]));
    DeviceRow {
        id: id.parse().unwrap(),
        bearer_hash: token.as_ref().map(DeviceToken::bearer_hash),
        live_key: token.as_ref().map(DeviceToken::live_key),
        public_key: seed.map(|seed| dashvault_media::PublicKey::from_bytes([seed; 32])),
        created: WallMs(1),
        revoked: None,
        last_seen: None,
    }
}

#[tokio::test]
async fn a_pack_comes_back_as_it_was_committed_and_a_second_commit_changes_nothing() {
    let (_scratch, index) = index().await;
    let pack = stored("20261122-101500_00003");
    assert_eq!(index.commit_pack(&pack).await.unwrap(), Committed::New);
    let mut other = pack.clone();
    other.row.manifest = ContentHash::of(b"other");
    assert_eq!(index.commit_pack(&other).await.unwrap(), Committed::Known(Box::new(pack.row.clone())));
    assert_eq!(index.pack(&pack.row.key).await.unwrap(), Some(pack.row.clone()));
    assert_eq!(index.segments_of_pack(&pack.row.key).await.unwrap(), pack.segments);
    let key = &pack.row.key;
    let of_recording =
        index.segments_of_recording(&key.device, &key.camera, key.pack.recording).await.unwrap();
    assert_eq!(of_recording, pack.segments);
    assert_eq!(index.last_plain_manifest(&key.device, &key.camera).await.unwrap(), Some(pack.row.manifest));
}

#[tokio::test]
async fn a_missing_pack_stays_known_from_when_it_was_noticed_until_the_same_content_is_back() {
    let (_scratch, index) = index().await;
    let (pack, kept) = (stored("20261122-101500_00003"), stored("20261122-101500_00004"));
    for pack in [&pack, &kept] {
        index.commit_pack(pack).await.unwrap();
    }
    let key = &pack.row.key;
    assert!(index.mark_missing(key, WallMs(100)).await.unwrap());
    assert!(!index.mark_missing(key, WallMs(200)).await.unwrap());
    let marked = PackRow { missing_since: Some(WallMs(100)), ..pack.row.clone() };
    assert_eq!(index.pack(key).await.unwrap(), Some(marked.clone()));
    assert_eq!(index.count_missing().await.unwrap(), 1);
    let of_device = async |after| index.missing_of_device(&key.device, after, 9).await.unwrap();
    assert_eq!((of_device(None).await, of_device(Some(key)).await), (vec![key.clone()], vec![]));
    let held = index.segments_of_recording(&key.device, &key.camera, key.pack.recording).await.unwrap();
    assert_eq!(held, kept.segments, "live bytes of a missing pack are still needed");

    let mut other = pack.clone();
    other.row.manifest = ContentHash::of(b"other");
    assert_eq!(index.commit_pack(&other).await.unwrap(), Committed::Known(Box::new(marked)));
    assert_eq!(index.commit_pack(&pack).await.unwrap(), Committed::Known(Box::new(pack.row.clone())));
    assert_eq!(index.pack(key).await.unwrap(), Some(pack.row.clone()));
    assert_eq!(index.count_missing().await.unwrap(), 0);
}

#[tokio::test]
async fn a_camera_has_footage_up_to_the_end_of_its_newest_pack_that_is_here() {
    let (_scratch, index) = index().await;
    let older = stored("20261122-101500_00003");
    let mut newer = stored("20261122-101500_00004");
    (newer.row.start_wall, newer.row.end_wall) = (WallMs(2_000_000), WallMs(2_003_000));
    let key = &newer.row.key;
    let kind = RecordingKind::Announced;
    index.claim_recording(&key.device, &key.camera, key.pack.recording, kind, WallMs(1)).await.unwrap();
    let newest = async || {
        let cameras = index.cameras_between(&key.device, &key.device).await.unwrap();
        assert_eq!(cameras.len(), 1);
        cameras[0].2
    };
    assert_eq!(newest().await, None);
    index.commit_pack(&newer).await.unwrap();
    index.commit_pack(&older).await.unwrap();
    assert_eq!(newest().await, Some(WallMs(2_003_000)));
    index.mark_missing(key, WallMs(9)).await.unwrap();
    assert_eq!(newest().await, Some(WallMs(1_003_000)));
}

#[tokio::test]
async fn packs_of_a_camera_come_in_pages() {
    let (_scratch, index) = index().await;
    let names = ["20261122-101500_00000", "20261122-101500_00001", "20261122-111500_00000"];
    for name in names {
        index.commit_pack(&stored(name)).await.unwrap();
    }
    let (device, camera) = ("bus".parse().unwrap(), "front".parse().unwrap());
    let mut after = None;
    let mut seen = Vec::new();
    while let Some(row) = index.packs_of_camera(&device, &camera, after, 1).await.unwrap().pop() {
        after = Some(row.key.pack);
        seen.push(row.key.pack.to_string());
    }
    assert_eq!(seen, names);
    assert_eq!(index.all_packs().await.unwrap().len(), 3);
}

#[tokio::test]
async fn an_anonymous_device_may_get_credentials_but_a_known_one_is_never_replaced() {
    let (_scratch, index) = index().await;
    assert!(index.add_device(&device("bus", None)).await.unwrap());
    assert!(!index.add_device(&device("bus", None)).await.unwrap());
    assert!(index.add_device(&device("bus", Some(1))).await.unwrap());
    assert!(!index.add_device(&device("bus", Some(2))).await.unwrap());
    assert!(!index.add_device(&device("bus", None)).await.unwrap());
    let hash = DeviceToken::from_random([1; 32]).bearer_hash();
    let found = index.device_by_bearer(hash).await.unwrap().unwrap();
    assert_eq!((found.id.as_str(), found.is_anonymous()), ("bus", false));
}

#[tokio::test]
async fn revoking_keeps_the_first_time() {
    let (_scratch, index) = index().await;
    index.add_device(&device("bus", Some(1))).await.unwrap();
    let id = "bus".parse().unwrap();
    assert!(index.revoke_device(&id, WallMs(5)).await.unwrap());
    assert!(index.revoke_device(&id, WallMs(9)).await.unwrap());
    assert_eq!(index.device(&id).await.unwrap().unwrap().revoked, Some(WallMs(5)));
    assert_eq!(index.revoked_devices().await.unwrap(), [id]);
    assert!(!index.revoke_device(&"nobody".parse().unwrap(), WallMs(5)).await.unwrap());
}

#[tokio::test]
async fn a_recording_keeps_the_kind_it_got_first() {
    let (_scratch, index) = index().await;
    let (device, camera) = ("bus".parse().unwrap(), "front".parse().unwrap());
    let recording = "20261122-101500".parse().unwrap();
    for asked in [RecordingKind::Plain, RecordingKind::Announced] {
        let kind = index.claim_recording(&device, &camera, recording, asked, WallMs(1)).await.unwrap();
        assert_eq!(kind, RecordingKind::Plain);
    }
    assert_eq!(index.cameras(&device).await.unwrap(), [camera]);
}

#[tokio::test]
async fn a_loss_told_twice_counts_once() {
    let (_scratch, index) = index().await;
    let device = "bus".parse().unwrap();
    let loss = LossNotice {
        id: "l1".into(),
        camera: "front".parse().unwrap(),
        recording: None,
        from: WallMs(1),
        to: WallMs(2),
        lost_ms: 1,
        bytes: 0,
        cause: LossCause::PowerCut,
    };
    assert_eq!(index.add_losses(&device, std::slice::from_ref(&loss), WallMs(1)).await.unwrap().len(), 1);
    assert_eq!(index.add_losses(&device, &[loss], WallMs(2)).await.unwrap().len(), 0);
    let known = index.losses(&device).await.unwrap();
    assert_eq!((known.len(), known[0].cause), (1, LossCause::PowerCut));
}

#[tokio::test]
async fn what_a_recorder_says_of_itself_is_kept_with_its_time_and_the_newest_counts() {
    let (_scratch, index) = index().await;
    index.add_device(&device("bus", Some(1))).await.unwrap();
    let id = "bus".parse().unwrap();
    assert_eq!(index.device_status(&id).await.unwrap(), None);
    for (backlog, at) in [(5, WallMs(10)), (7, WallMs(20))] {
        let status = DeviceStatus { backlog_bytes: Some(backlog), ..DeviceStatus::default() };
        index.note_device_status(&id, &status, at).await.unwrap();
        assert_eq!(index.device_status(&id).await.unwrap(), Some((at, status)));
    }
}
