//! Rules, locks, deletion by hand: over HTTP, on a vault that serves and is restarted.

use dashvault_vault::{list_objects, retention_report};
use dashvault_wire::PackStatus;
use serde_json::{Value, json};

use crate::rig::{Answer, Footage, Http, Rig, eventually};

const ADMIN: &str = "an administrator's token";
const JSON: (&str, &str) = ("content-type", "application/json");
const RULES: &str = "/api/v1/retention";
const FOOTAGE: &str = "/api/v1/devices/bus/cameras/front/footage";

async fn rig() -> Rig {
    Rig::start_with(|config| config.admin_token = Some(ADMIN.into())).await
}

fn admin(rig: &Rig) -> Http {
    Http { addr: rig.vault().http_addr(), bearer: Some(ADMIN.into()) }
}

impl Http {
    async fn json(&self, method: &str, path: &str, body: &Value) -> Answer {
        self.request(method, path, &[JSON], body.to_string().as_bytes()).await
    }
}

fn value(answer: &Answer) -> Value {
    assert!(answer.status < 300, "{}", answer.text());
    serde_json::from_slice(&answer.body).unwrap()
}

/// 12 s in packs of 4 s from 10:15:00 on, all stored.
async fn stored(rig: &Rig) -> Footage {
    let footage = Footage::new(&rig.device, 71, 12);
    for pack in &footage.packs {
        rig.http().announce_one(pack.sealed()).await;
        let whole = dashvault_wire::ByteRange::new(0, pack.body().len() as u64);
        rig.http().upload(pack, whole).await;
        rig.http().receipt(pack).await;
    }
    footage
}

async fn held(rig: &Rig) -> Vec<u32> {
    let listed = value(&admin(rig).get("/api/v1/devices/bus/cameras/front/packs").await);
    let packs = listed["packs"].as_array().unwrap();
    packs.iter().map(|pack| u32::try_from(pack["number"].as_u64().unwrap()).unwrap()).collect()
}

async fn until_held(rig: &Rig, numbers: &[u32]) {
    eventually(&format!("{numbers:?}"), async || (held(rig).await == numbers).then_some(())).await;
    let removing = async || value(&admin(rig).get("/api/v1/storage").await)["removing_packs"].as_u64();
    eventually("objects removed", async || (removing().await == Some(0)).then_some(())).await;
}

#[tokio::test]
async fn rules_delete_the_oldest_but_never_what_is_locked_and_receipts_stand() {
    let mut rig = rig().await;
    let footage = stored(&rig).await;
    let admin_api = admin(&rig);
    let event = json!({"device": "bus", "camera": "front", "from": "2026-11-22T10:15:00.5Z",
        "to": "2026-11-22T10:15:01Z", "note": "a near miss"});
    let event = value(&admin_api.json("POST", "/api/v1/events", &event).await);
    assert_eq!((&event["locked"], &event["kind"]), (&json!(true), &json!("manual")));

    let one = footage.packs[2].file().len() as u64;
    let rules = json!({"rules": [{"device": "bus", "max_bytes": one * 3 / 2}]});
    let preview = value(&admin_api.json("POST", "/api/v1/retention/preview", &rules).await);
    assert_eq!((&preview["packs"], &preview["kept_by_lock"]["packs"]), (&json!(2), &json!(1)), "{preview}");
    assert_eq!(held(&rig).await, [0, 1, 2], "a preview deletes nothing");

    // Only one of three may stay, and the first is locked: the other two go, and the bound is met.
    let set = value(&admin_api.json("PUT", RULES, &rules).await);
    assert_eq!(set["updated_by"], "admin-token");
    until_held(&rig, &[0]).await;
    for (number, pack) in footage.packs.iter().enumerate() {
        assert_eq!(rig.object(pack).exists(), number == 0);
        let status = rig.http().announce_one(pack.sealed()).await;
        assert!(matches!(status, PackStatus::Stored { .. }), "{status:?}");
    }
    let gone = admin_api.get(&footage.packs[1].url()).await;
    assert_eq!((gone.status, gone.code().as_str()), (410, "expired"));
    assert!(rig.metric("dashvault_retention_deleted_packs_total{rule=\"bytes\"}").await >= 2);

    rig.restart(false).await;
    assert_eq!(held(&rig).await, [0]);
    assert_eq!(rig.metric("dashvault_objects_missing").await, 0);
    let status = rig.http().announce_one(footage.packs[1].sealed()).await;
    assert!(matches!(status, PackStatus::Stored { .. }), "{status:?}");
    let listed = list_objects(rig.data.path()).await.unwrap();
    let expired = listed.iter().filter(|object| object.indexed.as_ref().unwrap().expired_at.is_some());
    assert_eq!((listed.len(), expired.count()), (3, 2));
}

