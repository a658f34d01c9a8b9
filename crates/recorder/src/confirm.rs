//! Whether the vault takes this recorder for the device that it was told to be.
//!
//! Packs that were recorded without a device become this one's by being signed again under its name. Under a name that was
//! mistyped no vault would take them, so that waits for the vault's word, which is kept in the spool (`confirmed`).
//!
//! Belongs here: that file, and the question where footage waits for the answer. Not here: signing (`dashvault-spool`).

use std::fs;
use std::io;
use std::time::Duration;

use bytes::Bytes;
use dashvault_base::DeviceId;
use dashvault_wire::{AnnounceReply, AnnounceRequest, DeviceToken, paths};
use http_body_util::{BodyExt, Full, Limited};
use hyper::client::conn::http1;
use hyper::header::{AUTHORIZATION, CONTENT_TYPE, HOST};
use hyper::{Request, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::runtime::Builder;

use crate::config::RecorderConfig;
use crate::target::VaultUrl;

const FILE: &str = "confirmed";
/// How long a start waits for the vault's word, where footage waits for it.
const PATIENCE: Duration = Duration::from_secs(5);
const MAX_ANSWER_BYTES: usize = 1 << 20;

/// Why the vault has not confirmed the device.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NotConfirmed {
    #[error("no vault is given")]
    NoVault,
    #[error("the vault was not reached")]
    Unreachable(#[source] io::Error),
    #[error("the exchange with the vault failed")]
    Http(#[source] Box<dyn std::error::Error + Send + Sync>),
    #[error("the vault answered {0}")]
    Status(StatusCode),
    #[error("the vault says that the token is that of device {0}")]
    OtherDevice(DeviceId),
    #[error("the vault does not say which device the token is of; update it")]
    Silent,
}

/// Whether the vault has confirmed this device and token, at any time.
pub(crate) fn is_noted(config: &RecorderConfig) -> bool {
    let noted = fs::read_to_string(config.spool.join(FILE));
    matches!((noted, text(config)), (Ok(noted), Some(text)) if noted == text)
}

/// Keeps the vault's word. Where the disk has no room, it is asked again another time.
pub(crate) fn note(config: &RecorderConfig) {
    let Some(text) = text(config).filter(|_| !is_noted(config)) else { return };
    if let Err(error) = fs::write(config.spool.join(FILE), text) {
        tracing::debug!(%error, "the vault's word was not kept");
    }
}

/// Asks the vault, and keeps its word. Blocks for [`PATIENCE`] at most.
pub(crate) fn ask(config: &RecorderConfig) -> Result<(), NotConfirmed> {
    let (Some(url), Some(token)) = (&config.vault, &config.token) else { return Err(NotConfirmed::NoVault) };
    let ask = || {
        let runtime =
            Builder::new_current_thread().enable_all().build().map_err(NotConfirmed::Unreachable)?;
        let answer = runtime.block_on(async { tokio::time::timeout(PATIENCE, exchange(url, token)).await });
        answer.unwrap_or_else(|_| Err(NotConfirmed::Unreachable(io::ErrorKind::TimedOut.into())))
    };
    // The caller's thread may serve a runtime already.
    let asked = std::thread::scope(|scope| scope.spawn(ask).join());
    let reply = asked.unwrap_or_else(|_| Err(NotConfirmed::Unreachable(io::ErrorKind::Other.into())))?;
    match reply.device {
        Some(device) if device == config.device => {
            note(config);
            Ok(())
        }
        Some(other) => Err(NotConfirmed::OtherDevice(other)),
        None => Err(NotConfirmed::Silent),
    }
}

/// An announcement of nothing.
async fn exchange(url: &VaultUrl, token: &DeviceToken) -> Result<AnnounceReply, NotConfirmed> {
    let http = |error: Box<dyn std::error::Error + Send + Sync>| NotConfirmed::Http(error);
    let stream = TcpStream::connect((url.host(), url.port())).await.map_err(NotConfirmed::Unreachable)?;
    let handshake = http1::handshake(TokioIo::new(stream)).await;
    let (mut sender, connection) = handshake.map_err(|error| http(error.into()))?;
    // The request that its end fails has the error.
    tokio::spawn(async move { drop(connection.await) });
    let nothing = AnnounceRequest { protocol: paths::PROTOCOL, ..AnnounceRequest::default() };
    let body = serde_json::to_vec(&nothing).map_err(|error| http(error.into()))?;
    let request = Request::post(url.path(paths::ANNOUNCE))
        .header(HOST, url.authority())
        .header(AUTHORIZATION, format!("Bearer {}", token.bearer()))
        .header(CONTENT_TYPE, "application/json")
        .body(Full::new(Bytes::from(body)))
        .map_err(|error| http(error.into()))?;
    let response = sender.send_request(request).await.map_err(|error| http(error.into()))?;
    if !response.status().is_success() {
        return Err(NotConfirmed::Status(response.status()));
    }
    let body = Limited::new(response.into_body(), MAX_ANSWER_BYTES).collect().await.map_err(http)?;
    serde_json::from_slice(&body.to_bytes()).map_err(|error| http(error.into()))
}

/// What the file says. The hash of the bearer lets nobody in.
fn text(config: &RecorderConfig) -> Option<String> {
    let token = config.token.as_ref()?;
    Some(format!("{} {}\n", config.device, token.bearer_hash()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn word_of_the_vault_holds_for_one_device_and_one_token() {
        let folder = tempfile::tempdir().unwrap();
        let config = RecorderConfig {
            spool: folder.path().to_owned(),
            device: "bus-7".parse().unwrap(),
            token: Some(DeviceToken::from_random([1; 32])),
            ..RecorderConfig::default()
        };
        assert!(!is_noted(&config));
        note(&config);
        assert!(is_noted(&config));
        assert!(!is_noted(&RecorderConfig { device: "bus-8".parse().unwrap(), ..config.clone() }));
        let other = Some(DeviceToken::from_random([2; 32]));
        assert!(!is_noted(&RecorderConfig { token: other, ..config.clone() }));
        assert!(!is_noted(&RecorderConfig { token: None, ..config }));
    }
}
