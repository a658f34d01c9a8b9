//! How long a session lives, and the cookie it travels in (RFC 6265 §4.1).

use std::time::Duration;

use dashvault_base::WallMs;

use super::Secret;

/// The cookie's name without TLS.
const PLAIN: &str = "dashvault";
/// With TLS: the browser takes it from this host and over TLS only.
const SECURE: &str = "__Host-dashvault";
/// The last use is written at most this often.
const TOUCH_MS: i64 = 60_000;

/// How long sessions live.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Lifetimes {
    /// Without a request.
    pub(crate) idle: Duration,
    /// At all.
    pub(crate) whole: Duration,
}

/// When a session began and was used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Times {
    pub(crate) created: WallMs,
    pub(crate) last_used: WallMs,
}

impl Times {
    /// Whether the session still lives.
    pub(crate) fn is_alive(self, now: WallMs, lifetimes: Lifetimes) -> bool {
        now < self.ends(lifetimes)
    }

    /// When it ends if nobody uses it again.
    pub(crate) fn ends(self, lifetimes: Lifetimes) -> WallMs {
        self.last_used.plus_ms(ms(lifetimes.idle)).min(self.created.plus_ms(ms(lifetimes.whole)))
    }

    /// Whether its use is worth writing down.
    pub(crate) const fn is_stale(self, now: WallMs) -> bool {
        now.0.saturating_sub(self.last_used.0) >= TOUCH_MS
    }
}

/// The `Set-Cookie` that begins a session.
pub(crate) fn begin(secret: &Secret, secure: bool, lifetimes: Lifetimes) -> String {
    set(&secret.cookie(), secure, lifetimes.whole.as_secs())
}

/// The `Set-Cookie` that ends it in the browser.
pub(crate) fn end(secure: bool) -> String {
    set("", secure, 0)
}

fn set(value: &str, secure: bool, seconds: u64) -> String {
    let (name, flag) = if secure { (SECURE, "; Secure") } else { (PLAIN, "") };
    format!("{name}={value}; Path=/; Max-Age={seconds}; HttpOnly; SameSite=Strict{flag}")
}

/// The session's secret in a `Cookie` header. Over TLS only the cookie counts that TLS alone can set.
pub(crate) fn read(header: &str, secure: bool) -> Option<Secret> {
    let name = if secure { SECURE } else { PLAIN };
    let mut pairs = header.split(';').filter_map(|pair| pair.trim().split_once('='));
    pairs.find(|(found, _)| *found == name).and_then(|(_, value)| Secret::from_cookie(value))
}

fn ms(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const LIFETIMES: Lifetimes =
        Lifetimes { idle: Duration::from_secs(100), whole: Duration::from_secs(1000) };

    #[test]
    fn a_session_ends_when_idle_and_at_its_end_whatever_happens() {
        let begun = Times { created: WallMs(0), last_used: WallMs(0) };
        assert!(begun.is_alive(WallMs(99_999), LIFETIMES) && !begun.is_alive(WallMs(100_000), LIFETIMES));
        let used = Times { last_used: WallMs(950_000), ..begun };
        assert!(used.is_alive(WallMs(999_999), LIFETIMES) && !used.is_alive(WallMs(1_000_000), LIFETIMES));
        assert!(!begun.is_stale(WallMs(59_999)) && begun.is_stale(WallMs(60_000)));
    }

    #[test]
    fn a_cookie_over_tls_is_for_tls_only() {
        let secret = Secret::random().unwrap();
        let (plain, secure) = (begin(&secret, false, LIFETIMES), begin(&secret, true, LIFETIMES));
        assert!(plain.ends_with("Max-Age=1000; HttpOnly; SameSite=Strict"), "{plain}");
        assert!(secure.starts_with("__Host-") && secure.ends_with("SameSite=Strict; Secure"), "{secure}");
        let sent = |set: &str| format!("theme=dark; {}; x=y", set.split(';').next().unwrap());
        assert_eq!(read(&sent(&plain), false), Some(secret.clone()));
        assert_eq!(read(&sent(&plain), true), None);
        assert_eq!(read(&sent(&secure), true), Some(secret));
        assert_eq!(read(&sent(&end(false)), false), None);
    }

    proptest! {
        #[test]
        fn no_use_makes_a_session_live_beyond_its_whole_life(uses in proptest::collection::vec(0i64..2_000_000, 0..20)) {
            let last_used = WallMs(uses.into_iter().max().unwrap_or(0));
            let times = Times { created: WallMs(0), last_used };
            prop_assert!(!times.is_alive(WallMs(1_000_000), LIFETIMES));
            prop_assert!(!times.is_alive(last_used.plus_ms(100_000), LIFETIMES));
        }

        #[test]
        fn no_cookie_header_is_misread(header in "\\PC{0,200}") {
            prop_assert_eq!(read(&header, true), None);
        }
    }
}
