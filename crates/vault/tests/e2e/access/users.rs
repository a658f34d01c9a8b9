//! Users as an administrator manages them.

use super::*;

#[tokio::test]
async fn an_administrator_adds_lists_changes_and_removes_users() {
    let rig = with_users().await;
    let admin = Browser::of(&rig, "admin").await;
    let new = |name: &str| json!({ "name": name, "role": "viewer", "password": PASSWORD });
    let added = admin.send("POST", "/api/v1/users", &new("Carl")).await;
    assert_eq!((added.status, &value(&added)["name"]), (201, &"carl".into()));
    assert_eq!(admin.send("POST", "/api/v1/users", &new("carl")).await.code(), "user-exists");
    assert_eq!(admin.send("POST", "/api/v1/users", &new("ca rl")).await.code(), "user-name");
    assert_eq!(admin.send("POST", "/api/v1/users", &json!({ "name": "dora" })).await.code(), "malformed");
    let changed = admin.send("PATCH", "/api/v1/users/carl", &json!({ "role": "operator" })).await;
    assert_eq!(value(&changed)["role"], "operator");
    assert_eq!(
        admin.send("PATCH", "/api/v1/users/nobody", &json!({ "role": "viewer" })).await.code(),
        "not-found"
    );
    assert!(
        value(&admin.get("/api/v1/users").await)["users"]
            .as_array()
            .unwrap()
            .iter()
            .all(|user| user.get("password").is_none())
    );
    assert_eq!(admin.delete("/api/v1/users/carl").await.status, 204);
    assert_eq!(admin.delete("/api/v1/users/carl").await.code(), "not-found");
    assert_eq!(acts(&rig, "add-user", 1).await[0].detail, "carl as viewer");
    assert_eq!(acts(&rig, "remove-user", 1).await[0].who, "user:admin");
}

#[tokio::test]
async fn the_last_administrator_stays() {
    let rig = with_users().await;
    let admin = Browser::of(&rig, "admin").await;
    assert_eq!(admin.delete("/api/v1/users/admin").await.code(), "last-admin");
    assert_eq!(
        admin.send("PATCH", "/api/v1/users/admin", &json!({ "role": "viewer" })).await.code(),
        "last-admin"
    );
    assert_eq!(admin.who().await["role"], "admin");
    admin.send("PATCH", "/api/v1/users/viewer", &json!({ "role": "admin" })).await;
    assert_eq!(admin.delete("/api/v1/users/admin").await.status, 204);
}

#[tokio::test]
async fn lists_go_on_where_the_page_before_ended() {
    let rig = with_users().await;
    let admin = Browser::of(&rig, "admin").await;
    let (mut names, mut after) = (Vec::new(), String::new());
    loop {
        let page = value(&admin.get(&format!("/api/v1/users?limit=1{after}")).await);
        names.push(page["users"][0]["name"].as_str().unwrap().to_owned());
        match page["next"].as_str() {
            Some(next) => after = format!("&after={next}"),
            None => break,
        }
    }
    assert_eq!(names, ["admin", "operator", "viewer"]);
}
