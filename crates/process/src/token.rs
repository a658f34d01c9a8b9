//! Asking background work to stop.
//!
//! Belongs here: the flag with its two ends. Not here: what is done about it (`job`, `pool`, `communicate`).
//!
//! Invariant: asked once, asked for ever; dropping the source asks too, so work never outlives its owner unnoticed.

use std::time::{Duration, Instant};

use tokio::sync::watch;

use crate::blocking::block_until;

/// The end that asks; dropping it asks as well.
#[derive(Debug)]
pub struct StopSource(watch::Sender<bool>);

/// The end that listens; cheap to clone.
#[derive(Clone, Debug)]
pub struct StopToken(watch::Receiver<bool>);

impl StopSource {
    /// Makes a connected pair.
    pub fn new() -> (Self, StopToken) {
        let (sender, receiver) = watch::channel(false);
        (Self(sender), StopToken(receiver))
    }

    /// Asks for the stop. Idempotent.
    pub fn stop(&self) {
        self.0.send_replace(true);
    }

    /// Returns another token of this source.
    pub fn token(&self) -> StopToken {
        StopToken(self.0.subscribe())
    }
}

impl StopToken {
    /// Returns whether the stop was asked for.
    pub fn is_stopped(&self) -> bool {
        *self.0.borrow() || self.0.has_changed().is_err()
    }

    /// Sleeps for `pause` or until the stop, whichever is first; returns whether the stop was asked for.
    pub fn sleep(&self, pause: Duration) -> bool {
        block_until(Some(Instant::now() + pause), self.stopped());
        self.is_stopped()
    }

    /// Waits for the stop.
    ///
    /// # Cancel safety
    /// Cancel safe.
    pub async fn stopped(&self) {
        let mut receiver = self.0.clone();
        // An error means that the source is gone, which asks for the stop too.
        let _ = receiver.wait_for(|stopped| *stopped).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sleep_ends_early_when_the_stop_is_asked_for() {
        let (source, token) = StopSource::new();
        assert!(!token.is_stopped());
        source.stop();
        assert!(token.sleep(Duration::from_secs(3600)));
    }

    #[test]
    fn dropping_the_source_asks_for_the_stop() {
        let (source, token) = StopSource::new();
        drop(source);
        assert!(token.is_stopped());
        assert!(token.sleep(Duration::from_secs(3600)));
    }
}
