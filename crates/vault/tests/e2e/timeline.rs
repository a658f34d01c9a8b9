//! The timeline, fetching, and playlists, against what was done to the footage.

use std::time::Duration;

use dashvault_base::{LossCause, WallMs};
use dashvault_wire::{
    AnnounceReply, AnnounceRequest, ByteRange, LossNotice, PackAnnounce, PackStatus, RequestedPack,
    paths::PROTOCOL,
};

use crate::rig::{Answer, Footage, FootagePack, Http, Rig, eventually, send, wants};

const ADMIN: &str = "the-administrators-word";
const CAMERA: &str = "/api/v1/devices/bus/cameras/front";

pub(crate) async fn rig() -> Rig {
    Rig::start_with(|config| config.admin_token = Some(ADMIN.into())).await
}

fn admin(rig: &Rig) -> Http {
    Http { bearer: Some(ADMIN.into()), ..rig.stranger() }
}

/// State by second of a range, in the middle of each.
async fn seconds(rig: &Rig, from: WallMs, count: i64) -> Vec<String> {
    let path = format!("{CAMERA}/timeline?from={from}&to={}", from.plus_ms(count * 1000).0);
    let answer = rig.http().get(&path).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    let timeline: serde_json::Value = serde_json::from_slice(&answer.body).unwrap();
    let spans = timeline["spans"].as_array().unwrap();
    let state_at = |ms: i64| {
        let inside = |span: &&serde_json::Value| {
            span["from"].as_i64().unwrap() <= ms && ms < span["to"].as_i64().unwrap()
        };
        let span = spans.iter().find(inside).unwrap();
        let cause = span.get("cause").and_then(|cause| cause.as_str());
        let partly = span.get("partly").is_some();
        let state = span["state"].as_str().unwrap();
        cause.map_or(state.to_owned(), |cause| {
            format!("{state} {cause}{}", if partly { " partly" } else { "" })
        })
    };
    (0..count).map(|second| state_at(from.0 + second * 1000 + 500)).collect()
}

/// As runs: `live 4, lost 1`.
pub(crate) fn runs(seconds: &[String]) -> String {
    let runs = seconds.chunk_by(|a, b| a == b).map(|run| format!("{} {}", run[0], run.len()));
    runs.collect::<Vec<_>>().join(", ")
}

pub(crate) async fn until_runs(rig: &Rig, from: WallMs, count: i64, expected: &str) {
    let mut last = String::new();
    eventually(expected, async || {
        let now = runs(&seconds(rig, from, count).await);
        if now != last {
            println!("it is: {now}");
            last = now;
        }
        (last == expected).then_some(())
    })
    .await;
}

pub(crate) async fn store(rig: &Rig, pack: &FootagePack) {
    for range in wants(&rig.http().announce_one(pack.sealed()).await) {
        rig.http().upload(pack, range).await;
    }
    rig.http().receipt(pack).await;
}

fn start(footage: &Footage) -> WallMs {
    footage.recording.start()
}

#[tokio::test]
async fn every_second_is_in_its_state_also_while_the_vehicle_and_the_vault_were_away() {
    let mut rig = rig().await;
    let footage = Footage::new(&rig.device, 81, 16);
    let http = rig.http();
    let live = rig.live(&footage).await;
    send(&live, &footage.packs[0].body()).await;
    // The last segment ends where the next one begins.
    send(&live, &footage.packs[1].segments[0]).await;
    http.receipt(&footage.packs[0]).await;
    live.close(Duration::from_secs(1)).await;
    store(&rig, &footage.packs[2]).await;
    http.announce(vec![footage.packs[1].sealed(), footage.packs[3].open(3)]).await;
    let loss = LossNotice {
        id: "l1".into(),
        camera: footage.camera.clone(),
        recording: Some(footage.recording),
        from: start(&footage).plus_ms(15_000),
        to: start(&footage).plus_ms(16_000),
        lost_ms: 1000,
        bytes: 0,
        cause: LossCause::DiskFull,
    };
    let request = AnnounceRequest { protocol: PROTOCOL, losses: vec![loss], ..AnnounceRequest::default() };
    http.announce_raw(&serde_json::to_vec(&request).unwrap()).await;
    let expected =
        "not_recorded 2, live 5, on_vehicle 3, backfilled 4, on_vehicle 3, lost disk-full 1, not_recorded 2";
    let from = start(&footage).plus_ms(-2000);
    until_runs(&rig, from, 20, expected).await;

    rig.restart(false).await;
    assert_eq!(runs(&seconds(&rig, from, 20).await), expected, "after a crash, without any announcement");
    std::fs::remove_file(rig.object(&footage.packs[2])).unwrap();
    rig.restart(true).await;
    let lost = expected.replace("backfilled 4", "lost missing 4");
    assert_eq!(runs(&seconds(&rig, from, 20).await), lost);
}

