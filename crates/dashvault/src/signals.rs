//! Being asked to stop: Ctrl-C anywhere, SIGTERM where there is one.
//!
//! Invariant: from the first [`Signals::new`] on, neither of them kills the program by itself.

use crate::failure::{Failure, OrNext};

/// The stop signals, as they come.
pub(crate) struct Signals {
    #[cfg(unix)]
    terminate: tokio::signal::unix::Signal,
    #[cfg(unix)]
    interrupt: tokio::signal::unix::Signal,
}

impl Signals {
    /// Starts to listen. Needs a tokio runtime around it.
    ///
    /// # Errors
    /// When the system allows no handler.
    #[cfg(unix)]
    pub(crate) fn new() -> Result<Self, Failure> {
        use tokio::signal::unix::{SignalKind, signal};
        let listen = |kind| signal(kind).or_next("listen for signals", "check the system's limits");
        Ok(Self { terminate: listen(SignalKind::terminate())?, interrupt: listen(SignalKind::interrupt())? })
    }

    /// The next request to stop.
    ///
    /// # Cancel safety
    /// Safe; a signal that comes meanwhile is seen by the next call.
    #[cfg(unix)]
    pub(crate) async fn next(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }

    /// Starts to listen.
    #[cfg(not(unix))]
    pub(crate) fn new() -> Result<Self, Failure> {
        Ok(Self {})
    }

    /// The next request to stop.
    #[cfg(not(unix))]
    pub(crate) async fn next(&mut self) {
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}
