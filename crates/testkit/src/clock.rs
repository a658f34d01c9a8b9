//! A clock that moves only when a test says so.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use dashvault_base::{Clock, WallMs};

/// Monotonic and wall time under a test's control; clones share it.
#[derive(Debug, Clone)]
pub struct FakeClock {
    times: Arc<Mutex<Times>>,
}

#[derive(Debug)]
struct Times {
    now: Instant,
    wall: WallMs,
}

impl FakeClock {
    /// A clock that stands at `wall`; its monotonic time starts anywhere.
    #[must_use]
    pub fn new(wall: WallMs) -> Self {
        Self { times: Arc::new(Mutex::new(Times { now: Instant::now(), wall })) }
    }

    /// Lets time pass, monotonic and wall alike.
    pub fn advance(&self, by: Duration) {
        let mut times = self.times();
        times.now += by;
        times.wall = times.wall.plus_ms(i64::try_from(by.as_millis()).unwrap_or(i64::MAX));
    }

    /// Sets the wall clock, as NTP or GPS does; monotonic time stays.
    pub fn set_wall(&self, wall: WallMs) {
        self.times().wall = wall;
    }

    /// Lets the wall clock jump by `ms` (back when negative); monotonic time stays.
    pub fn jump_wall(&self, ms: i64) {
        let mut times = self.times();
        times.wall = times.wall.plus_ms(ms);
    }

    fn times(&self) -> MutexGuard<'_, Times> {
        self.times.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Default for FakeClock {
    /// 2026-11-22T10:15:00Z.
    fn default() -> Self {
        Self::new(WallMs::from_civil(2026, 11, 22, 10, 15, 0))
    }
}

impl Clock for FakeClock {
    fn now(&self) -> Instant {
        self.times().now
    }

    fn wall(&self) -> WallMs {
        self.times().wall
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_passes_only_on_request_and_wall_jumps_leave_monotonic_time_alone() {
        let clock = FakeClock::default();
        let (now, wall) = (clock.now(), clock.wall());
        clock.clone().advance(Duration::from_millis(1500));
        assert_eq!((clock.now() - now, clock.wall()), (Duration::from_millis(1500), wall.plus_ms(1500)));
        clock.jump_wall(-10_000);
        assert_eq!((clock.now() - now, clock.wall()), (Duration::from_millis(1500), wall.plus_ms(-8500)));
    }
}
