//! `srt://HOST:PORT?key=value&…`, as a live target is written.
//!
//! Keys: `streamid`, `passphrase`, `pbkeylen` (16, 24 or 32), `latency` (milliseconds, as srt-live-transmit has it; ffmpeg
//! has microseconds), and `mode=caller`, `transtype=live`, which say what is so anyway. A key that is not known is an
//! error, since a misspelt `passphrase` must not send in clear. `%XX` is decoded in values; all else is taken as it is,
//! also `#`, which stream ids begin with.

use std::fmt;
use std::net::SocketAddr;
use std::str::FromStr;
use std::time::Duration;

use crate::{CallerConfig, Encryption, KeySize, Passphrase};

/// A parsed SRT address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SrtUrl {
    /// Host name or address, without brackets.
    pub host: String,
    /// UDP port.
    pub port: u16,
    /// `streamid`.
    pub stream_id: Option<String>,
    /// `passphrase` and `pbkeylen`.
    pub encryption: Option<Encryption>,
    /// `latency`.
    pub latency: Option<Duration>,
}

impl SrtUrl {
    /// A caller's configuration with what the address says, and defaults else.
    pub fn caller_config(&self) -> CallerConfig {
        self.apply(CallerConfig::default())
    }

    /// Replaces in `config` what the address says.
    pub fn apply(&self, config: CallerConfig) -> CallerConfig {
        CallerConfig {
            stream_id: self.stream_id.clone().unwrap_or(config.stream_id),
            encryption: self.encryption.clone().or(config.encryption),
            latency: self.latency.unwrap_or(config.latency),
            ..config
        }
    }

    /// The addresses of the host.
    ///
    /// # Errors
    /// The resolver's, or `NotFound` when the name has no address.
    pub async fn resolve(&self) -> std::io::Result<Vec<SocketAddr>> {
        let found: Vec<_> = tokio::net::lookup_host((self.host.as_str(), self.port)).await?.collect();
        if found.is_empty() { Err(std::io::ErrorKind::NotFound.into()) } else { Ok(found) }
    }
}

/// Host and port only: secrets and stream ids stay out of logs.
impl fmt::Display for SrtUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "srt://[{}]:{}", self.host, self.port)
        } else {
            write!(f, "srt://{}:{}", self.host, self.port)
        }
    }
}

impl FromStr for SrtUrl {
    type Err = SrtUrlError;

    fn from_str(text: &str) -> Result<Self, SrtUrlError> {
        let rest = text.strip_prefix("srt://").ok_or(SrtUrlError::Scheme)?;
        let (authority, query) = rest.split_once('?').unwrap_or((rest, ""));
        let (host, port) = host_port(authority.strip_suffix('/').unwrap_or(authority))?;
        let mut url = Self { host, port, stream_id: None, encryption: None, latency: None };
        let mut passphrase = None;
        let mut key_size = None;
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            let (key, raw) = pair.split_once('=').unwrap_or((pair, ""));
            let bad = |why: &str| SrtUrlError::Value { key: key.to_owned(), why: why.to_owned() };
            let value = decode(raw).ok_or_else(|| bad("the percent-encoding is broken"))?;
            match key {
                "streamid" if value.len() > 512 => return Err(bad("longer than 512 bytes")),
                "streamid" => url.stream_id = Some(value),
                "passphrase" => passphrase = Some(Passphrase::new(value).map_err(|e| bad(&e.to_string()))?),
                "pbkeylen" => {
                    key_size = Some(parse_key_size(&value).ok_or_else(|| bad("16 or 32 is supported"))?)
                }
                "latency" => url.latency = Some(parse_latency(&value).ok_or_else(|| bad("1 to 65535 ms"))?),
                "mode" if value == "caller" => {}
                "transtype" if value == "live" => {}
                "mode" | "transtype" => return Err(bad("only a live caller is supported")),
                _ => return Err(SrtUrlError::UnknownKey { key: key.to_owned() }),
            }
        }
        url.encryption = match (passphrase, key_size) {
            (Some(passphrase), size) => Some(Encryption { passphrase, key_size: size.unwrap_or_default() }),
            (None, None) => None,
            (None, Some(_)) => {
                let why = "needs a passphrase".to_owned();
                return Err(SrtUrlError::Value { key: "pbkeylen".to_owned(), why });
            }
        };
        Ok(url)
    }
}

fn host_port(text: &str) -> Result<(String, u16), SrtUrlError> {
    let error = || SrtUrlError::HostPort { text: text.to_owned() };
    let (host, port) = text.rsplit_once(':').ok_or_else(error)?;
    let host = match host.strip_prefix('[') {
        Some(rest) => rest.strip_suffix(']').ok_or_else(error)?,
        None if host.contains(':') => return Err(error()),
        None => host,
    };
    let port: u16 = port.parse().map_err(|_| error())?;
    let plain = |c: char| !c.is_whitespace() && !matches!(c, '/' | '@' | '#' | '%');
    if host.is_empty() || port == 0 || !host.chars().all(plain) {
        return Err(error());
    }
    Ok((host.to_owned(), port))
}

