//! Foreign footage over HTTP: by tus, by one PUT, with breaks and restarts, and what plays in the end. Needs ffmpeg.

use std::{
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use base64::{Engine, engine::general_purpose::STANDARD};
use dashvault_vault::list_objects;
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt;

use crate::rig::{Answer, Http, Rig, files, patch_headers};

pub(crate) const ADMIN: &str = "an administrator's token";
const IMPORTS: &str = "/api/v1/imports";
const TUS: (&str, &str) = ("tus-resumable", "1.0.0");

pub(crate) async fn rig() -> Rig {
    Rig::start_with(|config| config.admin_token = Some(ADMIN.into())).await
}

pub(crate) fn admin(rig: &Rig) -> Http {
    Http { addr: rig.vault().http_addr(), bearer: Some(ADMIN.into()) }
}

fn value(answer: &Answer) -> Value {
    assert!(answer.status < 300, "{} {}", answer.status, answer.text());
    serde_json::from_slice(&answer.body).unwrap()
}

fn metadata(pairs: &[(&str, &str)]) -> String {
    let pairs = pairs.iter().map(|(key, value)| format!("{key} {}", STANDARD.encode(value)));
    pairs.collect::<Vec<_>>().join(",")
}

/// A film of `seconds` with a moving picture and a tone, as ffmpeg's words make it.
pub(crate) fn film(folder: &Path, name: &str, seconds: u32, words: &str) -> Vec<u8> {
    let path = folder.join(name);
    let source = format!(
        "-hide_banner -loglevel error -nostdin -y -f lavfi -i testsrc2=size=320x180:rate=25 \
         -f lavfi -i sine=frequency=440 -t {seconds}"
    );
    let status = Command::new("ffmpeg")
        .args(source.split_whitespace())
        .args(words.split_whitespace())
        .arg(&path)
        .status()
        .unwrap();
    assert!(status.success());
    std::fs::read(path).unwrap()
}

pub(crate) const H264: &str = "-c:v libx264 -preset ultrafast -g 25 -c:a aac";

pub(crate) async fn put(http: &Http, path: &str, bytes: &[u8]) -> Value {
    value(&http.request("PUT", &format!("{IMPORTS}/bus/{path}"), &[], bytes).await)
}

/// Waits for the end of a job; ffmpeg takes its time on a busy machine.
async fn ended(http: &Http, job: &Value) -> Value {
    let path = format!("/api/v1/import-jobs/{}", job["id"].as_str().unwrap());
    let deadline = tokio::time::Instant::now() + Duration::from_secs(120);
    loop {
        let job = value(&http.get(&path).await);
        if ["done", "duplicate", "failed"].contains(&job["state"].as_str().unwrap()) {
            return job;
        }
        assert!(tokio::time::Instant::now() < deadline, "{job}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

pub(crate) async fn done(http: &Http, job: &Value) -> Value {
    let job = ended(http, job).await;
    assert_eq!(job["state"], "done", "{job}");
    job
}

/// The objects of a recording, one behind the other, as one file.
pub(crate) async fn stored(rig: &Rig, job: &Value) -> PathBuf {
    let listed = list_objects(rig.data.path()).await.unwrap();
    let of = listed.iter().filter(|object| object.pack.recording.to_string() == job["recording"]);
    let bytes: Vec<u8> = of.flat_map(|object| std::fs::read(&object.path).unwrap()).collect();
    let path = rig.data.path().join("all.ts");
    std::fs::write(&path, bytes).unwrap();
    path
}

/// How many pictures a film has, and from when until when they are shown, in seconds.
pub(crate) fn pictures(film: &Path) -> (usize, f64) {
    let words = "-v error -select_streams v:0 -show_entries packet=pts_time,duration_time -of csv=p=0";
    let output = Command::new("ffprobe").args(words.split_whitespace()).arg(film).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let times: Vec<(f64, f64)> = text
        .lines()
        .filter_map(|line| {
            let mut parts = line.split(',');
            Some((parts.next()?.parse().ok()?, parts.next().and_then(|d| d.parse().ok()).unwrap_or(0.04)))
        })
        .collect();
    let first = times.iter().map(|(at, _)| *at).fold(f64::MAX, f64::min);
    let end = times.iter().map(|(at, lasts)| at + lasts).fold(0.0, f64::max);
    (times.len(), end - first)
}

/// What ffmpeg complains about when it decodes a film.
fn complaints(film: &Path) -> String {
    let words = ["-v", "error", "-i", film.to_str().unwrap(), "-f", "null", "-"];
    let output = Command::new("ffmpeg").args(words).output().unwrap();
    String::from_utf8_lossy(&output.stderr).into_owned()
}

pub(crate) fn left_over(rig: &Rig) -> Vec<PathBuf> {
    files(&rig.data.path().join("imports"))
}

#[tokio::test]
async fn films_of_every_kind_play_as_they_did() {
    let rig = rig().await;
    let folder = tempfile::tempdir().unwrap();
    let http = admin(&rig);
    let films = [
        ("20261122_100000.mp4", H264),
        ("20261122_100100.mov", "-c:v libx264 -preset ultrafast -bf 2 -g 50 -c:a pcm_s16le"),
        ("20261122_100200.avi", "-c:v mpeg4 -q:v 5 -c:a libmp3lame"),
        ("20261122_100300.mkv", "-c:v libx264 -preset ultrafast -c:a ac3"),
        ("20261122_100400.ts", "-c:v libx264 -preset ultrafast -c:a aac -f mpegts"),
        ("20261122_100500.mp4", "-map 0:v -c:v libx264 -preset ultrafast -g 250"),
    ];
    for (name, words) in films {
        let bytes = film(folder.path(), name, 3, words);
        let job = done(&http, &put(&http, &format!("front/{name}"), &bytes).await).await;
        assert_eq!(job["time_source"], "name", "{job}");
        assert_eq!(job["recording"].as_str().unwrap().replace('-', "_"), name[..15], "{job}");
        let all = stored(&rig, &job).await;
        let (before, after) = (pictures(&folder.path().join(name)), pictures(&all));
        assert_eq!(before.0, after.0, "{name}");
        assert!((before.1 - after.1).abs() < 0.041, "{name}: {before:?} {after:?}");
        assert_eq!(complaints(&all), "", "{name}");
        let lasts = job["to"].as_i64().unwrap() - job["from"].as_i64().unwrap();
        assert!((2900..3200).contains(&lasts), "{name}: {lasts} ms");
    }
    assert_eq!(left_over(&rig), [] as [PathBuf; 0], "nothing but packs stays");
    assert_eq!(rig.metric("dashvault_imports_total{result=\"done\"}").await, 6);
}

#[tokio::test]
async fn real_footage_plays_as_it_did() {
    let folder = std::env::var("DASHVAULT_FOOTAGE")
        .map_or_else(|_| Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/footage"), PathBuf::from);
    let rig = rig().await;
    let http = admin(&rig);
    for name in ["bikes.mp4", "carphone_pristine.mp4", "bigbuckbunny.mp4"] {
        // Without a network there is none; test pictures of every kind are imported above.
        let Ok(bytes) = std::fs::read(folder.join(name)) else { continue };
        let job = put(&http, &format!("film/{name}?at=2026-11-22T10:15:00Z"), &bytes).await;
        let job = done(&http, &job).await;
        assert_eq!(job["time_source"], "said");
        let all = stored(&rig, &job).await;
        let (before, after) = (pictures(&folder.join(name)), pictures(&all));
        assert_eq!(before.0, after.0, "{name}");
        assert!((before.1 - after.1).abs() < 0.041, "{name}: {before:?} {after:?}");
        assert_eq!(complaints(&all), "", "{name}");
    }
}

#[tokio::test]
async fn a_name_that_is_taken_moves_by_a_second_and_the_same_file_is_not_taken_twice() {
    let rig = rig().await;
    let folder = tempfile::tempdir().unwrap();
    let http = admin(&rig);
    let one = film(folder.path(), "a.mp4", 1, H264);
    let other = film(folder.path(), "b.mp4", 2, H264);
    let at = "?at=2026-11-22T10:15:00.5Z";
    let first = done(&http, &put(&http, &format!("front/a.mp4{at}"), &one).await).await;
    let second = done(&http, &put(&http, &format!("front/b.mp4{at}"), &other).await).await;
    assert_eq!(
        (&first["recording"], &second["recording"]),
        (&json!("20261122-101500"), &json!("20261122-101501"))
    );
    assert_eq!(first["from"], second["from"], "only its name moves, not its time");

    let again = ended(&http, &put(&http, "front/copy.mp4", &one).await).await;
    assert_eq!((&again["state"], &again["duplicate_of"]), (&json!("duplicate"), &first["id"]));
    let elsewhere = ended(&http, &put(&http, "rear/a.mp4", &one).await).await;
    assert_eq!(elsewhere["state"], "done", "another camera is another place");
    assert_eq!(elsewhere["time_source"], "upload");
    assert!(elsewhere["warning"].as_str().unwrap().contains("time of its upload"), "{elsewhere}");

    // Once its footage is deleted it may come again.
    let footage =
        "/api/v1/devices/bus/cameras/front/footage?from=2026-11-22T10:15:00Z&to=2026-11-22T10:15:02Z";
    assert_eq!(value(&http.request("DELETE", footage, &[], &[]).await)["packs"], 1);
    let again = ended(&http, &put(&http, &format!("front/a.mp4{at}"), &one).await).await;
    assert_eq!((&again["state"], &again["recording"]), (&json!("done"), &json!("20261122-101502")));
}

#[tokio::test]
async fn the_containers_own_time_goes_before_the_names() {
    let rig = rig().await;
    let folder = tempfile::tempdir().unwrap();
    let http = admin(&rig);
    let words = format!("{H264} -metadata creation_time=2026-11-20T07:30:00Z");
    let bytes = film(folder.path(), "a.mp4", 1, &words);
    let job = done(&http, &put(&http, "front/20261122_101500.mp4", &bytes).await).await;
    assert_eq!((&job["recording"], &job["time_source"]), (&json!("20261120-073000"), &json!("container")));
    let bytes = film(folder.path(), "b.mp4", 1, H264);
    let job = put(&http, "front/20261122_101500.mp4?time_zone=%2B01:00&keep=true", &bytes).await;
    let job = done(&http, &job).await;
    assert_eq!(job["recording"], "20261122-091500");
    let kept = left_over(&rig);
    assert_eq!((kept.len(), std::fs::read(&kept[0]).unwrap() == bytes), (1, true), "{kept:?}");
}

#[tokio::test]
async fn what_is_no_footage_fails_with_a_reason_and_harms_nothing() {
    let mut rig = rig().await;
    let folder = tempfile::tempdir().unwrap();
    let http = admin(&rig);
    let good = film(folder.path(), "good.mp4", 1, H264);
    let sound = film(folder.path(), "sound.mp4", 1, "-map 1:a -c:a aac");
    let playlist =
        b"#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\nfile:///etc/passwd\n#EXT-X-ENDLIST\n".to_vec();
    let cases = [
        ("text.mp4", b"this is no film".to_vec(), "unreadable"),
        ("torn.mp4", good[..good.len() / 2].to_vec(), "unreadable"),
        ("sound.mp4", sound, "no-video"),
        ("playlist.mp4", playlist, "unreadable"),
    ];
    for (name, bytes, code) in cases {
        let job = ended(&http, &put(&http, &format!("front/{name}"), &bytes).await).await;
        assert_eq!((&job["state"], &job["error"]["code"]), (&json!("failed"), &json!(code)), "{job}");
        assert!(!job["error"]["detail"].as_str().unwrap().is_empty());
    }
    done(&http, &put(&http, "front/20261122_101500.mp4", &good).await).await;
    assert_eq!(rig.metric("dashvault_imports_total{result=\"failed\"}").await, 4);
    assert_eq!(list_objects(rig.data.path()).await.unwrap().len(), 1);
    assert_eq!(left_over(&rig), [] as [PathBuf; 0]);
    rig.restart(true).await;
    let http = admin(&rig);
    let jobs = value(&http.get("/api/v1/import-jobs?state=failed").await);
    assert_eq!(jobs["jobs"].as_array().unwrap().len(), 4);
    let id = jobs["jobs"][0]["id"].as_str().unwrap();
    assert_eq!(http.request("DELETE", &format!("/api/v1/import-jobs/{id}"), &[], &[]).await.status, 204);
    assert_eq!(http.get(&format!("/api/v1/import-jobs/{id}")).await.status, 404);
}

/// Begins an upload by tus; gives where it is.
async fn begin(http: &Http, name: &str, length: usize) -> String {
    let (length, metadata) =
        (length.to_string(), metadata(&[("device", "bus"), ("camera", "front"), ("filename", name)]));
    let headers = [TUS, ("upload-length", length.as_str()), ("upload-metadata", metadata.as_str())];
    let created = http.request("POST", IMPORTS, &headers, &[]).await;
    assert_eq!(created.status, 201, "{}", created.text());
    created.header("location").unwrap().to_owned()
}

pub(crate) fn job_of(location: &str) -> Value {
    json!({"id": location.rsplit('/').next().unwrap()})
}

#[tokio::test]
async fn an_upload_goes_on_after_breaks_and_restarts_where_it_was_durable() {
    let mut rig = rig().await;
    let folder = tempfile::tempdir().unwrap();
    let bytes = film(folder.path(), "a.mp4", 3, H264);
    let location = begin(&admin(&rig), "20261122_101500.mp4", bytes.len()).await;
    let third = bytes.len() / 3;
    let taken = admin(&rig).patch(&location, 0, &bytes[..third]).await;
    assert_eq!((taken.status, taken.offset()), (204, third as u64));
    // A link that dies in the middle of a body.
    let mut link = admin(&rig).connect().await;
    let head = admin(&rig).head_of(
        "PATCH",
        &location,
        &patch_headers(&third.to_string()),
        Some(bytes.len() - third),
    );
    link.write_all(&[head.as_bytes(), &bytes[third..third + 5000]].concat()).await.unwrap();
    link.shutdown().await.unwrap();
    drop(link);
    let reached = crate::rig::eventually("the bytes", async || {
        Some(admin(&rig).offset(&location).await).filter(|offset| *offset == (third + 5000) as u64)
    })
    .await;
    rig.restart(false).await;
    let http = admin(&rig);
    assert_eq!(http.offset(&location).await, reached, "what was answered is durable");
    let wrong = http.patch(&location, 5, b"x").await;
    assert_eq!((wrong.status, wrong.code().as_str(), wrong.offset()), (409, "offset", reached));
    let asked = http.request("HEAD", &location, &[TUS], &[]).await;
    assert!(asked.header("upload-expires").is_some());
    let rest = http.patch(&location, reached, &bytes[reached as usize..]).await;
    assert_eq!(rest.status, 204, "{}", rest.text());
    let job = done(&http, &job_of(&location)).await;
    assert_eq!(pictures(&stored(&rig, &job).await).0, 75);
    let whole = http.request("HEAD", &location, &[TUS], &[]).await;
    assert_eq!((whole.status, whole.offset()), (200, bytes.len() as u64), "a client may ask once more");
}

#[tokio::test]
async fn parts_are_joined_in_the_order_named_and_a_wrong_checksum_takes_a_body_back() {
    let rig = rig().await;
    let folder = tempfile::tempdir().unwrap();
    let http = admin(&rig);
    let bytes = film(folder.path(), "a.mp4", 2, H264);
    let (head, tail) = bytes.split_at(bytes.len() / 2);
    let mut parts = Vec::new();
    for part in [tail, head] {
        let length = part.len().to_string();
        let headers = [TUS, ("upload-concat", "partial"), ("upload-length", length.as_str())];
        let created = http.request("POST", IMPORTS, &headers, &[]).await;
        parts.push(created.header("location").unwrap().to_owned());
    }
    let join = async |order: &[&String]| {
        let order: Vec<&str> = order.iter().map(|part| part.as_str()).collect();
        let concat = format!("final;{}", order.join(" "));
        let metadata =
            metadata(&[("device", "bus"), ("camera", "front"), ("filename", "20261122_101500.mp4")]);
        let headers = [TUS, ("upload-concat", concat.as_str()), ("upload-metadata", metadata.as_str())];
        http.request("POST", IMPORTS, &headers, &[]).await
    };
    assert_eq!(join(&[&parts[1], &parts[0]]).await.code(), "unfinished-part");
    let mut wrong = patch_headers("0").to_vec();
    wrong.push(("upload-checksum", "sha1 Kq5sNclPz7QV2+lfQIuc6R7oRu0="));
    assert_eq!(http.request("PATCH", &parts[0], &wrong, tail).await.status, 460);
    assert_eq!(http.offset(&parts[0]).await, 0);
    for (location, part) in [(&parts[0], tail), (&parts[1], head)] {
        assert_eq!(http.patch(location, 0, part).await.status, 204);
    }
    let created = join(&[&parts[1], &parts[0]]).await;
    assert_eq!((created.status, created.offset()), (201, bytes.len() as u64), "{}", created.text());
    let job = done(&http, &job_of(created.header("location").unwrap())).await;
    assert_eq!(pictures(&stored(&rig, &job).await).0, 50);
    assert_eq!(http.request("HEAD", &parts[0], &[TUS], &[]).await.status, 404);
    assert_eq!(left_over(&rig), [] as [PathBuf; 0]);
}

#[tokio::test]
async fn what_cannot_be_is_refused_before_it_is_begun() {
    let rig = rig().await;
    let http = admin(&rig);
    let create =
        async |http: &Http, headers: &[(&str, &str)]| http.request("POST", IMPORTS, headers, &[]).await;
    let good = metadata(&[("device", "bus"), ("filename", "a.mp4")]);
    let unknown = metadata(&[("device", "truck"), ("filename", "a.mp4")]);
    let with = |length, metadata| [TUS, ("upload-length", length), ("upload-metadata", metadata)];
    assert_eq!(create(&rig.http(), &with("5", &good)).await.status, 403, "a device is a viewer");
    assert_eq!(create(&rig.stranger(), &with("5", &good)).await.status, 401);
    assert_eq!(create(&http, &with("5", &unknown)).await.status, 404);
    assert_eq!(create(&http, &with("0", &good)).await.status, 400);
    assert_eq!(create(&http, &with("99999999999999", &good)).await.status, 413);
    assert_eq!(create(&http, &[TUS, ("upload-metadata", &good)]).await.status, 400);
    assert_eq!(create(&http, &[("upload-length", "5")]).await.status, 412);
    let options = http.request("OPTIONS", IMPORTS, &[], &[]).await;
    assert!(options.header("tus-extension").unwrap().contains("concatenation"));
    let location = begin(&http, "a.mp4", 10).await;
    assert_eq!(http.patch(&location, 0, b"much too long").await.status, 413);
    assert_eq!(http.request("DELETE", &location, &[TUS], &[]).await.status, 204);
    assert_eq!(http.request("HEAD", &location, &[TUS], &[]).await.status, 404);
    assert_eq!(left_over(&rig), [] as [PathBuf; 0]);
}

#[tokio::test]
async fn a_vault_that_is_killed_in_a_job_ends_it_and_no_segment_is_twice_or_missing() {
    let mut rig = Rig::start_with(|config| {
        config.admin_token = Some(ADMIN.into());
        config.limits.pack_duration = Duration::from_secs(2);
    })
    .await;
    let folder = tempfile::tempdir().unwrap();
    let bytes = film(folder.path(), "a.mp4", 40, H264);
    let job = put(&admin(&rig), "front/20261122_101500.mp4", &bytes).await;
    // Killed wherever it is, again and again, until it is through.
    let mut kills = 0;
    while value(&admin(&rig).get(&format!("/api/v1/import-jobs/{}", job["id"].as_str().unwrap())).await)["state"]
        != "done"
    {
        tokio::time::sleep(Duration::from_millis(150 + 97 * kills)).await;
        rig.restart(false).await;
        kills += 1;
        assert!(kills < 60);
    }
    let http = admin(&rig);
    let job = done(&http, &job).await;
    assert_eq!(job["recording"], "20261122-101500");
    let all = stored(&rig, &job).await;
    let (before, after) = (pictures(&folder.path().join("a.mp4")), pictures(&all));
    assert_eq!(before.0, after.0, "after {kills} kills");
    assert!((before.1 - after.1).abs() < 0.041, "{before:?} {after:?}");
    assert_eq!(complaints(&all), "");
    assert_eq!(rig.metric("dashvault_objects_missing").await, 0);
    assert_eq!(left_over(&rig), [] as [PathBuf; 0]);
}
