//! tus 1.0, header by header.

use base64::{Engine, engine::general_purpose::STANDARD};
use dashvault_wire::{ByteRange, paths::UPLOADS, upload::PackTarget};
use sha1::{Digest, Sha1};
use tokio::io::AsyncWriteExt;

use crate::rig::{Footage, Rig, eventually, patch_headers, read_answer, wants};

const TUS: (&str, &str) = ("tus-resumable", "1.0.0");

#[tokio::test]
async fn options_say_what_is_spoken() {
    let rig = Rig::start().await;
    let answer = rig.stranger().request("OPTIONS", UPLOADS, &[], &[]).await;
    assert_eq!(answer.status, 204);
    assert_eq!(answer.header("tus-version"), Some("1.0.0"));
    let extensions = answer.header("tus-extension").unwrap();
    for extension in ["creation", "creation-with-upload", "termination", "expiration", "checksum"] {
        assert!(extensions.split(',').any(|found| found == extension), "{extension}");
    }
    assert_eq!(answer.header("tus-checksum-algorithm"), Some("sha1"));
}

#[tokio::test]
async fn another_version_of_tus_is_refused_with_ours() {
    let rig = Rig::start().await;
    for headers in [&[][..], &[("tus-resumable", "0.2.2")]] {
        let answer = rig.http().request("POST", UPLOADS, headers, &[]).await;
        assert_eq!((answer.status, answer.header("tus-version")), (412, Some("1.0.0")));
    }
}

#[tokio::test]
async fn an_upload_is_created_asked_continued_and_ended() {
    let rig = Rig::start().await;
    let footage = Footage::new(&rig.device, 51, 4);
    let (http, pack) = (rig.http(), &footage.packs[0]);
    let whole = wants(&http.announce_one(pack.sealed()).await)[0];
    let created = http.create(pack, whole).await;
    assert_eq!((created.status, created.offset()), (201, 0));
    assert!(created.header("upload-expires").unwrap().ends_with(" GMT"));
    let location = created.header("location").unwrap();
    let body = pack.body();

    let first = http.patch(location, 0, &body[..10_000]).await;
    assert_eq!((first.status, first.offset()), (204, 10_000));
    let asked = http.request("HEAD", location, &[TUS], &[]).await;
    assert_eq!((asked.status, asked.offset()), (200, 10_000));
    assert_eq!(asked.header("upload-length"), Some(body.len().to_string().as_str()));
    assert_eq!(asked.header("cache-control"), Some("no-store"));
    let target = PackTarget::from_metadata(asked.header("upload-metadata").unwrap()).unwrap();
    assert_eq!((target.pack, target.start), (pack.id(), 0));

    let conflict = http.patch(location, 5000, &body[5000..]).await;
    assert_eq!((conflict.status, conflict.code().as_str(), conflict.offset()), (409, "offset", 10_000));
    let untyped = http.request("PATCH", location, &[TUS, ("upload-offset", "10000")], b"x").await;
    assert_eq!(untyped.status, 415);

    assert_eq!(http.request("DELETE", location, &[TUS], &[]).await.status, 204);
    assert_eq!(http.request("HEAD", location, &[TUS], &[]).await.status, 404);
    // What it brought is not lost with it.
    assert_eq!(wants(&http.announce_one(pack.sealed()).await), [ByteRange::new(10_000, whole.end)]);
}

#[tokio::test]
async fn creation_may_bring_the_first_bytes() {
    let rig = Rig::start().await;
    let footage = Footage::new(&rig.device, 52, 4);
    let (http, pack) = (rig.http(), &footage.packs[0]);
    http.announce_one(pack.sealed()).await;
    let body = pack.body();
    let target = PackTarget { camera: footage.camera.clone(), pack: pack.id(), start: 0 };
    let (length, metadata) = (body.len().to_string(), target.to_metadata());
    let headers = [
        TUS,
        ("upload-length", length.as_str()),
        ("upload-metadata", metadata.as_str()),
        ("content-type", "application/offset+octet-stream"),
    ];
    let answer = http.request("POST", UPLOADS, &headers, &body).await;
    assert_eq!((answer.status, answer.offset()), (201, body.len() as u64), "{}", answer.text());
    http.receipt(pack).await;
}