fn parse_key_size(value: &str) -> Option<KeySize> {
    match value {
        "0" | "16" => Some(KeySize::Aes128),
        "24" => Some(KeySize::Aes192),
        "32" => Some(KeySize::Aes256),
        _ => None,
    }
}

fn parse_latency(value: &str) -> Option<Duration> {
    let ms: u16 = value.parse().ok()?;
    (ms > 0).then(|| Duration::from_millis(u64::from(ms)))
}

/// Decodes `%XX`; `None` where it is broken or gives no UTF-8.
fn decode(text: &str) -> Option<String> {
    let mut out = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        if byte != b'%' {
            out.push(byte);
            continue;
        }
        let high = char::from(bytes.next()?).to_digit(16)?;
        let low = char::from(bytes.next()?).to_digit(16)?;
        out.push(u8::try_from(high * 16 + low).ok()?);
    }
    String::from_utf8(out).ok()
}

/// Why an SRT address cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SrtUrlError {
    /// It does not begin with `srt://`.
    #[error("an SRT address begins with srt://")]
    Scheme,
    /// Host or port is missing or wrong.
    #[error("{text:?} is not HOST:PORT")]
    HostPort {
        /// What stands there.
        text: String,
    },
    /// A key that is not known here.
    #[error("unknown key {key:?}")]
    UnknownKey {
        /// The key.
        key: String,
    },
    /// A value that cannot be used.
    #[error("key {key:?}: {why}")]
    Value {
        /// The key.
        key: String,
        /// What is wrong (never the value).
        why: String,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<SrtUrl, SrtUrlError> {
        text.parse()
    }

    #[test]
    fn a_plain_address_has_host_and_port() {
        let url = parse("srt://vault.example:8890").unwrap();
        assert_eq!((url.host.as_str(), url.port), ("vault.example", 8890));
        assert_eq!((url.stream_id, url.encryption, url.latency), (None, None, None));
        assert_eq!(parse("srt://[::1]:9000/").unwrap().host, "::1");
        assert_eq!(parse("srt://[::1]:9000").unwrap().to_string(), "srt://[::1]:9000");
    }

    #[test]
    fn keys_are_read_and_values_decoded() {
        let url = parse(
            "srt://10.0.0.1:1234?mode=caller&streamid=#!::m=publish,r=a%2fb&passphrase=long%20enough!&pbkeylen=32&latency=2000",
        )
        .unwrap();
        assert_eq!(url.stream_id.as_deref(), Some("#!::m=publish,r=a/b"));
        let encryption = url.encryption.clone().unwrap();
        assert_eq!(encryption.key_size, KeySize::Aes256);
        assert_eq!(encryption.passphrase, Passphrase::new("long enough!").unwrap());
        let config = url.caller_config();
        assert_eq!(config.latency, Duration::from_secs(2));
        assert_eq!(config.stream_id, "#!::m=publish,r=a/b");
    }

    #[test]
    fn what_cannot_be_used_is_refused_and_says_where() {
        assert_eq!(parse("http://a:1"), Err(SrtUrlError::Scheme));
        for text in
            ["srt://", "srt://host", "srt://:1", "srt://h:0", "srt://h:99999", "srt://::1:5", "srt://u@h:5"]
        {
            assert!(matches!(parse(text), Err(SrtUrlError::HostPort { .. })), "{text}");
        }
        let key = |text: &str| match parse(text) {
            Err(SrtUrlError::Value { key, .. } | SrtUrlError::UnknownKey { key }) => key,
            other => panic!("{text}: {other:?}"),
        };
        assert_eq!(key("srt://h:1?pasphrase=long%20enough"), "pasphrase");
        assert_eq!(key("srt://h:1?passphrase=short"), "passphrase");
        assert_eq!(key("srt://h:1?latency=0"), "latency");
        assert_eq!(key("srt://h:1?pbkeylen=20&passphrase=long%20enough"), "pbkeylen");
        assert_eq!(key("srt://h:1?pbkeylen=16"), "pbkeylen");
        assert_eq!(key("srt://h:1?mode=listener"), "mode");
        assert_eq!(key("srt://h:1?streamid=%zz"), "streamid");
    }

    #[test]
    fn a_passphrase_is_never_printed() {
        let url = parse("srt://h:1?passphrase=very-secret-words").unwrap();
        assert!(!format!("{url:?} {url}").contains("very-secret-words"));
        let error = parse("srt://h:1?passphrase=secret").unwrap_err();
        assert!(!format!("{error:?} {error}").contains("\"secret\""));
    }
}
