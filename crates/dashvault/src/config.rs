//! One name, three spellings: every flag is a key of the TOML file and a `DASHVAULT_…` variable.
//!
//! Precedence is flag > variable > file > default, and it is clap's own: the variable becomes the
//! argument's `env`, the file's value becomes its default, so that whatever the source, a value is
//! parsed and refused by the same code. What belongs here is the layering; what a flag means is
//! said at the command that has it.
//!
//! Invariant: a flag without a key or variable cannot exist, because both are derived from it.

use std::{
    ffi::{OsStr, OsString},
    path::{Path, PathBuf},
};

use clap::{Arg, ArgAction, Command};

use crate::failure::Failure;

mod file;
pub(crate) mod settings;
#[cfg(test)]
mod tests;

pub(crate) use file::ConfigFile;

/// The flag that names the file; it is the only one that is no key.
const CONFIG: &str = "config";

/// The flags whose values must not be seen.
pub(crate) const SECRETS: [&str; 4] = ["token", "passphrase", "admin-token", "password"];

/// The variable of a key: `allow_anonymous` is `DASHVAULT_ALLOW_ANONYMOUS`.
pub(crate) fn variable(key: &str) -> String {
    format!("DASHVAULT_{}", key.to_ascii_uppercase())
}

/// The key of a flag: `--allow-anonymous` is `allow_anonymous`; positional arguments have none.
///
/// A flag that means something else than another command's of the same name gives itself a variable, and so a key.
pub(crate) fn key(arg: &Arg) -> Option<String> {
    let long = arg.get_long()?;
    let plain = matches!(arg.get_action(), ArgAction::Set | ArgAction::Append);
    let own = arg.get_env().and_then(OsStr::to_str).and_then(|name| name.strip_prefix("DASHVAULT_"));
    let key = || own.map_or_else(|| long.replace('-', "_"), str::to_ascii_lowercase);
    (plain && long != CONFIG).then(key)
}

/// Gives every flag of every command its variable; one that is set to nothing counts as not set.
pub(crate) fn with_variables(command: Command) -> Command {
    let empty = |name: &str| std::env::var_os(name).is_some_and(|value| value.is_empty());
    command
        .mut_args(|arg| {
            let key = key(&arg).or_else(|| arg.get_long().filter(|long| *long == CONFIG).map(str::to_owned));
            match key.map(|key| variable(&key)) {
                Some(name) if !empty(&name) => arg.env(name),
                _ => arg,
            }
        })
        .mut_subcommands(with_variables)
}

/// The command with the file's values as the defaults of the subcommand that `argv` names.
///
/// # Errors
/// A [`Failure`] when the file cannot be read or has a key that the command does not know.
pub(crate) fn with_file(command: Command, argv: &[OsString], file: &ConfigFile) -> Result<Command, Failure> {
    let every_key = keys_below(&command);
    apply(command, &subcommands(argv), file, &every_key)
}

/// Where the file is: `--config` before any `--`, else `DASHVAULT_CONFIG`.
pub(crate) fn file_named(argv: &[OsString], variable: Option<OsString>) -> Option<PathBuf> {
    let mut words = argv.iter().take_while(|word| *word != "--");
    while let Some(word) = words.next() {
        if word == "--config" {
            return words.next().map(PathBuf::from);
        }
        if let Some(path) = word.to_str().and_then(|word| word.strip_prefix("--config=")) {
            return Some(path.into());
        }
    }
    variable.filter(|path| !path.is_empty()).map(PathBuf::from)
}

/// The leading words of a command line, which are its subcommands.
fn subcommands(argv: &[OsString]) -> Vec<&OsStr> {
    argv.iter().skip(1).map(OsString::as_os_str).take_while(|word| !starts_with_dash(word)).collect()
}

fn starts_with_dash(word: &OsStr) -> bool {
    word.as_encoded_bytes().first() == Some(&b'-')
}

fn apply(
    command: Command,
    path: &[&OsStr],
    file: &ConfigFile,
    every_key: &[String],
) -> Result<Command, Failure> {
    let below =
        path.first().and_then(|name| name.to_str()).filter(|name| command.find_subcommand(name).is_some());
    if let Some(name) = below {
        let name = name.to_owned();
        let inner = command.find_subcommand(&name).cloned().unwrap_or_default();
        let inner = apply(inner, &path[1..], file, every_key)?;
        return Ok(command.mut_subcommand(name, |_| inner));
    }
    let own: Vec<String> = command.get_arguments().filter_map(key).collect();
    file.check_keys(command.get_name(), &own, every_key)?;
    Ok(command.mut_args(|arg| match key(&arg).and_then(|key| file.values(&key)) {
        Some(values) => arg.required(false).default_values(values),
        None => arg,
    }))
}

/// Every key of every command: a file may serve `record`, `status` and `doctor` alike.
fn keys_below(command: &Command) -> Vec<String> {
    let mut keys: Vec<String> = command.get_arguments().filter_map(key).collect();
    command.get_subcommands().for_each(|inner| keys.extend(keys_below(inner)));
    keys.sort();
    keys.dedup();
    keys
}

/// Hides what must not be seen in `--help`: values of secrets, from wherever they come.
pub(crate) fn hide_secrets(command: Command) -> Command {
    command
        .mut_args(|arg| match arg.get_long() {
            Some(long) if SECRETS.contains(&long) => arg.hide_env_values(true).hide_default_value(true),
            _ => arg,
        })
        .mut_subcommands(hide_secrets)
}

/// Reads the file that the command line or the environment names.
///
/// # Errors
/// A [`Failure`] that names the file and the line.
pub(crate) fn read_named(argv: &[OsString]) -> Result<Option<ConfigFile>, Failure> {
    let path = file_named(argv, std::env::var_os(variable(CONFIG)));
    path.map(|path: PathBuf| ConfigFile::read(Path::new(&path))).transpose()
}
