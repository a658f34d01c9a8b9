//! The two clocks a program may ask: monotonic and wall.

use std::time::{Instant, SystemTime, UNIX_EPOCH};

use crate::WallMs;

/// Where `now` comes from; tests bring their own.
pub trait Clock: Send + Sync + 'static {
    /// Monotonic time.
    fn now(&self) -> Instant;
    /// Wall time as the machine believes it; may jump.
    fn wall(&self) -> WallMs;
}

/// The machine's own clocks.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Instant {
        Instant::now()
    }

    fn wall(&self) -> WallMs {
        let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        WallMs(i64::try_from(since_epoch.as_millis()).unwrap_or(i64::MAX))
    }
}
