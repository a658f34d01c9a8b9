//! The tables of access: users, sessions, tokens, audit; and devices as they are shown.

use super::*;
use crate::users::{Role, UserName, session::Times};

fn user(name: &str, role: Role) -> UserRow {
    UserRow {
        name: name.parse().unwrap(),
        role,
        password: "$hash".into(),
        created: WallMs(1),
        signed_in: None,
    }
}

#[tokio::test]
async fn only_the_first_user_is_the_first_and_names_are_taken_once() {
    let (_scratch, index) = index().await;
    assert!(!index.has_users().await.unwrap());
    assert!(index.add_user(&user("anna", Role::Admin), true).await.unwrap());
    assert!(!index.add_user(&user("bert", Role::Admin), true).await.unwrap());
    assert!(!index.add_user(&user("anna", Role::Viewer), false).await.unwrap());
    assert!(index.add_user(&user("bert", Role::Viewer), false).await.unwrap());
    index.note_sign_in(&"bert".parse().unwrap(), WallMs(9)).await.unwrap();
    let bert = index.user(&"bert".parse().unwrap()).await.unwrap().unwrap();
    assert_eq!((bert.role, bert.signed_in, bert.created), (Role::Viewer, Some(WallMs(9)), WallMs(1)));
    let after: UserName = "anna".parse().unwrap();
    let names: Vec<_> = index.users(Some(&after), 5).await.unwrap().into_iter().map(|row| row.name).collect();
    assert_eq!((names.len(), names[0].as_str()), (1, "bert"));
}

#[tokio::test]
async fn a_change_ends_the_sessions_of_that_user_and_an_administrator_always_stays() {
    let (_scratch, index) = index().await;
    let (anna, bert): (UserName, UserName) = ("anna".parse().unwrap(), "bert".parse().unwrap());
    index.add_user(&user("anna", Role::Admin), false).await.unwrap();
    index.add_user(&user("bert", Role::Viewer), false).await.unwrap();
    let (hers, his) = (ContentHash::of(b"anna"), ContentHash::of(b"bert"));
    let begin = async || {
        for (hash, name) in [(hers, &anna), (his, &bert)] {
            index.end_session(hash).await.unwrap();
            index.begin_session(hash, name, WallMs(5)).await.unwrap();
        }
    };
    let lives = async |hash| index.session(hash).await.unwrap().is_some();
    begin().await;
    assert_eq!(index.set_role(&anna, Role::Viewer).await.unwrap(), UserChange::LastAdmin);
    assert_eq!(index.remove_user(&anna).await.unwrap(), UserChange::LastAdmin);
    assert!(lives(hers).await, "what did not happen ends nothing");
    assert_eq!(index.set_role(&anna, Role::Admin).await.unwrap(), UserChange::Done);
    assert!(!lives(hers).await && lives(his).await);
    begin().await;
    assert_eq!(index.set_password(&bert, "$other").await.unwrap(), UserChange::Done);
    assert!(lives(hers).await && !lives(his).await);
    assert_eq!(index.user(&bert).await.unwrap().unwrap().password, "$other");
    index.set_role(&bert, Role::Admin).await.unwrap();
    begin().await;
    assert_eq!(index.remove_user(&anna).await.unwrap(), UserChange::Done);
    assert!(!lives(hers).await && lives(his).await);
    for change in [index.remove_user(&anna).await, index.set_role(&anna, Role::Admin).await] {
        assert_eq!(change.unwrap(), UserChange::Unknown);
    }
    assert!(index.begin_session(hers, &anna, WallMs(5)).await.is_err(), "nobody has a session");
}

#[tokio::test]
async fn a_session_is_touched_forwards_only_and_pruned_by_age() {
    let (_scratch, index) = index().await;
    let (anna, hash): (UserName, _) = ("anna".parse().unwrap(), ContentHash::of(b"1"));
    index.add_user(&user("anna", Role::Operator), false).await.unwrap();
    index.begin_session(hash, &anna, WallMs(10)).await.unwrap();
    index.touch_session(hash, WallMs(30)).await.unwrap();
    index.touch_session(hash, WallMs(20)).await.unwrap();
    let session = index.session(hash).await.unwrap().unwrap();
    assert_eq!((session.user, session.role), (anna, Role::Operator));
    assert_eq!(session.times, Times { created: WallMs(10), last_used: WallMs(30) });
    assert_eq!(index.prune_sessions(WallMs(29), WallMs(9)).await.unwrap(), 0);
    assert_eq!(index.prune_sessions(WallMs(29), WallMs(10)).await.unwrap(), 1);
    assert!(index.session(hash).await.unwrap().is_none());
}

