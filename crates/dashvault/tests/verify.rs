//! `record`, `drain`, `status` and `verify` on what a real recorder and a real vault hold. Needs ffmpeg.

#![allow(clippy::unwrap_used)]

mod rig;

use std::{fs, path::Path, process::Command};

use rig::{Vault, dashvault, object, verify};

#[test]
fn recorded_without_a_vault_then_drained_is_identical_until_a_byte_of_the_object_changes() {
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name).to_str().unwrap().to_owned();
    let (data, spool) = (path("data"), path("spool"));
    let added = dashvault(&["device", "add", "bus-7", "--json", "--data", &data], "");
    let added: serde_json::Value = serde_json::from_slice(&added.stdout).unwrap();
    let token = added["token"].as_str().unwrap();

    let camera = "front=test,size=320x180,fps=15";
    let words = ["record", "--device", "bus-7", "--spool", &spool, "--camera", camera, "--for", "3"];
    assert!(dashvault(&words, token).status.success());
    let vault = Vault::start(Path::new(&data));
    let words = ["drain", "--device", "bus-7", "--spool", &spool, "--vault", &vault.http];
    let drained = dashvault(&words, token);
    assert!(drained.status.success(), "{}", String::from_utf8_lossy(&drained.stderr));
    vault.stop();

    let verify = || {
        let output = dashvault(&["verify", "--json", "--spool", &spool, "--data", &data], token);
        (output.status.code().unwrap(), serde_json::from_slice::<serde_json::Value>(&output.stdout).unwrap())
    };
    let (code, report) = verify();
    assert_eq!((code, &report["packs_identical"]), (0, &report["packs_sealed_on_vehicle"]), "{report}");
    assert!(report["packs_identical"].as_u64().unwrap() > 0);

    let object = object(Path::new(&data));
    let mut bytes = fs::read(&object).unwrap();
    bytes[188 * 3 + 9] ^= 1;
    fs::write(&object, bytes).unwrap();
    let (code, report) = verify();
    assert_eq!((code, &report["packs_identical"]), (1, &0.into()), "{report}");
    let wrong = report["wrong"].as_array().unwrap();
    assert!(
        wrong.iter().any(|finding| finding["start"] == 188 * 3 + 9 && finding["segment"] == 0),
        "{report}"
    );

    let status = dashvault(&["status", "--json", "--spool", &spool], token);
    let status_json: serde_json::Value = serde_json::from_slice(&status.stdout).unwrap();
    assert_eq!((status.status.code(), &status_json["state"]), (Some(1), &"stopped".into()));
    assert_eq!(status_json["packs"]["pending"], 0);
}

fn publish(srt: &str) {
    let url = format!("srt://{srt}?streamid=publish:0b7e4f5e-3a52-4c1c-9d6e-2f2a5f0c9a11/20261122-101500");
    let words = "-hide_banner -loglevel error -nostdin -re -f lavfi -i testsrc2=size=320x180:rate=30 \
        -f lavfi -i sine -t 3 -c:v libx264 -preset veryfast -tune zerolatency -g 30 -c:a aac -f mpegts";
    let status = Command::new("ffmpeg").args(words.split_whitespace()).arg(url).status().unwrap();
    assert!(status.success());
}

#[test]
fn published_stream_verifies_until_a_bit_of_it_flips() {
    let dir = tempfile::tempdir().unwrap();
    let vault = Vault::start(dir.path());
    publish(&vault.srt);
    vault.stop();
    let (code, report) = verify(dir.path());
    assert_eq!((code, &report["ok"], &report["packs"]), (0, &true.into(), &1.into()), "{report}");

    let path = object(dir.path());
    let sound = fs::read(&path).unwrap();
    for at in [0, 188 * 20 + 7, sound.len() / 2, sound.len() - 1] {
        let mut flipped = sound.clone();
        flipped[at] ^= 0x10;
        fs::write(&path, flipped).unwrap();
        let (code, report) = verify(dir.path());
        let finding = &report["wrong"][0];
        assert_eq!(code, 1, "byte {at}: {report}");
        assert_eq!(finding["pack"], "20261122-101500_00000");
        assert!(finding["start"].as_u64().unwrap() <= at as u64, "byte {at}: {finding}");
        if let Some(end) = finding["end"].as_u64() {
            assert!((at as u64) < end && finding["segment"].is_u64(), "byte {at}: {finding}");
        }
    }
    fs::remove_file(&path).unwrap();
    let missing = |report: &serde_json::Value| {
        assert_eq!((&report["packs_missing"], &report["packs_sound"]), (&1.into(), &0.into()), "{report}");
        report["wrong"][0]["problem"].as_str().unwrap().to_owned()
    };
    let (code, report) = verify(dir.path());
    assert_eq!(code, 1);
    assert!(missing(&report).contains("its file is missing"), "{report}");
    // A start must not forget what it cannot find.
    Vault::start(dir.path()).stop();
    let (code, report) = verify(dir.path());
    assert_eq!(code, 1, "{report}");
    assert!(missing(&report).contains("its file is missing since 2"), "{report}");
    // A backup brings it back.
    fs::write(&path, &sound).unwrap();
    Vault::start(dir.path()).stop();
    let (code, report) = verify(dir.path());
    assert_eq!((code, &report["packs_missing"]), (0, &0.into()), "{report}");
}
