//! Makes calls to one listener, one after the other.
//!
//! What does not belong here: the calls themselves (`call`), how long to pause (`redial`).

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use super::call::{Call, CallEnd};
use super::redial::Redial;
use super::vigil::VigilConfig;
use crate::{Caller, CallerConfig, ConnectError};

/// A resolver that takes longer is not waited for.
const RESOLVE: Duration = Duration::from_secs(2);

/// Calls one listener by its name.
#[derive(Debug)]
pub struct Dialler {
    host: String,
    port: u16,
    config: CallerConfig,
    vigil: VigilConfig,
    /// What the name last resolved to: names may not resolve while the network is away.
    known: Vec<SocketAddr>,
    /// Which of them is tried next.
    turn: usize,
    redial: Redial,
    pause: Duration,
}

impl Dialler {
    /// A dialler that has not called yet.
    pub fn new(host: String, port: u16, config: CallerConfig, vigil: VigilConfig) -> Self {
        let (known, redial) = (Vec::new(), Redial::default());
        Self { host, port, config, vigil, known, turn: 0, redial, pause: Duration::ZERO }
    }

    /// What the next calls are made with.
    pub fn set_caller(&mut self, config: CallerConfig) {
        self.config = config;
    }

    /// Calls once. Of several addresses of the name, the next one has its turn after each failure.
    ///
    /// # Errors
    /// [`ConnectError`]; [`pause`](Self::pause) says when to try again.
    ///
    /// # Cancel safety
    /// A dropped future ends the attempt.
    pub async fn dial(&mut self) -> Result<Call, ConnectError> {
        let config = self.config.clone();
        let connected = match self.resolve().await {
            Ok(peer) => Caller::connect(peer, config.clone()).await,
            Err(error) => Err(error),
        };
        match connected {
            Ok(caller) => {
                self.pause = Duration::ZERO;
                Ok(Call::new(caller, config, self.vigil))
            }
            Err(error) => {
                self.pause = self.redial.failed(&error);
                self.turn = self.turn.wrapping_add(1);
                Err(error)
            }
        }
    }

    /// A call is over.
    pub fn ended(&mut self, lasted: Duration, end: &CallEnd) {
        self.pause = self.redial.ended(lasted, matches!(end, CallEnd::Closed(_)));
    }

    /// How long to wait before the next call, after what came last. Whoever has many lines shortens it by chance.
    pub fn pause(&self) -> Duration {
        self.pause
    }

    async fn resolve(&mut self) -> Result<SocketAddr, ConnectError> {
        let lookup = tokio::time::timeout(RESOLVE, tokio::net::lookup_host((self.host.as_str(), self.port)));
        let found = match lookup.await {
            Ok(Ok(addresses)) => Ok(addresses.collect::<Vec<_>>()),
            Ok(Err(error)) => Err(error),
            Err(_) => Err(io::ErrorKind::TimedOut.into()),
        };
        let source: io::Error = match found {
            Ok(addresses) => {
                self.known = addresses;
                io::ErrorKind::NotFound.into()
            }
            Err(error) => error,
        };
        let turn = self.turn.checked_rem(self.known.len()).unwrap_or(0);
        self.known.get(turn).copied().ok_or_else(|| ConnectError::Resolve { host: self.host.clone(), source })
    }
}
