//! `--show-settings`: every setting of a command as a line of TOML, with where it comes from.
//!
//! Invariant: a secret is never shown, only where it comes from.

use clap::{Arg, ArgMatches, Command, parser::ValueSource};

use super::{ConfigFile, SECRETS, key};

const FLAG: &str = "show_settings";

/// The settings of the command that `matches` leads to, where its `--show-settings` is on.
pub(crate) fn asked_for(
    command: &Command,
    matches: &ArgMatches,
    file: Option<&ConfigFile>,
) -> Option<String> {
    if let Some((name, inner)) = matches.subcommand() {
        return asked_for(command.find_subcommand(name)?, inner, file);
    }
    let asked = matches.try_get_one::<bool>(FLAG).ok().flatten().copied().unwrap_or(false);
    let settings = command.get_arguments().filter_map(|arg| setting(arg, matches, file));
    asked.then(|| settings.collect())
}

fn setting(arg: &Arg, matches: &ArgMatches, file: Option<&ConfigFile>) -> Option<String> {
    let key = key(arg).filter(|key| key != FLAG)?;
    let Some(source) = matches.value_source(arg.get_id().as_str()) else {
        return Some(format!("# {key} is not set\n"));
    };
    let source = match source {
        ValueSource::CommandLine => "flag",
        ValueSource::EnvVariable => "variable",
        _ if file.is_some_and(|file| file.values(&key).is_some()) => "file",
        _ => "default",
    };
    let secret = arg.get_long().is_some_and(|long| SECRETS.contains(&long));
    let values = matches.get_raw(arg.get_id().as_str()).into_iter().flatten();
    let values: Vec<String> = values
        .map(|value| if secret { "\"***\"".to_owned() } else { format!("{:?}", value.to_string_lossy()) })
        .collect();
    let value = if values.len() == 1 { values.concat() } else { format!("[{}]", values.join(", ")) };
    Some(format!("{key} = {value}  # {source}\n"))
}
