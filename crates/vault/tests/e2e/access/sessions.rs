//! Sessions: how they begin, what they need, how they end.

use std::time::Duration;

use super::*;

#[tokio::test]
async fn a_session_begins_with_the_password_and_ends_with_signing_out() {
    let rig = with_users().await;
    let nobody = Browser::new(&rig);
    assert_eq!(nobody.who().await["kind"], "nobody");
    assert_eq!(nobody.get("/api/v1/devices/bus/cameras").await.code(), "unauthorized");
    let mut browser = Browser::new(&rig);
    let signed_in = browser.sign_in("Viewer", PASSWORD).await;
    let cookie = signed_in.header("set-cookie").unwrap();
    assert!(cookie.contains("; HttpOnly; SameSite=Strict") && !cookie.contains("Secure"), "{cookie}");
    assert_eq!(browser.get("/api/v1/devices/bus/cameras").await.status, 200);
    let planted = browser.cookie.clone();
    browser.sign_in("viewer", PASSWORD).await;
    assert_ne!(browser.cookie, planted, "each sign-in has a new secret");
    assert_eq!(browser.delete("/api/v1/session").await.status, 204);
    assert_eq!(browser.get("/api/v1/devices/bus/cameras").await.code(), "session-ended");
    assert_eq!(browser.who().await["kind"], "nobody");
    assert_eq!(acts(&rig, "sign-out", 1).await[0].who, "user:viewer");
}

#[tokio::test]
async fn an_unknown_name_is_refused_as_a_wrong_password_is() {
    let rig = with_users().await;
    let mut browser = Browser::new(&rig);
    let mut refused = Vec::new();
    for (name, password) in
        [("viewer", "wrong password"), ("nobody", "wrong password"), ("no/name", PASSWORD), ("", PASSWORD)]
    {
        let answer = browser.sign_in(name, password).await;
        assert_eq!((answer.status, answer.header("set-cookie")), (401, None), "{name}");
        refused.push(answer.body);
    }
    refused.dedup();
    assert_eq!(refused.len(), 1, "the answers tell the names apart");
    assert_eq!(acts(&rig, "sign-in-refused", 4).await[3].who, "viewer");
}

#[tokio::test]
async fn what_changes_something_by_cookie_needs_the_csrf_token_and_json() {
    let rig = with_users().await;
    let browser = Browser::of(&rig, "admin").await;
    let user = json!({ "name": "carl", "role": "viewer", "password": PASSWORD });
    for csrf in [None, Some("wrong".to_owned()), Browser::of(&rig, "viewer").await.csrf] {
        let forged = Browser { csrf, ..browser.clone() };
        assert_eq!(forged.send("POST", "/api/v1/users", &user).await.code(), "csrf");
        assert_eq!(forged.delete("/api/v1/session").await.code(), "csrf");
    }
    let cookie = browser.cookie.clone().unwrap();
    let headers = [
        ("cookie", cookie.as_str()),
        ("x-csrf-token", browser.csrf.as_deref().unwrap()),
        ("content-type", "text/plain"),
    ];
    let form = browser.http.request("POST", "/api/v1/users", &headers, user.to_string().as_bytes()).await;
    assert_eq!((form.status, form.code().as_str()), (415, "media-type"));
    assert_eq!(browser.send("POST", "/api/v1/users", &user).await.status, 201);
    assert_eq!(browser.who().await["csrf"].as_str(), browser.csrf.as_deref());
}

#[tokio::test]
async fn a_session_ends_when_idle_and_at_its_end_and_slides_while_it_is_used() {
    const HOUR_MS: i64 = 3_600_000;
    let rig = with_users().await;
    let (browser, index, now) = (Browser::of(&rig, "viewer").await, index(&rig).await, now());
    let who = browser.who().await;
    let ends = who["ends"].as_i64().unwrap();
    assert!((ends - now.0 - 12 * HOUR_MS).abs() < 60_000, "{ends}");
    age(&rig, 11 * HOUR_MS, 0).await;
    assert_eq!(browser.who().await["kind"], "user");
    eventually("the use is written down", async || {
        let ends = browser.who().await["ends"].as_i64().unwrap();
        (ends > now.0 + 11 * HOUR_MS).then_some(())
    })
    .await;
    age(&rig, 12 * HOUR_MS, 0).await;
    assert_eq!(browser.who().await["kind"], "nobody");
    let browser = Browser::of(&rig, "viewer").await;
    age(&rig, 0, 30 * 24 * HOUR_MS).await;
    assert_eq!(browser.get("/api/v1/devices/bus/cameras").await.code(), "session-ended");
    index.close().await;
}