#[tokio::test]
async fn a_wrong_checksum_takes_the_body_back() {
    let rig = Rig::start().await;
    let footage = Footage::new(&rig.device, 53, 4);
    let (http, pack) = (rig.http(), &footage.packs[0]);
    let whole = wants(&http.announce_one(pack.sealed()).await)[0];
    let location = http.create(pack, whole).await.header("location").unwrap().to_owned();
    let piece = &pack.body()[..5000];
    let right = format!("sha1 {}", STANDARD.encode(Sha1::digest(piece)));
    let wrong = format!("sha1 {}", STANDARD.encode(Sha1::digest(b"other")));
    let with = |checksum: &str| {
        let mut headers = patch_headers("0").map(|(name, value)| (name, value.to_owned())).to_vec();
        headers.push(("upload-checksum", checksum.to_owned()));
        headers
    };
    let patch = async |checksum: &str| {
        let headers = with(checksum);
        let headers: Vec<_> = headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
        http.request("PATCH", &location, &headers, piece).await
    };
    assert_eq!(patch(&wrong).await.status, 460);
    assert_eq!(http.offset(&location).await, 0);
    // Segments whose own hash is right stay; the rest is wanted again.
    let left = wants(&http.announce_one(pack.sealed()).await);
    let kept = (0..).map(|n| pack.manifest.offset_of(n)).take_while(|start| *start <= 5000).last().unwrap();
    assert_eq!(left, [ByteRange::new(kept, whole.end)]);
    assert_eq!(patch("md5 AAAA").await.status, 400);
    let answer = patch(&right).await;
    assert_eq!((answer.status, answer.offset()), (204, 5000));
}

#[tokio::test]
async fn the_newer_connection_takes_over_and_the_older_ones_bytes_count() {
    let rig = Rig::start().await;
    let footage = Footage::new(&rig.device, 54, 4);
    let (http, pack) = (rig.http(), &footage.packs[0]);
    let whole = wants(&http.announce_one(pack.sealed()).await)[0];
    let location = http.create(pack, whole).await.header("location").unwrap().to_owned();
    let body = pack.body();
    let mut stale = http.connect().await;
    let head = http.head_of("PATCH", &location, &patch_headers("0"), Some(body.len()));
    stale.write_all(head.as_bytes()).await.unwrap();
    stale.write_all(&body[..20_000]).await.unwrap();
    eventually("the first bytes", async || {
        (rig.metric("dashvault_received_bytes_total{way=\"backfilled\"}").await == 20_000).then_some(())
    })
    .await;
    assert_eq!(http.offset(&location).await, 20_000);
    assert_eq!(read_answer(&mut stale, false).await.code(), "taken-over");
    let answer = http.patch(&location, 20_000, &body[20_000..]).await;
    assert_eq!(answer.status, 204, "{}", answer.text());
    http.receipt(pack).await;
    assert!(std::fs::read(rig.object(pack)).unwrap() == pack.file());
}

#[tokio::test]
async fn a_link_that_dies_in_an_upload_costs_no_byte_that_arrived() {
    let rig = Rig::start().await;
    let footage = Footage::new(&rig.device, 55, 4);
    let (http, pack) = (rig.http(), &footage.packs[0]);
    let whole = wants(&http.announce_one(pack.sealed()).await)[0];
    let location = http.create(pack, whole).await.header("location").unwrap().to_owned();
    let body = pack.body();
    let mut at = 0;
    while at < body.len() {
        let piece = &body[at..body.len().min(at + 30_011)];
        let mut link = http.connect().await;
        let head = http.head_of("PATCH", &location, &patch_headers(&at.to_string()), Some(body.len() - at));
        link.write_all(&[head.as_bytes(), piece].concat()).await.unwrap();
        link.shutdown().await.unwrap();
        // It is gone before it hears an answer; the next one asks where to go on.
        drop(link);
        at += piece.len();
        if at == body.len() {
            // The pack is stored as soon as its last byte is there, and its upload is gone then.
            break;
        }
        let reached = eventually("the bytes", async || {
            Some(http.offset(&location).await).filter(|now| *now > (at - piece.len()) as u64)
        })
        .await;
        assert_eq!(reached, at as u64);
    }
    http.receipt(pack).await;
    assert_eq!(rig.metric("dashvault_received_bytes_total{way=\"backfilled\"}").await, body.len() as u64);
}
