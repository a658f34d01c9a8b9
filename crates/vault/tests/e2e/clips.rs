//! Clips: at once as a transport stream, and as jobs with a real ffmpeg.

use std::path::PathBuf;

use dashvault_vault::VaultConfig;
use dashvault_wire::evidence::{Report, check_seal, zip};
use serde_json::{Value, json};

use crate::{
    film::{FRAME_MS, complaints, durations_ms, footage, stand_in},
    rig::{Answer, Http, Rig, eventually, files},
};

const FIRST: &str = "20261122-101500";
const SECOND: &str = "20261122-101600";
const CLIP: &str = "/api/v1/devices/bus/cameras/front/clip";

fn admin(config: &mut VaultConfig) {
    config.admin_token = Some("the-administrators-word".into());
}

/// Twelve seconds of one recording and eight of the next a minute later, without the first's second pack.
async fn with_cuts(rig: &Rig) {
    let (first, second) = (footage(rig, FIRST, "320x180", 12), footage(rig, SECOND, "320x180", 8));
    for pack in [&first.packs[0], &first.packs[2], &second.packs[0], &second.packs[1]] {
        rig.store(pack).await;
    }
}

fn parsed(answer: &Answer) -> Value {
    serde_json::from_slice(&answer.body).unwrap_or_else(|_| panic!("{}: {}", answer.status, answer.text()))
}

async fn post(http: &Http, body: &Value) -> Answer {
    let body = serde_json::to_vec(body).unwrap();
    http.request("POST", "/api/v1/clips", &[("content-type", "application/json")], &body).await
}

fn wish(from: &str, to: &str) -> Value {
    let at = |second: &str| format!("2026-11-22T10:{second}Z");
    json!({"device": "bus", "camera": "front", "from": at(from), "to": at(to), "title": "Crash", "note": "left side"})
}

pub(crate) async fn asked(http: &Http, body: &Value) -> String {
    let answer = post(http, body).await;
    assert_eq!(answer.status, 202, "{}", answer.text());
    let id = parsed(&answer)["id"].as_str().unwrap().to_owned();
    assert_eq!(answer.header("location"), Some(format!("/api/v1/clips/{id}").as_str()));
    id
}

async fn job(http: &Http, id: &str) -> Value {
    parsed(&http.get(&format!("/api/v1/clips/{id}")).await)
}

pub(crate) async fn ended(http: &Http, id: &str) -> Value {
    eventually("the clip's end", async || {
        let job = job(http, id).await;
        ["finished", "failed"].contains(&job["state"].as_str().unwrap()).then_some(job)
    })
    .await
}

/// Downloads a finished clip.
pub(crate) async fn saved(rig: &Rig, id: &str) -> PathBuf {
    let answer = rig.admin().get(&format!("/api/v1/clips/{id}/file")).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    let path = rig.data.path().join(format!("downloaded-{id}.mp4"));
    std::fs::write(&path, &answer.body).unwrap();
    path
}

