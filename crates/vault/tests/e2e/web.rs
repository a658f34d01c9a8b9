//! Objects over HTTP, health, metrics, and who may see what.

use dashvault_vault::devices::add_device;

use crate::rig::{Footage, Http, Rig, wants};

async fn stored(rig: &Rig, seed: u64) -> (Footage, String) {
    let footage = Footage::new(&rig.device, seed, 4);
    let (http, pack) = (rig.http(), &footage.packs[0]);
    let whole = wants(&http.announce_one(pack.sealed()).await)[0];
    http.upload(pack, whole).await;
    http.receipt(pack).await;
    let url = pack.url();
    (footage, url)
}

#[tokio::test]
async fn an_object_is_served_whole_and_by_range() {
    let rig = Rig::start().await;
    let (footage, url) = stored(&rig, 61).await;
    let file = footage.packs[0].file();
    let whole = rig.http().get(&url).await;
    assert_eq!((whole.status, whole.header("content-type")), (200, Some("video/mp2t")));
    assert!(whole.body == file);
    let part = rig.http().request("GET", &url, &[("range", "bytes=1000-300999")], &[]).await;
    assert_eq!(part.status, 206);
    let range = format!("bytes 1000-{}/{}", 300_999.min(file.len() - 1), file.len());
    assert_eq!(part.header("content-range"), Some(range.as_str()));
    assert!(part.body == file[1000..file.len().min(301_000)]);
    let tail = rig.http().request("GET", &url, &[("range", "bytes=-188")], &[]).await;
    assert!(tail.body == file[file.len() - 188..]);
    let beyond = rig.http().request("GET", &url, &[("range", "bytes=99999999-")], &[]).await;
    assert_eq!((beyond.status, beyond.code().as_str()), (416, "range"));
    let head = rig.http().request("HEAD", &url, &[], &[]).await;
    assert_eq!(head.header("content-length"), Some(file.len().to_string().as_str()));
    assert_eq!(rig.http().get(&url.replace("00000.ts", "00009.ts")).await.code(), "not-found");
    assert_eq!(rig.http().get("/objects/../../etc/passwd/x").await.code(), "not-found");
}

#[tokio::test]
async fn only_the_device_the_administrator_or_by_leave_anyone_may_read() {
    let rig = Rig::start_with(|config| config.admin_token = Some("the-administrators-word".into())).await;
    let (_footage, url) = stored(&rig, 62).await;
    let truck = add_device(rig.data.path(), "truck").await.unwrap();
    let admin = Http { bearer: Some("the-administrators-word".into()), ..rig.stranger() };
    let list = "/api/v1/devices/bus/cameras/front/packs";
    for path in [url.as_str(), list, "/api/v1/devices/bus/cameras", "/api/v1/devices/bus/losses"] {
        assert_eq!(rig.http().get(path).await.status, 200, "{path}");
        assert_eq!(admin.get(path).await.status, 200, "{path}");
        assert_eq!(rig.stranger().get(path).await.status, 401, "{path}");
        assert_eq!(rig.http_as(&truck.token).get(path).await.status, 404, "{path}");
    }
    let listed: serde_json::Value = serde_json::from_slice(&admin.get(list).await.body).unwrap();
    assert_eq!((&listed["packs"][0]["number"], &listed["packs"][0]["url"]), (&0.into(), &url.into()));
    let none = admin.get(&format!("{list}?after=20261122-101500_00000&limit=5")).await.text();
    assert_eq!(none, r#"{"packs":[]}"#);
    assert_eq!(admin.get(&format!("{list}?after=x")).await.code(), "malformed");
    for odd in
        [format!("{list}?limit=x"), format!("{list}?limit=-1"), "/api/v1/devices/%ff/cameras".to_owned()]
    {
        let refused = admin.get(&odd).await;
        assert_eq!(refused.header("content-type"), Some("application/problem+json"), "{odd}");
        assert_eq!((refused.status, refused.code().as_str()), (400, "malformed"), "{odd}");
    }
}

#[tokio::test]
async fn health_and_metrics_answer_and_every_error_is_a_problem() {
    let rig = Rig::start().await;
    let health = rig.stranger().get("/healthz").await;
    assert_eq!(health.status, 200, "{}", health.text());
    assert!(health.text().contains("\"status\":\"ok\""));
    stored(&rig, 63).await;
    assert_eq!(rig.metric("dashvault_packs_stored_total").await, 1);
    assert!(rig.metric("dashvault_receipts_total").await >= 1);
    assert_eq!(rig.stranger().get("/nowhere").await.code(), "not-found");
    let wrong = rig.http_as(&dashvault_wire::DeviceToken::from_random([9; 32])).announce_raw(b"{}").await;
    let problem: dashvault_wire::Problem = serde_json::from_slice(&wrong.body).unwrap();
    assert_eq!(problem.title, "credentials are missing or wrong");
    assert!(!problem.detail.contains("wrong"), "said twice: {}", problem.detail);
    assert_eq!(rig.stranger().request("DELETE", "/healthz", &[], &[]).await.code(), "method-not-allowed");
}

#[tokio::test]
async fn a_disk_that_is_almost_full_takes_no_uploads_and_says_so() {
    let rig = Rig::start_with(|config| config.limits.reserve_bytes = u64::MAX).await;
    let footage = Footage::new(&rig.device, 64, 4);
    let (http, pack) = (rig.http(), &footage.packs[0]);
    let whole = wants(&http.announce_one(pack.sealed()).await)[0];
    let refused = http.create(pack, whole).await;
    assert_eq!((refused.status, refused.code().as_str()), (507, "disk-full"));
    assert_eq!(rig.stranger().get("/healthz").await.status, 503);
}