#[tokio::test]
async fn deleting_footage_by_hand_leaves_locked_packs_until_they_are_unlocked() {
    let rig = rig().await;
    let footage = stored(&rig).await;
    let admin = admin(&rig);
    let event = json!({"device": "bus", "from": "2026-11-22T10:15:09.6Z", "to": "2026-11-22T10:15:09.8Z"});
    let event = value(&admin.json("POST", "/api/v1/events", &event).await);
    let id = event["id"].as_str().unwrap();
    let path = format!("{FOOTAGE}?from=2026-11-22T10:15:00Z&to=2026-11-22T10:16:00Z");
    // The lock is widened by two seconds, so the second pack is kept with the third.
    let deleted = value(&admin.request("DELETE", &path, &[], &[]).await);
    assert_eq!((&deleted["packs"], &deleted["kept_locked"]), (&json!(1), &json!(2)), "{deleted}");
    until_held(&rig, &[1, 2]).await;

    let event_path = format!("/api/v1/events/{id}");
    let refused = admin.request("DELETE", &event_path, &[], &[]).await;
    assert_eq!((refused.status, refused.code().as_str()), (409, "locked"));
    let unlocked = value(&admin.json("PATCH", &event_path, &json!({"locked": false})).await);
    assert_eq!(unlocked["locked"], false);
    assert_eq!(admin.request("DELETE", &event_path, &[], &[]).await.status, 204);
    let deleted = value(&admin.request("DELETE", &path, &[], &[]).await);
    assert_eq!(deleted["packs"], 2);
    until_held(&rig, &[]).await;
    assert!(footage.packs.iter().all(|pack| !rig.object(pack).exists()));
    assert!(!rig.data.path().join("objects/bus/front/20261122-101500").exists(), "no empty folders stay");
}

#[tokio::test]
async fn a_device_is_told_nothing_of_others_and_may_change_nothing() {
    let rig = rig().await;
    stored(&rig).await;
    let (device, admin) = (rig.http(), admin(&rig));
    let event = json!({"device": "bus", "from": 1, "to": 2});
    assert_eq!(device.json("POST", "/api/v1/events", &event).await.status, 403);
    assert_eq!(device.json("PUT", RULES, &json!({"rules": []})).await.status, 403);
    assert_eq!(rig.stranger().get(RULES).await.status, 401);
    assert_eq!(device.request("DELETE", &format!("{FOOTAGE}?from=1&to=2"), &[], &[]).await.status, 403);
    let other = json!({"device": "truck", "from": 1, "to": 2});
    assert_eq!(admin.json("POST", "/api/v1/events", &other).await.status, 404);
    dashvault_vault::devices::add_device(rig.data.path(), "truck").await.unwrap();
    value(&admin.json("POST", "/api/v1/events", &other).await);
    assert_eq!(value(&device.get("/api/v1/events").await)["events"], json!([]));
    assert_eq!(device.get("/api/v1/events?device=truck").await.status, 404);
    let storage = value(&device.get("/api/v1/storage").await);
    assert_eq!((&storage["packs"], &storage["cameras"][0]["device"]), (&json!(3), &json!("bus")));
}

