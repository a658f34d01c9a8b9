//! A driver's one timer, set so that it rarely goes off.
//!
//! A timer that goes off for nothing wakes the thread. Here it is set late: what is far away may come later by up to
//! [`SLACK`], so that in the meantime the next payloads or their acknowledgement push it back. And it is made anew when
//! it is pushed back, as the runtime wakes up for the old time of one that was only moved.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use tokio::time::Sleep;

/// The timer's resolution: it never goes off sooner, however much is due.
pub(super) const PAUSE: Duration = Duration::from_millis(2);
/// What is due within this long is due in time.
const NEAR: Duration = Duration::from_millis(40);
/// What is further away may be late by this much.
const SLACK: Duration = Duration::from_millis(150);
/// The longest sleep.
const IDLE: Duration = Duration::from_secs(2);

pub(super) struct Timer {
    sleep: Pin<Box<Sleep>>,
    at: Instant,
}

impl Timer {
    pub(super) fn new(now: Instant) -> Self {
        Self { sleep: Box::pin(tokio::time::sleep_until(now.into())), at: now }
    }

    /// Sees to it that it goes off when something is due; says when it will.
    pub(super) fn set(&mut self, now: Instant, due: Option<Instant>, may_be_late: bool) -> Instant {
        let (earliest, latest) = window(now, due);
        let latest = if may_be_late { latest } else { earliest };
        // The runtime looks at a timer up to 64 ms before it goes off: it is pushed back before that.
        let near = earliest + (latest - earliest) / 2;
        if self.at < near || self.at > latest || self.sleep.is_elapsed() {
            self.at = latest;
            self.sleep.set(tokio::time::sleep_until(latest.into()));
        }
        self.at
    }

    /// Ready when it has gone off.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        self.sleep.as_mut().poll(cx)
    }
}

/// When a timer for something due may go off.
fn window(now: Instant, due: Option<Instant>) -> (Instant, Instant) {
    let due = due.unwrap_or(now + IDLE).clamp(now + PAUSE, now + IDLE);
    if due <= now + NEAR { (due, due) } else { (due, due + SLACK) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_near_is_in_time_and_what_is_far_may_be_late() {
        let now = Instant::now();
        let in_ms = |ms| now + Duration::from_millis(ms);
        assert_eq!(window(now, Some(now)), (in_ms(2), in_ms(2)));
        assert_eq!(window(now, Some(in_ms(20))), (in_ms(20), in_ms(20)));
        assert_eq!(window(now, Some(in_ms(160))), (in_ms(160), in_ms(310)));
        assert_eq!(window(now, None), (in_ms(2000), in_ms(2150)));
    }
}
