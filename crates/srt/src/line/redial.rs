//! When to dial again: pure.
//!
//! | after | the pause is |
//! |---|---|
//! | no answer within the connect time-out | none: the handshake was repeated all the time |
//! | "somebody has it still" (2409) | 300 ms |
//! | another refusal, a wrong passphrase, a wrong setting | 10 s: asking often does not help |
//! | no network, no name, nobody there | 200 ms, more with each failure, at most 1 s |
//! | a connection that was closed sooner than 2 s | 250 ms, doubled with each, at most 16 s |
//! | a connection that lasted | none |

use std::time::Duration;

use crate::ConnectError;

/// A connection that the peer closes sooner than this was not wanted.
const SHORT: Duration = Duration::from_secs(2);
/// The stream is still held by the connection before.
const CONFLICT: u32 = 2409;

/// Counts failures.
#[derive(Debug, Default)]
pub(super) struct Redial {
    failures: u32,
}

impl Redial {
    /// There was no connection.
    pub(super) fn failed(&mut self, error: &ConnectError) -> Duration {
        self.failures = self.failures.saturating_add(1);
        match error {
            ConnectError::Timeout { .. } => Duration::from_millis(10),
            ConnectError::Rejected { code, .. } if code.0 == CONFLICT => Duration::from_millis(300),
            ConnectError::Rejected { .. } | ConnectError::Config { .. } | ConnectError::Crypto { .. } => {
                Duration::from_secs(10)
            }
            _ => Duration::from_millis(200) * self.failures.min(5),
        }
    }

    /// A connection is over, perhaps closed by the peer.
    pub(super) fn ended(&mut self, lasted: Duration, closed: bool) -> Duration {
        if lasted >= SHORT {
            self.failures = 0;
            return Duration::ZERO;
        }
        self.failures = self.failures.saturating_add(1);
        if closed { Duration::from_millis(250) * 2_u32.pow(self.failures.min(6)) } else { Duration::ZERO }
    }
}

/// `pause` shortened by up to half, by chance: so that those who failed together do not try together.
pub(super) fn jittered(pause: Duration) -> Duration {
    let mut byte = [0];
    crate::sys::random()(&mut byte);
    pause.mul_f64(1.0 - f64::from(byte[0]) / 512.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::RejectCode;

    fn rejected(code: u32) -> ConnectError {
        ConnectError::Rejected { peer: "192.0.2.1:9000".parse().unwrap(), code: RejectCode(code) }
    }

    #[test]
    fn who_says_no_is_left_in_peace_and_who_is_away_is_tried_soon() {
        let mut redial = Redial::default();
        let peer = "192.0.2.1:9000".parse().unwrap();
        assert_eq!(redial.failed(&rejected(1010)), Duration::from_secs(10));
        assert_eq!(redial.failed(&rejected(2409)), Duration::from_millis(300));
        let timeout = ConnectError::Timeout { peer, timeout: Duration::from_secs(3) };
        assert_eq!(redial.failed(&timeout), Duration::from_millis(10));
        assert_eq!(redial.failed(&ConnectError::Refused { peer }), Duration::from_millis(800));
        assert_eq!(redial.failed(&ConnectError::Refused { peer }), Duration::from_secs(1));
        assert_eq!(redial.failed(&ConnectError::Refused { peer }), Duration::from_secs(1));
    }

    #[test]
    fn who_closes_at_once_is_asked_less_and_less_often_and_a_connection_that_lasted_forgives() {
        let mut redial = Redial::default();
        let short = Duration::from_millis(100);
        let pauses: Vec<_> = (0..8).map(|_| redial.ended(short, true).as_millis()).collect();
        assert_eq!(pauses, [500, 1000, 2000, 4000, 8000, 16_000, 16_000, 16_000]);
        assert_eq!(redial.ended(short, false), Duration::ZERO, "it died, nobody closed it");
        assert_eq!(redial.ended(SHORT, true), Duration::ZERO);
        assert_eq!(redial.ended(short, true), Duration::from_millis(500));
    }

    #[test]
    fn jitter_shortens_by_half_at_most() {
        for _ in 0..100 {
            let pause = jittered(Duration::from_secs(2));
            assert!((Duration::from_secs(1)..=Duration::from_secs(2)).contains(&pause));
        }
    }
}
