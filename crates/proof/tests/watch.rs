//! Watching, with real programs: what somebody waits for comes first, and real footage plays back where it belongs.

#![allow(clippy::unwrap_used, reason = "a test fails where it stands")]

use std::{process::Command, time::Duration};

use dashvault_proof::{Rig, RigOptions};
use serde_json::Value;

const ADMIN: &str = "the-administrators-word";
const CAMERA: &str = "api/v1/devices/bus-7/cameras/front";

fn options() -> RigOptions {
    RigOptions {
        record: vec!["--pack-length".into(), "2s".into()],
        serve: vec!["--admin-token".into(), ADMIN.into()],
        ..RigOptions::default()
    }
}

fn curl(rig: &Rig, path: &str, body: Option<&str>) -> String {
    let mut curl = Command::new("curl");
    curl.args(["-sS", "--fail-with-body", "-H", &format!("Authorization: Bearer {ADMIN}")]);
    if let Some(body) = body {
        curl.args(["-H", "Content-Type: application/json", "-d", body]);
    }
    let output = curl.arg(format!("http://{}/{path}", rig.vault_ports().0)).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{path}: {text}");
    text
}

fn json(rig: &Rig, path: &str) -> Value {
    serde_json::from_str(&curl(rig, path, None)).unwrap()
}

/// Stored packs: number, first byte's wall time, when stored.
fn stored(rig: &Rig) -> Vec<(u64, i64, i64)> {
    let packs = json(rig, &format!("{CAMERA}/packs"));
    let number = |pack: &Value, key: &str| pack[key].as_i64().unwrap();
    let read = |pack: &Value| {
        (pack["number"].as_u64().unwrap(), number(pack, "start_wall"), number(pack, "stored_at"))
    };
    packs["packs"].as_array().unwrap().iter().map(read).collect()
}

/// Milliseconds of a state.
fn total(rig: &Rig, from: i64, to: i64, what: &str) -> u64 {
    json(rig, &format!("{CAMERA}/timeline?from={from}&to={to}"))["totals"][what].as_u64().unwrap()
}

async fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    for _ in 0..600 {
        if is_so() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    panic!("not in time: {what}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_somebody_waits_for_comes_before_the_rest_of_a_long_backlog() {
    let mut rig = Rig::new(options()).await.unwrap();
    rig.link().set("cut".parse().unwrap());
    rig.start_vault().await.unwrap();
    rig.start_recorder().unwrap();
    let backlog = |packs: u64| {
        move |status: &dashvault_recorder::RecorderStatus| {
            status.cameras.iter().any(|camera| camera.packs_pending >= packs)
        }
    };
    rig.until("there is a backlog", backlog(16)).await.unwrap();
    // Live takes 75 kB/s of it.
    rig.link().set("up rate=120kB/s".parse().unwrap());
    let now = || i64::try_from(std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap().as_millis()).unwrap();
    let (from, to) = (now() - 600_000, now() + 600_000);
    // Of all of it, the oldest too: it is told newest first.
    until("the vault knows of it", || total(&rig, from, to, "on_vehicle_ms") > 26_000).await;
    let timeline = json(&rig, &format!("{CAMERA}/timeline?from={from}&to={to}"));
    let spans = timeline["spans"].as_array().unwrap();
    let oldest = spans.iter().find(|span| span["state"] == "on_vehicle").unwrap()["from"].as_i64().unwrap();
    // Newest first is what the recorder would do.
    let body = format!(r#"{{"from":{},"to":{}}}"#, oldest + 100, oldest + 3000);
    let asked: Value = serde_json::from_str(&curl(&rig, &format!("{CAMERA}/fetch"), Some(&body))).unwrap();
    assert_eq!(asked["packs"], 2, "{asked}");
    let asked_at = now();
    until("it is here", || {
        let numbers: Vec<u64> = stored(&rig).iter().map(|pack| pack.0).collect();
        numbers.contains(&0) && numbers.contains(&1)
    })
    .await;
    let packs = stored(&rig);
    let came = packs.iter().filter(|pack| pack.0 < 2).map(|pack| pack.2).max().unwrap();
    let between: Vec<u64> = packs
        .iter()
        .filter(|pack| pack.0 >= 2 && pack.0 < 16 && pack.2 > asked_at && pack.2 < came)
        .map(|pack| pack.0)
        .collect();
    println!(
        "asked for packs 0 and 1, which came after {} ms; before them came {between:?}",
        came - asked_at
    );
    assert!(between.len() <= 4, "those that were under way: {between:?}");
    let waiting = packs.iter().filter(|pack| pack.0 >= 2 && pack.0 < 14).count();
    assert!(waiting < 12, "the others wait: {packs:?}");
    rig.link().set("up".parse().unwrap());
    rig.stop_recorder().await.unwrap();
    assert_eq!(total(&rig, from, to, "on_vehicle_ms"), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn footage_with_an_outage_plays_without_an_error_and_as_long_as_the_timeline_says() {
    let mut rig = Rig::started(options()).await.unwrap();
    let segments = |least: u64| {
        move |status: &dashvault_recorder::RecorderStatus| {
            status.cameras.iter().any(|camera| camera.captured.segments >= least)
        }
    };
    rig.until("it records", segments(4)).await.unwrap();
    rig.link().set("cut".parse().unwrap());
    rig.until("it goes on", segments(9)).await.unwrap();
    rig.link().set("up".parse().unwrap());
    rig.until("it goes on", segments(13)).await.unwrap();
    rig.stop_recorder().await.unwrap();
    // A second recording.
    rig.start_recorder().unwrap();
    rig.until("it records again", segments(4)).await.unwrap();
    rig.stop_recorder().await.unwrap();

    let packs = stored(&rig);
    let from = packs.iter().map(|pack| pack.1).min().unwrap() - 5000;
    let to = packs.iter().map(|pack| pack.1).max().unwrap() + 60_000;
    let (live, later) = (total(&rig, from, to, "live_ms"), total(&rig, from, to, "backfilled_ms"));
    println!("live {live} ms, backfilled {later} ms");
    assert!(live > 0 && later > 0);
    let path = format!("vod/bus-7/front/index.m3u8?from={from}&to={to}");
    let text = curl(&rig, &path, None);
    let playlist = dashvault_testkit::hls::Playlist::parse(&text).unwrap();
    assert_eq!(dashvault_testkit::hls::check(&playlist), Vec::<String>::new());
    assert_eq!(text.matches("#EXT-X-DISCONTINUITY\n").count(), 1, "one new recording: {text}");
    let listed = playlist.duration() * 1000.0;
    assert!((listed - (live + later) as f64).abs() < 250.0, "listed {listed} ms, live {live}, later {later}");

    let frames = decode(&rig, &path);
    let expected = (live + later) as f64 * 15.0 / 1000.0;
    println!("{frames} frames, {expected:.1} expected");
    assert!((frames as f64 - expected).abs() <= 4.0, "{frames} frames, {expected:.1} expected");
}

/// Pictures that ffmpeg decodes; it may not say anything else.
fn decode(rig: &Rig, path: &str) -> u64 {
    let mut ffmpeg = Command::new("ffmpeg");
    ffmpeg.args(["-v", "error", "-headers", &format!("Authorization: Bearer {ADMIN}\r\n"), "-i"]);
    ffmpeg.arg(format!("http://{}/{path}", rig.vault_ports().0));
    ffmpeg.args(["-map", "0:v:0", "-f", "null", "-progress", "-", "-nostdin", "-"]);
    let output = ffmpeg.output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && said.is_empty(), "{said}");
    let progress = String::from_utf8(output.stdout).unwrap();
    let frames = progress.lines().rev().find_map(|line| line.strip_prefix("frame="));
    frames.unwrap().trim().parse().unwrap()
}
