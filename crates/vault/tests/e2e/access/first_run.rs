//! The first administrator.

use super::*;

#[tokio::test]
async fn the_setup_code_makes_one_administrator_and_is_gone_then() {
    let mut rig = Rig::start().await;
    let file = rig.data.path().join("setup.code");
    let code = rig.vault().setup_code().unwrap().to_owned();
    assert_eq!(std::fs::read_to_string(&file).unwrap(), code);
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    }
    rig.restart(false).await;
    assert_eq!(rig.vault().setup_code(), Some(code.as_str()), "a restart keeps the code");
    let mut browser = Browser::new(&rig);
    assert_eq!(value(&browser.get("/api/v1/setup").await), json!({ "needed": true }));
    assert_eq!(browser.who().await["setup_needed"], true);
    let body = |code: &str, password| json!({ "code": code, "name": "Anna", "password": password });
    let wrong = browser.enter("/api/v1/setup", body("AAAAA-AAAAA-AAAAA-AAAAA", PASSWORD)).await;
    assert_eq!(wrong.code(), "setup-code");
    assert_eq!(browser.enter("/api/v1/setup", body(&code, "short")).await.code(), "password");
    let typed = code.to_lowercase().replace('-', " ");
    assert_eq!(browser.enter("/api/v1/setup", body(&typed, PASSWORD)).await.status, 200);
    assert!(!file.exists());
    let who = browser.who().await;
    assert_eq!((&who["kind"], &who["name"], &who["role"]), (&"user".into(), &"anna".into(), &"admin".into()));
    assert_eq!(browser.get("/api/v1/users").await.status, 200);
    assert_eq!(browser.enter("/api/v1/setup", body(&code, PASSWORD)).await.code(), "set-up");
    assert_eq!(acts(&rig, "setup", 1).await[0].who, "user:anna");
    rig.restart(true).await;
    assert_eq!((rig.vault().setup_code(), file.exists()), (None, false));
    assert_eq!(
        Browser { http: rig.stranger(), ..browser }.who().await["name"],
        "anna",
        "sessions outlive a restart"
    );
}

#[tokio::test]
async fn of_two_that_set_up_at_once_one_wins() {
    let rig = Rig::start().await;
    let code = rig.vault().setup_code().unwrap().to_owned();
    let body = |name: &str| json!({ "code": code, "name": name, "password": PASSWORD });
    let (mut one, mut other) = (Browser::new(&rig), Browser::new(&rig));
    let (first, second) = (body("anna"), body("bert"));
    let (first, second) =
        tokio::join!(one.enter("/api/v1/setup", first), other.enter("/api/v1/setup", second));
    let mut statuses = [first.status, second.status];
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 409]);
}

#[tokio::test]
async fn a_user_added_by_the_command_line_ends_the_first_run_at_once() {
    let rig = Rig::start().await;
    let code = rig.vault().setup_code().unwrap().to_owned();
    add(&rig, "anna", Role::Admin).await;
    assert!(!rig.data.path().join("setup.code").exists());
    let body = json!({ "code": code, "name": "mallory", "password": PASSWORD });
    assert_eq!(Browser::new(&rig).enter("/api/v1/setup", body).await.code(), "set-up");
    assert_eq!(Browser::of(&rig, "anna").await.who().await["role"], "admin");
}

#[tokio::test]
async fn nobody_can_try_many_setup_codes() {
    let rig = Rig::start().await;
    let mut browser = Browser::new(&rig);
    let body = json!({ "code": "AAAAA-AAAAA-AAAAA-AAAAA", "name": "mallory", "password": PASSWORD });
    let mut codes = Vec::new();
    for _ in 0..12 {
        codes.push(browser.enter("/api/v1/setup", body.clone()).await.code());
    }
    assert_eq!(codes.iter().filter(|code| *code == "setup-code").count(), 10, "{codes:?}");
    assert_eq!(codes.last().unwrap(), "too-often");
}
