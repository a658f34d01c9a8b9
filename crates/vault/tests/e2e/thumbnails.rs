//! Thumbnails with a real ffmpeg, its absence, and too many at once.

use dashvault_vault::VaultConfig;

use crate::{
    film::{footage, stand_in},
    rig::{Http, Rig, eventually, files},
};

const PATH: &str = "/api/v1/devices/bus/cameras/front/thumbnail";

async fn rig(change: impl FnOnce(&mut VaultConfig)) -> Rig {
    let rig = Rig::start_with(change).await;
    for pack in &footage(&rig, "20261122-101500", "320x180", 8).packs {
        rig.store(pack).await;
    }
    rig
}

fn at(second: &str) -> String {
    format!("{PATH}?at=2026-11-22T10:15:{second}Z&width=160")
}

#[tokio::test(flavor = "multi_thread")]
async fn the_keyframe_at_or_before_a_moment_is_shown_and_kept() {
    let rig = rig(|_| {}).await;
    let http = rig.http();
    let picture = http.get(&at("03.700")).await;
    assert_eq!(
        (picture.status, picture.header("content-type")),
        (200, Some("image/jpeg")),
        "{}",
        picture.text()
    );
    assert!(picture.body.starts_with(&[0xFF, 0xD8]) && picture.body.ends_with(&[0xFF, 0xD9]));
    let etag = picture.header("etag").unwrap();
    assert_eq!(http.request("GET", &at("03"), &[("if-none-match", etag)], &[]).await.status, 304);
    assert!(http.get(&at("04")).await.body != picture.body, "another second shows another picture");
    let newest = http.get(&format!("{PATH}?width=160")).await;
    assert!(newest.body == http.get(&at("07.900")).await.body);
    assert_eq!(newest.header("cache-control"), Some("private, no-cache"));
    for none in [at("59"), PATH.replace("front", "rear"), format!("{PATH}?at=2020-01-01T00:00:00Z")] {
        assert_eq!(http.get(&none).await.status, 404, "{none}");
    }
    assert_eq!(http.get(&format!("{}&within_ms=3600000", at("59"))).await.status, 200);
    assert_eq!(http.get(&format!("{PATH}?at=soon")).await.status, 400);
    assert_eq!(files(&rig.data.path().join("thumbnails")).len(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_picture_that_many_ask_for_is_made_once_and_survives_a_restart() {
    let tools = tempfile::tempdir().unwrap();
    let log = tools.path().join("log");
    let ffmpeg = stand_in(tools.path(), &format!("echo made >> {}; exec ffmpeg \"$@\"", log.display()));
    let mut rig = rig(|config| config.clips.ffmpeg = ffmpeg).await;
    let asking: Vec<_> = (0..8)
        .map(|_| {
            let http = rig.http();
            tokio::spawn(async move { http.get(&at("01.500")).await })
        })
        .collect();
    for one in asking {
        assert_eq!(one.await.unwrap().status, 200);
    }
    rig.restart(true).await;
    assert_eq!(rig.http().get(&at("01.500")).await.status, 200);
    assert_eq!(std::fs::read_to_string(&log).unwrap(), "made\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn too_many_at_once_are_asked_to_come_back() {
    let tools = tempfile::tempdir().unwrap();
    let gate = tools.path().join("open");
    let script = format!("while [ ! -e {} ]; do sleep 0.05; done; exec ffmpeg \"$@\"", gate.display());
    let ffmpeg = stand_in(tools.path(), &script);
    let rig = rig(|config| {
        config.clips.ffmpeg = ffmpeg;
        config.clips.thumbnail_queue = 1;
    })
    .await;
    let ask =
        |http: Http, second: u32| tokio::spawn(async move { http.get(&at(&format!("0{second}.100"))).await });
    let asking: Vec<_> = (0..8).map(|second| ask(rig.http(), second)).collect();
    // Those that find no room are told at once, while the others still wait.
    eventually("somebody refused", async || asking.iter().any(|one| one.is_finished()).then_some(())).await;
    std::fs::write(&gate, "").unwrap();
    let mut statuses = Vec::new();
    for one in asking {
        let answer = one.await.unwrap();
        if answer.status == 503 {
            assert_eq!((answer.code().as_str(), answer.header("retry-after")), ("busy", Some("2")));
        }
        statuses.push(answer.status);
    }
    assert!(statuses.contains(&200) && statuses.contains(&503), "{statuses:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn without_ffmpeg_it_says_so() {
    let rig = rig(|config| config.clips.ffmpeg = "/nowhere/ffmpeg".into()).await;
    let refused = rig.http().get(&at("01")).await;
    assert_eq!((refused.status, refused.code().as_str()), (501, "no-ffmpeg"));
}
