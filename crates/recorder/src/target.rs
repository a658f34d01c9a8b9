//! Where footage goes: the vault's HTTP address and the live SRT address, parsed.
//!
//! Belongs here: the two kinds of address and what is wrong with one. Not here: connecting to them.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer};

/// The vault's HTTP address: `http://HOST[:PORT][/BASE]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VaultUrl {
    host: String,
    port: u16,
    base: String,
}

/// Why an address is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TargetError {
    /// TLS ends elsewhere.
    #[error(
        "{0:?} uses TLS, which this recorder does not speak itself; put a TLS-terminating proxy or a VPN in front and give its http:// address"
    )]
    Tls(String),
    /// Not an address of this kind.
    #[error("{text:?} must be {form}")]
    Form {
        /// The text, its secrets left out.
        text: String,
        /// What it should look like.
        form: &'static str,
    },
    /// A parameter of the SRT address is not valid.
    #[error("srt parameter {key} {problem}")]
    Parameter {
        /// Which.
        key: &'static str,
        /// What is wrong.
        problem: &'static str,
    },
}

const HTTP_FORM: &str = "http://HOST[:PORT][/BASE]";
const SRT_FORM: &str = "srt://HOST:PORT[?streamid=…&passphrase=…&pbkeylen=16|32&latency=MS]";

impl VaultUrl {
    /// The host, without brackets.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The port.
    #[must_use]
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// The path that all paths are below; empty for none.
    #[must_use]
    pub fn base(&self) -> &str {
        &self.base
    }

    /// A path below the address's base.
    #[must_use]
    pub fn path(&self, path: &str) -> String {
        format!("{}{path}", self.base)
    }

    /// The value of the `Host` header.
    #[must_use]
    pub fn authority(&self) -> String {
        authority(&self.host, self.port)
    }
}

impl FromStr for VaultUrl {
    type Err = TargetError;

    fn from_str(text: &str) -> Result<Self, TargetError> {
        let refused = || TargetError::Form { text: text.chars().take(80).collect(), form: HTTP_FORM };
        if text.starts_with("https://") {
            return Err(TargetError::Tls(text.chars().take(80).collect()));
        }
        let rest = text.strip_prefix("http://").ok_or_else(refused)?;
        let (authority, base) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
        let (host, port) = host_and_port(authority, Some(80)).ok_or_else(refused)?;
        if base.contains(['?', '#', ' ']) {
            return Err(refused());
        }
        Ok(Self { host, port, base: base.trim_end_matches('/').to_owned() })
    }
}

impl fmt::Display for VaultUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "http://{}{}", self.authority(), self.base)
    }
}

/// Where live goes. Its `Debug` and `Display` hide the passphrase and the stream id.
#[derive(Clone, PartialEq, Eq)]
pub struct SrtTarget {
    /// The host, without brackets.
    pub host: String,
    /// The port.
    pub port: u16,
    /// The stream id to send as it is; none: the recorder's own, proved with its token.
    pub stream_id: Option<String>,
    /// The passphrase, 10 to 79 bytes.
    pub passphrase: Option<String>,
    /// The key's length in bytes: 16 or 32.
    pub key_bytes: u8,
    /// SRT's latency in milliseconds.
    pub latency_ms: u32,
}

impl SrtTarget {
    /// `HOST:PORT`, as a resolver takes it.
    #[must_use]
    pub fn authority(&self) -> String {
        authority(&self.host, self.port)
    }
}

impl FromStr for SrtTarget {
    type Err = TargetError;

    fn from_str(text: &str) -> Result<Self, TargetError> {
        let rest = text.strip_prefix("srt://").unwrap_or(text);
        let (address, query) = rest.split_once('?').unwrap_or((rest, ""));
        let address = address.trim_end_matches('/');
        let refused = || TargetError::Form { text: address.chars().take(80).collect(), form: SRT_FORM };
        let (host, port) = host_and_port(address, None).ok_or_else(refused)?;
        let mut target =
            Self { host, port, stream_id: None, passphrase: None, key_bytes: 16, latency_ms: 1000 };
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            let (key, value) = pair.split_once('=').ok_or_else(refused)?;
            target.set(key, percent_decoded(value).ok_or_else(refused)?)?;
        }
        Ok(target)
    }
}

