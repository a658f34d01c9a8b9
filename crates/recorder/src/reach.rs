//! Whether the network answers, as the live links and the HTTP side tell each other.
//!
//! Belongs here: the shared knowledge and the wake-up that a success after failures gives to everybody who waits. Not
//! here: who tries what.
//!
//! Invariant: a success after a failure ends every pause at once, so that one side's luck is the other's.

use std::sync::Mutex;
use std::sync::PoisonError;
use std::time::Duration;

use tokio::sync::watch;

/// The shared knowledge.
#[derive(Debug)]
pub(crate) struct Reach {
    revivals: watch::Sender<u64>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    http_failing: bool,
    live_failing: bool,
}

/// Which side speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    /// Announcements and uploads.
    Http,
    /// A live link.
    Live,
}

impl Reach {
    pub(crate) fn new() -> Self {
        Self { revivals: watch::Sender::new(0), state: Mutex::default() }
    }

    /// Something got through.
    pub(crate) fn succeeded(&self, side: Side) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let failing = match side {
            Side::Http => &mut state.http_failing,
            Side::Live => &mut state.live_failing,
        };
        if std::mem::take(failing) {
            self.revivals.send_modify(|count| *count += 1);
        }
    }

    /// Something did not get through.
    pub(crate) fn failed(&self, side: Side) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        match side {
            Side::Http => state.http_failing = true,
            Side::Live => state.live_failing = true,
        }
    }

    /// Whether HTTP works, as far as is known.
    pub(crate) fn http_up(&self) -> bool {
        !self.state.lock().unwrap_or_else(PoisonError::into_inner).http_failing
    }

    /// Waits for `pause`, or until something comes back after failing.
    pub(crate) async fn pause(&self, pause: Duration) {
        let mut revivals = self.revivals.subscribe();
        revivals.mark_unchanged();
        let _ = tokio::time::timeout(pause, revivals.changed()).await;
    }

    /// Waits until something comes back after failing.
    pub(crate) async fn revived(&self) {
        let mut revivals = self.revivals.subscribe();
        revivals.mark_unchanged();
        // The sender lives as long as we do.
        let _ = revivals.changed().await;
    }
}

/// `pause` shortened by up to half, by chance: so that those who failed together do not try together.
pub(crate) fn jittered(pause: Duration) -> Duration {
    pause.mul_f64(fastrand::f64().mul_add(-0.5, 1.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn success_of_one_side_ends_the_pause_of_the_other() {
        let reach = Reach::new();
        reach.failed(Side::Live);
        let paused = reach.pause(Duration::from_secs(3600));
        let other = async {
            tokio::task::yield_now().await;
            reach.succeeded(Side::Live);
        };
        tokio::join!(paused, other);
    }

    #[test]
    fn success_while_nothing_failed_wakes_nobody() {
        let reach = Reach::new();
        reach.succeeded(Side::Http);
        assert_eq!(*reach.revivals.borrow(), 0);
        reach.failed(Side::Http);
        assert!(!reach.http_up());
        reach.succeeded(Side::Http);
        assert_eq!(*reach.revivals.borrow(), 1);
    }

    #[test]
    fn jitter_shortens_by_half_at_most() {
        for _ in 0..100 {
            let pause = jittered(Duration::from_secs(2));
            assert!((Duration::from_secs(1)..=Duration::from_secs(2)).contains(&pause));
        }
    }
}