#[tokio::test(flavor = "multi_thread")]
async fn a_range_without_a_cut_is_the_packs_own_bytes_and_can_be_had_by_range() {
    let rig = Rig::start_with(admin).await;
    let film = footage(&rig, FIRST, "320x180", 12);
    for pack in &film.packs {
        rig.store(pack).await;
    }
    let path = format!("{CLIP}.ts?from=2026-11-22T10:15:02.500Z&to=2026-11-22T10:15:09.100Z");
    let whole = rig.admin().get(&path).await;
    assert_eq!((whole.status, whole.header("content-type")), (200, Some("video/mp2t")), "{}", whole.text());
    let expected: Vec<u8> =
        film.packs.iter().flat_map(|pack| pack.segments.clone()).collect::<Vec<_>>()[2..10].concat();
    assert!(whole.body == expected, "{} of {} bytes", whole.body.len(), expected.len());
    assert_eq!(whole.header("content-length"), Some(expected.len().to_string().as_str()));
    assert_eq!(whole.header("dashvault-covered"), Some("2026-11-22T10:15:02.000Z/2026-11-22T10:15:10.000Z"));
    let head = rig.admin().request("HEAD", &path, &[], &[]).await;
    assert_eq!((head.status, head.header("content-length")), (200, whole.header("content-length")));
    let etag = whole.header("etag").unwrap();
    assert_eq!(rig.admin().request("GET", &path, &[("if-none-match", etag)], &[]).await.status, 304);
    let viewer = rig.http().get(&path).await;
    assert_eq!((viewer.status, viewer.code().as_str()), (403, "forbidden"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_range_over_cuts_is_one_film_of_known_size_from_any_byte_on() {
    let rig = Rig::start_with(admin).await;
    with_cuts(&rig).await;
    let path = format!("{CLIP}.ts?from=2026-11-22T10:15:01Z&to=2026-11-22T10:16:06Z");
    let whole = rig.admin().get(&path).await;
    assert_eq!(whole.header("content-length"), Some(whole.body.len().to_string().as_str()));
    let file = rig.data.path().join("clip.ts");
    std::fs::write(&file, &whole.body).unwrap();
    // The picture's: what of the sound lies in its last packet may last longer. The last picture's length is not written in
    // a transport stream, ffprobe adds up what it sees.
    let took = durations_ms(&file)[0];
    assert!((took - 13_000.0).abs() <= 3.0 * FRAME_MS, "{took}");
    assert_eq!(complaints(&file), "");
    for (from, until) in [
        (0usize, 1usize),
        (187, 189),
        (whole.body.len() / 3, whole.body.len() / 2),
        (whole.body.len() - 5, whole.body.len()),
    ] {
        let range = format!("bytes={from}-{}", until - 1);
        let part = rig.admin().request("GET", &path, &[("range", &range)], &[]).await;
        assert_eq!(part.status, 206);
        assert!(part.body == whole.body[from..until], "{range}");
    }
    let none = rig.admin().get(&format!("{CLIP}.ts?from=2020-01-01T00:00:00Z&to=2020-01-01T00:01:00Z")).await;
    assert_eq!((none.status, none.code().as_str()), (404, "no-footage"));
    for bad in ["from=1&to=1", "from=x&to=2", "from=1", "from=0&to=99999999999"] {
        assert_eq!(rig.admin().get(&format!("{CLIP}.ts?{bad}")).await.status, 400, "{bad}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_mp4_over_cuts_lasts_what_is_covered_and_decodes_without_a_word() {
    let rig = Rig::start_with(admin).await;
    with_cuts(&rig).await;
    let http = rig.admin();
    let id = asked(&http, &wish("15:01.500", "16:06")).await;
    let job = ended(&http, &id).await;
    assert_eq!(job["state"], "finished", "{job}");
    assert_eq!((&job["title"], &job["note"]), (&json!("Crash"), &json!("left side")));
    let summary = &job["summary"];
    assert_eq!(summary["covered_ms"], 13_000, "{summary}");
    assert_eq!(summary["covered"].as_array().unwrap().len(), 3);
    let missing: Vec<i64> = summary["missing"]
        .as_array()
        .unwrap()
        .iter()
        .map(|hole| hole["to"].as_i64().unwrap() - hole["from"].as_i64().unwrap())
        .collect();
    assert_eq!(missing, [4000, 48_000]);
    let clip = saved(&rig, &id).await;
    assert_eq!(job["bytes"].as_u64(), Some(clip.metadata().unwrap().len()));
    assert_eq!(job["file"], "bus-front-20261122-101501Z.mp4");
    let durations = durations_ms(&clip);
    assert!((durations.last().unwrap() - 13_000.0).abs() <= FRAME_MS, "{durations:?}");
    assert!((durations[0] - 13_000.0).abs() <= FRAME_MS, "{durations:?}");
    assert_eq!(complaints(&clip), "");
    // The index of the file comes first, so that it plays while it is loaded.
    let bytes = std::fs::read(&clip).unwrap();
    let place = |name: &[u8]| bytes.windows(4).position(|four| four == name).unwrap();
    assert!(place(b"moov") < place(b"mdat"));
    let listed = parsed(&http.get("/api/v1/clips?limit=1").await);
    assert_eq!(listed["clips"][0]["id"], json!(id));
    assert_eq!(http.request("DELETE", &format!("/api/v1/clips/{id}"), &[], &[]).await.status, 204);
    assert_eq!(http.get(&format!("/api/v1/clips/{id}")).await.status, 404);
    let folder = rig.data.path().join("clips");
    eventually("an empty folder", async || files(&folder).is_empty().then_some(())).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_exact_mp4_shows_what_was_asked_for_and_no_frame_more() {
    let rig = Rig::start_with(admin).await;
    with_cuts(&rig).await;
    let http = rig.admin();
    let mut body = wish("15:01.500", "16:01.700");
    body["exact"] = json!(true);
    let id = asked(&http, &body).await;
    let job = ended(&http, &id).await;
    assert_eq!(job["state"], "finished", "{job}");
    let clip = saved(&rig, &id).await;
    let durations = durations_ms(&clip);
    // From 1.5 to 4 and from 8 to 12 of the first, 0 to 1.7 of the second.
    assert!((durations.last().unwrap() - 8200.0).abs() <= FRAME_MS, "{durations:?}");
    assert_eq!(complaints(&clip), "");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clip_of_the_format_ts_is_the_film_as_a_file() {
    let rig = Rig::start_with(admin).await;
    with_cuts(&rig).await;
    let http = rig.admin();
    let mut body = wish("15:01", "16:06");
    body["format"] = json!("ts");
    let id = asked(&http, &body).await;
    assert_eq!(ended(&http, &id).await["state"], "finished");
    let streamed = http.get(&format!("{CLIP}.ts?from=2026-11-22T10:15:01Z&to=2026-11-22T10:16:06Z")).await;
    assert!(std::fs::read(saved(&rig, &id).await).unwrap() == streamed.body);
}

#[tokio::test(flavor = "multi_thread")]
async fn formats_that_change_are_refused_with_the_times_they_change_at() {
    let rig = Rig::start_with(admin).await;
    rig.store(&footage(&rig, FIRST, "320x180", 4).packs[0]).await;
    rig.store(&footage(&rig, SECOND, "640x360", 4).packs[0]).await;
    let http = rig.admin();
    let job = ended(&http, &asked(&http, &wish("15:00", "16:04")).await).await;
    assert_eq!(
        (&job["state"], &job["problem"]["code"]),
        (&json!("failed"), &json!("mixed-formats")),
        "{job}"
    );
    let detail = job["problem"]["detail"].as_str().unwrap();
    for part in ["320×180", "640×360", "2026-11-22T10:16:00.000Z"] {
        assert!(detail.contains(part), "{detail}");
    }
    let alone = ended(&http, &asked(&http, &wish("16:00", "16:04")).await).await;
    assert_eq!(alone["state"], "finished", "{alone}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancelled_job_ends_its_process_and_leaves_no_file() {
    let tools = tempfile::tempdir().unwrap();
    let mark = tools.path().join("pid");
    let script =
        format!("echo $$ > {0}.new && mv {0}.new {0}; cat > /dev/null & exec sleep 600", mark.display());
    let ffmpeg = stand_in(tools.path(), &script);
    let rig = Rig::start_with(|config| {
        admin(config);
        config.clips.ffmpeg = ffmpeg;
    })
    .await;
    with_cuts(&rig).await;
    let http = rig.admin();
    let id = asked(&http, &wish("15:00", "15:03")).await;
    let pid = eventually("ffmpeg", async || std::fs::read_to_string(&mark).ok()).await;
    let running = job(&http, &id).await;
    assert_eq!(running["state"], "running");
    assert!(running["progress"]["total_bytes"].as_u64().unwrap() > 0, "{running}");
    assert_eq!(http.get(&format!("/api/v1/clips/{id}/file")).await.status, 409);
    assert_eq!(http.request("DELETE", &format!("/api/v1/clips/{id}"), &[], &[]).await.status, 204);
    let process = PathBuf::from(format!("/proc/{}", pid.trim()));
    eventually("the end of the process", async || (!process.exists()).then_some(())).await;
    let folder = rig.data.path().join("clips");
    eventually("an empty folder", async || files(&folder).is_empty().then_some(())).await;
    assert_eq!(http.get(&format!("/api/v1/clips/{id}")).await.status, 404);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_vault_that_dies_in_the_middle_of_a_job_does_it_again() {
    let tools = tempfile::tempdir().unwrap();
    let mark = tools.path().join("was-here");
    // The first one begins a file and hangs; those after it work.
    let script = format!(
        "if [ -e {0} ]; then exec ffmpeg \"$@\"; fi; touch {0}; for last; do :; done; echo torn > \"$last\"; exec sleep 600",
        mark.display()
    );
    let ffmpeg = stand_in(tools.path(), &script);
    let mut rig = Rig::start_with(|config| {
        admin(config);
        config.clips.ffmpeg = ffmpeg;
    })
    .await;
    with_cuts(&rig).await;
    let id = asked(&rig.admin(), &wish("15:00", "16:08")).await;
    let waiting = asked(&rig.admin(), &wish("16:00", "16:03")).await;
    let folder = rig.data.path().join("clips");
    eventually("a file begun", async || (!files(&folder).is_empty()).then_some(())).await;
    rig.restart(false).await;
    for id in [id, waiting] {
        let job = ended(&rig.admin(), &id).await;
        assert_eq!(job["state"], "finished", "{job}");
        assert_eq!(complaints(&saved(&rig, &id).await), "");
    }
    let left: Vec<_> = files(&folder);
    assert!(left.iter().all(|path| path.extension().is_some_and(|ending| ending == "mp4")), "{left:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn without_ffmpeg_an_mp4_is_refused_and_a_transport_stream_works() {
    let rig = Rig::start_with(|config| {
        admin(config);
        config.clips.ffmpeg = "/nowhere/ffmpeg".into();
    })
    .await;
    with_cuts(&rig).await;
    let http = rig.admin();
    let refused = post(&http, &wish("15:00", "15:03")).await;
    assert_eq!((refused.status, refused.code().as_str()), (501, "no-ffmpeg"));
    let mut body = wish("15:00", "15:03");
    body["format"] = json!("ts");
    assert_eq!(ended(&http, &asked(&http, &body).await).await["state"], "finished");
}

#[tokio::test(flavor = "multi_thread")]
async fn finished_clips_make_room_for_newer_ones() {
    let rig = Rig::start_with(|config| {
        admin(config);
        config.clips.quota_bytes = 1_500_000;
    })
    .await;
    with_cuts(&rig).await;
    let http = rig.admin();
    let mut body = wish("15:00", "15:04");
    body["format"] = json!("ts");
    let mut made = Vec::new();
    for _ in 0..4 {
        let id = asked(&http, &body).await;
        assert_eq!(ended(&http, &id).await["state"], "finished");
        made.push(id);
    }
    let sizes: u64 =
        files(&rig.data.path().join("clips")).iter().map(|path| path.metadata().unwrap().len()).sum();
    assert!(sizes <= 1_500_000, "{sizes}");
    assert_eq!(http.get(&format!("/api/v1/clips/{}", made[0])).await.status, 404);
    assert_eq!(http.get(&format!("/api/v1/clips/{}", made[3])).await.status, 200);
    let large = ended(&http, &asked(&http, &wish("15:00", "16:08")).await).await;
    assert_eq!(large["problem"]["code"], "too-large", "{large}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_evidence_bundle_holds_the_packs_as_they_are_the_clip_and_a_signed_report() {
    let rig = Rig::start_with(admin).await;
    with_cuts(&rig).await;
    let http = rig.admin();
    let mut body = wish("15:02", "16:03");
    body["evidence"] = json!(true);
    let id = asked(&http, &body).await;
    let job = ended(&http, &id).await;
    assert_eq!(job["state"], "finished", "{job}");
    assert_eq!(job["file"], "bus-front-20261122-101502Z.zip");
    let answer = http.get(&format!("/api/v1/clips/{id}/file")).await;
    assert_eq!(answer.header("content-type"), Some("application/zip"));
    let mut bundle = std::io::Cursor::new(&answer.body);
    let placed = zip::read(&mut bundle).unwrap();
    let content = |name: &str| {
        let found = placed.iter().find(|one| one.entry.name == name).unwrap_or_else(|| panic!("{name}"));
        let at = usize::try_from(found.data_at).unwrap();
        &answer.body[at..at + usize::try_from(found.entry.bytes).unwrap()]
    };
    let key = check_seal(content("report.json"), content("report.sig")).unwrap();
    let report: Report = serde_json::from_slice(content("report.json")).unwrap();
    assert_eq!(report.vault_key, key.to_string());
    assert_eq!((report.title.as_str(), report.packs.len(), report.missing.len()), ("Crash", 3, 2));
    for pack in &report.packs {
        let stored = files(&rig.data.path().join("objects"))
            .into_iter()
            .find(|path| pack.file.ends_with(path.file_name().unwrap().to_str().unwrap()))
            .unwrap();
        assert!(content(&pack.file) == std::fs::read(stored).unwrap(), "{}", pack.file);
    }
    let clip = rig.data.path().join("from-bundle.mp4");
    std::fs::write(&clip, content(&report.clip)).unwrap();
    assert_eq!(complaints(&clip), "");
    assert!(String::from_utf8_lossy(content("report.html")).contains("dashvault verify --bundle"));
    let left = files(&rig.data.path().join("clips"));
    assert_eq!(left.len(), 1, "{left:?}");
}
