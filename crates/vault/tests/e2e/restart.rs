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
async fn a_missing_object_stays_known_over_restarts_until_its_vehicle_brings_it_back() {
    let mut rig = Rig::start().await;
    let footage = Footage::new(&rig.device, 26, 8);
    for pack in &footage.packs {
        let want = wants(&rig.http().announce_one(pack.sealed()).await)[0];
        rig.http().upload(pack, want).await;
        rig.http().receipt(pack).await;
    }
    let pack = &footage.packs[0];
    rig.stop(true).await;
    std::fs::remove_file(rig.object(pack)).unwrap();
    for _ in 0..2 {
        rig = started_again(rig).await;
        rig.stop(true).await;
        let listed = list_objects(rig.data.path()).await.unwrap();
        let indexed = listed[0].indexed.as_ref().unwrap();
        assert_eq!((listed.len(), listed[0].bytes), (2, None));
        assert!(indexed.missing_since.is_some() && indexed.manifest == pack.manifest.hash());
    }
    rig = started_again(rig).await;
    let url = pack.url();
    let gone = rig.http().get(&url).await;
    assert_eq!((gone.status, gone.code().as_str()), (410, "missing"));
    assert_eq!(gone.header("content-type"), Some("application/problem+json"));
    assert_eq!(rig.metric("dashvault_objects_missing").await, 1);
    let told = async || {
        let answer = rig.http().announce_raw(br#"{"protocol":1}"#).await;
        serde_json::from_slice::<dashvault_wire::AnnounceReply>(&answer.body).unwrap().missing
    };
    let lost = dashvault_wire::MissingPack { camera: footage.camera.clone(), pack: pack.id() };
    assert_eq!((told().await, told().await), (vec![lost], vec![]), "its device is told, and not each time");

    let other = Footage::new(&rig.device, 27, 8);
    let refused = rig.http().announce_one(other.packs[0].sealed()).await;
    assert!(matches!(&refused, PackStatus::Refused { code, .. } if code == "other-content"), "{refused:?}");
    let want = wants(&rig.http().announce_one(pack.sealed()).await)[0];
    assert_eq!(want, ByteRange::new(0, pack.manifest.body_len()));
    rig.http().upload(pack, want).await;
    rig.http().receipt(pack).await;
    assert_eq!(rig.metric("dashvault_objects_missing").await, 0);
    assert!(rig.http().get(&url).await.body == pack.file());
    assert_eq!(list_objects(rig.data.path()).await.unwrap()[0].indexed.as_ref().unwrap().missing_since, None);
}

#[tokio::test]
async fn an_object_that_vanishes_while_the_vault_runs_is_marked_by_who_asks_for_it() {
    let rig = Rig::start().await;
    let footage = Footage::new(&rig.device, 28, 4);
    let pack = &footage.packs[0];
    let want = wants(&rig.http().announce_one(pack.sealed()).await)[0];
    rig.http().upload(pack, want).await;
    rig.http().receipt(pack).await;
    std::fs::remove_file(rig.object(pack)).unwrap();
    assert_eq!(rig.http().get(&pack.url()).await.status, 410);
    assert_eq!(rig.metric("dashvault_objects_missing").await, 1);
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
