//! Can the vault be reached: over HTTP by its health, over UDP by a real SRT handshake? Does it know our token?
//!
//! A vault that refuses our stream id has answered, and so is reachable.

use std::time::Duration;

use dashvault_base::{Clock, DeviceId, RecordingId, SystemClock};
use dashvault_srt::{Caller, CallerConfig, ConnectError, Encryption, KeySize, Passphrase, SrtUrl};
use dashvault_wire::{
    AnnounceRequest, DeviceToken, StreamId,
    paths::{ANNOUNCE, HEALTH, PROTOCOL},
};

use super::Check;
use crate::http::{get, post_json};

const PATIENCE: Duration = Duration::from_secs(5);
/// A stream id that no vault accepts: it names no recording.
const KNOCK: &str = "publish:doctor";

/// Asks the vault for its health.
pub(super) async fn http(vault: Option<&str>) -> Check {
    const NAME: &str = "vault HTTP";
    let Some(vault) = vault else {
        return Check::warn(NAME, "not checked", "give --vault http://HOST:PORT");
    };
    let Some((authority, base)) = authority(vault) else {
        return Check::fail(NAME, format!("{vault} is not http://HOST[:PORT][/BASE]"), "correct --vault");
    };
    let path = format!("{base}{HEALTH}");
    let asked = tokio::time::timeout(PATIENCE, get(&authority, &path)).await;
    match asked.map(|answer| answer.map(|(status, _)| status)) {
        Err(_) => Check::fail(NAME, format!("no answer from {authority} in {PATIENCE:?}"), firewall("TCP")),
        Ok(Err(error)) => Check::fail(NAME, format!("{authority}: {error}"), firewall("TCP")),
        Ok(Ok(200)) => Check::ok(NAME, format!("{authority} is healthy")),
        Ok(Ok(0)) => {
            Check::fail(NAME, format!("{authority} does not speak HTTP"), "check the port of --vault")
        }
        Ok(Ok(503)) => Check::fail(NAME, format!("{authority} is there but not well"), "see the vault's log"),
        Ok(Ok(status)) => Check::fail(
            NAME,
            format!("{authority} answers {status}: not a vault"),
            "check host, port and base of --vault",
        ),
    }
}

/// Announces nothing with the device's token, and sees whether that is taken.
pub(super) async fn token(token: &str, vault: Option<&str>) -> Check {
    const NAME: &str = "token";
    let token = match token.parse::<DeviceToken>() {
        Ok(token) => token,
        Err(error) => return Check::fail(NAME, error.to_string(), "correct it; it is not shown here"),
    };
    let Some((authority, base)) = vault.and_then(authority) else {
        return Check::warn(NAME, "is a token, but the vault was not asked", "give --vault http://HOST:PORT");
    };
    let nothing = AnnounceRequest { protocol: PROTOCOL, ..AnnounceRequest::default() };
    let body = serde_json::to_string(&nothing).unwrap_or_default();
    let path = format!("{base}{ANNOUNCE}");
    let asked = tokio::time::timeout(PATIENCE, post_json(&authority, &path, &token.bearer(), &body)).await;
    match asked.map(|answer| answer.map(|(status, _)| status)) {
        Ok(Ok(200)) => Check::ok(NAME, format!("{authority} takes it")),
        Ok(Ok(401 | 403)) => Check::fail(
            NAME,
            format!("{authority} does not know it, or the device is revoked"),
            "see `dashvault device list` at the vault; add the device there, or give its token here",
        ),
        Ok(Ok(status)) => Check::warn(
            NAME,
            format!("{authority} answers {status} to an announcement"),
            "see the vault's log; vault and recorder may be of different versions",
        ),
        Ok(Err(_)) | Err(_) => {
            Check::warn(NAME, "is a token, but the vault cannot be asked", "see the check of vault HTTP")
        }
    }
}

/// What is known for a knock that a vault lets in: it looks at the passphrase only then.
#[derive(Debug, Default)]
pub(super) struct Knock {
    pub(super) device: Option<DeviceId>,
    pub(super) token: Option<String>,
    /// As `--camera` has it.
    pub(super) camera: Option<String>,
    pub(super) passphrase: Option<String>,
}

impl Knock {
    /// A stream id that the vault accepts, for a recording that will have nothing in it.
    fn stream_id(&self) -> Option<String> {
        let token: DeviceToken = self.token.as_ref()?.parse().ok()?;
        let camera = self.camera.as_ref()?.split('=').next()?.parse().ok()?;
        let recording = RecordingId::at(SystemClock.wall());
        let id = StreamId::proved(&token.live_key(), self.device.clone()?, camera, recording);
        Some(id.reveal())
    }
}

