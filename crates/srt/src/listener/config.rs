//! How a listener behaves.

use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::time::Duration;

use crate::core::{EncryptionPolicy, ListenerSettings, ReceiveSettings, Worker};
use crate::{DeliveryMode, Passphrase};

/// Beyond this, more workers cost more than they help.
const MOST_WORKERS: usize = 4;

/// How a [`Listener`](crate::Listener) behaves.
#[derive(Debug, Clone)]
pub struct ListenerConfig {
    /// Where to listen (default `0.0.0.0:8890`).
    pub addr: SocketAddr,
    /// How long a gap is held at most; a caller that asks for more gets more (default 3 s).
    pub latency: Duration,
    /// Connections and waiting requests at a time (default 256).
    pub max_connections: usize,
    /// A connection that sends nothing for this long is closed (default 5 s).
    pub peer_idle: Duration,
    /// Payload bytes that may wait for one consumer; beyond it the connection is closed (default 16 MiB).
    pub max_queued_bytes: usize,
    /// The secret that encrypting callers must have, with a key length of their choice.
    pub passphrase: Option<Passphrase>,
    /// With a passphrase: also take callers that do not encrypt.
    pub allow_plaintext: bool,
    /// Show the application every caller, whether it encrypts or not: it chooses the passphrase of each by
    /// [`Request::accept_with`](crate::Request::accept_with). Else a caller that encrypts although `passphrase` is
    /// `None`, or does not although there is one, is refused at once.
    pub passphrase_by_request: bool,
    /// Full acknowledgements go out at most this often (default 80 ms).
    pub ack_interval: Duration,
    /// Threads, each with a socket of its own; 0 (the default) is one for each core, up to four. Systems other than
    /// Linux have one.
    pub workers: usize,
    /// When payloads are delivered (default [`DeliveryMode::Hold`]).
    pub delivery: DeliveryMode,
    /// Callers that wait for the application's answer at a time (default 512).
    pub max_half_open: usize,
    /// Follow a peer to its new address when it proves that it is still itself (default true).
    pub migration: bool,
}

impl Default for ListenerConfig {
    fn default() -> Self {
        Self {
            addr: SocketAddr::from(([0, 0, 0, 0], 8890)),
            latency: Duration::from_secs(3),
            max_connections: 256,
            peer_idle: Duration::from_secs(5),
            max_queued_bytes: 16 << 20,
            passphrase: None,
            allow_plaintext: false,
            passphrase_by_request: false,
            ack_interval: Duration::from_millis(80),
            workers: 0,
            delivery: DeliveryMode::Hold,
            max_half_open: 512,
            migration: true,
        }
    }
}

impl ListenerConfig {
    pub(super) fn worker_count(&self) -> usize {
        match self.workers {
            0 => std::thread::available_parallelism().map_or(1, NonZeroUsize::get).min(MOST_WORKERS),
            count => count,
        }
    }

    /// The protocol's settings for one of the workers.
    pub(super) fn settings(&self, index: usize, count: usize) -> ListenerSettings {
        let encryption = match (self.passphrase_by_request, &self.passphrase) {
            (true, _) => EncryptionPolicy::Either,
            (false, Some(_)) if self.allow_plaintext => EncryptionPolicy::Either,
            (false, Some(_)) => EncryptionPolicy::Required,
            (false, None) => EncryptionPolicy::Refused,
        };
        ListenerSettings {
            receive: ReceiveSettings {
                latency: self.latency.clamp(Duration::from_millis(20), Duration::from_secs(60)),
                mode: self.delivery,
                ack_interval: self.ack_interval,
                ..ReceiveSettings::default()
            },
            peer_idle: self.peer_idle,
            max_connections: self.max_connections,
            max_half_open: self.max_half_open,
            encryption,
            worker: Worker {
                index: u32::try_from(index).unwrap_or(0),
                count: u32::try_from(count).unwrap_or(1),
            },
            migration: self.migration,
            ..ListenerSettings::default()
        }
    }
}
