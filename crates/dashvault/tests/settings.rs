//! Flag beats variable beats file beats default, for every flag of `serve` and `record`.

#![allow(clippy::unwrap_used)]

use std::{collections::BTreeMap, fmt::Write, path::Path, process::Command};

/// What every flag accepts; a plain number where nothing is said.
fn sample(key: &str) -> &'static str {
    match key {
        "vault" => "http://vault:8080",
        "srt" => "127.0.0.1:8890",
        "http" => "127.0.0.1:8080",
        "camera" => "front=test",
        "token" => "dv1_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
        "passphrase" => "0123456789",
        "on_full" => "stop-recording",
        "rate_cap" => "2Mbit",
        "key_bits" => "256",
        "allow_anonymous" | "allow_plaintext" => "true",
        "log_format" => "json",
        "log_level" => "debug",
        "trusted_proxy" => "10.0.0.0/8",
        _ => "7",
    }
}

/// Where each setting came from, by `--show-settings`.
fn sources(
    name: &str,
    flags: &[String],
    variables: &[String],
    file: Option<&Path>,
) -> BTreeMap<String, String> {
    let mut command = Command::new(env!("CARGO_BIN_EXE_dashvault"));
    for (key, _) in std::env::vars_os().filter(|(key, _)| key.to_string_lossy().starts_with("DASHVAULT_")) {
        command.env_remove(key);
    }
    command.arg(name).arg("--show-settings");
    for key in flags {
        command.arg(format!("--{}={}", key.replace('_', "-"), sample(key)));
    }
    for key in variables {
        command.env(format!("DASHVAULT_{}", key.to_uppercase()), sample(key));
    }
    if let Some(file) = file {
        command.arg("--config").arg(file);
    }
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).unwrap();
    let line = |line: &str| match line.strip_prefix("# ").and_then(|rest| rest.strip_suffix(" is not set")) {
        Some(key) => (key.to_owned(), "none".to_owned()),
        None => {
            let (key, rest) = line.split_once(" = ").unwrap();
            (key.to_owned(), rest.rsplit_once("  # ").unwrap().1.to_owned())
        }
    };
    text.lines().map(line).collect()
}

#[test]
fn flag_beats_variable_beats_file_beats_default_for_every_flag() {
    for (name, required) in [("serve", vec!["data"]), ("record", vec!["spool", "camera"])] {
        let required: Vec<String> = required.into_iter().map(str::to_owned).collect();
        let defaults = sources(name, &required, &[], None);
        let keys: Vec<String> = defaults.keys().cloned().collect();
        assert!(keys.len() > 10, "{keys:?}");
        let optional = defaults.iter().filter(|(key, _)| !required.contains(key));
        optional.for_each(|(key, source)| {
            assert!(["default", "none"].contains(&source.as_str()), "{key}: {source}")
        });

        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("all.toml");
        let mut text = String::new();
        keys.iter().for_each(|key| writeln!(text, "{key} = \"{}\"", sample(key)).unwrap());
        std::fs::write(&file, text).unwrap();

        for (source, flags, variables) in
            [("file", &[][..], &[][..]), ("variable", &[], &keys), ("flag", &keys, &keys)]
        {
            for (key, found) in sources(name, flags, variables, Some(&file)) {
                assert_eq!(found, source, "{key} of {name}");
            }
        }
    }
}

#[test]
fn settings_are_shown_without_their_secrets() {
    let mut command = Command::new(env!("CARGO_BIN_EXE_dashvault"));
    command.args(["record", "--spool", "s", "--camera", "a=test", "--show-settings"]);
    let output = command.env("DASHVAULT_PASSPHRASE", "hunter2hunter2").output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.contains("passphrase = \"***\"  # variable"), "{text}");
    assert!(!text.contains("hunter2"), "{text}");
}
