//! A caller that connects again by itself: it notices that a link has died, tries a second connection beside the silent
//! one, and dials again for as long as it takes.
//!
//! ```text
//! no call ─dial─► call ─┬─ nothing heard for 180 ms ─► doubtful ─┬─ heard again ─► call
//!    ▲  ▲ pause          │                                       ├─ 250 ms more: a second connection; open ─► replaced
//!    │  └── refused      │                                       └─ nothing heard for 2 s ─► dead
//!    └─────── closed, dead, replaced: what the old call had not acknowledged is its owner's to send again, or not ◄┘
//! ```
//! Rooms: `vigil` decides whether a call lives and `redial` when to dial again, both pure (`now` comes in); `dialler`
//! makes calls, `call` is one of them under watch; [`Line`] is both together for those who only want to send.
//!
//! What does not belong here: the protocol (`core`), a change of our own address (the caller survives it without a new
//! connection), where in a stream a new connection may begin.

mod call;
mod dialler;
mod redial;
mod vigil;

use std::time::{Duration, Instant};

use bytes::Bytes;

pub use call::{Call, CallEnd};
pub use dialler::Dialler;
pub use vigil::{Pulse, VigilConfig};

use crate::{CallerConfig, ConnectError, SendError, SendStats, SrtUrl};

/// How often a call is looked at while something is sent, and while it is silent.
const LOOK: Duration = Duration::from_millis(100);
const LOOK_CLOSER: Duration = Duration::from_millis(50);

/// A line to one listener that is kept up.
///
/// A new connection is a new stream to the listener: begin it where a decoder can begin.
#[derive(Debug)]
pub struct Line {
    dialler: Dialler,
    call: Option<Call>,
    next_look: Instant,
}

/// A line's connection is over; [`Line::connect`] brings up the next.
#[derive(Debug, Clone, Copy, thiserror::Error)]
#[error("the connection is over: {end}")]
pub struct Interrupted {
    /// Why.
    pub end: InterruptedBy,
    /// The last counters: of `accepted_bytes`, the first `acked_bytes` have arrived.
    pub stats: SendStats,
}

/// Why a line took no payload.
#[derive(Debug, Clone, Copy, thiserror::Error)]
pub enum LineError {
    /// The connection is over.
    #[error(transparent)]
    Interrupted(#[from] Interrupted),
    /// Empty or larger than a packet; the line is as it was.
    #[error("payload of {bytes} bytes, 1 to {} are allowed", crate::TS_PAYLOAD_BYTES)]
    Size {
        /// Its length.
        bytes: usize,
    },
}

/// Why a line's connection is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InterruptedBy {
    /// SRT says so.
    #[error("{0}")]
    Closed(crate::CloseReason),
    /// There was no sign of life.
    #[error("nothing was acknowledged for {0:?}")]
    Dead(Duration),
    /// There was no sign of life, and a second connection is up already.
    #[error("it was silent, and another took its place")]
    Replaced,
    /// It was never up.
    #[error("not connected")]
    Down,
}

impl Line {
    /// A line that is not connected yet.
    pub fn new(url: &SrtUrl, config: CallerConfig, vigil: VigilConfig) -> Self {
        let dialler = Dialler::new(url.host.clone(), url.port, url.apply(config), vigil);
        Self { dialler, call: None, next_look: Instant::now() }
    }

    /// Brings the line up, for as long as it takes: failures are logged, and followed by a pause.
    ///
    /// # Errors
    /// [`ConnectError::Config`], which time does not mend. Who wants to give up for other reasons uses a [`Dialler`].
    ///
    /// # Cancel safety
    /// A dropped future ends the attempt under way.
    pub async fn connect(&mut self) -> Result<(), ConnectError> {
        while self.call.is_none() {
            tokio::time::sleep(redial::jittered(self.dialler.pause())).await;
            match self.dialler.dial().await {
                Ok(call) => self.take(call),
                Err(error @ ConnectError::Config { .. }) => return Err(error),
                Err(error) => tracing::info!(%error, pause = ?self.dialler.pause(), "SRT line is down"),
            }
        }
        Ok(())
    }

