//! One connection under watch, and the second one that is tried beside it while it is silent.
//!
//! What does not belong here: when it is silent (`vigil`), which call follows (`dialler`).

use std::time::{Duration, Instant};

use tokio::task::JoinHandle;

use super::vigil::{Pulse, Vigil, VigilConfig};
use crate::{Caller, CallerConfig, CloseReason, ConnectError, SendStats};

/// A connection under way: a task of its own, that ends when it is dropped.
struct Dialling(JoinHandle<Result<Caller, ConnectError>>);

impl Drop for Dialling {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// A connection whose owner looks at it now and then, ten times a second or so.
pub struct Call {
    caller: Caller,
    /// What it was made with, and a second one would be.
    config: CallerConfig,
    limits: VigilConfig,
    vigil: Vigil,
    began: Instant,
    second: Option<Dialling>,
}

/// Why a call is over.
#[derive(Debug)]
pub enum CallEnd {
    /// SRT says so.
    Closed(CloseReason),
    /// Nothing was acknowledged for so long, and nothing heard.
    Dead(Duration),
    /// While there was no sign of life, a second connection came about.
    Replaced(Box<Call>),
}

impl Call {
    pub(super) fn new(caller: Caller, config: CallerConfig, limits: VigilConfig) -> Self {
        let began = Instant::now();
        Self { caller, config, limits, vigil: Vigil::new(began, limits), began, second: None }
    }

    /// The connection.
    pub fn caller(&self) -> &Caller {
        &self.caller
    }

    /// Judges the connection by its counters of now; begins and ends the attempt at a second one.
    pub fn look(&mut self, now: Instant, stats: &SendStats) -> Pulse {
        let pulse = self.vigil.look(now, stats);
        match pulse {
            Pulse::Sound => self.second = None,
            Pulse::Silent if self.second.is_none() => {
                let second = Caller::connect(self.caller.peer(), self.config.clone());
                self.second = Some(Dialling(tokio::spawn(second)));
            }
            Pulse::Silent | Pulse::Doubtful | Pulse::Dead { .. } => {}
        }
        pulse
    }

    /// Whether nothing should be sent, as of the last look.
    pub fn is_doubtful(&self) -> bool {
        self.vigil.pulse() != Pulse::Sound
    }

    /// How long nothing was heard although data was under way, as of the last look.
    pub fn silence(&self, now: Instant) -> Duration {
        self.vigil.silence(now)
    }

    /// How long it has been open.
    pub fn lasted(&self, now: Instant) -> Duration {
        now.saturating_duration_since(self.began)
    }

    /// Waits while the call is doubtful, until `next_look` at most: then it is to be looked at again.
    ///
    /// # Errors
    /// [`CallEnd`] when the second connection is open, or the first is closed.
    ///
    /// # Cancel safety
    /// May be dropped and called again.
    pub async fn sign(&mut self, next_look: Instant) -> Result<(), CallEnd> {
        let dials = self.second.is_some();
        let dialled = async {
            match &mut self.second {
                Some(dialling) => (&mut dialling.0).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = tokio::time::sleep_until(next_look.into()) => Ok(()),
            // The peer closes the old connection for the new one, perhaps before we hear of the new one.
            reason = self.caller.closed(), if !dials => Err(CallEnd::Closed(reason)),
            dialled = dialled => {
                self.second = None;
                match dialled {
                    Ok(Ok(caller)) => {
                        let next = Self::new(caller, self.config.clone(), self.limits);
                        Err(CallEnd::Replaced(Box::new(next)))
                    }
                    // The next look begins another.
                    Ok(Err(_)) | Err(_) => Ok(()),
                }
            }
        }
    }

    /// Waits until everything is acknowledged, for `linger` at most, then closes. The last counters.
    pub async fn hang_up(self, linger: Duration) -> SendStats {
        self.caller.close(linger).await
    }
}

impl std::fmt::Debug for Call {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { caller, vigil, second, .. } = self;
        write!(f, "Call({caller:?}, {vigil:?}, a second one: {})", second.is_some())
    }
}
