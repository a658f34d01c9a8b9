//! Which session feeds which recording: one at a time.
//!
//! | a new publisher of a recording that is fed | then |
//! |---|---|
//! | proves that it is the recorder | it takes over at once: the old connection is a dead link |
//! | is a plain one, and the old was silent for a while | it takes over |
//! | is a plain one, and the old still brings data | it is refused (409) |

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use dashvault_base::RecordingId;

use crate::store::{SessionHandle, SessionKind, Track};

/// All recordings that are fed now.
#[derive(Debug, Default)]
pub(super) struct Feeders {
    feeding: Mutex<HashMap<(Track, RecordingId), Arc<Feeder>>>,
}

/// One publisher that was let in.
#[derive(Debug)]
pub(super) struct Feeder {
    pub(super) session: Arc<SessionHandle>,
    begun: Instant,
    last_data_ms: AtomicU64,
}

/// Another publisher feeds this recording.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("another publisher feeds this recording; its last data came {} ms ago", .0.as_millis())]
pub(super) struct Fed(Duration);

impl Feeder {
    /// Bytes came.
    pub(super) fn note_data(&self) {
        let since = u64::try_from(self.begun.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.last_data_ms.store(since, Ordering::Relaxed);
    }

    fn silent_for(&self) -> Duration {
        let last = Duration::from_millis(self.last_data_ms.load(Ordering::Relaxed));
        self.begun.elapsed().saturating_sub(last)
    }
}

impl Feeders {
    /// Whether a session may become the feeder of its recording.
    pub(super) fn check(&self, session: &SessionHandle, patience: Duration) -> Result<(), Fed> {
        let key = (session.track.clone(), session.recording);
        match self.feeding().get(&key).map(|old| old.silent_for()) {
            Some(silent) if session.kind == SessionKind::Plain && silent < patience => Err(Fed(silent)),
            _ => Ok(()),
        }
    }

    /// Makes a session the feeder of its recording, in place of one that may be replaced.
    pub(super) fn enter(&self, session: SessionHandle, patience: Duration) -> Result<Arc<Feeder>, Fed> {
        self.check(&session, patience)?;
        let mut feeding = self.feeding();
        let key = (session.track.clone(), session.recording);
        if let Some(old) = feeding.get(&key) {
            let (device, recording) = (&session.track.device, session.recording);
            tracing::info!(%device, %recording, "a new connection takes the recording over");
            old.session.over.cancel();
        }
        let (begun, last_data_ms) = (Instant::now(), AtomicU64::new(0));
        let feeder = Arc::new(Feeder { session: Arc::new(session), begun, last_data_ms });
        feeding.insert(key, feeder.clone());
        Ok(feeder)
    }

    /// Takes a feeder out, unless another one has its place already.
    pub(super) fn leave(&self, feeder: &Arc<Feeder>) {
        let key = (feeder.session.track.clone(), feeder.session.recording);
        let mut feeding = self.feeding();
        if feeding.get(&key).is_some_and(|now| Arc::ptr_eq(now, feeder)) {
            feeding.remove(&key);
        }
    }

    fn feeding(&self) -> MutexGuard<'_, HashMap<(Track, RecordingId), Arc<Feeder>>> {
        self.feeding.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio_util::sync::CancellationToken;

    fn session(id: u64, kind: SessionKind) -> SessionHandle {
        SessionHandle {
            id,
            track: Track { device: "bus".parse().unwrap(), camera: "front".parse().unwrap() },
            recording: "20261122-101500".parse().unwrap(),
            kind,
            over: CancellationToken::new(),
        }
    }

    #[test]
    fn a_recorder_takes_over_at_once() {
        let feeders = Feeders::default();
        let old = feeders.enter(session(1, SessionKind::Announced), Duration::MAX).unwrap();
        let new = feeders.enter(session(2, SessionKind::Announced), Duration::MAX).unwrap();
        assert!(old.session.over.is_cancelled() && !new.session.over.is_cancelled());
        feeders.leave(&old);
        assert!(!feeders.feeding().is_empty(), "the old one's end does not end the new one");
        feeders.leave(&new);
        assert!(feeders.feeding().is_empty());
    }

    #[test]
    fn a_plain_publisher_waits_for_silence() {
        let feeders = Feeders::default();
        let old = feeders.enter(session(1, SessionKind::Plain), Duration::ZERO).unwrap();
        assert!(feeders.enter(session(2, SessionKind::Plain), Duration::from_secs(60)).is_err());
        assert!(!old.session.over.is_cancelled());
        assert!(feeders.enter(session(2, SessionKind::Plain), Duration::ZERO).is_ok());
        assert!(old.session.over.is_cancelled());
    }
}
