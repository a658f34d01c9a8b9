//! Recorder and vault as their operator meets them: tokens, refusals, lost objects, uploads by hand. Needs ffmpeg and curl.

#![allow(clippy::unwrap_used)]

mod rig;

use std::{fs, path::Path, process::Command};

use rig::{Vault, dashvault, object, verify};

#[test]
fn recorded_without_a_token_and_under_another_name_is_signed_again_and_drained() {
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name).to_str().unwrap().to_owned();
    let (data, spool) = (path("data"), path("spool"));
    let added = dashvault(&["device", "add", "bus-7", "--json", "--data", &data], "");
    let added: serde_json::Value = serde_json::from_slice(&added.stdout).unwrap();
    let token = added["token"].as_str().unwrap();

    let record = |device: &[&str]| {
        let camera = "front=test,size=320x180,fps=15";
        let words = ["record", "--spool", &spool, "--camera", camera, "--for", "3", "--pack-length", "1"];
        assert!(dashvault(&[&words[..], device].concat(), "").status.success());
    };
    record(&[]);
    record(&["--device", "tram-3"]);
    let vault = Vault::start(Path::new(&data));
    let address = vault.http.clone();
    let words = ["drain", "--device", "bus-7", "--spool", &spool, "--vault", &address, "--for", "20s"];
    // Another vault's token, or one that was mistyped: it is said at once, whose and what to do.
    let began = std::time::Instant::now();
    let stranger = dashvault(&words, "dv1_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA");
    assert!(began.elapsed().as_secs() < 15, "it waited for what waiting does not change");
    let said = String::from_utf8_lossy(&stranger.stderr).into_owned();
    assert_eq!(stranger.status.code(), Some(1), "{said}");
    for part in
        ["error: the vault refuses device bus-7", "401", "next: run `dashvault device list`", "packs stay"]
    {
        assert!(said.contains(part), "{part}: {said}");
    }
    assert!(said.contains("credentials are missing or wrong: no device"), "{said}");
    // Nothing is signed in the name of a device that the vault has not confirmed.
    assert!(
        said.contains("packs were recorded without a device") && !said.contains("signed again"),
        "{said}"
    );
    let words_of = |device| {
        let mut words = words;
        words[2] = device;
        words
    };
    let mistyped = dashvault(&words_of("bus-8"), token);
    let said = String::from_utf8_lossy(&mistyped.stderr).into_owned();
    assert_eq!(mistyped.status.code(), Some(1), "{said}");
    assert!(said.contains("device bus-8: the token is that of device bus-7"), "{said}");
    assert!(!said.contains("signed again"), "{said}");
    // The tram's packs are the tram's, unless somebody says otherwise.
    let refused = dashvault(&words, token);
    assert_eq!(refused.status.code(), Some(1), "{}", String::from_utf8_lossy(&refused.stderr));
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(
        said.contains("error: the vault refuses packs of device bus-7") && said.contains("--adopt"),
        "{said}"
    );
    // What recovery did is told in fields.
    assert!(said.contains("pack of another key was signed again") && said.contains("pack=2"), "{said}");
    assert!(!said.contains("CameraRecovery"), "{said}");
    let drained = dashvault(&[&words[..], &["--adopt", "tram-3"]].concat(), token);
    assert!(drained.status.success(), "{}", String::from_utf8_lossy(&drained.stderr));
    // With nothing to send, the vault is asked all the same.
    let again = dashvault(&words, token);
    let told = String::from_utf8_lossy(&again.stdout).into_owned();
    assert!(again.status.success() && told.contains("there was nothing to send"), "{told}");
    vault.stop();
    let away = dashvault(&[&words[..7], &["--for", "1s"]].concat(), token);
    let said = String::from_utf8_lossy(&away.stderr).into_owned();
    assert_eq!(away.status.code(), Some(1), "{said}");
    assert!(said.contains("run drain again when the vault can be reached"), "{said}");
    let output = dashvault(&["verify", "--json", "--spool", &spool, "--data", &data], token);
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(0), "{report}");
    assert!(report["packs_identical"].as_u64().unwrap() >= 4, "{report}");
    assert_eq!(report["packs_identical"], report["packs_sealed_on_vehicle"]);
}

#[test]
fn an_object_that_vanishes_is_brought_back_by_the_recorder_that_still_has_it() {
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name).to_str().unwrap().to_owned();
    let (data, spool) = (path("data"), path("spool"));
    let added = dashvault(&["device", "add", "bus-7", "--json", "--data", &data], "");
    let added: serde_json::Value = serde_json::from_slice(&added.stdout).unwrap();
    let token = added["token"].as_str().unwrap();
    let record = |vault: &Vault| {
        let camera = "front=test,size=320x180,fps=15";
        let words = ["record", "--device", "bus-7", "--spool", &spool, "--camera", camera, "--for", "3"];
        let output = dashvault(&[&words[..], &["--vault", &vault.http]].concat(), token);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    };
    let vault = Vault::start(Path::new(&data));
    record(&vault);
    vault.stop();
    let lost = object(Path::new(&data));
    let bytes = fs::read(&lost).unwrap();
    fs::remove_file(&lost).unwrap();
    let vault = Vault::start(Path::new(&data));
    record(&vault);
    vault.stop();
    assert!(fs::read(&lost).unwrap() == bytes);
    let (code, report) = verify(Path::new(&data));
    assert_eq!((code, &report["packs_missing"], &report["packs"]), (0, &0.into(), &2.into()), "{report}");
}

