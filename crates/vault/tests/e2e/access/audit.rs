//! The audit log, as an administrator reads it.

use super::*;
use crate::rig::{Footage, wants};

#[tokio::test]
async fn views_are_noted_once_and_acts_each_and_the_log_is_read_by_page_and_filter() {
    let rig = with_users().await;
    let footage = Footage::new(&rig.device, 71, 4);
    let (http, pack) = (rig.http(), &footage.packs[0]);
    let whole = wants(&http.announce_one(pack.sealed()).await)[0];
    http.upload(pack, whole).await;
    http.receipt(pack).await;
    let (admin, viewer) = (Browser::of(&rig, "admin").await, Browser::of(&rig, "viewer").await);
    for _ in 0..5 {
        assert_eq!(viewer.get(&pack.url()).await.status, 200);
        let part = [("range", "bytes=0-99"), ("cookie", viewer.cookie.as_deref().unwrap())];
        assert_eq!(viewer.http.request("GET", &pack.url(), &part, &[]).await.status, 206);
    }
    acts(&rig, "download", 5).await;
    let views = acts(&rig, "view", 1).await;
    assert_eq!(views.len(), 1, "{views:?}");
    let view = &views[0];
    assert_eq!(
        (view.who.as_str(), view.role.as_str(), view.address.as_str()),
        ("user:viewer", "viewer", "127.0.0.1")
    );
    assert_eq!(view.camera.as_ref().map(ToString::to_string).as_deref(), Some("front"));
    let start = pack.manifest.start_wall;
    assert!(view.range.is_some_and(|(from, to)| from == start && to > from), "{view:?}");
    let first = value(&admin.get("/api/v1/audit?who=user:viewer&device=bus&limit=2").await);
    let ids: Vec<i64> =
        first["entries"].as_array().unwrap().iter().map(|entry| entry["id"].as_i64().unwrap()).collect();
    assert!(ids.len() == 2 && ids[0] > ids[1], "{first}");
    let rest = value(
        &admin
            .get(&format!(
                "/api/v1/audit?who=user:viewer&device=bus&after={}",
                first["next"].as_str().unwrap()
            ))
            .await,
    );
    assert_eq!((rest["entries"].as_array().unwrap().len(), rest["next"].clone()), (4, Value::Null));
    let late = admin.get("/api/v1/audit?from=2999-01-01T00:00:00Z").await;
    assert_eq!(late.text(), r#"{"entries":[]}"#);
    assert_eq!(admin.get("/api/v1/audit?from=soon").await.code(), "malformed");
    assert_eq!(viewer.get("/api/v1/audit").await.code(), "forbidden");
}

#[tokio::test]
async fn what_was_done_just_before_a_stop_is_in_the_log() {
    let mut rig = with_users().await;
    Browser::of(&rig, "admin").await;
    rig.stop(true).await;
    let index = index(&rig).await;
    let rows = index.audit(&AuditFilter::default(), 10).await.unwrap();
    assert_eq!(rows[0].1.action, "sign-in");
}
