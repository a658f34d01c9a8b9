//! What `config` promises, case by case.

use std::{ffi::OsString, path::Path};

use super::*;
use crate::cli;

fn file(text: &str) -> ConfigFile {
    ConfigFile::parse(Path::new("test.toml"), text).unwrap()
}

fn words(line: &str) -> Vec<OsString> {
    line.split(' ').map(OsString::from).collect()
}

fn leaf<'a>(command: &'a Command, names: &[&str]) -> &'a Command {
    names.iter().fold(command, |command, name| command.find_subcommand(name).unwrap())
}

/// What every flag of `record` and `serve` accepts, but for those that take a plain number.
fn sample(key: &str) -> &'static str {
    match key {
        "vault" => "http://vault:8080",
        "srt" => "127.0.0.1:8890",
        "http" => "127.0.0.1:8080",
        "camera" => "front=test",
        "token" => "dv1_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
        "passphrase" => "0123456789",
        "trusted_proxy" => "10.0.0.0/8",
        "on_full" => "stop-recording",
        "rate_cap" => "2Mbit",
        "key_bits" => "256",
        "allow_anonymous" | "allow_plaintext" | "show_settings" => "true",
        "log_format" => "json",
        "log_level" => "debug",
        _ => "7",
    }
}

#[test]
fn every_flag_of_serve_and_record_has_one_name_in_three_spellings() {
    let command = cli::command();
    for name in ["serve", "record"] {
        let leaf = leaf(&command, &[name]);
        for arg in leaf.get_arguments() {
            let Some(long) = arg.get_long().filter(|long| !["help", "config"].contains(long)) else {
                continue;
            };
            let key = key(arg).unwrap_or_else(|| panic!("--{long} of {name} is no key"));
            assert_eq!(key, long.replace('-', "_"));
            let variable = format!("DASHVAULT_{}", key.to_uppercase());
            assert_eq!(arg.get_env(), Some(OsStr::new(&variable)), "--{long} of {name}");
        }
    }
}

#[test]
fn every_key_of_serve_and_record_is_taken_from_a_file_and_beaten_by_its_flag() {
    for name in ["serve", "record"] {
        let command = cli::command();
        let keys: Vec<String> = leaf(&command, &[name]).get_arguments().filter_map(key).collect();
        assert!(keys.len() > 10, "{keys:?}");
        let text: String = keys.iter().map(|key| format!("{key} = \"{}\"\n", sample(key))).collect();
        let matches = with_file(command, &words(&format!("dashvault {name}")), &file(&text))
            .unwrap()
            .try_get_matches_from(words(&format!("dashvault {name} --log-level error")))
            .unwrap();
        let matches = matches.subcommand_matches(name).unwrap();
        for key in keys {
            let expected = if key == "log_level" { "error" } else { sample(&key) };
            let raw: Vec<_> = matches.get_raw(&key).unwrap().collect();
            assert_eq!(raw, [expected], "{key} of {name}");
        }
    }
}

#[test]
fn unknown_key_is_refused_with_the_nearest_and_all_there_are() {
    let refused = |text: &str, line: &str| {
        let failure = with_file(cli::command(), &words(line), &file(text)).unwrap_err();
        failure.to_string()
    };
    let said = refused("sppol = \"x\"", "dashvault record");
    assert!(
        said.contains("test.toml: unknown key `sppol`") && said.contains("did you mean `spool`"),
        "{said}"
    );
    let said = refused("zzzzzzzz = 1", "dashvault serve");
    assert!(said.contains("the keys are: data, http"), "{said}");
    let said = refused("camera = \"front=test\"", "dashvault serve");
    assert!(said.contains("not a key of `dashvault serve`"), "{said}");
}

#[test]
fn recorders_file_serves_the_commands_around_it_too() {
    let text = "spool = \"s\"\nvault = \"http://v\"\ntoken = \"x\"\n[camera]\nfront = \"test\"";
    for line in ["dashvault status", "dashvault doctor", "dashvault verify"] {
        assert!(with_file(cli::command(), &words(line), &file(text)).is_ok(), "{line}");
    }
    let inner = with_file(cli::command(), &words("dashvault device add bus"), &file("data = \"d\"")).unwrap();
    let matches = inner.try_get_matches_from(words("dashvault device add bus")).unwrap();
    let matches = matches.subcommand_matches("device").unwrap().subcommand_matches("add").unwrap();
    assert_eq!(matches.get_one::<PathBuf>("data").unwrap(), Path::new("d"));
}

#[test]
fn lists_tables_numbers_and_truths_become_the_words_of_flags() {
    let file =
        file("camera = [\"a=test\", \"b=test\"]\nuploads = 2\nquota = 1.5\njson = true\n[t]\na = \"test\"");
    assert_eq!(file.values("camera").unwrap(), ["a=test", "b=test"]);
    assert_eq!(file.values("uploads").unwrap(), ["2"]);
    assert_eq!(file.values("quota").unwrap(), ["1.5"]);
    assert_eq!(file.values("json").unwrap(), ["true"]);
    assert_eq!(file.values("t").unwrap(), ["a=test"]);
    assert_eq!(file.values("other"), None);
}

#[test]
fn file_is_named_by_the_flag_before_the_variable_and_not_after_the_dashes() {
    let named = |line: &str, variable: Option<&str>| file_named(&words(line), variable.map(OsString::from));
    assert_eq!(named("dashvault serve --config a.toml", Some("b.toml")), Some("a.toml".into()));
    assert_eq!(named("dashvault serve --config=a.toml", None), Some("a.toml".into()));
    assert_eq!(named("dashvault serve", Some("b.toml")), Some("b.toml".into()));
    assert_eq!(named("dashvault run -- ssh --config x", None), None);
    assert_eq!(named("dashvault serve", Some("")), None);
}

#[test]
fn text_that_is_not_toml_is_refused_with_its_line() {
    let said = ConfigFile::parse(Path::new("t.toml"), "a = 1\nb = = 2").unwrap_err().to_string();
    assert!(said.contains("t.toml is not TOML") && said.contains("line 2"), "{said}");
}

#[test]
fn mistyped_secrets_are_not_repeated() {
    let words = words("dashvault record --spool s --camera a=test --token dv1_hunter2");
    let said = cli::parse_with(&words, None).unwrap_err().to_string();
    assert!(said.contains("--token") && !said.contains("hunter2"), "{said}");
}

#[test]
fn every_help_has_an_example() {
    fn check(command: &Command, path: &str) {
        let path = format!("{path} {}", command.get_name());
        if command.has_subcommands() {
            return command
                .get_subcommands()
                .filter(|c| c.get_name() != "help")
                .for_each(|c| check(c, &path));
        }
        let after = command.get_after_help().map(ToString::to_string).unwrap_or_default();
        assert!(after.contains("Example") && after.contains("dashvault "), "{path} has no example");
        assert!(command.get_about().is_some(), "{path} has no description");
    }
    check(&cli::command(), "");
}
