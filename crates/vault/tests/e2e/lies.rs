//! Lies and abuse: refused with a clear error, and nothing good is lost.

use std::time::Duration;

use dashvault_vault::devices::{add_device, revoke_device};
use dashvault_wire::{ByteRange, PackStatus, announce::MAX_BODY_BYTES, paths::ANNOUNCE};
use tokio::io::AsyncWriteExt;

use crate::rig::{Footage, Rig, eventually, patch_headers, read_answer, send, wants};

fn refusal(status: &PackStatus) -> &str {
    match status {
        PackStatus::Refused { code, .. } => code,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn wrong_bytes_are_dropped_counted_and_wanted_again() {
    let rig = Rig::start().await;
    let footage = Footage::new(&rig.device, 31, 4);
    let (http, pack) = (rig.http(), &footage.packs[0]);
    let whole = wants(&http.announce_one(pack.sealed()).await)[0];
    let created = http.create(pack, whole).await;
    let mut lie = pack.body();
    lie[pack.manifest.offset_of(1) as usize + 5] ^= 0x10;
    let answer = http.patch(created.header("location").unwrap(), 0, &lie).await;
    assert_eq!(answer.status, 204, "{}", answer.text());
    let again = wants(&http.announce_one(pack.sealed()).await);
    let second = ByteRange::new(pack.manifest.offset_of(1), pack.manifest.offset_of(2));
    assert_eq!(again, [second]);
    assert_eq!(rig.metric("dashvault_segment_mismatches_total").await, 1);
    http.upload(pack, second).await;
    http.receipt(pack).await;
    assert!(std::fs::read(rig.object(pack)).unwrap() == pack.file());
}

#[tokio::test]
async fn a_manifest_of_another_key_device_or_pack_is_refused() {
    let rig = Rig::start().await;
    let truck = add_device(rig.data.path(), "truck").await.unwrap();
    let profile = dashvault_testkit::ts::TsProfile::default();
    let forged = Footage::of(&rig.device.id, &truck.token, profile, 32, 4);
    let foreign = Footage::new(&truck, 32, 4);
    let http = rig.http();
    assert_eq!(refusal(&http.announce_one(forged.packs[0].sealed()).await), "bad-signature");
    assert_eq!(refusal(&http.announce_one(foreign.packs[0].sealed()).await), "bad-signature");
    let own = Footage::new(&rig.device, 32, 8);
    let mut renamed = own.packs[0].sealed();
    renamed.pack = own.packs[1].id();
    assert_eq!(refusal(&http.announce_one(renamed).await), "other-pack");
    let mut torn = own.packs[0].sealed();
    torn.trailer.as_mut().unwrap()[40] ^= 1;
    assert_eq!(refusal(&http.announce_one(torn).await), "bad-trailer");
}

#[tokio::test]
async fn other_content_under_a_stored_name_is_refused_and_nothing_is_overwritten() {
    let rig = Rig::start().await;
    let (first, other) = (Footage::new(&rig.device, 33, 4), Footage::new(&rig.device, 34, 4));
    let http = rig.http();
    let pack = &first.packs[0];
    let whole = wants(&http.announce_one(pack.sealed()).await)[0];
    http.upload(pack, whole).await;
    let receipt = http.receipt(pack).await;
    assert_eq!(refusal(&http.announce_one(other.packs[0].sealed()).await), "other-content");
    assert_eq!(refusal(&http.announce_one(other.packs[0].open(2)).await), "other-content");
    assert_eq!(http.receipt(pack).await, receipt);
    assert!(std::fs::read(rig.object(pack)).unwrap() == pack.file());
}

#[tokio::test]
async fn an_upload_names_only_the_own_devices_announced_bytes() {
    let rig = Rig::start().await;
    let truck = add_device(rig.data.path(), "truck").await.unwrap();
    let footage = Footage::new(&rig.device, 35, 4);
    let (http, pack) = (rig.http(), &footage.packs[0]);
    let whole = wants(&http.announce_one(pack.sealed()).await)[0];
    let others = rig.http_as(&truck.token);
    assert_eq!(others.create(pack, whole).await.code(), "unknown-pack");
    let created = http.create(pack, whole).await;
    let location = created.header("location").unwrap();
    assert_eq!(others.patch(location, 0, &pack.body()).await.code(), "not-found");
    assert_eq!(rig.stranger().patch(location, 0, &pack.body()).await.code(), "unauthorized");
    let beyond = ByteRange::new(whole.start, whole.end + 1);
    assert_eq!(http.create(pack, beyond).await.code(), "outside-pack");
    let overflowing = ByteRange::new(u64::MAX - 1, u64::MAX);
    assert_eq!(http.create(pack, overflowing).await.code(), "outside-pack");
    assert_eq!(http.create(pack, ByteRange::new(0, 0)).await.code(), "outside-pack");
}

#[tokio::test]
async fn an_upload_past_its_length_is_cut_there() {
    let rig = Rig::start().await;
    let footage = Footage::new(&rig.device, 36, 4);
    let (http, pack) = (rig.http(), &footage.packs[0]);
    http.announce_one(pack.sealed()).await;
    let first = ByteRange::new(0, pack.manifest.offset_of(1));
    let created = http.create(pack, first).await;
    let location = created.header("location").unwrap();
    let answer = http.patch(location, 0, &pack.body()).await;
    assert_eq!((answer.status, answer.code().as_str()), (413, "past-length"));
    assert_eq!(http.offset(location).await, 0, "a length that cannot be is refused before the body");
    let mut stream = http.connect().await;
    let mut headers = patch_headers("0").to_vec();
    headers.push(("transfer-encoding", "chunked"));
    let body = pack.body();
    let sent = &body[..first.end as usize + 500];
    let request = http.head_of("PATCH", location, &headers, None) + &format!("{:x}\r\n", sent.len());
    stream.write_all(request.as_bytes()).await.unwrap();
    let _ = stream.write_all(sent).await;
    let _ = stream.write_all(b"\r\n0\r\n\r\n").await;
    assert_eq!(read_answer(&mut stream, false).await.code(), "past-length");
    assert_eq!(http.offset(location).await, first.end);
    assert_eq!(
        wants(&http.announce_one(pack.sealed()).await),
        [ByteRange::new(first.end, body.len() as u64)]
    );
}

#[tokio::test]
async fn an_announcement_of_ten_million_segments_is_refused() {
    let rig = Rig::start().await;
    let footage = Footage::new(&rig.device, 37, 4);
    let http = rig.http();
    let mut far = footage.packs[0].open(1);
    far.first = 10_000_000;
    let request = serde_json::json!({"protocol": 1, "packs": [far]});
    assert_eq!(http.announce_raw(request.to_string().as_bytes()).await.code(), "too-many");
    let huge = vec![b' '; MAX_BODY_BYTES + 1];
    let answer = http.announce_raw(&huge).await;
    assert_eq!((answer.status, answer.code().as_str()), (413, "too-large"));
    assert_eq!(http.announce_raw(b"{").await.code(), "malformed");
    assert_eq!(http.announce_raw(br#"{"protocol": 9}"#).await.code(), "protocol");
    assert_eq!(rig.stranger().announce_raw(b"{}").await.code(), "unauthorized");
}

#[tokio::test]
async fn a_device_may_not_have_endless_cameras_or_uploads() {
    let rig = Rig::start_with(|config| {
        config.limits.cameras_per_device = 2;
        config.limits.uploads_per_device = 2;
    })
    .await;
    let footage = Footage::new(&rig.device, 38, 4);
    let (http, pack) = (rig.http(), &footage.packs[0]);
    for (camera, accepted) in [("front", true), ("rear", true), ("third", false), ("rear", true)] {
        let mut named = pack.open(1);
        named.camera = camera.parse().unwrap();
        let status = http.announce_one(named).await;
        assert_eq!(matches!(status, PackStatus::Assembling { .. }), accepted, "{camera}: {status:?}");
    }
    let first = ByteRange::new(0, 188);
    let mut locations = Vec::new();
    for _ in 0..3 {
        let created = http.create(pack, first).await;
        assert_eq!(created.status, 201);
        locations.push(created.header("location").unwrap().to_owned());
    }
    // Nobody feeds them, so the third one took the place of one of the others.
    let mut there = 0;
    for location in &locations {
        let answer = http.request("HEAD", location, &[("tus-resumable", "1.0.0")], &[]).await;
        assert!(matches!(answer.status, 200 | 404), "{answer:?}");
        there += usize::from(answer.status == 200);
    }
    assert_eq!(there, 2);
}

#[tokio::test]
async fn slow_peers_are_let_go_and_what_they_sent_is_kept() {
    let rig = Rig::start_with(|config| {
        config.limits.header_timeout = Duration::from_millis(200);
        config.limits.body_timeout = Duration::from_millis(200);
    })
    .await;
    let footage = Footage::new(&rig.device, 39, 4);
    let (http, pack) = (rig.http(), &footage.packs[0]);
    let whole = wants(&http.announce_one(pack.sealed()).await)[0];
    let location = http.create(pack, whole).await.header("location").unwrap().to_owned();

    let mut header = http.connect().await;
    header.write_all(b"POST /api/v1/announce HTTP/1.1\r\nx-slow: ").await.unwrap();
    let mut announcement = http.connect().await;
    let head = http.head_of("POST", ANNOUNCE, &[], Some(1000));
    announcement.write_all(head.as_bytes()).await.unwrap();
    let mut upload = http.connect().await;
    let head = http.head_of("PATCH", &location, &patch_headers("0"), Some(whole.len() as usize));
    upload.write_all(head.as_bytes()).await.unwrap();
    upload.write_all(&pack.body()[..5000]).await.unwrap();

    assert_eq!(read_answer(&mut announcement, false).await.code(), "too-slow");
    assert_eq!(read_answer(&mut upload, false).await.code(), "too-slow");
    let mut rest = Vec::new();
    let _ = tokio::io::AsyncReadExt::read_to_end(&mut header, &mut rest).await;
    assert_eq!(http.offset(&location).await, 5000);
}

#[tokio::test]
async fn a_revoked_device_is_out_within_a_second() {
    let rig = Rig::start().await;
    let footage = Footage::new(&rig.device, 40, 4);
    let (http, pack) = (rig.http(), &footage.packs[0]);
    let whole = wants(&http.announce_one(pack.sealed()).await)[0];
    let location = http.create(pack, whole).await.header("location").unwrap().to_owned();
    let caller = rig.live(&footage).await;
    send(&caller, &pack.segments[0]).await;
    let mut upload = http.connect().await;
    let head = http.head_of("PATCH", &location, &patch_headers("0"), Some(whole.len() as usize));
    upload.write_all(head.as_bytes()).await.unwrap();
    upload.write_all(&pack.body()[..188]).await.unwrap();

    revoke_device(rig.data.path(), &rig.device.id).await.unwrap();
    let answer = tokio::time::timeout(Duration::from_secs(2), read_answer(&mut upload, false)).await.unwrap();
    assert_eq!((answer.status, answer.code().as_str()), (403, "revoked"));
    tokio::time::timeout(Duration::from_secs(2), caller.closed()).await.unwrap();
    assert_eq!(http.announce_raw(b"{}").await.code(), "revoked");
    let stream_id = dashvault_wire::StreamId::proved(
        &rig.device.token.live_key(),
        rig.device.id.clone(),
        footage.camera.clone(),
        footage.recording,
    );
    let refused = rig.call(&stream_id.reveal()).await.unwrap_err();
    assert!(format!("{refused:?}").contains("2403"), "{refused:?}");
}

#[tokio::test]
async fn a_stream_that_is_no_transport_stream_is_ended() {
    let rig = Rig::start().await;
    let footage = Footage::new(&rig.device, 41, 4);
    let caller = rig.live(&footage).await;
    let noise: Vec<u8> =
        (0..200_000u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 24) as u8 | 0x80).collect();
    for payload in noise.chunks(1316) {
        if caller.send(bytes::Bytes::copy_from_slice(payload)).await.is_err() {
            break;
        }
    }
    tokio::time::timeout(Duration::from_secs(5), caller.closed()).await.unwrap();
    eventually("the vault still serves", async || {
        (rig.stranger().get("/healthz").await.status == 200).then_some(())
    })
    .await;
}