#[tokio::test]
async fn a_token_comes_back_by_its_hash_until_it_is_removed() {
    let (_scratch, index) = index().await;
    let token = |id: &str, device: Option<&str>| TokenRow {
        id: id.into(),
        name: "nightly".into(),
        scopes: "view import".parse().unwrap(),
        device: device.map(|id| id.parse().unwrap()),
        created: WallMs(1),
        created_by: "user:anna".into(),
        expires: device.map(|_| WallMs(99)),
        last_used: None,
    };
    let (one, other) = (token("1", None), token("2", Some("bus")));
    index.add_token(&one, ContentHash::of(b"1")).await.unwrap();
    index.add_token(&other, ContentHash::of(b"2")).await.unwrap();
    assert_eq!(index.token(ContentHash::of(b"2")).await.unwrap(), Some(other.clone()));
    assert_eq!(index.token(ContentHash::of(b"3")).await.unwrap(), None);
    index.touch_token("1", WallMs(7)).await.unwrap();
    let used = TokenRow { last_used: Some(WallMs(7)), ..one };
    assert_eq!(index.tokens("", 1).await.unwrap(), [used]);
    assert_eq!(index.tokens("1", 9).await.unwrap(), [other]);
    assert!(index.remove_token("2").await.unwrap() && !index.remove_token("2").await.unwrap());
    assert_eq!(index.token(ContentHash::of(b"2")).await.unwrap(), None);
}

#[tokio::test]
async fn acts_are_found_newest_first_by_each_filter() {
    let (_scratch, index) = index().await;
    let act = |n: i64, who: &str, action: &str, device: Option<&str>| AuditRow {
        at: WallMs(n * 10),
        who: who.into(),
        role: "viewer".into(),
        address: "::1".into(),
        action: action.into(),
        device: device.map(|id| id.parse().unwrap()),
        camera: device.map(|_| "front".parse().unwrap()),
        range: device.map(|_| (WallMs(n), WallMs(n + 1))),
        detail: n.to_string(),
    };
    let acts = [
        act(1, "user:anna", "sign-in", None),
        act(2, "user:anna", "view", Some("bus")),
        act(3, "user:bert", "view", Some("bus")),
        act(4, "user:bert", "download", Some("truck")),
    ];
    index.add_audit(&acts).await.unwrap();
    let found = async |filter: AuditFilter, limit| {
        let rows = index.audit(&filter, limit).await.unwrap();
        rows.into_iter().map(|(_, row)| row.detail).collect::<Vec<_>>().join(" ")
    };
    let all = AuditFilter::default;
    assert_eq!(found(all(), 9).await, "4 3 2 1");
    assert_eq!(index.audit(&all(), 9).await.unwrap()[1].1, acts[2]);
    assert_eq!(found(AuditFilter { who: Some("user:anna".into()), ..all() }, 9).await, "2 1");
    assert_eq!(found(AuditFilter { action: Some("view".into()), ..all() }, 9).await, "3 2");
    assert_eq!(found(AuditFilter { device: Some("truck".parse().unwrap()), ..all() }, 9).await, "4");
    assert_eq!(found(AuditFilter { from: Some(WallMs(20)), to: Some(WallMs(40)), ..all() }, 9).await, "3 2");
    let (last, _) = index.audit(&all(), 2).await.unwrap().pop().unwrap();
    assert_eq!(found(AuditFilter { before: Some(last), ..all() }, 9).await, "2 1");
    assert_eq!(index.prune_audit(WallMs(30)).await.unwrap(), 2);
    assert_eq!(found(all(), 9).await, "4 3");
}

#[tokio::test]
async fn devices_are_shown_by_page_and_by_a_part_of_their_id() {
    let (_scratch, index) = index().await;
    for (seed, id) in ["Bus-7", "bus_8", "truck"].into_iter().enumerate() {
        index.add_device(&device(id, Some(seed as u8))).await.unwrap();
    }
    let recording = "20261122-101500".parse().unwrap();
    for camera in ["rear", "front"] {
        let (truck, camera) = ("truck".parse().unwrap(), camera.parse().unwrap());
        index.claim_recording(&truck, &camera, recording, RecordingKind::Plain, WallMs(1)).await.unwrap();
    }
    let found = async |search: &str, after: &str, only: Option<&str>| {
        let only = only.map(|id| id.parse().unwrap());
        let filter = DeviceFilter { only, search: search.into(), after: after.into() };
        let rows = index.shown_devices(&filter, 9).await.unwrap();
        rows.into_iter().map(|shown| shown.row.id.to_string()).collect::<Vec<_>>().join(" ")
    };
    assert_eq!(found("", "", None).await, "Bus-7 bus_8 truck");
    assert_eq!(found("BUS", "", None).await, "Bus-7 bus_8");
    assert_eq!((found("_", "", None).await, found("%", "", None).await), ("bus_8".into(), String::new()));
    assert_eq!(
        (found("", "bus_8", None).await, found("", "", Some("bus_8")).await),
        ("truck".into(), "bus_8".into())
    );
    assert_eq!(found("bus", "", Some("truck")).await, "");
    let cameras = index.cameras_between(&"a".parse().unwrap(), &"z".parse().unwrap()).await.unwrap();
    let cameras: Vec<_> =
        cameras.iter().map(|(device, camera, newest)| format!("{device}/{camera} {newest:?}")).collect();
    assert_eq!(cameras, ["truck/front None", "truck/rear None"]);
}
