//! What comes live is not asked for again.

use std::time::Duration;

use dashvault_wire::{ByteRange, PackStatus};

use crate::rig::{Footage, Rig, eventually, files, send, wants};

/// Announces until the vault has taken the live bytes that are on their way.
async fn until_wants(rig: &Rig, footage: &Footage, segments: usize, expected: &[ByteRange]) {
    let (http, pack) = (rig.http(), &footage.packs[0]);
    let mut last = Vec::new();
    eventually(&format!("wants {expected:?}"), async || {
        last = wants(&http.announce_one(pack.open(segments)).await);
        (last == expected).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_pack_that_came_live_is_stored_without_any_upload() {
    let rig = Rig::start().await;
    let footage = Footage::new(&rig.device, 5, 8);
    let caller = rig.live(&footage).await;
    send(&caller, &footage.bytes()).await;
    let pack = &footage.packs[0];
    let receipt = rig.http().receipt(pack).await;
    pack.check(&receipt, &rig.device.token);
    assert!(std::fs::read(rig.object(pack)).unwrap() == pack.file());
    caller.close(Duration::from_secs(1)).await;
    let last = rig.http().receipt(&footage.packs[1]).await;
    footage.packs[1].check(&last, &rig.device.token);
    assert_eq!(rig.metric("dashvault_received_bytes_total{way=\"backfilled\"}").await, 0);
    eventually("the scratch is gone", async || files(&rig.data.path().join("live")).is_empty().then_some(()))
        .await;
}

#[tokio::test]
async fn segments_announced_before_their_live_bytes_come_are_taken_when_they_do() {
    let rig = Rig::start().await;
    let footage = Footage::new(&rig.device, 6, 8);
    let (http, pack) = (rig.http(), &footage.packs[0]);
    assert_eq!(wants(&http.announce_one(pack.sealed()).await).len(), 1);
    let caller = rig.live(&footage).await;
    send(&caller, &footage.bytes()).await;
    http.receipt(pack).await;
    assert!(std::fs::read(rig.object(pack)).unwrap() == pack.file());
    assert_eq!(rig.metric("dashvault_segments_total{way=\"live\"}").await, pack.segments.len() as u64);
}

#[tokio::test]
async fn a_link_that_dies_inside_a_segment_leaves_only_the_rest_wanted() {
    let rig = Rig::start().await;
    let footage = Footage::new(&rig.device, 7, 4);
    let pack = &footage.packs[0];
    let caller = rig.live(&footage).await;
    let second = pack.manifest.offset_of(1);
    let died_at = second + 10 * 7 * 188;
    assert!(died_at < pack.manifest.offset_of(2));
    send(&caller, &pack.body()[..died_at as usize]).await;
    let expected = [ByteRange::new(died_at, pack.manifest.offset_of(2))];
    until_wants(&rig, &footage, 2, &expected).await;
    caller.close(Duration::from_secs(1)).await;
    until_wants(&rig, &footage, 2, &expected).await;
    let http = rig.http();
    let rest = wants(&http.announce_one(pack.sealed()).await);
    assert_eq!(rest, [ByteRange::new(died_at, pack.manifest.body_len())]);
    http.upload(pack, rest[0]).await;
    http.receipt(pack).await;
    assert!(std::fs::read(rig.object(pack)).unwrap() == pack.file());
    assert_eq!(rig.metric("dashvault_segment_mismatches_total").await, 0);
}

#[tokio::test]
async fn a_recorders_new_connection_takes_over_from_one_that_is_not_known_dead() {
    let rig = Rig::start().await;
    let footage = Footage::new(&rig.device, 8, 4);
    let pack = &footage.packs[0];
    let first = rig.live(&footage).await;
    send(&first, &pack.segments[0]).await;
    let second = rig.live(&footage).await;
    let rest = pack.segments[1..].concat();
    send(&second, &rest).await;
    second.close(Duration::from_secs(1)).await;
    rig.http().receipt(pack).await;
    assert!(std::fs::read(rig.object(pack)).unwrap() == pack.file());
    assert_eq!(rig.metric("dashvault_received_bytes_total{way=\"backfilled\"}").await, 0);
    drop(first);
}

#[tokio::test]
async fn live_bytes_nobody_claims_survive_a_restart_and_are_claimed_later() {
    let mut rig = Rig::start().await;
    let footage = Footage::new(&rig.device, 9, 4);
    let pack = &footage.packs[0];
    let caller = rig.live(&footage).await;
    send(&caller, &pack.body()).await;
    caller.close(Duration::from_secs(1)).await;
    let held =
        || files(&rig.data.path().join("live")).iter().map(|f| f.metadata().unwrap().len()).sum::<u64>();
    eventually("all is on the disk", async || (held() == pack.manifest.body_len()).then_some(())).await;
    rig.restart(false).await;
    let status = rig.http().announce_one(pack.sealed()).await;
    assert!(matches!(status, PackStatus::Stored { .. }), "{status:?}");
    assert!(std::fs::read(rig.object(pack)).unwrap() == pack.file());
    eventually("the scratch is gone", async || files(&rig.data.path().join("live")).is_empty().then_some(()))
        .await;
}

#[tokio::test]
async fn no_scratch_remains_after_a_stop_when_all_that_came_live_is_stored() {
    let mut rig = Rig::start().await;
    let footage = Footage::new(&rig.device, 11, 4);
    let pack = &footage.packs[0];
    let caller = rig.live(&footage).await;
    // The last segment is not whole when the upload overtakes it, and the link is open until the vault stops.
    let until = pack.manifest.offset_of(3) + 10 * 7 * 188;
    send(&caller, &pack.body()[..until as usize]).await;
    let http = rig.http();
    http.announce_one(pack.sealed()).await;
    let held =
        || files(&rig.data.path().join("live")).iter().map(|f| f.metadata().unwrap().len()).sum::<u64>();
    eventually("it is on the disk", async || (held() == until).then_some(())).await;
    for range in wants(&http.announce_one(pack.sealed()).await) {
        http.upload(pack, range).await;
    }
    http.receipt(pack).await;
    rig.stop(true).await;
    assert_eq!(files(&rig.data.path().join("live")), [] as [std::path::PathBuf; 0]);
    drop(caller);
}
