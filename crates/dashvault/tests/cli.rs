//! The command line as a user meets it: the built binary, its texts, its exit codes.

#![allow(clippy::unwrap_used)]

use std::{
    path::Path,
    process::{Command, Output},
};

fn dashvault() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_dashvault"));
    std::env::vars_os()
        .map(|(key, _)| key)
        .filter(|key| key.to_string_lossy().starts_with("DASHVAULT_") || key == "RUST_LOG")
        .for_each(|key| {
            command.env_remove(key);
        });
    command
}

fn run(args: &[&str]) -> Output {
    dashvault().args(args).output().unwrap()
}

fn out(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn err(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

fn code(output: &Output) -> i32 {
    output.status.code().unwrap()
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

#[test]
fn every_commands_help_has_examples_and_goes_to_stdout() {
    for command in ["serve", "record", "status", "verify", "doctor", "run", "lock", "demo", "drain"] {
        let output = run(&[command, "--help"]);
        assert_eq!(code(&output), 0, "{command}");
        assert!(out(&output).contains("Example"), "{command}");
    }
    for action in ["add", "list", "revoke"] {
        assert!(out(&run(&["device", action, "--help"])).contains("Example"), "device {action}");
    }
}

#[test]
fn wrong_usage_ends_with_2_and_says_what_is_missing() {
    for (args, said) in [
        (vec!["record"], "--spool"),
        (vec!["verify"], "--spool DIR"),
        (vec!["status"], "--spool"),
        (vec!["frobnicate"], "frobnicate"),
        (vec!["serve", "--data", "d", "--srt-latency", "1 fortnight"], "unknown unit"),
        (vec!["lock", "--spool", "/tmp", "--camera", "a"], "--from or --last"),
        (vec!["run", "--"], "COMMAND"),
    ] {
        let output = run(&args);
        assert_eq!(code(&output), 2, "{args:?}: {}", err(&output));
        assert!(err(&output).contains(said), "{args:?}: {}", err(&output));
    }
}

#[test]
fn what_cannot_be_done_here_ends_with_3_and_says_what_to_do() {
    for args in [
        vec!["verify", "--spool", "/nowhere"],
        vec!["verify", "--data", "/nowhere"],
        vec!["status", "--spool", "/nowhere"],
        vec!["device", "list", "--data", "/nowhere"],
        vec!["record", "--config", "/nowhere.toml"],
        vec!["run", "--", "/nowhere/program"],
    ] {
        let output = run(&args);
        assert_eq!(code(&output), 3, "{args:?}: {}", err(&output));
        assert!(err(&output).contains("next: "), "{args:?}: {}", err(&output));
    }
}

#[test]
fn unknown_key_names_the_nearest() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("recorder.toml");
    std::fs::write(&file, "sppol = \"x\"\n").unwrap();
    let output = run(&["record", "--config", text(&file)]);
    assert_eq!(code(&output), 2);
    assert!(err(&output).contains("unknown key `sppol`"), "{}", err(&output));
    assert!(err(&output).contains("did you mean `spool`?"), "{}", err(&output));
}

#[test]
fn devices_are_added_listed_and_revoked() {
    let dir = tempfile::tempdir().unwrap();
    let data = text(dir.path());
    let added = run(&["device", "add", "bus-7", "--data", data, "--json"]);
    assert_eq!(code(&added), 0, "{}", err(&added));
    let added: serde_json::Value = serde_json::from_slice(&added.stdout).unwrap();
    let token = added["token"].as_str().unwrap();
    assert!(token.starts_with("dv1_") && added["id"] == "bus-7", "{added}");
    assert!(added["command"].as_str().unwrap().contains(token));
    assert!(!added["fingerprint"].as_str().unwrap().is_empty());

    let again = run(&["device", "add", "bus-7", "--data", data]);
    assert_eq!(code(&again), 3);
    assert!(err(&again).contains("exists already") && err(&again).contains("device list"), "{}", err(&again));
    assert_ne!(code(&run(&["device", "add", "no/slash", "--data", data])), 0);

    let listed = || -> serde_json::Value {
        serde_json::from_slice(&run(&["device", "list", "--data", data, "--json"]).stdout).unwrap()
    };
    assert_eq!(listed()[0]["id"], "bus-7");
    assert_eq!(listed()[0]["revoked"], false);
    assert!(!listed().to_string().contains(token), "a token is shown once");
    assert_eq!(code(&run(&["device", "revoke", "bus-7", "--data", data])), 0);
    assert_eq!(listed()[0]["revoked"], true);
    assert_eq!(code(&run(&["device", "revoke", "nobody", "--data", data])), 3);
}

#[test]
fn users_are_added_listed_given_a_password_and_removed() {
    let scratch = tempfile::tempdir().unwrap();
    let data = scratch.path().join("vault");
    let user = |args: &[&str]| run(&[&["user"], args, &["--data", text(&data)]].concat());
    let added = user(&["add", "Anna", "--role", "admin"]);
    assert_eq!(code(&added), 0, "{}", err(&added));
    assert!(err(&added).contains("a new vault's data folder"), "{}", err(&added));
    let password = out(&added).lines().last().unwrap().split_whitespace().nth(1).unwrap().to_owned();
    assert!(password.len() > 20, "{}", out(&added));
    assert_eq!(code(&user(&["add", "anna"])), 3);
    assert_eq!(code(&user(&["add", "bert", "--password", "short"])), 2);
    assert_eq!(code(&user(&["add", "bert", "--password", "long enough"])), 0);
    let listed = out(&user(&["list"]));
    assert!(listed.contains("anna") && listed.contains("admin") && listed.contains("bert"), "{listed}");
    assert!(!listed.contains(&password));
    let json: serde_json::Value = serde_json::from_str(&out(&user(&["list", "--json"]))).unwrap();
    assert_eq!((&json[1]["name"], &json[1]["role"]), (&"bert".into(), &"viewer".into()));
    assert!(out(&user(&["passwd", "bert"])).contains("sessions have ended"));
    let last = user(&["remove", "anna"]);
    assert_eq!(code(&last), 3);
    assert!(err(&last).contains("last administrator"), "{}", err(&last));
    assert_eq!(code(&user(&["remove", "bert"])), 0);
    assert_eq!(code(&user(&["remove", "bert"])), 3);
    let mistyped = scratch.path().join("no/such/vault");
    let refused = run(&["user", "add", "carl", "--data", text(&mistyped)]);
    assert!(err(&refused).contains("there is no data folder"), "{}", err(&refused));
    assert!(code(&refused) == 3 && !mistyped.exists());
    for action in ["add", "list", "passwd", "remove"] {
        assert!(out(&run(&["user", action, "--help"])).contains("Example"), "user {action}");
    }
}

#[test]
fn status_of_a_dead_or_unused_spool_says_so_and_ends_with_1() {
    let dir = tempfile::tempdir().unwrap();
    let never = run(&["status", "--spool", text(dir.path()), "--json"]);
    assert_eq!(code(&never), 1);
    let never: serde_json::Value = serde_json::from_slice(&never.stdout).unwrap();
    assert_eq!(never["state"], "never-run");

    std::fs::write(dir.path().join("status.json"), r#"{"at": 1000, "pid": 1}"#).unwrap();
    let dead = run(&["status", "--spool", text(dir.path())]);
    assert_eq!(code(&dead), 1);
    assert!(out(&dead).contains("dead") && out(&dead).contains("start it again"), "{}", out(&dead));
}

#[test]
fn run_passes_stdout_and_the_exit_code_through() {
    let output = run(&["run", "--", "sh", "-c", "echo hello; echo trouble >&2; exit 7"]);
    assert_eq!(code(&output), 7);
    assert_eq!(out(&output), "hello\n");
    assert!(err(&output).contains("| trouble"), "{}", err(&output));
    assert_eq!(code(&run(&["run", "--", "sh", "-c", "kill -TERM $$"])), 128 + 15);
}

#[test]
fn run_starts_a_failing_command_again_until_it_is_given_up() {
    let args = [
        "run",
        "--restart",
        "on-failure",
        "--give-up-after",
        "3",
        "--backoff",
        "10ms",
        "--log-level",
        "error",
    ];
    let output = dashvault().args(args).args(["--", "sh", "-c", "echo try; exit 4"]).output().unwrap();
    assert_eq!((code(&output), out(&output).as_str()), (4, "try\ntry\ntry\n"));
}

#[test]
fn run_stops_a_command_that_gives_nothing() {
    let output = run(&["run", "--stall", "100ms", "--", "sleep", "100"]);
    assert_ne!(code(&output), 0);
    assert!(err(&output).contains("no output"), "{}", err(&output));
}

#[test]
fn doctor_fails_where_nobody_is_and_prints_json() {
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let dir = tempfile::tempdir().unwrap();
    let vault = format!("http://127.0.0.1:{port}");
    let output = run(&["doctor", "--json", "--spool", text(dir.path()), "--vault", &vault]);
    assert_eq!(code(&output), 1, "{}", err(&output));
    let told: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let checks = told["checks"].as_array().unwrap();
    let http = checks.iter().find(|check| check["name"] == "vault HTTP").unwrap();
    assert_eq!(http["verdict"], "FAIL");
    assert!(http["next"].as_str().unwrap().contains("firewall"));
    assert!(checks.iter().any(|check| check["name"] == "disk speed"));
}

#[cfg(target_os = "linux")]
#[test]
fn what_a_command_has_started_dies_with_a_killed_run() {
    use std::io::{BufRead, BufReader, Read};

    let script = "sleep 81 & echo started; sleep 81";
    // Whoever of them lives holds stderr, so that its end says that all are gone.
    let mut command = dashvault();
    command.args(["run", "--show-stderr", "--", "sh", "-c", script]);
    let mut child =
        command.stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    assert_eq!(line, "started\n");
    child.kill().unwrap();
    child.wait().unwrap();
    child.stderr.take().unwrap().read_to_end(&mut Vec::new()).unwrap();
}

#[test]
fn device_is_added_again_with_its_token_and_a_mistyped_folder_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let (first, second) = (dir.path().join("first"), dir.path().join("second"));
    let add = |data: &Path, token: &str| {
        let words = ["device", "add", "bus-7", "--json", "--data", text(data)];
        dashvault().args(words).env("DASHVAULT_TOKEN", token).output().unwrap()
    };
    let before = add(&first, "");
    assert!(err(&before).contains("note: made "), "{}", err(&before));
    let before: serde_json::Value = serde_json::from_slice(&before.stdout).unwrap();
    let after = add(&second, before["token"].as_str().unwrap());
    let after: serde_json::Value = serde_json::from_slice(&after.stdout).unwrap();
    assert_eq!((&after["token"], &after["fingerprint"]), (&before["token"], &before["fingerprint"]));
    let mistyped = add(&dir.path().join("not/there"), "");
    assert_eq!(code(&mistyped), 3, "{}", err(&mistyped));
    assert!(!dir.path().join("not").exists());
}

#[test]
fn damaged_index_ends_with_3_and_says_how_to_make_it_again() {
    let dir = tempfile::tempdir().unwrap();
    let data = text(dir.path());
    std::fs::write(dir.path().join("index.sqlite"), vec![b'x'; 8192]).unwrap();
    for args in [
        vec!["serve", "--http", "127.0.0.1:0", "--srt", "127.0.0.1:0", "--data", data],
        vec!["verify", "--data", data],
        vec!["device", "list", "--data", data],
    ] {
        let output = run(&args);
        assert_eq!(code(&output), 3, "{args:?}: {}", err(&output));
        assert!(err(&output).contains("index.sqlite* away"), "{args:?}: {}", err(&output));
    }
}

#[test]
fn killed_recorder_is_told_as_dead_at_once_and_a_living_one_by_its_lock() {
    let dir = tempfile::tempdir().unwrap();
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_millis();
    std::fs::write(dir.path().join("status.json"), format!(r#"{{"at": {now}, "pid": 1}}"#)).unwrap();
    let lock = std::fs::File::create(dir.path().join("recorder.lock")).unwrap();
    let status = || run(&["status", "--spool", text(dir.path()), "--json"]);
    lock.lock().unwrap();
    assert_eq!(code(&status()), 0, "{}", out(&status()));
    lock.unlock().unwrap();
    assert_eq!(code(&status()), 1);
    assert!(out(&status()).contains("dead"), "{}", out(&status()));
}

#[test]
fn recorders_file_gives_drain_no_end_and_lock_no_camera() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("recorder.toml");
    let spool = dir.path().join("spool");
    std::fs::create_dir_all(spool.join("front/open")).unwrap();
    std::fs::write(spool.join("front/open/20261122-101500_00000.ts"), "").unwrap();
    let settings = format!("spool = {spool:?}\nfor = \"3s\"\ncamera = [\"front=test\", \"rear=test\"]\n");
    std::fs::write(&file, settings).unwrap();
    let drain = run(&[
        "drain",
        "--config",
        text(&file),
        "--show-settings",
        "--vault",
        "http://v",
        "--device",
        "b",
        "--token",
        "dv1_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
    ]);
    assert!(out(&drain).contains("drain_for = \"1h\"  # default"), "{}{}", out(&drain), err(&drain));
    let none = run(&["lock", "--config", text(&file), "--last", "1s"]);
    assert_eq!(code(&none), 2);
    assert!(err(&none).contains("--camera"), "{}", err(&none));
    let lock = |times: &[&str]| {
        code(
            &dashvault()
                .args(["lock", "--config", text(&file), "--camera", "front"])
                .args(times)
                .output()
                .unwrap(),
        )
    };
    assert_eq!(lock(&["--from", "22000101-000000", "--to", "22000101-000100"]), 1);
    assert_eq!(lock(&["--from", "20261122-101500", "--to", "20261122-101600"]), 0);
}
