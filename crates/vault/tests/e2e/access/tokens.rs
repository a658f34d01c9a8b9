//! API tokens: what they may do, for how long, and that their secret is kept nowhere.

use super::*;

async fn made(admin: &Browser, body: Value) -> (String, Http) {
    let answer = admin.send("POST", "/api/v1/tokens", &body).await;
    assert_eq!(answer.status, 201, "{}", answer.text());
    let made = value(&answer);
    let secret = made["secret"].as_str().unwrap().to_owned();
    (made["id"].as_str().unwrap().to_owned(), Http { bearer: Some(secret), ..admin.http.clone() })
}

#[tokio::test]
async fn a_token_does_what_its_scopes_say_until_it_is_removed() {
    let rig = with_users().await;
    let admin = Browser::of(&rig, "admin").await;
    let (id, viewer) = made(&admin, json!({ "name": "wall", "scopes": ["view"] })).await;
    let (_, all) = made(&admin, json!({ "name": "all", "scopes": ["admin"] })).await;
    assert_eq!(viewer.get("/api/v1/devices/bus/cameras").await.status, 200);
    assert_eq!(viewer.get("/api/v1/users").await.code(), "scope");
    assert_eq!(all.get("/api/v1/users").await.status, 200, "a bearer needs no CSRF token");
    let who = value(&viewer.get("/api/v1/session").await);
    assert_eq!((&who["kind"], &who["name"]), (&"token".into(), &"wall".into()));
    let listed = admin.get("/api/v1/tokens").await;
    assert!(!listed.text().contains(viewer.bearer.as_deref().unwrap()));
    let names: Vec<_> =
        value(&listed)["tokens"].as_array().unwrap().iter().map(|token| token["name"].clone()).collect();
    assert_eq!(names, ["wall", "all"]);
    eventually("the use is written down", async || {
        value(&admin.get("/api/v1/tokens").await)["tokens"][0]["last_used"].as_i64()
    })
    .await;
    assert_eq!(admin.delete(&format!("/api/v1/tokens/{id}")).await.status, 204);
    assert_eq!(viewer.get("/api/v1/devices/bus/cameras").await.code(), "unauthorized");
    assert_eq!(admin.delete(&format!("/api/v1/tokens/{id}")).await.code(), "not-found");
    let bytes: Vec<u8> = ["index.sqlite", "index.sqlite-wal"]
        .iter()
        .flat_map(|name| std::fs::read(rig.data.path().join(name)).unwrap_or_default())
        .collect();
    let secret = all.bearer.unwrap();
    assert!(
        !bytes.windows(secret.len() - 4).any(|part| part == &secret.as_bytes()[4..]),
        "the secret is in the index"
    );
}

#[tokio::test]
async fn a_token_of_one_device_sees_no_other() {
    let rig = with_users().await;
    add_device(rig.data.path(), "truck").await.unwrap();
    let admin = Browser::of(&rig, "admin").await;
    let (_, token) =
        made(&admin, json!({ "name": "bus only", "scopes": ["operate"], "device": "bus" })).await;
    assert_eq!(token.get("/api/v1/devices/bus/cameras").await.status, 200);
    assert_eq!(token.get("/api/v1/devices/truck/cameras").await.code(), "not-found");
}

#[tokio::test]
async fn a_token_ends_when_it_was_to() {
    let rig = with_users().await;
    let admin = Browser::of(&rig, "admin").await;
    let soon = dashvault_base::Clock::wall(&dashvault_base::SystemClock).plus_ms(1500);
    let (_, token) =
        made(&admin, json!({ "name": "soon", "scopes": ["view"], "expires": soon.to_string() })).await;
    assert_eq!(token.get("/api/v1/devices/bus/cameras").await.status, 200);
    eventually("its end", async || {
        (token.get("/api/v1/devices/bus/cameras").await.status == 401).then_some(())
    })
    .await;
}

#[tokio::test]
async fn tokens_that_make_no_sense_are_refused() {
    let rig = with_users().await;
    let admin = Browser::of(&rig, "admin").await;
    for body in [
        json!({ "name": "", "scopes": ["view"] }),
        json!({ "name": "x", "scopes": [] }),
        json!({ "name": "x", "scopes": ["admin"], "device": "bus" }),
        json!({ "name": "x", "scopes": ["view"], "device": "nobody" }),
        json!({ "name": "x", "scopes": ["view"], "expires": 1000 }),
    ] {
        assert_eq!(admin.send("POST", "/api/v1/tokens", &body).await.code(), "token", "{body}");
    }
    let odd = json!({ "name": "x", "scopes": ["everything"] });
    assert_eq!(admin.send("POST", "/api/v1/tokens", &odd).await.code(), "malformed");
}
