//! Whether a connection lives, by what its counters say: pure, `now` comes in.
//!
//! | nothing heard, though data is under way, for | it is | what follows |
//! |---|---|---|
//! | less than `doubtful_after`, or three round trips | sound | |
//! | that | doubtful | nothing more is sent: what goes into a dead link crosses the network twice |
//! | `second_after` more | silent | a second connection is tried beside it |
//! | `dead_after`, or four round trips | dead | it is given up |
//!
//! A peer that is heard and acknowledges nothing for `stuck_after` does not hear us: dead, too.
//!
//! What does not belong here: dialling, sockets, what was sent.

use std::time::{Duration, Instant};

use crate::SendStats;

/// When a silent connection is doubted, and when given up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct VigilConfig {
    /// Nothing heard for so long: nothing more is sent (default 180 ms; at least three round trips).
    pub doubtful_after: Duration,
    /// So much more of it: a second connection is tried (default 250 ms).
    pub second_after: Duration,
    /// Nothing heard for so long: it is given up (default 2 s; at least four round trips).
    pub dead_after: Duration,
    /// Heard, but nothing acknowledged for so long: it is given up (default 5 s; at least eight round trips).
    pub stuck_after: Duration,
}

impl Default for VigilConfig {
    fn default() -> Self {
        Self {
            doubtful_after: Duration::from_millis(180),
            second_after: Duration::from_millis(250),
            dead_after: Duration::from_secs(2),
            stuck_after: Duration::from_secs(5),
        }
    }
}

/// How a connection does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pulse {
    /// It was heard lately, or nothing is under way.
    Sound,
    /// Send nothing more until it is heard.
    Doubtful,
    /// The same, and a second connection is tried.
    Silent,
    /// It is given up.
    Dead {
        /// Since when nothing was acknowledged.
        unanswered: Duration,
    },
}

/// Watches one connection.
#[derive(Debug)]
pub(super) struct Vigil {
    config: VigilConfig,
    /// When the peer was last heard, or nothing was under way.
    heard: Instant,
    /// When something was last acknowledged, or nothing was under way.
    moved: Instant,
    received_bytes: u64,
    acked_bytes: u64,
    pulse: Pulse,
}

impl Vigil {
    pub(super) fn new(now: Instant, config: VigilConfig) -> Self {
        Self { config, heard: now, moved: now, received_bytes: 0, acked_bytes: 0, pulse: Pulse::Sound }
    }

    pub(super) fn look(&mut self, now: Instant, stats: &SendStats) -> Pulse {
        let idle = stats.buffered_bytes == 0;
        if idle || stats.wire_received_bytes > self.received_bytes {
            self.heard = now;
        }
        if idle || stats.acked_bytes > self.acked_bytes {
            self.moved = now;
        }
        (self.received_bytes, self.acked_bytes) = (stats.wire_received_bytes, stats.acked_bytes);
        self.pulse = self.judge(now, Duration::from_micros(stats.rtt_us));
        self.pulse
    }

    /// How it did when it was last looked at.
    pub(super) fn pulse(&self) -> Pulse {
        self.pulse
    }

    /// How long nothing was heard.
    pub(super) fn silence(&self, now: Instant) -> Duration {
        now.saturating_duration_since(self.heard)
    }

    fn judge(&self, now: Instant, rtt: Duration) -> Pulse {
        let VigilConfig { doubtful_after, second_after, dead_after, stuck_after } = self.config;
        let silence = self.silence(now);
        let unanswered = now.saturating_duration_since(self.moved);
        let doubtful = doubtful_after.max(rtt * 3);
        if silence > dead_after.max(rtt * 4) || unanswered > stuck_after.max(rtt * 8) {
            Pulse::Dead { unanswered }
        } else if silence > doubtful + second_after {
            Pulse::Silent
        } else if silence > doubtful {
            Pulse::Doubtful
        } else {
            Pulse::Sound
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    fn under_way(received: u64, acked: u64) -> SendStats {
        SendStats {
            buffered_bytes: 1316,
            wire_received_bytes: received,
            acked_bytes: acked,
            rtt_us: 40_000,
            ..SendStats::default()
        }
    }

    #[test]
    fn silence_is_doubted_then_answered_by_a_second_connection_then_by_giving_up() {
        let start = Instant::now();
        let mut vigil = Vigil::new(start, VigilConfig::default());
        let silent = under_way(0, 0);
        assert_eq!(vigil.look(start + 180 * MS, &silent), Pulse::Sound);
        assert_eq!(vigil.look(start + 181 * MS, &silent), Pulse::Doubtful);
        assert_eq!(vigil.look(start + 430 * MS, &silent), Pulse::Doubtful);
        assert_eq!(vigil.look(start + 431 * MS, &silent), Pulse::Silent);
        assert_eq!(vigil.look(start + 2000 * MS, &silent), Pulse::Silent);
        assert_eq!(vigil.look(start + 2001 * MS, &silent), Pulse::Dead { unanswered: 2001 * MS });
    }

    #[test]
    fn a_sign_of_life_ends_the_doubt() {
        let start = Instant::now();
        let mut vigil = Vigil::new(start, VigilConfig::default());
        assert_eq!(vigil.look(start + 500 * MS, &under_way(0, 0)), Pulse::Silent);
        assert_eq!(vigil.look(start + 600 * MS, &under_way(44, 0)), Pulse::Sound);
        assert_eq!(vigil.silence(start + 700 * MS), 100 * MS);
    }

    #[test]
    fn a_long_path_is_given_more_time() {
        let start = Instant::now();
        let mut vigil = Vigil::new(start, VigilConfig::default());
        let far = SendStats { rtt_us: 800_000, ..under_way(0, 0) };
        assert_eq!(vigil.look(start + 2400 * MS, &far), Pulse::Sound);
        assert_eq!(vigil.look(start + 2651 * MS, &far), Pulse::Silent);
        assert_eq!(vigil.look(start + 3201 * MS, &far), Pulse::Dead { unanswered: 3201 * MS });
    }

    #[test]
    fn a_peer_that_speaks_but_acknowledges_nothing_does_not_hear_us() {
        let start = Instant::now();
        let mut vigil = Vigil::new(start, VigilConfig::default());
        for second in 1..=5 {
            assert_eq!(vigil.look(start + second * 1000 * MS, &under_way(second.into(), 0)), Pulse::Sound);
        }
        let dead = Pulse::Dead { unanswered: 5100 * MS };
        assert_eq!(vigil.look(start + 5100 * MS, &under_way(99, 0)), dead);
    }

    #[test]
    fn with_nothing_under_way_silence_means_nothing() {
        let start = Instant::now();
        let mut vigil = Vigil::new(start, VigilConfig::default());
        let idle = SendStats::default();
        assert_eq!(vigil.look(start + 60_000 * MS, &idle), Pulse::Sound);
        assert_eq!(vigil.look(start + 60_100 * MS, &under_way(0, 0)), Pulse::Sound);
    }
}