impl SrtTarget {
    fn set(&mut self, key: &str, value: String) -> Result<(), TargetError> {
        let wrong = |key, problem| TargetError::Parameter { key, problem };
        match key {
            "streamid" if value.len() > 512 => return Err(wrong("streamid", "is longer than 512 bytes")),
            "streamid" => self.stream_id = Some(value),
            "passphrase" if !(10..=79).contains(&value.len()) => {
                return Err(wrong("passphrase", "must have 10 to 79 characters"));
            }
            "passphrase" => self.passphrase = Some(value),
            "pbkeylen" => {
                self.key_bytes = match value.as_str() {
                    "0" | "16" => 16,
                    "32" => 32,
                    _ => return Err(wrong("pbkeylen", "must be 16 or 32")),
                }
            }
            "latency" => {
                let parsed = value.parse().ok().filter(|ms| (20..=60_000).contains(ms));
                self.latency_ms = parsed.ok_or(wrong("latency", "must be 20 to 60000 milliseconds"))?;
            }
            "mode" if value != "caller" => return Err(wrong("mode", "must be caller")),
            // What other programs put there (transtype, pkt_size, …) says nothing that we need.
            _ => {}
        }
        Ok(())
    }
}

impl fmt::Display for SrtTarget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "srt://{}", self.authority())
    }
}

impl fmt::Debug for SrtTarget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let encrypted = if self.passphrase.is_some() { ", encrypted" } else { "" };
        write!(f, "{self} (latency {} ms{encrypted})", self.latency_ms)
    }
}

fn authority(host: &str, port: u16) -> String {
    if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") }
}

fn host_and_port(text: &str, default_port: Option<u16>) -> Option<(String, u16)> {
    let (host, port) = match text.strip_prefix('[') {
        Some(bracketed) => {
            let (host, rest) = bracketed.split_once(']')?;
            (host, rest.strip_prefix(':').or(rest.is_empty().then_some("")))
        }
        None => match text.rsplit_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (text, Some("")),
        },
    };
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b".-_:%".contains(&byte);
    if host.is_empty() || !host.bytes().all(allowed) {
        return None;
    }
    let port = match port? {
        "" => default_port?,
        port => port.parse().ok().filter(|port| *port != 0)?,
    };
    Some((host.to_owned(), port))
}

fn percent_decoded(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte == b'%' {
            let mut digit = || rest.next().and_then(|digit| (digit as char).to_digit(16));
            bytes.push(u8::try_from(digit()? * 16 + digit()?).ok()?);
        } else {
            bytes.push(byte);
        }
    }
    String::from_utf8(bytes).ok()
}

macro_rules! deserialize_from_text {
    ($name:ident) => {
        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
            }
        }
    };
}

deserialize_from_text!(VaultUrl);
deserialize_from_text!(SrtTarget);

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn vault_urls_keep_their_base_and_default_to_port_80() {
        let url: VaultUrl = "http://vault.example/dash/".parse().unwrap();
        assert_eq!((url.host(), url.port(), url.path("/x").as_str()), ("vault.example", 80, "/dash/x"));
        let url: VaultUrl = "http://[::1]:8080".parse().unwrap();
        assert_eq!((url.host(), url.authority().as_str()), ("::1", "[::1]:8080"));
    }

    #[test]
    fn https_is_refused_with_what_to_do() {
        let error = "https://vault".parse::<VaultUrl>().unwrap_err();
        assert!(error.to_string().contains("proxy"), "{error}");
        assert!("vault:8080".parse::<VaultUrl>().is_err());
    }

    #[test]
    fn srt_targets_take_their_parameters_and_hide_secrets() {
        let target: SrtTarget =
            "srt://h:8890?streamid=publish%3Aa/b&passphrase=0123456789&pbkeylen=32&latency=200&pkt_size=1316"
                .parse()
                .unwrap();
        assert_eq!(target.stream_id.as_deref(), Some("publish:a/b"));
        assert_eq!((target.key_bytes, target.latency_ms), (32, 200));
        assert!(!format!("{target:?} {target}").contains("0123456789"));
    }

    #[test]
    fn bad_srt_parameters_are_named() {
        for (text, key) in [
            ("srt://h:1?passphrase=short", "passphrase"),
            ("srt://h:1?pbkeylen=24", "pbkeylen"),
            ("srt://h:1?latency=0", "latency"),
            ("srt://h:1?mode=listener", "mode"),
        ] {
            assert!(text.parse::<SrtTarget>().unwrap_err().to_string().contains(key), "{text}");
        }
        assert!("srt://h".parse::<SrtTarget>().is_err());
        assert!("127.0.0.1:8890".parse::<SrtTarget>().is_ok());
    }

    proptest! {
        #[test]
        fn no_text_panics(text in "(srt://|http://)?\\PC{0,60}") {
            let _ = text.parse::<SrtTarget>();
            let _ = text.parse::<VaultUrl>();
        }
    }
}