#[tokio::test]
async fn what_somebody_waits_for_is_told_until_it_is_here_and_goes_with_its_pack() {
    let mut rig = rig().await;
    let footage = Footage::new(&rig.device, 82, 16);
    let sealed: Vec<_> = footage.packs.iter().map(FootagePack::sealed).collect();
    rig.http().announce(sealed.clone()).await;
    until_runs(&rig, start(&footage), 16, "on_vehicle 16").await;
    let from = start(&footage).plus_ms(5000);
    let body = format!(r#"{{"from":"{from}","to":{}}}"#, from.plus_ms(4000).0);
    let json = [("content-type", "application/json")];
    let path = format!("{CAMERA}/fetch");
    let refused = rig.http().request("POST", &path, &json, body.as_bytes()).await;
    assert_eq!(refused.code(), "forbidden", "a device is a viewer");
    let answer = admin(&rig).request("POST", &path, &json, body.as_bytes()).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    let reply: serde_json::Value = serde_json::from_slice(&answer.body).unwrap();
    let bytes: u64 = footage.packs[1..3].iter().map(|pack| pack.manifest.body_len()).sum();
    assert_eq!((reply["packs"].as_u64(), reply["bytes"].as_u64()), (Some(2), Some(bytes)));

    let flagged = |reply: &AnnounceReply| -> Vec<bool> {
        let is = |status: &PackStatus| matches!(status, PackStatus::Assembling { requested: true, .. });
        reply.packs.iter().map(|pack| is(&pack.status)).collect()
    };
    let named = |reply: &AnnounceReply| {
        let mut packs: Vec<u32> = reply.requested.iter().map(|one: &RequestedPack| one.pack.number).collect();
        packs.sort_unstable();
        packs
    };
    let first = announce(&rig, &sealed).await;
    assert_eq!((flagged(&first), named(&first)), (vec![false, true, true, false], vec![1, 2]));
    let next = announce(&rig, &sealed).await;
    assert_eq!((flagged(&next), named(&next)), (vec![false, true, true, false], vec![]), "not each time");
    store(&rig, &footage.packs[1]).await;

    rig.restart(false).await;
    let after = announce(&rig, &sealed).await;
    assert_eq!((flagged(&after), named(&after)), (vec![false, false, true, false], vec![2]));
}

async fn announce(rig: &Rig, packs: &[PackAnnounce]) -> AnnounceReply {
    let request = AnnounceRequest { protocol: PROTOCOL, packs: packs.to_vec(), ..AnnounceRequest::default() };
    let answer = rig.http().announce_raw(&serde_json::to_vec(&request).unwrap()).await;
    serde_json::from_slice(&answer.body).unwrap()
}

/// What of a pack can be played: not what the stream began with before its first keyframe, which has no time of its own.
pub(crate) fn playable(pack: &FootagePack) -> Vec<u8> {
    let entries = pack.manifest.segments.iter().zip(&pack.segments);
    entries.filter(|(entry, _)| entry.keyframe).flat_map(|(_, bytes)| bytes.clone()).collect()
}

/// What a playlist lists: wall time of its first byte where told, jump before it, and the bytes.
pub(crate) struct Played {
    pub(crate) wall: Option<WallMs>,
    jumps: bool,
    pub(crate) bytes: Vec<u8>,
}

pub(crate) async fn playlist(rig: &Rig, from: WallMs, to: WallMs) -> Answer {
    rig.http().get(&format!("/vod/bus/front/index.m3u8?from={}&to={to}", from.0)).await
}

pub(crate) async fn play(rig: &Rig, text: &str) -> Vec<Played> {
    let (mut wall, mut jumps, mut range) = (None, false, String::new());
    let mut played = Vec::new();
    for line in text.lines() {
        if let Some(time) = line.strip_prefix("#EXT-X-PROGRAM-DATE-TIME:") {
            wall = Some(time.parse().unwrap());
        } else if line == "#EXT-X-DISCONTINUITY" {
            jumps = true;
        } else if let Some(bytes) = line.strip_prefix("#EXT-X-BYTERANGE:") {
            let (len, start) = bytes.split_once('@').unwrap();
            let (len, start): (u64, u64) = (len.parse().unwrap(), start.parse().unwrap());
            range = format!("bytes={start}-{}", start + len - 1);
        } else if line.starts_with('/') {
            let answer = rig.http().request("GET", line, &[("range", &range)], &[]).await;
            assert_eq!(answer.status, 206, "{line} {range}");
            played.push(Played { wall: wall.take(), jumps, bytes: answer.body });
            jumps = false;
        }
    }
    played
}

#[tokio::test]
async fn a_playlist_plays_the_stored_bytes_in_order_and_each_range_begins_with_its_tables() {
    let rig = rig().await;
    let footage = Footage::new(&rig.device, 83, 16);
    for at in [0, 1, 3] {
        store(&rig, &footage.packs[at]).await;
    }
    let from = start(&footage);
    let answer = playlist(&rig, from, from.plus_ms(3_600_000)).await;
    assert_eq!(answer.header("content-type"), Some("application/vnd.apple.mpegurl"));
    let text = answer.text();
    assert!(text.starts_with("#EXTM3U\n") && text.ends_with("#EXT-X-ENDLIST\n"), "{text}");
    let played = play(&rig, &text).await;
    let bytes: Vec<u8> = played.iter().flat_map(|one| one.bytes.clone()).collect();
    let stored = [0, 1, 3].map(|at| playable(&footage.packs[at])).concat();
    assert!(bytes == stored, "{} of {} bytes are played", bytes.len(), stored.len());
    for one in &played {
        let pids = one.bytes.chunks(188).take(4).map(|p| u16::from_be_bytes([p[1] & 0x1F, p[2]]));
        let pids: Vec<u16> = pids.collect();
        assert!(pids[0] == 0 || pids[0] == 0x11 && pids[1] == 0, "PAT first, after an SDT at most: {pids:?}");
    }
    let jumps: Vec<usize> = (0..played.len()).filter(|at| played[*at].jumps).collect();
    assert_eq!(jumps, [8], "where pack 2 is missing");
    let walls: Vec<i64> = played.iter().filter_map(|one| one.wall).map(|wall| wall.0 - from.0).collect();
    assert_eq!(walls, [0, 4000, 12_000]);

    let part = play(&rig, &playlist(&rig, from.plus_ms(5500), from.plus_ms(6500)).await.text()).await;
    let bytes: Vec<u8> = part.iter().flat_map(|one| one.bytes.clone()).collect();
    assert!(bytes == footage.packs[1].segments[1..3].concat());
    let none = playlist(&rig, from.plus_ms(8000), from.plus_ms(12_000)).await;
    assert_eq!((none.status, none.code().as_str()), (404, "no-footage"));
}

#[tokio::test]
async fn what_has_come_of_an_open_pack_plays_at_once_and_under_the_same_name_later() {
    let rig = rig().await;
    let footage = Footage::new(&rig.device, 85, 8);
    let (pack, from) = (&footage.packs[0], start(&footage));
    let skip = pack.manifest.segments.iter().position(|entry| entry.keyframe).unwrap();
    // Announced and wanted are three segments from the first keyframe on; the last is still on its way.
    for range in wants(&rig.http().announce_one(pack.open(skip + 3)).await) {
        let until = range.end - u64::from(pack.manifest.segments[skip + 2].len);
        rig.http().upload(pack, ByteRange::new(range.start, until)).await;
    }
    assert_eq!(runs(&seconds(&rig, from, 4).await), "backfilled 2, on_vehicle 1, not_recorded 1");
    let text = playlist(&rig, from, from.plus_ms(60_000)).await.text();
    let bytes = |played: Vec<Played>| played.into_iter().flat_map(|one| one.bytes).collect::<Vec<u8>>();
    let here = pack.segments[skip..skip + 2].concat();
    assert!(bytes(play(&rig, &text).await) == here, "{text}");

    let get = async |range: &str| rig.http().request("GET", &pack.url(), &[("range", range)], &[]).await;
    let part = get("bytes=0-187").await;
    assert_eq!((part.status, part.header("content-range")), (206, Some("bytes 0-187/*")));
    assert_eq!((part.header("etag"), part.header("cache-control")), (None, Some("private, no-store")));
    let end = pack.segments[..skip + 2].concat().len();
    assert_eq!(get(&format!("bytes={}-{}", end - 1, end)).await.status, 404, "its last byte is not here");
    assert_eq!(rig.http().get(&pack.url()).await.status, 404, "the whole of it is not here");
    assert_eq!(
        rig.stranger().request("GET", &pack.url(), &[("range", "bytes=0-187")], &[]).await.status,
        401
    );

    store(&rig, pack).await;
    assert!(bytes(play(&rig, &text).await) == here, "the names have not changed");
    assert!(get("bytes=0-187").await.header("etag").is_some());
}

#[tokio::test]
async fn times_that_are_none_are_refused_and_another_device_is_not_seen() {
    let rig = rig().await;
    for query in ["", "?from=1", "?from=2&to=1", "?from=now&to=later", "?from=0&to=99999999999999"] {
        for path in ["/vod/bus/front/index.m3u8".to_owned(), format!("{CAMERA}/timeline")] {
            let answer = rig.http().get(&format!("{path}{query}")).await;
            assert_eq!((answer.status, answer.code().as_str()), (400, "malformed"), "{path}{query}");
        }
    }
    for path in ["/vod/truck/front/index.m3u8", "/api/v1/devices/truck/timeline"] {
        assert_eq!(rig.http().get(&format!("{path}?from=1&to=2")).await.status, 404);
        assert_eq!(admin(&rig).get(&format!("{path}?from=1&to=2")).await.status, 404);
        assert_eq!(rig.stranger().get(&format!("{path}?from=1&to=2")).await.status, 401);
    }
}

#[tokio::test]
async fn a_client_that_has_an_object_is_told_so() {
    let rig = rig().await;
    let footage = Footage::new(&rig.device, 84, 4);
    store(&rig, &footage.packs[0]).await;
    let url = footage.packs[0].url();
    let whole = rig.http().get(&url).await;
    let tag = whole.header("etag").unwrap().to_owned();
    assert_eq!(tag, format!("\"{}\"", footage.packs[0].manifest.hash()));
    let known = rig.http().request("GET", &url, &[("if-none-match", &tag)], &[]).await;
    assert_eq!((known.status, known.body.len(), known.header("etag")), (304, 0, Some(tag.as_str())));
    let range = ("range", "bytes=0-187");
    let part = rig.http().request("GET", &url, &[range, ("if-range", &tag)], &[]).await;
    assert_eq!((part.status, part.body.len()), (206, 188));
    let other = rig.http().request("GET", &url, &[range, ("if-range", "\"other\"")], &[]).await;
    assert!(other.status == 200 && other.body == footage.packs[0].file());
}
