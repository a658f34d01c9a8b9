//! A caller that waits for the application's answer.
//!
//! Keys are derived here, off the worker's thread and off the runtime's: it takes some 2 ms.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::oneshot;
use tracing::{info, warn};

use super::shown::shown;
use super::{Command, ListenerConfig, Mailbox};
use crate::core::SocketId;
use crate::core::crypto::{KeyError, ReceiveKeys};
use crate::{Connection, Passphrase, RejectCode, RejectReason};

/// A caller that waits for an answer (3 s at most); dropped without one, it is refused with
/// [`RejectReason::Unavailable`].
#[derive(Debug)]
pub struct Request {
    pub(super) id: SocketId,
    pub(super) peer: SocketAddr,
    pub(super) stream_id: Arc<str>,
    pub(super) key_message: Option<Vec<u8>>,
    pub(super) latency: Duration,
    pub(super) config: Arc<ListenerConfig>,
    /// `None` once answered.
    pub(super) mailbox: Option<Mailbox>,
}

impl Request {
    /// The caller's address.
    pub fn peer(&self) -> SocketAddr {
        self.peer
    }

    /// What it asks for, untrusted; empty when it said nothing.
    pub fn stream_id(&self) -> &str {
        &self.stream_id
    }

    /// Whether it wants to encrypt (the passphrase is checked by [`accept`](Self::accept)).
    pub fn encrypted(&self) -> bool {
        self.key_message.is_some()
    }

    /// The latency that both sides would agree on.
    pub fn latency(&self) -> Duration {
        self.latency
    }

    /// Takes the caller, with the listener's passphrase.
    ///
    /// # Errors
    /// [`AcceptError`]; the caller has been told already.
    ///
    /// # Cancel safety
    /// When the future is dropped, the caller is refused or its connection closed.
    pub async fn accept(self) -> Result<Connection, AcceptError> {
        let passphrase = self.config.passphrase.clone();
        self.accept_with(passphrase).await
    }

    /// Takes the caller, with a passphrase of its own: what the listener's configuration says is set aside.
    ///
    /// With a passphrase, a caller that does not encrypt is refused, but where the configuration allows plaintext;
    /// without one, a caller that does.
    ///
    /// # Errors
    /// [`AcceptError`]; the caller has been told already.
    ///
    /// # Cancel safety
    /// As of [`accept`](Self::accept).
    pub async fn accept_with(mut self, passphrase: Option<Passphrase>) -> Result<Connection, AcceptError> {
        let keys = match (self.key_message.take(), passphrase) {
            (Some(message), Some(passphrase)) => Some(self.open(passphrase, message).await?),
            (None, None) => None,
            (None, Some(_)) if self.config.allow_plaintext => None,
            (Some(_), None) | (None, Some(_)) => {
                self.answer_no(RejectCode::UNSECURE);
                return Err(AcceptError::Unsecure);
            }
        };
        let mailbox = self.mailbox.clone().ok_or(AcceptError::Gone)?;
        let (answer, answered) = oneshot::channel();
        let (id, stream_id) = (self.id, Arc::clone(&self.stream_id));
        let command = Command::Accept { id, stream_id, keys: keys.map(Box::new), answer };
        if !mailbox.give(command).await {
            return Err(AcceptError::Gone);
        }
        self.mailbox = None;
        answered.await.unwrap_or(Err(AcceptError::Gone))
    }

    /// Refuses the caller.
    pub fn reject(mut self, reason: RejectReason) {
        self.answer_no(reason.code());
    }

    async fn open(&mut self, passphrase: Passphrase, message: Vec<u8>) -> Result<ReceiveKeys, AcceptError> {
        let opening = tokio::task::spawn_blocking(move || ReceiveKeys::open(&passphrase, &message));
        match opening.await {
            Ok(Ok(keys)) => Ok(keys),
            Ok(Err(KeyError::WrongPassphrase)) => {
                warn!(peer = %self.peer, stream_id = shown(&self.stream_id), "SRT caller has the wrong passphrase");
                self.answer_no(RejectCode::BAD_SECRET);
                Err(AcceptError::WrongPassphrase)
            }
            Ok(Err(error)) => {
                warn!(peer = %self.peer, stream_id = shown(&self.stream_id), %error, "SRT caller's key message is of no use");
                self.answer_no(RejectCode::BAD_SECRET);
                Err(AcceptError::WrongPassphrase)
            }
            // The runtime is ending.
            Err(_) => Err(AcceptError::Gone),
        }
    }

    fn answer_no(&mut self, code: RejectCode) {
        if let Some(mailbox) = self.mailbox.take() {
            info!(peer = %self.peer, stream_id = shown(&self.stream_id), code = code.0, "SRT caller refused");
            // With a full mailbox the request times out instead: the caller is not let in either way.
            mailbox.try_give(Command::Reject { id: self.id, code });
        }
    }

    /// The worker has answered itself.
    pub(super) fn forget(mut self) {
        self.mailbox = None;
    }
}

impl Drop for Request {
    fn drop(&mut self) {
        self.answer_no(RejectReason::Unavailable.code());
    }
}

/// Why an accepted request did not become a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AcceptError {
    /// The caller's passphrase is not ours.
    #[error("the caller's passphrase is wrong")]
    WrongPassphrase,
    /// Only one side has a passphrase.
    #[error("only one side has a passphrase")]
    Unsecure,
    /// The caller did not wait, or the listener has stopped.
    #[error("the caller is gone")]
    Gone,
}
