//! A restart at any moment loses nothing.

use dashvault_vault::{StartError, Vault, list_objects};
use dashvault_wire::{ByteRange, PackStatus};
use tokio::io::AsyncWriteExt;

use crate::rig::{Footage, Rig, eventually, files, patch_headers, wants};

#[tokio::test]
async fn an_upload_goes_on_at_its_offset_after_a_crash() {
    let mut rig = Rig::start().await;
    let footage = Footage::new(&rig.device, 21, 4);
    let pack = &footage.packs[0];
    let http = rig.http();
    let whole = wants(&http.announce_one(pack.sealed()).await)[0];
    let created = http.create(pack, whole).await;
    let location = created.header("location").unwrap().to_owned();
    let half = pack.manifest.offset_of(2) + 1000;
    let mut stream = http.connect().await;
    let head = http.head_of("PATCH", &location, &patch_headers("0"), Some(whole.len() as usize));
    stream.write_all(head.as_bytes()).await.unwrap();
    stream.write_all(&pack.body()[..half as usize]).await.unwrap();
    stream.flush().await.unwrap();
    eventually("half is there", async || {
        (rig.metric("dashvault_received_bytes_total{way=\"backfilled\"}").await == half).then_some(())
    })
    .await;
    rig.restart(false).await;
    drop(stream);

    let http = rig.http();
    assert_eq!(http.offset(&location).await, half);
    let left = wants(&http.announce_one(pack.sealed()).await);
    assert_eq!(left, [ByteRange::new(half, whole.end)], "nothing that came is wanted again");
    let answer = http.patch(&location, half, &pack.body()[half as usize..]).await;
    assert_eq!(answer.status, 204, "{}", answer.text());
    http.receipt(pack).await;
    assert!(std::fs::read(rig.object(pack)).unwrap() == pack.file());
}

#[tokio::test]
async fn verified_segments_stay_after_a_crash_and_only_the_rest_is_wanted() {
    let mut rig = Rig::start().await;
    let footage = Footage::new(&rig.device, 22, 4);
    let pack = &footage.packs[0];
    let http = rig.http();
    http.announce_one(pack.sealed()).await;
    let middle = ByteRange::new(pack.manifest.offset_of(1), pack.manifest.offset_of(2));
    http.upload(pack, middle).await;
    // Even when the records of uploads are lost.
    rig.stop(false).await;
    files(&rig.data.path().join("uploads")).iter().for_each(|file| std::fs::remove_file(file).unwrap());
    rig = started_again(rig).await;
    let left = wants(&rig.http().announce_one(pack.sealed()).await);
    assert_eq!(left, [ByteRange::new(0, middle.start), ByteRange::new(middle.end, pack.manifest.body_len())]);
    for range in left {
        rig.http().upload(pack, range).await;
    }
    rig.http().receipt(pack).await;
    assert!(std::fs::read(rig.object(pack)).unwrap() == pack.file());
}

#[tokio::test]
async fn a_part_that_the_disk_tore_is_asked_for_again_where_it_is_wrong() {
    let mut rig = Rig::start().await;
    let footage = Footage::new(&rig.device, 23, 4);
    let pack = &footage.packs[0];
    let http = rig.http();
    http.announce_one(pack.open(3)).await;
    let all = ByteRange::new(0, pack.manifest.offset_of(3));
    http.upload(pack, all).await;
    rig.stop(false).await;
    let part = files(&rig.data.path().join("incoming")).remove(0);
    let mut bytes = std::fs::read(&part).unwrap();
    let torn = ByteRange::new(pack.manifest.offset_of(1), pack.manifest.offset_of(2));
    bytes[torn.start as usize + 300..torn.start as usize + 812].fill(0);
    std::fs::write(&part, bytes).unwrap();
    rig = started_again(rig).await;
    let left = wants(&rig.http().announce_one(pack.sealed()).await);
    assert_eq!(left, [torn, ByteRange::new(all.end, pack.manifest.body_len())]);
    for range in left {
        rig.http().upload(pack, range).await;
    }
    rig.http().receipt(pack).await;
    assert!(std::fs::read(rig.object(pack)).unwrap() == pack.file());
}

#[tokio::test]
async fn the_index_can_be_lost_and_a_missing_object_gets_no_receipt() {
    let mut rig = Rig::start().await;
    let footage = Footage::new(&rig.device, 24, 8);
    let http = rig.http();
    let mut receipts = Vec::new();
    for pack in &footage.packs {
        let want = wants(&http.announce_one(pack.sealed()).await)[0];
        http.upload(pack, want).await;
        receipts.push(http.receipt(pack).await);
    }
    rig.stop(true).await;
    // The packs' tables go, as if an older index had been restored; one object goes too.
    std::fs::remove_file(rig.object(&footage.packs[1])).unwrap();
    forget_packs(&rig.data.path().join("index.sqlite")).await;
    rig = started_again(rig).await;
    let listed = list_objects(rig.data.path()).await.unwrap();
    assert_eq!(listed.len(), 1);
    assert_eq!(listed[0].indexed.as_ref().unwrap().manifest, footage.packs[0].manifest.hash());
    let again = rig.http().receipt(&footage.packs[0]).await;
    assert_eq!(again.manifest, receipts[0].manifest);
    let status = rig.http().announce_one(footage.packs[1].sealed()).await;
    assert_eq!(wants(&status), [ByteRange::new(0, footage.packs[1].manifest.body_len())]);
}

#[tokio::test]
async fn an_indexed_pack_whose_object_is_gone_is_wanted_again_after_a_restart() {
    let mut rig = Rig::start().await;
    let footage = Footage::new(&rig.device, 25, 4);
    let pack = &footage.packs[0];
    let want = wants(&rig.http().announce_one(pack.sealed()).await)[0];
    rig.http().upload(pack, want).await;
    rig.http().receipt(pack).await;
    rig.stop(true).await;
    std::fs::remove_file(rig.object(pack)).unwrap();
    rig = started_again(rig).await;
    assert_eq!(wants(&rig.http().announce_one(pack.sealed()).await), [want]);
}

#[tokio::test]
async fn a_second_vault_on_the_same_folder_says_so() {
    let rig = Rig::start().await;
    let refused = Vault::start(rig.config.clone()).await;
    assert!(matches!(refused, Err(StartError::InUse(_))), "{refused:?}");
}

#[tokio::test]
async fn a_stop_ends_everything_and_frees_the_folder() {
    let mut rig = Rig::start().await;
    for graceful in [true, false, true] {
        rig.restart(graceful).await;
        assert_eq!(rig.stranger().get("/healthz").await.status, 200);
    }
    let status = rig.http().announce(vec![]).await;
    assert_eq!(status, [] as [PackStatus; 0]);
}

async fn started_again(mut rig: Rig) -> Rig {
    rig.begin().await;
    rig
}

async fn forget_packs(index: &std::path::Path) {
    let options = sqlx::sqlite::SqliteConnectOptions::new().filename(index).foreign_keys(true);
    let pool = sqlx::SqlitePool::connect_with(options).await.unwrap();
    sqlx::query("DELETE FROM packs").execute(&pool).await.unwrap();
    pool.close().await;
}