#[test]
fn the_guides_upload_by_hand_brings_a_pack() {
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name).to_str().unwrap().to_owned();
    let (data, spool) = (path("data"), path("spool"));
    let added = dashvault(&["device", "add", "bus-7", "--json", "--data", &data], "");
    let added: serde_json::Value = serde_json::from_slice(&added.stdout).unwrap();
    let token = added["token"].as_str().unwrap();
    let bearer = String::from_utf8(dashvault(&["device", "bearer"], token).stdout).unwrap();
    assert_eq!(added["bearer"], bearer.trim_end());
    assert!(added["curl"].as_str().unwrap().contains(bearer.trim_end()));
    let camera = "front=test,size=320x180,fps=15";
    let words = ["record", "--device", "bus-7", "--spool", &spool, "--camera", camera, "--for", "2"];
    assert!(dashvault(&words, token).status.success());
    let pending = fs::read_dir(dir.path().join("spool/front/pending")).unwrap();
    let pack = pending.map(|entry| entry.unwrap().path()).find(|path| path.is_file()).unwrap();

    let vault = Vault::start(Path::new(&data));
    let guide =
        fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/guide/vault.md")).unwrap();
    let section = guide.split_once("## 8. Upload by hand").unwrap().1;
    let script = section.split("```").nth(1).unwrap().strip_prefix("sh").unwrap();
    let folder = Path::new(env!("CARGO_BIN_EXE_dashvault")).parent().unwrap().to_owned();
    let programs = std::env::split_paths(&std::env::var_os("PATH").unwrap()).collect::<Vec<_>>();
    let mut sh = Command::new("sh");
    sh.args(["-e", "-c", script]).env("VAULT", &vault.http).env("CAMERA", "front").env("FILE", &pack);
    sh.env("PATH", std::env::join_paths([folder].into_iter().chain(programs)).unwrap());
    let done = sh.env("DASHVAULT_TOKEN", token).output().unwrap();
    let said = String::from_utf8_lossy(&done.stdout).into_owned();
    assert!(done.status.success(), "{said}{}", String::from_utf8_lossy(&done.stderr));
    assert!(said.contains("\"want\"") && said.contains("\"receipt\""), "{said}");
    vault.stop();
    assert!(fs::read(object(Path::new(&data))).unwrap() == fs::read(pack).unwrap());
}

#[test]
fn a_quota_below_two_packs_a_camera_is_warned_of_at_the_start() {
    let dir = tempfile::tempdir().unwrap();
    let record = |quota: &str| {
        let spool = dir.path().join(quota).to_str().unwrap().to_owned();
        let camera = "front=test,size=320x180,fps=15,bitrate=800k";
        let words = ["record", "--spool", &spool, "--camera", camera, "--for", "1", "--pack-length", "8"];
        let output = dashvault(&[&words[..], &["--quota", quota]].concat(), "");
        String::from_utf8_lossy(&output.stderr).into_owned()
    };
    let said = record("1500kB");
    assert!(said.contains("quota is smaller than two packs a camera") && said.contains("--quota"), "{said}");
    assert!(said.contains("least_bytes=2000000"), "{said}");
    assert!(!record("3MB").contains("quota is smaller"));
}

#[test]
fn doctor_tells_a_wrong_passphrase_from_a_right_one_and_from_one_it_cannot_try() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().to_str().unwrap();
    let added = dashvault(&["device", "add", "bus-7", "--json", "--data", data], "");
    let added: serde_json::Value = serde_json::from_slice(&added.stdout).unwrap();
    let token = added["token"].as_str().unwrap();
    let vault = Vault::start_with(dir.path(), &["--passphrase", "the right words"]);
    let doctor = |passphrase: &str, more: &[&str], token: &str| {
        let srt = format!("srt://{}?passphrase={passphrase}", vault.srt);
        let output = dashvault(&[&["doctor", "--json", "--srt", &srt], more].concat(), token);
        let told: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        let checks = told["checks"].as_array().unwrap().clone();
        let srt = checks.into_iter().find(|check| check["name"] == "vault SRT").unwrap();
        (output.status.code(), srt["verdict"].as_str().unwrap().to_owned(), srt["found"].to_string())
    };
    let known = ["--device", "bus-7", "--camera", "front=test"];
    let (code, verdict, found) = doctor("the%20wrong%20words", &known, token);
    assert_eq!((code, verdict.as_str()), (Some(1), "FAIL"), "{found}");
    assert!(found.contains("refuses the passphrase"), "{found}");
    let (_, verdict, found) = doctor("the%20right%20words", &known, token);
    assert_eq!(verdict, "OK", "{found}");
    assert!(found.contains("takes the passphrase"), "{found}");
    let (_, verdict, found) = doctor("the%20wrong%20words", &[], "");
    assert_eq!(verdict, "WARN", "{found}");
    assert!(found.contains("not known"), "{found}");
    vault.stop();
}
