//! Devices over the API.

use super::*;
use crate::rig::{Footage, send};

#[tokio::test]
async fn a_device_added_over_the_api_publishes_until_it_is_revoked() {
    let rig = with_users().await;
    let admin = Browser::of(&rig, "admin").await;
    let added = admin.send("POST", "/api/v1/devices", &json!({ "name": "truck" })).await;
    assert_eq!(added.status, 201, "{}", added.text());
    let truck = value(&added);
    let (token, bearer) = (truck["token"].as_str().unwrap(), truck["bearer"].as_str().unwrap());
    let (http, srt) = (rig.vault().http_addr().port(), rig.vault().srt_addr().port());
    let line = format!(
        "dashvault record --vault http://vault:{http} --srt srt://vault:{srt} --device truck --token {token} "
    );
    assert!(truck["command"].as_str().unwrap().starts_with(&line), "{truck}");
    assert_eq!(
        admin.send("POST", "/api/v1/devices", &json!({ "name": "truck" })).await.code(),
        "device-exists"
    );
    assert_eq!(admin.send("POST", "/api/v1/devices", &json!({ "name": "../x" })).await.code(), "device-name");
    let odd = json!({ "name": "van", "host": "x; rm -rf" });
    assert_eq!(admin.send("POST", "/api/v1/devices", &odd).await.code(), "host");
    let vehicle = Http { bearer: Some(bearer.to_owned()), ..rig.stranger() };
    assert_eq!(vehicle.announce_raw(br#"{"protocol":1}"#).await.status, 200);
    let shown = value(&admin.get("/api/v1/devices/truck").await);
    assert_eq!((&shown["online"], &shown["revoked"]), (&true.into(), &Value::Null));
    assert_eq!(admin.delete("/api/v1/devices/truck").await.status, 204);
    assert_eq!(vehicle.announce_raw(br#"{"protocol":1}"#).await.code(), "revoked");
    let shown = value(&admin.get("/api/v1/devices/truck").await);
    assert!(shown["revoked"].is_i64() && shown["online"] == false, "{shown}");
    assert_eq!(admin.delete("/api/v1/devices/nobody").await.code(), "not-found");
    assert!(!admin.get("/api/v1/devices").await.text().contains(token));
    assert_eq!(acts(&rig, "revoke-device", 1).await[0].device.as_ref().unwrap().as_str(), "truck");
}

#[tokio::test]
async fn devices_are_listed_with_their_cameras_and_which_of_them_are_live() {
    let rig = with_users().await;
    for name in ["bus-2", "truck"] {
        add_device(rig.data.path(), name).await.unwrap();
    }
    let viewer = Browser::of(&rig, "viewer").await;
    let footage = Footage::new(&rig.device, 81, 4);
    let live = rig.live(&footage).await;
    let bus = eventually("the camera is live", async || {
        let bus = value(&viewer.get("/api/v1/devices/bus").await);
        (bus["cameras"][0]["live"] == true).then_some(bus)
    })
    .await;
    assert_eq!((&bus["cameras"][0]["name"], &bus["online"]), (&"front".into(), &true.into()));
    assert!(bus["cameras"][0].get("newest").is_none(), "{bus}");
    send(&live, &footage.packs[0].file()).await;
    eventually("there is footage", async || {
        let bus = value(&viewer.get("/api/v1/devices/bus").await);
        bus["cameras"][0]["newest"].is_i64().then_some(())
    })
    .await;
    drop(live);
    eventually("the camera is live no more", async || {
        let bus = value(&viewer.get("/api/v1/devices/bus").await);
        (bus["cameras"][0]["live"] == false).then_some(())
    })
    .await;
    let ids = async |browser: &Browser, query: &str| {
        let list = value(&browser.get(&format!("/api/v1/devices{query}")).await);
        let ids: Vec<_> = list["devices"]
            .as_array()
            .unwrap()
            .iter()
            .map(|device| device["id"].as_str().unwrap().to_owned())
            .collect();
        (ids.join(" "), list["next"].as_str().map(str::to_owned))
    };
    assert_eq!(ids(&viewer, "").await, ("bus bus-2 truck".into(), None));
    assert_eq!(ids(&viewer, "?limit=2").await, ("bus bus-2".into(), Some("bus-2".into())));
    assert_eq!(ids(&viewer, "?limit=2&after=bus-2").await, ("truck".into(), None));
    assert_eq!(ids(&viewer, "?search=BUS").await, ("bus bus-2".into(), None));
    let vehicle = Browser { http: rig.http(), ..Browser::new(&rig) };
    assert_eq!(ids(&vehicle, "").await, ("bus".into(), None), "a device sees itself only");
}
