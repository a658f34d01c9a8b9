//! Is the wall clock right? Footage is named and found by it.

use std::time::Duration;

use dashvault_base::{Clock, SystemClock, WallMs};
use dashvault_process::{Command, Exchange};

use super::Check;

/// A clock before this was never set.
const BUILT: WallMs = WallMs::from_civil(2026, 1, 1, 0, 0, 0);
const FAR: WallMs = WallMs::from_civil(2100, 1, 1, 0, 0, 0);

/// Checks the year, and whether something keeps the clock right.
pub(super) fn check() -> Vec<Check> {
    vec![year(SystemClock.wall()), synchronised(ask_timedatectl().as_deref())]
}

fn year(now: WallMs) -> Check {
    let found = format!("{now}");
    if (BUILT..FAR).contains(&now) {
        Check::ok("clock", found)
    } else {
        Check::fail(
            "clock",
            found,
            "set the clock (timedatectl set-time …), or wait for NTP: recordings are named by it",
        )
    }
}

/// What systemd says: `yes` or `no`; `None` where it is not asked (other systems, containers).
fn ask_timedatectl() -> Option<String> {
    let command = Command::new("timedatectl").args(["show", "--property=NTPSynchronized", "--value"]);
    let output = command.run_blocking(Exchange::new().timeout(Duration::from_secs(3))).ok()?;
    let answer = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    output.exit.success().then_some(answer)
}

fn synchronised(answer: Option<&str>) -> Check {
    match answer {
        Some("yes") => Check::ok("clock sync", "kept right by NTP"),
        Some("no") => Check::warn(
            "clock sync",
            "nothing keeps the clock right",
            "run: timedatectl set-ntp true (or install chrony)",
        ),
        _ => Check::warn(
            "clock sync",
            "unknown: timedatectl gives no answer here",
            "make sure that NTP or GPS sets the clock",
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::Verdict;

    #[test]
    fn clock_that_was_never_set_fails() {
        assert_eq!(year(WallMs(0)).verdict, Verdict::Fail);
        assert_eq!(year(WallMs::from_civil(2026, 11, 22, 0, 0, 0)).verdict, Verdict::Ok);
        assert_eq!(year(WallMs::from_civil(2106, 2, 7, 0, 0, 0)).verdict, Verdict::Fail);
    }

    #[test]
    fn clock_without_ntp_is_a_warning() {
        assert_eq!(synchronised(Some("yes")).verdict, Verdict::Ok);
        assert_eq!(synchronised(Some("no")).verdict, Verdict::Warn);
        assert_eq!(synchronised(None).verdict, Verdict::Warn);
    }
}
