//! Guessing is slow, and does not lock out who is right.

use super::*;

#[tokio::test]
async fn many_wrong_passwords_are_stopped_and_then_the_right_one_too() {
    let rig = with_users().await;
    let mut guesser = Browser::new(&rig);
    let mut codes = Vec::new();
    for _ in 0..12 {
        codes.push(guesser.sign_in("viewer", "wrong password").await.code());
    }
    assert_eq!(codes.iter().filter(|code| *code == "sign-in").count(), 10, "{codes:?}");
    let stopped = guesser.sign_in("viewer", PASSWORD).await;
    assert_eq!(stopped.status, 429);
    let wait: u64 = stopped.header("retry-after").unwrap().parse().unwrap();
    assert!((1..=31).contains(&wait), "{wait}");
    let counted = rig.metric("dashvault_refused_total{protocol=\"access\",reason=\"sign-in\"}").await;
    assert_eq!(counted, 10);
    assert_eq!(guesser.sign_in("operator", PASSWORD).await.status, 200, "another name is not stopped yet");
}

#[tokio::test]
async fn guesses_from_afar_do_not_lock_out_who_has_signed_in_before() {
    let rig = with_users_and(|config| config.trusted_proxies = vec!["127.0.0.1".parse().unwrap()]).await;
    let at = |address: u8| Browser {
        forwarded: vec![("x-forwarded-for".into(), format!("192.0.2.{address}"))],
        ..Browser::new(&rig)
    };
    assert_eq!(at(1).sign_in("viewer", PASSWORD).await.status, 200);
    for address in 2..14 {
        at(address).sign_in("viewer", "wrong password").await;
    }
    assert_eq!(at(20).sign_in("viewer", PASSWORD).await.status, 429);
    assert_eq!(at(1).sign_in("viewer", PASSWORD).await.status, 200);
}

#[tokio::test]
async fn many_wrong_bearers_are_stopped_but_a_right_one_from_there_passes() {
    let rig = Rig::start().await;
    let truck = add_device(rig.data.path(), "truck").await.unwrap();
    let wrong = Http { bearer: Some("nobody".into()), ..rig.stranger() };
    let mut statuses = Vec::new();
    for n in 0..70 {
        let path = if n % 2 == 0 { "/api/v1/devices/bus/cameras" } else { "/api/v1/announce" };
        let method = if n % 2 == 0 { "GET" } else { "POST" };
        statuses.push(wrong.request(method, path, &[], &[]).await.status);
    }
    assert_eq!(statuses[0], 401);
    assert_eq!(statuses.last(), Some(&429), "{statuses:?}");
    assert_eq!(rig.http_as(&truck.token).get("/api/v1/devices/truck/cameras").await.status, 200);
}