/// Says hello over SRT.
pub(super) async fn srt(target: Option<&str>, knock: &Knock) -> Check {
    const NAME: &str = "vault SRT";
    let Some(target) = target else {
        return Check::warn(NAME, "not checked", "give --srt srt://HOST:PORT");
    };
    let url: SrtUrl = match target.parse() {
        Ok(url) => url,
        Err(error) => return Check::fail(NAME, format!("{target}: {error}"), "correct --srt"),
    };
    let at = format!("{}:{}", url.host, url.port);
    let mut config: CallerConfig = url.caller_config();
    let proven = url.stream_id.clone().or_else(|| knock.stream_id());
    let knows_secret = config.encryption.is_some() || knock.passphrase.is_some();
    if let (None, Some(secret)) = (&config.encryption, &knock.passphrase) {
        match Passphrase::new(secret.as_str()) {
            Ok(passphrase) => {
                config.encryption = Some(Encryption { passphrase, key_size: KeySize::default() })
            }
            Err(error) => return Check::fail(NAME, error.to_string(), "correct --passphrase"),
        }
    }
    config.stream_id = proven.clone().unwrap_or_else(|| KNOCK.to_owned());
    config.connect_timeout = PATIENCE;
    match Caller::connect_url(&url, config).await {
        Ok(caller) => {
            caller.close(Duration::ZERO).await;
            let takes = if knows_secret { " and takes the passphrase" } else { "" };
            Check::ok(NAME, format!("{at} answers{takes}"))
        }
        Err(ConnectError::Rejected { code, .. }) => {
            answered(NAME, &at, (code.0, &code.to_string()), proven.is_some(), knows_secret)
        }
        Err(error @ ConnectError::Crypto { .. }) => {
            Check::fail(NAME, format!("{at} refuses the passphrase: {error}"), SAME_PASSPHRASE)
        }
        Err(error @ (ConnectError::Resolve { .. } | ConnectError::Config { .. })) => {
            Check::fail(NAME, error.to_string(), "correct --srt")
        }
        Err(error) => Check::fail(NAME, error.to_string(), firewall("UDP")),
    }
}

const SAME_PASSPHRASE: &str = "vault and recorder must have the same passphrase: srt://…?passphrase=…, or passphrase in the recorder's file";

fn answered(name: &str, at: &str, (code, told): (u32, &str), proven: bool, knows_secret: bool) -> Check {
    match code {
        1010 => Check::fail(name, format!("{at} refuses the passphrase: {told}"), SAME_PASSPHRASE),
        1011 => Check::fail(name, format!("{at} answers: {told}"), SAME_PASSPHRASE),
        _ if proven => Check::fail(
            name,
            format!("{at} answers, and refuses the stream id: {told}"),
            "check device and token (`dashvault device list` at the vault), or the streamid of --srt",
        ),
        _ if knows_secret => Check::warn(
            name,
            format!("{at} answers; whether it takes the passphrase is not known ({told})"),
            "give --device, --token and --camera: a vault looks at the passphrase of those only that it lets in",
        ),
        _ => Check::ok(name, format!("{at} answers (it refused our knock, as it should: {told})")),
    }
}

fn firewall(protocol: &str) -> String {
    format!("check that the vault runs, the address is right, and no firewall is between ({protocol})")
}

/// `host:port` and base of `http://host[:port][/base]`.
fn authority(url: &str) -> Option<(String, String)> {
    let rest = url.strip_prefix("http://")?;
    let (host, base) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let has_port = host.rsplit_once(':').is_some_and(|(_, port)| port.parse::<u16>().is_ok());
    let host = if has_port { host.to_owned() } else { format!("{host}:80") };
    (!host.starts_with(':')).then(|| (host, base.trim_end_matches('/').to_owned()))
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncWriteExt;

    use super::*;
    use crate::doctor::Verdict;

    #[test]
    fn addresses_are_split() {
        assert_eq!(authority("http://v:8080/dash/"), Some(("v:8080".into(), "/dash".into())));
        assert_eq!(authority("http://v"), Some(("v:80".into(), String::new())));
        assert_eq!(authority("https://v"), None);
        assert_eq!(authority("http://:80"), None);
    }

    #[tokio::test]
    async fn nobody_there_is_a_failure_with_what_to_do() {
        // Bound and dropped: nobody listens there now.
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let check = http(Some(&format!("http://127.0.0.1:{port}"))).await;
        assert_eq!(check.verdict, Verdict::Fail);
        assert!(check.next.unwrap().contains("firewall"));
    }

    #[tokio::test]
    async fn something_that_is_no_vault_is_told_apart() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        let answer = async {
            let (mut stream, _) = listener.accept().await.unwrap();
            stream.write_all(b"SSH-2.0-OpenSSH\r\n").await.unwrap();
        };
        let url = format!("http://{addr}");
        let (check, ()) = tokio::join!(http(Some(&url)), answer);
        assert!(check.found.contains("does not speak HTTP"), "{check}");
    }
}