#[tokio::test]
async fn a_new_password_or_role_or_removal_ends_the_sessions_of_that_user_only() {
    let rig = with_users().await;
    let admin = Browser::of(&rig, "admin").await;
    for change in [json!({ "role": "operator" }), json!({ "password": "another horse" }), Value::Null] {
        let (viewer, operator) = (Browser::of(&rig, "viewer").await, Browser::of(&rig, "operator").await);
        let method = if change.is_null() { "DELETE" } else { "PATCH" };
        let answer = admin.send(method, "/api/v1/users/viewer", &change).await;
        assert!(matches!(answer.status, 200 | 204), "{}", answer.text());
        assert_eq!(viewer.who().await["kind"], "nobody", "{change}");
        assert_eq!(operator.who().await["kind"], "user", "{change}");
        dashvault_vault::users::set_password(rig.data.path(), &"viewer".parse().unwrap(), PASSWORD.into())
            .await
            .ok();
    }
    assert_eq!(Browser::new(&rig).sign_in("viewer", PASSWORD).await.status, 401);
}

#[tokio::test]
async fn ones_own_new_password_needs_the_old_one_and_keeps_one_signed_in() {
    let rig = with_users().await;
    let (mut here, elsewhere) = (Browser::of(&rig, "viewer").await, Browser::of(&rig, "viewer").await);
    let body = |current: &str, new: &str| json!({ "current": current, "new": new });
    let path = "/api/v1/account/password";
    assert_eq!(here.enter(path, body("wrong password", "another horse")).await.code(), "wrong-password");
    assert_eq!(here.enter(path, body(PASSWORD, "short")).await.code(), "password");
    assert_eq!(elsewhere.who().await["kind"], "user");
    assert_eq!(here.enter(path, body(PASSWORD, "another horse")).await.status, 200);
    assert_eq!(
        (here.who().await["kind"].clone(), elsewhere.who().await["kind"].clone()),
        ("user".into(), "nobody".into())
    );
    assert_eq!(Browser::new(&rig).sign_in("viewer", PASSWORD).await.status, 401);
    assert_eq!(Browser::new(&rig).sign_in("viewer", "another horse").await.status, 200);
    assert_eq!(
        rig.http()
            .request(
                "POST",
                path,
                &[("content-type", "application/json")],
                body("a", "b").to_string().as_bytes()
            )
            .await
            .code(),
        "no-user"
    );
}

#[tokio::test]
async fn over_tls_the_cookie_is_for_tls_and_only_a_trusted_proxy_says_so() {
    let trusting = |config: &mut dashvault_vault::VaultConfig| {
        config.trusted_proxies = vec!["127.0.0.1".parse().unwrap()];
    };
    let rig = with_users_and(trusting).await;
    let https = vec![
        ("x-forwarded-proto".to_owned(), "https".to_owned()),
        ("x-forwarded-for".to_owned(), "192.0.2.7".to_owned()),
    ];
    let mut browser = Browser { forwarded: https.clone(), ..Browser::new(&rig) };
    let signed_in = browser.sign_in("viewer", PASSWORD).await;
    let cookie = signed_in.header("set-cookie").unwrap();
    assert!(cookie.starts_with("__Host-") && cookie.ends_with("; Secure"), "{cookie}");
    assert_eq!(browser.who().await["kind"], "user");
    assert_eq!(acts(&rig, "sign-in", 1).await[0].address, "192.0.2.7");
    let bare = Browser { forwarded: Vec::new(), ..browser };
    assert_eq!(bare.who().await["kind"], "nobody", "a cookie for TLS came without it");
    let rig = with_users().await;
    let mut liar = Browser { forwarded: https, ..Browser::new(&rig) };
    let signed_in = liar.sign_in("viewer", PASSWORD).await;
    assert!(!signed_in.header("set-cookie").unwrap().contains("Secure"));
    assert_eq!(acts(&rig, "sign-in", 1).await[0].address, "127.0.0.1");
}

#[tokio::test]
async fn with_anonymous_access_somebody_who_is_not_signed_in_watches_and_no_more() {
    let rig = with_users_and(|config| config.allow_anonymous = true).await;
    let nobody = Browser::new(&rig);
    assert_eq!(nobody.who().await["kind"], "anonymous");
    assert_eq!(nobody.get("/api/v1/devices/bus/cameras").await.status, 200);
    assert_eq!(nobody.get("/api/v1/users").await.code(), "forbidden");
    assert_eq!(Browser::of(&rig, "admin").await.get("/api/v1/users").await.status, 200);
}

fn now() -> dashvault_base::WallMs {
    dashvault_base::Clock::wall(&dashvault_base::SystemClock)
}

/// Makes every session older, as if time had passed.
async fn age(rig: &Rig, idle_ms: i64, age_ms: i64) {
    let path = rig.data.path().join("index.sqlite");
    let options =
        sqlx::sqlite::SqliteConnectOptions::new().filename(path).busy_timeout(Duration::from_secs(10));
    let pool = sqlx::SqlitePool::connect_with(options).await.unwrap();
    let aged = sqlx::query("UPDATE sessions SET last_used = last_used - $1, created = created - $2");
    aged.bind(idle_ms).bind(age_ms).execute(&pool).await.unwrap();
    pool.close().await;
}
