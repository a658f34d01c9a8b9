//! Publishers that never announce: the vault makes the packs.

use std::time::Duration;

use dashvault_media::{SealedBy, VerifyOptions, verify_pack};
use dashvault_vault::list_objects;

use crate::rig::{Footage, RECORDING, Rig, eventually, send};

fn anonymous_id() -> String {
    format!("publish:0b7e4f5e-3a52-4c1c-9d6e-2f2a5f0c9a11/{RECORDING}")
}

async fn objects(rig: &Rig, count: usize) -> Vec<Vec<u8>> {
    eventually(&format!("{count} objects"), async || {
        let listed = list_objects(rig.data.path()).await.unwrap();
        let indexed: Vec<_> = listed.into_iter().filter(|object| object.indexed.is_some()).collect();
        (indexed.len() == count).then(|| indexed.iter().map(|o| std::fs::read(&o.path).unwrap()).collect())
    })
    .await
}

fn body(object: &[u8]) -> Vec<u8> {
    let mut reader = std::io::Cursor::new(object);
    let report = verify_pack(&mut reader, &VerifyOptions::default()).unwrap();
    assert_eq!(report.signed.manifest().sealed_by, SealedBy::Vault);
    object[..usize::try_from(report.body_len).unwrap()].to_vec()
}

#[tokio::test]
async fn the_python_clients_stream_is_archived_and_listed() {
    let rig = Rig::start_with(|config| {
        config.allow_anonymous = true;
        config.limits.pack_duration = Duration::from_secs(4);
    })
    .await;
    let footage = Footage::new(&rig.device, 11, 10);
    let caller = rig.call(&anonymous_id()).await.unwrap();
    send(&caller, &footage.bytes()).await;
    caller.close(Duration::from_secs(1)).await;
    let stored = objects(&rig, 3).await;
    let all: Vec<u8> = stored.iter().flat_map(|object| body(object)).collect();
    assert!(all == footage.bytes(), "{} of {} bytes", all.len(), footage.bytes().len());
    let path = "/api/v1/devices/0b7e4f5e-3a52-4c1c-9d6e-2f2a5f0c9a11/cameras/main/packs";
    let listed: serde_json::Value = serde_json::from_slice(&rig.stranger().get(path).await.body).unwrap();
    assert_eq!(listed["packs"].as_array().unwrap().len(), 3);
    let url = listed["packs"][1]["url"].as_str().unwrap();
    assert!(rig.stranger().get(url).await.body == stored[1]);
}

#[tokio::test]
async fn a_reconnect_goes_on_with_the_next_number() {
    let rig = Rig::start_with(|config| config.allow_anonymous = true).await;
    let footage = Footage::new(&rig.device, 12, 4);
    for round in 1..=2 {
        let caller = rig.call(&anonymous_id()).await.unwrap();
        send(&caller, &footage.bytes()).await;
        caller.close(Duration::from_secs(1)).await;
        objects(&rig, round).await;
    }
    let listed = list_objects(rig.data.path()).await.unwrap();
    let numbers: Vec<_> = listed.iter().map(|object| object.pack.number).collect();
    assert_eq!(numbers, [0, 1]);
}

#[tokio::test]
async fn a_token_in_the_stream_id_lets_obs_in() {
    let rig = Rig::start().await;
    let footage = Footage::new(&rig.device, 13, 4);
    let id = format!("publish:bus/front/{RECORDING}:bus:{}", rig.device.token.reveal());
    let caller = rig.call(&id).await.unwrap();
    send(&caller, &footage.bytes()).await;
    caller.close(Duration::from_secs(1)).await;
    assert!(body(&objects(&rig, 1).await[0]) == footage.bytes());
}

#[tokio::test]
async fn a_crash_costs_a_plain_publisher_the_open_segment_at_most() {
    let mut rig = Rig::start_with(|config| config.allow_anonymous = true).await;
    let footage = Footage::new(&rig.device, 14, 4);
    let caller = rig.call(&anonymous_id()).await.unwrap();
    let pack = &footage.packs[0];
    let whole = pack.body();
    let sent = &whole[..pack.manifest.offset_of(3) as usize + 3 * 1316];
    send(&caller, sent).await;
    eventually("three segments", async || {
        (rig.metric("dashvault_segments_total{way=\"plain\"}").await == 3).then_some(())
    })
    .await;
    rig.restart(false).await;
    drop(caller);
    let stored = body(&objects(&rig, 1).await[0]);
    assert!(stored.len() >= pack.manifest.offset_of(3) as usize);
    assert!(whole.starts_with(&stored));
}

#[tokio::test]
async fn a_graceful_stop_seals_what_is_open() {
    let mut rig = Rig::start_with(|config| config.allow_anonymous = true).await;
    let footage = Footage::new(&rig.device, 15, 4);
    let caller = rig.call(&anonymous_id()).await.unwrap();
    send(&caller, &footage.bytes()).await;
    let arrived = footage.bytes().len() as u64;
    eventually("all bytes", async || {
        (rig.metric("dashvault_received_bytes_total{way=\"plain\"}").await == arrived).then_some(())
    })
    .await;
    rig.stop(true).await;
    let listed = list_objects(rig.data.path()).await.unwrap();
    assert_eq!(listed.len(), 1);
    assert!(body(&std::fs::read(&listed[0].path).unwrap()) == footage.bytes());
    drop(caller);
}

#[tokio::test]
async fn publishers_are_refused_with_the_code_that_says_why() {
    let rig = Rig::start().await;
    let token = rig.device.token.reveal();
    for (stream_id, code) in [
        ("nonsense".to_owned(), 2400),
        (format!("read:bus/{RECORDING}"), 2405),
        (format!("publish:bus/{RECORDING}"), 2401),
        (format!("publish:bus/{RECORDING}:dv1:00"), 2401),
        (format!("publish:bus/{RECORDING}:bus:dv1_wrong"), 2401),
        (format!("publish:truck/{RECORDING}:bus:{token}"), 2403),
        (format!("publish:truck/{RECORDING}:truck:{token}"), 2401),
    ] {
        let refused = rig.call(&stream_id).await.expect_err(&stream_id);
        assert!(format!("{refused:?}").contains(&code.to_string()), "{stream_id}: {refused:?}");
    }
    assert_eq!(rig.metric("dashvault_refused_total{protocol=\"srt\",reason=\"unauthorized\"}").await, 4);
}

#[tokio::test]
async fn one_recording_has_one_publisher_and_one_kind() {
    let rig = Rig::start_with(|config| config.limits.plain_takeover = Duration::from_secs(60)).await;
    let footage = Footage::new(&rig.device, 16, 4);
    let plain = format!("publish:bus/front/{RECORDING}:bus:{}", rig.device.token.reveal());
    let first = rig.call(&plain).await.unwrap();
    send(&first, &footage.packs[0].segments[0]).await;
    let refused = rig.call(&plain).await.unwrap_err();
    assert!(format!("{refused:?}").contains("2409"), "{refused:?}");
    let status = rig.http().announce_one(footage.packs[0].sealed()).await;
    assert!(format!("{status:?}").contains("plain-recording"), "{status:?}");
    let proved = dashvault_wire::StreamId::proved(
        &rig.device.token.live_key(),
        rig.device.id.clone(),
        footage.camera.clone(),
        footage.recording,
    );
    let refused = rig.call(&proved.reveal()).await.unwrap_err();
    assert!(format!("{refused:?}").contains("2409"), "{refused:?}");
}