    /// Queues one payload, waiting for room, and for a sign of life of a connection that has fallen silent.
    ///
    /// # Errors
    /// [`LineError::Interrupted`] when the connection is over: this payload was not queued, and what had not been
    /// acknowledged may be lost.
    ///
    /// # Cancel safety
    /// A dropped future has queued nothing.
    pub async fn send(&mut self, payload: Bytes) -> Result<(), LineError> {
        loop {
            if Instant::now() >= self.next_look || self.call.as_ref().is_none_or(Call::is_doubtful) {
                self.tend().await?;
            }
            let Some(call) = &self.call else { continue };
            let sent = tokio::time::timeout_at(self.next_look.into(), call.caller().send(payload.clone()));
            match sent.await {
                Ok(Ok(())) => return Ok(()),
                Ok(Err(SendError::Closed(reason))) => {
                    return Err(self.interrupted(CallEnd::Closed(reason)).await.into());
                }
                Ok(Err(SendError::Size { bytes })) => return Err(LineError::Size { bytes }),
                // Not yet: the connection is looked at in between.
                Ok(Err(SendError::Full)) | Err(_) => {}
            }
        }
    }

    /// Watches the connection while there is nothing to send; ready when it is over.
    ///
    /// # Cancel safety
    /// May be dropped and called again.
    pub async fn watch(&mut self) -> Interrupted {
        loop {
            if let Err(interrupted) = self.tend().await {
                return interrupted;
            }
            let Some(call) = &self.call else { continue };
            let closed = tokio::time::timeout_at(self.next_look.into(), call.caller().closed());
            if let Ok(reason) = closed.await {
                return self.interrupted(CallEnd::Closed(reason)).await;
            }
        }
    }

    /// The connection that is up.
    pub fn call(&self) -> Option<&Call> {
        self.call.as_ref()
    }

    /// What the next connections are made with.
    pub fn set_caller(&mut self, config: CallerConfig) {
        self.dialler.set_caller(config);
    }

    /// Waits until everything is acknowledged, for `linger` at most, then closes; the last counters, if it was up.
    pub async fn close(self, linger: Duration) -> Option<SendStats> {
        match self.call {
            Some(call) => Some(call.hang_up(linger).await),
            None => None,
        }
    }

    /// Looks at the connection; returns once it is heard.
    async fn tend(&mut self) -> Result<(), Interrupted> {
        loop {
            let Some(call) = &mut self.call else {
                return Err(Interrupted { end: InterruptedBy::Down, stats: SendStats::default() });
            };
            let now = Instant::now();
            let stats = call.caller().stats();
            let pulse = call.look(now, &stats);
            self.next_look = now + if call.silence(now) > LOOK_CLOSER { LOOK_CLOSER } else { LOOK };
            match pulse {
                Pulse::Sound => return Ok(()),
                Pulse::Dead { unanswered } => return Err(self.interrupted(CallEnd::Dead(unanswered)).await),
                Pulse::Doubtful | Pulse::Silent => {
                    if let Err(end) = call.sign(self.next_look).await {
                        return Err(self.interrupted(end).await);
                    }
                }
            }
        }
    }

    fn take(&mut self, call: Call) {
        tracing::info!(peer = %call.caller().peer(), "SRT line is up");
        self.next_look = Instant::now() + LOOK;
        self.call = Some(call);
    }

    async fn interrupted(&mut self, end: CallEnd) -> Interrupted {
        let Some(call) = self.call.take() else {
            return Interrupted { end: InterruptedBy::Down, stats: SendStats::default() };
        };
        self.dialler.ended(call.lasted(Instant::now()), &end);
        let (end, next) = match end {
            CallEnd::Closed(reason) => (InterruptedBy::Closed(reason), None),
            CallEnd::Dead(unanswered) => (InterruptedBy::Dead(unanswered), None),
            CallEnd::Replaced(next) => (InterruptedBy::Replaced, Some(next)),
        };
        let peer = call.caller().peer();
        // Nothing is awaited but the driver's last step.
        let stats = call.hang_up(Duration::ZERO).await;
        let unacknowledged_bytes = stats.accepted_bytes - stats.acked_bytes;
        tracing::info!(%peer, %end, unacknowledged_bytes, "SRT line is interrupted");
        if let Some(next) = next {
            self.take(*next);
        }
        Interrupted { end, stats }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_and_its_futures_may_go_to_another_thread() {
        fn goes<T: Send>(_: T) {}
        let url: SrtUrl = "srt://127.0.0.1:9".parse().unwrap();
        let line = || Line::new(&url, CallerConfig::default(), VigilConfig::default());
        goes(line().connect());
        goes(line().send(Bytes::new()));
        goes(line().watch());
        goes(line().close(Duration::ZERO));
    }
}
