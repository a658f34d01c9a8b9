//! The TOML file of `--config`: its keys, and its values as the text that a flag would carry.

use std::path::{Path, PathBuf};

use toml::{Table, Value};

use crate::failure::{Failure, OrNext};

/// A read and parsed configuration file.
#[derive(Debug)]
pub(crate) struct ConfigFile {
    path: PathBuf,
    table: Table,
}

impl ConfigFile {
    /// Reads and parses `path`.
    ///
    /// # Errors
    /// A [`Failure`] that names the file and, where it is not TOML, the line.
    pub(crate) fn read(path: &Path) -> Result<Self, Failure> {
        let text = std::fs::read_to_string(path).or_next(
            format!("read the configuration file {}", path.display()),
            "check the path after --config (or in DASHVAULT_CONFIG)",
        )?;
        let file = Self::parse(path, &text)?;
        file.warn_if_secrets_are_readable();
        Ok(file)
    }

    pub(crate) fn parse(path: &Path, text: &str) -> Result<Self, Failure> {
        let table = text.parse().map_err(|error| {
            Failure::usage(format_args!("{} is not TOML: {error}", path.display())).next(
                "write one `key = value` a line, text in \"quotes\"; see docs/reference/configuration.md",
            )
        })?;
        Ok(Self { path: path.to_owned(), table })
    }

    /// Refuses keys that no command knows, and keys that are not of `record` or `serve` in their files.
    ///
    /// # Errors
    /// A [`Failure`] that names the key and the nearest one that exists.
    pub(crate) fn check_keys(&self, command: &str, own: &[String], every: &[String]) -> Result<(), Failure> {
        // The long-running commands are strict; the others may be pointed at a recorder's file.
        let strict = matches!(command, "serve" | "record");
        for key in self.table.keys() {
            let known = if strict { own } else { every };
            if known.contains(key) {
                continue;
            }
            return Err(self.unknown_key(key, command, own, every));
        }
        Ok(())
    }

    /// The values of `key` as the words a flag would carry; `None` where the file does not have it.
    pub(crate) fn values(&self, key: &str) -> Option<Vec<String>> {
        Some(match self.table.get(key)? {
            Value::Array(items) => items.iter().map(word).collect(),
            // [camera] front = "test" is camera = ["front=test"].
            Value::Table(pairs) => {
                pairs.iter().map(|(name, value)| format!("{name}={}", word(value))).collect()
            }
            value => vec![word(value)],
        })
    }

    /// Where it was read.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    fn unknown_key(&self, key: &str, command: &str, own: &[String], every: &[String]) -> Failure {
        let path = self.path.display();
        if every.iter().any(|known| known == key) {
            return Failure::usage(format_args!("{path}: `{key}` is not a key of `dashvault {command}`"))
                .next(format!("remove the line, or see `dashvault {command} --help` for its keys"));
        }
        let near =
            own.iter().min_by_key(|known| distance(known, key)).filter(|known| distance(known, key) <= 3);
        let next = near.map_or_else(
            || format!("the keys are: {}", own.join(", ")),
            |near| format!("did you mean `{near}`? The keys are: {}", own.join(", ")),
        );
        Failure::usage(format_args!("{path}: unknown key `{key}`")).next(next)
    }

    #[cfg(unix)]
    fn warn_if_secrets_are_readable(&self) {
        use std::os::unix::fs::PermissionsExt;
        let secret = ["token", "passphrase", "admin_token"].iter().find(|key| self.table.contains_key(**key));
        let open = std::fs::metadata(&self.path).is_ok_and(|meta| meta.permissions().mode() & 0o077 != 0);
        if let (Some(key), true) = (secret, open) {
            let path = self.path.display();
            eprintln!("warning: {path} holds a {key} and others can read it; run: chmod 600 {path}");
        }
    }

    #[cfg(not(unix))]
    fn warn_if_secrets_are_readable(&self) {}
}

fn word(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Integer(number) => number.to_string(),
        Value::Float(number) => number.to_string(),
        Value::Boolean(flag) => flag.to_string(),
        Value::Datetime(time) => time.to_string(),
        // No flag takes such a thing: its own parser refuses what comes of it, with its name.
        Value::Array(_) | Value::Table(_) => "[…]".to_owned(),
    }
}

/// Levenshtein's distance, for "did you mean".
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, from) in a.chars().enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], i + 1);
        for (j, to) in b.iter().enumerate() {
            let substituted = diagonal + usize::from(from != *to);
            diagonal = row[j + 1];
            row[j + 1] = substituted.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[b.len()]
}