#[tokio::test]
async fn events_come_newest_first_in_pages_and_by_range() {
    let rig = rig().await;
    let admin = admin(&rig);
    for from in [5000, 1000, 3000, 3000, 9000] {
        let event = json!({"device": "bus", "from": from, "to": from + 500, "locked": from > 4000});
        value(&admin.json("POST", "/api/v1/events", &event).await);
    }
    let (mut seen, mut path) = (Vec::new(), "/api/v1/events?limit=2".to_owned());
    loop {
        let page = value(&admin.get(&path).await);
        seen.extend(page["events"].as_array().unwrap().iter().map(|event| event["from"].as_i64().unwrap()));
        let Some(next) = page["next"].as_str() else { break };
        path = format!("/api/v1/events?limit=2&after={next}");
    }
    assert_eq!(seen, [9000, 5000, 3000, 3000, 1000]);
    let count = async |query: &str| {
        let answer = value(&admin.get(&format!("/api/v1/events?{query}")).await);
        answer["events"].as_array().unwrap().len()
    };
    assert_eq!(count("from=3500&to=9000").await, 1);
    assert_eq!(count("from=3499&to=9001").await, 4);
    assert_eq!(count("locked=true&device=bus").await, 2);
    assert_eq!(admin.get("/api/v1/events?after=x").await.status, 400);
}

#[tokio::test]
async fn rules_that_cannot_be_carried_out_are_refused_and_dry_run_tells_without_a_server() {
    let mut rig = rig().await;
    stored(&rig).await;
    let api = admin(&rig);
    for wrong in [
        json!({"rules": [{"max_bytes": 0}]}),
        json!({"rules": [{"camera": "front", "max_bytes": 1}]}),
        json!({"rules": [{"max_bytes": 1}, {"max_bytes": 2}]}),
        json!({"rules": [{"max_days": 1}]}),
        json!({"rules": [{"device": "../x", "max_bytes": 1}]}),
    ] {
        assert_eq!(api.json("PUT", RULES, &wrong).await.status, 400, "{wrong}");
    }
    value(&api.json("PUT", RULES, &json!({"rules": [{"max_age_ms": 86_400_000u64}]})).await);
    assert_eq!(held(&rig).await, [0, 1, 2], "old by its clock, but just stored");
    rig.stop(true).await;
    let report = retention_report(rig.data.path(), true).await.unwrap();
    let report = serde_json::to_value(&report).unwrap();
    assert_eq!(report["rules"][0]["max_age_ms"], json!(86_400_000u64));
    assert_eq!((&report["usage"][0]["packs"], &report["would_delete"]["packs"]), (&json!(3), &json!(0)));
    rig.begin().await;
}

#[tokio::test]
async fn unclaimed_live_bytes_go_by_their_own_rule_unless_they_are_locked() {
    let rig = rig().await;
    let admin = admin(&rig);
    let footage = Footage::new(&rig.device, 72, 4);
    let caller = rig.live(&footage).await;
    crate::rig::send(&caller, &footage.bytes()).await;
    caller.close(std::time::Duration::from_secs(1)).await;
    let live = || async { value(&admin.get("/api/v1/storage").await)["live_bytes"].as_u64().unwrap() };
    eventually("live bytes", async || (live().await > 0).then_some(())).await;
    let event = value(
        &admin.json("POST", "/api/v1/events", &json!({"device": "bus", "from": 0, "to": i64::MAX / 2})).await,
    );
    stored(&rig).await;
    let rules = json!({"vault": {"live_max_age_ms": 1}});
    value(&admin.json("PUT", RULES, &rules).await);
    // What is locked is counted at the end of a pass, after live bytes were looked at.
    let locked = || rig.metric("dashvault_locked_packs");
    eventually("a pass", async || (locked().await == 3).then_some(())).await;
    assert!(live().await > 0);
    let unlocked = json!({"locked": false});
    value(
        &admin.json("PATCH", &format!("/api/v1/events/{}", event["id"].as_str().unwrap()), &unlocked).await,
    );
    value(&admin.json("PUT", RULES, &rules).await);
    eventually("live bytes gone", async || (live().await == 0).then_some(())).await;
    let counted = || rig.metric("dashvault_retention_deleted_live_bytes_total");
    eventually("it is counted", async || (counted().await > 0).then_some(())).await;
}
