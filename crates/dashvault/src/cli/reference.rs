//! `docs/reference/cli.md` and `docs/reference/configuration.md`, written from the code and checked against it.
//!
//! After a change of flags: `UPDATE_REFERENCE=1 cargo test -p dashvault reference`.

use std::{fmt::Write, path::Path};

use clap::{Arg, Command};

use super::command;
use crate::config::{key, variable};

const WRITTEN: &str =
    "<!-- Written by `UPDATE_REFERENCE=1 cargo test -p dashvault reference`; a test compares. -->";

#[test]
fn reference_of_the_command_line_is_up_to_date() {
    let mut text = format!("# The command line\n\n{WRITTEN}\n\n");
    text += "Flags of every command (`--config`, `--log-level`, …) stand at the end. A flag may be written\n\
        `--flag VALUE` or `--flag=VALUE`; a truth may be written alone (`--json`) or as `--json=false`.\n\n\
        Exit codes: 0 good; 1 done, and the answer is no (a pack is wrong, nothing was recorded, a check\n\
        failed); 2 wrong usage or configuration; 3 it cannot be done here. Footage lost while recording is no exit code: it\n\
        is warned of, and told by `dashvault status`. `dashvault run` ends with its command's code, 128 + N where signal N\n\
        ended it.\n";
    let whole = command();
    leaves(&whole, "dashvault", &mut |path, leaf| describe(path, leaf, &mut text));
    text += "\n## Everywhere\n\n";
    let any = whole.find_subcommand("verify").unwrap();
    table(any.get_arguments().filter(|arg| everywhere(arg)), &mut text);
    compare("cli.md", &text);
}

#[test]
fn reference_of_the_configuration_is_up_to_date() {
    let mut text = format!("# Configuration\n\n{WRITTEN}\n\n");
    text += "Each flag is also a key of the TOML file that `--config FILE` (or `DASHVAULT_CONFIG`) names, and a variable.\n\
        A flag beats a variable, a variable beats the file, the file beats the default. `--show-settings` prints what\n\
        holds and where it comes from.\n\n\
        - Values are written as the flag takes them: `\"64GiB\"`, `\"2m\"`, `\"2Mbit\"`; plain numbers and `true` need no quotes.\n\
        - A list (`camera`) is an array, or a table: `[camera]`, `front = \"test\"`. In a variable, `;` stands between.\n\
        - An unknown key is an error. `serve` and `record` take their own keys only; the other commands take any\n  \
        command's, so that `doctor`, `status` and `verify` can be pointed at a recorder's file.\n\
        - Some flags mean something else than the recorder's of the same name, and have keys of their own: `drain --for` is\n  \
        `drain_for`, `lock --camera` is `lock_camera`, `demo --json` is `demo_json`, `import --camera` and `--token` are\n  \
        `import_camera` and `import_token`.\n\
        - An empty variable counts as not set.\n\
        - Keep a file with a `token` or a `passphrase` readable by its user only (`chmod 600`).\n";
    let whole = command();
    for name in ["serve", "record"] {
        let leaf = whole.find_subcommand(name).unwrap();
        writeln!(
            text,
            "\n## `dashvault {name}`\n\n| key | variable | default | meaning |\n|---|---|---|---|"
        )
        .unwrap();
        for arg in leaf.get_arguments().filter(|arg| !["help", "config"].contains(&arg.get_id().as_str())) {
            let key = key(arg).unwrap();
            writeln!(text, "| `{key}` | `{}` | {} | {} |", variable(&key), default(arg), meaning(arg))
                .unwrap();
        }
    }
    compare("configuration.md", &text);
}

fn leaves(command: &Command, path: &str, each: &mut impl FnMut(&str, &Command)) {
    for inner in command.get_subcommands().filter(|inner| inner.get_name() != "help") {
        let path = format!("{path} {}", inner.get_name());
        if inner.has_subcommands() { leaves(inner, &path, each) } else { each(&path, inner) }
    }
}

fn describe(path: &str, leaf: &Command, text: &mut String) {
    writeln!(text, "\n## `{path}`\n\n{}.\n", leaf.get_about().unwrap()).unwrap();
    table(leaf.get_arguments().filter(|arg| !everywhere(arg)), text);
    writeln!(text, "\n```text\n{}\n```", leaf.get_after_help().unwrap()).unwrap();
}

fn table<'a>(args: impl Iterator<Item = &'a Arg>, text: &mut String) {
    text.push_str("| flag | default | meaning |\n|---|---|---|\n");
    for arg in args.filter(|arg| !["help", "version"].contains(&arg.get_id().as_str())) {
        let value = arg.get_value_names().map(|names| names.concat()).unwrap_or_default();
        let flag = match arg.get_long() {
            Some(long) if value == "BOOL" => format!("--{long}"),
            Some(long) => format!("--{long} {value}"),
            None => value,
        };
        writeln!(text, "| `{flag}` | {} | {} |", default(arg), meaning(arg)).unwrap();
    }
}

fn default(arg: &Arg) -> String {
    let values: Vec<_> = arg.get_default_values().iter().map(|value| value.to_string_lossy()).collect();
    match values.concat().as_str() {
        "" if arg.is_required_set() => "required".to_owned(),
        "" => "–".to_owned(),
        value => format!("`{value}`"),
    }
}

fn meaning(arg: &Arg) -> String {
    let mut text = arg.get_help().unwrap().to_string().replace('|', "\\|").replace('\n', " ");
    let possible = arg.get_possible_values();
    let named: Vec<String> = possible.iter().map(|value| format!("`{}`", value.get_name())).collect();
    if !named.is_empty() && arg.get_value_names().is_none_or(|names| names.concat() != "BOOL") {
        write!(text, ": {}", named.join(", ")).unwrap();
    }
    text
}

fn everywhere(arg: &Arg) -> bool {
    ["config", "log_level", "log_format", "show_settings"].contains(&arg.get_id().as_str())
}

fn compare(name: &str, text: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/reference").join(name);
    if std::env::var_os("UPDATE_REFERENCE").is_some() {
        std::fs::write(&path, text).unwrap();
    }
    let found = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        found == text,
        "{name} is not what the code says; run UPDATE_REFERENCE=1 cargo test -p dashvault reference"
    );
}
